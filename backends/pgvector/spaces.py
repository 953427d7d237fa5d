"""Embedding spaces: which model's vectors are searched, how another one takes over, and the index.

Vectors of two models cannot be compared, so each model has a table of its own, ``embedding_N``.
One space is live: what is published goes there. Another can be built beside it while questions are
answered, and takes over in one step; the old one stays until it is purged, so that processes which
still run with the old model keep finding what they knew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from psycopg import sql
from psycopg.rows import dict_row

from backends.errors import OtherModel
from backends.pgvector import statements
from backends.pgvector.rows import dense
from backends.postgres.pool import Connection, Pool, alone, connection
from backends.postgres.session import Session

if TYPE_CHECKING:
    from backends.base import Vectors

INDEX_FROM: Final = 12_000
"""Passages from which an index is kept; up to so many visible ones, search is exact anyway."""

BUILD_S: Final = 3_600.0
"""Building an index may take so long, in seconds."""

_BYTES_A_LINK: Final = 400
_LOCK: Final = 4_611_686_018_427_388_039
"""Key of the advisory lock of whoever builds an index; any number that nobody else uses."""


@dataclass(frozen=True, slots=True)
class Space:
    """What vectors are comparable: those of one model, of one length."""

    model: str
    dimension: int

    def __str__(self) -> str:
        return f"{self.model} ({self.dimension} dimensions)"


@dataclass(frozen=True, slots=True)
class Unembedded:
    """A passage that has no vector in a space yet."""

    id: UUID
    title: str
    heading: str
    text: str


async def claim(session: Connection, ours: Space) -> int:
    """Return the id of our space, live and held so until the transaction ends.

    An empty store takes any space.

    Raises:
        OtherModel: The documents live in another one.
    """
    found = await (await session.execute(statements.LIVE_SPACE)).fetchone()
    if found is None or Space(*found[1:]) != ours:
        await session.execute(statements.LOCK_SPACES)
        found = await (await session.execute(statements.LIVE_SPACE)).fetchone()
        if found is None or Space(*found[1:]) != ours:
            if found is not None and await _any_document(session):
                raise embedded_otherwise(Space(*found[1:]), ours)
            await _replace(session, ours)
    held = await (await session.execute(statements.LIVE_SPACE_HELD)).fetchone()
    if held is None or Space(*held[1:]) != ours:
        raise embedded_otherwise(Space(*held[1:]) if held else ours, ours)
    return int(held[0])


async def check(pool: Pool, ours: Space) -> None:
    """Return when our space is the live one, or there is nothing in it yet.

    Raises:
        OtherModel: What is stored was embedded with another model; the message names both.
    """
    async with connection(pool, "check the embedding model") as session:
        live = await (await session.execute(statements.LIVE_SPACE)).fetchone()
        if live is not None and Space(*live[1:]) != ours and await _any_document(session):
            raise embedded_otherwise(Space(*live[1:]), ours)


def embedded_otherwise(theirs: Space, ours: Space) -> OtherModel:
    """The error of a store whose documents were embedded with another model."""
    return OtherModel(
        f"The documents were embedded with {theirs}, but {ours} is set.",
        backend="database",
        hint="Set the model that they were embedded with, or embed them anew with: "
        "router documents reindex",
    )


class Reindexing:
    """Builds a space beside the live one and lets it take over.

    Args:
        pool: Connections that may write.
        space: The space to build.
    """

    def __init__(self, pool: Pool, space: Space) -> None:
        self._pool = pool
        self._space = space
        self._id = 0
        self._after = UUID(int=0)

    async def begin(self) -> bool:
        """Make the space's table; False when the space is live already."""
        async with self._transaction("begin to reindex") as session:
            await session.execute(statements.LOCK_SPACES)
            live = await (await session.execute(statements.LIVE_SPACE)).fetchone()
            if live is not None and Space(*live[1:]) == self._space:
                return False
            self._id = await _added(session, self._space, "building")
        return True

    async def next(self, most: int) -> Sequence[Unembedded]:
        """Return the next passages without a vector; none at the end of a round."""
        statement = sql.SQL(statements.UNEMBEDDED).format(space=table(self._id))
        async with self._transaction("look for passages to embed") as session:
            found = await session.execute(
                statement,
                {"after": self._after, "most": most},
            )
            rows = [Unembedded(*row) for row in await found.fetchall()]
        self._after = rows[-1].id if rows else UUID(int=0)
        return rows

    async def add(self, ids: Sequence[UUID], vectors: Vectors) -> None:
        """Store vectors, one a passage, shape (len(ids), d); passages gone meanwhile get none."""
        statement = sql.SQL(statements.EMBED).format(space=table(self._id))
        written = [dense(vector) for vector in vectors]
        async with self._transaction("store new embeddings") as session:
            await session.execute(statement, {"ids": list(ids), "vectors": written})

    async def index(self) -> None:
        """Build the index of the space, if it is worth one."""
        await build_index(self._pool, self._space)

    async def finish(self) -> bool:
        """Let the space take over; False, and nothing done, while a passage has no vector in it."""
        missing = sql.SQL(statements.UNEMBEDDED).format(space=table(self._id))
        async with self._transaction("take over the new embeddings") as session:
            await session.execute(statements.LOCK_SPACES)
            found = await session.execute(missing, {"after": UUID(int=0), "most": 1})
            if await found.fetchone() is not None:
                return False
            await session.execute(statements.RETIRE_SPACE)
            await _added(session, self._space, "live")
        return True

    def _transaction(self, doing: str) -> Any:
        return connection(self._pool, doing, within_s=self._pool.limits.transaction_s)


