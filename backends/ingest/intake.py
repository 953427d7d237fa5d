"""The two things people bring: files and folders, and one document in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from backends.base import DocumentInfo, DocumentStore, Embedder
from backends.errors import UnreadableDocument
from backends.ingest.embedding import embed_all
from backends.ingest.files import unfit_name
from backends.ingest.folder import FolderSource
from backends.ingest.pipeline import Wishes, ingest_source, publish, ready_in_time
from backends.ingest.prepare import fingerprint, prepare
from backends.ingest.read import DEFAULT_MAX_BYTES, read_document, too_large
from backends.ingest.report import IngestReport, Progress
from backends.ingest.source import Content, mark_of
from backends.principals import Principals


async def ingest(
    paths: Sequence[Path],
    *,
    store: DocumentStore,
    embedder: Embedder,
    acl: Principals,
    keeping: bool = False,
    name: str | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    prune: bool = False,
    allow_empty: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Publish every document found in the given files and folders that is new or has changed.

    Sources are named as `backends.ingest.files.find_files` says. What came from another folder of
    the same name is not replaced. A document's own access list wins over ``acl``; one that is
    invalid leaves the document as it was. Documents are published one by one, each as a whole, so
    that after an interruption the same call goes on where it stopped. Without ``prune`` nothing is
    deleted: a document whose file is gone stays until it is deleted from the store.

    Args:
        paths: Files and folders.
        acl: Who may see documents that do not say it themselves; empty means nobody.
        keeping: Known documents stay with the readers that they were ingested for, instead.
        name: Takes the place of the only path's name in sources, and replaces what has that name
            wherever it came from.
        max_bytes: Largest file; larger ones are reported without being read.
        prune: Delete documents that came from these folders and are no longer in them. Nothing is
            deleted when a folder is empty or cannot be looked into.
        allow_empty: Delete all of them when a folder is empty.
        on_progress: Called on the event loop after each file.

    Raises:
        IngestStopped: The store or the embedder failed.
        ValueError: There is a name, but it is empty or there is not exactly one path.
    """
    source = FolderSource(paths, name=name, max_bytes=max_bytes, allow_empty=allow_empty)
    wishes = Wishes(acl, keeping, prune, allow_empty, on_progress)
    return await ingest_source(source, store=store, embedder=embedder, wishes=wishes)


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
    content = Content(await asyncio.to_thread(mark_of, data), partial(read_document, source, data))
    mark = fingerprint(source, content.mark, acl=acl, title=title, embedder=embedder)
    if (await store.fingerprints([source])).get(source) == mark:
        return None
    ready = await ready_in_time(
        source, lambda: prepare(source, content, acl=acl, title=title, embedder=embedder)
    )
    [embedded] = await embed_all([ready], embedder)
    return await publish(embedded, store)
