"""``router eval routing``: how good are its decisions, on questions whose route is known?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from router.cli.measuring import bars
from router.cli.opening import run, waiting
from router.cli.options import Json, invocation
from router.cli.screen import count, err, out, plain, put_json

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from router.config import Settings
    from router.evaluation.labelled import LabelledQuestion
    from router.evaluation.routing import Decided

_PHASES: Final = {"deciding": "deciding", "again": "again, several at once", "disturbed": "noisy"}
_ROUTERS: Final = {
    "best_constant": "best constant",
    "keyword_rules": "keyword rules",
    "tfidf": "TF-IDF",
    "semantic_router": "semantic-router",
}
_ROUTES: Final = ("factual", "behavioural", "hybrid")
_SOURCES: Final = 30
"""Sources that the table has room for; ``--json`` has them all."""


def routing(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="One JSON object a line: text or messages, and label (behavioural, factual or "
            "hybrid) or needs_facts and needs_manner; source may say where it comes from.",
        ),
    ],
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw confusion, reliability and risk by coverage, as .svg or .png.",
        ),
    ] = None,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers",
            help="Also ask the released semantic-router, which uv installs beside this one.",
        ),
    ] = False,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Also count how often typos, casing, lost punctuation or small talk in front "
            "change the route.",
        ),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", metavar="N", min=1, help="Decide at most N rows, always the same ones."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure decisions on labelled questions, beside simpler routers.

    No judge and no documents take part. Several files count as one set.
    """
    from router.evaluation.labelled import read_labelled
    from router.evaluation.lines import some_of
    from router.evaluation.plot import check_plot, draw
    from router.evaluation.routing_report import figures

    settings = invocation(context).settings()
    questions = read_labelled(files)
    if limit is not None:
        questions = some_of(questions, limit)
    if plot is not None:
        check_plot(plot)
    decided = run(_decided(questions, settings, disturbed=robustness))
    found = figures(questions, decided)
    found["baselines"] = _baselines(questions, settings, peers=peers)
    if plot is not None:
        draw(plot, questions, decided, found)
        err().print(f"drawn: {plain(str(plot))}", soft_wrap=True)
    if as_json:
        put_json(found)
        return
    for part in _shown(found):
        out().print(part, soft_wrap=isinstance(part, str))


async def _decided(
    questions: Sequence[LabelledQuestion], settings: Settings, *, disturbed: bool
) -> Decided:
    from router.evaluation.routing import decide_all

    with bars(_PHASES) as after:
        return await decide_all(questions, settings, after, disturbed=disturbed)


def _baselines(
    questions: Sequence[LabelledQuestion], settings: Settings, *, peers: bool
) -> dict[str, Any]:
    """Compare; whatever a reader has to know about a baseline goes to standard error as well."""
    from router.errors import InvalidRequest
    from router.evaluation.routing_baselines import baseline_figures, training
    from router.tuning.rows import UnreadableRows

    rows = [question.row for question in questions]
    with waiting("comparing"):
        try:
            known = training()
        except UnreadableRows as error:
            raise InvalidRequest(str(error), field="file") from error
        found = baseline_figures(rows, known, peers=settings.home / "models" if peers else None)
    for line in _remarks(found):
        err().print(line, style="yellow", soft_wrap=True)
    return found


def _remarks(baselines: Mapping[str, Any]) -> Iterator[str]:
    tfidf = baselines["tfidf"]
    yield f"TF-IDF learns from {plain(tfidf['fitted_on'])}."
    if tfidf["rows_fitted_on_too"]:
        yield (
            f"{count(tfidf['rows_fitted_on_too'], 'row')} of these were fitted on too: the figures "
            "flatter this router and whatever else learns."
        )
    for name, one in baselines.items():
        if "unavailable" in one:
            yield f"{_ROUTERS[name]} is left out. {plain(one['unavailable'])}"


def _shown(found: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield f"{count(found['n'], 'question')}; in brackets 95 % intervals\n"
    yield _routers(found)
    yield ""
    yield _confusion(found["confusion"])
    yield ""
    ece, brier, times = found["ece"], found["brier"], found["latency_ms"]
    yield (
        f"calibration error: facts {ece['facts']:.3f}, manner {ece['manner']:.3f}; "
        f"Brier: facts {brier['facts']:.3f}, manner {brier['manner']:.3f}"
    )
    surest = ", ".join(
        f"{share} % {accuracy:.3f}" for share, accuracy in found["accuracy_at_coverage"].items()
    )
    yield f"accuracy of the surest: {surest}"
    yield (
        f"latency: p50 {times['p50']:.1f} ms, p99 {times['p99']:.1f} ms; "
        f"{found['throughput_per_s']:.0f} decisions a second"
    )
    if "flip_rate" in found:
        yield f"route changed: {'; '.join(_flips(found['flip_rate']))}"
    if len(found["per_source"]) > 1:
        yield ""
        yield _sources(found["per_source"])


def _routers(found: Mapping[str, Any]) -> RenderableType:
    table = _table("", "accuracy", "macro-F1", *(f"F1 {route}" for route in _ROUTES))
    baselines = {_ROUTERS[name]: one for name, one in found["baselines"].items()}
    for name, one in {"this router": found, **baselines}.items():
        if "unavailable" not in one:
            per_class = (f"{one['per_class'][route]['f1']:.3f}" for route in _ROUTES)
            table.add_row(name, f"{one['accuracy']:.3f}", _macro_f1(one), *per_class)
    return table


def _confusion(confusion: Mapping[str, Mapping[str, int]]) -> RenderableType:
    table = _table("label", *(f"→ {route}" for route in _ROUTES))
    for true in _ROUTES:
        table.add_row(true, *(str(confusion[true][guess]) for guess in _ROUTES))
    return table


def _sources(per_source: Mapping[str, Any]) -> RenderableType:
    table = _table("source", "rows", "accuracy", "macro-F1")
    largest = sorted(per_source, key=lambda name: (-per_source[name]["n"], name))
    for name in largest[:_SOURCES]:
        one = per_source[name]
        table.add_row(plain(name), str(one["n"]), f"{one['accuracy']:.3f}", _macro_f1(one))
    if len(largest) > _SOURCES:
        table.add_row(f"and {len(largest) - _SOURCES} more", "", "", "")
    return table


def _flips(flip_rate: Mapping[str, Any]) -> Iterator[str]:
    for kind in (name for name in flip_rate if f"{name}_n" in flip_rate):
        if flip_rate[kind] is None:
            yield f"{kind} disturbs none of them"
            continue
        low, high = flip_rate[f"{kind}_ci"]
        yield f"{kind} {flip_rate[kind]:.3f} [{low:.3f}, {high:.3f}] of {flip_rate[f'{kind}_n']}"


def _macro_f1(one: Mapping[str, Any]) -> str:
    low, high = one["macro_f1_ci"]
    return f"{one['macro_f1']:.3f} [{low:.3f}, {high:.3f}]"


def _table(first: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True, overflow="ellipsis")
    for title in others:
        table.add_column(title, justify="right")
    return table
