"""Tools and response formats of OpenAI's API, through a whole router to a model server and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, InternalServerError

from backends.errors import Unavailable
from backends.generation import GenerationRequest
from backends.memory.generator import Script, ScriptedGenerator
from router.tracing.setup import tracing
from tests.support.parts import RETURNS, World
from tests.support.server import served_router

TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
PIECES = (
    {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": ""}},
    {"index": 0, "function": {"arguments": '{"city":'}},
    {"index": 0, "function": {"arguments": ' "Paris"}'}},
)
CALL: Any = {
    "id": "c1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
}
WEATHER = "What is the weather in Paris?"


def with_tools(request: GenerationRequest) -> Script:
    """Call the tool, then say what it said."""
    last = request.messages[-1]
    if "tools" in request.extra and last.role != "tool":
        return Script(tool_calls=PIECES, finish_reason="tool_calls")
    return Script(text=f"The tool says {last.content}.")


@asynccontextmanager
async def asking(world: World) -> AsyncIterator[AsyncOpenAI]:
    async with (
        served_router(world.router()) as (port, _, _),
        AsyncOpenAI(
            base_url=f"http://127.0.0.1:{port}/v1", api_key="unused", max_retries=0
        ) as client,
    ):
        yield client


async def ask(client: AsyncOpenAI, *turns: Any, **more: Any) -> Any:
    messages = [{"role": "user", "content": WEATHER}, *turns]
    return await client.chat.completions.create(model="auto", messages=messages, **more)


@asynccontextmanager
async def on(model: ScriptedGenerator, facts: float = 0.95) -> AsyncIterator[AsyncOpenAI]:
    async with tracing() as traced:
        world = World(traced, model=model, facts=facts)
        await world.publish("returns", RETURNS)
        async with asking(world) as client:
            yield client


async def test_a_tool_call_comes_back_whole() -> None:
    async with on(ScriptedGenerator(with_tools), facts=0.1) as client:
        choice = (await ask(client, tools=TOOLS)).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert choice.message.tool_calls[0].model_dump() == CALL


async def test_a_tool_call_streams_in_its_pieces() -> None:
    async with on(ScriptedGenerator(with_tools), facts=0.1) as client:
        stream = await ask(client, tools=TOOLS, stream=True)
        chunks = [chunk.choices[0] async for chunk in stream]
    streamed = [call for chunk in chunks for call in chunk.delta.tool_calls or ()]
    assert "".join(call.function.arguments for call in streamed) == '{"city": "Paris"}'
    assert (streamed[0].id, chunks[-1].finish_reason) == ("c1", "tool_calls")


async def test_a_tools_answer_leads_to_an_answer() -> None:
    model = ScriptedGenerator(with_tools)
    called = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    told = {"role": "tool", "tool_call_id": "c1", "content": "18 degrees"}
    async with on(model) as client:
        answer = await ask(client, called, told, tools=TOOLS)
    assert answer.choices[0].message.content == "The tool says 18 degrees."
    assert answer.router["decision"]["route"] == "behavioural"
    assert [turn.extra for turn in model.requests[-1].messages] == [
        {},
        {"tool_calls": [CALL]},
        {"tool_call_id": "c1"},
    ]


async def test_what_no_document_holds_is_left_to_the_tools() -> None:
    async with on(ScriptedGenerator(with_tools), facts=0.95) as client:
        answer = await ask(client, tools=TOOLS)
    assert answer.choices[0].message.tool_calls[0].function.name == "weather"
    assert answer.router["abstained"] is False


async def test_a_tool_that_must_be_called_needs_no_documents() -> None:
    async with on(ScriptedGenerator(with_tools), facts=0.95) as client:
        answer = await ask(client, tools=TOOLS, tool_choice="required")
    assert answer.router["decision"]["route"] == "behavioural"
    assert "tools are to be used" in answer.router["decision"]["reason"]


@pytest.mark.parametrize("offered", [{"tools": []}, {"tools": TOOLS, "tool_choice": "none"}])
async def test_tools_that_may_not_be_called_change_nothing(offered: dict[str, Any]) -> None:
    async with on(ScriptedGenerator("Ahoy!"), facts=0.95) as client:
        answer = await ask(client, **offered)
    assert answer.router["decision"]["route"] == "factual"


async def test_what_the_caller_wrote_reaches_the_model_untouched() -> None:
    model = ScriptedGenerator('{"ok": true}')
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    wanted = {
        "type": "json_schema",
        "json_schema": {"name": "mine", "strict": False, "schema": schema},
    }
    fields = {"tools": TOOLS, "tool_choice": "auto", "parallel_tool_calls": False}
    async with on(model, facts=0.1) as client:
        await ask(client, response_format=wanted, **fields)
    assert model.requests[-1].extra == {**fields, "response_format": wanted}


async def test_a_model_that_is_down_leaves_required_tools_uncalled() -> None:
    model = ScriptedGenerator(with_tools)
    model.unavailable = Unavailable("No answer.", backend="model server")
    async with on(model, facts=0.95) as client:
        with pytest.raises(InternalServerError, match="not available now") as refused:
            await ask(client, tools=TOOLS, tool_choice="required")
    assert refused.value.status_code == 503


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"tools": ["f"]}, "tools"),
        ({"tools": TOOLS, "tool_choice": 7}, "tool_choice"),
    ],
)
async def test_tools_of_another_shape_are_named(fields: dict[str, Any], named: str) -> None:
    async with on(ScriptedGenerator(with_tools)) as client:
        with pytest.raises(BadRequestError) as refused:
            await ask(client, **fields)
    assert refused.value.param == named
