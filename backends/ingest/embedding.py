"""Embeds the passages of several documents together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from backends.base import Embedder

if TYPE_CHECKING:
    from backends.base import Vectors

BATCH = 64
"""Passages sent to the embedder at once."""

_AT_ONCE = 2
"""Batches under way, so that the embedder never waits for the next one."""


async def embed_all(texts: Sequence[Sequence[str]], embedder: Embedder) -> list[Vectors]:
    """Return for each document one vector a text, shape (number of texts, d).

    Texts go to the embedder sorted by length, longest first: a batch of like lengths needs the
    least padding, and what is left at the end is short.

    Raises:
        BackendError: As the embedder raises.
    """
    import numpy as np

    flat = [text for one in texts for text in one]
    longest_first = sorted(range(len(flat)), key=lambda row: -len(flat[row]))
    vectors = np.empty((len(flat), embedder.dimension), dtype=np.float32)
    starts = iter(range(0, len(flat), BATCH))

    async def work() -> None:
        for start in starts:
            rows = longest_first[start : start + BATCH]
            vectors[rows] = await embedder.embed([flat[row] for row in rows])

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_AT_ONCE, -(-len(flat) // BATCH))):
                group.create_task(work())
    except BaseExceptionGroup as failed:
        first = failed.exceptions[0]
        raise first from first.__cause__
    ends = np.cumsum([len(one) for one in texts])
    return np.split(vectors, ends[:-1])
