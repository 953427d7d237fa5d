"""The embedder that remembers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backends.embedding_cache import CachingEmbedder
from backends.memory.embedder import HashingEmbedder

if TYPE_CHECKING:
    from backends.base import Vectors


class CountingEmbedder(HashingEmbedder):
    """Writes down what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked.append(list(texts))
        return await super().embed(texts)


async def test_a_text_is_embedded_once() -> None:
    inner = CountingEmbedder()
    embedder = CachingEmbedder(inner)

    await embedder.embed(["boots", "coats", "boots"])
    await embedder.embed(["coats", "hats"])

    assert inner.asked == [["boots", "coats"], ["hats"]]


async def test_a_long_text_is_not_remembered() -> None:
    inner = CountingEmbedder()
    embedder = CachingEmbedder(inner)

    await embedder.embed(["word " * 1_000])
    await embedder.embed(["word " * 1_000])

    assert len(inner.asked) == 2


async def test_what_was_not_asked_for_longest_is_forgotten_first() -> None:
    inner = CountingEmbedder()
    embedder = CachingEmbedder(inner, max_texts=2)

    await embedder.embed(["boots", "coats"])
    await embedder.embed(["boots"])
    await embedder.embed(["hats"])
    await embedder.embed(["boots", "coats"])

    assert inner.asked == [["boots", "coats"], ["hats"], ["coats"]]