async def purge(pool: Pool) -> Sequence[Space]:
    """Remove every space but the live one with its vectors; return those that were."""
    async with connection(pool, "purge embeddings") as session:
        await session.execute(statements.LOCK_SPACES)
        known = await (await session.execute(statements.SPACES)).fetchall()
        gone = [row for row in known if row[3] != "live"]
        for number, *_ in gone:
            await _forget(session, number)
    return [Space(model, dimension) for _, model, dimension, _ in gone]


async def build_index(pool: Pool, space: Space) -> bool:
    """Build the index of a space if it is worth one and has none; True when it was built.

    Others keep reading and writing meanwhile. Somebody else who builds at the same time is left to
    it.

    Raises:
        Unavailable: The database cannot be reached, or not in time.
    """
    async with connection(pool, "look at the index") as session:
        known = await (await session.execute(statements.SPACES)).fetchall()
        ids = {Space(model, dimension): number for number, model, dimension, _ in known}
        counted = await (await session.execute(statements.COUNT_ALL)).fetchone()
        passages = 0 if counted is None else int(counted[0])
        if space not in ids or passages < INDEX_FROM or await _indexed(session, ids[space]):
            return False
    return await _build(pool, ids[space], passages * (2 * space.dimension + _BYTES_A_LINK))


async def _build(pool: Pool, number: int, size: int) -> bool:
    names = {"index": _index(number), "space": table(number)}
    async with alone(pool, "build the index", BUILD_S) as session:
        locked = await (
            await session.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        ).fetchone()
        if locked != (True,) or await _indexed(session, number):
            return False
        # The graph is built many times faster while it fits.
        memory = f"{min(max(size * 5 // 4 // 2**20, 64), 2_048)}MB"
        await session.execute("SELECT set_config('maintenance_work_mem', %s, false)", [memory])
        # What a build that was interrupted has left.
        await session.execute(sql.SQL(statements.DROP_INDEX).format(**names))
        await session.execute(sql.SQL(statements.BUILD_INDEX).format(**names))
    return True


def table(number: int) -> sql.Identifier:
    """The table of a space."""
    return sql.Identifier(f"embedding_{number}")


def _index(number: int) -> sql.Identifier:
    return sql.Identifier(f"embedding_{number}_hnsw")


async def _indexed(session: Session, number: int) -> bool:
    found = await session.execute(statements.HAS_INDEX, [f"embedding_{number}_hnsw"])
    return await found.fetchone() == (True,)


async def _any_document(session: Connection) -> bool:
    return await (await session.execute(statements.ANY_DOCUMENT)).fetchone() == (True,)


async def _replace(session: Connection, ours: Space) -> None:
    """Make ours the only space of a store without documents."""
    known = await (await session.execute(statements.SPACES)).fetchall()
    for number, *_ in known:
        await _forget(session, number)
    await _added(session, ours, "live")


async def _forget(session: Connection, number: int) -> None:
    await session.execute(sql.SQL(statements.DROP_SPACE).format(table(number)))
    await session.execute(statements.FORGET_SPACE, [number])


async def _added(session: Connection, space: Space, state: str) -> int:
    values = {"model": space.model, "dimension": space.dimension, "state": state}
    async with session.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statements.ADD_SPACE, values)
        row = await cursor.fetchone()
    assert row is not None, "an insert that updates instead returns its row"
    return int(row["id"])
