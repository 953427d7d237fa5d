"""Processes told apart for sure: a number is given to another process sooner or later."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

_ASK_S: Final = 5.0
_PROC: Final = Path("/proc")


def identity(pid: int) -> str | None:
    """Return what no other process of this machine has: when exactly it began.

    Returns:
        None where no such process runs, one that has ended and waits for its parent included.
    """
    if (_PROC / "self" / "stat").exists():
        return _from_proc(pid)
    return _from_ps(pid)


def end_group(leader: int, *, force: bool) -> None:
    """Ask a process group to end, or end it; nothing where none is left of it."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL if force else signal.SIGTERM)


def _from_proc(pid: int) -> str | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
        boot = (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in brackets and may hold anything; state and start time are fields 3 and 22.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"


def _from_ps(pid: int) -> str | None:
    program = shutil.which("ps")
    if program is None:
        return None
    asked = [program, "-o", "stat=,lstart=", "-p", str(pid)]
    told = subprocess.run(asked, capture_output=True, timeout=_ASK_S, check=False, text=True)  # noqa: S603 - a number is all that goes in
    state, _, began = told.stdout.strip().partition(" ")
    return None if told.returncode or state.startswith("Z") else began.strip() or None
