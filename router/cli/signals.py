"""What a command does when the process is asked to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

TERMINATED: Final = 128 + signal.SIGTERM
"""Exit code of a command that was asked to end, as shells give it."""


@contextmanager
def ended_by_sigterm() -> Iterator[asyncio.Event]:
    """Cancel the task within the block when the process is asked to end, and say so.

    Yields:
        Set as soon as it was asked.
    """
    loop, task, asked = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
    assert task is not None

    def end() -> None:
        asked.set()
        task.cancel()

    try:
        loop.add_signal_handler(signal.SIGTERM, end)
    except NotImplementedError:  # Windows ends processes without asking
        yield asked
        return
    try:
        yield asked
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
