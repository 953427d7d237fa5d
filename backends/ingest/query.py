"""A SQL query as a source: each row is a document for those whom the row names."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from itertools import islice
from typing import IO, TYPE_CHECKING, Final

from backends.errors import UnreadableDocument
from backends.ingest.document import one_line
from backends.ingest.files import unfit_name
from backends.ingest.row import Row, missing_columns, read_row
from backends.ingest.seen import Seen
from backends.ingest.source import Content, Item, Offer, Scope, Unwalked, origin_of

if TYPE_CHECKING:
    from backends.postgres import Connection

ROWS: Final = 256
"""Rows held in memory at once."""

STATEMENT_S: Final = 300.0
"""Longest wait for the query, and for each batch of its rows."""

CONNECT_S: Final = 10


class SqlSource:
    """The rows of one query on a PostgreSQL, as `backends.ingest.row.read_row` takes them.

    The query runs in a read-only transaction that is over before the first row is published: rows
    are put aside in a temporary file meanwhile, so that a slow embedder holds nothing up there. An
    id that occurs more than once is reported, and none of its rows is published.

    Args:
        query: One SELECT.
        url: Connection string or URL of the database; never shown.
        name: What the documents are called: ``orders`` makes ``orders/4711``.

    Raises:
        ValueError: The query is empty, or the name cannot be one.
    """

    def __init__(self, query: str, *, url: str, name: str) -> None:
        if reason := unfit_name(name.strip("/")):
            raise ValueError(f"the name {reason}")
        self._query = query.strip().rstrip(";").rstrip()
        if not self._query:
            raise ValueError("the query is empty")
        self._url = url
        self._name = name.strip("/")
        self._origin = origin_of(b"sql:" + self._name.encode())

    @property
    def replaces(self) -> bool:
        """A folder of the same name is left alone."""
        return False

    @property
    def scopes(self) -> Sequence[Scope]:
        """All that a query of this name has brought."""
        return [Scope(self._name, self._origin)]

    @property
    def whole(self) -> bool:
        """All rows are read."""
        return True

    async def batches(self) -> AsyncGenerator[Sequence[Offer], None]:
        """Yield the rows, as `backends.ingest.source.Source` says."""
        with tempfile.TemporaryFile("w+", encoding="utf-8") as spool:
            aside = _Spool(spool)
            async with aclosing(self._spooled(aside)) as problems:
                async for problem in problems:
                    yield [problem]
            yield [self._repeated(key) for key in sorted(aside.repeated)]
            rows = aside.rows()
            while batch := await asyncio.to_thread(lambda: list(islice(rows, ROWS))):
                yield [self._item(row) for row in batch]

    async def _spooled(self, aside: _Spool) -> AsyncGenerator[UnreadableDocument, None]:
        """Put all rows aside; yields what is wrong with some, or with all of it."""
        import psycopg

        before = 0
        try:
            async with aclosing(self._rows()) as batches:
                async for columns, rows in batches:
                    if reason := missing_columns(columns):
                        yield Unwalked(self._name, reason, hint="Correct the query.")
                        return
                    fit: list[Row] = []
                    for number, row in enumerate(rows, start=before + 1):
                        values = dict(zip(columns, row, strict=True))
                        try:
                            fit.append(read_row(self._name, number, values))
                        except UnreadableDocument as error:
                            yield error
                    before += len(rows)
                    await asyncio.to_thread(aside.add, fit)
        except (psycopg.Error, TimeoutError) as error:
            yield _unreachable(self._name, error)

    async def _rows(self) -> AsyncGenerator[tuple[list[str], list[tuple[object, ...]]], None]:
        """Yield the columns' names with each batch of rows, and once without any."""
        from psycopg import IsolationLevel

        from backends.postgres import Connection

        async with asyncio.timeout(CONNECT_S + 1):
            session = await Connection.connect(
                self._url,
                connect_timeout=CONNECT_S,
                application_name="agentic-query-router ingest",
            )
        async with session:
            await session.set_read_only(True)
            await session.set_isolation_level(IsolationLevel.REPEATABLE_READ)
            with session.in_use(STATEMENT_S + 1):
                async for batch in self._fetched(session):
                    yield batch

    async def _fetched(
        self, session: Connection
    ) -> AsyncGenerator[tuple[list[str], list[tuple[object, ...]]], None]:
        await session.execute(
            "SELECT set_config('statement_timeout', %s, true)", [f"{STATEMENT_S * 1000:.0f}"]
        )
        async with session.cursor(name="ingest") as cursor:
            await cursor.execute(self._query.encode())
            columns = [column.name for column in cursor.description or ()]
            yield columns, []
            while rows := await cursor.fetchmany(ROWS):
                yield columns, rows

    def _item(self, row: Row) -> Item:
        mark = row.mark()

        async def content() -> Content:
            return Content(mark, partial(Row.document, row))

        return Item(f"{self._name}/{row.key}", self._origin, mark, content)

    def _repeated(self, key: str) -> UnreadableDocument:
        return UnreadableDocument(
            f"{self._name}/{key}",
            "its id occurs in more than one row",
            hint="Make the query return each id once; until then none of them is published.",
        )


class _Spool:
    """Rows on disk, and the ids that occurred more than once."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._known = Seen()
        self.repeated: set[str] = set()

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if not self._known.add(row.key):
                self.repeated.add(row.key)
            self._file.write(f"{row.to_json()}\n")

    def rows(self) -> Iterator[Row]:
        self._file.seek(0)
        for line in self._file:
            row = Row.from_json(line)
            if row.key not in self.repeated:
                yield row


def _unreachable(name: str, error: Exception) -> Unwalked:
    """What the server says about the query is told; what the driver says may name the login."""
    import psycopg

    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        ours = error.sqlstate[:2] not in _NOT_THE_QUERYS_FAULT
        if ours and (told := error.diag.message_primary):
            return Unwalked(name, f"its query failed ({one_line(told)})", hint="Correct the query.")
    if isinstance(error, psycopg.DataError):
        return Unwalked(
            name,
            f"a value of its query cannot be read ({one_line(str(error))})",
            hint="Make the query return it as text.",
        )
    return Unwalked(
        name,
        "its database cannot be reached or turned us away",
        hint="Check that it runs and that ROUTER_INGEST_SQL_URL is right.",
    )


_NOT_THE_QUERYS_FAULT: Final = frozenset({"08", "28", "3D", "53", "57", "58", "XX"})
"""Classes of SQLSTATE (PostgreSQL, appendix A): connection, login, database, resources, system."""
