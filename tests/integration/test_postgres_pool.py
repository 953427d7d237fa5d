"""The pool against a real server: what it says when things go wrong, and that it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from backends.errors import BackendError, Misconfigured, Refused, TimedOut, Unavailable
from backends.postgres import Limits, Pool, connection, embedded_server, open_pool, ping

QUICK = Limits(max_size=2, connect_s=2, acquire_s=1, statement_s=0.3)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for a server of the test's own."""
    with tempfile.TemporaryDirectory(prefix="router-test-") as name:
        yield Path(name, "server")


async def test_a_ping_returns_while_the_database_answers(database_url: str) -> None:
    async with open_pool(database_url) as pool:
        await ping(pool)


async def test_a_connection_sees_the_schema_it_was_opened_for(database_url: str) -> None:
    async with open_pool(database_url, schema="scratch") as pool, connection(pool, "look") as one:
        found = await (await one.execute("SHOW search_path")).fetchone()
        assert found is not None
        assert found[0].startswith("scratch,")


async def test_what_was_done_is_kept_at_the_end(database_url: str) -> None:
    async with open_pool(database_url) as pool:
        async with connection(pool, "write") as one:
            await one.execute("CREATE TABLE kept AS SELECT 1 AS number")
        async with connection(pool, "read") as one:
            assert await (await one.execute("SELECT number FROM kept")).fetchone() == (1,)


async def test_what_was_done_before_an_error_is_undone(database_url: str) -> None:
    async with open_pool(database_url) as pool:
        with pytest.raises(Misconfigured, match="never_was"):
            await _do(pool, "CREATE TABLE kept AS SELECT 1 AS number", "SELECT * FROM never_was")
        with pytest.raises(Misconfigured, match='"kept" does not exist'):
            await _do(pool, "SELECT number FROM kept")


async def test_a_slow_statement_times_out(database_url: str) -> None:
    async with open_pool(database_url, limits=QUICK) as pool:
        with pytest.raises(TimedOut, match="statement timeout"):
            async with connection(pool, "sleep") as one:
                await one.execute("SELECT pg_sleep(60)")


async def test_a_slow_operation_times_out(database_url: str) -> None:
    async with open_pool(database_url) as pool:
        with pytest.raises(TimedOut, match="no answer in time"):
            async with connection(pool, "sleep", within_s=0.2) as one:
                await one.execute("SELECT pg_sleep(60)")


async def test_a_cancelled_statement_ends_on_the_server(database_url: str) -> None:
    async with open_pool(database_url, limits=Limits(max_size=1)) as pool:
        running = asyncio.Event()

        async def sleep() -> None:
            async with connection(pool, "sleep") as one:
                await one.execute("SET application_name = 'sleeper'")
                running.set()
                await one.execute("SELECT pg_sleep(60)")

        task = asyncio.create_task(sleep())
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with connection(pool, "look") as one:
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sleeper'"
                " AND state = 'active' AND pid <> pg_backend_pid()"
            )
            assert await (await one.execute(query)).fetchone() == (0,)


async def test_an_exhausted_pool_times_out_and_says_so(database_url: str) -> None:
    one = Limits(max_size=1, acquire_s=0.2)
    async with open_pool(database_url, limits=one) as pool, connection(pool, "hold"):
        with pytest.raises(TimedOut, match="ROUTER_SERVER__MAX_CONCURRENT"):
            await _do(pool, "SELECT 1")


async def test_an_exhausted_pool_is_no_dead_database(database_url: str) -> None:
    one = Limits(max_size=1, acquire_s=0.2)
    async with open_pool(database_url, limits=one) as pool, connection(pool, "hold"):
        await ping(pool)


async def test_too_many_who_wait_are_turned_away_at_once(database_url: str) -> None:
    limits = Limits(max_size=1, waiting=1, acquire_s=30)
    async with open_pool(database_url, limits=limits) as pool:
        async with connection(pool, "hold"):
            waiting = asyncio.create_task(_do(pool, "SELECT 1"))
            await asyncio.sleep(0)
            with pytest.raises(Unavailable, match="Too many requests"):
                await _do(pool, "SELECT 1")
        await waiting


async def test_data_that_break_a_rule_are_refused(database_url: str) -> None:
    async with open_pool(database_url) as pool:
        with pytest.raises(Refused, match="check constraint"):
            await _do(
                pool, "INSERT INTO embedding_space (model, dimension, state) VALUES ('m', 0, 'old')"
            )


async def test_nobody_listening_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1/nowhere"):
        async with open_pool("postgresql://ana@127.0.0.1:1/nowhere", limits=QUICK):
            pass


