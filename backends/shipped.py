"""Puts the adapters that ship with a base model into the registry, and into service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from backends.adapters import Adapter, AdapterSpec, AdapterState
from backends.manifest import read_adapter

if TYPE_CHECKING:
    from backends.adapters import AdapterRegistry


async def ensure_shipped(registry: AdapterRegistry, folders: Iterable[Path]) -> None:
    """Add what is not there, and make it live where nobody has decided otherwise.

    A name whose live version is the user's own, or which the user retired, stays as it is; what
    ships is a candidate then. Done again, or by several processes at once, it changes nothing more.

    Args:
        registry: Where to.
        folders: Adapter folders (`backends.manifest`).

    Raises:
        Refused: A folder is damaged.
        Unavailable: The registry cannot be reached in time.
    """
    for folder in folders:
        spec = await asyncio.to_thread(read_adapter, folder)
        ours = await _added(registry, spec)
        # Looked at only now: somebody may have decided while it was added.
        known = [each for each in await registry.adapters() if each.spec.name == spec.name]
        if _may_go_live(ours, known):
            await registry.promote(spec.name, ours.version)


async def _added(registry: AdapterRegistry, spec: AdapterSpec) -> Adapter:
    """The version that is this, wherever its folder was and still is; else a new one."""
    for known in await registry.adapters():
        same = replace(known.spec, folder=spec.folder, report=spec.report) == spec
        if same and known.spec.folder.is_dir():
            return known
    return await registry.add(spec)


def _may_go_live(ours: Adapter, known: Iterable[Adapter]) -> bool:
    others = [each for each in known if each.version != ours.version]
    live = next((each for each in others if each.state is AdapterState.LIVE), None)
    if ours.state is not AdapterState.CANDIDATE:
        return False
    if live is not None:
        return _shipped_before(live, ours)
    return all(each.state is AdapterState.CANDIDATE for each in others)


def _shipped_before(live: Adapter, ours: Adapter) -> bool:
    """Whether a version came from where ours comes from, with another release or installation."""
    there, here = live.spec.folder, ours.spec.folder
    return there == here or (there.name == here.name and not there.is_dir())
