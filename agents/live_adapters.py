"""The adapters that may answer now, with the vectors of their examples; kept fresh by a task.

Whoever asks never waits for the registry: it is asked beside the questions, and while it does not
answer, what it said last stands.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from backends.adapters import NAME, Adapter, AdapterState
from backends.errors import BackendError, Refused

if TYPE_CHECKING:
    from backends.adapters import AdapterHost, AdapterRegistry
    from backends.base import Embedder, Vectors

EVERY_S: Final = 1.0
"""So often the registry is asked; whoever unloads an adapter waits longer than that."""

MAX_LIVE: Final = 200
"""Adapters that are looked at, by name; more are left out, and that is told."""

_NAMED: Final = re.compile(rf"({NAME.pattern})(?:@([1-9][0-9]{{0,8}}))?")
_BATCH: Final = 16
"""Examples embedded at a time, so that questions need not wait for many."""
_REMEMBERED: Final = 64

Bases: TypeAlias = Callable[[], Awaitable[Sequence[str]]]
"""Returns the names of the base models that answer; raises `BackendError`."""


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """A live adapter; ``examples`` is None without any, or where they could not be embedded."""

    adapter: Adapter
    examples: Vectors | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What was live when the registry was asked last.

    Attributes:
        adapters: Those on a base that is served, by name.
        stale: Empty, or why this may be older than a moment, in plain words.
    """

    adapters: Mapping[str, Live] = field(default_factory=dict)
    stale: str = ""


