"""The model card: what the classifier is, what it learned from and how well it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from router.policy import Policy, Route
from router.tuning.evaluate import Report
from router.tuning.finetuning import SHARES, Recipe
from router.tuning.fitting import FOLDS, PRIOR, Fitted
from router.tuning.metrics import Agreement, agreement, calibration_error
from router.tuning.rows import Row
from router.tuning.training import rows_hash


def model_card(
    rows: Sequence[Row],
    recipe: Recipe,
    fitted: Fitted,
    policy: Policy,
    reports: Sequence[Report],
) -> str:
    """Write it as Markdown.

    Args:
        rows: That it was fitted on.
        reports: Of rows that trained nothing.
    """
    routes = Counter(row.route for row in rows)
    counts = ", ".join(f"{routes[route]} {route}" for route in Route)
    composed = sum(row.composed for row in rows)
    own = sum(row.source.startswith("own-") and not row.composed for row in rows)
    sections = "\n".join(_section(report) for report in reports)
    return f"""# Routing classifier

Six layers of all-MiniLM-L6-v2, fine-tuned end to end with two logistic heads (needs facts, needs
manner) over the mean of the tokens, after layers {", ".join(map(str, recipe.exits))};
embeddings as published. Long texts are read at both ends, {recipe.head} and {recipe.tail} tokens.
A byte a weight. English; other languages are measured by `router eval routing --robustness`.

- encoder: `{fitted.heads.encoder}`, heads: `{fitted.heads.fingerprint}`
- rows: {len(rows)} ({counts}), hash `{rows_hash(rows)}`
- of them {own} written for this project, {composed} composed of such and of public ones, and
  {len(rows) - own - composed} public
- recipe: {recipe.epochs} epochs, batches of {recipe.batch}, learning rate {recipe.learning_rate:g}
  (heads {recipe.head_learning_rate:g}), dropout {recipe.dropout:g}, seed {recipe.seed}; routes
  weighted {_shares(SHARES)}
- calibration: Platt, on written rows of held-out sources ({FOLDS} folds by source), routes assumed
  to come as {_shares(PRIOR)}:
  an assumption, chosen with the figures on public validation rows in view, so that those are no
  blind test of it, and sets with other shares are calibrated worse
- thresholds: facts {policy.facts_threshold:g}, manner {policy.manner_threshold:g}, of least cost
  where a missed need of facts costs {policy.costs.missed_facts:g} and a needless one
  {policy.costs.needless_facts:g}
- stops after layer {recipe.exits[0]} for {fitted.stopped_early:.0%} of the questions, weighted so

Made by `python -m router.tuning.fit`. Measure on other rows, beside the same baselines, with
`router eval routing ROWS.jsonl`.

{sections}
{_out_of_source(rows, fitted, policy)}
## Licence

The weights start from all-MiniLM-L6-v2 (Apache-2.0). The examples under `router/tuning/examples`
were written for this project. The public rows, which are not included, come from IFEval, Banking77,
NQ-open, MedQuAD, the DSTC11 FAQ, WebQuestions, SQuAD 2 and public handbook headings, under
permissive or share-alike licences. Rows with non-commercial or unstated licences trained nothing.
"""


def _section(report: Report) -> str:
    table = "\n".join(_table_row(name, result) for name, result in report.routers.items())
    return f"""## {report.name}

{report.routers["this router"].rows} rows that trained nothing. Calibration error: facts
{report.facts_ece:.3f}, manner {report.manner_ece:.3f}. Uncertain: {report.uncertain:.1%}; accuracy
of the rest {report.certain_accuracy:.3f}.

| router | accuracy | macro-F1 | 95 % interval | {" | ".join(Route)} |
|---|---|---|---|---|---|---|
{table}
"""


def _out_of_source(rows: Sequence[Row], fitted: Fitted, policy: Policy) -> str:
    written = [number for number, row in enumerate(rows) if not row.composed]
    decided = [policy.decide(*map(float, fitted.out_of_source[number])) for number in written]
    cross = agreement([rows[n].route for n in written], [decision.route for decision in decided])
    facts = calibration_error(
        [decision.needs_facts for decision in decided], [rows[n].needs_facts for n in written]
    )
    manner = calibration_error(
        [decision.needs_manner for decision in decided], [rows[n].needs_manner for n in written]
    )
    return f"""## Held-out sources

The {len(written)} written training rows, each read by weights that had not seen its source, deepest
exit. Calibration error: facts {facts:.3f}, manner {manner:.3f}.

| router | accuracy | macro-F1 | 95 % interval | {" | ".join(Route)} |
|---|---|---|---|---|---|---|
{_table_row("this router", cross)}
"""


def _shares(shares: Mapping[Route, float]) -> str:
    return ", ".join(f"{route} {share:g}" for route, share in shares.items())


def _table_row(name: str, result: Agreement) -> str:
    per_route = " | ".join(f"{result.routes[route].f1:.3f}" for route in Route)
    return (
        f"| {name} | {result.accuracy:.3f} | {result.macro_f1:.3f} | "
        f"{result.low:.3f} … {result.high:.3f} | {per_route} |"
    )
