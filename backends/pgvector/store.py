"""The document store on PostgreSQL: search in one statement, publishing in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pgvector import HalfVector, SparseVector
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from backends.base import (
    DocumentId,
    DocumentInfo,
    NewDocument,
    NewPassage,
    Passage,
    PassageId,
    ScoredPassage,
    SearchQuery,
)
from backends.errors import Misconfigured
from backends.pgvector import statements
from backends.postgres.pool import Connection, Pool, connection, ping
from backends.principals import Principal, Principals
from backends.publishing import check_publishable, check_vectors, storable
from backends.terms import DIMENSIONS, MAX_QUESTION_TERMS, passage_weights, question_terms

if TYPE_CHECKING:
    from backends.base import Vector, Vectors

_CANDIDATES = 50
"""Passages that each leg of the search brings along."""

_BATCH = 500
"""Passages sent at a time, which keeps every statement short."""

_LONG_QUESTION = 4_000
"""Characters from which analysing a question would hold up the event loop."""

_NO_MODEL = "none"


class PgvectorStore:
    """Documents and hybrid search in one schema of one database.

    Args:
        pool: Connections that see the migrated schema.
        model: Name of the embedding model; without it documents can be listed and deleted only.
        dimension: Length of its vectors.
    """

    def __init__(self, pool: Pool, *, model: str | None = None, dimension: int = 384) -> None:
        self._pool = pool
        self._model = model or _NO_MODEL
        self._dimension = dimension
        self._search_sql = (files("backends.pgvector") / "search.sql").read_bytes()
        self._space_is_ours = False

    async def check_space(self) -> None:
        """Return when what is stored, if anything, was embedded with our model.

        Raises:
            Misconfigured: It was embedded with another; the message names both.
            Unavailable: The database cannot be reached in time.
        """
        self._require_model()
        async with connection(self._pool, "check the embedding model") as session:
            found = await (await session.execute(statements.SPACE)).fetchone()
        # Loads the stemmer, which would hold up the event loop for a moment.
        await asyncio.to_thread(question_terms, "")
        if found is not None:
            self._compare(*found)
            self._space_is_ours = True

    async def ping(self) -> None:
        """Return when the database answers, be it ever so busy.

        Raises:
            Unavailable: It does not, or not in time.
            Misconfigured: It turns the login down.
        """
        await ping(self._pool)

    async def search(self, query: SearchQuery) -> Sequence[ScoredPassage]:
        """Return the visible passages that fit best, as `backends.base.Retriever` says."""
        principals = _storable(query.principals)
        if not principals or query.limit < 1:
            return ()
        check_vectors(query.embedding, (self._dimension,), "of the question")
        if not self._space_is_ours:
            await self.check_space()
        if len(query.text) < _LONG_QUESTION:
            terms = question_terms(query.text)
        else:
            terms = await asyncio.to_thread(question_terms, query.text)
        asked = {
            "principals": principals,
            "terms": terms,
            "most_terms": MAX_QUESTION_TERMS,
            "embedding": _dense(query.embedding),
            "candidates": max(_CANDIDATES, query.limit),
            "most": query.limit,
            "today": datetime.now(UTC).date().isoformat(),
        }
        async with (
            connection(self._pool, "search the documents") as session,
            session.cursor(binary=True, row_factory=dict_row) as cursor,
        ):
            await cursor.execute(self._search_sql, asked)
            return [_found(row) for row in await cursor.fetchall()]

    async def fingerprints(self, sources: Sequence[str]) -> Mapping[str, str]:
        """Return what is known of the sources, as `backends.base.DocumentStore` says."""
        async with connection(self._pool, "compare the fingerprints") as session:
            known = await session.execute(statements.FINGERPRINTS, [_storable(sources)])
            return dict(await known.fetchall())

    async def publish(
        self, document: NewDocument, passages: Sequence[NewPassage], embeddings: Vectors
    ) -> DocumentInfo:
        """Store a new version, as `backends.base.DocumentStore` says.

        Raises:
            Refused: The document holds what a database cannot, or contradicts itself.
        """
        self._require_model()
        check_publishable(document, passages, embeddings, self._dimension)
        weights = await asyncio.to_thread(passage_weights, document.title, passages)
        async with self._transaction(f"publish {document.source[:120]!r}") as session:
            await self._claim_space(session)
            values = _values(document, passages)
            row = await _only_row(session, statements.UPSERT_DOCUMENT, values)
            if row is None:
                return _info(await _only_row(session, statements.STORED, values))
            info = _info(row)
            await session.execute(
                statements.INSERT_VERSION, [row["id"], info.version, document.body]
            )
            for first in range(0, len(passages), _BATCH):
                batch = slice(first, first + _BATCH)
                lines = await asyncio.to_thread(
                    _lines, row, first, passages[batch], embeddings[batch], weights[batch]
                )
                async with session.cursor().copy(statements.COPY_PASSAGES) as copy:
                    for line in lines:
                        await copy.write_row(line)
            # Last, since whoever else publishes waits from here on.
            await _count(session, row["id"], info.version)
            await session.execute(statements.DELETE_OLD_PASSAGES, [row["id"], info.version])
        return info

    async def documents(
        self,
        *,
        visible_to: Principals | None = None,
        after: str = "",
        limit: int | None = None,
    ) -> Sequence[DocumentInfo]:
        """List documents, as `backends.base.DocumentStore` says."""
        asked = _view(visible_to) | {"after": after, "limit": limit}
        async with (
            connection(self._pool, "list the documents") as session,
            session.cursor(binary=True, row_factory=dict_row) as cursor,
        ):
            await cursor.execute(statements.DOCUMENTS, asked)
            return [_info(row) for row in await cursor.fetchall()]

    async def document(
        self, source: str, *, visible_to: Principals | None = None
    ) -> tuple[DocumentInfo, str] | None:
        """Return one document and its text, as `backends.base.DocumentStore` says."""
        if not storable(source):
            return None
        async with (
            connection(self._pool, "read a document") as session,
            session.cursor(binary=True, row_factory=dict_row) as cursor,
        ):
            await cursor.execute(statements.DOCUMENT, _view(visible_to) | {"source": source})
            row = await cursor.fetchone()
        return None if row is None else (_info(row), row["body"])

    async def passage(self, passage_id: PassageId, *, visible_to: Principals) -> Passage | None:
        """Return one passage by its id, as `backends.base.DocumentStore` says."""
        try:
            asked = {"id": UUID(passage_id), "principals": _storable(visible_to)}
        except ValueError:
            return None
        async with (
            connection(self._pool, "read a passage") as session,
            session.cursor(binary=True, row_factory=dict_row) as cursor,
        ):
            await cursor.execute(statements.PASSAGE, asked)
            row = await cursor.fetchone()
        # UUIDs are read in many ways; only the one that was given out counts.
        return _passage(row) if row is not None and str(row["id"]) == passage_id else None

    async def delete(self, source: str) -> bool:
        """Remove a document and all that came of it, as `backends.base.DocumentStore` says."""
        if not storable(source):
            return False
        async with self._transaction(f"delete {source[:120]!r}") as session:
            found = await (await session.execute(statements.LOCK_DOCUMENT, [source])).fetchone()
            if found is None:
                return False
            await _count(session, found[0], None)
            await session.execute(statements.DELETE_DOCUMENT, [found[0]])
            return True

    def _transaction(self, doing: str) -> AbstractAsyncContextManager[Connection]:
        """Many statements, which take long together for a large document."""
        return connection(self._pool, doing, within_s=self._pool.limits.transaction_s)

    async def _claim_space(self, session: Connection) -> None:
        """Make the stored embeddings' model ours, unless there are documents of another."""
        ours = {"model": self._model, "dimension": self._dimension}
        await session.execute(statements.CLAIM_SPACE, ours)
        found = await (await session.execute(statements.SPACE_HELD)).fetchone()
        if found != (self._model, self._dimension):
            await session.execute(statements.LOCK_SPACE)
            changed = await (await session.execute(statements.CHANGE_SPACE, ours)).fetchone()
            self._compare(*(changed or found or (_NO_MODEL, 0)))

    def _compare(self, model: str, dimension: int) -> None:
        if (model, dimension) != (self._model, self._dimension):
            raise Misconfigured(
                f"The documents were embedded with {model} ({dimension} dimensions), but "
                f"{self._model} ({self._dimension} dimensions) is set.",
                backend="database",
                hint="Set the model that they were stored with, or delete and ingest them again.",
            )

    def _require_model(self) -> None:
        if self._model == _NO_MODEL:
            raise Misconfigured(
                "The document store was opened without an embedding model.",
                backend="database",
                hint="Name the model; without it documents can only be listed and deleted.",
            )


