"""The embedded server: shared between processes, and there again after every kind of end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from backends.errors import Misconfigured, Unavailable
from backends.postgres import embedded_server
from backends.postgres.cluster import Cluster

PROCESS = """
import asyncio, sys
from pathlib import Path
from backends.postgres import embedded_server

async def main():
    async with embedded_server(Path(sys.argv[1])) as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""

HUNG_UP = """
import asyncio, sys
from pathlib import Path
from backends.postgres import embedded_server

async def main():
    print(await embedded_server(Path(sys.argv[1])).__aenter__(), flush=True)
    sys.exit(0)

asyncio.run(main())
"""

# ruff: noqa: ASYNC221, ASYNC240 - nothing else runs on these loops while a test looks at files

as_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for one server, which is stopped at the end whatever the test left."""
    with tempfile.TemporaryDirectory(prefix="router-test-") as name:
        path = Path(name, "server")
        yield path
        for pid_file in Path(name).rglob("postmaster.pid"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid_file.read_text().split(maxsplit=1)[0]), signal.SIGQUIT)


async def test_a_new_folder_becomes_a_database_with_pgvector(folder: Path) -> None:
    async with embedded_server(folder) as url:
        query = (
            "SELECT current_database(), (SELECT count(*) FROM pg_available_extensions "
            "WHERE name = 'vector')"
        )
        assert _ask(url, query) == ("router", 1)


async def test_the_server_stops_with_its_last_user(folder: Path) -> None:
    async with embedded_server(folder) as url:
        pass
    assert not _answers(url)


async def test_what_was_stored_is_there_the_next_time(folder: Path) -> None:
    async with embedded_server(folder) as url:
        _do(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    async with embedded_server(folder) as url:
        assert _ask(url, "SELECT answer FROM kept") == (42,)


async def test_two_users_in_one_process_share_the_server(folder: Path) -> None:
    async with embedded_server(folder) as first:
        async with embedded_server(folder) as second:
            assert first == second
        assert _answers(first)


async def test_two_processes_share_the_server(folder: Path) -> None:
    with _process(folder) as other:
        theirs = _line(other)
        async with embedded_server(folder) as ours:
            assert ours == theirs


async def test_the_server_outlives_the_process_that_started_it(folder: Path) -> None:
    with _process(folder) as starter:
        url = _line(starter)
        async with embedded_server(folder):
            _finish(starter)
            assert _answers(url)
        assert not _answers(url)


async def test_leaving_does_not_stop_it_under_another_process(folder: Path) -> None:
    with _process(folder) as other:
        url = _line(other)
        async with embedded_server(folder):
            pass
        assert _answers(url)
        _finish(other)
        assert not _answers(url)


async def test_several_processes_may_start_it_at_once(folder: Path) -> None:
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(_process(folder)) for _ in range(4)]
        urls = {_line(process) for process in processes}
        assert len(urls) == 1
        for process in processes:
            assert _answers(next(iter(urls)))
            _finish(process)
        assert not _answers(next(iter(urls)))


async def test_a_killed_process_loses_nothing_that_was_committed(folder: Path) -> None:
    with _process(folder) as killed:
        _do(_line(killed), "CREATE TABLE kept AS SELECT 42 AS answer")
        killed.kill()
        killed.wait(timeout=30)
    async with embedded_server(folder) as url:
        assert _ask(url, "SELECT answer FROM kept") == (42,)


async def test_a_killed_process_does_not_keep_the_server_up(folder: Path) -> None:
    with _process(folder) as killed:
        url = _line(killed)
        killed.kill()
        killed.wait(timeout=30)
    async with embedded_server(folder):
        pass
    assert not _answers(url)


async def test_a_killed_process_does_not_stop_it_under_another(folder: Path) -> None:
    with _process(folder) as other, _process(folder) as killed:
        url = _line(other)
        _line(killed)
        killed.kill()
        killed.wait(timeout=30)
        async with embedded_server(folder):
            pass
        assert _answers(url)
        _finish(other)


async def test_a_process_that_just_exits_stops_it(folder: Path) -> None:
    with _process(folder, HUNG_UP) as other:
        url = _line(other)
        other.wait(timeout=30)
    assert not _answers(url)


async def test_a_server_that_was_killed_recovers(folder: Path) -> None:
    async with embedded_server(folder) as url:
        _do(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        os.kill(_pid(folder), signal.SIGKILL)
        async with embedded_server(folder) as again:
            assert _ask(again, "SELECT answer FROM kept") == (42,)


async def test_a_number_that_another_program_has_now_does_not_block_it(folder: Path) -> None:
    async with embedded_server(folder):
        recorded = (folder / "data" / "postmaster.pid").read_text().splitlines()
    # As after a crash of the machine: the file is still there, its number somebody else's.
    recorded[0] = str(os.getpid())
    (folder / "data" / "postmaster.pid").write_text("\n".join(recorded) + "\n")
    async with embedded_server(folder) as url:
        assert _answers(url)


async def test_a_cancelled_start_leaves_nothing_running(folder: Path) -> None:
    async def hold() -> None:
        async with embedded_server(folder):
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await asyncio.to_thread(_wait_for, folder / "gate.lock")
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    assert not (folder / "data" / "postmaster.pid").exists()


@pytest.mark.parametrize(
    "name",
    ["x" * 200, "with space", "a,b", "quo\"te'", "$HOME `id` ;", "ünï", "@x"],
    ids=["long", "space", "comma", "quotes", "shell", "unicode", "at"],
)
async def test_a_folder_may_have_any_name(folder: Path, name: str) -> None:
    async with embedded_server(folder / name) as url:
        assert _answers(url)


@as_root_only
async def test_a_closed_home_stays_closed_to_everybody_else(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(parents=True, mode=0o700)
    async with embedded_server(home / "data") as url:
        assert _answers(url)
    assert home.stat().st_mode & 0o007 == 0


async def test_only_its_owner_can_reach_the_data_and_the_socket(folder: Path) -> None:
    async with embedded_server(folder):
        assert folder.stat().st_mode & 0o077 == 0
        assert (folder / "data").stat().st_mode & 0o077 == 0


async def test_a_file_in_the_way_is_told_plainly(folder: Path) -> None:
    folder.write_text("not a folder")
    with pytest.raises(Misconfigured, match="choose another folder"):
        async with embedded_server(folder):
            pass


async def test_data_of_another_version_are_left_alone(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "PG_VERSION").write_text("15\n")
    with pytest.raises(Misconfigured, match="written by PostgreSQL 15"):
        async with embedded_server(folder):
            pass


async def test_a_server_that_does_not_start_shows_the_end_of_its_log(folder: Path) -> None:
    async with embedded_server(folder):
        pass
    with (folder / "data" / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(Unavailable, match="no_such_setting") as caught:
        async with embedded_server(folder):
            pass
    assert "ROUTER_DATABASE_URL" in caught.value.hint


async def test_after_a_failed_start_the_next_may_succeed(folder: Path) -> None:
    async with embedded_server(folder):
        pass
    settings = folder / "data" / "postgresql.conf"
    good = settings.read_text()
    settings.write_text(good + "no_such_setting = 1\n")
    with pytest.raises(Unavailable):
        async with embedded_server(folder):
            pass
    settings.write_text(good)
    async with embedded_server(folder) as url:
        assert _answers(url)


async def test_an_interrupted_first_start_is_made_good(folder: Path) -> None:
    (folder / "data.new").mkdir(parents=True)
    (folder / "data.new" / "PG_VERSION").write_text("18\n")
    async with embedded_server(folder) as url:
        assert _answers(url)


@as_root_only
async def test_a_full_disk_is_told_plainly(folder: Path) -> None:
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)])
    if mounted.returncode != 0:
        pytest.skip("this machine does not let us mount a small disk")
    try:
        with pytest.raises(Unavailable, match="No space left") as caught:
            async with embedded_server(folder / "server"):
                pass
        assert "Free some space" in caught.value.hint
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_stopping_what_does_not_run_is_told_plainly(folder: Path) -> None:
    cluster = Cluster(folder, 5)
    cluster.prepare()
    with pytest.raises(Unavailable, match="pg_ctl failed"):
        cluster.stop()


@contextlib.contextmanager
def _process(folder: Path, program: str = PROCESS) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, "the process ended before it had a server"
    return line


def _wait_for(file: Path) -> None:
    while not file.exists():
        pass


def _finish(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def _pid(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().split(maxsplit=1)[0])


def _do(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(statement.encode())


def _ask(url: str, query: str) -> tuple[object, ...] | None:
    with psycopg.connect(url) as session:
        return session.execute(query.encode()).fetchone()


def _answers(url: str) -> bool:
    try:
        return _ask(url, "SELECT 1") == (1,)
    except psycopg.OperationalError:
        return False
