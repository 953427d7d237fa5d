"""A whole server process: listen, open the router, answer, drain, stop."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import uvicorn

from router.server.app import create_app, gate_of
from router.server.errors import PortUnavailable
from router.server.keys import check_binding
from router.server.log import server_log, uvicorn_logs_to

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from router.config import ServerSettings, Settings
    from router.server.asks import Asks
    from router.server.gate import Gate

_KEEP_ALIVE_S: Final = 75
"""Longer than clients keep idle connections: they close first, and no request is lost."""

_HEADER_BYTES: Final = 64 * 1024
"""A principal in many groups has a long header."""

_CLOSING_S: Final = 2
"""For connections to close once every answer is through or cut."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """A wish to stop: the first is patient, the second is not."""

    def __init__(self) -> None:
        self.wished = asyncio.Event()
        self.now = asyncio.Event()

    def ask(self) -> None:
        """Ask to stop, or to stop at once."""
        (self.now if self.wished.is_set() else self.wished).set()


async def serve(settings: Settings, on_listening: Callable[[str, int], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT: readiness turns 503, answers in flight get ``drain_s``.

    Args:
        settings: All of them.
        on_listening: Called with host and port once connections are taken.

    Raises:
        SettingsError: It would listen beyond loopback without API keys.
        PortUnavailable: The port is taken, or not allowed.
        RouterError: The router cannot be opened.
    """
    from router.api import Router

    check_binding(settings.server)
    log = server_log()
    stop = Stop()
    with bound(settings.server) as listener, _signals_ask(stop):
        log.info("opening")
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        giving_up = asyncio.create_task(_cancel_once(stop.wished, task))
        try:
            async with Router.open(settings) as router:
                giving_up.cancel()
                await run(
                    router,
                    settings.server,
                    listener,
                    stop=stop,
                    log=log,
                    on_listening=on_listening,
                )
        except asyncio.CancelledError:
            if giving_up.cancelled() or not giving_up.done():
                raise  # somebody else's wish
            task.uncancel()
            log.info("stopped while opening")
        finally:
            giving_up.cancel()


async def run(
    router: Asks,
    settings: ServerSettings,
    listener: socket.socket,
    *,
    stop: Stop,
    log: FilteringBoundLogger,
    up: asyncio.Event | None = None,
    on_listening: Callable[[str, int], None] | None = None,
) -> None:
    """Serve an open router on a bound socket until asked to stop.

    Args:
        router: Neither opened nor closed here.
        settings: Everything but the address.
        listener: Bound; closed in the end.
        stop: When to stop.
        log: Of requests.
        up: Set once connections are taken.
        on_listening: Called then, with host and port.

    Raises:
        Exception: Draining failed, such as for a log that cannot be written; the server has stopped
            all the same.
    """
    gate = gate_of(settings)
    app = create_app(router, settings, gate=gate, log=log)
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_CLOSING_S,
        h11_max_incomplete_event_size=_HEADER_BYTES,
    )
    host, port = listener.getsockname()[:2]

    def listening() -> None:
        log.info("listening", host=host, port=port)
        if up is not None:
            up.set()
        if on_listening is not None:
            on_listening(host, port)

    server = _Server(config, listening)
    draining = asyncio.create_task(_drain(server, gate, stop, settings.drain_s, log))
    try:
        with uvicorn_logs_to(log):
            await server.serve(sockets=[listener])
            log.info("stopped")
    finally:
        draining.cancel()
        await asyncio.wait((draining,))
        if not draining.cancelled():
            draining.result()  # what went wrong while stopping is not to be lost


@contextmanager
def bound(settings: ServerSettings) -> Iterator[socket.socket]:
    """Bind the port before anything slow is opened; nothing is accepted yet.

    Raises:
        PortUnavailable: It cannot be bound.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Told that it is TCP, asyncio turns Nagle's algorithm off for each connection. With proto=0 it
    # does not, and every answer waits 40 ms for the client's delayed acknowledgement.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        # A restart must not wait until the system has forgotten the old connections.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise _unavailable(settings, error) from error
        yield listener


class _Server(uvicorn.Server):
    """uvicorn, which leaves signals to us and says when it is up."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again before the router is closed.
        yield


async def _drain(
    server: uvicorn.Server, gate: Gate, stop: Stop, drain_s: float, log: FilteringBoundLogger
) -> None:
    """Once asked to stop, let answers finish, then stop the server.

    It goes on listening meanwhile, so that probes can read that it is draining.
    """
    await stop.wished.wait()
    empty = asyncio.create_task(gate.empty())
    hurry = asyncio.create_task(stop.now.wait())
    try:
        gate.close()
        log.info("draining", seconds=drain_s)
        await asyncio.wait((empty, hurry), timeout=drain_s, return_when=asyncio.FIRST_COMPLETED)
        if not empty.done():
            log.warning("cutting answers in flight")
            gate.cut()
    finally:
        # Whatever went wrong: who was told to stop must stop.
        empty.cancel()
        hurry.cancel()
        server.should_exit = True


async def _cancel_once(wished: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Opening takes seconds; a signal in the meantime must not have to wait for it."""
    await wished.wait()
    task.cancel()


def _unavailable(settings: ServerSettings, error: OSError) -> PortUnavailable:
    where = f"{settings.host}:{settings.port}"
    match error.errno:
        case errno.EADDRINUSE:
            why = "another program listens there; stop it, or set server.port to a free port"
        case errno.EACCES:
            why = "ports below 1024 need a privilege; set server.port to another"
        case _:
            why = f"{error.strerror or error}; check server.host"
    return PortUnavailable(f"Cannot listen on {where}: {why}.")


@contextmanager
def _signals_ask(stop: Stop) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.ask)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
