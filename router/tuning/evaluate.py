"""Measure a classifier that was just fitted on labelled rows, beside the baselines, for its card.

What ships is measured by ``router eval routing``, through the path that questions take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backends.minilm import EarlyExitEncoder
from router.classify import HeadsClassifier
from router.policy import Decision, Policy, Route
from router.tuning.baselines import baselines
from router.tuning.metrics import Agreement, agreement, calibration_error
from router.tuning.rows import Row

if TYPE_CHECKING:
    from router.tuning.fitting import Fitted


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured on one set of rows.

    Attributes:
        routers: Agreement with the labels by router, ours first.
        facts_ece: Calibration error of the probability of needing facts, 0..1.
        manner_ece: The same for manner.
        uncertain: Share of rows inside the uncertain band, 0..1.
        certain_accuracy: Accuracy of the rows outside it.
    """

    name: str
    routers: dict[str, Agreement]
    facts_ece: float
    manner_ece: float
    uncertain: float
    certain_accuracy: float


def decisions(rows: Sequence[Row], fitted: Fitted, policy: Policy, models: Path) -> list[Decision]:
    """Decide every row as the router would without a judge.

    Args:
        models: Where built graphs are kept.
    """

    async def decide() -> list[Decision]:
        async with EarlyExitEncoder.open(models, fitted.encoder) as encoder:
            thresholds = (policy.facts_threshold, policy.manner_threshold)
            classifier = HeadsClassifier(encoder, fitted.heads, thresholds)
            scored = [await classifier.classify(row.text) for row in rows]
        return [policy.decide(scores.needs_facts, scores.needs_manner) for scores in scored]

    return asyncio.run(decide())


def evaluate(
    name: str, rows: Sequence[Row], decided: Sequence[Decision], train: Sequence[Row]
) -> Report:
    """Compare decisions with the labels, and the baselines with them.

    Args:
        train: Rows that the classifier was fitted on; the TF-IDF baseline learns from the same.
    """
    truth = [row.route for row in rows]
    certain = [
        decision.route is row.route
        for decision, row in zip(decided, rows, strict=True)
        if not decision.uncertain
    ]
    predictions: dict[str, list[Route]] = {
        "this router": [decision.route for decision in decided],
        **baselines(train, rows),
    }
    return Report(
        name=name,
        routers={router: agreement(truth, routes) for router, routes in predictions.items()},
        facts_ece=calibration_error(
            [decision.needs_facts for decision in decided], [row.needs_facts for row in rows]
        ),
        manner_ece=calibration_error(
            [decision.needs_manner for decision in decided], [row.needs_manner for row in rows]
        ),
        uncertain=1 - len(certain) / len(rows),
        certain_accuracy=sum(certain) / len(certain) if certain else 0.0,
    )
