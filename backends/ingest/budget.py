"""How much fits into one passage: the embedder's tokens, with the context embedded beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

CountTokens: TypeAlias = Callable[[str], int]
"""Tokens of a text, special tokens included, without cutting; called from other threads too."""

CHARACTERS_PER_TOKEN = 12
"""Longest passage in characters a token. Prose takes 4 to 6; word-piece tokenizers make a single
unknown token of a word over 100 characters, and by tokens alone a megabyte of it would fit."""

CONTEXT_SHARE = 3
"""Title and headings may take one token in three; beyond that they are abbreviated."""

MIN_MAX_TOKENS = 32
"""Below this a context and a few words do not fit together."""

HEADING_SEPARATOR = " > "


@dataclass(frozen=True, slots=True)
class Budget:
    """What one passage below a given context may take.

    Attributes:
        context: Embedded before the text; may be empty.
        cap: Most tokens of context and text together; never exceeded.
        target: Tokens of context and text together that passages aim at.
    """

    count_tokens: CountTokens
    context: str
    cap: int
    target: int

    @property
    def max_characters(self) -> int:
        """Most characters of the text."""
        return CHARACTERS_PER_TOKEN * self.cap

    def fits(self, text: str) -> bool:
        """Whether the text and its context stay within the cap."""
        return self.cost(text) <= self.cap

    def cost(self, text: str) -> float:
        """Return the tokens of context and text; infinite for a text too long to be worth counting.

        That bound keeps cutting linear: no text longer than a passage is ever counted.
        """
        if len(text) > self.max_characters:
            return math.inf
        return self.count_tokens(embedding_text(self.context, text))


def embedding_text(context: str, text: str) -> str:
    """Return what the embedder reads for a passage."""
    return f"{context}\n{text}" if context else text


def passage_context(title: str, heading: str, count_tokens: CountTokens, max_tokens: int) -> str:
    """Return the context to embed before a passage: its title and its headings, a line each.

    A first heading that repeats the title is left out. When both take more than a third of
    ``max_tokens``, the outer headings go first, then all headings, then the title's last words.
    """
    limit = max_tokens // CONTEXT_SHARE
    parts = heading.split(HEADING_SEPARATOR) if heading else []
    if parts and parts[0].casefold() == title.casefold():
        parts = parts[1:]
    for first in range(len(parts) + 1):
        inner = HEADING_SEPARATOR.join(parts[first:])
        context = "\n".join(line for line in (title, inner) if line)
        if count_tokens(context) <= limit:
            return context
    words = title.split()
    while words and count_tokens(" ".join(words)) > limit:
        words.pop()
    return " ".join(words)
