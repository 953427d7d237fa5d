"""The figures of decisions on labelled questions, as one object. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from router.policy import Route
from router.tuning.metrics import (
    Agreement,
    accuracy_at_coverage,
    agreement,
    brier,
    calibration_error,
    confusion,
    risk_coverage,
    share_interval,
)

if TYPE_CHECKING:
    from router.evaluation.labelled import LabelledQuestion
    from router.evaluation.routing import Decided, Flips, Written
    from router.tuning.rows import Row

COVERAGES: Final = (80, 90, 95)
"""Per cent of the questions, the surest ones, whose accuracy is told."""


def figures(questions: Sequence[LabelledQuestion], decided: Decided) -> dict[str, Any]:
    """Return every figure but the baselines'; ``NAME_ci`` is a 95 % interval as [low, high].

    Args:
        questions: At least one.
        decided: What became of them, in the same order.
    """
    rows = [question.row for question in questions]
    truth, routes = [row.route for row in rows], [one.route for one in decided.decisions]
    correct = [true is route for true, route in zip(truth, routes, strict=True)]
    margins = [one.margin for one in decided.decisions]
    found = {
        **agreement_figures(agreement(truth, routes)),
        "per_source": _per_source(rows, routes),
        "confusion": confusion(truth, routes),
        "ece": {name: calibration_error(*pair) for name, pair in axes(questions, decided).items()},
        "brier": {name: brier(*pair) for name, pair in axes(questions, decided).items()},
        "accuracy_at_coverage": {
            str(share): accuracy_at_coverage(correct, margins, share / 100) for share in COVERAGES
        },
        "risk_coverage": risk_coverage(correct, margins),
        "latency_ms": latency(decided.ms),
        "throughput_per_s": decided.per_second,
    }
    if decided.flips or decided.written:
        pairs = {kind: one.flips for kind, one in decided.written.items()}
        found["flip_rate"] = _flip_rate({**decided.flips, **pairs})
        found["robustness"] = {kind: _pairs(one) for kind, one in decided.written.items()}
    return found


def surest_mistakes(
    questions: Sequence[LabelledQuestion], decided: Decided, count: int
) -> list[dict[str, Any]]:
    """Return the mistakes of the largest margins, the largest first, with why it was so decided.

    Args:
        count: At most so many.
    """
    wrong = [
        (question.row, decision)
        for question, decision in zip(questions, decided.decisions, strict=True)
        if decision.route is not question.row.route
    ]
    wrong.sort(key=lambda pair: -pair[1].margin)
    return [
        {
            "text": row.text,
            "source": row.source,
            "label": row.route.value,
            "route": decision.route.value,
            "needs_facts": decision.needs_facts,
            "needs_manner": decision.needs_manner,
            "margin": decision.margin,
            "reason": decision.reason,
        }
        for row, decision in wrong[:count]
    ]


def axes(
    questions: Sequence[LabelledQuestion], decided: Decided
) -> Mapping[str, tuple[list[float], list[bool]]]:
    """Return the probabilities of needing facts and manner, each with what was needed."""
    rows = [question.row for question in questions]
    return {
        "facts": ([one.needs_facts for one in decided.decisions], [r.needs_facts for r in rows]),
        "manner": ([one.needs_manner for one in decided.decisions], [r.needs_manner for r in rows]),
    }


def agreement_figures(found: Agreement) -> dict[str, Any]:
    """Return what is said of every router: how far it agrees with the labels."""
    return {
        "n": found.rows,
        "accuracy": found.accuracy,
        "macro_f1": found.macro_f1,
        "macro_f1_ci": [found.low, found.high],
        "per_class": {
            route.value: {
                "precision": one.precision,
                "recall": one.recall,
                "f1": one.f1,
                "n": one.rows,
            }
            for route, one in found.routes.items()
        },
    }


def latency(ms: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile of some milliseconds."""
    import numpy as np

    p50, p99 = np.percentile(ms, [50, 99])
    return {"p50": float(p50), "p99": float(p99)}


def _per_source(rows: Sequence[Row], routes: Sequence[Route]) -> dict[str, Any]:
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(row.source, []).append(place)
    found = {}
    for source, own in sorted(places.items()):
        whole = agreement([rows[at].route for at in own], [routes[at] for at in own])
        found[source] = {
            name: value for name, value in agreement_figures(whole).items() if name != "per_class"
        }
    return found


def _flip_rate(flips: Mapping[str, Flips]) -> dict[str, Any]:
    """A disturbance that changes no question has no rate; None then."""
    found: dict[str, Any] = {}
    for kind, one in flips.items():
        known = one.asked > 0
        found[kind] = one.flipped / one.asked if known else None
        found[f"{kind}_ci"] = list(share_interval(one.flipped, one.asked)) if known else None
        found[f"{kind}_n"] = one.asked
    return found


def _pairs(went: Written) -> dict[str, Any]:
    flipped, pairs = went.flips.flipped, went.flips.asked
    return {
        "n": pairs,
        "flipped": flipped,
        "flip_rate": flipped / pairs,
        "flip_rate_ci": list(share_interval(flipped, pairs)),
        "accuracy_text": went.right_texts / pairs,
        "accuracy_variant": went.right_variants / pairs,
    }
