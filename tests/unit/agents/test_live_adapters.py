"""The adapters that may answer now, and how they are kept fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agents.live_adapters import MAX_LIVE, Live, LiveAdapters
from backends.errors import Refused, Unavailable
from backends.memory.embedder import HashingEmbedder
from tests.support.adapters import adapter_spec
from tests.support.registries import (
    REGISTRY_DOWN,
    FailingRegistry,
    MemoryHost,
    kept_fresh,
    put_live,
    tiny,
)

if TYPE_CHECKING:
    from backends.base import Vectors


class CountingEmbedder(HashingEmbedder):
    """Remembers how many texts a call had; fails while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []
        self.down = False

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if self.down:
            raise Unavailable("The embedder is down.", backend="embedder")
        self.calls.append(len(texts))
        return await super().embed(texts)


async def test_what_is_promoted_answers_soon_after() -> None:
    registry = FailingRegistry()
    async with kept_fresh(registry) as live:
        assert live.snapshot.adapters == {}
        await put_live(registry, adapter_spec("tone", examples=("one", "two")))
        found = await _until_live(live, registry, "tone")
        assert found.examples is not None
        assert found.examples.shape == (2, 384)
        await registry.retire("tone", 1)
        async with asyncio.timeout(5):
            while live.snapshot.adapters:
                await _look(registry)


async def test_examples_are_embedded_once_and_few_at_a_time() -> None:
    registry, embedder = FailingRegistry(), CountingEmbedder()
    await put_live(registry, adapter_spec("tone", examples=tuple(f"text {n}" for n in range(40))))
    live = LiveAdapters(registry, embedder, tiny)
    await live.refresh()
    await live.refresh()
    assert sum(embedder.calls) == 40
    assert max(embedder.calls) <= 16


async def test_a_registry_that_fails_leaves_what_was_known_and_says_so() -> None:
    registry = FailingRegistry()
    await put_live(registry, adapter_spec("tone"))
    live = LiveAdapters(registry, HashingEmbedder(), tiny)
    assert (await live.refresh()).stale == ""
    registry.failure = REGISTRY_DOWN
    assert "The database is down." in (await live.refresh()).stale
    assert set(live.snapshot.adapters) == {"tone"}
    registry.failure = None
    assert (await live.refresh()).stale == ""


async def test_a_registry_that_is_silent_is_waited_for_no_longer_than_said() -> None:
    registry = FailingRegistry()
    registry.silent = True
    live = LiveAdapters(registry, HashingEmbedder(), tiny, timeout_s=0.01)
    async with asyncio.timeout(5):
        assert "no answer in time" in (await live.refresh()).stale


async def test_a_router_opens_while_the_registry_is_down() -> None:
    registry = FailingRegistry()
    registry.failure = REGISTRY_DOWN
    async with kept_fresh(registry) as live:
        assert live.snapshot.stale
        await put_live(registry, adapter_spec("tone"))
        registry.failure = None
        await _until_live(live, registry, "tone")


async def test_examples_that_cannot_be_embedded_are_tried_again() -> None:
    registry, embedder = FailingRegistry(), CountingEmbedder()
    await put_live(registry, adapter_spec("tone", examples=("one",)))
    embedder.down = True
    live = LiveAdapters(registry, embedder, tiny)
    snapshot = await live.refresh()
    assert snapshot.adapters["tone"].examples is None
    assert "The embedder is down." in snapshot.stale
    embedder.down = False
    assert (await live.refresh()).adapters["tone"].examples is not None


async def test_a_server_that_does_not_answer_leaves_the_bases_that_were_known() -> None:
    registry, down = FailingRegistry(), [True]

    async def bases() -> Sequence[str]:
        if down[0]:
            raise Unavailable("No model server answers.", backend="model server")
        return ["tiny"]

    await put_live(registry, adapter_spec("tone"))
    live = LiveAdapters(registry, HashingEmbedder(), bases, bases_every_s=0)
    snapshot = await live.refresh()
    assert snapshot.adapters == {}
    assert "No model server answers." in snapshot.stale
    down[0] = False
    assert set((await live.refresh()).adapters) == {"tone"}
    down[0] = True
    assert set((await live.refresh()).adapters) == {"tone"}


