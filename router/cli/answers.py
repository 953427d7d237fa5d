"""How a decision, its citations and what is missing look in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.cli.screen import ROUTE_COLOURS, bar, duration, one_line, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType
    from rich.text import Text

    from agents.base import Citation
    from backends.adapters import AdapterChoice
    from router.answer import Answer
    from router.policy import Decision

_QUOTE = 200
"""Characters of a quote; the document has the rest."""


def decision_line(decision: Decision) -> Text:
    """Return route, probabilities as bars, and margin."""
    from rich.text import Text

    route = decision.route.value
    return Text.assemble(
        (f"{route:<11}", f"bold {ROUTE_COLOURS[route]}"),
        "  facts ",
        bar(decision.needs_facts, 8, "cyan"),
        f" {decision.needs_facts:.2f}",
        "  manner ",
        bar(decision.needs_manner, 8, "yellow"),
        f" {decision.needs_manner:.2f}",
        (f"  margin {decision.margin:.2f}", "bright_black"),
    )


def adapter_line(choice: AdapterChoice) -> str:
    """Return which adapter answers, and who or what chose it."""
    name = choice.name if choice.version is None else f"{choice.name}@{choice.version}"
    chosen = {
        "caller": "asked for by name",
        "examples": "by its examples",
        "default": "the default",
    }[choice.chosen_by]
    near = "" if choice.similarity is None else f", nearest examples {choice.similarity:.2f}"
    margin = "" if choice.margin is None else f", margin {choice.margin:.2f}"
    return plain(f"{name}  {chosen}{near}{margin}")


def citation_texts(citations: Sequence[Citation]) -> list[Text]:
    """Return for each cited passage its number, title and heading, and below them the quotes."""
    from rich.text import Text

    quotes: dict[int, list[str]] = {}
    places: dict[int, str] = {}
    for citation in citations:
        heading = f" › {citation.heading}" if citation.heading else ""
        page = f", page {citation.page}" if citation.page is not None else ""
        places[citation.number] = one_line(f"{citation.title}{heading}{page}", 80)
        quote = f"“{one_line(citation.quote, _QUOTE)}”"
        # A span may be cited more than once in a text; it is shown once.
        if quote not in (known := quotes.setdefault(citation.number, [])):
            known.append(quote)
    return [
        Text.assemble(
            (f"[{number}] ", "bold green"),
            (places[number], "green"),
            "".join(f"\n{quote}" for quote in quotes[number]),
        )
        for number in sorted(quotes)
    ]


def show_answer_footer(console: Console, answer: Answer) -> None:
    """Print everything that follows an answer's text: citations, decision, what is missing."""
    rows: list[tuple[str, RenderableType]] = []
    if answer.citations:
        from rich.padding import Padding

        console.print()
        for text in citation_texts(answer.citations):
            console.print(Padding(text, (0, 0, 0, 2)))
    console.print()
    rows.append(("route", decision_line(answer.decision)))
    if answer.decision.adapter:
        rows.append(("adapter", adapter_line(answer.decision.adapter)))
    rows.append(("why", plain(answer.decision.explained)))
    if answer.degraded:
        rows.append(("missing", _styled(plain(answer.degraded), "yellow")))
    total = duration(answer.timings_ms.get("total", 0.0))
    rows.append(("time", _styled(f"{total}, trace {answer.trace_id}", "bright_black")))
    show_rows(console, rows)


def show_rows(console: Console, rows: Sequence[tuple[str, RenderableType]]) -> None:
    """Print labelled rows, aligned, each value wrapped within its column."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bright_black", width=8, justify="right")
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(label, value)
    console.print(grid)


def _styled(text: str, style: str) -> Text:
    from rich.text import Text

    return Text(text, style=style)
