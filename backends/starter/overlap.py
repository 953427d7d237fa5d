"""How much of a text stands in another one.

A model of a few million weights learns to leave out and to reorder, not to reword: shown texts
that are free with their source, it becomes free with the facts. So only those are shown that it
could have written.
"""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"[a-z0-9£€]+(?:['’-][a-z0-9]+)*")
_ENDING: Final = re.compile(r"(?:ing|ed|es|s|d|e|ly)$")
_SMALL: Final = frozenset((
    "a", "an", "the", "is", "are", "was", "were", "be", "been", "to", "of", "in", "on", "at",
    "by", "for", "and", "or", "but", "not", "no", "do", "does", "did", "please", "we", "you", "i",
    "it", "this", "that", "there", "our", "your", "my", "will", "can", "cannot", "with", "from",
    "as", "if", "so", "have", "has", "had", "hi", "hello", "all", "thank", "thanks", "dear",
    "sorry",
))  # fmt: skip


def in_order(source: str, target: str) -> float:
    """Return the share, 0..1, of the target's words that stand in the source in the same order.

    Small words do not count, nor do endings.
    """
    words, at, found = [_stem(one) for one in _words(source)], 0, 0
    wanted = _weighty(target)
    for word in wanted:
        if word in words[at:]:
            at = words.index(word, at) + 1
            found += 1
    return found / len(wanted) if wanted else 0.0


def anywhere(source: str, target: str) -> float:
    """Return the share, 0..1, of the target's words that stand anywhere in the source."""
    words, wanted = {_stem(one) for one in _words(source)}, _weighty(target)
    return sum(word in words for word in wanted) / len(wanted) if wanted else 0.0


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _weighty(text: str) -> list[str]:
    return [_stem(one) for one in _words(text) if one not in _SMALL]


def _stem(word: str) -> str:
    return _ENDING.sub("", word) if len(word) > 3 else word
