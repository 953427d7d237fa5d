"""The figures of decisions, against values computed by hand from their definitions."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import brier_score_loss, f1_score

from backends.base import Message
from router.cli.routing_shown import shown
from router.evaluation.labelled import LabelledQuestion
from router.evaluation.routing import Decided, Flips, Written
from router.evaluation.routing_report import figures, surest_mistakes
from router.policy import Decision, Route
from router.tuning.metrics import (
    accuracy_at_coverage,
    agreement,
    brier,
    calibration_error,
    confusion,
    reliability,
    risk_coverage,
    share_interval,
)
from router.tuning.rows import Row

F, B, H = Route.FACTUAL, Route.BEHAVIOURAL, Route.HYBRID
PROBABILITIES, HAPPENED = [0.12, 0.18, 0.9, 0.7, 1.0], [False, True, True, True, True]
CORRECT, MARGINS = [True, False, True, True, False], [0.1, 0.2, 0.5, 0.4, 0.3]


def test_agreement_is_what_an_independent_implementation_says() -> None:
    chance = np.random.default_rng(3)
    truth = [list(Route)[at] for at in chance.integers(0, 3, 60)]
    guess = [list(Route)[at] for at in chance.integers(0, 3, 60)]

    found = agreement(truth, guess)

    theirs = f1_score(truth, guess, average=None, labels=list(Route))
    assert [found.routes[route].f1 for route in Route] == pytest.approx(list(theirs))
    assert found.macro_f1 == pytest.approx(f1_score(truth, guess, average="macro"))


def test_precision_recall_and_f1_of_a_route() -> None:
    found = agreement([F, F, F, B], [F, F, B, F]).routes[F]

    assert (found.precision, found.recall, found.f1, found.rows) == pytest.approx(
        (2 / 3, 2 / 3, 2 / 3, 3)
    )


def test_confusion_counts_what_became_of_each_label() -> None:
    counts = confusion([F, F, B, H], [F, H, B, B])

    assert counts[F] == {F: 1, B: 0, H: 1}
    assert (counts[B][B], counts[H][B], counts[H][H]) == (1, 1, 0)


def test_rows_of_like_probability_fall_into_ten_bins_and_one_belongs_to_the_last() -> None:
    bins = reliability(PROBABILITIES, HAPPENED)

    assert [one.rows for one in bins] == [2, 1, 2]
    assert (bins[0].probability, bins[0].happened) == pytest.approx((0.15, 0.5))


def test_the_calibration_error_weighs_bins_by_their_rows() -> None:
    # Bins: {.12, .18}: |.15 - .5| of 2; {.7}: |.7 - 1| of 1; {.9, 1}: |.95 - 1| of 2.
    error = (2 * 0.35 + 1 * 0.3 + 2 * 0.05) / 5

    assert calibration_error(PROBABILITIES, HAPPENED) == pytest.approx(error)


def test_the_brier_score_is_the_mean_squared_difference() -> None:
    # (.0144 + .6724 + .01 + .09 + 0) / 5
    assert brier(PROBABILITIES, HAPPENED) == pytest.approx(0.15736)
    assert brier(PROBABILITIES, HAPPENED) == pytest.approx(
        brier_score_loss(HAPPENED, PROBABILITIES)
    )


@pytest.mark.parametrize(("coverage", "accuracy"), [(0.4, 1.0), (0.6, 2 / 3), (0.7, 0.5), (1, 0.6)])
def test_accuracy_at_coverage_keeps_the_largest_margins(coverage: float, accuracy: float) -> None:
    # By margin: right, right, wrong, wrong, right.
    assert accuracy_at_coverage(CORRECT, MARGINS, coverage) == pytest.approx(accuracy)


def test_risk_rises_and_falls_as_less_sure_rows_are_kept() -> None:
    assert risk_coverage(CORRECT, MARGINS) == [
        (0.2, 0.0),
        (0.4, 0.0),
        (0.6, pytest.approx(1 / 3)),
        (0.8, 0.5),
        (1.0, pytest.approx(2 / 5)),
    ]


def test_a_risk_curve_of_many_rows_has_no_more_points_than_asked_for() -> None:
    curve = risk_coverage([True, False] * 500, [1.0] * 1_000, points=20)

    assert (len(curve), curve[0], curve[-1]) == (20, (0.05, 0.5), (1.0, 0.5))


def test_the_interval_of_a_share_is_wilsons() -> None:
    # Wilson's interval for 10 of 100: (.1 + .0192 ± 1.96 * sqrt(.0009 + .000096)) / 1.0384.
    assert share_interval(10, 100) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    assert share_interval(0, 100) == pytest.approx((0.0, 0.0370), abs=1e-4)


def asked(facts: bool, manner: bool, source: str) -> LabelledQuestion:
    return LabelledQuestion((Message("user", "?"),), Row("?", facts, manner, source))


def decision(route: Route, facts: float, manner: float, margin: float) -> Decision:
    return Decision(route, facts, manner, margin, "", "policy-1")


def test_the_report_holds_every_figure_under_its_key() -> None:
    questions = [asked(True, False, "a"), asked(False, True, "a"), asked(True, True, "b")]
    decided = Decided(
        [decision(F, 0.9, 0.1, 0.4), decision(B, 0.2, 0.9, 0.3), decision(F, 1.0, 0.4, 0.1)],
        ms=[1.0, 2.0, 3.0],
        per_second=400.0,
        flips={"typos": Flips(3, 1), "punctuation": Flips(0, 0)},
        written={"de": Written(Flips(100, 10), right_texts=95, right_variants=88)},
    )

    found = figures(questions, decided)

    assert found.keys() == {
        *("n", "accuracy", "macro_f1", "macro_f1_ci", "per_class", "per_source", "confusion"),
        *("ece", "brier", "accuracy_at_coverage", "risk_coverage", "latency_ms"),
        *("throughput_per_s", "flip_rate", "robustness"),
    }
    # factual: precision 1/2, recall 1; behavioural: both 1; hybrid: none.
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["per_source"]["b"]["accuracy"] == 0.0
    assert found["accuracy_at_coverage"]["80"] == pytest.approx(2 / 3)
    assert found["brier"]["facts"] == pytest.approx((0.01 + 0.04 + 0) / 3)
    assert found["latency_ms"] == {"p50": 2.0, "p99": pytest.approx(2.98)}
    assert (found["flip_rate"]["typos"], found["flip_rate"]["typos_n"]) == (pytest.approx(1 / 3), 3)
    assert found["flip_rate"]["punctuation"] is None
    assert (found["flip_rate"]["de"], found["flip_rate"]["de_n"]) == (0.1, 100)
    assert found["robustness"] == {
        "de": {
            "n": 100,
            "flipped": 10,
            "flip_rate": 0.1,
            "flip_rate_ci": pytest.approx([0.0552, 0.1744], abs=1e-4),
            "accuracy_text": 0.95,
            "accuracy_variant": 0.88,
        }
    }


def test_written_pairs_are_shown_apart_and_said_to_be_the_projects_own() -> None:
    decided = Decided(
        [decision(F, 0.9, 0.1, 0.4)],
        ms=[1.0],
        per_second=400.0,
        flips={"typos": Flips(1, 0)},
        written={"de": Written(Flips(100, 10), right_texts=95, right_variants=88)},
    )
    console = Console(file=StringIO(), width=120)

    for part in shown({**figures([asked(True, False, "a")], decided), "baselines": {}}):
        console.print(part)

    assert isinstance(console.file, StringIO)
    told = console.file.getvalue()
    noise, _, pairs = told.partition("pairs that the project itself has written, no rows of FILE")
    assert "typos 0.000" in noise
    assert "de 0.1" not in noise
    line = next(line for line in pairs.splitlines() if line.startswith("in German"))
    assert line.split() == ["in", "German", "100", "0.100", "[0.055,", "0.174]", "0.950", "0.880"]


def test_the_surest_mistakes_come_first_and_right_decisions_never() -> None:
    questions = [asked(True, False, name) for name in "abcd"]
    decided = Decided(
        [
            decision(B, 0.1, 0.9, 0.2),
            decision(F, 0.9, 0.1, 0.5),
            decision(H, 0.9, 0.8, 0.3),
            decision(B, 0.4, 0.9, 0.1),
        ],
        ms=[1.0] * 4,
        per_second=400.0,
    )

    worst = surest_mistakes(questions, decided, 2)

    assert [one["source"] for one in worst] == ["c", "a"]
    assert worst[0] == {
        "text": "?",
        "source": "c",
        "label": "factual",
        "route": "hybrid",
        "needs_facts": 0.9,
        "needs_manner": 0.8,
        "margin": 0.3,
        "reason": "",
    }
    assert len(surest_mistakes(questions, decided, 9)) == 3
