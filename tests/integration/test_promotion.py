"""Promoting and retiring adapters on model servers, and everything that can go wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backends.adapters import Adapter
from backends.base import Message
from backends.errors import Refused, Unavailable
from backends.generation import GenerationRequest
from backends.memory.registry import MemoryAdapterRegistry
from backends.vllm import Retries, VllmGenerator
from router.promotion import Promoted, promote, retire
from tests.support.model_server import BASE_MODEL, ModelServer, Plan, model_server
from tests.support.served import adapter

SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
NO_GRACE = 0.0


class Registry(MemoryAdapterRegistry):
    """Breaks when it is told to promote, before or after it has done so."""

    def __init__(self) -> None:
        super().__init__()
        self.breaks: str | None = None
        self.unreadable = False
        self.promoting = asyncio.Event()

    async def find(self, name: str, version: int | None = None) -> Adapter | None:
        if self.unreadable:
            raise Unavailable("The database is down.", backend="database")
        return await super().find(name, version)

    async def promote(self, name: str, version: int) -> Adapter | None:
        self.promoting.set()
        if self.breaks == "before":
            raise Unavailable("The database is down.", backend="database")
        before = await super().promote(name, version)
        if self.breaks == "after":
            raise Unavailable("The database broke off.", backend="database")
        if self.breaks == "unreadably":
            self.unreadable = True
            raise Unavailable("The database broke off.", backend="database")
        return before


@dataclass
class House:
    """Two servers, a registry, and two versions of one adapter of which the first is live."""

    one: ModelServer
    two: ModelServer
    generator: VllmGenerator
    registry: Registry

    async def promote(self, version: int = 2, probe: str | None = None) -> Promoted:
        return await promote(
            self.registry,
            self.generator.host,
            "voice",
            version,
            generator=self.generator,
            probe=probe,
            grace_s=NO_GRACE,
        )

    async def live(self) -> int:
        self.registry.unreadable = False
        found = await self.registry.find("voice")
        assert found is not None
        return found.version

    def served(self, name: str) -> list[bool]:
        return [name in server.names for server in (self.one, self.two)]


@asynccontextmanager
async def house(tmp_path: Path, **second: Any) -> AsyncIterator[House]:
    registry = Registry()
    await registry.add(adapter(tmp_path, examples=("Who are you?",)).spec)
    await registry.add(adapter(tmp_path, version=2, **second).spec)
    async with (
        model_server() as one,
        model_server() as two,
        VllmGenerator.open(f"{one.url},{two.url}", retries=Retries(base=0.0)) as generator,
    ):
        house = House(one, two, generator, registry)
        await house.promote(1)
        for server in (one, two):
            server.calls.clear()
            server.told_to_load.clear()
        yield house


async def test_the_new_version_is_live_and_the_old_one_unloaded(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        promoted = await held.promote()
        assert promoted.adapter.served_as == "voice@2"
        assert promoted.previous is not None
        assert promoted.previous.served_as == "voice@1"
        assert await held.live() == 2
        assert held.served("voice@2") == [True, True]
        assert held.served("voice@1") == [False, False]
        assert not promoted.left


async def test_the_probe_is_the_first_example_and_can_be_another(tmp_path: Path) -> None:
    async with house(tmp_path, examples=("How long may boots be returned?", "And shoes?")) as held:
        assert (await held.promote()).probe == "How long may boots be returned?"
        promoted = await held.promote(probe="Hello")
        assert promoted.probe == "Hello"
        assert "Hello" in promoted.said


async def test_the_old_version_answers_until_the_new_one_is_live(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        held.two.loading.clear()
        promoting = asyncio.create_task(held.promote())
        await held.two.told_to_load.wait()
        assert await held.live() == 1
        asked = GenerationRequest((Message("user", "Hello"),), adapter="voice@1")
        assert (await held.generator.complete(asked)).model == "voice@1"
        held.two.loading.set()
        await promoting
        assert await held.live() == 2


async def test_the_old_version_stays_for_the_grace(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        promoting = asyncio.create_task(
            promote(
                held.registry,
                held.generator.host,
                "voice",
                2,
                generator=held.generator,
                grace_s=60,
            )
        )
        held.registry.promoting.clear()
        await held.registry.promoting.wait()
        assert held.served("voice@1") == [True, True]
        promoting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await promoting
        assert await held.live() == 2
        assert held.served("voice@2") == [True, True]
        # The next promotion clears up.
        await held.promote()
        assert held.served("voice@1") == [False, False]


async def test_going_back_is_a_promotion_too(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        await held.promote()
        await held.promote(1)
        assert await held.live() == 1
        assert held.served("voice@1") == [True, True]
        assert held.served("voice@2") == [False, False]


async def test_promoting_the_live_version_mends_a_server_that_lost_it(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        held.one.models = [(BASE_MODEL, None)]
        promoted = await held.promote(1)
        assert promoted.previous is None
        assert held.served("voice@1") == [True, True]


async def assert_untouched(held: House) -> None:
    assert await held.live() == 1
    assert held.served("voice@1") == [True, True]
    assert held.served("voice@2") == [False, False]


async def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        with pytest.raises(Refused, match="voice@9"):
            await held.promote(9)
        await assert_untouched(held)


async def test_a_version_that_a_server_refuses_changes_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, rank=16) as held:
        held.two.max_lora_rank = 8
        with pytest.raises(Refused, match="rank 16"):
            await held.promote()
        await assert_untouched(held)


async def test_a_version_that_says_nothing_changes_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        for server in (held.one, held.two):
            server.plan(*[Plan(words=" ")] * 2)
        with pytest.raises(Refused, match="did not pass its probe"):
            await held.promote()
        await assert_untouched(held)


@pytest.mark.parametrize("said", ["not JSON", ""])
async def test_a_version_that_breaks_its_schema_changes_nothing(tmp_path: Path, said: str) -> None:
    async with house(tmp_path, schema=SCHEMA) as held:
        for server in (held.one, held.two):
            server.plan(*[Plan(words=said)] * 2)
        with pytest.raises(Refused, match="did not pass its probe"):
            await held.promote()
        await assert_untouched(held)


async def test_a_version_that_finds_no_end_to_its_form_changes_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, schema=SCHEMA) as held:
        for server in (held.one, held.two):
            server.plan(*[Plan(words='{"ok": tr', finish="length")] * 2)
        with pytest.raises(Refused, match="No end within 512 tokens"):
            await held.promote()
        await assert_untouched(held)


async def test_a_version_that_keeps_to_its_schema_is_promoted(tmp_path: Path) -> None:
    async with house(tmp_path, schema=SCHEMA) as held:
        assert '"ok"' in (await held.promote()).said


async def test_a_probe_that_no_server_answers_changes_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        for server in (held.one, held.two):
            server.plan(*[Plan(status=503)] * 3)
        with pytest.raises(Unavailable):
            await held.promote()
        await assert_untouched(held)


async def test_cancelled_before_it_is_live_a_promotion_changes_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        for server in (held.one, held.two):
            server.plan(Plan(hold=asyncio.Event()))
            server.arrived.clear()
        promoting = asyncio.create_task(held.promote())
        arrivals = [asyncio.create_task(server.arrived.wait()) for server in (held.one, held.two)]
        await asyncio.wait(arrivals, return_when=asyncio.FIRST_COMPLETED)
        for arrival in arrivals:
            arrival.cancel()
        promoting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await promoting
        await assert_untouched(held)


async def test_a_registry_that_is_down_changes_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        held.registry.breaks = "before"
        with pytest.raises(Unavailable):
            await held.promote()
        await assert_untouched(held)


async def test_a_registry_that_broke_off_after_the_switch_has_switched(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        held.registry.breaks = "after"
        assert (await held.promote()).adapter.version == 2
        assert held.served("voice@2") == [True, True]


async def test_what_may_be_live_is_never_unloaded(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        held.registry.breaks = "unreadably"
        with pytest.raises(Unavailable):
            await held.promote()
        assert held.served("voice@2") == [True, True]
        assert held.served("voice@1") == [True, True]


async def test_a_version_that_was_loaded_before_stays_loaded_when_its_probe_fails(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as held:
        second = await held.registry.find("voice", 2)
        assert second is not None
        await held.generator.host.load(second)
        for server in (held.one, held.two):
            server.plan(*[Plan(words=" ")] * 2)
        with pytest.raises(Refused):
            await held.promote()
        assert held.served("voice@2") == [True, True]


async def test_what_cannot_be_unloaded_is_said_and_the_promotion_stands(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        held.one.stuck = True
        promoted = await held.promote()
        assert await held.live() == 2
        assert len(promoted.left) == 1
        assert promoted.left[0].startswith("voice@1 is still loaded")


async def test_a_retired_version_is_unloaded(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        retired = await retire(held.registry, held.generator.host, "voice", 1, grace_s=NO_GRACE)
        assert retired.adapter.served_as == "voice@1"
        assert held.served("voice@1") == [False, False]


async def test_a_retirement_names_the_server_that_did_not_hear_of_it(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        await held.generator.host.unload("voice@1")
        await held.two.stop()
        retired = await retire(held.registry, held.generator.host, "voice", 1, grace_s=NO_GRACE)
        (told,) = retired.left
        assert "does not answer: retired versions of voice may still be loaded there" in told
        assert f":{held.two.port}" in told


async def test_retiring_an_unknown_version_is_refused(tmp_path: Path) -> None:
    async with house(tmp_path) as held:
        with pytest.raises(Refused, match="voice@9"):
            await retire(held.registry, held.generator.host, "voice", 9, grace_s=NO_GRACE)
