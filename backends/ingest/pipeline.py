"""Takes files into the store: find, skip what is unchanged, read, split, embed, publish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Literal

from backends.base import DocumentInfo, DocumentStore, Embedder
from backends.errors import BackendError, Refused, UnreadableDocument
from backends.ingest.files import FoundFile, find_files, unfit_name
from backends.ingest.prepare import INGESTED_FOR, ORIGIN, Prepared, fingerprint, prepare
from backends.ingest.read import DEFAULT_MAX_BYTES, read_bytes, too_large
from backends.principals import Principals, parse_principals

if TYPE_CHECKING:
    from backends.base import Vectors

EMBEDDING_BATCH = 64
"""Passages sent to the embedder at once."""

FILE_BATCH = 32
"""Files whose fingerprints are asked for at once; their contents are not kept meanwhile."""

READ_SECONDS = 300.0
"""A file that takes longer to read and split is reported and left behind."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why one file, or one given path, did not become a document."""

    source: str
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Progress:
    """One file is done with; ``passages`` counts those published for it."""

    source: str
    outcome: Literal["published", "unchanged", "unreadable"]
    passages: int = 0


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingestion did: counts of documents and passages, problems in order, seconds."""

    published: int = 0
    unchanged: int = 0
    passages: int = 0
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0


class IngestStopped(BackendError):
    """The store or the embedder failed; ``__cause__`` is its error, ``report`` what was done."""

    def __init__(self, cause: BackendError, report: IngestReport) -> None:
        done = f"{report.published} published and {report.unchanged} unchanged before that"
        super().__init__(
            f"Ingestion stopped: {cause.problem} ({done}.)",
            backend=cause.backend,
            hint=f"{cause.hint} Run it again to go on from there.".strip(),
        )
        self.report = report


async def ingest(
    paths: Sequence[Path],
    *,
    store: DocumentStore,
    embedder: Embedder,
    acl: Principals,
    keep: Mapping[str, Principals] | None = None,
    name: str | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    on_progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Publish every document found in the given files and folders that is new or has changed.

    Sources are named as `backends.ingest.files.find_files` says. What came from another folder of
    the same name is not replaced. A document's own access list wins over ``acl``; one that is
    invalid leaves the document as it was. Documents are published one by one, each as a whole, so
    that after an interruption the same call goes on where it stopped. Nothing is deleted: a
    document whose file is gone stays until it is deleted from the store.

    Args:
        paths: Files and folders.
        acl: Who may see documents that do not say it themselves; empty means nobody.
        keep: The same for some sources, instead of ``acl``; see `readers_so_far`.
        name: Takes the place of the only path's name in sources, and replaces what has that name
            wherever it came from.
        max_bytes: Largest file; larger ones are reported without being read.
        on_progress: Called on the event loop after each file.

    Raises:
        IngestStopped: The store or the embedder failed.
        ValueError: There is a name, but it is empty or there is not exactly one path.
    """
    if name is not None and (len(paths) != 1 or not name.strip("/ ")):
        raise ValueError("a name is for one path, and not empty")
    name = None if name is None else name.strip("/")
    asked = _Asked(acl, keep or {}, max_bytes, anywhere=name is not None)
    run = _Run(store, embedder, asked, on_progress)
    try:
        await run.everything(find_files(paths, name))
    except BackendError as error:
        raise IngestStopped(error, run.report()) from error
    return run.report()


async def readers_so_far(store: DocumentStore) -> Mapping[str, Principals]:
    """Return for each stored source whom it was ingested for, as `ingest` takes it in ``keep``.

    Raises:
        BackendError: As the store raises.
    """
    return {
        info.source: parse_principals(info.metadata[INGESTED_FOR])
        if INGESTED_FOR in info.metadata
        else info.acl
        for info in await store.documents()
    }


