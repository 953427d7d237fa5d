"""Both document stores behind one fixture, and small documents to put into them."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.base import (
    DocumentInfo,
    DocumentStore,
    NewDocument,
    NewPassage,
    Retriever,
    ScoredPassage,
    SearchQuery,
)
from backends.memory.store import MemoryStore
from backends.pgvector import PgvectorStore, open_pgvector
from backends.postgres.pool import SCHEMA, Limits
from backends.principals import asker, parse_principals

DIMENSION = 384


class Store(Retriever, DocumentStore, Protocol):
    """Both ports at once, as each store has them."""


OpenStore: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]


@pytest.fixture(params=["memory", "pgvector"])
def open_store(request: pytest.FixtureRequest) -> OpenStore:
    """Opens an empty store of each kind; a context manager, as its connections belong to a loop."""
    if request.param == "memory":
        return in_memory
    url: str = request.getfixturevalue("database_url")
    return lambda: in_postgres(url)


@asynccontextmanager
async def in_memory() -> AsyncIterator[Store]:
    """An empty twin."""
    yield MemoryStore(dimension=DIMENSION)


@asynccontextmanager
async def in_postgres(
    url: str,
    *,
    model: str | None = "words",
    dimension: int = DIMENSION,
    schema: str = SCHEMA,
    limits: Limits | None = None,
) -> AsyncIterator[PgvectorStore]:
    """The real one, on a migrated database."""
    async with open_pgvector(
        url, schema=schema, limits=limits, model=model, dimension=dimension
    ) as store:
        yield store


def new_document(
    source: str,
    body: str,
    *,
    acl: str = "everyone",
    title: str = "Untitled",
    fingerprint: str = "",
    metadata: Mapping[str, str] | None = None,
) -> NewDocument:
    """A document with a principal list as people write it."""
    return NewDocument(
        source=source,
        title=title,
        body=body,
        media_type="text/markdown",
        fingerprint=fingerprint or repr((title, body, acl, metadata)),
        acl=parse_principals(acl),
        metadata=metadata or {},
    )


def one_passage(document: NewDocument) -> Sequence[NewPassage]:
    """The whole body as one passage."""
    return [NewPassage(start=0, end=len(document.body), text=document.body)]


def embedded(texts: Sequence[str]) -> NDArray[np.float32]:
    """One unit vector a text, made of its words: texts that share words point the same way."""
    vectors = np.zeros((len(texts), DIMENSION), np.float32)
    for vector, text in zip(vectors, texts, strict=True):
        vector[0] = 0.1
        for word in text.casefold().split():
            vector[zlib.crc32(word.encode("utf-8", "replace")) % (DIMENSION - 1) + 1] += 1
        vector /= np.linalg.norm(vector)
    return vectors


async def publish(
    store: Store, document: NewDocument, passages: Sequence[NewPassage] | None = None
) -> DocumentInfo:
    """Publish it, as one passage if nothing else is said."""
    passages = one_passage(document) if passages is None else passages
    return await store.publish(document, passages, embedded([one.text for one in passages]))


async def search(
    store: Store, text: str, *, who: str = "user:ana", limit: int = 8, like: str | None = None
) -> Sequence[ScoredPassage]:
    """Search on somebody's behalf; ``like`` is the text to embed instead of the question."""
    embedding = embedded([text if like is None else like])[0]
    return await store.search(SearchQuery(text, embedding, asker(who), limit))


async def sources(store: Store, text: str, *, who: str = "user:ana") -> Sequence[str]:
    """The sources that a search finds, best first."""
    return [found.passage.source for found in await search(store, text, who=who)]
