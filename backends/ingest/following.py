"""Follows a source after its first ingestion: a folder by its changes, anything else by the clock.

What is down or gone meanwhile is waited for. A change that happens while another is ingested is
not lost: it is reported next.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from backends.base import DocumentStore, Embedder
from backends.errors import Unavailable
from backends.ingest.folder import FolderSource, TouchedFiles
from backends.ingest.pipeline import Wishes, ingest_source
from backends.ingest.report import IngestReport, IngestStopped
from backends.ingest.source import Source


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing goes on for now; ``reason`` says what is missing, in a sentence."""

    reason: str


News: TypeAlias = IngestReport | Waiting


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon things happen, in seconds.

    Attributes:
        gather: Changes that come within so long of the first are ingested together.
        look: How often it is checked that the folder is still the one that is followed.
        retry: First wait for a store or an embedder that is down; doubles up to ``retry_most``.
        walk: How often the whole folder is walked, for file systems that do not tell of changes
            made elsewhere, and for links within the folder.
    """

    gather: float = 1.0
    look: float = 1.0
    retry: float = 1.0
    retry_most: float = 30.0
    walk: float = 900.0


USUAL: Final = Pace()


class Follower:
    """Ingests a source again whenever it has changed; use one of its methods, once.

    Args:
        store: Where to.
        embedder: With what.
        wishes: As of `backends.ingest.ingest_source`.
        pace: How soon.
    """

    def __init__(
        self, store: DocumentStore, embedder: Embedder, wishes: Wishes, pace: Pace = USUAL
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._wishes = wishes
        self._pace = pace

    async def by_clock(self, source: Source, every: float) -> AsyncGenerator[News, None]:
        """Ingest all of a source, and again so many seconds after each end; never ends by itself.

        Raises:
            IngestStopped: For a reason that waiting does not mend.
        """
        while True:
            async with aclosing(self._persistently(source)) as reports:
                async for news in reports:
                    yield news
            await asyncio.sleep(every)

    async def by_changes(
        self, root: Path, *, name: str | None = None
    ) -> AsyncGenerator[News, None]:
        """Ingest all of a folder, then what is changed, added or removed in it; never ends.

        With ``prune`` among the wishes what is removed is deleted. When the folder itself is
        removed, renamed or replaced, it is waited for, and then ingested as a whole.

        Args:
            root: The folder.
            name: As of `FolderSource`.

        Raises:
            IngestStopped: For a reason that waiting does not mend.
        """
        while True:
            if not await asyncio.to_thread(root.is_dir):
                yield Waiting(f"The folder {root.name} is gone; waiting for it to come back.")
                await self._back(root)
            async with aclosing(self._while_there(root, name)) as reports:
                async for news in reports:
                    yield news

    async def _back(self, root: Path) -> None:
        while True:
            await asyncio.sleep(self._pace.look)
            if await asyncio.to_thread(root.is_dir):
                return

    async def _while_there(self, root: Path, name: str | None) -> AsyncGenerator[News, None]:
        """Follow one folder until another, or none, is in its place."""
        whole = FolderSource([root], name=name, allow_empty=self._wishes.allow_empty)
        followed = await asyncio.to_thread(_identity, root)
        walked = -self._pace.walk
        async with aclosing(self._changes(root)) as changes:
            async for touched in changes:
                if await asyncio.to_thread(_identity, root) != followed:
                    return
                source: Source
                if time.monotonic() - walked >= self._pace.walk:
                    source, walked = whole, time.monotonic()
                elif touched:
                    source = TouchedFiles(root, touched, name=name)
                else:
                    continue
                async with aclosing(self._persistently(source)) as reports:
                    async for news in reports:
                        yield news

    async def _changes(self, root: Path) -> AsyncGenerator[set[Path], None]:
        """Yield touched paths below the folder; none the first time, and every now and then."""
        from watchfiles import awatch

        real = await asyncio.to_thread(os.path.realpath, root)
        try:
            watched = awatch(
                real,
                watch_filter=None,
                debounce=round(self._pace.gather * 1000),
                step=min(50, round(self._pace.gather * 1000)),
                rust_timeout=round(self._pace.look * 1000),
                yield_on_timeout=True,
                ignore_permission_denied=True,
            )
            async with aclosing(watched) as batches:
                async for batch in batches:
                    yield _below(root, real, (path for _, path in batch))
        except FileNotFoundError:
            return  # gone before it was watched; whoever asked looks for it again

    async def _persistently(self, source: Source) -> AsyncGenerator[News, None]:
        """Ingest, however often the store or the embedder has to be waited for."""
        wait = self._pace.retry
        while True:
            try:
                yield await ingest_source(
                    source, store=self._store, embedder=self._embedder, wishes=self._wishes
                )
                return
            except IngestStopped as stopped:
                if not isinstance(stopped.__cause__, Unavailable):
                    raise
                yield Waiting(f"{stopped.__cause__.problem} Trying again in {wait:g} s.")
            await asyncio.sleep(wait)
            wait = min(2 * wait, self._pace.retry_most)


def _identity(root: Path) -> tuple[int, int] | None:
    """What tells a folder from another one that has taken its place."""
    try:
        status = root.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _below(root: Path, real: str, paths: Iterable[str]) -> set[Path]:
    inside = {Path(path).relative_to(real) for path in paths if path != real}
    # What is below a touched folder is looked at with it.
    return {root / path for path in inside if not any(above in inside for above in path.parents)}
