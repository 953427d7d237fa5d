"""Sufficiency: what makes evidence more or less likely to be enough."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agents.ranking import rank
from agents.reading import Candidate
from agents.sufficiency import features, shipped
from backends.base import DocumentId, Passage, PassageId, ScoredPassage

TEXT = "Boots may be returned within 45 days of 3 May 2021."


def read(question: str, *, cosine: float = 0.6, text: str = TEXT) -> Mapping[str, float]:
    passage = Passage(PassageId("p"), DocumentId("d"), "Returns", "d", 1, 0, 0, len(text), text)
    hit = ScoredPassage(passage, 1.0, 0.5, 2.0)
    return features(question, rank(question, [Candidate(hit, (text,), (cosine,))]))


def probability(question: str, *, cosine: float = 0.6, text: str = TEXT) -> float:
    return shipped().probability(read(question, cosine=cosine, text=text))


def test_a_closer_sentence_is_more_likely_enough() -> None:
    question = "May boots be returned?"

    assert probability(question, cosine=0.8) > probability(question, cosine=0.4)


@pytest.mark.parametrize(
    ("plain", "swapped"),
    [
        ("May boots be returned within 45 days?", "May boots be returned within 95 days?"),
        ("May boots be returned?", "May sandals be returned?"),
        ("May boots be returned?", "May boots not be returned?"),
        ("When may boots be returned?", "Who may have boots returned?"),
    ],
)
def test_a_question_that_the_sentence_does_not_fit_is_less_likely_answered(
    plain: str, swapped: str
) -> None:
    assert probability(swapped) < probability(plain)


def test_a_negation_that_the_sentence_shares_is_no_contradiction() -> None:
    assert read("Which boots may not be returned?")["negated_alone"] == 1.0
    assert read("Which boots may not be returned?", text="Worn boots cannot be returned.")[
        "negated_alone"
    ] == (0.0)


def test_only_what_is_asked_is_held_against_the_evidence() -> None:
    story = "I bought 7 pairs in 2019. When may boots be returned?"

    assert read(story)["lacks_a_number"] == 0.0


def test_a_huge_question_without_a_question_mark_is_all_asked() -> None:
    assert read(f"{'x' * 500_000} 7")["lacks_a_number"] == 1.0


@pytest.mark.parametrize(
    ("question", "fits"),
    [
        ("How many days?", 1.0),
        ("When may boots be returned?", 1.0),
        ("Who returned the boots?", 1.0),
        ("Why may boots be returned?", 1.0),
    ],
)
def test_a_sentence_with_the_kind_of_thing_that_is_asked_for_fits(
    question: str, fits: float
) -> None:
    assert read(question, text="By May 3 all 4 boots came back to Ana.")["kind_fits"] == fits


def test_a_sentence_without_a_number_does_not_say_how_many() -> None:
    assert read("How many boots came back?", text="Boots came back.")["kind_fits"] == 0.0


def test_every_feature_that_the_model_weighs_is_computed() -> None:
    assert set(shipped().weights) == set(read("May boots be returned?"))


def test_nothing_found_has_no_features() -> None:
    assert features("May boots be returned?", rank("May boots be returned?", [])) == {}


def test_a_probability_stays_between_0_and_1_whatever_comes() -> None:
    extreme = dict.fromkeys(shipped().weights, 1e9)

    assert 0.0 <= shipped().probability(extreme) <= 1.0
