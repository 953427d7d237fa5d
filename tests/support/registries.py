"""Registries and hosts of adapters that fail when a test wants it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from agents.choosing import AdapterChooser
from agents.likeness import Likeness
from agents.live_adapters import LiveAdapters
from backends.adapters import Adapter, AdapterSpec, AdapterState
from backends.base import Embedder
from backends.errors import BackendError, Unavailable
from backends.generation import Generator
from backends.memory.embedder import HashingEmbedder
from backends.memory.generator import ScriptedGenerator
from backends.memory.registry import MemoryAdapterRegistry

REGISTRY_DOWN = Unavailable("The database is down.", backend="database")

WORDS = Likeness(-6.0, {"cosine": 12.0, "margin": 2.0, "neighbours": 0.0, "examples": 0.0})
"""For the embedder's twin, which knows words and no meaning."""


class FailingRegistry(MemoryAdapterRegistry):
    """Fails as long as ``failure`` is set.

    Attributes:
        looks: How often it was listed.
        looked: Set when it has been; a test may clear it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failure: BackendError | None = None
        self.silent = False
        self.looks = 0
        self.looked = asyncio.Event()

    async def adapters(self, *, state: AdapterState | None = None) -> Sequence[Adapter]:
        self.looks += 1
        self.looked.set()
        await self._obstacle()
        return await super().adapters(state=state)

    async def find(self, name: str, version: int | None = None) -> Adapter | None:
        await self._obstacle()
        return await super().find(name, version)

    async def _obstacle(self) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure


class MemoryHost:
    """Loads everything but what is to be refused.

    Attributes:
        served: What is loaded.
        refused: Raised instead of loading that name.
    """

    def __init__(self) -> None:
        self.served: dict[str, Adapter] = {}
        self.refused: dict[str, BackendError] = {}

    async def bases(self) -> Sequence[str]:
        return ["tiny"]

    async def load(self, adapter: Adapter) -> None:
        if adapter.served_as in self.refused:
            raise self.refused[adapter.served_as]
        self.served[adapter.served_as] = adapter

    async def unload(self, served_as: str) -> None:
        self.served.pop(served_as, None)

    async def loaded(self) -> Mapping[str, frozenset[str]]:
        return {"here": frozenset(self.served)}


async def tiny() -> Sequence[str]:
    """The base that is served."""
    return ["tiny"]


async def put_live(registry: MemoryAdapterRegistry, spec: AdapterSpec) -> Adapter:
    """Add a version and promote it."""
    added = await registry.add(spec)
    await registry.promote(spec.name, added.version)
    return added


async def chooser_on(
    registry: MemoryAdapterRegistry,
    *,
    embedder: Embedder | None = None,
    default: str | None = None,
    host: MemoryHost | None = None,
    generator: Generator | None = None,
) -> AdapterChooser:
    """A chooser on what the registry holds now; nothing keeps it fresh."""
    embedder = embedder or HashingEmbedder()
    live = LiveAdapters(registry, embedder, tiny, host=host, timeout_s=0.2)
    await live.refresh()
    generator = generator or ScriptedGenerator(model="tiny")
    return AdapterChooser(
        live,
        embedder,
        model=lambda: "tiny",
        served=generator.models,
        default=default,
        likeness=WORDS,
    )


@asynccontextmanager
async def kept_fresh(registry: MemoryAdapterRegistry) -> AsyncIterator[LiveAdapters]:
    """What is live, looked at again and again."""
    live = LiveAdapters(registry, HashingEmbedder(), tiny, timeout_s=0.2)
    async with live.opened(every_s=0.001):
        yield live