async def test_more_adapters_than_are_looked_at_are_told() -> None:
    registry = FailingRegistry()
    for number in range(MAX_LIVE + 1):
        await put_live(registry, adapter_spec(f"a{number:03}"))
    snapshot = await LiveAdapters(registry, HashingEmbedder(), tiny).refresh()
    assert len(snapshot.adapters) == MAX_LIVE
    assert f"Of {MAX_LIVE + 1} live adapters {MAX_LIVE} are looked at." in snapshot.stale


async def test_a_host_has_loaded_what_may_answer_and_unloads_what_no_longer_may() -> None:
    registry, host = FailingRegistry(), MemoryHost()
    live = LiveAdapters(registry, HashingEmbedder(), tiny, host=host)
    await put_live(registry, adapter_spec("tone", seed=1))
    await live.refresh()
    assert set(host.served) == {"tone@1"}
    await put_live(registry, adapter_spec("tone", seed=2))
    await live.refresh()
    assert set(host.served) == {"tone@2"}
    await registry.retire("tone", 2)
    await live.refresh()
    assert host.served == {}


async def test_what_a_host_cannot_load_leaves_the_version_before() -> None:
    registry, host = FailingRegistry(), MemoryHost()
    live = LiveAdapters(registry, HashingEmbedder(), tiny, host=host)
    await put_live(registry, adapter_spec("tone", seed=1))
    await live.refresh()
    host.refused["tone@2"] = Refused("Its files are damaged.", backend="adapters")
    await put_live(registry, adapter_spec("tone", seed=2))
    snapshot = await live.refresh()
    assert snapshot.adapters["tone"].adapter.served_as == "tone@1"
    assert "tone@2: Its files are damaged." in snapshot.stale
    assert set(host.served) == {"tone@1"}


async def test_a_version_that_a_caller_names_is_loaded_for_it() -> None:
    registry, host = FailingRegistry(), MemoryHost()
    await registry.add(adapter_spec("tone"))
    live = LiveAdapters(registry, HashingEmbedder(), tiny, host=host)
    await live.refresh()
    found = await live.version("tone", 1)
    assert found is not None
    assert set(host.served) == {"tone@1"}
    await live.refresh()
    assert set(host.served) == {"tone@1"}


async def test_why_a_name_that_the_registry_knows_does_not_answer_is_told() -> None:
    registry, host = FailingRegistry(), MemoryHost()
    live = LiveAdapters(registry, HashingEmbedder(), tiny, host=host)
    assert await live.absence("tone") is None
    await registry.add(adapter_spec("tone"))
    candidate = await live.absence("tone")
    assert candidate is not None
    assert "No version of the adapter tone is live: tone@1 is a candidate." in str(candidate)
    assert "router adapters promote tone@1" in str(candidate)
    host.refused["tone@1"] = Refused("Its files are damaged.", backend="adapters")
    await registry.promote("tone", 1)
    await live.refresh()
    damaged = await live.absence("tone")
    assert damaged is not None
    assert "tone@1 is registered, and could not be loaded here" in str(damaged)
    assert "Its files are damaged." not in str(damaged), "that is for whoever runs the router"
    for named in ("tone@latest", "tone@0", "tone@99999999999", "Tone", ""):
        assert await live.absence(named) is None
    await registry.retire("tone", 1)
    assert "tone@1 is retired" in str(await live.absence("tone"))


async def test_an_adapter_for_a_base_that_is_not_served_is_told_as_that() -> None:
    registry = FailingRegistry()
    live = LiveAdapters(registry, HashingEmbedder(), tiny)
    await put_live(registry, adapter_spec("tone", base="other"))
    absence = await live.absence("tone@1")
    assert absence is not None
    assert "tone@1 is one for other, which does not answer here" in str(absence)
    assert absence.status == 404


async def test_closing_ends_the_looking() -> None:
    registry = FailingRegistry()
    async with kept_fresh(registry):
        await _look(registry)
    looks = registry.looks
    assert [task for task in asyncio.all_tasks() if task.get_name() == "live adapters"] == []
    assert registry.looks == looks


async def _until_live(live: LiveAdapters, registry: FailingRegistry, name: str) -> Live:
    async with asyncio.timeout(5):
        while name not in live.snapshot.adapters:
            await _look(registry)
    return live.snapshot.adapters[name]


async def _look(registry: FailingRegistry) -> None:
    registry.looked.clear()
    await registry.looked.wait()
