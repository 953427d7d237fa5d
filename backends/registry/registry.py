"""Adapters in PostgreSQL, which itself keeps versions fixed and at most one of a name live."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from psycopg.rows import dict_row

from backends.adapter_fields import check_report, check_spec, is_name, unknown_version
from backends.postgres.pool import Limits, Pool, connection, open_pool
from backends.registry import rows, statements

if TYPE_CHECKING:
    from backends.adapters import Adapter, AdapterSpec, AdapterState
    from backends.postgres.pool import Connection

MAX_VERSION: Final = 2**31 - 1
"""The largest number of a version that the table keeps."""


@asynccontextmanager
async def open_registry(
    url: str, *, schema: str, limits: Limits | None = None
) -> AsyncIterator[PostgresAdapterRegistry]:
    """Open the registry of a migrated schema, and close its connections afterwards.

    Args:
        url: Connection string or URL of the schema's owner.
        schema: Where the table is.
        limits: Bounds; the defaults when None.

    Raises:
        BackendError: As `backends.postgres.open_pool`.
    """
    async with open_pool(url, schema=schema, limits=limits) as pool:
        yield PostgresAdapterRegistry(pool)


class PostgresAdapterRegistry:
    """See `backends.adapters.AdapterRegistry`.

    Every method raises `Unavailable` when the database cannot be reached in time.

    Args:
        pool: Connections of the schema's owner; those that read on behalf of askers have no right
            to the table.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, spec: AdapterSpec) -> Adapter:
        check_spec(spec)
        values = rows.values(spec)
        async with connection(self._pool, f"add the adapter {spec.name}") as session:
            await session.execute(statements.ALONE, [spec.name])
            known = await _row(session, statements.SAME, values)
            added = known or await _row(session, statements.ADD, values)
            assert added is not None, "an aggregate without groups has one row"
            return added

    async def find(self, name: str, version: int | None = None) -> Adapter | None:
        if not is_name(name) or (version is not None and not 1 <= version <= MAX_VERSION):
            return None
        async with connection(self._pool, f"find the adapter {name}") as session:
            return await _row(session, statements.FIND, {"name": name, "version": version})

    async def adapters(self, *, state: AdapterState | None = None) -> Sequence[Adapter]:
        async with (
            connection(self._pool, "list the adapters") as session,
            session.cursor(row_factory=dict_row) as cursor,
        ):
            await cursor.execute(statements.LIST, {"state": None if state is None else str(state)})
            return [rows.adapter(row) for row in await cursor.fetchall()]

    async def promote(self, name: str, version: int) -> Adapter | None:
        which = _which(name, version)
        async with connection(self._pool, f"promote {name}@{version}") as session:
            await session.execute(statements.ALONE, [name])
            before = await _row(session, statements.RETIRE_LIVE, which)
            if await _row(session, statements.MAKE_LIVE, which) is None:
                # Undoes what was retired.
                raise unknown_version(name, version)
            return before

    async def retire(self, name: str, version: int) -> Adapter:
        return await self._changed(statements.RETIRE, f"retire {name}@{version}", name, version)

    async def record(self, name: str, version: int, report: Mapping[str, Any]) -> Adapter:
        check_report(report)
        doing = f"record what was measured of {name}@{version}"
        values = {"report": rows.report(report)}
        return await self._changed(statements.RECORD, doing, name, version, values)

    async def _changed(
        self,
        statement: str,
        doing: str,
        name: str,
        version: int,
        values: Mapping[str, Any] | None = None,
    ) -> Adapter:
        which = _which(name, version)
        async with connection(self._pool, doing) as session:
            changed = await _row(session, statement, {**which, **(values or {})})
        if changed is None:
            raise unknown_version(name, version)
        return changed


def _which(name: str, version: int) -> dict[str, Any]:
    if not is_name(name) or not 1 <= version <= MAX_VERSION:
        raise unknown_version(name, version)
    return {"name": name, "version": version}


async def _row(session: Connection, statement: str, values: Mapping[str, Any]) -> Adapter | None:
    async with session.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement.encode(), values)
        row = await cursor.fetchone()
        return None if row is None else rows.adapter(row)
