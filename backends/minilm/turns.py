"""Work on threads of its own, in turns, so that the loop never waits and nobody is shut out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from backends.errors import Backend, TimedOut, Unavailable

_Result = TypeVar("_Result")

_MOST_WORKERS = 4
"""Turns taken at once by default, where there are as many cores; the rest is for the others."""


class Turns:
    """Runs short pieces of blocking work, first come, first served."""

    def __init__(
        self,
        executor: ThreadPoolExecutor,
        *,
        workers: int,
        timeout_s: float,
        max_waiting: int,
        who: Backend,
    ) -> None:
        self._executor = executor
        self._workers = workers
        self._timeout_s = timeout_s
        self._max_waiting = max_waiting
        self._who = who
        own = who == "embedder"
        self._remedy = ", or run an embedding server beside the router" if own else ""
        self._waiting = 0
        # A question is next as soon as any worker ends its turn.
        self._turn = asyncio.Semaphore(workers)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        who: Backend,
        *,
        workers: int | None = None,
        timeout_s: float = 30.0,
        max_waiting: int = 256,
    ) -> AsyncIterator[Turns]:
        """Keep the threads for the length of the block.

        Args:
            who: Whose work it is, for errors: ``"embedder"``.
            workers: Turns taken at the same time; None for the cores that this process may use, up
                to four.
            timeout_s: Longest wait for one turn.
            max_waiting: Calls that may wait at once; one more is refused as `Unavailable`.
        """
        workers = workers or min(_usable_cores(), _MOST_WORKERS)
        executor = ThreadPoolExecutor(max_workers=workers, thread_name_prefix=who)
        try:
            yield cls(
                executor, workers=workers, timeout_s=timeout_s, max_waiting=max_waiting, who=who
            )
        finally:
            # A running turn is short; waiting for it here would block the loop.
            executor.shutdown(wait=False, cancel_futures=True)

    async def load(self, work: Callable[[], _Result]) -> _Result:
        """Run what takes as long as it takes, such as reading a model, on one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def take(self, turns: Sequence[Callable[[], _Result]]) -> list[_Result]:
        """Take each turn once; a call holds no more places in the queue than there are workers.

        Raises:
            TimedOut: Others kept the threads busy for longer than the timeout.
            Unavailable: Too many calls are waiting already.
        """
        if self._waiting >= self._max_waiting:
            raise Unavailable(
                f"The {self._who} has {self._waiting} calls waiting already.",
                backend=self._who,
                hint=f"Try again in a moment{self._remedy}.",
            )
        self._waiting += 1
        try:
            if len(turns) == 1:
                return [await self._take_one(turns[0])]
            return await self._in_groups(turns)
        finally:
            self._waiting -= 1

    async def _in_groups(self, turns: Sequence[Callable[[], _Result]]) -> list[_Result]:
        taken: dict[int, _Result] = {}
        left = iter(enumerate(turns))

        async def work() -> None:
            for number, turn in left:
                taken[number] = await self._take_one(turn)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._workers, len(turns))):
                    group.create_task(work())
        except BaseExceptionGroup as failed:
            first = failed.exceptions[0]
            raise first from first.__cause__
        return [taken[number] for number in range(len(turns))]

    async def _take_one(self, work: Callable[[], _Result]) -> _Result:
        try:
            async with asyncio.timeout(self._timeout_s), self._turn:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._executor, work)
        except TimeoutError as error:
            raise TimedOut(
                f"The {self._who} was busy for longer than {self._timeout_s:g} s.",
                backend=self._who,
                hint=f"Try again{self._remedy}.",
            ) from error


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
