"""Threads for answers, and places for those who wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from backends.errors import TimedOut, Unavailable
from backends.genai.weights import BACKEND

_Result = TypeVar("_Result")

_HINT = "Try again in a moment, or connect a model server (ROUTER_VLLM_URL)."


class Deadline:
    """The time until which an answer must be whole.

    Args:
        seconds: From now.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at = asyncio.get_running_loop().time() + seconds

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[None]:
        """Let the block run until then.

        Raises:
            TimedOut: It ran longer.
        """
        try:
            async with asyncio.timeout_at(self._at):
                yield
        except TimeoutError as error:
            raise TimedOut(
                f"The in-process model took longer than {self._seconds:g} s.",
                backend=BACKEND,
                hint="Ask for a shorter answer, or connect a model server (ROUTER_VLLM_URL).",
            ) from error


class Workers:
    """Runs blocking work on threads of its own, and lets only so many answers be under way."""

    def __init__(self, executor: ThreadPoolExecutor, places: int, max_waiting: int) -> None:
        self._executor = executor
        self._places = asyncio.Semaphore(places)
        self._max_waiting = max_waiting
        self._waiting = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, *, threads: int, places: int, max_waiting: int) -> AsyncIterator[Workers]:
        """Keep the threads for the length of the block.

        Args:
            threads: How many.
            places: Answers that may be under way at once; they take turns on the threads.
            max_waiting: More that may wait; one more is refused as `Unavailable`.
        """
        executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="starter model")
        try:
            yield cls(executor, places, max_waiting)
        finally:
            # A running step is short; waiting for it here would block the loop.
            executor.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def place(self, deadline: Deadline) -> AsyncIterator[None]:
        """Hold a place for one answer.

        Raises:
            Unavailable: Too many wait already.
            TimedOut: None became free in time.
        """
        if self._places.locked() and self._waiting >= self._max_waiting:
            raise Unavailable(
                f"The in-process model has {self._waiting} answers waiting already.",
                backend=BACKEND,
                hint=_HINT,
            )
        self._waiting += 1
        try:
            async with deadline.holding():
                await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Run blocking work on one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
