"""Bring a database to the tables that this version of the code expects, forward only.

Migrations are the numbered files beside this one. What ran is recorded with a checksum, so that a
file that was edited afterwards, or a database from a newer version, is noticed instead of used.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from psycopg import errors, sql

from backends.errors import Misconfigured
from backends.postgres.pool import (
    READER,
    SCHEMA,
    Connection,
    Limits,
    connection_string,
    translated,
)
from backends.postgres.session import Session

POSTGRES_AT_LEAST = 160_000
PGVECTOR_AT_LEAST = (0, 8, 4)

_LOCK = 7_046_029_254_386_353_131
"""Key of the advisory lock; any number that nobody else uses."""

_RECORD = """
CREATE TABLE IF NOT EXISTS schema_migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations() -> Sequence[Migration]:
    """Return the migrations that this version of the code knows, in order."""
    folder = files("backends.postgres") / "migrations"
    found = [
        Migration(int(match[1]), file.name, file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if (match := re.fullmatch(r"(\d{4})_\w+\.sql", file.name))
    ]
    return sorted(found, key=lambda migration: migration.number)


async def migrate(
    url: str,
    *,
    schema: str = SCHEMA,
    within_s: float = 600.0,
    steps: Sequence[Migration] | None = None,
) -> Sequence[str]:
    """Run what is missing, one transaction each, while others who try wait.

    Args:
        url: Connection string or URL of a role that may create tables.
        schema: Schema to put everything in; created when absent.
        within_s: Time for all of it, in seconds.
        steps: The migrations; those of this version when None.

    Returns:
        Names of the files that ran.

    Raises:
        Misconfigured: PostgreSQL or pgvector is too old, a migration that ran was edited, or the
            database is newer than the code.
        Unavailable: The database cannot be reached, or not in time.
    """
    steps = migrations() if steps is None else steps
    limits = Limits(statement_s=within_s)
    conninfo = connection_string(url, schema=schema, limits=limits)
    ran = []
    with translated(conninfo, "migrate"):
        async with (
            asyncio.timeout(within_s),
            await Session.connect(conninfo, autocommit=True) as session,
        ):
            await session.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            await _require_versions(session)
            await session.execute(
                sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema))
            )
            await _require_reader(session)
            await session.execute(_RECORD)
            done = await _recorded(session)
            for step in _missing(steps, done):
                async with session.transaction():
                    await session.execute(step.text.encode())
                    await session.execute(
                        "INSERT INTO schema_migration (number, name, checksum) VALUES (%s, %s, %s)",
                        [step.number, step.name, step.checksum],
                    )
                ran.append(step.name)
    return ran


def _missing(steps: Sequence[Migration], done: Mapping[int, str]) -> Sequence[Migration]:
    known = {step.number: step for step in steps}
    for number, checksum in done.items():
        if number not in known:
            raise Misconfigured(
                f"The database has migration {number}, which this version does not know.",
                backend="database",
                hint="Use a newer version of the application.",
            )
        if known[number].checksum != checksum:
            raise Misconfigured(
                f"The migration {known[number].name} was edited after it ran.",
                backend="database",
                hint="Restore the file and put the change into a new migration.",
            )
    return [step for step in steps if step.number not in done]


async def _recorded(session: Connection) -> Mapping[int, str]:
    cursor = await session.execute("SELECT number, checksum FROM schema_migration ORDER BY number")
    return dict(await cursor.fetchall())


async def _require_reader(session: Session) -> None:
    """Make the role that reads, unless it is there, and let ours take it."""
    known = await session.execute("SELECT FROM pg_roles WHERE rolname = %s", [READER])
    role = sql.Identifier(READER)
    try:
        if await known.fetchone() is None:
            await session.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
    except (errors.DuplicateObject, errors.UniqueViolation):
        pass  # another database's migration was faster: roles belong to the whole server
    except errors.InsufficientPrivilege as error:
        raise _no_reader() from error
    may = await session.execute("SELECT pg_has_role(%s, 'SET')", [READER])
    if await may.fetchone() == (True,):
        return
    try:
        await session.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
    except errors.InsufficientPrivilege as error:
        raise _no_reader() from error


def _no_reader() -> Misconfigured:
    return Misconfigured(
        f"The database user may not make, or not take, the role {READER}.",
        backend="database",
        hint=f"Let an administrator run: CREATE ROLE {READER} NOLOGIN; GRANT {READER} TO the user "
        "of ROUTER_DATABASE_URL.",
    )


async def _require_versions(session: Connection) -> None:
    if session.info.server_version < POSTGRES_AT_LEAST:
        raise Misconfigured(
            f"PostgreSQL {session.info.server_version // 10_000} is too old.",
            backend="database",
            hint=f"Use PostgreSQL {POSTGRES_AT_LEAST // 10_000} or newer.",
        )
    query = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    offered = "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
    available = await (await session.execute(offered)).fetchone()
    installed = await (await session.execute(query)).fetchone()
    version = (installed or available or ("",))[0]
    needed = ".".join(map(str, PGVECTOR_AT_LEAST))
    if not installed and available and _parts(version) >= PGVECTOR_AT_LEAST:
        await session.execute("CREATE EXTENSION vector WITH SCHEMA public")
        return
    if not version or _parts(version) < PGVECTOR_AT_LEAST:
        raise Misconfigured(
            f"pgvector {needed} or newer is needed; the server has {version or 'none'}.",
            backend="database",
            hint=_remedy(installed is not None, (available or ("",))[0], needed),
        )


def _remedy(installed: bool, available: str, needed: str) -> str:
    if installed and _parts(available) >= PGVECTOR_AT_LEAST:
        return f"Run ALTER EXTENSION vector UPDATE TO '{available}'; in this database."
    return f"Install pgvector {needed} or newer on the server, then run this again."


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
