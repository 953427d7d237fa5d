"""Embeds the passages of several documents together, and their sentences in the same pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backends.base import Embedder, NewPassage, SpanEmbedder
from backends.ingest.prepare import Prepared
from backends.sentences import statements
from backends.spans import PassageSentences

if TYPE_CHECKING:
    from backends.base import Vectors

BATCH = 64
"""Passages sent to the embedder at once."""

_AT_ONCE = 2
"""Batches under way, so that the embedder never waits for the next one."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A document ready to be published; ``vectors`` has the shape (number of passages, d)."""

    prepared: Prepared
    passages: Sequence[NewPassage]
    vectors: Vectors


async def embed_all(documents: Sequence[Prepared], embedder: Embedder) -> list[Embedded]:
    """Embed every passage of some documents, and its sentences where the embedder can.

    Texts go to the embedder sorted by length, longest first: a batch of like lengths needs the
    least padding, and what is left at the end is short.

    Raises:
        BackendError: As the embedder raises.
    """
    import numpy as np

    pairs = [pair for one in documents for pair in zip(one.texts, one.passages, strict=True)]
    longest_first = sorted(range(len(pairs)), key=lambda row: -len(pairs[row][0]))
    vectors = np.empty((len(pairs), embedder.dimension), dtype=np.float32)
    passages = [passage for _, passage in pairs]

    async def embed(rows: Sequence[int]) -> None:
        texts = [pairs[row][0] for row in rows]
        if not isinstance(embedder, SpanEmbedder):
            vectors[rows] = await embedder.embed(texts)
            return
        bodies = [passages[row].text for row in rows]
        cuts = await asyncio.to_thread(lambda: [statements(body) for body in bodies])
        spans = [_within(*each) for each in zip(texts, bodies, cuts, strict=True)]
        found = await embedder.embed_spans(texts, spans)
        for row, cut, (whole, parts) in zip(rows, cuts, found, strict=True):
            vectors[row] = whole
            if parts is not None:
                sentences = PassageSentences(embedder.model, tuple(cut), parts)
                passages[row] = replace(passages[row], sentences=sentences)

    starts = range(0, len(pairs), BATCH)
    await _some_at_once(embed, [longest_first[start : start + BATCH] for start in starts])
    return list(_by_document(documents, passages, vectors))


def _within(text: str, body: str, cut: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of what is embedded: first of what stands above the passage, all where nothing does."""
    above = len(text) - len(body)
    first = (0, above or len(text))
    return [first, *((start + above, end + above) for start, end in cut)]


def _by_document(
    documents: Sequence[Prepared], passages: Sequence[NewPassage], vectors: Vectors
) -> Sequence[Embedded]:
    found, first = [], 0
    for one in documents:
        own = slice(first, first + len(one.passages))
        found.append(Embedded(one, passages[own], vectors[own]))
        first = own.stop
    return found


async def _some_at_once(
    work: Callable[[Sequence[int]], Coroutine[Any, Any, None]], batches: Sequence[Sequence[int]]
) -> None:
    left = iter(batches)

    async def worker() -> None:
        for batch in left:
            await work(batch)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_AT_ONCE, len(batches))):
                group.create_task(worker())
    except BaseExceptionGroup as failed:
        first = failed.exceptions[0]
        raise first from first.__cause__
