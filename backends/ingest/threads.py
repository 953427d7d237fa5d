"""Runs blocking work in threads that nobody has to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

_Result = TypeVar("_Result")


async def in_thread(work: Callable[[], _Result]) -> _Result:
    """As `asyncio.to_thread`, but what nobody waits for any more does not keep us from exiting."""
    done: Future[_Result] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            done.set_exception(error)

    done.set_running_or_notify_cancel()
    Thread(target=run, name="reading", daemon=True).start()
    return await asyncio.wrap_future(done)
