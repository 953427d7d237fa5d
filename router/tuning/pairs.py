"""Pairs of questions with one need, the second written to lead a router astray; for measuring only.

    paraphrase  the same question in other words
    hidden      the question in the middle of, before or behind a long paste
    de, fr, es  the question in German, French or Spanish
    steering    the question, and words that tell the router how to decide

None of them trains anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from router.policy import Route
from router.tuning.rows import Row, UnreadableRows, example_lines

FILES: Final = ("paraphrases", "hidden", "languages", "steering")
"""The files, by name without suffix."""

KINDS: Final = ("paraphrase", "hidden", "de", "fr", "es", "steering")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two ways to ask for the same.

    Attributes:
        text: The plain one.
        variant: The other one.
        route: Where both belong.
        kind: One of `KINDS`.
    """

    text: str
    variant: str
    route: Route
    kind: str


def own_pairs() -> list[Pair]:
    """Read the pairs that ship with this package, by kind in the order of `KINDS`."""
    found = [
        read_pair(line, f"{name}, line {number}")
        for name in FILES
        for number, line in enumerate(example_lines(name), 1)
    ]
    return sorted(found, key=lambda pair: KINDS.index(pair.kind))


def read_pair(line: str, where: str) -> Pair:
    """Read a pair from a JSON object, as the files have it.

    ``text`` and ``variant``; ``needs_facts`` and ``needs_manner``, true or false; ``change``, which
    is a kind, or ``language`` with the kind in ``language``.

    Raises:
        UnreadableRows: It is something else; ``where`` says which line.
    """
    try:
        data = json.loads(line)
        kind = data["language"] if data["change"] == "language" else data["change"]
        needs = data["needs_facts"], data["needs_manner"]
        texts = data["text"], data["variant"]
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableRows(f"{where}: {type(error).__name__} {error}") from error
    if kind not in KINDS:
        raise UnreadableRows(f"{where}: there is no kind {kind!r}; use {', '.join(KINDS)}")
    if not all(isinstance(need, bool) for need in needs):
        raise UnreadableRows(f"{where}: needs_facts and needs_manner must be true or false")
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise UnreadableRows(f"{where}: text and variant must be text that is not blank")
    return Pair(*texts, Row("", *needs, "").route, kind)
