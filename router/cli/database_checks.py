"""The doctor's look at the database: reachable, new enough, migrated, what it keeps is usable."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from backends.errors import Misconfigured
from router.cli.findings import Check, Finding, guarded, skipped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from psycopg import AsyncConnection

    from router.config import Settings


async def check_database(settings: Settings, stack: AsyncExitStack) -> list[Check]:
    """Check the database, its pgvector and its migrations.

    Args:
        stack: Keeps the embedded server running until all checks are done.
    """
    urls: list[str] = []
    first = await guarded("database", _database(settings, stack, urls), 75)
    if not urls:
        because = "the database cannot be reached"
        return [
            first,
            *(
                skipped(name, because)
                for name in ("pgvector", "migrations", "documents", "adapters")
            ),
        ]
    return [
        first,
        await guarded("pgvector", _pgvector(settings, urls[0]), 10),
        await guarded("migrations", _migrations(settings, urls[0]), 10),
        await guarded("documents", _documents(settings, urls[0]), 60),
        await guarded("adapters", _adapters(settings, urls[0]), 60),
    ]


async def _database(settings: Settings, stack: AsyncExitStack, urls: list[str]) -> Finding:
    from backends.postgres import embedded_server
    from backends.postgres.migrate import POSTGRES_AT_LEAST

    if settings.database_url is not None:
        url, where = settings.database_url.get_secret_value(), "configured"
    else:
        folder = settings.home / "postgres"
        url, where = (
            await stack.enter_async_context(embedded_server(folder)),
            f"embedded in {folder}",
        )
    async with _session(settings, url) as session:
        version = session.info.server_version
        if settings.database_url is not None:
            where = f"{session.info.dbname} at {session.info.host}:{session.info.port}"
    urls.append(url)
    detail = f"PostgreSQL {version // 10_000}.{version % 10_000}, {where}"
    if version < POSTGRES_AT_LEAST:
        return Finding("fail", detail, f"Use PostgreSQL {POSTGRES_AT_LEAST // 10_000} or newer.")
    return Finding("ok", detail)


async def _pgvector(settings: Settings, url: str) -> Finding:
    from backends.postgres.migrate import PGVECTOR_AT_LEAST

    query = """
        SELECT installed_version, default_version
        FROM pg_available_extensions WHERE name = 'vector'
    """
    async with _session(settings, url) as session:
        row = await (await session.execute(query)).fetchone()
    installed, available = row or (None, None)
    needed = ".".join(map(str, PGVECTOR_AT_LEAST))
    if not installed and not available:
        return Finding("fail", "not installed", f"Install pgvector {needed} or newer.")
    if _parts(installed or available or "") < PGVECTOR_AT_LEAST:
        hint = f"Install pgvector {needed} or newer, then run ALTER EXTENSION vector UPDATE."
        return Finding("fail", f"{installed or available} is too old", hint)
    return Finding("ok", installed or f"{available}, comes into the database at the first start")


async def _migrations(settings: Settings, url: str) -> Finding:
    from backends.postgres.migrate import migrations

    at_start = "They run by themselves at the next start."
    known = {step.number: step for step in migrations()}
    async with _session(settings, url) as session:
        if not await _has_table(settings, session, "schema_migration"):
            return Finding("ok", f"none has run in {settings.database_schema!r} yet", at_start)
        cursor = await session.execute("SELECT number, checksum FROM schema_migration")
        done = dict(await cursor.fetchall())
    for number, checksum in done.items():
        if number not in known or known[number].checksum != checksum:
            raise Misconfigured(
                f"Migration {number} of the database is not the one of this version.",
                backend="database",
                hint="Use the version of this application that made the database, or a newer one.",
            )
    if missing := len(known) - len(done):
        return Finding("warn", f"{missing} of {len(known)} have not run", at_start)
    return Finding("ok", f"{len(done)} of {len(known)} have run in {settings.database_schema!r}")


async def _documents(settings: Settings, url: str) -> Finding:
    """Whether questions can be compared with what is stored."""
    from backends.pgvector import open_pgvector
    from router.adapters import open_embedder

    async with _session(settings, url) as session:
        if not await _has_table(settings, session, "embedding_space"):
            return Finding("ok", "none yet")
        row = await (await session.execute("SELECT count(*) FROM document")).fetchone()
    async with (
        open_embedder(settings) as embedder,
        open_pgvector(
            url,
            schema=settings.database_schema,
            model=embedder.model,
            dimension=embedder.dimension,
        ) as store,
    ):
        await store.check_live()
    return Finding("ok", f"{row[0] if row else 0}, searched with {embedder.model}")


async def _adapters(settings: Settings, url: str) -> Finding:
    from backends.registry import open_registry
    from router.cli.adapter_checks import live_adapters

    async with _session(settings, url) as session:
        known = await _has_table(settings, session, "adapter")
    if not known:
        return Finding("ok", "none yet")
    async with open_registry(url, schema=settings.database_schema) as registry:
        return await live_adapters(registry)


@asynccontextmanager
async def _session(settings: Settings, url: str) -> AsyncIterator[AsyncConnection[Any]]:
    from psycopg import AsyncConnection

    from backends.postgres import Limits, translated
    from backends.postgres.pool import connection_string

    limits = Limits(connect_s=settings.timeouts.database, statement_s=settings.timeouts.database)
    conninfo = connection_string(url, schema=settings.database_schema, limits=limits)
    with translated(conninfo, "look at the database"):
        async with await AsyncConnection.connect(conninfo) as session:
            yield session


async def _has_table(settings: Settings, session: AsyncConnection[Any], name: str) -> bool:
    table = f"{settings.database_schema}.{name}"
    row = await (await session.execute("SELECT to_regclass(%s)", [table])).fetchone()
    return row is not None and row[0] is not None


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
