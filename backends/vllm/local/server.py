"""One vLLM server of this machine, which outlives whoever started it.

FOLDER/server.json  who it is     server.log  what it says, the one before as server.log.1
FOLDER/starting.lock  held while one is being started
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import aiohttp

from backends.errors import Misconfigured, TimedOut, Unavailable
from backends.finishing import to_the_end
from backends.vllm.local import engines
from backends.vllm.local.engines import Engine
from backends.vllm.local.processes import end_group, identity

HOST: Final = "127.0.0.1"
STOP_LIMIT_S: Final = 30.0
"""How long a server may take to end by itself."""

_POLL_S: Final = 0.25
_HEALTH_S: Final = 2.0
_TOLD_LINES: Final = 15
_LOG_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start.

    Attributes:
        engine: With which vLLM.
        model: Folder or name of the base model.
        served_as: What it is asked for by.
        port: On the loopback address; 0 for a free one.
        more: Further options of vLLM's.
    """

    engine: Engine
    model: str
    served_as: str
    port: int
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """A server that was started.

    Attributes:
        pid: Of its first process, which leads its group.
        identity: Tells that process from a later one of the same number.
        since: When it was started, in seconds since 1970.
        engine: What it computes on.
    """

    pid: int
    identity: str
    since: float
    port: int
    model: str
    served_as: str
    engine: str
    log: str

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"


Tell = Callable[[float, str], None]
"""Called while a server starts: with the seconds so far, and the last line of its log."""


class LocalServer:
    """The server of a folder; there is one at a time.

    Args:
        folder: Created when absent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / "server.json"
        self._log = folder / "server.log"

    def running(self) -> Running | None:
        """Return the server that runs, healthy or not; None when there is none."""
        try:
            running = Running(**json.loads(self._state.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return running if identity(running.pid) == running.identity else None

    def check_alone(self) -> None:
        """Check that none runs.

        Raises:
            Misconfigured: One does.
        """
        if (known := self.running()) is not None:
            raise _runs_already(known)

    async def start(self, launch: Launch, *, timeout_s: float, tell: Tell) -> Running:
        """Start a server and wait until it is healthy; it goes on after this process.

        Cancelled, or unhealthy in the end, it is stopped again.

        Raises:
            Misconfigured: One runs already or is being started, or its port is taken.
            Unavailable: It ended by itself; the message has the end of its log.
            TimedOut: It was not healthy in time; likewise.
        """
        with self._alone():
            self.check_alone()
            running = self._launch(launch)
            try:
                await self._until_healthy(running, timeout_s, tell)
            except BaseException:
                await to_the_end(self._end(running))
                raise
            return running

    async def stop(self) -> Running | None:
        """End the server that runs and everything that it started; return it, if there was one."""
        running = self.running()
        if running is not None:
            await to_the_end(self._end(running))
        return running

    async def check_health(self, running: Running) -> str:
        """Return ``ok``, or in plain words what is wrong."""
        limit = aiohttp.ClientTimeout(total=_HEALTH_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.get(f"{running.url}/health") as answer,
            ):
                return "ok" if answer.status == 200 else f"it answers {answer.status}"
        except (aiohttp.ClientError, TimeoutError):
            return "it does not answer"

    def log_end(self, lines: int = _TOLD_LINES) -> str:
        """Return the last lines of the log."""
        try:
            with self._log.open("rb") as file:
                file.seek(max(0, self._log.stat().st_size - _LOG_BYTES))
                told = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(told.splitlines()[-lines:])

    def _launch(self, launch: Launch) -> Running:
        port = _free_port(launch.port)
        command = engines.command(launch.engine, launch.model, launch.served_as, launch.more)
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".log.1"))
        pid = _spawn(command, engines.environment(launch.engine, launch.model, port), self._log)
        running = Running(
            pid=pid,
            identity=identity(pid) or "",
            since=time.time(),
            port=port,
            model=launch.model,
            served_as=launch.served_as,
            engine=launch.engine.kind,
            log=str(self._log),
        )
        half = self._state.with_suffix(".half")
        half.write_text(json.dumps(asdict(running), indent=2), encoding="utf-8")
        half.replace(self._state)
        return running

    async def _until_healthy(self, running: Running, timeout_s: float, tell: Tell) -> None:
        began = time.monotonic()
        while await self.check_health(running) != "ok":
            waited = time.monotonic() - began
            if self.running() is None:
                raise Unavailable(
                    f"vLLM ended before it was up. Its log ends with:\n{self.log_end()}\n",
                    backend="model server",
                    hint=f"The whole log is in {self._log}.",
                )
            if waited > timeout_s:
                raise TimedOut(
                    f"vLLM was not up within {timeout_s:g} s. Its log ends with:\n"
                    f"{self.log_end()}\n",
                    backend="model server",
                    hint=f"Give it more time with --timeout; the whole log is in {self._log}.",
                )
            tell(waited, self.log_end(1))
            await asyncio.sleep(_POLL_S)

    async def _end(self, running: Running) -> None:
        """End the group: politely, then not."""
        end_group(running.pid, force=False)
        deadline = time.monotonic() + STOP_LIMIT_S
        while _lives(running):
            if time.monotonic() > deadline:
                end_group(running.pid, force=True)
                deadline += STOP_LIMIT_S
            await asyncio.sleep(_POLL_S / 5)
        # What it had started and not taken along.
        end_group(running.pid, force=True)
        self._state.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        import fcntl

        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / "starting.lock").open("ab")
        except OSError as error:
            raise Misconfigured(
                f"{self._folder} cannot be used: {error.strerror}.",
                backend="model server",
                hint="Make it writable, or choose another folder with ROUTER_HOME.",
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Misconfigured(
                    "A vLLM server is being started already.",
                    backend="model server",
                    hint="Wait for it, or end it with: router vllm down",
                ) from error
            yield


def _lives(running: Running) -> bool:
    _reap(running.pid)
    return identity(running.pid) == running.identity


def _reap(pid: int) -> None:
    """Let go of it if it was our child and has ended."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _spawn(command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
    """Start a process that leads a group of its own and outlives us; return its number."""
    program = shutil.which(command[0])
    if program is None:
        raise Misconfigured(
            f"There is no {command[0]!r} on this machine.",
            backend="model server",
            hint="Install it, or start vLLM yourself: router vllm up --print",
        )
    to_log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    streams = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), to_log, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(program, [*command], environment, file_actions=streams, setsid=True)


def _free_port(wanted: int) -> int:
    """Return the port, or a free one for 0.

    Raises:
        Misconfigured: Something listens on it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            raise Misconfigured(
                f"Port {wanted} is taken ({error.strerror}).",
                backend="model server",
                hint="Choose another with --port, or 0 for any that is free.",
            ) from error
        return int(probe.getsockname()[1])


def _runs_already(running: Running) -> Misconfigured:
    return Misconfigured(
        f"A vLLM server runs already: {running.served_as} at {running.url}, pid {running.pid}.",
        backend="model server",
        hint="End it with: router vllm down",
    )
