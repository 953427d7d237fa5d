"""Takes a source into the store: skip what is unchanged, read, split, embed, publish, prune.

Three tasks hand documents on: one walks, reads and splits, one embeds, one publishes. What lies
between them is bounded, so that memory does not grow with the source.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from backends.base import DocumentInfo, DocumentStore, Embedder
from backends.errors import BackendError, Refused, UnreadableDocument
from backends.ingest.embedding import Embedded, embed_all
from backends.ingest.prepare import Prepared, fingerprint, prepare
from backends.ingest.pruning import Pruning
from backends.ingest.report import IngestReport, IngestStopped, Problem, Progress
from backends.ingest.seen import Seen
from backends.ingest.source import Content, Item, Offer, Source, Withdrawn
from backends.ingest.stored import StoredDocuments
from backends.ingest.threads import in_thread
from backends.ingest.window import Window
from backends.principals import Principals

_NO_MORE: Final = ()

READ_SECONDS = 300.0
"""A document that takes longer to fetch, read and split is reported and left behind."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked of an ingestion.

    Attributes:
        acl: Who may see documents that do not say it themselves; empty means nobody.
        keeping: Known documents stay with the readers that they were ingested for.
        prune: Delete what the source no longer has, once it was walked to its end.
        allow_empty: Do so too when the source has nothing at all.
        on_progress: Called on the event loop after each document.
    """

    acl: Principals
    keeping: bool = False
    prune: bool = False
    allow_empty: bool = False
    on_progress: Callable[[Progress], None] | None = None


async def ingest_source(
    source: Source, *, store: DocumentStore, embedder: Embedder, wishes: Wishes
) -> IngestReport:
    """Publish every document of a source that is new or has changed.

    A document's own access list wins over the one asked for; one that is invalid leaves the
    document as it was. Documents are published one by one, each as a whole, so that after an
    interruption the same call goes on where it stopped.

    Raises:
        IngestStopped: The store or the embedder failed; what was embedded by then is published.
    """
    run = _Run(source, store, embedder, wishes)
    try:
        await run.everything()
    except BackendError as error:
        raise IngestStopped(error, run.report()) from error
    return run.report()


async def ready_in_time(source: str, work: Callable[[], Prepared]) -> Prepared:
    """Read and split in a thread.

    Raises:
        UnreadableDocument: As ``work``, or because it takes too long.
    """
    async with _limited(source):
        return await in_thread(work)


async def publish(ready: Embedded, store: DocumentStore) -> DocumentInfo:
    """Store a document.

    Raises:
        UnreadableDocument: The store refuses this one.
    """
    try:
        return await store.publish(ready.prepared.document, ready.passages, ready.vectors)
    except Refused as error:
        # This document fails again however often it is tried; the others need not.
        raise UnreadableDocument(
            ready.prepared.document.source,
            f"is refused by the store: {error.problem.rstrip('.')}",
            hint=error.hint,
        ) from error


class _Run:
    """One ingestion: what it works with, and what it has done so far."""

    def __init__(
        self, source: Source, store: DocumentStore, embedder: Embedder, wishes: Wishes
    ) -> None:
        self._source = source
        self._store = store
        self._embedder = embedder
        self._wishes = wishes
        self._began = time.monotonic()
        self._counts = IngestReport()
        self._problems: list[Problem] = []
        self._seen = Seen()
        self._stored = StoredDocuments(store)
        self._pruning = Pruning(source, store, self._seen, allow_empty=wishes.allow_empty)
        self._ready = Window()
        self._embedded: asyncio.Queue[Sequence[Embedded]] = asyncio.Queue(1)

    def report(self) -> IngestReport:
        return replace(
            self._counts,
            problems=tuple(self._problems),
            seconds=time.monotonic() - self._began,
        )

    async def everything(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._walk())
                group.create_task(self._embed())
                group.create_task(self._publish())
        except BaseExceptionGroup as failed:
            first = failed.exceptions[0]
            raise first from first.__cause__
        if self._wishes.prune:
            await self._prune()
        # Also when nothing is new: the run before may have been interrupted just here.
        await self._store.settle()

    # --- the first task: what is there, and what of it is new -------------------------------------

    async def _walk(self) -> None:
        async with aclosing(self._source.batches()) as batches:
            async for batch in batches:
                await self._take_in([item for item in batch if self._is_candidate(item)])
        await self._ready.close()

    def _is_candidate(self, offer: Offer) -> bool:
        if isinstance(offer, UnreadableDocument):
            self._pruning.keep(offer)
            self._unreadable(offer)
            return False
        if not self._seen.add(offer.source):
            self._unreadable(_met_before(offer.source))
            return False
        return True

    async def _take_in(self, batch: Sequence[Offer]) -> None:
        items = [item for item in batch if isinstance(item, Item)]
        known = await self._store.fingerprints([item.source for item in items]) if items else {}
        readers = {item.source: await self._readers(item.source, known) for item in items}
        marks = await asyncio.to_thread(self._fingerprints, items, readers)
        for item in items:
            if known.get(item.source) == marks[item.source]:
                self._unchanged(item.source)
            elif item.source in known and await self._from_elsewhere(item):
                self._unreadable(_of_another_source(item.source))
            else:
                await self._changed(item, readers[item.source])

    def _fingerprints(
        self, items: Sequence[Item], readers: Mapping[str, Principals]
    ) -> dict[str, str]:
        return {
            item.source: fingerprint(
                item.source,
                item.mark,
                acl=readers[item.source],
                title="",
                embedder=self._embedder,
            )
            for item in items
        }

    async def _readers(self, source: str, known: Mapping[str, str]) -> Principals:
        if not self._wishes.keeping or source not in known:
            return self._wishes.acl
        stored = await self._stored.get(source)
        return self._wishes.acl if stored is None else stored.readers

    async def _from_elsewhere(self, item: Item) -> bool:
        """Whether what is stored came from another source that happens to use the same name."""
        if self._source.replaces:
            return False
        stored = await self._stored.get(item.source)
        return stored is not None and stored.origin not in ("", item.origin)

    async def _changed(self, item: Item, readers: Principals) -> None:
        try:
            async with _limited(item.source):
                content = await item.content()
                ready = await in_thread(partial(self._prepare, item, content, readers))
        except UnreadableDocument as error:
            self._unreadable(error)
        except Withdrawn:
            await self._withdrawn(item.source)
        else:
            await self._ready.put(ready)

    def _prepare(self, item: Item, content: Content, readers: Principals) -> Prepared:
        return prepare(
            item.source,
            content,
            acl=readers,
            title="",
            embedder=self._embedder,
            origin=item.origin,
        )

    # --- the second and the third -----------------------------------------------------------------

    async def _embed(self) -> None:
        try:
            while documents := await self._ready.take():
                await self._embedded.put(await embed_all(documents, self._embedder))
        except BackendError:
            # What is embedded already would be lost.
            await self._embedded.join()
            raise
        await self._embedded.put(_NO_MORE)

    async def _publish(self) -> None:
        while batch := await self._embedded.get():
            for ready in batch:
                await self._publish_one(ready)
            self._embedded.task_done()

    async def _publish_one(self, ready: Embedded) -> None:
        try:
            await publish(ready, self._store)
        except UnreadableDocument as error:
            self._unreadable(error)
            return
        self._counts = replace(
            self._counts,
            published=self._counts.published + 1,
            passages=self._counts.passages + len(ready.passages),
        )
        self._say(Progress(ready.prepared.document.source, "published", len(ready.passages)))

    # --- what is gone -----------------------------------------------------------------------------

    async def _prune(self) -> None:
        if refusal := self._pruning.refusal():
            self._problems.append(refusal)
            return
        async with aclosing(self._pruning.gone()) as gone:
            async for source in gone:
                if await self._store.delete(source):
                    self._pruned(source)

    async def _withdrawn(self, source: str) -> None:
        if self._wishes.prune and await self._store.delete(source):
            self._pruned(source)

    # --- what is told -----------------------------------------------------------------------------

    def _pruned(self, source: str) -> None:
        self._counts = replace(self._counts, pruned=self._counts.pruned + 1)
        self._say(Progress(source, "pruned"))

    def _unchanged(self, source: str) -> None:
        self._counts = replace(self._counts, unchanged=self._counts.unchanged + 1)
        self._say(Progress(source, "unchanged"))

    def _unreadable(self, error: UnreadableDocument) -> None:
        self._problems.append(Problem(error.source, error.reason, error.hint))
        self._say(Progress(error.source, "unreadable"))

    def _say(self, progress: Progress) -> None:
        if self._wishes.on_progress is not None:
            self._wishes.on_progress(progress)


@asynccontextmanager
async def _limited(source: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(READ_SECONDS):
            yield
    except TimeoutError as error:
        raise UnreadableDocument(
            source,
            f"takes longer than {READ_SECONDS:.0f} s to read",
            hint="Split it into smaller files.",
        ) from error


def _met_before(source: str) -> UnreadableDocument:
    return UnreadableDocument(
        source,
        "has the same name as another document of this run",
        hint="Ingest folders whose names differ.",
    )


def _of_another_source(source: str) -> UnreadableDocument:
    return UnreadableDocument(
        source,
        "another folder of that name was ingested before",
        hint="Rename the folder or pass --name NAME.",
    )
