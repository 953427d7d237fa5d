"""A schema that nothing else uses, gone when the block ends, whichever way it does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from router.adapters import open_database

if TYPE_CHECKING:
    from backends.postgres import Connection
    from router.config import Settings

PREFIX: Final = "evaluation_"

_TABLES: Final = "SELECT tablename FROM pg_tables WHERE schemaname = %s"


@asynccontextmanager
async def scratch_schema(settings: Settings) -> AsyncIterator[Settings]:
    """Yield the settings turned to a new schema of the same database, dropped afterwards.

    Raises:
        BackendError: The database cannot be reached.
    """
    from psycopg import sql
    from pydantic import SecretStr

    name = f"{PREFIX}{uuid4().hex}"
    async with open_database(settings) as url:
        scratch = {"database_url": SecretStr(url), "database_schema": name}
        try:
            yield settings.model_copy(update=scratch)
        finally:
            drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name))
            async with _session(url, "drop the scratch schema") as session:
                await session.execute(drop)


async def gather_statistics(settings: Settings) -> None:
    """Do at once what autovacuum would do a minute after documents came in.

    Raises:
        BackendError: As `scratch_schema`.
    """
    from psycopg import sql

    assert settings.database_url is not None, "a scratch schema knows its database"
    url, schema = settings.database_url.get_secret_value(), settings.database_schema
    async with _session(url, "gather the planner's statistics") as session:
        for (table,) in await (await session.execute(_TABLES, [schema])).fetchall():
            await session.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(schema, table)))


@asynccontextmanager
async def _session(url: str, doing: str) -> AsyncIterator[Connection]:
    from backends.postgres import Limits, connection, open_pool

    limits = Limits()
    async with (
        open_pool(url, limits=limits) as pool,
        connection(pool, doing, within_s=limits.transaction_s) as session,
    ):
        yield session
