"""Admission: so many questions at a time, so many may wait, and none once the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from router.server.errors import Overloaded, ShuttingDown

WAIT_S: Final = 10.0
"""Whoever waited so long is told to come back, while they still care for the answer."""


class Gate:
    """Counts the questions being answered."""

    def __init__(self, *, concurrent: int, waiting: int, wait_s: float = WAIT_S) -> None:
        self._slots = asyncio.Semaphore(concurrent)
        self._concurrent = concurrent
        self._max_waiting = waiting
        self._wait_s = wait_s
        self._waiting: set[asyncio.Timeout] = set()
        self._admitted: set[asyncio.Timeout] = set()
        self._none_left = asyncio.Event()
        self._none_left.set()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the server is stopping."""
        return self._closed

    @property
    def waiting(self) -> int:
        """How many questions wait for their turn."""
        return len(self._waiting)

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Hold a place for the length of the block.

        Raises:
            Overloaded: No place became free in time, or too many wait already.
            ShuttingDown: The server stops; also raised into the block when its time is over.
        """
        self._check_open()
        await self._take_slot()
        try:
            self._check_open()
            async with asyncio.timeout(None) as limit:
                self._enter(limit)
                try:
                    yield
                finally:
                    self._leave(limit)
        except TimeoutError as error:
            if limit.expired():
                raise ShuttingDown("The server stopped before the answer was complete.") from error
            raise
        finally:
            self._slots.release()

    def close(self) -> None:
        """Let nobody in any more, nor those who wait; answers in flight go on."""
        self._closed = True
        _expire(self._waiting)

    async def empty(self) -> None:
        """Wait until nothing is in flight."""
        await self._none_left.wait()

    def cut(self) -> None:
        """End what is in flight, each with `ShuttingDown`."""
        _expire(self._admitted)

    def _check_open(self) -> None:
        if self._closed:
            raise ShuttingDown("The server is stopping; ask again, another one will answer.")

    async def _take_slot(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        if len(self._waiting) >= self._max_waiting:
            raise self._overloaded(f"{self._max_waiting} more are waiting")
        try:
            async with asyncio.timeout(self._wait_s) as limit:
                self._waiting.add(limit)
                try:
                    await self._slots.acquire()
                finally:
                    self._waiting.discard(limit)
        except TimeoutError as error:
            self._check_open()
            raise self._overloaded(f"none was done within {self._wait_s:g} s") from error

    def _overloaded(self, why: str) -> Overloaded:
        return Overloaded(f"{self._concurrent} questions are being answered and {why}.")

    def _enter(self, limit: asyncio.Timeout) -> None:
        self._admitted.add(limit)
        self._none_left.clear()

    def _leave(self, limit: asyncio.Timeout) -> None:
        self._admitted.discard(limit)
        if not self._admitted:
            self._none_left.set()


def _expire(limits: set[asyncio.Timeout]) -> None:
    now = asyncio.get_running_loop().time()
    for limit in limits:
        # One whose time is up in this very tick ends by itself, and cannot be changed any more.
        if not limit.expired():
            limit.reschedule(now)