async def _only_row(session: Connection, statement: str, values: Mapping[str, Any]) -> Any:
    async with session.cursor(binary=True, row_factory=dict_row) as cursor:
        await cursor.execute(statement.encode(), values)
        return await cursor.fetchone()


async def _count(session: Connection, document: UUID, version: int | None) -> None:
    """Bring the statistics up to date; see `statements.COUNT_TERMS`."""
    which = {"document": document, "version": version}
    gone = await (await session.execute(statements.COUNT_TERMS, which)).fetchone()
    if gone is not None and gone[0]:
        await session.execute(statements.FORGET_TERMS, [gone[0]])
    await session.execute(statements.COUNT_PASSAGES, which)


def _values(document: NewDocument, passages: Sequence[NewPassage]) -> Mapping[str, Any]:
    return {
        "source": document.source,
        "title": document.title,
        "media_type": document.media_type,
        "fingerprint": document.fingerprint,
        "acl": sorted(document.acl),
        "metadata": Jsonb(dict(document.metadata)),
        "passages": len(passages),
        "characters": len(document.body),
    }


def _lines(
    row: Mapping[str, Any],
    first: int,
    passages: Sequence[NewPassage],
    embeddings: Vectors,
    weights: Sequence[Mapping[int, float]],
) -> Sequence[tuple[object, ...]]:
    return [
        (
            row["id"],
            row["live_version"],
            ordinal,
            passage.start,
            passage.end,
            passage.page,
            passage.heading,
            passage.text,
            _dense(embedding),
            _sparse(terms),
        )
        for ordinal, (passage, embedding, terms) in enumerate(
            zip(passages, embeddings, weights, strict=True), start=first
        )
    ]


