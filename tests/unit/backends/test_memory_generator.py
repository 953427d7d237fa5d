"""The levers of the scripted generator; what it promises as a generator is in the contract."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from backends.base import Message
from backends.errors import Garbled, Unavailable
from backends.generation import GenerationRequest
from backends.memory.generator import Script, ScriptedGenerator

ASKED = GenerationRequest((Message("user", "Hello"),))
CUT = Garbled("The stream was cut.", backend="model server")


async def words_until_failure(generator: ScriptedGenerator) -> list[str]:
    words = []
    try:
        async for chunk in generator.stream(ASKED):
            words.append(chunk.text)  # noqa: PERF401  # what came before the failure counts
    except Garbled:
        return words
    return [*words, "did not fail"]


async def test_it_answers_by_rule() -> None:
    generator = ScriptedGenerator(lambda request: request.messages[-1].content.upper())
    assert (await generator.complete(ASKED)).text == "HELLO"


async def test_it_remembers_what_it_was_asked() -> None:
    generator = ScriptedGenerator()
    await generator.complete(ASKED)
    assert generator.requests == [ASKED]


@pytest.mark.parametrize(("after", "said"), [(0, []), (1, ["one"]), (9, ["one", " two"])])
async def test_it_fails_after_so_many_words(after: int, said: list[str]) -> None:
    script = Script(text="one two", fails_with=CUT, fails_after=after)
    assert await words_until_failure(ScriptedGenerator(script)) == said


async def test_it_is_down_while_told_to_be() -> None:
    generator = ScriptedGenerator()
    generator.unavailable = Unavailable("It is down.", backend="model server")
    with pytest.raises(Unavailable):
        await generator.complete(ASKED)
    generator.unavailable = None
    assert (await generator.complete(ASKED)).text


async def test_it_waits_at_its_gate_between_words() -> None:
    gate = asyncio.Event()
    stream = ScriptedGenerator(Script(text="one two", gate=gate)).stream(ASKED)
    assert (await anext(stream)).text == "one"
    second = asyncio.ensure_future(anext(stream))
    done, _ = await asyncio.wait([second], timeout=0)
    assert not done
    gate.set()
    assert (await second).text == " two"


async def test_it_tells_when_its_reader_left() -> None:
    generator = ScriptedGenerator("one two")
    async with aclosing(generator.stream(ASKED)) as stream:
        await anext(stream)
    assert generator.abandoned.is_set()


async def test_a_reader_that_stayed_did_not_leave() -> None:
    generator = ScriptedGenerator("one two")
    await generator.complete(ASKED)
    assert not generator.abandoned.is_set()
