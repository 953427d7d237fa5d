"""Waits for the end of a process that is not our child, without asking for it again and again."""

from __future__ import annotations

import asyncio
import os
import sys

_ASKING_S = 1.0
"""How often to look where the system cannot tell."""


async def ended(pid: int | None) -> None:
    """Return once there is no process of that number any more; at once for None.

    Linux tells it through a descriptor of the process (pidfd_open(2)); elsewhere, and where that
    is forbidden, it is looked for once a second.
    """
    if pid is None:
        return
    if sys.platform == "linux":
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        except OSError:
            pass  # an old kernel, or a container that forbids the call
        else:
            await _readable(descriptor)
            return
    while _lives(pid):  # noqa: ASYNC110 - nothing there would set an event
        await asyncio.sleep(_ASKING_S)


async def _readable(descriptor: int) -> None:
    """Wait until the descriptor can be read, and close it."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    try:
        loop.add_reader(descriptor, readable.set)
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
