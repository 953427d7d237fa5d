"""The document store on PostgreSQL: search in one statement, publishing in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from backends.base import (
    DocumentInfo,
    NewDocument,
    NewPassage,
    Passage,
    PassageId,
    ScoredPassage,
    SearchQuery,
)
from backends.errors import Misconfigured, OtherModel, UnknownField
from backends.filters import INTERNAL
from backends.pgvector import rows, statements
from backends.pgvector.spaces import (
    Reindexing,
    Space,
    build_index,
    check,
    claim,
    embedded_otherwise,
    purge,
    table,
)
from backends.postgres.pool import Connection, Limits, Pool, connection, open_pool, ping
from backends.principals import Principals
from backends.publishing import check_publishable, check_vectors, storable
from backends.terms import MAX_QUESTION_TERMS, passage_weights, question_terms

if TYPE_CHECKING:
    from backends.base import Vectors

_BATCH = 500
"""Passages sent at a time, which keeps every statement short."""

_LONG_QUESTION = 4_000
"""Characters from which analysing a question would hold up the event loop."""

_OTHER_SPACE = "RS001"
"""SQLSTATE of search_plan for documents that another model has embedded."""


@asynccontextmanager
async def open_pgvector(
    url: str,
    *,
    schema: str,
    limits: Limits | None = None,
    model: str | None = None,
    dimension: int = 384,
) -> AsyncIterator[PgvectorStore]:
    """Open the store of a migrated schema, and close its connections afterwards.

    Args:
        url: Connection string or URL of the schema's owner.
        model: Name of the embedding model; without it documents can be listed and deleted only.
        dimension: Length of its vectors.

    Raises:
        BackendError: As `backends.postgres.open_pool`.
    """
    async with (
        open_pool(url, schema=schema, limits=limits) as writing,
        open_pool(url, schema=schema, limits=limits, reader=True) as reading,
    ):
        yield PgvectorStore(writing, reading, model=model, dimension=dimension)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Passages of one document on their way into the tables; ``first`` is the first's ordinal."""

    space: int
    document: UUID
    version: int
    first: int
    passages: Sequence[NewPassage]
    embeddings: Vectors
    weights: Sequence[Mapping[int, float]]

    def copies(self) -> Sequence[tuple[sql.SQL | sql.Composed, Sequence[rows.Row]]]:
        """Each COPY with its rows."""
        ids = rows.new_ids(len(self.passages))
        passages = rows.passage_rows(self.document, self.version, self.first, ids, self.passages)
        terms = rows.term_rows(self.document, ids, self.weights)
        sentences = rows.sentence_rows(ids, self.passages)
        embeddings = rows.embedding_rows(self.document, ids, self.embeddings)
        return [
            (sql.SQL(statements.COPY_PASSAGES), list(passages)),
            (sql.SQL(statements.COPY_TERMS), list(terms)),
            (sql.SQL(statements.COPY_SENTENCES), list(sentences)),
            (sql.SQL(statements.COPY_EMBEDDINGS).format(table(self.space)), list(embeddings)),
        ]


