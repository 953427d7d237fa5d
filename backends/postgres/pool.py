"""Connections to PostgreSQL: a bounded pool, a limit on every wait, and errors in our words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from backends.errors import BackendError, Garbled, Misconfigured, Refused, TimedOut, Unavailable
from backends.postgres.cluster import APPLICATION
from backends.postgres.session import Session, Silent

Connection: TypeAlias = Session

SCHEMA = "router"

READER: Final = "router_reader"
"""The database role of whoever reads on somebody's behalf; shared by all schemas of a server."""

_BACKEND: Final = "database"

_GRACE_S: Final = 0.25
"""So much longer we wait than the limit says, so that whoever knows more can say what it was."""

_IDLE_S: Final = 60.0
"""A client that vanished within a transaction keeps its locks so long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a pool. Times in seconds.

    Attributes:
        min_size: Connections kept open.
        max_size: Connections at most.
        waiting: Callers that may wait for a connection; one more is turned away at once.
        connect_s: To open one connection.
        acquire_s: To get a connection from the pool.
        statement_s: For one statement, enforced by the server, and here in case it is silent.
        transaction_s: For a transaction of many statements, such as publishing.
    """

    min_size: int = 1
    max_size: int = 10
    waiting: int = 1_000
    connect_s: float = 5.0
    acquire_s: float = 5.0
    statement_s: float = 15.0
    transaction_s: float = 300.0

    @property
    def operation_s(self) -> float:
        """For anything of one statement, waiting for a connection included; enforced here."""
        return max(self.acquire_s, self.statement_s) + _GRACE_S

    @property
    def patience_s(self) -> float:
        """For one answer of the server, which is given the time to report its own time-out."""
        return self.statement_s + _GRACE_S


class Pool(AsyncConnectionPool[Connection]):
    """A bounded number of connections, with the limits of what is done with them.

    Args:
        conninfo: As `connection_string` returns it.
        limits: Bounds.
        autocommit: Each statement is a transaction of its own, which saves reading two round trips.
    """

    def __init__(self, conninfo: str, limits: Limits, *, autocommit: bool = False) -> None:
        async def configure(session: Connection) -> None:
            session.patience_s = limits.patience_s

        super().__init__(
            conninfo,
            connection_class=Session,
            kwargs={"autocommit": autocommit},
            configure=configure,
            min_size=limits.min_size,
            max_size=limits.max_size,
            max_waiting=limits.waiting,
            timeout=limits.acquire_s,
            # As long as a request waits, so that one is served that comes while the database
            # restarts; not longer, as the pool would back off while the database is long back.
            reconnect_timeout=limits.acquire_s,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )
        self.limits = limits


@asynccontextmanager
async def open_pool(
    url: str,
    *,
    schema: str = SCHEMA,
    limits: Limits | None = None,
    reader: bool = False,
) -> AsyncIterator[Pool]:
    """Open a pool of connections that see one schema, and close it afterwards.

    Args:
        url: Connection string or URL.
        schema: Schema whose tables unqualified names mean; `public` follows for pgvector's types.
        limits: Bounds; the defaults when None.
        reader: Connections take the role `READER`, which may call the functions that look at access
            control lists and may touch no table.

    Raises:
        Misconfigured: The URL cannot be read, or the server turns the login down.
        Unavailable: Nobody answers there in time.
    """
    limits = limits or Limits()
    conninfo = connection_string(url, schema=schema, limits=limits, reader=reader)
    with translated(conninfo, "connect"):
        # The pool only ever says "no connection in time"; one plain attempt says why.
        async with asyncio.timeout(limits.connect_s), await Session.connect(conninfo):
            pass
    pool = Pool(conninfo, limits, autocommit=reader)
    try:
        with translated(conninfo, "connect"):
            await pool.open(wait=True, timeout=limits.acquire_s)
        yield pool
    finally:
        # Its workers may be trying to connect to a server that is silent.
        await pool.close(timeout=limits.connect_s)