class LiveAdapters:
    """Asks the registry again and again; see `opened`.

    Args:
        registry: Keeps the adapters.
        embedder: Makes vectors of their examples: the one that questions are compared by.
        bases: Adapters of other bases do not count.
        host: Loads here whatever may answer, before it does, and unloads what no longer may; None
            where somebody else sees to that.
        timeout_s: How long the registry, or a server, may take to answer.
        load_s: How long one adapter may take to load.
        bases_every_s: So often the bases are asked for.
    """

    def __init__(
        self,
        registry: AdapterRegistry,
        embedder: Embedder,
        bases: Bases,
        *,
        host: AdapterHost | None = None,
        timeout_s: float = 2.0,
        load_s: float = 30.0,
        bases_every_s: float = 10.0,
    ) -> None:
        self._registry = registry
        self._embedder = embedder
        self._ask_bases = bases
        self._host = host
        self._timeout_s = timeout_s
        self._load_s = load_s
        self._bases_every_s = bases_every_s
        self._bases: frozenset[str] | None = None
        self._bases_at = float("-inf")
        self._vectors: dict[tuple[str, ...], Vectors] = {}
        self._found: OrderedDict[str, Adapter] = OrderedDict()
        self._refreshing = asyncio.Lock()
        self.snapshot = Snapshot(stale="The registry has not been asked yet.")

    @asynccontextmanager
    async def opened(self, *, every_s: float = EVERY_S) -> AsyncIterator[LiveAdapters]:
        """Ask once, then every so often while the block runs."""
        await self.refresh()
        keeping = asyncio.create_task(self._keep(every_s), name="live adapters")
        try:
            yield self
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            if not keeping.cancelled() and (error := keeping.exception()) is not None:
                raise error

    async def refresh(self) -> Snapshot:
        """Ask the registry now; its failure is noted in the snapshot, which stands otherwise."""
        async with self._refreshing:
            try:
                async with asyncio.timeout(self._timeout_s):
                    listed = await self._registry.adapters(state=AdapterState.LIVE)
            except (BackendError, TimeoutError) as error:
                self.snapshot = replace(self.snapshot, stale=_why("The registry", error))
                return self.snapshot
            stale = [f"Of {len(listed)} live adapters {MAX_LIVE} are looked at."]
            notes = stale if len(listed) > MAX_LIVE else []
            bases = await self._served(notes) if listed else frozenset[str]()
            counting = [each for each in listed[:MAX_LIVE] if each.spec.base in bases]
            ready = await self._loaded(counting, notes)
            await self._embed(ready, notes)
            before = {each.adapter.served_as for each in self.snapshot.adapters.values()}
            adapters = {
                each.spec.name: Live(each, self._vectors.get(each.spec.examples)) for each in ready
            }
            self.snapshot = Snapshot(adapters, " ".join(notes))
            await self._unload(before - {each.served_as for each in ready}, notes)
            return self.snapshot

    async def version(self, name: str, version: int) -> Adapter | None:
        """Return exactly that version on a base that is served, live or not; None when unknown.

        Raises:
            BackendError: It is not known here, and the registry cannot be asked; or it cannot be
                loaded.
            TimeoutError: One of these takes too long.
        """
        served_as = f"{name}@{version}"
        live = self.snapshot.adapters.get(name)
        if live is not None and live.adapter.version == version:
            return live.adapter
        found = self._found.get(served_as)
        if found is None:
            async with asyncio.timeout(self._timeout_s):
                found = await self._registry.find(name, version)
            if found is None:
                return None
            self._found[served_as] = found
            await self._forget_some()
        if found.spec.base not in await self._served([]):
            return None
        if self._host is not None:
            async with asyncio.timeout(self._load_s):
                await self._host.load(found)
        return found

    async def absence(self, named: str) -> Refused | None:
        """Return why a name that a caller gave has no adapter here, though the registry knows it.

        None where the registry does not know the name either, or cannot be asked.

        Args:
            named: ``name`` or ``name@version``.
        """
        match = _NAMED.fullmatch(named)
        if match is None:
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await self._registry.find(match[1], int(match[2]) if match[2] else None)
        except (BackendError, TimeoutError):
            return None
        return None if found is None else _absent(named, found, await self._served([]))

    async def _keep(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            await self.refresh()

    async def _served(self, notes: list[str]) -> frozenset[str]:
        """The bases that answer, as they were known last where nobody tells."""
        now = asyncio.get_running_loop().time()
        if self._bases is None or now - self._bases_at >= self._bases_every_s:
            try:
                async with asyncio.timeout(self._timeout_s):
                    self._bases = frozenset(await self._ask_bases())
                self._bases_at = now
            except (BackendError, TimeoutError) as error:
                notes.append(_why("The model server", error))
        return self._bases or frozenset()

    async def _loaded(self, adapters: Sequence[Adapter], notes: list[str]) -> list[Adapter]:
        """Load what may answer from now on; for what cannot be, the version before stays."""
        if self._host is None:
            return list(adapters)
        ready = []
        for adapter in adapters:
            try:
                async with asyncio.timeout(self._load_s):
                    await self._host.load(adapter)
            except (BackendError, TimeoutError) as error:
                notes.append(_why(adapter.served_as, error))
                before = self.snapshot.adapters.get(adapter.spec.name)
                ready += [before.adapter] if before is not None else []
            else:
                ready.append(adapter)
        return ready

    async def _forget_some(self) -> None:
        """Keep what was asked for last of the versions that callers named."""
        live = {each.adapter.served_as for each in self.snapshot.adapters.values()}
        while len(self._found) > _REMEMBERED:
            served_as, _ = self._found.popitem(last=False)
            await self._unload({served_as} - live, [])

    async def _unload(self, gone: set[str], notes: list[str]) -> None:
        """Unload what nobody is given any more; answers that are under way end with it."""
        if self._host is None:
            return
        for served_as in sorted(gone - self._found.keys()):
            try:
                await self._host.unload(served_as)
            except BackendError as error:
                notes.append(_why(served_as, error))

    async def _embed(self, adapters: Sequence[Adapter], notes: list[str]) -> None:
        """Make what vectors are missing, and forget those that nobody needs."""
        wanted = {each.spec.examples for each in adapters if each.spec.examples}
        self._vectors = {key: value for key, value in self._vectors.items() if key in wanted}
        for examples in sorted(wanted - self._vectors.keys()):
            try:
                self._vectors[examples] = await self._embedded(examples)
            except BackendError as error:
                notes.append(_why("The examples' embedder", error))
                return

    async def _embedded(self, examples: tuple[str, ...]) -> Vectors:
        import numpy as np

        batches = [
            await self._embedder.embed(examples[at : at + _BATCH])
            for at in range(0, len(examples), _BATCH)
        ]
        return np.concatenate(batches)


def _absent(named: str, found: Adapter, bases: Iterable[str]) -> Refused:
    known = found.served_as
    if found.spec.base not in bases:
        problem = f"The adapter {known} is one for {found.spec.base}, which does not answer here."
        hint = "Start a model server with that base, or ask for another adapter."
    elif found.state is AdapterState.LIVE or named == known:
        # Why names files of this machine, which are not for whoever asks.
        problem = f"The adapter {known} is registered, and could not be loaded here."
        hint = "Whoever runs the router sees why with: router doctor"
    else:
        state = "a candidate" if found.state is AdapterState.CANDIDATE else "retired"
        problem = f"No version of the adapter {named} is live: {known} is {state}."
        hint = f"Ask for {known}, or make it live with: router adapters promote {known}"
    return Refused(problem, backend="adapters", hint=hint, status=404)


def _why(who: str, error: BackendError | TimeoutError) -> str:
    return f"{who}: {error.problem if isinstance(error, BackendError) else 'no answer in time.'}"
