"""How an adapter did beside its rival and its base, as the terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from router.cli.screen import count, one_line, plain

if TYPE_CHECKING:
    from rich.console import RenderableType

_ROLES: Final = ("against", "base")
_PROBLEM: Final = 120


def shown(figures: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield the parts of the report, from `router.evaluation.behaviour_report`."""
    rows = count(figures["n"], "row")
    yield (
        f"{plain(figures['adapter'])} on {rows} ({plain(figures['data'])}); in brackets 95 % "
        "intervals, of differences in pairs\n"
    )
    yield _table(figures)
    yield from _judges(figures)
    for role in ("adapter", *_ROLES):
        own = figures if role == "adapter" else figures[role]
        for problem, times in (own or {}).get("format", {}).get("problems", {}).items():
            name = plain(figures["adapter"] if role == "adapter" else own["name"])
            yield f"{name}, without its form {count(times, 'time')}: {one_line(problem, _PROBLEM)}"


def _table(figures: Mapping[str, Any]) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column(plain(figures["adapter"]), min_width=12)
    others = {role: figures[role] for role in _ROLES if figures[role]}
    for one in others.values():
        table.add_column(plain(one["name"]), min_width=12)
        table.add_column("difference", min_width=12)
    for title, path, difference in _lines(figures):
        cells = [_at(figures, path)]
        for one in others.values():
            cells += [_at(one, path), _gained(one["difference"], difference)]
        table.add_row(title, *cells)
    for title, path, unit in _TIMES:
        cells = [_time(figures, path, unit)]
        for one in others.values():
            cells += [_time(one, path, unit), ""]
        table.add_row(title, *cells)
    return table


_TIMES: Final = (
    ("first token, p50", ("latency_ms", "first_token", "p50"), " ms"),
    ("first token, p99", ("latency_ms", "first_token", "p99"), " ms"),
    ("whole answer, p50", ("latency_ms", "total", "p50"), " ms"),
    ("tokens a second", ("tokens_per_s",), ""),
)


def _lines(figures: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield what there is to show: a title, where the figure stands, and whose difference."""
    task, fidelity = figures["task"], figures["fidelity"]
    yield plain(task["measure"]), ("task", "score"), "task"
    if task["style"]:
        yield "in style", ("task", "style", "share"), "style"
        if len(task["style"]["by_style"]) > 1:
            for style in task["style"]["by_style"]:
                yield f"  {plain(style)}", ("task", "style", "by_style", style, "share"), ""
    yield "has its form", ("format", "share"), "format"
    if fidelity["n"]:
        yield "facts exact", ("fidelity", "exact"), "faithful"
        yield "  all copied", ("fidelity", "copied"), ""
        yield "  none invented", ("fidelity", "nothing_invented"), ""
    if fidelity["citations_kept_n"]:
        yield "citations kept", ("fidelity", "citations_kept"), "cited"


def _judges(figures: Mapping[str, Any]) -> Iterator[str]:
    for style, judge in figures["judges"].items():
        references, sources = judge["references_in_style"], judge["sources_in_style"]
        told = "" if sources is None else f", sources {sources:.3f}"
        yield (
            f"\n{plain(style)} is judged by {count(judge['pairs'], 'written pair')}: right on "
            f"{judge['accuracy']:.3f} of texts left out; in style are references "
            f"{references:.3f}{told}"
        )


def _at(figures: Mapping[str, Any], path: tuple[str, ...]) -> str:
    *before, name = path
    for step in before:
        figures = figures[step]
    if figures[name] is None:
        return "–"
    low, high = figures[f"{name}_ci"]
    return f"{figures[name]:.3f} [{low:.3f}, {high:.3f}]"


def _gained(differences: Mapping[str, Any], name: str) -> str:
    if name not in differences:
        return ""
    low, high = differences[f"{name}_ci"]
    return f"{differences[name]:+.3f} [{low:+.3f}, {high:+.3f}]"


def _time(figures: Mapping[str, Any], path: tuple[str, ...], unit: str) -> str:
    found: Any = figures
    for step in path:
        found = found[step]
    return "–" if found is None else f"{found:.0f}{unit}"
