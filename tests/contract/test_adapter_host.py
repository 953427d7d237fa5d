"""What every host of adapters promises, wherever it serves them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from backends.adapters import Adapter, AdapterHost
from backends.errors import Refused
from backends.genai import GenaiGenerator
from backends.genai.merging import MAX_RANK
from backends.lora import WEIGHTS
from backends.memory.host import MemoryHost
from backends.vllm import VllmGenerator
from tests.support.model_server import model_server
from tests.support.starter import make_adapter, make_starter

OpenHost: TypeAlias = Callable[[Path], AbstractAsyncContextManager[AdapterHost]]

BASE = "base-model"


@asynccontextmanager
async def in_memory(folder: Path) -> AsyncIterator[AdapterHost]:
    yield MemoryHost([BASE], max_rank=MAX_RANK)


@asynccontextmanager
async def genai(folder: Path) -> AsyncIterator[AdapterHost]:
    base = make_starter(folder / "base")
    async with GenaiGenerator.open(BASE, base, folder / "models") as generator:
        yield generator.host


@asynccontextmanager
async def vllm(folder: Path) -> AsyncIterator[AdapterHost]:
    async with model_server() as one, model_server() as two:
        for server in (one, two):
            server.models = [(BASE, None)]
            server.max_lora_rank = MAX_RANK
        async with VllmGenerator.open(f"{one.url},{two.url}") as generator:
            yield generator.host


every_host = pytest.mark.parametrize("opened", [in_memory, genai, vllm])


def pirate(folder: Path, version: int = 1, *, rank: int = 4) -> Adapter:
    return make_adapter(folder / f"adapter-{version}", version=version, rank=rank, base=BASE)


async def served_by(host: AdapterHost) -> set[str]:
    """What every place serves; they serve the same."""
    (served,) = set((await host.loaded()).values())
    assert served is not None
    return set(served)


@every_host
async def test_its_base_models_are_named(opened: OpenHost, tmp_path: Path) -> None:
    async with opened(tmp_path) as host:
        assert BASE in await host.bases()


@every_host
async def test_nothing_is_served_at_first(opened: OpenHost, tmp_path: Path) -> None:
    async with opened(tmp_path) as host:
        assert await served_by(host) == set()


@every_host
async def test_a_loaded_adapter_is_served_by_name_and_version(
    opened: OpenHost, tmp_path: Path
) -> None:
    async with opened(tmp_path) as host:
        await host.load(pirate(tmp_path, 3))
        assert await served_by(host) == {"pirate@3"}


@every_host
async def test_loading_twice_is_loading_once(opened: OpenHost, tmp_path: Path) -> None:
    async with opened(tmp_path) as host:
        adapter = pirate(tmp_path)
        await host.load(adapter)
        await host.load(adapter)
        assert await served_by(host) == {"pirate@1"}


@every_host
async def test_two_versions_are_served_side_by_side(opened: OpenHost, tmp_path: Path) -> None:
    async with opened(tmp_path) as host:
        await host.load(pirate(tmp_path, 1))
        await host.load(pirate(tmp_path, 2))
        assert await served_by(host) == {"pirate@1", "pirate@2"}


@every_host
async def test_unloading_one_leaves_the_others(opened: OpenHost, tmp_path: Path) -> None:
    async with opened(tmp_path) as host:
        await host.load(pirate(tmp_path, 1))
        await host.load(pirate(tmp_path, 2))
        await host.unload("pirate@1")
        assert await served_by(host) == {"pirate@2"}


@every_host
async def test_unloading_what_is_not_there_is_fine(opened: OpenHost, tmp_path: Path) -> None:
    async with opened(tmp_path) as host:
        await host.unload("pirate@1")


@every_host
async def test_what_was_unloaded_can_be_loaded_again(opened: OpenHost, tmp_path: Path) -> None:
    async with opened(tmp_path) as host:
        adapter = pirate(tmp_path)
        await host.load(adapter)
        await host.unload(adapter.served_as)
        await host.load(adapter)
        assert await served_by(host) == {"pirate@1"}


async def refuses(host: AdapterHost, adapter: Adapter, live: Adapter, words: str) -> None:
    """Check that a host refuses an adapter in words that say why, and still serves the live one."""
    await host.load(live)
    with pytest.raises(Refused, match=words) as refused:
        await host.load(adapter)
    assert refused.value.hint
    assert await served_by(host) == {live.served_as}


@every_host
async def test_an_adapter_for_another_base_is_refused(opened: OpenHost, tmp_path: Path) -> None:
    async with opened(tmp_path) as host:
        adapter = pirate(tmp_path, 2)
        foreign = replace(adapter, spec=replace(adapter.spec, base="another-model"))
        await refuses(host, foreign, pirate(tmp_path), "another-model")


@every_host
async def test_a_rank_above_the_largest_is_refused(opened: OpenHost, tmp_path: Path) -> None:
    async with opened(tmp_path) as host:
        wide = pirate(tmp_path, 2, rank=2 * MAX_RANK)
        await refuses(host, wide, pirate(tmp_path), str(2 * MAX_RANK))


@every_host
async def test_a_file_that_was_cut_is_refused(opened: OpenHost, tmp_path: Path) -> None:
    async with opened(tmp_path) as host:
        cut = pirate(tmp_path, 2)
        weights = cut.spec.folder / WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-100])
        await refuses(host, cut, pirate(tmp_path), WEIGHTS)


@every_host
async def test_weights_that_were_not_registered_are_refused(
    opened: OpenHost, tmp_path: Path
) -> None:
    async with opened(tmp_path) as host:
        changed = pirate(tmp_path, 2)
        weights = changed.spec.folder / WEIGHTS
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
        await refuses(host, changed, pirate(tmp_path), "registered")


@every_host
async def test_a_folder_that_is_gone_is_refused(opened: OpenHost, tmp_path: Path) -> None:
    async with opened(tmp_path) as host:
        gone = pirate(tmp_path, 2)
        lost = replace(gone, spec=replace(gone.spec, folder=tmp_path / "nowhere"))
        await refuses(host, lost, pirate(tmp_path), "nowhere")
