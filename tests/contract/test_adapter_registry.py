"""What every registry of adapters does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest

from backends.adapters import AdapterRegistry, AdapterState
from backends.errors import Refused
from backends.generation import Sampling
from backends.memory.registry import MemoryAdapterRegistry
from backends.postgres.pool import SCHEMA
from backends.registry import open_registry
from tests.support.adapters import adapter_spec

OpenRegistry: TypeAlias = Callable[[], AbstractAsyncContextManager[AdapterRegistry]]

CANDIDATE, LIVE, RETIRED = AdapterState.CANDIDATE, AdapterState.LIVE, AdapterState.RETIRED


@pytest.fixture(params=["memory", "postgres"])
def opened(request: pytest.FixtureRequest) -> OpenRegistry:
    """Opens an empty registry of each kind."""
    if request.param == "memory":
        return _in_memory
    url: str = request.getfixturevalue("database_url")
    return lambda: open_registry(url, schema=SCHEMA)


@asynccontextmanager
async def _in_memory() -> AsyncIterator[AdapterRegistry]:
    yield MemoryAdapterRegistry()


async def test_a_new_version_is_a_candidate_and_keeps_everything(opened: OpenRegistry) -> None:
    spec = adapter_spec(
        "attributes",
        base_hash="sha256:" + "b" * 64,
        description="Colours of the master data, “blush” → pink.",
        examples=("which colour is champagne?", "nude\tor sand?"),
        system_prompt="Answer in JSON.\n",
        sampling=Sampling(max_tokens=64, temperature=0.0, top_p=0.9, seed=7, stop=("\n\n",)),
        schema={"type": "object", "properties": {"z": {}, "a": {"enum": [1, None, "é"]}}},
        slots=True,
        prompting="bare",
        evidence_characters=1_200,
        report={"exact": 0.98, "of": [1, 2]},
    )
    async with opened() as registry:
        added = await registry.add(spec)
        found = await registry.find("attributes")
    assert added == found
    assert (added.spec, added.version, added.state) == (spec, 1, CANDIDATE)
    assert added.served_as == "attributes@1"
    assert abs(added.created_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert added.spec.schema is not None
    properties = added.spec.schema["properties"]
    assert isinstance(properties, dict)
    assert list(properties) == ["z", "a"]


async def test_an_adapter_with_a_grammar_or_nothing_else_keeps_that(opened: OpenRegistry) -> None:
    async with opened() as registry:
        for spec in (adapter_spec("plain"), adapter_spec("grammar", grammar="root ::= 'a'")):
            assert (await registry.add(spec)).spec == spec


async def test_the_same_again_is_the_version_that_there_is(opened: OpenRegistry) -> None:
    async with opened() as registry:
        first = await registry.add(adapter_spec(seed=1))
        await registry.promote("brand-voice", 1)
        again = await registry.add(adapter_spec(seed=1, report={"new": 1}))
        assert (again.version, again.state, again.spec) == (1, LIVE, first.spec)
        assert len(await registry.adapters()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"weights_hash": "sha256:" + "c" * 64},
        {"system_prompt": "Be brief."},
        {"examples": ("one",)},
        {"sampling": Sampling(temperature=0.5)},
        {"schema": {"type": "object"}},
        {"prompting": "bare"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_whatever_changes_is_a_new_version(
    opened: OpenRegistry, change: dict[str, Any]
) -> None:
    async with opened() as registry:
        await registry.add(adapter_spec())
        assert (await registry.add(replace(adapter_spec(), **change))).version == 2


async def test_versions_count_within_a_name(opened: OpenRegistry) -> None:
    async with opened() as registry:
        for seed in range(3):
            await registry.add(adapter_spec("tone", seed=seed))
        assert (await registry.add(adapter_spec("voice"))).version == 1
        listed = [each.served_as for each in await registry.adapters()]
    assert listed == ["tone@3", "tone@2", "tone@1", "voice@1"]


async def test_a_name_finds_the_live_version_else_the_newest(opened: OpenRegistry) -> None:
    async with opened() as registry:
        assert await registry.find("tone") is None
        for seed in range(3):
            await registry.add(adapter_spec("tone", seed=seed))
        assert await _found(registry, "tone") == ("tone@3", CANDIDATE)
        await registry.promote("tone", 2)
        assert await _found(registry, "tone") == ("tone@2", LIVE)
        await registry.retire("tone", 2)
        assert await _found(registry, "tone") == ("tone@3", CANDIDATE)


async def test_a_version_is_found_exactly_whatever_its_state(opened: OpenRegistry) -> None:
    async with opened() as registry:
        for seed in range(2):
            await registry.add(adapter_spec("tone", seed=seed))
        await registry.promote("tone", 2)
        found = await registry.find("tone", 1)
        assert found is not None
        assert found.served_as == "tone@1"
        assert await registry.find("tone", 3) is None


@pytest.mark.parametrize("name", ["", "Nobody", "a\0b", "x" * 500, "tone'; --", "\ud800"])
@pytest.mark.parametrize("version", [None, 0, -1, 1, 2**31, 2**70])
async def test_what_can_be_no_version_is_unknown(
    opened: OpenRegistry, name: str, version: int | None
) -> None:
    async with opened() as registry:
        assert await registry.find(name, version) is None
        if version is not None:
            for act in (registry.promote, registry.retire):
                with pytest.raises(Refused) as caught:
                    await act(name, version)
                assert caught.value.status == 404
            with pytest.raises(Refused):
                await registry.record(name, version, {})


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Brand Voice"},
        {"name": ""},
        {"rank": 0},
        {"weights_hash": ""},
        {"base": ""},
        {"schema": {"a": "\0"}},
        {"schema": {}, "grammar": "root ::= 'a'"},
        {"examples": ("",)},
        {"report": {"a": float("nan")}},
        {"report": {"a": object()}},
    ],
    ids=repr,
)
async def test_what_is_no_adapter_is_refused(opened: OpenRegistry, change: dict[str, Any]) -> None:
    async with opened() as registry:
        with pytest.raises(Refused) as caught:
            await registry.add(replace(adapter_spec(), **change))
        assert caught.value.backend == "adapters"
        assert caught.value.hint
        assert await registry.adapters() == []


async def test_promoting_makes_live_and_retires_the_one_before(opened: OpenRegistry) -> None:
    async with opened() as registry:
        for seed in range(2):
            await registry.add(adapter_spec("tone", seed=seed))
        assert await registry.promote("tone", 1) is None
        before = await registry.promote("tone", 2)
        assert before is not None
        assert (before.served_as, before.state) == ("tone@1", RETIRED)
        states = [each.state for each in await registry.adapters()]
        assert states == [LIVE, RETIRED]


async def test_promoting_the_live_version_changes_nothing(opened: OpenRegistry) -> None:
    async with opened() as registry:
        await registry.add(adapter_spec("tone"))
        await registry.promote("tone", 1)
        assert await registry.promote("tone", 1) is None
        assert await _found(registry, "tone") == ("tone@1", LIVE)


async def test_one_goes_back_by_promoting_a_retired_version(opened: OpenRegistry) -> None:
    async with opened() as registry:
        for seed in range(2):
            await registry.add(adapter_spec("tone", seed=seed))
        await registry.promote("tone", 1)
        await registry.promote("tone", 2)
        before = await registry.promote("tone", 1)
        assert before is not None
        assert before.served_as == "tone@2"
        assert await _found(registry, "tone") == ("tone@1", LIVE)


async def test_promoting_what_there_is_not_leaves_the_live_version(opened: OpenRegistry) -> None:
    async with opened() as registry:
        await registry.add(adapter_spec("tone"))
        await registry.promote("tone", 1)
        with pytest.raises(Refused, match="no adapter tone@7"):
            await registry.promote("tone", 7)
        assert await _found(registry, "tone") == ("tone@1", LIVE)


async def test_live_versions_of_other_names_stay(opened: OpenRegistry) -> None:
    async with opened() as registry:
        for name in ("tone", "voice"):
            await registry.add(adapter_spec(name))
            await registry.promote(name, 1)
        live = [each.served_as for each in await registry.adapters(state=LIVE)]
        assert live == ["tone@1", "voice@1"]
        assert await registry.adapters(state=CANDIDATE) == []


async def test_retiring_takes_any_version_out(opened: OpenRegistry) -> None:
    async with opened() as registry:
        await registry.add(adapter_spec("tone"))
        assert (await registry.retire("tone", 1)).state is RETIRED
        assert (await registry.retire("tone", 1)).state is RETIRED
        await registry.promote("tone", 1)
        assert (await registry.retire("tone", 1)).state is RETIRED


async def test_a_report_takes_the_place_of_the_one_before(opened: OpenRegistry) -> None:
    async with opened() as registry:
        await registry.add(adapter_spec("tone", report={"old": 1}))
        recorded = await registry.record("tone", 1, {"exact": {"mean": 0.97, "low": 0.95}})
        assert recorded.spec.report == {"exact": {"mean": 0.97, "low": 0.95}}
        assert recorded == await registry.find("tone", 1)
        with pytest.raises(Refused, match="cannot be kept"):
            await registry.record("tone", 1, {"a": float("inf")})
        assert recorded == await registry.find("tone", 1)


async def test_versions_added_at_once_get_numbers_of_their_own(opened: OpenRegistry) -> None:
    async with opened() as registry:
        specs = [adapter_spec("tone", seed=seed) for seed in range(8)]
        added = await asyncio.gather(*(registry.add(spec) for spec in [*specs, *specs]))
    assert sorted({each.version for each in added}) == list(range(1, 9))
    assert [each.version for each in added[:8]] == [each.version for each in added[8:]]


async def test_of_versions_promoted_at_once_one_is_live(opened: OpenRegistry) -> None:
    async with opened() as registry:
        for seed in range(6):
            await registry.add(adapter_spec("tone", seed=seed))
        await asyncio.gather(*(registry.promote("tone", version) for version in range(1, 7)))
        assert len(await registry.adapters(state=LIVE)) == 1
        assert len(await registry.adapters(state=RETIRED)) == 5


async def _found(registry: AdapterRegistry, name: str) -> tuple[str, AdapterState]:
    found = await registry.find(name)
    assert found is not None
    return found.served_as, found.state
