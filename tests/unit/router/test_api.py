"""The library's front door."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

import router
from backends.base import Message
from backends.errors import Garbled, Unavailable
from backends.memory.generator import Script, ScriptedGenerator
from router.answer import Decided
from router.errors import (
    InvalidRequest,
    ModelUnavailable,
    RouterError,
    UpstreamFailed,
)
from router.policy import Route
from router.tracing.setup import Tracing
from tests.support.parts import RETURNS, World, untraced

QUESTION = "How long may unworn boots be returned?"


@pytest.fixture
def traced() -> Tracing:
    return untraced()


def test_every_promised_name_can_be_imported() -> None:
    for name in router.__all__:
        assert getattr(router, name) is not None


def test_the_promised_names_are_sorted() -> None:
    assert router.__all__ == sorted(router.__all__)


async def test_deciding_answers_nothing(traced: Tracing) -> None:
    model = ScriptedGenerator("Ahoy!")
    world = World(traced, facts=0.02, manner=0.97, model=model)

    decision = await world.router().decide("Say hello like a pirate", principal="user:ana")

    assert decision.route is Route.BEHAVIOURAL
    assert model.requests == []


async def test_deciding_and_asking_agree(traced: Tracing) -> None:
    world = World(traced)
    await world.publish("returns", RETURNS)
    asked = world.router()

    decision = await asked.decide(QUESTION, principal="user:ana")

    assert (await asked.ask(QUESTION, principal="user:ana")).decision == decision


async def test_an_answer_carries_times_and_a_trace_id(traced: Tracing) -> None:
    world = World(traced)
    await world.publish("returns", RETURNS)

    answer = await world.router().ask(QUESTION, principal="user:ana")

    assert {"condense", "classify", "retrieve", "factual", "first_token", "total"} <= set(
        answer.timings_ms
    )
    assert len(answer.trace_id) == 32
    assert int(answer.trace_id, 16) > 0


async def test_a_conversation_is_condensed_into_a_standalone_question(traced: Tracing) -> None:
    world = World(traced)
    await world.publish("leave", "Employees in Spain receive 24 working days of annual leave.")
    turns = [
        Message("user", "How many days of annual leave do employees in Germany receive?"),
        Message("assistant", "30 days."),
        Message("user", "And in Spain?"),
    ]

    answer = await world.router().ask(turns, principal="user:ana")

    assert answer.standalone_question.endswith("employees in Spain receive?")
    assert "24 working days" in answer.text


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ([], "messages"),
        ("  ", "messages[0]"),
        ([{"role": "wizard", "content": "hi"}], "messages[0]"),
        ([{"role": "user", "content": 3}], "messages[0]"),
        (
            [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}],
            "messages[1]",
        ),
    ],
)
async def test_malformed_messages_are_refused_by_their_field(
    traced: Tracing, question: list[dict[str, str]] | str, field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await World(traced).router().ask(question, principal="user:ana")

    assert refused.value.field == field


async def test_an_untyped_principal_is_refused(traced: Tracing) -> None:
    with pytest.raises(InvalidRequest, match="user:NAME") as refused:
        await World(traced).router().ask(QUESTION, principal="ana")

    assert refused.value.field == "principal"


async def test_an_unknown_route_is_refused(traced: Tracing) -> None:
    with pytest.raises(InvalidRequest, match="hybrid"):
        await World(traced).router().ask(QUESTION, principal="user:ana", route="psychic")


async def test_a_missing_model_is_the_routers_own_error_with_its_cause(traced: Tracing) -> None:
    world = World(traced, facts=0.02, manner=0.97)

    with pytest.raises(ModelUnavailable) as failed:
        await world.router().ask("Say hello", principal="user:ana")

    assert failed.value.code == "model_unavailable"
    assert failed.value.__cause__ is not None


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (Unavailable("Down.", backend="model server"), ModelUnavailable),
        (Garbled("Nonsense.", backend="model server"), UpstreamFailed),
    ],
)
async def test_failures_beneath_are_translated(
    traced: Tracing, cause: Unavailable, expected: type[RouterError]
) -> None:
    model = ScriptedGenerator(Script(fails_with=cause))
    world = World(traced, facts=0.02, manner=0.97, model=model)

    with pytest.raises(expected):
        await world.router().ask("Say hello", principal="user:ana")


async def test_closing_the_stream_early_cancels_everything_beneath(traced: Tracing) -> None:
    gate = asyncio.Event()
    model = ScriptedGenerator(Script(text="one two three", gate=gate))
    world = World(traced, facts=0.02, manner=0.97, model=model)

    async with aclosing(world.router().stream("Say hello", principal="user:ana")) as events:
        async for event in events:
            if not isinstance(event, Decided):
                break

    async with asyncio.timeout(1):
        await model.abandoned.wait()


async def test_cancelling_the_asker_cancels_everything_beneath(traced: Tracing) -> None:
    model = ScriptedGenerator(Script(text="one two three", gate=asyncio.Event()))
    world = World(traced, facts=0.02, manner=0.97, model=model)
    asked = world.router()
    begun = asyncio.Event()

    async def ask() -> None:
        async for event in asked.stream("Say hello", principal="user:ana"):
            if not isinstance(event, Decided):
                begun.set()

    asking = asyncio.create_task(ask())
    await begun.wait()
    asking.cancel()

    async with asyncio.timeout(1):
        await model.abandoned.wait()
    with pytest.raises(asyncio.CancelledError):
        await asking
