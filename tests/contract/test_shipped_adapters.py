"""Adapters that ship are put into any registry, once, and nobody's choice is undone."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from backends.adapters import AdapterRegistry, AdapterState
from backends.errors import Refused
from backends.manifest import read_adapter, write_manifest
from backends.shipped import ensure_shipped
from tests.contract.test_adapter_registry import OpenRegistry, opened
from tests.support.adapters import adapter_spec, lora_folder

__all__ = ["opened"]


async def states(registry: AdapterRegistry) -> dict[str, str]:
    return {each.served_as: each.state.value for each in await registry.adapters()}


async def test_what_is_absent_is_added_and_live(opened: OpenRegistry, tmp_path: Path) -> None:
    folders = [lora_folder(tmp_path / name, seed=at) for at, name in enumerate(("a", "b"))]
    async with opened() as registry:
        await ensure_shipped(registry, folders)
        assert await states(registry) == {"a@1": "live", "b@1": "live"}
        await ensure_shipped(registry, folders)
        assert await states(registry) == {"a@1": "live", "b@1": "live"}


async def test_several_processes_at_once_add_one_version(
    opened: OpenRegistry, tmp_path: Path
) -> None:
    folders = [lora_folder(tmp_path / "a")]
    async with opened() as registry:
        await asyncio.gather(*(ensure_shipped(registry, folders) for _ in range(5)))
        assert await states(registry) == {"a@1": "live"}


async def test_a_version_of_the_users_own_stays_live(opened: OpenRegistry, tmp_path: Path) -> None:
    async with opened() as registry:
        await ensure_shipped(registry, [lora_folder(tmp_path / "a", seed=1)])
        await registry.add(adapter_spec("a", folder=tmp_path / "mine"))
        await registry.promote("a", 2)
        await ensure_shipped(registry, [lora_folder(tmp_path / "a", seed=1)])
        assert await states(registry) == {"a@2": "live", "a@1": "retired"}
        (tmp_path / "mine").mkdir()
        await ensure_shipped(registry, [lora_folder(tmp_path / "a", seed=3)])
        assert await states(registry) == {"a@3": "candidate", "a@2": "live", "a@1": "retired"}


async def test_what_the_user_retired_stays_retired(opened: OpenRegistry, tmp_path: Path) -> None:
    async with opened() as registry:
        await ensure_shipped(registry, [lora_folder(tmp_path / "a", seed=1)])
        await registry.retire("a", 1)
        await ensure_shipped(registry, [lora_folder(tmp_path / "a", seed=1)])
        assert await states(registry) == {"a@1": "retired"}
        await ensure_shipped(registry, [lora_folder(tmp_path / "a", seed=2)])
        assert await states(registry) == {"a@2": "candidate", "a@1": "retired"}


async def test_a_new_release_replaces_what_shipped_before(
    opened: OpenRegistry, tmp_path: Path
) -> None:
    folder = lora_folder(tmp_path / "a", seed=1)
    async with opened() as registry:
        await ensure_shipped(registry, [folder])
        write_manifest(folder, replace(read_adapter(folder), system_prompt="Be warm."))
        await ensure_shipped(registry, [folder])
        assert await states(registry) == {"a@2": "live", "a@1": "retired"}


async def test_another_installation_with_the_same_files_changes_nothing(
    opened: OpenRegistry, tmp_path: Path
) -> None:
    here, there = tmp_path / "here" / "a", tmp_path / "there" / "a"
    for folder in (here, there):
        lora_folder(folder, seed=1)
    async with opened() as registry:
        await ensure_shipped(registry, [here])
        await ensure_shipped(registry, [there])
        assert await states(registry) == {"a@1": "live"}
        shutil.rmtree(here)
        await ensure_shipped(registry, [there])
        found = await registry.find("a")
        assert found is not None
        assert (found.state, found.spec.folder) == (AdapterState.LIVE, there)


async def test_what_was_added_before_a_crash_goes_live_now(
    opened: OpenRegistry, tmp_path: Path
) -> None:
    folder = lora_folder(tmp_path / "a")
    async with opened() as registry:
        await registry.add(read_adapter(folder))
        await ensure_shipped(registry, [folder])
        assert await states(registry) == {"a@1": "live"}


async def test_a_damaged_folder_is_refused(opened: OpenRegistry, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    async with opened() as registry:
        with pytest.raises(Refused):
            await ensure_shipped(registry, [tmp_path / "a"])
        assert await states(registry) == {}
