"""Adapters on a real vLLM: loaded, swapped under load, refused, and given back after a restart."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from backends.adapters import Adapter, AdapterState
from backends.base import Message
from backends.errors import Refused, Unavailable
from backends.generation import GenerationRequest, Sampling
from backends.lora import WEIGHTS
from backends.manifest import model_hash, read_adapter
from backends.memory.registry import MemoryAdapterRegistry
from backends.vllm import VllmGenerator
from router.promotion import promote
from tests.support.real_vllm import ADAPTER, LocalVllm, RealVllm
from tests.support.swap import measured

pytestmark = pytest.mark.vllm

GREEDY = Sampling(max_tokens=24, temperature=0.0, seed=1)
QUESTION = (Message("user", "How many days of leave are there?"),)
SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}
RATE = 20.0


@dataclass
class House:
    """A registry and the client of a server whose live version is the first adapter."""

    server: LocalVllm
    registry: MemoryAdapterRegistry
    generator: VllmGenerator
    live: Adapter

    async def add(self, files: Path, **fields: Any) -> Adapter:
        spec = read_adapter(files, name="voice", base=self.server.base_model)
        return await self.registry.add(replace(spec, **fields))

    async def promote(self, adapter: Adapter) -> None:
        await promote(
            self.registry,
            self.generator.host,
            adapter.spec.name,
            adapter.version,
            generator=self.generator,
            grace_s=0,
        )

    async def says(self, model: str) -> str:
        request = GenerationRequest(QUESTION, adapter=model, sampling=GREEDY)
        return (await self.generator.complete(request)).text

    async def served(self) -> frozenset[str]:
        (names,) = (await self.generator.host.loaded()).values()
        assert names is not None
        return names


@asynccontextmanager
async def house(server: LocalVllm) -> AsyncIterator[House]:
    registry = MemoryAdapterRegistry()
    async with VllmGenerator.open(server.url) as generator:
        spec = read_adapter(server.folder / "adapter", name="voice", base=server.base_model)
        house = House(server, registry, generator, await registry.add(spec))
        await house.promote(house.live)
        try:
            yield house
        finally:
            for name in await house.served():
                await generator.host.unload(name)


async def assert_refused(held: House, adapter: Adapter, words: str) -> Refused:
    """Check that it is refused in these words, and that the live version is as before."""
    said = await held.says(held.live.served_as)
    with pytest.raises(Refused, match=words) as refused:
        await held.promote(adapter)
    live = await held.registry.find("voice")
    assert live is not None
    assert live.version == held.live.version
    assert await held.served() == {held.live.served_as}
    assert await held.says(held.live.served_as) == said
    return refused.value


async def test_two_adapters_answer_differently_from_the_base_and_from_each_other(
    local_vllm: LocalVllm,
) -> None:
    async with house(local_vllm) as held:
        second = await held.add(local_vllm.folder / "second")
        await held.generator.host.load(second)
        models = [local_vllm.base_model, held.live.served_as, second.served_as]
        answers = {await held.says(model) for model in models}
        assert len(answers) == 3
        await held.generator.host.unload(second.served_as)
        with pytest.raises(Refused, match="does not exist"):
            await held.says(second.served_as)


async def test_a_swap_under_load_fails_nobody_and_mixes_nothing(local_vllm: LocalVllm) -> None:
    folders = [local_vllm.folder / name for name in ("adapter", "second")]
    swap = await measured(local_vllm.url, local_vllm.base_model, folders, rate=RATE)
    assert [one.failure for one in swap.failures] == []
    assert [(one.served_as, one.model, one.text) for one in swap.mixed] == []
    assert set(swap.by_version) == {"voice@1", "voice@2"}
    # Answers were in flight when it was switched, and the first version's ended as they began.
    assert any(one.served_as == "voice@1" for one in swap.during)
    assert len(set(swap.expected.values())) > 4


async def test_a_schema_is_kept_by_the_probe(local_vllm: LocalVllm) -> None:
    async with house(local_vllm) as held:
        strict = await held.add(local_vllm.folder / "second", schema=SCHEMA)
        await held.promote(strict)
        assert await held.served() == {strict.served_as}


async def test_a_rank_above_the_servers_is_refused(local_vllm: LocalVllm) -> None:
    async with house(local_vllm) as held:
        wide = await held.add(local_vllm.folder / "wide")
        error = await assert_refused(held, wide, f"takes {local_vllm.max_rank} at most")
        assert f"--max-lora-rank {2 * local_vllm.max_rank}" in error.hint


async def test_a_corrupt_file_is_refused(local_vllm: LocalVllm, tmp_path: Path) -> None:
    async with house(local_vllm) as held:
        shutil.copytree(local_vllm.folder / "second", tmp_path / "second")
        damaged = await held.add(tmp_path / "second")
        weights = tmp_path / "second" / WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-100])
        await assert_refused(held, damaged, "bytes")


async def test_an_adapter_of_a_model_with_other_sizes_is_refused(local_vllm: LocalVllm) -> None:
    async with house(local_vllm) as held:
        foreign = await held.add(local_vllm.folder / "foreign")
        await assert_refused(held, foreign, "as a matrix of 128 by 128; .* one of 64 by 128")


async def test_a_file_that_only_the_server_can_find_fault_with_is_refused(
    local_vllm: LocalVllm, tmp_path: Path
) -> None:
    shutil.copytree(local_vllm.folder / "second", tmp_path / "odd")
    tensors = load_file(tmp_path / "odd" / WEIGHTS)
    renamed = {name.replace("q_proj", "odd_proj"): each for name, each in tensors.items()}
    save_file(renamed, tmp_path / "odd" / WEIGHTS)
    async with house(local_vllm) as held:
        odd = await held.add(tmp_path / "odd")
        error = await assert_refused(held, odd, "cannot load voice@2: .*odd_proj")
        assert "other dimensions" in error.hint


async def test_another_base_is_refused_by_name_and_by_weights(local_vllm: LocalVllm) -> None:
    async with house(local_vllm) as held:
        other = await held.add(local_vllm.folder / "second", base="Qwen/Qwen3-8B")
        await assert_refused(held, other, "trained from 'Qwen/Qwen3-8B'")
        renamed = await held.add(local_vllm.folder / "second", base_hash=f"sha256:{0:064x}")
        await assert_refused(held, renamed, "other weights")
        known = model_hash(local_vllm.folder / "base")
        await held.promote(await held.add(local_vllm.folder / "second", base_hash=known))


async def test_a_server_that_loads_nothing_is_refused_with_its_flags(real_vllm: RealVllm) -> None:
    registry = MemoryAdapterRegistry()
    async with VllmGenerator.open(real_vllm.url) as generator:
        spec = read_adapter(real_vllm.folder / "adapter", name="voice", base=real_vllm.base_model)
        added = await registry.add(spec)
        with pytest.raises(Refused, match="loads no adapters at run time") as refused:
            await promote(registry, generator.host, "voice", added.version, generator=generator)
        assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 --enable-lora" in refused.value.hint
        assert list((await generator.host.loaded()).values()) == [frozenset({ADAPTER})]


async def test_a_folder_that_the_server_does_not_see_is_named(
    local_vllm: LocalVllm, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(local_vllm) as held:
        lost = await held.add(local_vllm.folder / "second", folder=tmp_path / "elsewhere")

        async def wanted() -> list[Adapter]:
            return [lost]

        # A keeper trusts the registry, as the folder need not be seen where it runs.
        await held.generator.keeper(wanted).round()
        assert f"does not see the folder {tmp_path / 'elsewhere'}" in caplog.text
        assert await held.served() == {held.live.served_as}


# Last, because it takes the server that the others use down for a while.
async def test_a_server_that_restarts_gets_its_adapters_back(local_vllm: LocalVllm) -> None:
    async with house(local_vllm) as held:
        said = await held.says(held.live.served_as)
        keeper = held.generator.keeper(partial(held.registry.adapters, state=AdapterState.LIVE))
        await keeper.round()
        await asyncio.to_thread(local_vllm.down)
        with pytest.raises(Unavailable):
            await held.says(held.live.served_as)
        await asyncio.to_thread(local_vllm.up)
        assert await held.served() == frozenset()
        await keeper.round()
        assert await held.served() == {held.live.served_as}
        assert await held.says(held.live.served_as) == said
        status = await asyncio.to_thread(local_vllm.router_vllm, "status", "--json")
        assert json.loads(status.stdout)["adapters"] == [held.live.served_as]
