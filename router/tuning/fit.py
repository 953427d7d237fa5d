"""Fit the classifier that ships and write its artefact.

    uv run --extra tune python -m router.tuning.fit --data ../shared/data/routing/train_ok.jsonl

The same rows on the same machine give the same bytes. It takes about a quarter of an hour on two
cores.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from router.policy import Costs, Policy
from router.tuning.card import model_card
from router.tuning.evaluate import decisions, evaluate
from router.tuning.finetuning import Recipe
from router.tuning.fitting import Fitted, fit
from router.tuning.rows import UnreadableRows, own_rows, read_rows
from router.tuning.training import DEFAULT_DATA, default_models, training_rows

MEASURED_ON = ("held_out_triples", "held_out_domains", "golden")
"""Example files that train nothing."""

COSTS = Costs(missed_facts=1.2, needless_facts=1.0, missed_manner=1.0, needless_manner=1.0)
"""Whoever needs facts and gets none is told something made up; whoever needs none and gets them
waits a little and may be refused for want of evidence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        rows = training_rows(None if options.own_only else options.data)
        measured = {str(path): read_rows(path) for path in options.measure}
    except UnreadableRows as error:
        sys.stderr.write(f"{error} Or fit on our own examples alone, with --own-only.\n")
        return 1
    recipe = Recipe(epochs=options.epochs, seed=options.seed)
    thresholds = (round(COSTS.facts_threshold, 4), round(COSTS.manner_threshold, 4))
    try:
        fitted = fit(rows, recipe, thresholds=thresholds, workers=options.workers, told=_told)
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"{error}. Fine-tuning needs torch and scikit-learn: uv sync --extra tune.\n"
        )
        return 1
    policy = Policy(
        heads=fitted.heads.fingerprint,
        facts_threshold=thresholds[0],
        manner_threshold=thresholds[1],
        costs=COSTS,
    )
    measured = {name: own_rows(name) for name in MEASURED_ON} | measured
    reports = [
        evaluate(name, held_out, decisions(held_out, fitted, policy, options.models), rows)
        for name, held_out in measured.items()
    ]
    card = model_card(rows, recipe, fitted, policy, reports)
    with as_file(files("router.classify") / "artefact") as shipped:
        write_artefact(options.out or shipped, fitted, policy, card)
    sys.stdout.write(card)
    return 0


def write_artefact(folder: Path, fitted: Fitted, policy: Policy, card: str) -> None:
    """Write the four files of an artefact."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "encoder.safetensors").write_bytes(fitted.encoder)
    (folder / "heads.safetensors").write_bytes(fitted.heads.dump())
    (folder / "policy.json").write_text(policy.to_json(), encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="router.tuning.fit", description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="rows that may train")
    parser.add_argument("--own-only", action="store_true", help="fit on our own examples alone")
    parser.add_argument(
        "--measure",
        type=Path,
        action="append",
        default=[],
        help="rows for the card's figures beside our own held-out ones; they train nothing",
    )
    parser.add_argument("--models", type=Path, default=default_models())
    parser.add_argument("--out", type=Path, default=None, help="folder; the package's by default")
    recipe = Recipe()
    parser.add_argument("--epochs", type=int, default=recipe.epochs)
    parser.add_argument("--seed", type=int, default=recipe.seed)
    parser.add_argument("--workers", type=int, default=2, help="fine-tunings at once, a core each")
    return parser


def _told(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


if __name__ == "__main__":
    sys.exit(main())