class PgvectorStore:
    """Documents and hybrid search in one schema of one database.

    Args:
        writing: Connections of the schema's owner, for publishing and the operator's views.
        reading: Connections without any right to a table, for whatever is read on behalf of an
            asker (see ``postgres/migrations/0003_reading.sql``).
        model: Name of the embedding model; without it documents can be listed and deleted only.
        dimension: Length of its vectors.
    """

    def __init__(
        self, writing: Pool, reading: Pool, *, model: str | None = None, dimension: int = 384
    ) -> None:
        self._pool = writing
        self._reading = reading
        self._space = None if model is None else Space(model, dimension)

    async def check_live(self) -> None:
        """Return when documents can be published with our model.

        Raises:
            OtherModel: There are documents that another model has embedded; names both.
            Unavailable: The database cannot be reached in time.
        """
        await check(self._pool, self._ours())

    async def ping(self) -> None:
        """Return when the database answers, be it ever so busy.

        Raises:
            Unavailable: It does not, or not in time.
            Misconfigured: It turns the login down.
        """
        await ping(self._pool)

    async def search(self, query: SearchQuery, *, exact: bool = False) -> Sequence[ScoredPassage]:
        """Return the visible passages that fit best, as `backends.base.Retriever` says.

        Args:
            exact: Look at every visible passage, however many there are.
        """
        if not rows.storable_only(query.principals) or query.limit < 1:
            return ()
        asked = await self._asked(query, exact=exact)
        async with (
            connection(self._reading, "search the documents") as session,
            session.cursor(binary=True, row_factory=dict_row) as cursor,
        ):
            try:
                await cursor.execute(statements.SEARCH, asked)
            except psycopg.Error as error:
                if error.sqlstate != _OTHER_SPACE:
                    raise
                raise self._other_space(error.diag) from error
            found = [rows.scored_passage(row) for row in await cursor.fetchall()]
            if query.where and not found:
                await self._require_fields(session, query)
            return found

    async def explain(self, query: SearchQuery, *, exact: bool = False) -> str:
        """Run a search and return what the database did for it, as EXPLAIN ANALYZE tells it.

        Raises:
            BackendError: As `search`.
        """
        asked = await self._asked(query, exact=exact)
        async with connection(self._pool, "explain a search") as session:
            async with session.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(statements.SEARCH_PLAN.encode(), asked)
                plan = await cursor.fetchone()
            if plan is None:
                return "There is nothing to search.\n"
            await session.execute(statements.SEARCH_SETTINGS)
            values = [
                asked["principals"],
                asked["embedding"],
                plan["worth"],
                plan["chosen"],
                asked["conditions"],
                asked["candidates"],
                asked["most"],
                asked["today"],
            ]
            raw = psycopg.AsyncRawCursor(session)
            await raw.execute(f"EXPLAIN (ANALYZE, BUFFERS) {plan['statement']}".encode(), values)
            lines = [line for (line,) in await raw.fetchall()]
        return "\n".join([f"dense: {plan['dense']}, lexical: {plan['lexical']}", *lines, ""])

    async def fingerprints(self, sources: Sequence[str]) -> Mapping[str, str]:
        """Return what is known of the sources, as `backends.base.DocumentStore` says."""
        async with connection(self._pool, "compare the fingerprints") as session:
            known = await session.execute(statements.FINGERPRINTS, [rows.storable_only(sources)])
            return dict(await known.fetchall())

    async def publish(
        self, document: NewDocument, passages: Sequence[NewPassage], embeddings: Vectors
    ) -> DocumentInfo:
        """Store a new version, as `backends.base.DocumentStore` says.

        Raises:
            Refused: The document holds what a database cannot, or contradicts itself.
        """
        ours = self._ours()
        check_publishable(document, passages, embeddings, ours.dimension)
        weights = await asyncio.to_thread(passage_weights, document.title, passages)
        async with self._transaction(f"publish {document.source[:120]!r}") as session:
            space = await claim(session, ours)
            values = rows.document_values(document, passages)
            row = await _only_row(session, statements.UPSERT_DOCUMENT, values)
            if row is None:
                stored = await _only_row(session, statements.STORED, values)
                return rows.document_info(stored)
            info = rows.document_info(row)
            await session.execute(
                statements.INSERT_VERSION, [row["id"], info.version, document.body]
            )
            for first in range(0, len(passages), _BATCH):
                batch = slice(first, first + _BATCH)
                await _insert(
                    session,
                    _Batch(
                        space,
                        row["id"],
                        info.version,
                        first,
                        passages[batch],
                        embeddings[batch],
                        weights[batch],
                    ),
                )
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
        asked: dict[str, Any] = {"after": after, "limit": limit}
        if visible_to is None:
            found = await self._read(self._pool, statements.DOCUMENTS, asked)
        else:
            asked |= {"principals": rows.storable_only(visible_to)}
            found = await self._read(self._reading, statements.VISIBLE_DOCUMENTS, asked)
        return [rows.document_info(row) for row in found]

    async def document(
        self, source: str, *, visible_to: Principals | None = None
    ) -> tuple[DocumentInfo, str] | None:
        """Return one document and its text, as `backends.base.DocumentStore` says."""
        if not storable(source):
            return None
        if visible_to is None:
            found = await self._read(self._pool, statements.DOCUMENT, {"source": source})
        else:
            asked = {"source": source, "principals": rows.storable_only(visible_to)}
            found = await self._read(self._reading, statements.VISIBLE_BODY, asked)
        return (rows.document_info(found[0]), found[0]["body"]) if found else None

    async def passage(self, passage_id: PassageId, *, visible_to: Principals) -> Passage | None:
        """Return one passage by its id, as `backends.base.DocumentStore` says."""
        try:
            asked = {"id": UUID(passage_id), "principals": rows.storable_only(visible_to)}
        except ValueError:
            return None
        found = await self._read(self._reading, statements.VISIBLE_PASSAGE, asked)
        # UUIDs are read in many ways; only the one that was given out counts.
        known = bool(found) and str(found[0]["id"]) == passage_id
        return rows.passage_record(found[0]) if known else None

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

    async def settle(self) -> None:
        """Build the index that so many passages deserve, as `backends.base.DocumentStore` says."""
        if self._space is not None:
            await build_index(self._pool, self._space)

    def reindexing(self) -> Reindexing:
        """Return the means to embed what is stored with our model, beside the one of now."""
        return Reindexing(self._pool, self._ours())

    async def purge_embeddings(self) -> Sequence[str]:
        """Remove the vectors of every model but the live one; return the names of those models."""
        return [space.model for space in await purge(self._pool)]

    async def _asked(self, query: SearchQuery, *, exact: bool) -> dict[str, Any]:
        ours = self._ours()
        check_vectors(query.embedding, (ours.dimension,), "of the question")
        if len(query.text) < _LONG_QUESTION:
            terms = question_terms(query.text)
        else:
            terms = await asyncio.to_thread(question_terms, query.text)
        return {
            "model": ours.model,
            "dimension": ours.dimension,
            "principals": rows.storable_only(query.principals),
            "terms": terms,
            "most_terms": MAX_QUESTION_TERMS,
            "embedding": rows.dense(query.embedding),
            "conditions": rows.conditions(query.where),
            "candidates": query.depth,
            "most": query.limit,
            "today": datetime.now(UTC).date().isoformat(),
            "exact": exact,
        }

    def _other_space(self, told: psycopg.errors.Diagnostic) -> OtherModel:
        theirs = Space(told.message_primary or "", int(told.message_detail or 0))
        return embedded_otherwise(theirs, self._ours())

    async def _require_fields(self, session: Connection, query: SearchQuery) -> None:
        """Tell a typing error from a condition that nothing satisfies."""
        visible = rows.storable_only(query.principals)
        cursor = await session.execute(statements.VISIBLE_FIELDS, [visible])
        known = [name for (name,) in await cursor.fetchall() if name not in INTERNAL]
        for condition in query.where:
            if condition.field not in known:
                raise UnknownField(condition.field, known)

    async def _read(self, pool: Pool, statement: str, values: Mapping[str, Any]) -> Sequence[Any]:
        async with (
            connection(pool, "read documents") as session,
            session.cursor(binary=True, row_factory=dict_row) as cursor,
        ):
            await cursor.execute(statement.encode(), values)
            return await cursor.fetchall()

    def _transaction(self, doing: str) -> AbstractAsyncContextManager[Connection]:
        """Many statements, which take long together for a large document."""
        return connection(self._pool, doing, within_s=self._pool.limits.transaction_s)

    def _ours(self) -> Space:
        if self._space is None:
            raise Misconfigured(
                "The document store was opened without an embedding model.",
                backend="database",
                hint="Name the model; without it documents can only be listed and deleted.",
            )
        return self._space


async def _only_row(session: Connection, statement: str, values: Mapping[str, Any]) -> Any:
    async with session.cursor(binary=True, row_factory=dict_row) as cursor:
        await cursor.execute(statement.encode(), values)
        return await cursor.fetchone()


async def _insert(session: Connection, batch: _Batch) -> None:
    for statement, lines in await asyncio.to_thread(batch.copies):
        async with session.cursor().copy(statement) as copy:
            for line in lines:
                await copy.write_row(line)


async def _count(session: Connection, document: UUID, version: int | None) -> None:
    """Bring the statistics up to date; see `statements.COUNT_TERMS`."""
    which = {"document": document, "version": version}
    gone = await (await session.execute(statements.COUNT_TERMS, which)).fetchone()
    if gone is not None and gone[0]:
        await session.execute(statements.FORGET_TERMS, [gone[0]])
    await session.execute(statements.COUNT_PASSAGES, which)