@asynccontextmanager
async def connection(
    pool: Pool, doing: str, *, within_s: float | None = None
) -> AsyncIterator[Connection]:
    """Borrow a connection for one transaction: committed at the end, rolled back on an error.

    Each answer of the server is waited for no longer than the pool's ``limits.patience_s``.

    Args:
        pool: The pool.
        doing: What it is for, as in "could not … : …".
        within_s: Time for all of it, waiting for the connection included; the pool's
            ``limits.operation_s`` when None.

    Raises:
        BackendError: As `translated` says.
    """
    within_s = pool.limits.operation_s if within_s is None else within_s
    with translated(str(pool.conninfo), doing):
        async with asyncio.timeout(within_s), pool.connection() as borrowed:
            with borrowed.in_use(pool.limits.patience_s):
                yield borrowed


async def ping(pool: Pool) -> None:
    """Return when the database answers, on a connection of its own.

    So a pool whose connections are all at work is not taken for a database that is down.

    Raises:
        TimedOut: It does not answer within the pool's ``limits.connect_s``.
        Unavailable: It cannot be reached.
        Misconfigured: It turns the login down.
    """
    conninfo, within_s = str(pool.conninfo), pool.limits.connect_s
    with translated(conninfo, "ask for a sign of life"):
        async with asyncio.timeout(within_s), await Session.connect(conninfo) as session:
            with session.in_use(within_s):
                await session.execute("SELECT 1")


@asynccontextmanager
async def alone(pool: Pool, doing: str, within_s: float) -> AsyncIterator[Connection]:
    """Open a connection of its own, without a transaction, for what takes longer than a request.

    Args:
        pool: Whose database and login.
        doing: What it is for, as in "could not … : …".
        within_s: Time for all of it, and for each statement.

    Raises:
        BackendError: As `translated` says.
    """
    conninfo = str(pool.conninfo)
    with translated(conninfo, doing):
        async with (
            asyncio.timeout(within_s),
            await Session.connect(conninfo, autocommit=True) as session,
        ):
            with session.in_use(within_s):
                limit = str(int(within_s * 1000))
                await session.execute("SELECT set_config('statement_timeout', %s, false)", [limit])
                yield session


@contextmanager
def translated(conninfo: str, doing: str) -> Iterator[None]:
    """Turn what psycopg and its pool raise into `backends.errors`, naming host, port and database.

    Raises:
        TimedOut: No connection, no lock or no result in time.
        Unavailable: Unreachable, overloaded, shutting down, read-only or full; try later.
        Misconfigured: Login, rights, tables or functions are not what they should be.
        Refused: The data break a rule of the tables; the same data will again.
        Garbled: Anything else that the server says.
    """
    try:
        yield
    except TimeoutError as error:
        raise TimedOut(
            _told(conninfo, doing, "no answer in time"),
            backend=_BACKEND,
            hint=_fitting(_RUNNING, conninfo),
        ) from error
    except psycopg.Error as error:
        raise _translation(error, conninfo, doing) from error


def connection_string(
    url: str, *, schema: str = SCHEMA, limits: Limits | None = None, reader: bool = False
) -> str:
    """Return the URL with our session settings and timeouts added.

    Raises:
        Misconfigured: It cannot be read; the message leaves it out, as it may hold a password.
    """
    limits = limits or Limits()
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # libpq quotes the string in its message, password and all: nothing of it may go on.
        raise Misconfigured(
            "The database URL cannot be read.",
            backend=_BACKEND,
            hint="Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with odd characters "
            "percent-encoded.",
        ) from None
    settings = {
        # pgvector lives in public, or in `extensions` with some providers.
        "search_path": f"{checked_schema(schema)},public,extensions",
        "statement_timeout": str(int(limits.statement_s * 1000)),
        "idle_in_transaction_session_timeout": str(int(_IDLE_S * 1000)),
        # Compiling a scan takes longer than running it, at our sizes.
        "jit": "off",
        "client_min_messages": "warning",
    }
    if reader:
        settings["role"] = READER
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    ours: dict[str, Any] = {
        "connect_timeout": max(2, round(limits.connect_s)),
        "application_name": "agentic-query-router",
        # A host that vanished without a word is noticed within seconds, also between statements.
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": int(limits.patience_s * 1000),
    }
    asked = given.get("options")
    merged = ours | given | {"options": f"{asked} {options}" if asked else options}
    return make_conninfo("", **merged)