def _dense(vector: Vector) -> str:
    return HalfVector(vector).to_text()


def _sparse(weights: Mapping[int, float]) -> str:
    # The server counts dimensions from 1, as our terms do; the package counts from 0.
    entries = {term - 1: weight for term, weight in weights.items()}
    return SparseVector(entries, DIMENSIONS).to_text()


def _storable(texts: Sequence[str] | Principals) -> list[str]:
    """Without those that no row can hold, as the server would refuse even to look for them."""
    return [text for text in texts if storable(text)]


def _view(visible_to: Principals | None) -> dict[str, Any]:
    everything = visible_to is None
    return {"everything": everything, "principals": _storable(visible_to or frozenset())}


def _info(row: Mapping[str, Any]) -> DocumentInfo:
    return DocumentInfo(
        id=DocumentId(str(row["id"])),
        source=row["source"],
        title=row["title"],
        version=row["live_version"],
        media_type=row["media_type"],
        fingerprint=row["fingerprint"],
        acl=frozenset(map(Principal, row["acl"])),
        passages=row["passages"],
        characters=row["characters"],
        updated_at=row["updated_at"],
        metadata=row["metadata"],
    )


def _found(row: Mapping[str, Any]) -> ScoredPassage:
    return ScoredPassage(
        _passage(row),
        float(row["score"]),
        row["similarity"],
        row["lexical"],
        row["superseded_by"] or "",
    )


def _passage(row: Mapping[str, Any]) -> Passage:
    return Passage(
        id=PassageId(str(row["id"])),
        document_id=DocumentId(str(row["document_id"])),
        title=row["title"],
        source=row["source"],
        version=row["version"],
        ordinal=row["ordinal"],
        start=row["start_offset"],
        end=row["end_offset"],
        text=row["text"],
        heading=row["heading"],
        page=row["page"],
    )
