"""Heads over readings: when to stop early, what the words add, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backends.errors import Misconfigured
from backends.questions import Reading
from router.classify import (
    Heads,
    HeadsClassifier,
    InvalidHeads,
    shipped_encoder,
    shipped_heads,
    shipped_policy,
)

TENSORS = ("weights", "biases", "calibration", "sure")


class ScriptedEncoder:
    """Reads what the test wants it to see, at one exit after the other."""

    def __init__(self, readings: list[Reading], fingerprint: str = "twin") -> None:
        self._readings = readings
        self.fingerprint = fingerprint

    async def read(self, text: str, enough: object) -> Reading:
        assert callable(enough)
        *earlier, deepest = self._readings
        return next((reading for reading in earlier if enough(reading)), deepest)


def _heads(encoder: str = "twin") -> Heads:
    """Facts along the first axis, manner along the second; sure beyond .1 and .9."""
    weights = np.tile(np.eye(2, 4, dtype=np.float32), (2, 1, 1))
    return Heads.build(
        encoder,
        (1, 2),
        weights=weights,
        biases=np.zeros((2, 2), np.float32),
        calibration=np.tile(np.array([1.0, 0.0], np.float32), (2, 2, 1)),
        sure=np.array([[[0.1, 0.9], [0.1, 0.9]], [[0, 1], [0, 1]]], np.float32),
    )


def _reading(facts: float, manner: float, layers: int = 1) -> Reading:
    return Reading(np.array([[facts, manner, 0, 0]], np.float32), [(0, 0)], layers)


@pytest.mark.parametrize(
    ("facts", "manner", "enough"),
    [
        (5, -5, True),
        (5, 5, True),
        (-5, 0, True),  # without facts the route is the same, whatever the manner
        (0, 5, False),
        (5, 0, False),
    ],
)
def test_an_exit_is_enough_where_deeper_layers_could_not_change_the_route(
    facts: float, manner: float, enough: bool
) -> None:
    assert _heads().enough(_reading(facts, manner)) is enough


def test_an_exit_is_not_enough_where_another_threshold_comes_near() -> None:
    reading = _reading(-2.5, 0)  # .08: sure enough for a threshold of .5

    assert _heads().enough(reading)
    assert not _heads().enough(reading, (0.2, 0.5))


async def test_a_sure_question_is_read_no_deeper_than_the_first_exit() -> None:
    encoder = ScriptedEncoder([_reading(5, 5), _reading(-5, -5, 2)])

    scores = await HeadsClassifier(encoder, _heads()).classify("anything")

    assert scores.features["layers"] == 1
    assert scores.needs_facts > 0.9


async def test_a_doubtful_question_is_read_to_the_end() -> None:
    encoder = ScriptedEncoder([_reading(0.3, 0), _reading(-5, 5, 2)])

    scores = await HeadsClassifier(encoder, _heads()).classify("anything")

    assert scores.features["layers"] == 2
    assert scores.needs_facts < 0.1


def test_words_are_named_by_what_they_add_and_their_pieces_count_together() -> None:
    text = "return policy, please"
    spans = [(0, 0), (0, 6), (7, 10), (10, 13), (13, 14), (15, 21), (0, 0)]
    tokens = np.zeros((7, 4), np.float32)
    tokens[2, 0], tokens[3, 0], tokens[5, 1] = 7, 7, 3.5
    scores = _heads().score(Reading(tokens, spans, 2), text)

    policy, please, *_ = scores.words
    assert (policy.text, please.text) == ("policy", "please")
    assert policy.facts > please.manner > 0


def test_what_the_tokens_add_sums_to_the_logit_over_the_average() -> None:
    heads = shipped_heads()
    tokens = np.random.default_rng(3).normal(size=(3, heads.weights.shape[-1])).astype(np.float32)
    scores = heads.score(Reading(tokens, [(0, 2), (3, 5), (6, 8)], heads.exits[-1]), "ab cd ef")

    assert sum(word.facts for word in scores.words) == pytest.approx(0, abs=1e-3)


def test_a_long_word_is_cut_and_a_repeated_one_named_once() -> None:
    text = f"{'a' * 90} yes yes"
    tokens = np.zeros((4, 4), np.float32)
    tokens[1, 0], tokens[2, 0], tokens[3, 0] = 8, 4, 2
    scores = _heads().score(Reading(tokens, [(0, 0), (0, 90), (91, 94), (95, 98)], 2), text)

    assert [word.text for word in scores.words] == ["a" * 40, "yes"]


def test_recorded_features_give_the_same_probabilities_again() -> None:
    heads = _heads()
    scores = heads.score(_reading(0.7, -0.2, 2), "")

    assert heads.replay(scores.features) == pytest.approx((scores.needs_facts, scores.needs_manner))


def test_features_of_other_exits_cannot_be_replayed() -> None:
    with pytest.raises(InvalidHeads, match="after layer 9"):
        _heads().replay({"logit.facts": 0, "logit.manner": 0, "layers": 9})


@given(tokens=arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32)))
def test_any_reading_gets_two_probabilities(tokens: np.ndarray) -> None:
    scores = _heads().score(Reading(tokens, [(0, 0)] * 3, 2), "")

    assert 0 <= scores.needs_facts <= 1
    assert 0 <= scores.needs_manner <= 1


def test_the_shipped_parts_belong_together() -> None:
    import hashlib

    heads = shipped_heads()

    assert shipped_policy().heads == heads.fingerprint
    assert heads.encoder == hashlib.sha256(shipped_encoder()).hexdigest()[:16]


def test_heads_of_another_encoder_are_refused() -> None:
    with pytest.raises(Misconfigured, match="belong to encoder other, not to twin"):
        HeadsClassifier(ScriptedEncoder([]), _heads("other"))


def test_heads_that_were_written_read_back_the_same() -> None:
    heads = shipped_heads()

    assert Heads.load(heads.dump()).fingerprint == heads.fingerprint
    assert heads.dump() == Heads.load(heads.dump()).dump()


@pytest.mark.parametrize("content", [b"", b"no safetensors at all", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_file_that_is_no_heads_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidHeads):
        Heads.load(content)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [("weights", np.nan, "not finite"), ("sure", np.inf, "not finite")],
)
def test_heads_that_are_no_numbers_are_refused(name: str, value: float, problem: str) -> None:
    heads = _heads()
    tensors = {
        part: getattr(heads, part).copy() for part in ("weights", "biases", "calibration", "sure")
    }
    tensors[name][0, 0, 0] = value

    with pytest.raises(InvalidHeads, match=problem):
        Heads.load(Heads.build("twin", (1, 2), **tensors).dump())


def test_heads_whose_exits_do_not_rise_are_refused() -> None:
    heads = _heads()
    tensors = {part: getattr(heads, part) for part in TENSORS}

    with pytest.raises(InvalidHeads, match="do not rise"):
        Heads.load(Heads.build("twin", (2, 1), **tensors).dump())


def test_heads_of_the_wrong_shape_are_refused() -> None:
    heads = _heads()
    other = Heads.build(
        "twin",
        (1, 2),
        weights=heads.weights,
        biases=heads.biases[:1],
        calibration=heads.calibration,
        sure=heads.sure,
    )

    with pytest.raises(InvalidHeads, match="biases"):
        Heads.load(other.dump())