async def test_a_host_that_never_answers_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://ana@127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(TimedOut):
            await asyncio.wait_for(_open_and_close(url), timeout=20)


async def test_an_unknown_database_is_a_misconfiguration(database_url: str) -> None:
    with pytest.raises(Misconfigured, match="does not exist"):
        async with open_pool(make_conninfo(database_url, dbname="never_was")):
            pass


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ana:open-sesame@127.0.0.1:1/x",
        "postgresql://ana:open-sesame@127.0.0.1:port/x",
        "postgres//ana:open-sesame@127.0.0.1/x",
        "postgresql://ana:open-sesame@%zz/x",
        "host=127.0.0.1 port=1 password=open-sesame nonsense",
    ],
)
async def test_a_password_is_in_no_message(url: str) -> None:
    with pytest.raises(BackendError) as caught:
        async with open_pool(url, limits=QUICK):
            pass
    error: BaseException | None = caught.value
    while error is not None:
        assert "open-sesame" not in repr(error)
        error = error.__cause__


async def test_a_schema_with_an_odd_name_is_turned_down(database_url: str) -> None:
    with pytest.raises(Misconfigured, match="name of a schema"):
        async with open_pool(database_url, schema='x"; DROP'):
            pass


async def test_a_database_that_went_away_is_unavailable_and_comes_back(folder: Path) -> None:
    async with embedded_server(folder) as url, open_pool(url, limits=QUICK) as pool:
        await ping(pool)
        os.kill(_pid(folder), signal.SIGQUIT)
        with pytest.raises(Unavailable):
            await _ping_for_ever(pool)
        async with embedded_server(folder):
            await ping(pool)


async def test_an_embedded_server_that_is_killed_comes_back_by_itself(folder: Path) -> None:
    async with embedded_server(folder) as url, open_pool(url, limits=QUICK) as pool:
        await _do(pool, "CREATE TABLE kept AS SELECT 1 AS number")
        killed = _pid(folder)
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(30):
            await _until_it_answers(pool, "SELECT number FROM kept", not_by=folder, pid=killed)


async def test_an_embedded_server_that_does_not_start_again_is_tried_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with embedded_server(folder) as url, open_pool(url, limits=QUICK) as pool:
        settings, killed = folder / "data" / "postgresql.conf", _pid(folder)
        good = settings.read_text()
        settings.write_text(good + "no_such_setting = 1\n")
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(30):
            while (folder / "server.log").read_text().count("no_such_setting") < 2:
                with contextlib.suppress(Unavailable):
                    await _do(pool, "SELECT 1")  # waits for a connection, unlike a ping
            settings.write_text(good)
            await _until_it_answers(pool, "SELECT 1", not_by=folder, pid=killed)
    failures = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(failures) == 1


async def test_leaving_while_it_starts_again_leaves_nothing_running(folder: Path) -> None:
    async with embedded_server(folder) as url, open_pool(url, limits=QUICK) as pool:
        os.kill(_pid(folder), signal.SIGKILL)
        with pytest.raises(Unavailable):
            await _ping_for_ever(pool)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


async def test_nobody_is_sent_to_a_url_that_they_have_not_set(folder: Path) -> None:
    async with embedded_server(folder) as url:
        pass
    with pytest.raises(Unavailable) as caught:
        async with open_pool(url, limits=QUICK):
            pass
    assert "embedded" in caught.value.hint
    assert "ROUTER_DATABASE_URL" not in caught.value.hint


async def test_closing_gives_every_connection_back(database_url: str) -> None:
    marked = make_conninfo(database_url, application_name="counted")
    async with open_pool(marked) as pool, connection(pool, "a"), connection(pool, "b"):
        pass
    with psycopg.connect(database_url) as one:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'counted'"
        assert one.execute(query).fetchone() == (0,)


def _pid(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().split(maxsplit=1)[0])


async def _do(pool: Pool, *statements: str) -> None:
    async with connection(pool, "do it") as one:
        for statement in statements:
            await one.execute(statement.encode())


async def _until_it_answers(pool: Pool, query: str, *, not_by: Path, pid: int) -> None:
    """Ask until another process than the given one has answered."""
    while True:
        with contextlib.suppress(Unavailable):
            await _do(pool, query)
            if _pid(not_by) != pid:
                return


async def _open_and_close(url: str) -> None:
    async with open_pool(url, limits=QUICK):
        pass


async def _ping_for_ever(pool: Pool) -> None:
    while True:
        await ping(pool)
