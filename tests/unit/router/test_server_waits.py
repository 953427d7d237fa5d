"""Clients that neither speak nor listen, seen from the ASGI side."""

from __future__ import annotations

import asyncio
import json
from io import StringIO

import pytest
from pydantic import BaseModel
from starlette.types import Message, Receive, Scope, Send

from router.server.body import read_body
from router.server.errors import SlowBody
from router.server.leaving import unless_client_leaves
from router.server.log import server_log
from router.server.outermost import Outermost, respond

SCOPE: Scope = {
    "type": "http",
    "method": "POST",
    "path": "/",
    "headers": [(b"content-type", b"application/json")],
}


async def _silence() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def test_a_body_that_does_not_come_is_not_waited_for_for_ever() -> None:
    with pytest.raises(SlowBody, match=r"0\.01 s"):
        await read_body(SCOPE, _silence, BaseModel, within_s=0.01)


async def test_a_client_that_takes_nothing_is_given_up() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"{}")

    async def stuck(message: Message) -> None:
        await asyncio.Event().wait()

    log = StringIO()
    outermost = Outermost(app, log=server_log(log), send_timeout_s=0.01)
    await outermost(dict(SCOPE), _silence, stuck)
    line = json.loads(log.getvalue())
    assert (line["status"], line["error"]) == (499, "client_left")


async def test_work_that_fails_fails_though_the_client_waits() -> None:
    async def work() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await unless_client_leaves(_silence, work())


async def test_cancelling_a_request_cancels_its_work() -> None:
    working, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        working.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    request = asyncio.create_task(unless_client_leaves(_silence, work()))
    await working.wait()
    request.cancel()
    await asyncio.wait((request,))
    assert cancelled.is_set()
