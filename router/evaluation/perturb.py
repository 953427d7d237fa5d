"""Writes a question as a hurried person would, with the same need behind it. Pure.

The same text comes out the same way every time, whatever else is asked.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

_TYPO_SHARE: Final = 0.1
"""Of the words of four letters and more: about one slip in a line."""

_WORD: Final = re.compile(r"[^\W\d_]{4,}")
_MARK: Final = re.compile(r"""(?<!\w)[.,;:!?"“”„()…]+|[.,;:!?"“”„()…]+(?!\w)""")
_LETTERS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Rows of a keyboard."""

_PREFIXES: Final = (
    "hi there, quick one: ",
    "Hello! ",
    "hey, sorry to bother you again but ",
    "ok so ",
    "Good morning, I hope you are well. ",
    "one more thing - ",
    "Hey team, ",
    "um, ",
)


def _typos(chance: random.Random, text: str) -> str:
    """Slip in about one word of ten, at least in one, never on its first letter."""
    places = [match.span() for match in _WORD.finditer(text)]
    if not places:
        return text
    slips = max(1, round(_TYPO_SHARE * len(places)))
    for start, end in sorted(chance.sample(places, slips), reverse=True):
        text = text[:start] + _slipped(chance, text[start:end]) + text[end:]
    return text


def _slipped(chance: random.Random, word: str) -> str:
    at = chance.randrange(1, len(word) - 1)
    before, letter, after = word[:at], word[at], word[at + 1 :]
    slips = [
        before + after[0] + letter + after[1:],
        before + after,
        before + letter + letter + after,
        before + _beside(chance, letter) + after,
    ]
    return chance.choice([slip for slip in slips if slip != word])


def _beside(chance: random.Random, letter: str) -> str:
    """Return a letter of a neighbouring key, or the letter where the keyboard has none of it."""
    row = next((row for row in _LETTERS if letter.lower() in row), "")
    at = row.find(letter.lower())
    beside = row[max(0, at - 1) : at] + row[at + 1 : at + 2]
    return chance.choice(beside) if beside else letter


def _casing(chance: random.Random, text: str) -> str:
    others = {text.lower(), text.upper(), text.title()} - {text}
    return chance.choice(sorted(others)) if others else text


def _punctuation(chance: random.Random, text: str) -> str:
    """Leave out what stands at the edge of a word; 3.5 and e-mail addresses stay."""
    return _MARK.sub("", text).strip()


def _prefix(chance: random.Random, text: str) -> str:
    return chance.choice(_PREFIXES) + text


_KINDS: Final[Mapping[str, Callable[[random.Random, str], str]]] = MappingProxyType(
    {"typos": _typos, "casing": _casing, "punctuation": _punctuation, "prefix": _prefix}
)

KINDS: Final = tuple(_KINDS)
"""``typos``, ``casing``, ``punctuation`` (left out) and ``prefix`` (small talk in front)."""


def perturbed(kind: str, text: str) -> str:
    """Return the text disturbed in one way; itself where there is nothing to disturb.

    Args:
        kind: One of `KINDS`.
    """
    chance = random.Random(f"{kind}: {text}")  # noqa: S311 - repeatable noise, not a secret
    return _KINDS[kind](chance, text) or text
