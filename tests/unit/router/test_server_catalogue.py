"""What the catalogue asks the model server, and how often."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from backends.errors import Unavailable
from backends.generation import ModelCard
from router.errors import ModelUnavailable
from router.promotion import RESERVED
from router.server.catalogue import BUILT_IN, Catalogue
from tests.support.server import ScriptedRouter

VOICE = ModelCard("house-voice", base="base-model")


@dataclass(slots=True)
class _Held(ScriptedRouter):
    """Lists its models when it is let."""

    async def models(self) -> list[ModelCard]:
        self.asked.set()
        assert self.hold is not None
        await self.hold.wait()
        return await ScriptedRouter.models(self)


@dataclass(slots=True)
class _Once(ScriptedRouter):
    """Lists its models a single time."""

    async def models(self) -> list[ModelCard]:
        listed = await ScriptedRouter.models(self)
        self.models_failure = Unavailable("No answer.", backend="model server")
        return listed


def test_no_adapter_may_take_a_name_that_the_router_answers_to() -> None:
    assert set(BUILT_IN) == RESERVED


async def test_one_listing_is_enough_to_look_a_model_up() -> None:
    card = await Catalogue(_Once(cards=[VOICE])).card("house-voice")
    assert (card["id"], card["owned_by"]) == ("house-voice", "base-model")


async def test_a_burst_of_questions_lists_the_models_once() -> None:
    router = _Held(cards=[VOICE], hold=asyncio.Event())
    catalogue = Catalogue(router)
    async with asyncio.TaskGroup() as burst:
        for _ in range(50):
            burst.create_task(catalogue.choice("house-voice"))
        await router.asked.wait()
        assert router.hold is not None
        router.hold.set()
    assert router.listings == 1


async def test_a_burst_shares_a_failure_too() -> None:
    failure = Unavailable("No answer.", backend="model server")
    router = _Held(models_failure=failure, hold=asyncio.Event())
    catalogue = Catalogue(router)
    burst = [asyncio.create_task(catalogue.choice("house-voice")) for _ in range(50)]
    await router.asked.wait()
    assert router.hold is not None
    router.hold.set()
    failed = await asyncio.gather(*burst, return_exceptions=True)
    assert {type(each) for each in failed} == {ModelUnavailable}
    assert router.listings == 1


async def test_whoever_asked_first_may_leave_while_others_wait() -> None:
    router = _Held(cards=[VOICE], hold=asyncio.Event())
    catalogue = Catalogue(router)
    first = asyncio.create_task(catalogue.choice("house-voice"))
    second = asyncio.create_task(catalogue.choice("house-voice"))
    await router.asked.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert router.hold is not None
    router.hold.set()
    assert (await second).adapter == "house-voice"


async def test_a_listing_after_a_failed_one_asks_again() -> None:
    router = ScriptedRouter(models_failure=Unavailable("No answer.", backend="model server"))
    catalogue = Catalogue(router)
    with pytest.raises(ModelUnavailable):
        await catalogue.choice("house-voice")
    router.models_failure, router.cards = None, [VOICE]
    assert (await catalogue.choice("house-voice")).adapter == "house-voice"
