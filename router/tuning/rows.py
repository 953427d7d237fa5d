"""Labelled questions and how they are read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from router.policy import Route


class UnreadableRows(ValueError):
    """A file of labelled rows that cannot be read; names the file and the line."""


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled question.

    Attributes:
        source: Where it comes from; rows of one source are never split between fit and test.
        kind: What it exercises, such as ``"triple"`` or ``"transform"``; may be empty.
        domain: The walk of life it comes from; may be empty.
        topic: What the three rows of a triple are about; empty for others.
        composed: Put together or disturbed by `compose`, instead of written by somebody.
    """

    text: str
    needs_facts: bool
    needs_manner: bool
    source: str
    kind: str = ""
    domain: str = ""
    topic: str = ""
    composed: bool = False

    @property
    def route(self) -> Route:
        """The route that the two needs amount to."""
        if not self.needs_facts:
            return Route.BEHAVIOURAL
        return Route.HYBRID if self.needs_manner else Route.FACTUAL


def read_rows(path: Path) -> list[Row]:
    """Read JSON lines with ``text``, ``needs_facts``, ``needs_manner`` and ``source``.

    Raises:
        UnreadableRows: The file is missing, or a line is not such a row.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UnreadableRows(
            f"{path} cannot be read: {error.strerror}. Name a file of labelled rows, one JSON "
            "object a line."
        ) from error
    return _rows(lines, str(path))


def own_rows(name: str) -> list[Row]:
    """Read one of the example files that ship with this package, by name without suffix.

    Each file is a source of its own: one hand wrote it in one go.
    """
    return _rows(example_lines(name), name, f"own-{name}")


def frames() -> Mapping[str, list[str]]:
    """Read the pieces that `compose` puts together, by kind."""
    found: dict[str, list[str]] = {}
    for line in example_lines("frames"):
        piece = json.loads(line)
        found.setdefault(piece["kind"], []).append(piece["text"])
    return found


def example_lines(name: str) -> list[str]:
    """Return the lines of one of the example files that ship with this package."""
    resource = files("router.tuning") / "examples" / f"{name}.jsonl"
    return resource.read_text(encoding="utf-8").splitlines()


def _rows(lines: Iterable[str], name: str, source: str | None = None) -> list[Row]:
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(_row(json.loads(line), source))
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableRows(
                f"{name}, line {number}: {type(error).__name__} {error}; expected text, "
                "needs_facts, needs_manner and source"
            ) from error
    return rows


def _row(data: Mapping[str, Any], source: str | None) -> Row:
    return Row(
        str(data["text"]),
        bool(data["needs_facts"]),
        bool(data["needs_manner"]),
        str(data["source"] if source is None else source),
        str(data.get("kind", "")),
        str(data.get("domain", "")),
        str(data.get("topic", "")),
    )