async def ingest_bytes(
    source: str,
    data: bytes,
    *,
    store: DocumentStore,
    embedder: Embedder,
    acl: Principals,
    title: str = "",
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> DocumentInfo | None:
    """Publish one document that is already in memory, such as an upload.

    Args:
        source: Identifies the document across versions; its suffix chooses the reader.
        title: Overrules the document's own title, unless empty.

    Returns:
        What the store now lists for it, or None when it was there already, unchanged.

    Raises:
        UnreadableDocument: It cannot become a document, or the store refuses it.
        BackendError: As the store and the embedder raise; nothing was stored.
    """
    if reason := unfit_name(source):
        raise UnreadableDocument(ascii(source[:200]), reason, hint="Choose another name.")
    if len(data) > max_bytes:
        raise too_large(source, len(data), max_bytes)
    mark = await asyncio.to_thread(
        fingerprint, source, data, acl=acl, title=title, embedder=embedder
    )
    if (await store.fingerprints([source])).get(source) == mark:
        return None
    ready = await _in_time(
        source, lambda: prepare(source, data, acl=acl, title=title, embedder=embedder)
    )
    return await _publish(ready, store, embedder)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an ingestion was asked for; ``anywhere``: origins do not matter."""

    acl: Principals
    keep: Mapping[str, Principals]
    max_bytes: int
    anywhere: bool

    def readers(self, source: str) -> Principals:
        return self.keep.get(source, self.acl)


@dataclass(frozen=True, slots=True)
class _Candidate:
    file: FoundFile
    fingerprint: str


class _Run:
    """One ingestion: what it works with, and what it has done so far."""

    def __init__(
        self,
        store: DocumentStore,
        embedder: Embedder,
        asked: _Asked,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._asked = asked
        self._on_progress = on_progress
        self._began = time.monotonic()
        self._counts = IngestReport()
        self._problems: list[Problem] = []
        self._seen: set[str] = set()
        self._origins: Mapping[str, str] | None = None

    def report(self) -> IngestReport:
        return replace(
            self._counts,
            problems=tuple(self._problems),
            seconds=time.monotonic() - self._began,
        )

    async def everything(self, found: Iterator[FoundFile | UnreadableDocument]) -> None:
        while batch := await asyncio.to_thread(self._next_batch, found):
            sources = [item.file.source for item in batch if isinstance(item, _Candidate)]
            known = await self._store.fingerprints(sources) if sources else {}
            for item in batch:
                if isinstance(item, UnreadableDocument):
                    self._unreadable(item)
                elif known.get(item.file.source) == item.fingerprint:
                    self._unchanged(item.file.source)
                elif item.file.source in known and await self._from_elsewhere(item.file):
                    self._unreadable(_of_another_folder(item.file.source))
                else:
                    await self._changed(item.file)

    async def _from_elsewhere(self, file: FoundFile) -> bool:
        """Whether what is stored came from another folder; asked for once, if at all."""
        if self._asked.anywhere:
            return False
        if self._origins is None:
            stored = await self._store.documents()
            self._origins = {info.source: info.metadata.get(ORIGIN, "") for info in stored}
        return self._origins.get(file.source, "") not in ("", file.origin)

    def _next_batch(
        self, found: Iterator[FoundFile | UnreadableDocument]
    ) -> list[_Candidate | UnreadableDocument]:
        return [self._candidate(item) for item in islice(found, FILE_BATCH)]

    def _candidate(self, item: FoundFile | UnreadableDocument) -> _Candidate | UnreadableDocument:
        if isinstance(item, UnreadableDocument):
            return item
        if item.source in self._seen:
            return UnreadableDocument(
                item.source,
                "has the same name as another document of this run",
                hint="Ingest folders whose names differ.",
            )
        self._seen.add(item.source)
        try:
            data = read_bytes(item.path, item.source, self._asked.max_bytes)
        except UnreadableDocument as error:
            return error
        acl = self._asked.readers(item.source)
        mark = fingerprint(item.source, data, acl=acl, title="", embedder=self._embedder)
        return _Candidate(item, mark)

    async def _changed(self, file: FoundFile) -> None:
        try:
            ready = await _in_time(file.source, lambda: self._prepare(file))
            await _publish(ready, self._store, self._embedder)
        except UnreadableDocument as error:
            self._unreadable(error)
            return
        self._counts = replace(
            self._counts,
            published=self._counts.published + 1,
            passages=self._counts.passages + len(ready.passages),
        )
        self._say(Progress(file.source, "published", len(ready.passages)))

    def _prepare(self, file: FoundFile) -> Prepared:
        # Read anew rather than kept: a batch of large files would not fit into memory.
        data = read_bytes(file.path, file.source, self._asked.max_bytes)
        return prepare(
            file.source,
            data,
            acl=self._asked.readers(file.source),
            title="",
            embedder=self._embedder,
            origin=file.origin,
        )

    def _unchanged(self, source: str) -> None:
        self._counts = replace(self._counts, unchanged=self._counts.unchanged + 1)
        self._say(Progress(source, "unchanged"))

    def _unreadable(self, error: UnreadableDocument) -> None:
        self._problems.append(Problem(error.source, error.reason, error.hint))
        self._say(Progress(error.source, "unreadable"))

    def _say(self, progress: Progress) -> None:
        if self._on_progress is not None:
            self._on_progress(progress)


def _of_another_folder(source: str) -> UnreadableDocument:
    return UnreadableDocument(
        source,
        "another folder of that name was ingested before",
        hint="Rename the folder or pass --name NAME.",
    )


async def _in_time(source: str, work: Callable[[], Prepared]) -> Prepared:
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await _in_thread(work)
    except TimeoutError as error:
        raise UnreadableDocument(
            source,
            f"takes longer than {READ_SECONDS:.0f} s to read",
            hint="Split it into smaller files.",
        ) from error


async def _in_thread(work: Callable[[], Prepared]) -> Prepared:
    """As `asyncio.to_thread`, but what nobody waits for any more does not keep us from exiting."""
    done: Future[Prepared] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            done.set_exception(error)

    done.set_running_or_notify_cancel()
    Thread(target=run, name="reading", daemon=True).start()
    return await asyncio.wrap_future(done)


async def _publish(ready: Prepared, store: DocumentStore, embedder: Embedder) -> DocumentInfo:
    vectors = await _embed(ready.texts, embedder)
    try:
        return await store.publish(ready.document, ready.passages, vectors)
    except Refused as error:
        # This document fails again however often it is tried; the others need not.
        raise UnreadableDocument(
            ready.document.source,
            f"is refused by the store: {error.problem.rstrip('.')}",
            hint=error.hint,
        ) from error


async def _embed(texts: Sequence[str], embedder: Embedder) -> Vectors:
    """Embed in batches; shape (len(texts), d)."""
    import numpy as np

    vectors = np.empty((len(texts), embedder.dimension), dtype=np.float32)
    for start in range(0, len(texts), EMBEDDING_BATCH):
        batch = texts[start : start + EMBEDDING_BATCH]
        vectors[start : start + len(batch)] = await embedder.embed(batch)
    return vectors
