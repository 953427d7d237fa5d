"""Keeps servers in order: asks how they are, and gives back the adapters that one has lost.

A server that restarts has forgotten what was loaded at run time. The keeper only ever adds: what is
no longer wanted is unloaded by whoever replaced it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from backends.adapters import Adapter
from backends.errors import BackendError
from backends.vllm.fitting import serves_base
from backends.vllm.host import VllmHost
from backends.vllm.replicas import Replica
from backends.vllm.transport import Transport

Wanted: TypeAlias = Callable[[], Awaitable[Sequence[Adapter]]]
"""Returns the adapters that shall be served: the registry's live ones."""

EVERY_S: Final = 2.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 60.0
"""Before an adapter that a server would not load is tried there again."""

_logger = logging.getLogger(__name__)


class Keeper:
    """Looks after the servers of one `Transport`.

    Args:
        transport: Whose servers.
        host: Loads on them.
        wanted: What they shall serve; None asks only how they are.
    """

    def __init__(self, transport: Transport, host: VllmHost, wanted: Wanted | None = None) -> None:
        self._transport = transport
        self._host = host
        self._wanted = wanted
        self._known: tuple[Adapter, ...] = ()
        self._waits: dict[tuple[str, str], tuple[float, float]] = {}
        self._ill: set[str] = set()

    async def round(self) -> None:
        """Look at every server once; what is wrong with one is logged and does not raise."""
        await self._learn()
        await asyncio.gather(*(self._look_after(one) for one in self._transport.replicas))

    @asynccontextmanager
    async def running(self, every_s: float = EVERY_S) -> AsyncIterator[None]:
        """Look at every server again and again while the block lasts."""
        task = asyncio.create_task(self._for_ever(every_s))
        task.add_done_callback(_tell_end)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _for_ever(self, every_s: float) -> None:
        while True:
            await self.round()
            await asyncio.sleep(every_s)

    async def _learn(self) -> None:
        """Ask what is wanted; without an answer, what was wanted before still is."""
        if self._wanted is not None:
            try:
                self._known = tuple(await self._wanted())
            except BackendError as error:
                self._say("the registry", error)
            else:
                self._well("the registry")
        self._host.let_go([adapter.served_as for adapter in self._known])
        replicas = self._transport.replicas
        replicas.wanted = frozenset(
            adapter.served_as
            for adapter in (*self._known, *self._host.held.values())
            if any(serves_base(adapter, replica.bases) for replica in replicas)
        )

    async def _look_after(self, replica: Replica) -> None:
        try:
            await self._host.check_health(replica)
            models = await self._transport.list_models(replica)
        except BackendError as error:
            self._transport.replicas.cool(replica)
            self._say(replica.name, error)
            return
        self._well(replica.name)
        served = {model.name for model in models}
        for adapter in (*self._known, *self._host.held.values()):
            if adapter.served_as not in served and serves_base(adapter, replica.bases):
                await self._give_back(replica, adapter)

    async def _give_back(self, replica: Replica, adapter: Adapter) -> None:
        key, now = (replica.name, adapter.served_as), asyncio.get_running_loop().time()
        not_before, pause = self._waits.get(key, (0.0, FIRST_PAUSE_S))
        if now < not_before:
            return
        # Loading others may have taken a while, in which this one was replaced.
        await self._learn()
        if adapter.served_as not in self._transport.replicas.wanted:
            return
        try:
            await self._host.load_on(replica, adapter)
        except BackendError as error:
            self._waits[key] = (now + pause, min(2 * pause, LONGEST_PAUSE_S))
            _logger.warning("%s is missing on %s: %s", adapter.served_as, replica.name, error)
        else:
            self._waits.pop(key, None)
            _logger.info("%s was loaded again on %s.", adapter.served_as, replica.name)

    def _say(self, who: str, error: BackendError) -> None:
        """Log what is wrong once, until it is well again."""
        if who not in self._ill:
            self._ill.add(who)
            _logger.warning("%s", error)

    def _well(self, who: str) -> None:
        if who in self._ill:
            self._ill.discard(who)
            _logger.info("%s answers again.", who)


def _tell_end(task: asyncio.Task[None]) -> None:
    """A fault of the keeper's own shall be known when it happens, not when the router closes."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _logger.error("Nobody looks after the model servers any more.", exc_info=error)
