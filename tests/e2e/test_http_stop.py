"""How a server stops: readiness first, then the answers, then the process."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import StringIO

import httpx2
import pytest

from router.config import ServerSettings
from router.server.errors import PortUnavailable
from router.server.log import server_log
from router.server.serving import Stop, bound, run
from tests.support.server import Door, ScriptedRouter, served

ASK = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}


@asynccontextmanager
async def answering(
    door: Door, *, stream: bool = False
) -> AsyncIterator[tuple[httpx2.AsyncClient, asyncio.Task[httpx2.Response]]]:
    """A client, and its question in flight."""
    async with httpx2.AsyncClient(base_url=door.url, timeout=10) as client:
        ask = client.post("/v1/chat/completions", json={**ASK, "stream": stream})
        question = asyncio.create_task(ask)
        await door.router.asked.wait()
        yield client, question


async def drained(door: Door) -> None:
    """Ask to stop, and wait until that has begun."""
    door.stop.ask()
    async with httpx2.AsyncClient(base_url=door.url, timeout=10) as client, asyncio.timeout(5):
        while (await client.get("/readyz")).status_code != 503:
            pass


async def test_a_stopping_server_is_not_ready() -> None:
    hold = asyncio.Event()
    async with served(ScriptedRouter(hold=hold)) as door, answering(door) as (client, question):
        await drained(door)
        response = await client.get("/readyz")
        hold.set()
        await question
    assert (response.status_code, response.json()) == (503, {"status": "draining"})


async def test_a_stopping_server_lives() -> None:
    hold = asyncio.Event()
    async with served(ScriptedRouter(hold=hold)) as door, answering(door) as (client, question):
        await drained(door)
        response = await client.get("/healthz")
        hold.set()
        await question
    assert response.status_code == 200


async def test_a_stopping_server_takes_no_more_questions() -> None:
    hold = asyncio.Event()
    async with served(ScriptedRouter(hold=hold)) as door, answering(door) as (client, question):
        await drained(door)
        response = await client.post("/v1/chat/completions", json=ASK)
        hold.set()
        await question
    assert (response.status_code, response.json()["error"]["code"]) == (503, "shutting_down")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_in_flight_is_finished_before_the_server_stops(stream: bool) -> None:
    router = ScriptedRouter(hold=asyncio.Event(), hold_after=1)
    async with served(router) as door, answering(door, stream=stream) as (_, question):
        await drained(door)
        assert router.hold is not None
        router.hold.set()
        response = await question
    assert response.status_code == 200
    assert "30 days" in response.text


async def test_an_answer_that_takes_too_long_is_cut_with_an_error() -> None:
    router = ScriptedRouter(hold=asyncio.Event(), hold_after=1)
    async with served(router, drain_s=0.05) as door, answering(door, stream=True) as (_, question):
        await drained(door)
        response = await question
    *_, frame, end = response.text.strip().split("\n\n")
    assert "shutting_down" in frame
    assert end == "data: [DONE]"


async def test_an_answer_that_has_not_begun_when_time_is_up_fails_with_503() -> None:
    router = ScriptedRouter(hold=asyncio.Event())
    async with served(router, drain_s=0.05) as door, answering(door) as (_, question):
        await drained(door)
        response = await question
    assert (response.status_code, response.json()["error"]["code"]) == (503, "shutting_down")


async def test_a_second_wish_to_stop_does_not_wait() -> None:
    router = ScriptedRouter(hold=asyncio.Event())
    async with served(router, drain_s=600) as door, answering(door) as (_, question):
        await drained(door)
        door.stop.ask()
        response = await question
    assert response.status_code == 503


async def test_those_who_wait_when_a_server_stops_are_told_at_once() -> None:
    hold = asyncio.Event()
    router = ScriptedRouter(hold=hold)
    async with (
        served(router, max_concurrent=1, max_waiting=1) as door,
        answering(door) as (client, question),
    ):
        post = [client.post("/v1/chat/completions", json=ASK) for _ in range(2)]
        others = [asyncio.create_task(each) for each in post]
        # One of the two cannot wait, which shows that the other does.
        _, (waiting,) = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        await drained(door)
        response = await waiting
        hold.set()
        await question
    assert response.json()["error"]["code"] == "shutting_down"


async def test_what_is_sent_in_pieces_does_not_wait_for_acknowledgements() -> None:
    nodelay: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        nodelay.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with bound(_at(0)) as listener:
        async with await asyncio.start_server(accepted, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            assert await nodelay
            writer.close()


async def test_a_server_whose_log_cannot_be_written_stops_all_the_same() -> None:
    settings, stop, up = ServerSettings(port=0), Stop(), asyncio.Event()
    with bound(settings) as listener:
        log = server_log(_Full())
        running = asyncio.create_task(
            run(ScriptedRouter(), settings, listener, stop=stop, log=log, up=up)
        )
        await up.wait()
        stop.ask()
        async with asyncio.timeout(5):
            with pytest.raises(OSError, match="No space left"):
                await running


class _Full(StringIO):
    """A disk that is full when the server begins to drain."""

    def write(self, text: str) -> int:
        if "draining" in text:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortUnavailable, match=f"127.0.0.1:{port}"), bound(_at(port)):
            pass


def test_an_address_that_this_machine_does_not_have_is_named() -> None:
    settings = ServerSettings(host="192.0.2.1", port=0)
    with pytest.raises(PortUnavailable, match=r"192\.0\.2\.1:0"), bound(settings):
        pass


def _at(port: int) -> ServerSettings:
    return ServerSettings(port=port)
