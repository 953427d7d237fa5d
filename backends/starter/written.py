"""Messages and replies that were written one by one, as a source of rows beside composed ones.

What rules compose repeats itself; people who ramble, curse or comfort do not. Each message is
there in seven manners, and each reply with the lines of documents that it was written from.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Final

from backends.starter.clauses import Clauses
from backends.starter.corpus import kept_back
from backends.starter.exchange import Exchange, slotted
from backends.starter.lexicon import pick, read_rows
from backends.starter.overlap import anywhere, in_order

MESSAGES: Final = "messages.jsonl"
"""One message a line under the keys of `SAID`."""

REPLIES: Final = "replies.jsonl"
"""One reply a line: ``wish``, ``evidence`` and ``reply``, whose marks count the evidence from 1."""

SHORTENED: Final = "shortened.jsonl"
"""One text a line, ``wordy`` and ``short``: as on a sign, by leaving out and without reordering."""

SAID: Final = ("wordy", "short", "casual", "formal", "stiff", "friendly", "warm")

_SOURCES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "short": (*("wordy",) * 9, "formal", "casual", "warm", "friendly"),
        "formal": ("wordy", "casual", "warm", "friendly", "stiff"),
        "formal and short": ("wordy", "casual", "warm", "friendly"),
    }
)
"""By the manner that is wanted: what it is made from. The others people write too freely."""

_TARGETS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"short": ("short", "stiff"), "formal": ("formal",), "formal and short": ("stiff",)}
)

_FAITHFUL: Final[Mapping[str, float]] = MappingProxyType(
    {"short": 1.0, "formal": 0.75, "formal and short": 1.0}
)
"""So much of the text has to stand in what it is made from, see `backends.starter.overlap`."""

_FAITHFUL_REPLY: Final = 0.65

_JOINED: Final = 0.2
_SWAPPED: Final = 0.4
_MARK: Final = re.compile(r"\[(\d+)\]")
_WORD: Final = re.compile(r"(?<![\w<'’-])[a-z]{4,}(?![\w>'’-])")


@dataclass(frozen=True, slots=True)
class Reply:
    """A wish, the lines of documents beside it and the text that was written for it."""

    wish: str
    evidence: tuple[str, ...]
    reply: str


class Written:
    """Draws from what was written; every draw comes from the generator of the clauses."""

    def __init__(self, clauses: Clauses) -> None:
        self._clauses = clauses
        self._rng: random.Random = clauses.rng
        measuring = clauses.corpus.measuring
        messages, shortened = (
            [row for row in read_rows(name) if kept_back(row["wordy"]) is measuring]
            for name in (MESSAGES, SHORTENED)
        )
        self._pairs = {manner: _faithful(messages, manner) for manner in _SOURCES}
        self._pairs["short"]["wordy"] += [(row["wordy"], row["short"]) for row in shortened]
        self._replies = [
            Reply(row["wish"], tuple(row["evidence"]), row["reply"])
            for row in read_rows(REPLIES)
            if kept_back(row["wish"]) is measuring
            and anywhere(" ".join((row["wish"], *row["evidence"])), row["reply"]) >= _FAITHFUL_REPLY
        ]
        self._nouns = frozenset(clauses.corpus.nouns)

    def pair(self, manner: str) -> tuple[str, str]:
        """Return a text and the same in a manner; now and then two messages in one.

        Raises:
            KeyError: Nothing was written in the manner.
        """
        of_sources = self._pairs[manner]
        pairs = of_sources[
            pick(self._rng, tuple(one for one in _SOURCES[manner] if one in of_sources))
        ]
        source, target = self._rng.choice(pairs)
        if self._rng.random() < _JOINED:
            more, said = self._rng.choice(pairs)
            source, target = f"{_ended(source)} {more}", f"{_ended(target)} {said}"
        return self._swapped(source, target)

    def reply(self, system: str = "") -> Exchange:
        """Return a wish, lines that are numbered from 1 in any order, and the reply to it."""
        while True:
            asked, reply = _in_order(self._rng.choice(self._replies), self._rng)
            made = slotted(*self._swapped(asked, reply), system)
            if made is not None:
                return made

    def _swapped(self, source: str, target: str) -> tuple[str, str]:
        """Put other nouns for some that both texts have, so that words are copied, not known."""
        rng = self._rng
        if rng.random() >= _SWAPPED:
            return source, target
        both = sorted(
            {word for word in _WORD.findall(source) if word in self._nouns}
            & set(_WORD.findall(target))
        )
        for word in rng.sample(both, min(len(both), rng.choice((1, 1, 2)))):
            other = (
                self._clauses.no_word()
                if rng.random() < 0.2
                else pick(rng, self._clauses.corpus.nouns)
            )
            whole = re.compile(rf"\b{word}\b")
            source, target = whole.sub(other, source), whole.sub(other, target)
        return source, target


def _in_order(row: Reply, rng: random.Random) -> tuple[str, str]:
    """Return what is asked, its lines in any order, and the reply with the marks that fit."""
    order = list(range(len(row.evidence)))
    rng.shuffle(order)
    lines = (f"[{new}] {row.evidence[old]}" for new, old in enumerate(order, start=1))
    asked = "\n\n".join(filter(None, (row.wish, "\n".join(lines))))
    place = {str(old + 1): f"[{new}]" for new, old in enumerate(order, start=1)}
    return asked, _MARK.sub(lambda found: place.get(found[1], found[0]), row.reply)


def _faithful(
    messages: Sequence[Mapping[str, str]], manner: str
) -> dict[str, list[tuple[str, str]]]:
    """Return pairs of texts by the field of the first, where the second keeps to its words."""
    found: dict[str, list[tuple[str, str]]] = {}
    for message, field, wanted in product(
        messages, sorted(set(_SOURCES[manner])), _TARGETS[manner]
    ):
        source, target = message[field], message[wanted]
        if in_order(source, target) >= _FAITHFUL[manner] and len(target) < len(source) * 1.5:
            found.setdefault(field, []).append((source, target))
    return found


def _ended(text: str) -> str:
    """End a text that is to stand in front of another."""
    return text if text.endswith((".", "!", "?", ")")) else f"{text}."
