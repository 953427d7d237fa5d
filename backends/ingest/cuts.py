"""Cuts a text that is too long for one passage and has no better place to be cut."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from backends.ingest.budget import Budget

_TRIES = 5
"""Guesses at how many characters fit; each is within a few per cent of the one before."""

_MOST_JOINED = 32
"""Code points that are kept together as one character; Unicode's stream-safe text has at most 30
combining marks in a row (https://unicode.org/reports/tr15/#Stream_Safe_Text_Format)."""

_CLAUSE_END = re.compile(r"[,;:،؛—–](?=\s)|[、，；：]")


def cut(body: str, start: int, end: int, budget: Budget) -> Iterator[tuple[int, int]]:
    """Yield consecutive spans of ``body[start:end]`` that each fit; only white space lies between.

    Cuts after a clause where the second half of a span has one, else after a word, else between
    two characters, not before a combining mark unless there are more of them than text has.
    """
    size = budget.target * 4
    while start < end:
        fitting = _fitting(body, start, end, size, budget)
        stop = start + fitting
        if stop < end:
            stop = _at_boundary(body, start, stop)
            while stop > start + 1 and not budget.fits(body[start:stop]):
                stop = start + max(1, (stop - start) * 3 // 4)
        yield start, start + len(body[start:stop].rstrip())
        size = fitting
        start = _next_start(body, stop, end)


def _fitting(body: str, start: int, end: int, guess: int, budget: Budget) -> int:
    """Return how many characters from ``start`` take about the target: at least 1."""
    most = min(end - start, budget.max_characters)
    size, good = max(1, min(guess, most)), 0
    used = budget.cost("")
    room = max(1.0, budget.target - used)
    for _ in range(_TRIES):
        cost = budget.cost(body[start : start + size])
        if cost <= budget.target:
            good = max(good, size)
            if size == most:
                return good
            wanted = int(size * room / max(1.0, cost - used))
        else:
            most = size - 1
            wanted = int(size * room / max(1.0, cost - used) * 0.97)
        size = max(1, min(wanted, most))
        if size <= good * 1.03:
            break
    while not good and size > 1:
        size //= 2
        good = size if budget.cost(body[start : start + size]) <= budget.target else 0
    return max(1, good)


def _at_boundary(body: str, start: int, stop: int) -> int:
    """Return the best place to cut at or before ``stop``."""
    if body[stop].isspace():
        return stop
    middle = (start + stop) // 2
    clauses = [found.end() for found in _CLAUSE_END.finditer(body, middle, stop)]
    if clauses:
        return clauses[-1]
    for position in range(stop - 1, start, -1):
        if body[position].isspace():
            return position
    for position in range(stop, max(start, stop - _MOST_JOINED), -1):
        if not _joins(body, position):
            return position
    return stop


def _joins(body: str, position: int) -> bool:
    """Whether the character at ``position`` belongs to the one before it."""
    character = body[position]
    before = body[position - 1]
    return (
        unicodedata.category(character) in {"Mn", "Me", "Mc", "Cf"}
        or before == "\u200d"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
    )


def _next_start(body: str, start: int, end: int) -> int:
    while start < end and body[start].isspace():
        start += 1
    return start
