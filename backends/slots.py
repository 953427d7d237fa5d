"""Slots: facts are held out of a model's sight and put back into what it says.

A model that reads ``<n1> days`` and writes ``<n1> days`` has copied the number exactly, whatever
the number is. (Delexicalisation, as in Wen et al. 2015, "Semantically conditioned LSTM-based
natural language generation for spoken dialogue systems".) Pure and deterministic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from backends.facts import Fact, FactKind, facts_in

LIMITS: Final[Mapping[FactKind, int]] = MappingProxyType({"n": 12, "d": 8, "p": 8, "c": 6})
"""How many slots there are of each kind: numbers, dates and times, names, codes."""

SLOTS: Final = tuple(f"<{kind}{at}>" for kind, most in LIMITS.items() for at in range(1, most + 1))
"""Every slot there is; a tokenizer has one token for each."""

_SLOT = re.compile(r"<(‹*)[ndpc][0-9]{1,2}>")
_MARKUP = re.compile(r"<‹*[ndpc][0-9]{1,2}>|<\|[a-z_]{1,20}\|>")
_BEGUN = re.compile(r"<‹*(?:[ndpc][0-9]{0,2})?")
_MAX_HELD: Final = 64
_CURRENCY = re.compile(r"[ ]?[€£$¥](?![\d€£$¥])")

_OTHER: Final = r"[^\s\u0000-\u036f\u1e00-\u2bff\ufb00-\ufb06\ufe00-\ufe0f\U0001f000-\U0001faff]+"
_SIGNS = re.compile(r"[\u00a7\u00b6\u00bc-\u00be\u2030\u2100-\u2121\u2123-\u25ff\u27c0-\u2bff]+")
"""Signs that a small model has hardly ever read: § № ½ →."""

_FOREIGN = re.compile(rf"{_OTHER}(?:[ '’-]{_OTHER}){{0,40}}")
"""Words of other scripts than Latin: neither its letters nor signs and pictures."""


class Slots:
    """The facts of one conversation and the slots that stand for them.

    What looks like a slot or like a token of a chat template in a text already is hidden as a code
    is, since no model has learnt to read it. Where no slot is left for it, what looks like a slot
    is written with a ``‹`` behind its ``<``, and loses it on its way back. Words in other letters
    than Latin ones are hidden as names are: they are copied, or left out, and never spelt.
    """

    def __init__(self) -> None:
        self._slots: dict[tuple[FactKind, str], str] = {}
        self._values: dict[str, str] = {}
        self._names: set[str] = set()

    @property
    def values(self) -> Mapping[str, str]:
        """What each slot in use stands for."""
        return MappingProxyType(self._values)

    def hide(self, text: str) -> str:
        """Return the text with each fact replaced by its slot; the same fact has the same slot.

        When a kind has no slot left, its facts stay as they are.
        """
        pieces: list[str] = []
        at = 0
        markup = (Fact("c", *one.span()) for one in _MARKUP.finditer(text))
        foreign = (Fact("p", *one.span()) for one in _FOREIGN.finditer(text))
        signs = (Fact("c", *one.span()) for one in _SIGNS.finditer(text))
        facts = [*facts_in(text, self._names), *markup, *foreign, *signs]
        for fact in sorted(facts, key=_place):
            if fact.start < at:
                continue
            end = _with_currency(text, fact)
            value = text[fact.start : end]
            slot = self._slot(fact.kind, value)
            if slot is not None:
                pieces += (_escaped(text[at : fact.start]), slot)
                at = end
        return "".join((*pieces, _escaped(text[at:])))

    def show(self, text: str) -> str:
        """Return the text with each slot replaced by its fact; ``show(hide(text)) == text``.

        A slot that stands for nothing is left out.
        """
        filler = self.filler()
        return filler.feed(text) + filler.close()

    def filler(self, *, unknown: str = "") -> SlotFiller:
        """Return what does `show` for a text that comes in pieces.

        Args:
            unknown: Written for a slot that stands for nothing.
        """
        return SlotFiller(self._values, unknown)

    def _slot(self, kind: FactKind, value: str) -> str | None:
        if (kind, value) not in self._slots:
            used = sum(1 for known, _ in self._slots if known == kind)
            if used == LIMITS[kind]:
                return None
            slot = f"<{kind}{used + 1}>"
            self._slots[kind, value], self._values[slot] = slot, value
            if kind == "p":
                self._names.add(value)
        return self._slots[kind, value]


class SlotFiller:
    """Puts facts back into a text that comes in pieces; a slot in two pieces is held back.

    Attributes:
        used: Slots that were written so far.
        unknown: How many slots stood for nothing.
    """

    def __init__(self, values: Mapping[str, str], stand_in: str = "") -> None:
        self._values = values
        self._stand_in = stand_in
        self._pending = ""
        self.used: set[str] = set()
        self.unknown = 0

    def feed(self, piece: str) -> str:
        """Take the next piece; give back what is certain, at most 64 characters behind."""
        text = self._pending + piece
        begun = text.rfind("<")
        held = begun >= 0 and len(text) - begun <= _MAX_HELD and _BEGUN.fullmatch(text, begun)
        ready = begun if held else len(text)
        self._pending = text[ready:]
        return _SLOT.sub(self._shown, text[:ready])

    def close(self) -> str:
        """The text is over; give back what was held."""
        rest, self._pending = self._pending, ""
        return rest

    def _shown(self, slot: re.Match[str]) -> str:
        if slot[1]:
            return f"<{slot[0][2:]}"
        if slot[0] not in self._values:
            self.unknown += 1
            return self._stand_in
        self.used.add(slot[0])
        return self._values[slot[0]]


def slots_in(text: str) -> frozenset[str]:
    """Return the slots that stand in a text, as `Slots.hide` has written it."""
    return frozenset(found[0] for found in _SLOT.finditer(text) if not found[1])


def _with_currency(text: str, fact: Fact) -> int:
    """Where a fact ends: "5 €" is one, since models have learnt to read "€5" only."""
    found = _CURRENCY.match(text, fact.end) if fact.kind == "n" else None
    return (
        found.end()
        if found and text[fact.start - 1 : fact.start] not in tuple("€£$¥")
        else fact.end
    )


def _place(fact: Fact) -> tuple[int, int]:
    return fact.start, -fact.end


def _escaped(text: str) -> str:
    return _SLOT.sub(lambda slot: f"<‹{slot[0][1:]}", text)
