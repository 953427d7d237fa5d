"""The place between reading and embedding: as many documents as are embedded at one time."""

from __future__ import annotations

import asyncio

from backends.ingest.prepare import Prepared

MAX_PASSAGES = 256
MAX_CHARACTERS = 2_000_000
"""Bodies included. Beyond either, reading waits for embedding, so that memory stays bounded; a
single document of more is let through by itself."""


class Window:
    """Documents that wait for the embedder, which takes all there are whenever it is free."""

    def __init__(self) -> None:
        self._documents: list[Prepared] = []
        self._passages = 0
        self._characters = 0
        self._closed = False
        self._changed = asyncio.Condition()

    async def put(self, document: Prepared) -> None:
        """Add a document; waits while there is no room for it."""
        passages = len(document.passages)
        characters = len(document.document.body) + sum(map(len, document.texts))
        async with self._changed:
            await self._changed.wait_for(lambda: self._fits(passages, characters))
            self._documents.append(document)
            self._passages += passages
            self._characters += characters
            self._changed.notify_all()

    async def take(self) -> list[Prepared]:
        """Return all documents, at least one; none after the last one was taken."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._documents) or self._closed)
            taken, self._documents = self._documents, []
            self._passages = self._characters = 0
            self._changed.notify_all()
            return taken

    async def close(self) -> None:
        """Say that no more documents come."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _fits(self, passages: int, characters: int) -> bool:
        return not self._documents or (
            self._passages + passages <= MAX_PASSAGES
            and self._characters + characters <= MAX_CHARACTERS
        )
