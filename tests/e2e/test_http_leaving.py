"""A client that goes away takes its work with it, over a real socket."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.server import Door, ScriptedRouter, served

SOON_S = 1.0


async def send(
    door: Door, path: str = "/v1/chat/completions", **fields: object
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a question and stay connected."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}], **fields}
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    writer.write(head.encode() + data)
    await writer.drain()
    return reader, writer


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("stream", [False, True])
async def test_leaving_before_the_first_token_cancels_the_work(stream: bool) -> None:
    router = ScriptedRouter(hold=asyncio.Event())
    async with served(router) as door:
        _, writer = await send(door, stream=stream)
        await router.asked.wait()
        await leave(writer)
        async with asyncio.timeout(SOON_S):
            await router.cancelled.wait()


async def test_leaving_in_the_middle_of_a_stream_cancels_the_work() -> None:
    router = ScriptedRouter(hold=asyncio.Event(), hold_after=1)
    async with served(router) as door:
        reader, writer = await send(door, stream=True)
        await reader.readuntil(b"Boots")
        await leave(writer)
        async with asyncio.timeout(SOON_S):
            await router.cancelled.wait()


async def test_leaving_before_a_decision_cancels_the_work() -> None:
    router = ScriptedRouter(hold=asyncio.Event())
    async with served(router) as door:
        _, writer = await send(door, "/v1/decisions", input="Hello")
        await router.asked.wait()
        await leave(writer)
        async with asyncio.timeout(SOON_S):
            await router.cancelled.wait()


async def test_leaving_frees_the_place_for_the_next_question() -> None:
    router = ScriptedRouter(hold=asyncio.Event())
    async with served(router, max_concurrent=1, max_waiting=0) as door:
        _, writer = await send(door)
        await router.asked.wait()
        await leave(writer)
        await router.cancelled.wait()
        router.hold = None
        reader, writer = await send(door)
        status = await reader.readline()
        await leave(writer)
    assert status == b"HTTP/1.1 200 OK\r\n"


async def test_a_client_that_left_is_logged_as_such() -> None:
    router = ScriptedRouter(hold=asyncio.Event())
    async with served(router) as door:
        _, writer = await send(door)
        await router.asked.wait()
        await leave(writer)
        await router.cancelled.wait()
    (line,) = [json.loads(each) for each in door.log.getvalue().splitlines() if "path" in each]
    assert (line["status"], line["error"], line["route"]) == (499, "client_left", "factual")


async def test_a_client_that_leaves_while_it_sends_harms_nobody() -> None:
    async with served() as door:
        _, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
        )
        await writer.drain()
        await leave(writer)
    (line,) = [json.loads(each) for each in door.log.getvalue().splitlines() if "path" in each]
    assert line["status"] == 499
