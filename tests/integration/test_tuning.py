"""From labelled rows to heads and figures: repeatable, honest about splits, clear when it fails."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from backends.memory.embedder import HashingEmbedder
from router.policy import Policy, Route
from router.tuning import evaluate as evaluation
from router.tuning import fit as fitting_command
from router.tuning.baselines import best_constant, keyword_rules
from router.tuning.compose import Amounts, compose
from router.tuning.fitting import SHARES, Fitted, fit_heads, row_weights
from router.tuning.metrics import agreement, calibration_error
from router.tuning.rows import Row, UnreadableRows, frames, own_rows, read_rows
from router.tuning.training import rows_hash, training_rows

F, B, H = Route.FACTUAL, Route.BEHAVIOURAL, Route.HYBRID


def _fit(rows: list[Row]) -> Fitted:
    embeddings = asyncio.run(HashingEmbedder(16).embed([row.text for row in rows]))
    return fit_heads(rows, embeddings, "hashing")


@pytest.fixture(scope="module")
def authored() -> list[Row]:
    return own_rows("triples") + own_rows("single")


@pytest.fixture(scope="module")
def fitted(authored: list[Row]) -> Fitted:
    return _fit(authored)


EXAMPLES = ("triples", "held_out_triples", "single", "seeds_one", "seeds_two", "seeds_three")

# --- examples ------------------------------------------------------------------------------------


def test_more_than_nine_hundred_examples_ship_with_their_compositions() -> None:
    assert len(training_rows(None)) > 900


def test_no_text_stands_in_two_example_files() -> None:
    texts = [row.text.casefold().strip() for name in EXAMPLES for row in own_rows(name)]
    assert len(texts) > 6_000
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("name", ["seeds_one", "seeds_two"])
def test_seeds_hold_each_route_in_every_domain(name: str) -> None:
    rows = own_rows(name)
    by_domain = {
        row.source: {other.route for other in rows if other.source == row.source} for row in rows
    }
    assert {domain for domain, routes in by_domain.items() if len(routes) < 3} == set()


def test_examples_come_from_more_than_ten_domains(authored: list[Row]) -> None:
    assert len({row.source for row in authored}) > 10


def test_held_out_topics_are_spoken_of_in_no_training_row() -> None:
    held_out = {row.text.lower() for row in own_rows("held_out_triples")}

    assert not held_out & {row.text.lower() for row in training_rows(None)}


def test_every_triple_has_one_row_for_each_route() -> None:
    routes = [row.route for row in own_rows("held_out_triples")]

    assert {tuple(routes[at : at + 3]) for at in range(0, len(routes), 3)} == {(F, B, H)}


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


def test_fitting_again_gives_the_same_bytes(authored: list[Row]) -> None:
    some = authored[::6]

    assert _fit(some).heads.dump() == _fit(some).heads.dump()


def test_heads_do_better_on_sources_they_have_not_seen_than_a_constant(
    authored: list[Row], fitted: Fitted
) -> None:
    truth = [row.route for row in authored]
    routes = [Policy().decide(*pair).route for pair in fitted.out_of_source.tolist()]

    constant = agreement(truth, best_constant(authored)).macro_f1
    assert agreement(truth, routes).macro_f1 > constant + 0.2


def test_probabilities_for_unseen_sources_are_calibrated(
    authored: list[Row], fitted: Fitted
) -> None:
    facts = fitted.out_of_source[:, 0].tolist()

    assert calibration_error(facts, [row.needs_facts for row in authored]) < 0.15


def test_heads_carry_the_name_of_the_embedding_model(fitted: Fitted) -> None:
    assert fitted.heads.model == "hashing"


def test_each_route_weighs_its_share_whatever_its_number() -> None:
    rows = [Row("a", True, False, "s")] * 90 + [Row("b", False, True, "t")] * 10
    weights = row_weights([*rows, Row("c", True, True, "u")])

    assert weights[:90].sum() / weights[-1] == pytest.approx(SHARES[F] / SHARES[H])


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


@pytest.fixture(scope="module")
def report(authored: list[Row], fitted: Fitted) -> evaluation.Report:
    some = authored[::6]
    vectors = asyncio.run(HashingEmbedder(16).embed([row.text for row in some]))
    decided = evaluation.decisions(some, vectors, fitted.heads, Policy())
    return evaluation.evaluate("some", some, decided, train=some)


def test_a_report_holds_every_baseline(report: evaluation.Report) -> None:
    assert set(report.routers) == {"this router", "best constant", "keyword rules", "TF-IDF"}
