"""The HTTP door in front of a whole router, whose outside world alone is made of twins."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI

from backends.errors import Unavailable
from backends.memory.generator import Script, ScriptedGenerator
from router.server import Asks
from router.tracing.setup import tracing
from tests.support.parts import RETURNS, SALARY, World
from tests.support.server import TRACE_ID, served_router

BOOTS = "How long may unworn boots be returned?"
PIRATE = "Say hello like a pirate"


@asynccontextmanager
async def client_of(router: Asks) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        served_router(router) as (port, _, _),
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}/v1", timeout=20) as client,
    ):
        yield client


async def ask(
    client: httpx2.AsyncClient, question: str, *, headers: dict[str, str] | None = None, **more: Any
) -> httpx2.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": question}], **more}
    return await client.post("/chat/completions", json=body, headers=headers)


async def test_a_factual_answer_comes_with_its_quote() -> None:
    async with tracing() as traced:
        world = World(traced)
        await world.publish("returns", RETURNS)
        async with client_of(world.router()) as client:
            body = (await ask(client, BOOTS)).json()
    message = body["choices"][0]["message"]
    cited = message["annotations"][0]["url_citation"]
    assert "45 days" in message["content"]
    assert message["content"][cited["start_index"] : cited["end_index"]] == "[1]"
    assert body["router"]["citations"][0]["quote"] in RETURNS


async def test_the_official_client_streams_from_a_whole_router() -> None:
    async with tracing() as traced:
        world = World(traced)
        await world.publish("returns", RETURNS)
        async with (
            served_router(world.router()) as (port, _, _),
            AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="unused") as client,
        ):
            stream = await client.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": BOOTS}], stream=True
            )
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert "45 days" in text


@pytest.mark.parametrize(("principal", "sees"), [("group:hr", True), ("user:ana", False)])
async def test_the_principal_decides_what_an_answer_may_rest_on(principal: str, sees: bool) -> None:
    async with tracing() as traced:
        world = World(traced)
        await world.publish("salaries", SALARY, acl="group:hr")
        async with client_of(world.router()) as client:
            headers = {"X-Router-Principal": principal}
            response = await ask(client, "What does salary band C pay?", headers=headers)
    assert ("36,000" in response.text) is sees


async def test_a_stream_has_the_trace_that_its_answer_belongs_to() -> None:
    async with tracing() as traced:
        world = World(traced)
        await world.publish("returns", RETURNS)
        async with client_of(world.router()) as client:
            response = await ask(client, BOOTS, stream=True)
    frames = response.text.split("\n\n")
    last = json.loads(frames[-3].removeprefix("data: "))
    assert response.headers["x-router-trace-id"] == last["router"]["trace_id"]


async def test_an_answer_joins_the_trace_of_its_caller() -> None:
    async with tracing() as traced, client_of(World(traced).router()) as client:
        headers = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
        response = await ask(client, BOOTS, headers=headers)
    assert response.json()["router"]["trace_id"] == TRACE_ID


async def test_a_decision_says_and_joins_its_trace() -> None:
    async with tracing() as traced, client_of(World(traced).router()) as client:
        own = await client.post("/decisions", json={"input": BOOTS})
        headers = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
        joined = await client.post("/decisions", json={"input": BOOTS}, headers=headers)
    assert own.headers["x-router-trace-id"] == own.json()["router"]["trace_id"] != TRACE_ID
    assert joined.json()["router"]["trace_id"] == TRACE_ID


async def test_a_model_server_that_is_down_is_said_before_the_stream_begins() -> None:
    model = ScriptedGenerator("Ahoy!")
    model.unavailable = Unavailable("No answer.", backend="model server")
    async with tracing() as traced:
        router = World(traced, facts=0.02, manner=0.97, model=model).router()
        async with client_of(router) as client:
            response = await ask(client, PIRATE, stream=True)
    assert (response.status_code, response.json()["error"]["code"]) == (503, "model_unavailable")


async def test_a_client_that_leaves_stops_the_model() -> None:
    model = ScriptedGenerator(Script(text="Ahoy there matey!", gate=asyncio.Event()))
    async with tracing() as traced:
        router = World(traced, facts=0.02, manner=0.97, model=model).router()
        async with client_of(router) as client:
            body = {"model": "auto", "messages": [{"role": "user", "content": PIRATE}]}
            async with client.stream(
                "POST", "/chat/completions", json={**body, "stream": True}
            ) as response:
                async for line in response.aiter_lines():
                    if "Ahoy" in line:
                        break
            async with asyncio.timeout(1):
                await model.abandoned.wait()


async def test_an_adapter_that_the_model_server_has_can_be_asked() -> None:
    model = ScriptedGenerator("Ahoy!", adapters=["pirate"])
    async with tracing() as traced:
        router = World(traced, facts=0.9, manner=0.1, model=model).router()
        async with client_of(router) as client:
            body = (await ask(client, PIRATE, model="pirate")).json()
    assert body["router"]["model"] == "pirate"
    assert body["router"]["decision"]["route"] == "behavioural"


async def test_a_decision_over_http_is_the_routers() -> None:
    async with tracing() as traced:
        router = World(traced, facts=0.9, manner=0.95).router()
        async with client_of(router) as client:
            body = (await client.post("/decisions", json={"input": PIRATE})).json()
    assert body["router"]["decision"]["route"] == "hybrid"
