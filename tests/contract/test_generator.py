"""What every generator promises, whoever writes the words."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from backends.base import DocumentId, Message, Passage, PassageId
from backends.errors import Refused
from backends.extractive import ExtractiveGenerator
from backends.genai import GenaiGenerator
from backends.generation import GenerationChunk, GenerationRequest, Generator
from backends.memory.embedder import HashingEmbedder
from backends.memory.generator import Script, ScriptedGenerator
from backends.vllm import VllmGenerator
from tests.support.model_server import ADAPTER, BASE_MODEL, model_server
from tests.support.starter import make_adapter, make_starter

OpenGenerator: TypeAlias = Callable[[], AbstractAsyncContextManager[Generator]]

QUESTION = "How many days of leave are there?"
TEXT = "Everybody has 28 days of leave a year. Unused days lapse in March."
SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
PASSAGE = Passage(PassageId("p1"), DocumentId("d1"), "Leave", "leave.md", 1, 0, 0, len(TEXT), TEXT)
REQUEST = GenerationRequest(
    (Message("system", "Answer."), Message("user", QUESTION)),
    question=QUESTION,
    evidence=(PASSAGE,),
)


@asynccontextmanager
async def scripted() -> AsyncIterator[Generator]:
    def answer(request: GenerationRequest) -> Script | str:
        if request.schema is not None:
            return json.dumps({"ok": True})
        return f"{request.adapter or 'the base'} says 28 days"

    yield ScriptedGenerator(answer, model=BASE_MODEL, adapters=[ADAPTER])


@asynccontextmanager
async def vllm() -> AsyncIterator[Generator]:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        yield generator


@asynccontextmanager
async def extractive() -> AsyncIterator[Generator]:
    yield ExtractiveGenerator(HashingEmbedder())


@asynccontextmanager
async def genai() -> AsyncIterator[Generator]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        base = make_starter(folder / "base")
        adapter = make_adapter(folder / "adapter", name=ADAPTER, base=BASE_MODEL)
        async with GenaiGenerator.open(BASE_MODEL, base, folder / "models") as generator:
            await generator.host.load(adapter)
            yield generator


every_generator = pytest.mark.parametrize("opened", [scripted, vllm, extractive, genai])
with_models = pytest.mark.parametrize("opened", [scripted, vllm, genai])


async def chunks_of(generator: Generator, request: GenerationRequest) -> list[GenerationChunk]:
    return [chunk async for chunk in generator.stream(request)]


async def adapters_of(generator: Generator) -> list[str]:
    return [card.name for card in await generator.models() if card.base is not None]


@every_generator
async def test_a_stream_and_a_whole_answer_say_the_same(opened: OpenGenerator) -> None:
    async with opened() as generator:
        streamed = "".join(chunk.text for chunk in await chunks_of(generator, REQUEST))
        assert streamed == (await generator.complete(REQUEST)).text != ""


@every_generator
async def test_an_answer_comes_in_more_than_one_piece(opened: OpenGenerator) -> None:
    async with opened() as generator:
        pieces = [chunk for chunk in await chunks_of(generator, REQUEST) if chunk.text]
        assert len(pieces) > 1


@every_generator
async def test_the_last_chunk_and_no_other_says_why_it_ended(opened: OpenGenerator) -> None:
    async with opened() as generator:
        *others, last = await chunks_of(generator, REQUEST)
        assert [last.finish_reason] == ["stop"]
        assert {chunk.finish_reason for chunk in others} == {None}


@every_generator
async def test_usage_and_model_come_once(opened: OpenGenerator) -> None:
    async with opened() as generator:
        chunks = await chunks_of(generator, REQUEST)
        assert len([chunk for chunk in chunks if chunk.usage is not None]) == 1
        assert len([chunk for chunk in chunks if chunk.model is not None]) == 1


@every_generator
async def test_tokens_are_counted_alike_in_a_stream_and_in_a_whole_answer(
    opened: OpenGenerator,
) -> None:
    async with opened() as generator:
        *_, last = await chunks_of(generator, REQUEST)
        usage = (await generator.complete(REQUEST)).usage
        assert last.usage == usage
        assert usage.input_tokens > 0
        assert usage.output_tokens > 0


@every_generator
async def test_the_default_model_is_among_the_models(opened: OpenGenerator) -> None:
    async with opened() as generator:
        await generator.complete(REQUEST)
        assert generator.model in [card.name for card in await generator.models()]


@every_generator
async def test_the_default_model_answers_when_no_adapter_is_named(opened: OpenGenerator) -> None:
    async with opened() as generator:
        generation = await generator.complete(REQUEST)
        assert generation.model == generator.model


@every_generator
async def test_an_unknown_adapter_is_refused(opened: OpenGenerator) -> None:
    async with opened() as generator:
        with pytest.raises(Refused, match="pirate"):
            await generator.complete(replace(REQUEST, adapter="pirate"))


@every_generator
async def test_an_unknown_adapter_is_refused_by_a_stream_too(opened: OpenGenerator) -> None:
    async with opened() as generator:
        with pytest.raises(Refused, match="pirate"):
            await chunks_of(generator, replace(REQUEST, adapter="pirate"))


@every_generator
async def test_a_stream_can_be_left_in_the_middle(opened: OpenGenerator) -> None:
    async with opened() as generator:
        stream = generator.stream(REQUEST)
        async with aclosing(stream) as chunks:  # type: ignore[type-var]  # all have aclose
            first = await anext(chunks)
        assert first.text != ""
        assert [chunk async for chunk in stream] == []


@every_generator
async def test_answers_may_be_asked_for_at_the_same_time(opened: OpenGenerator) -> None:
    async with opened() as generator:
        several = await asyncio.gather(*(generator.complete(REQUEST) for _ in range(8)))
        assert len({generation.text for generation in several}) == 1


@with_models
async def test_an_adapter_answers_in_its_own_words(opened: OpenGenerator) -> None:
    async with opened() as generator:
        base = await generator.complete(REQUEST)
        (adapter,) = await adapters_of(generator)
        adapted = await generator.complete(replace(REQUEST, adapter=adapter))
        assert adapted.text != base.text
        assert adapted.model == adapter


@with_models
async def test_an_adapter_is_listed_with_its_base_model(opened: OpenGenerator) -> None:
    async with opened() as generator:
        bases = {card.name: card.base for card in await generator.models()}
        (adapter,) = await adapters_of(generator)
        assert adapter.startswith(ADAPTER)
        assert bases == {BASE_MODEL: None, adapter: BASE_MODEL}


@with_models
async def test_an_answer_is_one_of_the_choices(opened: OpenGenerator) -> None:
    async with opened() as generator:
        generation = await generator.complete(replace(REQUEST, choices=("yes", "no")))
        assert generation.text in ("yes", "no")


@with_models
async def test_an_answer_follows_the_schema(opened: OpenGenerator) -> None:
    async with opened() as generator:
        generation = await generator.complete(replace(REQUEST, schema=SCHEMA))
        assert isinstance(json.loads(generation.text)["ok"], bool)
