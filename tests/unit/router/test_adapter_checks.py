"""The doctor says which live adapters no longer have the files that were registered."""

from __future__ import annotations

import shutil
from pathlib import Path

from backends.adapters import AdapterRegistry
from backends.manifest import read_adapter
from backends.memory.registry import MemoryAdapterRegistry
from router.cli.adapter_checks import live_adapters
from tests.support.adapters import lora_folder


async def filled(folder: Path) -> AdapterRegistry:
    registry = MemoryAdapterRegistry()
    added = await registry.add(read_adapter(lora_folder(folder), name="tone"))
    await registry.promote("tone", added.version)
    return registry


async def test_a_live_adapter_whose_files_are_as_registered_is_well(tmp_path: Path) -> None:
    assert (await live_adapters(MemoryAdapterRegistry())).detail == "none is live"
    finding = await live_adapters(await filled(tmp_path / "tone"))
    assert (finding.status, finding.detail) == ("ok", "tone@1: files as registered")


async def test_files_that_are_damaged_other_or_gone_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "tone"
    registry = await filled(folder)
    lora_folder(tmp_path / "other", seed=2)
    shutil.copy(tmp_path / "other" / "adapter_model.safetensors", folder)
    other = await live_adapters(registry)
    assert (other.status, "holds other weights" in other.detail) == ("warn", True)
    (folder / "adapter_model.safetensors").write_bytes(b"broken")
    broken = await live_adapters(registry)
    assert broken.status == "warn"
    assert broken.detail.startswith("tone@1: ")
    shutil.rmtree(folder)
    gone = await live_adapters(registry)
    assert gone.detail == f"tone@1: there is no {folder} on this machine."
    assert "router adapters add" in gone.hint
