"""The training process: ``python -m backends.finetune train JOB`` or ``… fetch NAME``.

Tells what happens as JSON lines on standard output; everything else goes to standard error. Ctrl-C
while it trains writes a checkpoint first.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final, TextIO

from backends.errors import BackendError
from backends.finetune.job import FETCH

INTERRUPTED: Final = 130


def main(arguments: Sequence[str]) -> int:
    """Do one job; return the exit code."""
    kind, what = arguments
    # What libraries print must not come between the events.
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    tell, stop = _Teller(events), _Stop()
    signal.signal(signal.SIGINT, stop)
    try:
        if kind == FETCH:
            from backends.finetune.bases import from_hub

            tell(event="done", folder=str(from_hub(what)))
        else:
            _train(Path(what), tell, stop)
    except BackendError as error:
        kinds = [one.__name__ for one in type(error).__mro__]
        tell(event="failed", kinds=kinds, problem=error.problem, hint=error.hint)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


class _Teller:
    """Writes events where the parent reads them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, **event: Any) -> None:
        self._stream.write(json.dumps(event) + "\n")
        self._stream.flush()


class _Stop:
    """Remembers that it was asked to stop; outside of training it stops at once."""

    def __init__(self) -> None:
        self.patient = False
        self.asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if not self.patient:
            raise KeyboardInterrupt


def _train(path: Path, tell: _Teller, stop: _Stop) -> None:
    from backends.finetune.job import read_job
    from backends.finetune.train import Interrupted
    from backends.finetune.work import do

    def progress(phase: str, done: int, of: int, loss: float | None = None) -> None:
        tell(event="progress", phase=phase, done=done, of=of, loss=loss)

    try:
        measured = do(read_job(path), progress, stop)
    except Interrupted as interruption:
        tell(event="interrupted", step=interruption.step)
        raise KeyboardInterrupt from interruption
    tell(event="done", measured=measured.as_json())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
