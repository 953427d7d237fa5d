"""What the terminal shows: colours, bars, and text that cannot take the terminal over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDTH: Final = 100
"""Columns at most; longer lines are hard to read."""

ROUTE_COLOURS: Final = {"factual": "cyan", "hybrid": "magenta", "behavioural": "yellow"}

STEP_COLOURS: Final = {
    "condense": "bright_black",
    "classify": "blue",
    "probe": "green",
    "escalate": "bright_blue",
    "retrieve": "green",
    "reformulate": "bright_green",
    "factual": "cyan",
    "hybrid": "magenta",
    "behavioural": "yellow",
    "abstain": "bright_black",
    "fall_back": "red",
}


def out() -> Console:
    """Return the console of standard output, which holds the command's result."""
    return _console(stderr=False)


def err() -> Console:
    """Return the console of standard error, for everything else."""
    return _console(stderr=True)


def put_json(value: object) -> None:
    """Write the command's result as one JSON object on standard output."""
    import typer

    typer.echo(json.dumps(value, ensure_ascii=False))


def plain(text: str) -> str:
    """Return the text without control characters: documents and models may not steer a terminal."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())


def one_line(text: str, limit: int) -> str:
    """Return the text on one line of at most ``limit`` characters."""
    flat = " ".join(plain(text).split())
    return flat if len(flat) <= limit else f"{flat[: limit - 1].rstrip()}…"


def bar(share: float, width: int, colour: str) -> Text:
    """Return a bar that is filled to ``share`` (0..1), readable without colours too."""
    from rich.text import Text

    filled = round(min(max(share, 0.0), 1.0) * width)
    return Text.assemble(("━" * filled, colour), ("╌" * (width - filled), "bright_black"))


def duration(milliseconds: float) -> str:
    """Return ``0.4 ms``, ``12 ms`` or ``3.1 s``."""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def count(number: int, thing: str) -> str:
    """Return ``1 document`` or ``36 documents``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    # Off a terminal Rich assumes 80 columns; a file or a pipe has room for ours.
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console
