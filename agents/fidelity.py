"""Does an answer state what its sources do not? By its numbers, dates, codes and names alone.

A number is looked for in every form in which the sources may have it, so that "forty-five" and
"45", "May 12th" and "12 May", "5 pm" and "17:00" are one. What was calculated from the sources
counts as invented: nobody can check it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from agents.amounts import StatedKind, stated_in
from agents.sources import Sources
from backends.sentences import split_sentences

UNFILLED: Final = "\ufffc"
"""Stands in an answer for a slot that no source has; no text of anybody's holds this character."""

MAX_HELD: Final = 2_000
"""Characters that are held back for the end of their sentence; no honest sentence is longer."""

MOST_TOLD: Final = 5
"""Facts that a note lists at most."""


@dataclass(frozen=True, slots=True)
class Invented:
    """A fact of an answer that no source states; ``answer[start:end] == text``."""

    kind: StatedKind
    text: str
    start: int
    end: int


def invented(answer: str, sources: Sources) -> tuple[Invented, ...]:
    """Return the numbers, dates, codes and names of an answer that no source states, in order."""
    found = [
        Invented(one.kind, answer[one.start : one.end], one.start, one.end)
        for one in stated_in(answer)
        if not sources.hold(one)
    ]
    found += [
        Invented("number", UNFILLED, at.start(), at.end()) for at in _UNFILLED.finditer(answer)
    ]
    return tuple(sorted(found, key=lambda one: one.start))


def facts_kept(text: str, answer: str) -> float:
    """Return the share, 0..1, of a text's numbers, dates and codes that an answer states."""
    wanted = [one for one in stated_in(text) if one.kind != "name"]
    if not wanted:
        return 1.0
    stated = Sources([answer])
    return sum(stated.hold(one) for one in wanted) / len(wanted)


@dataclass
class Doubts:
    """What was found wanting in an answer so far.

    Attributes:
        removed: Invented numbers, dates and codes whose sentences were taken out.
        kept: Those that had to stay, because nothing else would have been left.
        names: Invented names in statements that claim a source.
    """

    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    @property
    def note(self) -> str | None:
        """What a reader must know, in plain words."""
        notes = []
        if self.removed:
            some = "A statement was" if len(self.removed) == 1 else "Statements were"
            notes.append(f"{some} removed that the documents do not hold{_listed(self.removed)}.")
        if self.kept:
            notes.append(f"The documents do not state{_listed(self.kept) or ' all of this'}.")
        if self.names:
            notes.append(f"The documents do not name{_listed(self.names)}.")
        return " ".join(notes) or None


def quoted(facts: Sequence[str]) -> str:
    """Return the first few different facts as a list: “30”, “12 May”."""
    return ", ".join(f"“{fact}”" for fact in list(dict.fromkeys(facts))[:MOST_TOLD])


class FactGuard:
    """Takes an answer in pieces; gives back the sentences that state what the sources state.

    A sentence is held back until it is complete, with the marks of its citations. Where nothing but
    such sentences would be left out, they stay and are told of (`Doubts.kept`).

    Attributes:
        doubts: What was found so far.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._pending = ""
        self._said = False
        self._on_new_line = True
        self._left_out: list[str] = []
        self.doubts = Doubts()

    def feed(self, piece: str) -> str:
        """Take the next piece; give back the sentences that it completes."""
        self._pending += piece
        if len(self._pending) > MAX_HELD:
            return self._through(len(self._pending))
        return self._through(_complete(self._pending)) if _MAY_END.search(self._pending) else ""

    def close(self) -> str:
        """The answer is over; give back what was held."""
        shown = self._through(len(self._pending))
        if self._said or not self._left_out:
            return shown
        self.doubts.kept, self.doubts.removed = self.doubts.removed, []
        return "".join(self._left_out).replace(UNFILLED, "")

    def _through(self, end: int) -> str:
        ready, self._pending = self._pending[:end], self._pending[end:]
        shown = ""
        for sentence in _sentences(ready):
            shown += self._cleared(sentence)
            self._on_new_line = shown.endswith("\n") if shown else self._on_new_line
        return shown

    def _cleared(self, sentence: str) -> str:
        """The sentence, or what has to stay of its surroundings."""
        doubtful = invented(sentence, self._sources)
        cited = _MARK.search(sentence) is not None
        wrong = [one.text for one in doubtful if one.kind != "name"]
        if not wrong:
            if cited:
                self.doubts.names += [one.text for one in doubtful]
            self._said = self._said or re.search(r"\w", sentence) is not None
            return sentence
        self._left_out.append(sentence)
        self.doubts.removed += wrong
        ends_line = "\n" in sentence[len(sentence.rstrip()) :]
        return "\n" if ends_line and not self._on_new_line else ""


_UNFILLED = re.compile(UNFILLED)
_MARK = re.compile(r"\[\^?\d{1,3}(?:[ ]?[,;–-][ ]?\d{1,3}){0,8}\]")
_MARKS = re.compile(rf"(?:[ \t]{{0,8}}{_MARK.pattern})*(?:[ \t]{{0,8}}[.!?])?")
_MAY_END = re.compile(r"[.!?…。！？\n]")
_MARK_BEGUN = re.compile(r"[ \t]*\[[\d ,;^–-]{0,60}$")


def _complete(text: str) -> int:
    """Where the last sentence begins that may still go on."""
    starts = _starts(text)
    return starts[-1] if starts else 0


def _starts(text: str) -> list[int]:
    """Where sentences begin behind the first; citation marks belong to what stands before them."""
    found = split_sentences(text)
    starts: list[int] = []
    for before in found[:-1]:
        marks = _MARKS.match(text, before.end)
        at = marks.end() if marks else before.end
        if _MARK_BEGUN.match(text, at):
            break
        while at < len(text) and text[at].isspace():
            at += 1
        if at < len(text) and (not starts or at > starts[-1]):
            starts.append(at)
    return starts


def _sentences(text: str) -> list[str]:
    edges = [0, *_starts(text), len(text)]
    return [text[start:end] for start, end in pairwise(edges) if start < end]


def _listed(facts: Sequence[str]) -> str:
    told = [fact for fact in facts if fact != UNFILLED]
    return f": {quoted(told)}" if told else ""
