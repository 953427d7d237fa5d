"""A trace in the terminal: the tree of its spans, and when each of them ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from router.cli.screen import STEP_COLOURS, duration, one_line
from router.tracing import names

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from rich.console import RenderableType

_BAR: Final = 24

_TOLD: Final[Mapping[str, str]] = {
    names.ROUTE: "route",
    names.NEEDS_FACTS: "facts",
    names.NEEDS_MANNER: "manner",
    names.EVIDENCE_PASSAGES: "passages",
    names.EVIDENCE_SUPPORT: "support",
    names.TOP_K: "top",
    names.RESPONSE_MODEL: "model",
    names.OUTPUT_TOKENS: "tokens out",
    names.ERROR_TYPE: "error",
}
"""Attributes worth a place on the screen, and how they are called there."""

_ROOT: Final[Mapping[str, str]] = {
    names.OUTCOME: "outcome",
    names.CITATIONS: "citations",
    names.ERROR_TYPE: "error",
}
"""The same for the whole question; the rest stands at its steps."""


def waterfall(spans: Sequence[ReadableSpan]) -> RenderableType:
    """Return the spans of one trace as a tree with durations, bars and key attributes."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, width=_BAR)
    table.add_column(style="bright_black", overflow="fold")
    ordered = list(_tree(spans))
    if not ordered:
        return Text("no spans")
    first = min(_start(span) for span in spans)
    whole = max(max(_end(span) for span in spans) - first, 1)
    for depth, span in ordered:
        label = one_line(_label(span), 26 - 2 * depth)
        colour = STEP_COLOURS.get(_label(span), "white")
        table.add_row(
            Text("  " * depth + label, style="bold" if depth == 0 else ""),
            duration((_end(span) - _start(span)) / 1e6),
            Text(_placed(_start(span) - first, _end(span) - first, whole), style=colour),
            _told(span, _ROOT if depth == 0 else _TOLD),
        )
    return table


def spans_json(spans: Sequence[ReadableSpan]) -> list[dict[str, Any]]:
    """Return the spans in order of the tree; times in milliseconds from the first one."""
    first = min((_start(span) for span in spans), default=0)
    return [
        {
            "name": span.name,
            "depth": depth,
            "start_ms": round((_start(span) - first) / 1e6, 3),
            "duration_ms": round((_end(span) - _start(span)) / 1e6, 3),
            "attributes": dict(span.attributes or {}),
        }
        for depth, span in _tree(spans)
    ]


def _tree(spans: Sequence[ReadableSpan]) -> Iterator[tuple[int, ReadableSpan]]:
    """Yield depth and span, parents before children, earlier before later."""
    known = {_id(span) for span in spans}
    children: defaultdict[int | None, list[ReadableSpan]] = defaultdict(list)
    for span in sorted(spans, key=_start):
        parent = span.parent.span_id if span.parent else None
        children[parent if parent in known else None].append(span)
    waiting = [(0, span) for span in reversed(children[None])]
    while waiting:
        depth, span = waiting.pop()
        yield depth, span
        waiting += [(depth + 1, child) for child in reversed(children[_id(span)])]


def _placed(start: int, end: int, whole: int) -> str:
    """A bar at its place on the time line; at least one character, so that it can be seen."""
    left = min(round(start / whole * _BAR), _BAR - 1)
    right = max(round(end / whole * _BAR), left + 1)
    return " " * left + "━" * (right - left)


def _told(span: ReadableSpan, wanted: Mapping[str, str]) -> str:
    attributes = span.attributes or {}
    parts = [
        f"{label} {_short(attributes[key])}" for key, label in wanted.items() if key in attributes
    ]
    return " · ".join(parts)


def _short(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else one_line(str(value), 24)


def _label(span: ReadableSpan) -> str:
    """The step's name where the span is a step's; its own otherwise."""
    step = (span.attributes or {}).get(names.AGENT_NAME)
    return str(step) if step else span.name


def _id(span: ReadableSpan) -> int:
    context = span.get_span_context()
    return context.span_id if context else 0


def _start(span: ReadableSpan) -> int:
    return span.start_time or 0


def _end(span: ReadableSpan) -> int:
    return span.end_time or _start(span)
