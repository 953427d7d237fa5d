"""From labelled rows to heads and figures: repeatable, honest about splits, clear when it fails."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backends.minilm.encoder import open_tokenizer
from backends.minilm.exits import both_ends
from backends.minilm.packing import PackedEncoder, pack
from backends.minilm.weights import find_bundle
from router.classify import Heads
from router.policy import Policy, Route
from router.tuning import evaluate as evaluation
from router.tuning import fit as fitting_command
from router.tuning.baselines import best_constant, keyword_rules
from router.tuning.card import model_card
from router.tuning.compose import Amounts, compose
from router.tuning.finetuning import FineTuned, Recipe, finetune
from router.tuning.fit import MEASURED_ON, write_artefact
from router.tuning.fitting import PRIOR, Fitted, fit, logits_at_exits, weights_by_prior
from router.tuning.metrics import agreement, calibration_error
from router.tuning.rows import Row, UnreadableRows, frames, own_rows, read_rows
from router.tuning.training import OWN, rows_hash, training_rows

F, B, H = Route.FACTUAL, Route.BEHAVIOURAL, Route.HYBRID


SMALL = Recipe(exits=(1, 2), epochs=2, head=16, tail=8)
"""Two layers and few tokens: seconds instead of minutes."""


@pytest.fixture(scope="module")
def torch() -> None:
    pytest.importorskip("torch", reason="fine-tuning needs torch, which the extra tune brings")


@pytest.fixture(scope="module")
def authored() -> list[Row]:
    return own_rows("triples") + own_rows("single")


@pytest.fixture(scope="module")
def few(authored: list[Row]) -> list[Row]:
    """A row in four, from two files and three made-up sources, so that there are folds."""
    some = authored[::4]
    return [replace(row, source=f"part {number % 5}") for number, row in enumerate(some)]


@pytest.fixture(scope="module")
def fitted(few: list[Row], torch: None) -> Fitted:
    return fit(few, SMALL)


EXAMPLES = (*OWN, *MEASURED_ON)
TRIPLES = ("held_out_triples", "held_out_domains")

# --- examples ------------------------------------------------------------------------------------


def test_more_than_three_thousand_written_examples_ship_with_their_compositions() -> None:
    rows = training_rows(None)

    assert sum(not row.composed for row in rows) > 3_000
    assert sum(row.composed for row in rows) > 3_000


def test_no_text_stands_in_two_example_files() -> None:
    texts = [row.text.casefold().strip() for name in EXAMPLES for row in own_rows(name)]
    assert len(texts) > 6_000
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("name", ["seeds_one", "seeds_two", "seeds_four"])
def test_seeds_hold_each_route_in_every_domain(name: str) -> None:
    rows = own_rows(name)
    by_domain = {
        row.domain: {other.route for other in rows if other.domain == row.domain} for row in rows
    }
    assert {domain for domain, routes in by_domain.items() if len(routes) < 3} == set()


def test_examples_come_from_at_least_fifteen_domains() -> None:
    assert len({row.domain for name in OWN for row in own_rows(name)}) >= 15


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.casefold()))


@pytest.mark.parametrize("name", MEASURED_ON)
def test_no_text_that_is_measured_on_is_trained_on(name: str) -> None:
    held_out = {_words(row.text) for row in own_rows(name)}

    assert not held_out & {_words(row.text) for row in training_rows(None)}


def test_no_training_row_comes_from_a_held_out_domain() -> None:
    held_out = {row.domain for row in own_rows("held_out_domains")}

    assert len(held_out) >= 6
    assert not held_out & {row.domain for name in OWN for row in own_rows(name)}


@pytest.mark.parametrize("name", TRIPLES)
def test_every_triple_has_one_row_for_each_route(name: str) -> None:
    by_topic: dict[str, list[Route]] = {}
    for row in own_rows(name):
        by_topic.setdefault(row.topic, []).append(row.route)
    routes = [sorted(found) for found in by_topic.values()]

    assert all(found == sorted([F, B, H]) for found in routes)


def test_composing_again_gives_the_same_rows(authored: list[Row]) -> None:
    assert compose(authored) == compose(authored)


def test_composed_rows_are_new(authored: list[Row]) -> None:
    composed = [row.text for row in compose(authored)]

    assert len(set(composed) - {row.text for row in authored}) == len(composed)


def test_a_manner_on_top_of_a_factual_question_makes_it_hybrid(authored: list[Row]) -> None:
    shaped = [row for row in compose(authored) if row.kind == "shaped"]

    assert {row.route for row in shaped} == {H}


def test_courtesy_leaves_a_factual_question_factual(authored: list[Row]) -> None:
    wrapped = [row for row in compose(authored) if row.kind == "wrapped"]

    assert {row.route for row in wrapped} == {F}


def test_every_slot_of_a_frame_is_filled(authored: list[Row]) -> None:
    slots = [f"{{{kind}}}" for kind in frames()]
    composed = compose(authored, Amounts(noisy=0))

    assert not [row.text for row in composed if any(slot in row.text for slot in slots)]


# --- rows ----------------------------------------------------------------------------------------


def test_a_broken_line_is_named_by_file_and_number(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = {"text": "Hi", "needs_facts": False, "needs_manner": False, "source": "s"}
    path.write_text(json.dumps(good) + '\n{"text": "no label"}\n')

    with pytest.raises(UnreadableRows, match=r"rows\.jsonl, line 2"):
        read_rows(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRows, match=r"absent\.jsonl cannot be read"):
        read_rows(tmp_path / "absent.jsonl")


def test_the_hash_of_rows_changes_with_a_label() -> None:
    row = Row("Hi", False, False, "s")

    assert rows_hash([row]) != rows_hash([Row("Hi", False, True, "s")])


# --- fitting -------------------------------------------------------------------------------------


def test_torch_and_onnxruntime_read_the_same(torch: None, tmp_path: Path) -> None:
    from router.tuning import bert

    library = pytest.importorskip("torch")

    weights = dict(find_bundle().weights())
    module = bert.build(weights, 6, (3, 6), dropout=0.1).eval()
    tokenizer = open_tokenizer(find_bundle().tokenizer())
    text = "Which boots may I return, and how long do I have?"
    ids = library.tensor([both_ends(tokenizer, text, 48, 24)[0]])
    with library.no_grad():
        expected = module(ids, library.ones_like(ids, dtype=library.bool))[0].numpy()
    tuned = FineTuned(
        PackedEncoder(bert.tensors(module), (3, 6), 48, 24),
        np.stack([head.weight.detach().numpy() for head in module.heads]),
        np.stack([head.bias.detach().numpy() for head in module.heads]),
    )

    found = logits_at_exits([text], tuned, pack(tuned.encoder), tmp_path)[0]
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_fine_tuning_again_gives_the_same_bytes(few: list[Row], torch: None) -> None:
    first, second = (finetune(few[:64], SMALL) for _ in range(2))

    assert pack(first.encoder) == pack(second.encoder)
    np.testing.assert_array_equal(first.weights, second.weights)


def test_fine_tuning_learns(few: list[Row], fitted: Fitted) -> None:
    truth = [row.route for row in few]
    routes = [Policy().decide(*pair).route for pair in fitted.out_of_source.tolist()]

    constant = agreement(truth, best_constant(few)).macro_f1
    assert agreement(truth, routes).macro_f1 > constant + 0.15


def test_probabilities_for_unseen_sources_are_calibrated_for_the_assumed_shares(
    few: list[Row], fitted: Fitted
) -> None:
    weights = weights_by_prior(few)
    needed = np.array([(row.needs_facts, row.needs_manner) for row in few], float)

    said = np.average(fitted.out_of_source, axis=0, weights=weights)
    np.testing.assert_allclose(said, np.average(needed, axis=0, weights=weights), atol=0.02)
    # Those who are told more have more of it.
    doubtful = fitted.out_of_source[:, 0] < np.median(fitted.out_of_source[:, 0])
    assert needed[~doubtful, 0].mean() > needed[doubtful, 0].mean() + 0.1


def test_each_route_weighs_as_often_as_it_is_assumed_to_come() -> None:
    rows = [Row("a", True, False, "s")] * 90 + [Row("b", False, True, "t")] * 10
    rows += [Row("c", True, True, "u"), Row("d", True, True, "u", composed=True)]
    weights = weights_by_prior(rows)

    assert weights[:90].sum() / weights[-2] == pytest.approx(PRIOR[F] / PRIOR[H])
    assert weights[-1] == 0


# --- figures -------------------------------------------------------------------------------------


def test_full_agreement_has_a_macro_f1_of_one() -> None:
    assert agreement([F, B, H], [F, B, H]).macro_f1 == 1.0


def test_macro_f1_is_the_mean_over_routes_that_occur() -> None:
    # factual: precision 1, recall 1/2; behavioural: precision 1/2, recall 1; both F1 2/3.
    assert agreement([F, F, B], [F, B, B]).macro_f1 == pytest.approx(2 / 3)


def test_the_interval_encloses_the_figure() -> None:
    result = agreement([F, B] * 50, ([F, B] * 40) + [B, F] * 10)

    assert result.low < result.macro_f1 < result.high


def test_sure_and_right_is_perfectly_calibrated() -> None:
    assert calibration_error([1.0, 0.0], [True, False]) == 0.0


def test_sure_and_wrong_is_as_badly_calibrated_as_can_be() -> None:
    assert calibration_error([1.0, 0.0], [False, True]) == 1.0


def test_the_best_constant_is_the_commonest_route() -> None:
    rows = [Row("a", True, False, "s"), Row("b", True, False, "s"), Row("c", True, True, "s")]

    assert best_constant(rows) == [F, F, F]


def test_keyword_rules_tell_the_plain_cases_apart() -> None:
    texts = ["When do you open?", "Write a poem", "Write a poem on our policy", "Hello"]

    assert keyword_rules([Row(text, False, False, "s") for text in texts]) == [F, B, H, B]


# --- commands ------------------------------------------------------------------------------------


def test_fitting_without_its_data_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = fitting_command.main(["--data", str(tmp_path / "absent.jsonl")])

    assert (status, "--own-only" in capsys.readouterr().err) == (1, True)


def test_fitting_without_torch_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # What importlib finds here is None, which is how Python marks a module that must not load.
    monkeypatch.setitem(sys.modules, "torch", None)

    with pytest.raises(ModuleNotFoundError):
        finetune([Row("a", True, False, "s")], SMALL)


@pytest.fixture(scope="module")
def report(
    few: list[Row], fitted: Fitted, tmp_path_factory: pytest.TempPathFactory
) -> evaluation.Report:
    models = tmp_path_factory.mktemp("models")
    decided = evaluation.decisions(few, fitted, Policy(), models)
    return evaluation.evaluate("some", few, decided, train=few)


def test_a_report_holds_every_baseline(report: evaluation.Report) -> None:
    assert set(report.routers) == {"this router", "best constant", "keyword rules", "TF-IDF"}


def test_a_card_says_what_was_measured_and_on_how_many_rows(
    few: list[Row], fitted: Fitted, report: evaluation.Report
) -> None:
    card = model_card(few, SMALL, fitted, Policy(), [report])

    assert f"{len(few)} rows that trained nothing" in card
    assert rows_hash(few) in card
    assert f"{report.routers['this router'].macro_f1:.3f}" in card


def test_an_artefact_is_four_files_that_belong_together(fitted: Fitted, tmp_path: Path) -> None:
    write_artefact(tmp_path, fitted, Policy(heads=fitted.heads.fingerprint), "# card")

    heads = Heads.load((tmp_path / "heads.safetensors").read_bytes())
    encoder = (tmp_path / "encoder.safetensors").read_bytes()
    policy = Policy.from_json((tmp_path / "policy.json").read_text(encoding="utf-8"))
    assert heads.encoder == hashlib.sha256(encoder).hexdigest()[:16]
    assert policy.heads == heads.fingerprint
