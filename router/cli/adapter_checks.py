"""The doctor's look at the live adapters: their files are still what was registered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backends.adapters import AdapterState
from backends.errors import BackendError
from router.cli.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.adapters import Adapter, AdapterRegistry


async def live_adapters(registry: AdapterRegistry) -> Finding:
    """Read the files of every live adapter, without loading them.

    Files that are not there may be the model server's, on another machine; that is for its
    operator to say.

    Raises:
        BackendError: The registry cannot be asked.
    """
    live = await registry.adapters(state=AdapterState.LIVE)
    if not live:
        return Finding("ok", "none is live")
    problems = list(filter(None, await asyncio.to_thread(_problems, live)))
    if problems:
        hint = "Put the files back, or add and promote another version: router adapters add"
        return Finding("warn", "\n".join(problems), hint)
    return Finding("ok", f"{', '.join(each.served_as for each in live)}: files as registered")


def _problems(live: Sequence[Adapter]) -> list[str]:
    return [_problem(each) for each in live]


def _problem(adapter: Adapter) -> str:
    from backends.manifest import read_adapter

    spec = adapter.spec
    if not spec.folder.exists():
        return f"{adapter.served_as}: there is no {spec.folder} on this machine."
    try:
        found = read_adapter(spec.folder, name=spec.name, base=spec.base)
    except BackendError as error:
        return f"{adapter.served_as}: {error.problem}"
    if found.weights_hash != spec.weights_hash:
        return f"{adapter.served_as}: {spec.folder} holds other weights than were registered."
    return ""