def checked_schema(name: str) -> str:
    """Return the name of a schema, which goes into statements and settings unquoted.

    Raises:
        Misconfigured: It is not a plain lower-case name.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
        raise Misconfigured(
            f"{name[:80]!r} cannot be the name of a schema.",
            backend=_BACKEND,
            hint="Use lower-case letters, digits and underscores.",
        )
    return name


_RUNNING = "Check that the database runs and that ROUTER_DATABASE_URL points to it."

_EMBEDDED = (
    "The embedded database starts again by itself within seconds; try again then. If it does not, "
    "look at server.log in its folder."
)

_Verdict: TypeAlias = tuple[type[BackendError], str]

_LOGIN: _Verdict = (Misconfigured, "Check user, password and database in ROUTER_DATABASE_URL.")
_LATER: _Verdict = (Unavailable, "Try again.")

_VERDICTS: Mapping[type[Exception], _Verdict] = {
    PoolTimeout: (
        TimedOut,
        f"{_RUNNING} If it does, it is slower than what is asked of it: "
        "ask less at a time (ROUTER_SERVER__MAX_CONCURRENT) or give it more power.",
    ),
    TooManyRequests: (Unavailable, "Too many requests wait for a connection; try again later."),
    PoolClosed: (Unavailable, "The application is closing."),
    Silent: (TimedOut, _RUNNING),
    errors.QueryCanceled: (TimedOut, "Try again, or raise ROUTER_TIMEOUTS__DATABASE."),
    errors.LockNotAvailable: (TimedOut, "Try again."),
    errors.IdleInTransactionSessionTimeout: (TimedOut, "Try again."),
    errors.DeadlockDetected: _LATER,
    errors.SerializationFailure: _LATER,
    errors.ReadOnlySqlTransaction: (Unavailable, "The server is a replica; use the primary."),
    errors.DiskFull: (Unavailable, "Free some space for the database."),
    errors.TooManyConnections: (Unavailable, "Raise max_connections or shrink the pool."),
    errors.InvalidPassword: _LOGIN,
    errors.InvalidAuthorizationSpecification: _LOGIN,
    errors.InvalidCatalogName: _LOGIN,
    errors.InsufficientPrivilege: (Misconfigured, "Grant the user the rights on the schema."),
    psycopg.OperationalError: (Unavailable, _RUNNING),
    psycopg.InterfaceError: (Unavailable, _RUNNING),
    psycopg.IntegrityError: (Refused, ""),
    psycopg.DataError: (Refused, ""),
    psycopg.ProgrammingError: (
        Misconfigured,
        "Run the migrations with this version of the application.",
    ),
}
"""More special classes first; the first that fits decides."""


def _translation(error: psycopg.Error, conninfo: str, doing: str) -> BackendError:
    kind, hint = next(
        (verdict for known, verdict in _VERDICTS.items() if isinstance(error, known)),
        (Garbled, ""),
    )
    message = error.diag.message_primary or str(error).strip()
    if kind is Unavailable and _turned_down(message):
        kind, hint = _LOGIN
    told = _told(conninfo, doing, message)
    return kind(told, backend=_BACKEND, hint=_fitting(hint, conninfo))


def _fitting(hint: str, conninfo: str) -> str:
    """The hint as it is, or what fits where nobody has set a URL."""
    if conninfo_to_dict(conninfo).get("application_name") != APPLICATION:
        return hint
    return _EMBEDDED if hint == _LOGIN[1] else hint.replace(_RUNNING, _EMBEDDED)


def _turned_down(message: str) -> bool:
    """A refused login has no SQLSTATE in psycopg, only the server's words."""
    return "authentication failed" in message or (
        "FATAL" in message and "does not exist" in message
    )


def _told(conninfo: str, doing: str, problem: str) -> str:
    given = conninfo_to_dict(conninfo)
    host = given.get("host") or given.get("hostaddr") or "local socket"
    place = f"{host}:{given.get('port') or 5432}/{given.get('dbname') or ''}"
    password = given.get("password")
    if password:
        problem = problem.replace(str(password), "…")
    return f"Could not {doing} (database {place}): {' '.join(problem.split()).rstrip('.?')}."
