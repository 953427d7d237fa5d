"""So many questions at a time, and what the others are told."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from tests.support.server import Door, ScriptedRouter, served


async def post(client: httpx2.AsyncClient, door: Door, **body: Any) -> httpx2.Response:
    ask = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}], **body}
    return await client.post(f"{door.url}/v1/chat/completions", json=ask)


async def test_a_question_too_many_is_turned_away_and_told_when_to_come_back() -> None:
    router = ScriptedRouter(hold=asyncio.Event())
    async with (
        served(router, max_concurrent=1, max_waiting=0) as door,
        httpx2.AsyncClient(timeout=10) as client,
    ):
        first = asyncio.create_task(post(client, door))
        await router.asked.wait()
        second = await post(client, door)
        router.hold.set()  # type: ignore[union-attr]  # set above
        await first
    assert (second.status_code, second.json()["error"]["code"]) == (503, "overloaded")
    assert int(second.headers["retry-after"]) > 0


async def test_a_question_that_may_wait_is_answered_in_its_turn() -> None:
    router = ScriptedRouter(hold=asyncio.Event())
    async with (
        served(router, max_concurrent=1, max_waiting=1) as door,
        httpx2.AsyncClient(timeout=10) as client,
    ):
        questions = [asyncio.create_task(post(client, door)) for _ in range(3)]
        # One of the three can neither be answered nor wait.
        (turned_away,), _ = await asyncio.wait(questions, return_when=asyncio.FIRST_COMPLETED)
        router.hold.set()  # type: ignore[union-attr]  # set above
        others = [(await each).status_code for each in questions if each is not turned_away]
    assert turned_away.result().status_code == 503
    assert others == [200, 200]


async def test_decisions_are_counted_too() -> None:
    router = ScriptedRouter(hold=asyncio.Event())
    async with (
        served(router, max_concurrent=1, max_waiting=0) as door,
        httpx2.AsyncClient(timeout=10) as client,
    ):
        first = asyncio.create_task(post(client, door))
        await router.asked.wait()
        second = await client.post(f"{door.url}/v1/decisions", json={"input": "Hello"})
        router.hold.set()  # type: ignore[union-attr]  # set above
        await first
    assert second.status_code == 503


async def test_probes_are_answered_however_full_it_is() -> None:
    router = ScriptedRouter(hold=asyncio.Event())
    async with (
        served(router, max_concurrent=1, max_waiting=0) as door,
        httpx2.AsyncClient(timeout=10) as client,
    ):
        first = asyncio.create_task(post(client, door))
        await router.asked.wait()
        probes = [await client.get(f"{door.url}{path}") for path in ("/healthz", "/readyz")]
        router.hold.set()  # type: ignore[union-attr]  # set above
        await first
    assert [probe.status_code for probe in probes] == [200, 200]


async def test_a_question_that_cannot_be_read_takes_no_place() -> None:
    router = ScriptedRouter(hold=asyncio.Event())
    async with (
        served(router, max_concurrent=1, max_waiting=0) as door,
        httpx2.AsyncClient(timeout=10) as client,
    ):
        first = asyncio.create_task(post(client, door))
        await router.asked.wait()
        second = await post(client, door, messages=[])
        router.hold.set()  # type: ignore[union-attr]  # set above
        await first
    assert second.status_code == 400
