"""The client against a real HTTP server that speaks vLLM's format: what is sent, what is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from agents.tools import ToolCalls
from backends.base import Message
from backends.generation import GenerationChunk, GenerationRequest, Sampling, Usage
from backends.vllm import Timeouts, VllmGenerator
from tests.support.model_server import ADAPTER, BASE_MODEL, ModelServer, Plan, model_server

ASKED = GenerationRequest((Message("user", "Hello there"),))
WITHIN_A_SECOND = 1.0
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


@asynccontextmanager
async def client_and_server() -> AsyncIterator[tuple[VllmGenerator, ModelServer]]:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        yield generator, server


async def text_of(generator: VllmGenerator, request: GenerationRequest = ASKED) -> str:
    return "".join([chunk.text async for chunk in generator.stream(request)])


async def test_the_adapter_goes_out_as_the_model() -> None:
    async with client_and_server() as (generator, server):
        await generator.complete(GenerationRequest(ASKED.messages, adapter=ADAPTER))
        assert server.calls[0].body["model"] == ADAPTER


async def test_the_first_base_model_is_the_default() -> None:
    async with client_and_server() as (generator, server):
        server.models = [("voice", "big"), ("big", None), ("other", None)]
        await generator.complete(ASKED)
        assert (server.calls[0].body["model"], generator.model) == ("big", "big")


async def test_the_default_model_is_looked_up_once() -> None:
    async with client_and_server() as (generator, server):
        await generator.complete(ASKED)
        await text_of(generator)
        assert server.listings == 1


async def test_the_default_model_is_unknown_before_the_first_call() -> None:
    async with client_and_server() as (generator, _):
        assert generator.model == "unknown"


async def test_a_configured_model_is_not_looked_up() -> None:
    async with (
        model_server() as server,
        VllmGenerator.open(server.url, model=ADAPTER) as generator,
    ):
        answer = await generator.complete(ASKED)
        assert (answer.model, generator.model, server.listings) == (ADAPTER, ADAPTER, 0)


async def test_a_server_that_came_back_with_another_model_is_asked_for_that() -> None:
    async with client_and_server() as (generator, server):
        await generator.complete(ASKED)
        server.models = [("newer", None)]
        with pytest.raises(Exception, match="does not exist"):
            await generator.complete(ASKED)
        assert (await generator.complete(ASKED)).model == "newer"


async def test_usage_is_asked_for_and_counted() -> None:
    async with client_and_server() as (generator, server):
        chunks = [chunk async for chunk in generator.stream(ASKED)]
        assert server.calls[0].body["stream_options"] == {"include_usage": True}
        assert chunks[-1].usage == Usage(2, 5)


async def test_a_server_that_does_not_count_leaves_usage_open() -> None:
    async with client_and_server() as (generator, server):
        server.plan(Plan(usage=False))
        chunks = [chunk async for chunk in generator.stream(ASKED)]
        assert chunks[-1] == GenerationChunk(finish_reason="stop", model=BASE_MODEL)


async def test_only_the_sampling_that_was_chosen_goes_out() -> None:
    async with client_and_server() as (generator, server):
        sampling = Sampling(max_tokens=7, temperature=0.0, stop=("END",))
        await generator.complete(GenerationRequest(ASKED.messages, sampling=sampling))
        assert server.calls[0].body == {
            "model": BASE_MODEL,
            "messages": [{"role": "user", "content": "Hello there"}],
            "stream": False,
            "max_tokens": 7,
            "temperature": 0.0,
            "stop": ["END"],
        }


async def test_a_schema_goes_out_as_response_format() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    async with client_and_server() as (generator, server):
        await generator.complete(GenerationRequest(ASKED.messages, schema=schema))
        assert server.calls[0].body["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True},
        }


async def test_choices_go_out_as_structured_outputs() -> None:
    async with client_and_server() as (generator, server):
        await generator.complete(GenerationRequest(ASKED.messages, choices=("a", "b")))
        assert server.calls[0].body["structured_outputs"] == {"choice": ["a", "b"]}


async def test_a_grammar_goes_out_as_structured_outputs() -> None:
    async with client_and_server() as (generator, server):
        await generator.complete(GenerationRequest(ASKED.messages, grammar='root ::= "yes"'))
        assert server.calls[0].body["structured_outputs"] == {"grammar": 'root ::= "yes"'}


async def test_what_the_caller_wrote_goes_out_untouched() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "mine", "schema": {}, "x": 1}}
    extra = {"tools": TOOLS, "tool_choice": "auto", "response_format": wanted}
    async with client_and_server() as (generator, server):
        await generator.complete(GenerationRequest(ASKED.messages, schema={}, extra=extra))
        assert {name: server.calls[0].body[name] for name in extra} == extra


async def test_what_tools_were_asked_and_said_goes_out_as_it_came() -> None:
    calls = [{"id": "call-1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    turns = (
        *ASKED.messages,
        Message("assistant", "", {"tool_calls": calls}),
        Message("tool", "18 degrees", {"tool_call_id": "call-1"}),
    )
    async with client_and_server() as (generator, server):
        await generator.complete(GenerationRequest(turns))
        assert server.calls[0].body["messages"] == [
            {"role": "user", "content": "Hello there"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "content": "18 degrees", "tool_call_id": "call-1"},
        ]


@pytest.mark.parametrize("streamed", [True, False])
async def test_tool_calls_come_back_as_the_server_writes_them(streamed: bool) -> None:
    request = GenerationRequest(ASKED.messages, extra={"tools": TOOLS})
    calls = ToolCalls()
    async with client_and_server() as (generator, _):
        if streamed:
            async with aclosing(generator.stream(request)) as chunks:
                async for chunk in chunks:
                    calls.feed(chunk.tool_calls)
        else:
            calls.feed((await generator.complete(request)).tool_calls)
    assert calls.whole() == (
        {
            "id": "call-1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
        },
    )


@pytest.mark.parametrize("streamed", [True, False])
async def test_the_trace_goes_along(streamed: bool) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    request = GenerationRequest(ASKED.messages, headers={"traceparent": trace})
    async with client_and_server() as (generator, server):
        await (text_of(generator, request) if streamed else generator.complete(request))
        assert server.calls[0].headers["traceparent"] == trace


async def test_the_api_key_goes_along_instead_of_what_the_caller_had() -> None:
    request = GenerationRequest(ASKED.messages, headers={"authorization": "Bearer theirs"})
    async with (
        model_server() as server,
        VllmGenerator.open(server.url, api_key="ours") as generator,
    ):
        await generator.complete(request)
        assert server.calls[0].headers["Authorization"] == "Bearer ours"


async def test_letters_that_the_network_cuts_in_two_stay_whole() -> None:
    async with client_and_server() as (generator, server):
        server.plan(Plan(piece=1, words="Grüße an Łódź 👋🏽 schön"))
        assert await text_of(generator) == "Grüße an Łódź 👋🏽 schön"


async def test_keep_alive_comments_are_not_part_of_the_answer() -> None:
    async with client_and_server() as (generator, server):
        server.plan(Plan(comments=True, words="only this"))
        assert await text_of(generator) == "only this"


@pytest.mark.parametrize("streamed", [True, False])
async def test_reasoning_is_not_part_of_the_answer(streamed: bool) -> None:
    async with client_and_server() as (generator, server):
        server.plan(Plan(reason="Let me think.", words="Seven."))
        text = await text_of(generator) if streamed else (await generator.complete(ASKED)).text
        assert text == "Seven."


async def test_a_word_arrives_before_the_answer_is_complete() -> None:
    async with client_and_server() as (generator, server):
        server.plan(Plan(hold=asyncio.Event(), hold_at=2, words="first second"))
        stream = generator.stream(ASKED)
        assert (await anext(stream)).text == "first"
        await stream.aclose()


async def test_closing_the_stream_ends_the_call_on_the_server() -> None:
    async with client_and_server() as (generator, server):
        server.plan(Plan(hold=asyncio.Event(), hold_at=2))
        stream = generator.stream(ASKED)
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(WITHIN_A_SECOND):
            await server.client_left.wait()


async def test_cancelling_the_reader_ends_the_call_on_the_server() -> None:
    async with client_and_server() as (generator, server):
        server.plan(Plan(hold=asyncio.Event(), hold_at=2))
        reader = asyncio.create_task(text_of(generator))
        await server.arrived.wait()
        reader.cancel()
        async with asyncio.timeout(WITHIN_A_SECOND):
            await server.client_left.wait()


async def test_cancelling_before_the_first_token_ends_the_call_on_the_server() -> None:
    async with client_and_server() as (generator, server):
        server.plan(Plan(hold=asyncio.Event()))
        reader = asyncio.create_task(text_of(generator))
        await server.arrived.wait()
        reader.cancel()
        async with asyncio.timeout(WITHIN_A_SECOND):
            await server.client_left.wait()


async def test_cancelling_a_whole_answer_ends_the_call_on_the_server() -> None:
    async with client_and_server() as (generator, server):
        server.plan(Plan(hold=asyncio.Event()))
        reader = asyncio.create_task(generator.complete(ASKED))
        await server.arrived.wait()
        reader.cancel()
        async with asyncio.timeout(WITHIN_A_SECOND):
            await server.client_left.wait()


async def test_a_reader_that_takes_its_time_is_not_taken_for_a_silent_server() -> None:
    limits = Timeouts(idle=0.05)
    async with (
        model_server() as server,
        VllmGenerator.open(server.url, timeouts=limits) as generator,
    ):
        read = []
        async for chunk in generator.stream(ASKED):
            read.append(chunk.text)
            if len(read) == 1:
                loop = asyncio.get_running_loop()
                rested = asyncio.Event()
                loop.call_later(2 * limits.idle, rested.set)
                await rested.wait()
        assert "".join(read).endswith("Hello there")


async def test_a_connection_serves_one_call_after_the_other() -> None:
    async with client_and_server() as (generator, server):
        for _ in range(3):
            await text_of(generator)
            await generator.complete(ASKED)
        assert server.connections == 1
