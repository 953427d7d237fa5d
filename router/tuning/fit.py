"""Fit the classifier that ships and write its artefact.

    python -m router.tuning.fit --data ../shared/data/routing/train_ok.jsonl

The same rows on the same machine give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from router.classify import Heads
from router.policy import Policy, Route
from router.tuning.evaluate import Report, decisions, evaluate
from router.tuning.fitting import FOLDS, SHARES, C, Fitted, fit_heads
from router.tuning.metrics import Agreement, agreement, calibration_error
from router.tuning.rows import Row, UnreadableRows, own_rows
from router.tuning.training import (
    DEFAULT_DATA,
    default_models,
    embed_rows,
    rows_hash,
    training_rows,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="router.tuning.fit", description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="rows that may train")
    parser.add_argument("--own-only", action="store_true", help="fit on our own examples alone")
    parser.add_argument("--models", type=Path, default=default_models())
    parser.add_argument("--out", type=Path, default=None, help="folder; the package's by default")
    options = parser.parse_args(arguments)
    try:
        rows = training_rows(None if options.own_only else options.data)
    except UnreadableRows as error:
        sys.stderr.write(f"{error} Or fit on our own examples alone, with --own-only.\n")
        return 1
    embeddings, model = embed_rows(rows, options.models)
    fitted = fit_heads(rows, embeddings, model)
    policy = Policy(heads=fitted.heads.fingerprint)
    held_out = own_rows("held_out_triples")
    vectors, _ = embed_rows(held_out, options.models)
    decided = decisions(held_out, vectors, fitted.heads, policy)
    report = evaluate("held-out triples", held_out, decided, rows)
    card = model_card(rows, fitted, policy, report)
    with as_file(files("router.classify") / "artefact") as shipped:
        write_artefact(options.out or shipped, fitted.heads, policy, card)
    sys.stdout.write(card)
    return 0


def write_artefact(folder: Path, heads: Heads, policy: Policy, card: str) -> None:
    """Write the three files of an artefact."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "heads.safetensors").write_bytes(heads.dump())
    (folder / "policy.json").write_text(policy.to_json(), encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")


def model_card(rows: Sequence[Row], fitted: Fitted, policy: Policy, report: Report) -> str:
    """Say what the heads are, what they learned from and how well they do."""
    decided = [policy.decide(float(facts), float(manner)) for facts, manner in fitted.out_of_source]
    cross = agreement([row.route for row in rows], [decision.route for decision in decided])
    facts_ece = calibration_error(
        fitted.out_of_source[:, 0].tolist(), [row.needs_facts for row in rows]
    )
    manner_ece = calibration_error(
        fitted.out_of_source[:, 1].tolist(), [row.needs_manner for row in rows]
    )
    routes = Counter(row.route for row in rows)
    counts = ", ".join(f"{routes[route]} {route}" for route in Route)
    own = sum(row.source.startswith("own-") for row in rows)
    held_out = "\n".join(_table_row(name, result) for name, result in report.routers.items())
    return f"""# Routing heads

Two logistic heads (needs facts, needs manner) over the {fitted.heads.model} embedding,
{len(fitted.heads.names)} surface features and hashed words and pairs of words; C = {C}, routes
weighted {", ".join(f"{route} {share:g}" for route, share in SHARES.items())}. English only.

- heads: `{fitted.heads.fingerprint}`
- rows: {len(rows)} ({counts}), hash `{rows_hash(rows)}`
- of them {own} written for this project or composed from what was, {len(rows) - own} public or
  composed with public questions
- calibration: Platt, on predictions for held-out sources ({FOLDS} folds by source)

Made by `python -m router.tuning.fit`. Measure on other rows, beside the same baselines, with
`router eval routing ROWS.jsonl`.

## Held-out triples

{report.routers["this router"].rows} rows: one topic, three needs. No training row is about these
topics, but the same hands wrote both, and examples were added after looking at this figure: expect
less of strangers' questions.

Calibration error: facts {report.facts_ece:.3f}, manner {report.manner_ece:.3f}. Uncertain:
{report.uncertain:.1%}; accuracy of the rest {report.certain_accuracy:.3f}.

| router | accuracy | macro-F1 | 95 % interval | {" | ".join(Route)} |
|---|---|---|---|---|---|---|
{held_out}

## Held-out sources

Cross-validation on the training rows, each source in one fold. Calibration error: facts
{facts_ece:.3f}, manner {manner_ece:.3f}.

| router | accuracy | macro-F1 | 95 % interval | {" | ".join(Route)} |
|---|---|---|---|---|---|---|
{_table_row("this router", cross)}

## Licence

The examples under `router/tuning/examples` were written for this project. The public rows, which
are not included, come from IFEval, Banking77, NQ-open, MedQuAD, the DSTC11 FAQ, WebQuestions,
SQuAD 2 and public handbook headings, under permissive or share-alike licences. Rows with
non-commercial or unstated licences trained nothing.
"""


def _table_row(name: str, result: Agreement) -> str:
    per_route = " | ".join(f"{result.routes[route].f1:.3f}" for route in Route)
    return (
        f"| {name} | {result.accuracy:.3f} | {result.macro_f1:.3f} | "
        f"{result.low:.3f} … {result.high:.3f} | {per_route} |"
    )


if __name__ == "__main__":
    sys.exit(main())
