"""``router eval …``: how good is it, on questions whose answers are known?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from router.cli.evaluate_behaviour import behaviour
from router.cli.evaluate_routing import routing
from router.cli.measuring import bars
from router.cli.opening import run
from router.cli.options import Json, invocation
from router.cli.screen import count, out, plain, put_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from router.config import Settings
    from router.evaluation.benchmark import Benchmark

_PHASES: Final = {"reading": "reading", "asking": "asking"}
_METRICS: Final = {
    "ndcg_at_10": "nDCG@10",
    "recall_at_5": "recall@5",
    "recall_at_10": "recall@10",
    "hit_at_1": "hit@1",
    "hit_at_5": "hit@5",
    "mrr_at_10": "MRR@10",
}
_BASELINES: Final = {"dense": "dense only", "bm25": "BM25 only", "rrf": "RRF"}


def build() -> typer.Typer:
    """Return the group of commands that measure."""
    app = typer.Typer(
        help="Measure on questions whose answers are known.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    app.command("retrieval")(retrieval)
    app.command("routing")(routing)
    app.command("behaviour")(behaviour)
    return app


def retrieval(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="corpus.jsonl (id, title, text), queries.jsonl (id, text or messages), qrels.tsv "
            "(query-id, corpus-id, score); unanswerable.jsonl may lie beside them.",
        ),
    ],
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries",
            metavar="FILE",
            help="Instead of queries.jsonl; rows with a relevant_doc need no qrels.tsv.",
        ),
    ] = None,
    unanswerable: Annotated[
        list[Path] | None,
        typer.Option(
            "--unanswerable",
            metavar="FILE",
            help="More questions that no document answers; may be given again.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            min=1,
            help="Ask at most N questions of each sort, always the same ones.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure search and abstention on a folder of questions.

    Documents go into a schema of their own in the configured database and leave nothing behind.
    """
    from router.evaluation.benchmark import read_benchmark, sampled

    settings = invocation(context).settings()
    benchmark = read_benchmark(folder, queries=queries, unanswerable=unanswerable or ())
    if limit is not None:
        benchmark = sampled(benchmark, limit)
    figures = run(_measured(benchmark, settings))
    if as_json:
        put_json(figures)
        return
    out().print(_headline(figures))
    out().print(_rankings(figures))
    for line in (_latency(figures["latency_ms"]), *_abstention(figures["abstention"])):
        out().print(line, soft_wrap=True)


async def _measured(benchmark: Benchmark, settings: Settings) -> dict[str, Any]:
    from router.evaluation.report import report
    from router.evaluation.retrieval import ask_all

    with bars(_PHASES) as after:
        return report(benchmark, await ask_all(benchmark, settings, after))


def _headline(figures: Mapping[str, Any]) -> str:
    return (
        f"{plain(figures['benchmark'])}: {count(figures['n'], 'question')}, "
        f"{count(figures['documents'], 'document')}, {count(figures['passages'], 'passage')}, "
        f"embedded with {plain(figures['embedder'])}; in brackets 95 % intervals\n"
    )


def _rankings(figures: Mapping[str, Any]) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True, min_width=max(map(len, _METRICS.values())))
    for title in ("router", *_BASELINES.values()):
        # On a narrow terminal the interval goes below its figure.
        table.add_column(title, min_width=len("[0.000,"))
    rankers = [figures, *(figures["baselines"][name] for name in _BASELINES)]
    for name, title in _METRICS.items():
        table.add_row(title, *(_shown(ranker, name) for ranker in rankers))
    return table


def _latency(figures: Mapping[str, Any]) -> str:
    return f"\nlatency: p50 {_shown(figures, 'p50', 1)} ms, p99 {_shown(figures, 'p99', 1)} ms"


def _abstention(figures: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"answered at the threshold {figures['threshold']:g}: {_shown(figures, 'coverage')} of "
        "the answerable questions"
    )
    if figures["n"]:
        yield _told_apart("unanswerable", figures)
    for kind, own in figures["by_kind"].items():
        yield _told_apart(f"  {plain(kind)}", own)


def _told_apart(whose: str, figures: Mapping[str, Any]) -> str:
    return (
        f"{whose}, {count(figures['n'], 'question')}: AUROC {_shown(figures, 'auroc')}, answered "
        f"all the same {_shown(figures, 'false_answer_rate')} at that threshold and "
        f"{_shown(figures, 'false_answer_rate_at_90_coverage')} at 90 % coverage"
    )


def _shown(figures: Mapping[str, Any], name: str, digits: int = 3) -> str:
    low, high = figures[f"{name}_ci"]
    return f"{figures[name]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
