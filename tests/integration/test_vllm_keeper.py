"""The keeper of model servers: who is well, and who has lost an adapter."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from backends.adapters import Adapter
from backends.base import Message
from backends.errors import Refused, Unavailable
from backends.generation import GenerationRequest
from backends.vllm import Retries, VllmGenerator
from tests.support.model_server import ADAPTER, BASE_MODEL, ModelServer, model_server
from tests.support.served import adapter

HELLO = (Message("user", "Hello there"),)
VOICE = GenerationRequest(HELLO, adapter="voice@1")


class Registry:
    """What is wanted, and whether that can be read."""

    def __init__(self, *live: Adapter) -> None:
        self.live = list(live)
        self.down = False
        self.asked = 0

    async def wanted(self) -> Sequence[Adapter]:
        self.asked += 1
        if self.down:
            raise Unavailable("The database is down.", backend="database")
        return self.live


@asynccontextmanager
async def two_servers() -> AsyncIterator[tuple[VllmGenerator, ModelServer, ModelServer]]:
    async with (
        model_server() as one,
        model_server() as two,
        VllmGenerator.open(f"{one.url},{two.url}", retries=Retries(attempts=0)) as generator,
    ):
        yield generator, one, two


async def test_what_is_wanted_is_loaded_where_it_is_missing(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, two):
        registry = Registry(adapter(tmp_path), adapter(tmp_path, "tone"))
        await generator.keeper(registry.wanted).round()
        for server in (one, two):
            assert {"voice@1", "tone@1"} <= set(server.names)


async def test_a_server_that_restarts_gets_its_adapters_back(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, two):
        keeper = generator.keeper(Registry(adapter(tmp_path)).wanted)
        await keeper.round()
        await one.stop()
        await one.start()
        assert "voice@1" not in one.names
        await keeper.round()
        assert "voice@1" in one.names
        for _ in range(4):
            await generator.complete(VOICE)
        assert (len(one.calls), len(two.calls)) == (2, 2)


async def test_a_server_that_is_back_gets_no_call_before_its_adapters_are(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, two):
        keeper = generator.keeper(Registry(adapter(tmp_path)).wanted)
        await keeper.round()
        await one.stop()
        await keeper.round()
        await one.start()
        one.loading.clear()
        one.told_to_load.clear()
        working = asyncio.create_task(keeper.round())
        await one.told_to_load.wait()
        for _ in range(4):
            await generator.complete(VOICE)
        assert (len(one.calls), len(two.calls)) == (0, 4)
        one.loading.set()
        await working
        await generator.complete(VOICE)
        assert len(one.calls) == 1


async def test_what_all_servers_have_lost_is_unavailable_and_not_unknown(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, two):
        keeper = generator.keeper(Registry(adapter(tmp_path)).wanted)
        await keeper.round()
        for server in (one, two):
            await server.stop()
            await server.start()
        with pytest.raises(Unavailable, match="No model server serves 'voice@1' yet"):
            await generator.complete(VOICE)


async def test_what_is_no_longer_wanted_is_not_loaded_again(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, _):
        registry = Registry(adapter(tmp_path))
        keeper = generator.keeper(registry.wanted)
        await keeper.round()
        registry.live = [adapter(tmp_path, version=2)]
        await generator.host.unload("voice@1")
        await keeper.round()
        assert "voice@1" not in one.names
        assert "voice@2" in one.names
        with pytest.raises(Refused):
            await generator.complete(VOICE)


async def test_what_was_replaced_while_another_was_loading_is_not_loaded(tmp_path: Path) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        registry = Registry(adapter(tmp_path, "tone"), adapter(tmp_path))
        server.loading.clear()
        working = asyncio.create_task(generator.keeper(registry.wanted).round())
        await server.told_to_load.wait()
        registry.live = registry.live[:1]
        server.loading.set()
        await working
        assert server.loads == ["tone@1"]


async def test_what_is_being_promoted_is_given_back_as_well(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, _):
        keeper = generator.keeper(Registry().wanted)
        await generator.host.load(adapter(tmp_path))
        await one.stop()
        await one.start()
        await keeper.round()
        assert "voice@1" in one.names


async def test_what_the_registry_has_taken_over_is_the_registrys_to_drop(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, two):
        registry = Registry()
        keeper = generator.keeper(registry.wanted)
        loaded = adapter(tmp_path)
        await generator.host.load(loaded)
        registry.live = [loaded]
        await keeper.round()
        # Somebody else replaces it and unloads it.
        registry.live = []
        for server in (one, two):
            server.models = [(BASE_MODEL, None)]
        await keeper.round()
        assert "voice@1" not in one.names + two.names


async def test_adapters_of_another_base_are_none_of_its_business(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, _):
        registry = Registry(adapter(tmp_path, base="another-model"))
        await generator.keeper(registry.wanted).round()
        assert not one.loads
        with pytest.raises(Refused):
            await generator.complete(VOICE)


async def test_a_server_that_fails_is_left_alone_before_a_call_finds_out() -> None:
    async with two_servers() as (generator, one, two):
        keeper = generator.keeper()
        await keeper.round()
        one.healthy = False
        await keeper.round()
        for _ in range(4):
            await generator.complete(GenerationRequest(HELLO))
        assert (len(one.calls), len(two.calls)) == (0, 4)


async def test_a_server_that_is_well_again_is_asked_again_at_once() -> None:
    async with two_servers() as (generator, one, two):
        keeper = generator.keeper()
        await one.stop()
        await keeper.round()
        await one.start()
        await keeper.round()
        for _ in range(4):
            await generator.complete(GenerationRequest(HELLO, adapter=ADAPTER))
        assert (len(one.calls), len(two.calls)) == (2, 2)


async def test_a_server_without_a_health_endpoint_is_well() -> None:
    async with two_servers() as (generator, one, two):
        one.has_health = False
        await generator.keeper().round()
        for _ in range(2):
            await generator.complete(GenerationRequest(HELLO))
        assert (len(one.calls), len(two.calls)) == (1, 1)


async def test_without_the_registry_what_was_wanted_still_is(tmp_path: Path) -> None:
    async with two_servers() as (generator, one, _):
        registry = Registry(adapter(tmp_path))
        keeper = generator.keeper(registry.wanted)
        await keeper.round()
        registry.down = True
        await one.stop()
        await one.start()
        await keeper.round()
        assert "voice@1" in one.names


async def test_an_adapter_that_a_server_refuses_is_not_sent_again_every_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        server.max_lora_rank = 1
        keeper = generator.keeper(Registry(adapter(tmp_path)).wanted)
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                await keeper.round()
        assert server.loads == ["voice@1"]
        assert len(caplog.records) == 1
        assert "--max-lora-rank" in caplog.text


async def test_a_server_that_stays_down_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with two_servers() as (generator, one, _):
        await one.stop()
        keeper = generator.keeper()
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                await keeper.round()
        assert len(caplog.records) == 1


async def test_the_keeper_works_by_itself_and_ends_with_its_block(tmp_path: Path) -> None:
    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        registry = Registry(adapter(tmp_path))
        async with generator.keeper(registry.wanted).running(every_s=0.01):
            await server.told_to_load.wait()
            server.told_to_load.clear()
            await server.stop()
            await server.start()
            await server.told_to_load.wait()
        asked = registry.asked
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not [task for task in others if "keeper" in repr(task.get_coro())]
        assert registry.asked == asked


async def test_a_fault_of_the_keeper_is_not_lost() -> None:
    async def broken() -> Sequence[Adapter]:
        raise ZeroDivisionError

    async with model_server() as server, VllmGenerator.open(server.url) as generator:
        keeper = generator.keeper(broken)
        with pytest.raises(ZeroDivisionError):
            async with keeper.running():
                # Long enough for its task to begin, and it fails at once.
                await generator.models()
