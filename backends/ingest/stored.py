"""Reads the store's listing a page at a time: a large index need not fit into memory."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass

from backends.base import DocumentInfo, DocumentStore
from backends.ingest.prepare import INGESTED_FOR, ORIGIN
from backends.ingest.source import Scope
from backends.principals import Principals, parse_principals

_PAGE = 512
_PAGES = 8
"""Pages remembered; a folder is walked almost in the order of the listing."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a run asks about a stored document: for whom it was ingested, and from where."""

    readers: Principals
    origin: str


@dataclass(frozen=True, slots=True)
class _Page:
    """All stored documents between two sources; ``last`` is None up to the end of the listing."""

    after: str
    last: str | None
    known: Mapping[str, Known]

    def covers(self, source: str) -> bool:
        return self.after < source and (self.last is None or source <= self.last)


class StoredDocuments:
    """What is known of stored documents by their sources."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self._pages: deque[_Page] = deque(maxlen=_PAGES)

    async def get(self, source: str) -> Known | None:
        """Return what is stored under a source, as it was when this part was first read."""
        for page in reversed(self._pages):
            if page.covers(source):
                return page.known.get(source)
        page = await self._load(source[:-1])  # sorts before the source, with little in between
        self._pages.append(page)
        return page.known.get(source)

    async def _load(self, after: str) -> _Page:
        listed = await self._store.documents(after=after, limit=_PAGE)
        last = listed[-1].source if len(listed) == _PAGE else None
        return _Page(after, last, {info.source: _known(info) for info in listed})


async def documents_of(store: DocumentStore, scope: Scope) -> AsyncGenerator[str, None]:
    """Yield the sources of the stored documents that a scope covers; deleting them is safe."""
    found = await store.document(scope.base)
    if found is not None and scope.covers(scope.base, origin_of_stored(found[0])):
        yield scope.base
    # The last text before all that begin with base and a slash.
    after = f"{scope.base}{chr(ord('/') - 1)}\U0010ffff"
    while page := await store.documents(after=after, limit=_PAGE):
        for info in page:
            if not info.source.startswith(f"{scope.base}/"):
                return
            if scope.covers(info.source, origin_of_stored(info)):
                yield info.source
        after = page[-1].source


def origin_of_stored(info: DocumentInfo) -> str:
    """Return where a stored document came from; empty when no source brought it."""
    return info.metadata.get(ORIGIN, "")


def _known(info: DocumentInfo) -> Known:
    stated = info.metadata.get(INGESTED_FOR)
    # What was stored before that was written down keeps the readers that it has.
    readers = info.acl if stated is None else parse_principals(stated)
    return Known(readers, origin_of_stored(info))
