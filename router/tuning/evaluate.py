"""Measure the shipped classifier on labelled rows, beside the baselines.

    python -m router.tuning.evaluate ROWS.jsonl … [--json]

The rows must not have trained it. Nothing is changed by looking.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from router.classify import Heads, shipped_heads, shipped_policy
from router.policy import Decision, Policy, Route
from router.tuning.baselines import best_constant, keyword_rules, tfidf
from router.tuning.metrics import Agreement, agreement, calibration_error
from router.tuning.rows import Row, UnreadableRows, own_rows, read_rows
from router.tuning.training import DEFAULT_DATA, default_models, embed_rows, training_rows

if TYPE_CHECKING:
    from backends.base import Vectors


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured on one file.

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


def decisions(
    rows: Sequence[Row], embeddings: Vectors, heads: Heads, policy: Policy
) -> list[Decision]:
    """Decide every row as the router would without a judge."""
    decided = []
    for row, embedding in zip(rows, embeddings, strict=True):
        scores = heads.score(embedding, heads.features(row.text))
        decided.append(policy.decide(scores.needs_facts, scores.needs_manner))
    return decided


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
        "best constant": best_constant(rows),
        "keyword rules": keyword_rules(rows),
        "TF-IDF": tfidf(train, rows),
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


def as_text(report: Report) -> str:
    """Lay a report out for reading."""
    lines = [f"{report.name}: {report.routers['this router'].rows} rows"]
    lines.append(f"  {'':14} accuracy  macro-F1  95 % interval   " + "  ".join(Route))
    for router, result in report.routers.items():
        per_route = "     ".join(f"{result.routes[route].f1:.3f}" for route in Route)
        lines.append(
            f"  {router:14} {result.accuracy:8.3f}  {result.macro_f1:8.3f}  "
            f"{result.low:.3f} … {result.high:.3f}  {per_route}"
        )
    lines.append(
        f"  calibration error: facts {report.facts_ece:.3f}, manner {report.manner_ece:.3f}; "
        f"uncertain {report.uncertain:.1%}, accuracy of the rest {report.certain_accuracy:.3f}"
    )
    return "\n".join(lines) + "\n"


def as_data(report: Report) -> dict[str, Any]:
    """Lay a report out for programs."""
    return asdict(report)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="router.tuning.evaluate", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="rows; none for our held-out triples")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="rows that trained it")
    parser.add_argument("--models", type=Path, default=default_models())
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        sets = {path.name: read_rows(path) for path in options.files}
        train = training_rows(options.data if options.data.is_file() else None)
    except UnreadableRows as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not options.data.is_file():
        sys.stderr.write(f"{options.data} is absent: TF-IDF learns from our own examples alone.\n")
    sets = sets or {"held-out triples": own_rows("held_out_triples")}
    reports = [_measured(name, rows, train, options.models) for name, rows in sets.items()]
    if options.json:
        sys.stdout.write(json.dumps([as_data(report) for report in reports], indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(as_text(report) for report in reports))
    return 0


def _measured(name: str, rows: Sequence[Row], train: Sequence[Row], models: Path) -> Report:
    embeddings, _ = embed_rows(rows, models)
    decided = decisions(rows, embeddings, shipped_heads(), shipped_policy())
    return evaluate(name, rows, decided, train)


if __name__ == "__main__":
    sys.exit(main())
