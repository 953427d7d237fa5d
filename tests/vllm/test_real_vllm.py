"""The client against a real vLLM: that its wire format is what the client believes it to be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from backends.base import Message
from backends.errors import CallsNoTools, Refused
from backends.generation import GenerationRequest, ModelCard, Sampling
from backends.vllm import VllmGenerator
from tests.support.real_vllm import CONTEXT_TOKENS, LocalVllm, RealVllm

pytestmark = pytest.mark.vllm

GREEDY = Sampling(max_tokens=24, temperature=0.0, seed=1)
ASKED = GenerationRequest((Message("user", "How many days of leave are there?"),), sampling=GREEDY)
SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}, "tone": {"enum": ["plain", "warm"]}},
    "required": ["ok", "tone"],
    "additionalProperties": False,
}
TOOL = {
    "type": "function",
    "function": {"name": "look", "strict": True, "parameters": SCHEMA},
}
# One choice that is longer than the context, so that a model without sense cannot end it early; and
# long enough, some 20 s, that a busy machine notices in time that the reader has left.
LONG = replace(
    ASKED, sampling=Sampling(max_tokens=CONTEXT_TOKENS - 100), choices=("0123456789" * 1000,)
)
RUNNING = "vllm:num_requests_running"
TOKENS_OF_FINISHED = "vllm:request_generation_tokens_sum"
ONE_TOKEN = replace(ASKED, sampling=Sampling(max_tokens=1))


@asynccontextmanager
async def client_of(server: RealVllm) -> AsyncIterator[VllmGenerator]:
    async with VllmGenerator.open(server.url) as generator:
        yield generator


async def metric(server: RealVllm, name: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def until_busy(server: RealVllm) -> None:
    """Return once the engine works on something."""
    async with asyncio.timeout(30):
        while await metric(server, RUNNING) == 0:  # noqa: ASYNC110  # tells only when asked
            await asyncio.sleep(0.02)


async def until_idle(server: RealVllm, generator: VllmGenerator) -> int:
    """Return how many single tokens it took until the engine worked on nothing else.

    The engine counts only while it works; after a cancelled request it tells the old number until
    the next one.
    """
    asked = 0
    async with asyncio.timeout(30):
        while asked == 0 or await metric(server, RUNNING) > 0:
            await generator.complete(ONE_TOKEN)
            asked += 1
    return asked


async def test_models_and_adapters_are_listed(real_vllm: RealVllm) -> None:
    async with client_of(real_vllm) as generator:
        assert list(await generator.models()) == [
            ModelCard(real_vllm.base_model),
            ModelCard(real_vllm.adapter, base=real_vllm.base_model),
        ]


async def test_a_stream_and_a_whole_answer_say_the_same(real_vllm: RealVllm) -> None:
    async with client_of(real_vllm) as generator:
        chunks = [chunk async for chunk in generator.stream(ASKED)]
        whole = await generator.complete(ASKED)
        assert "".join(chunk.text for chunk in chunks) == whole.text != ""
        assert (chunks[-1].usage, chunks[-1].model, chunks[-1].finish_reason) == (
            whole.usage,
            whole.model,
            whole.finish_reason,
        )


async def test_tokens_are_counted(real_vllm: RealVllm) -> None:
    async with client_of(real_vllm) as generator:
        usage = (await generator.complete(ASKED)).usage
        assert usage.input_tokens > 0
        assert 0 < usage.output_tokens <= 24


async def test_an_adapter_answers_otherwise_than_its_base(real_vllm: RealVllm) -> None:
    async with client_of(real_vllm) as generator:
        base = await generator.complete(ASKED)
        adapted = await generator.complete(replace(ASKED, adapter=real_vllm.adapter))
        assert adapted.text != base.text
        assert (base.model, adapted.model) == (real_vllm.base_model, real_vllm.adapter)


@pytest.mark.parametrize("choices", [("factual", "behavioural"), ("yes", "no", "unsure")])
async def test_an_answer_is_one_of_the_choices(
    real_vllm: RealVllm, choices: tuple[str, ...]
) -> None:
    async with client_of(real_vllm) as generator:
        assert (await generator.complete(replace(ASKED, choices=choices))).text in choices


async def test_an_answer_follows_the_schema(real_vllm: RealVllm) -> None:
    # White space is free in JSON, and a model without sense may use much of it.
    request = replace(ASKED, schema=SCHEMA, sampling=replace(GREEDY, max_tokens=400))
    async with client_of(real_vllm) as generator:
        answer = json.loads((await generator.complete(request)).text)
        assert answer["ok"] in (True, False)
        assert answer["tone"] in ("plain", "warm")


async def test_an_adapter_follows_the_schema_in_a_stream(real_vllm: RealVllm) -> None:
    sampling = replace(GREEDY, max_tokens=400)
    request = replace(ASKED, adapter=real_vllm.adapter, schema=SCHEMA, sampling=sampling)
    async with client_of(real_vllm) as generator:
        text = "".join([chunk.text async for chunk in generator.stream(request)])
        assert set(json.loads(text)) == {"ok", "tone"}


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_tool_that_is_insisted_on_is_called(real_vllm: RealVllm, streamed: bool) -> None:
    choice = {"type": "function", "function": {"name": "look"}}
    extra = {"tools": [TOOL], "tool_choice": choice}
    request = replace(ASKED, extra=extra, sampling=replace(GREEDY, max_tokens=400))
    async with client_of(real_vllm) as generator:
        if streamed:
            chunks = [chunk async for chunk in generator.stream(request)]
            pieces = [piece for chunk in chunks for piece in chunk.tool_calls]
        else:
            pieces = list((await generator.complete(request)).tool_calls)
        functions: list[Any] = [piece["function"] for piece in pieces]
        assert [each["name"] for each in functions if each.get("name")] == ["look"]
        arguments = json.loads("".join(each.get("arguments") or "" for each in functions))
        assert arguments["ok"] in (True, False)


async def test_tools_are_refused_with_their_flags_where_none_are_set_up(
    local_vllm: LocalVllm,
) -> None:
    request = replace(ASKED, extra={"tools": [TOOL]})
    async with VllmGenerator.open(local_vllm.url) as generator:
        with pytest.raises(CallsNoTools, match="--enable-auto-tool-choice --tool-call-parser NAME"):
            await generator.complete(request)


async def test_a_response_format_reaches_the_model_as_it_is(real_vllm: RealVllm) -> None:
    shape = {"type": "json_schema", "json_schema": {"name": "tone", "schema": SCHEMA}}
    sampling = replace(GREEDY, max_tokens=400)
    request = replace(ASKED, extra={"response_format": shape}, sampling=sampling)
    async with client_of(real_vllm) as generator:
        answer = json.loads((await generator.complete(request)).text)
        assert answer["tone"] in ("plain", "warm")


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_unknown_adapter_is_refused(real_vllm: RealVllm, streamed: bool) -> None:
    request = replace(ASKED, adapter="pirate")
    async with client_of(real_vllm) as generator:
        asked = anext(generator.stream(request)) if streamed else generator.complete(request)
        with pytest.raises(Refused, match="pirate") as caught:
            await asked
        assert caught.value.hint == f"It serves {real_vllm.base_model}, {real_vllm.adapter}."


async def test_a_prompt_that_is_too_long_is_refused(real_vllm: RealVllm) -> None:
    words = "leave " * CONTEXT_TOKENS
    async with client_of(real_vllm) as generator:
        with pytest.raises(Refused, match=str(CONTEXT_TOKENS)):
            await generator.complete(GenerationRequest((Message("user", words),)))


async def test_leaving_a_stream_ends_the_generation(real_vllm: RealVllm) -> None:
    async with client_of(real_vllm) as generator:
        tokens = await metric(real_vllm, TOKENS_OF_FINISHED)
        streams = [generator.stream(LONG) for _ in range(4)]
        for stream in streams:
            await anext(stream)
        for stream in streams:
            await stream.aclose()
        single = await until_idle(real_vllm, generator)
        assert await metric(real_vllm, TOKENS_OF_FINISHED) <= tokens + single


async def test_cancelling_a_whole_answer_ends_the_generation(real_vllm: RealVllm) -> None:
    async with client_of(real_vllm) as generator:
        await until_idle(real_vllm, generator)
        tokens = await metric(real_vllm, TOKENS_OF_FINISHED)
        task = asyncio.create_task(generator.complete(LONG))
        await until_busy(real_vllm)
        task.cancel()
        single = await until_idle(real_vllm, generator)
        assert await metric(real_vllm, TOKENS_OF_FINISHED) <= tokens + single
