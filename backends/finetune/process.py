"""Runs a job in a process of its own: torch comes and goes with it, and nothing phones home."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

from backends import errors
from backends.finetune.bases import require_extra, require_mlflow
from backends.finetune.job import FETCH, TRAIN, Job, Measured, read_measured

JOB: Final = "job.json"
LOG: Final = "process.log"

Event: TypeAlias = Mapping[str, Any]

_QUIET: Final = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "warning",
    "WANDB_DISABLED": "true",
    "PYTHONUNBUFFERED": "1",
}
_OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
_PATIENT: Final = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that wait sleep: spinning, they took a small model fifty times as long beside others."""

_STOP_WITHIN_S: Final = 120.0
_MAX_EVENT: Final = 64_000_000
_LAST_WORDS: Final = 400


async def fetch_base(name: str, work: Path, told: Callable[[Event], None]) -> Path:
    """Return the folder of a model of the hub; the one job that may use the network.

    Raises:
        Misconfigured: The extra is not installed.
        Refused: There is no such model, or it cannot be fetched.
    """
    require_extra()
    done = await _run([FETCH, name], work, told, _QUIET)
    return Path(done["folder"])


async def run_job(job: Job, told: Callable[[Event], None]) -> Measured:
    """Train and measure. Cancelling it stops the training, which writes a checkpoint first.

    Args:
        told: Is told what happens: ``event`` is ``progress`` (``phase``, ``done``, ``of``,
            ``loss``) or ``interrupted`` (``step``).

    Raises:
        Misconfigured, Refused: As `backends.finetune.train.train_adapter`.
        Garbled: The process died.
    """
    require_extra()
    if job.mlflow:
        require_mlflow()
    job.out.mkdir(parents=True, exist_ok=True)
    path = job.out / JOB
    job.write(path)
    done = await _run([TRAIN, str(path)], job.out, told, {**_QUIET, **_OFFLINE})
    path.unlink(missing_ok=True)
    return read_measured(done["measured"])


async def _run(
    arguments: Sequence[str],
    folder: Path,
    told: Callable[[Event], None],
    environment: Mapping[str, str],
) -> Event:
    async with _started(arguments, folder, environment) as process:
        done: Event | None = None
        try:
            done = await _followed(process, told)
            code = await process.wait()
        except asyncio.CancelledError:
            await _stopped(process, told)
            raise
    if done is None:
        raise _died(code, folder / LOG)
    return done


@asynccontextmanager
async def _started(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> AsyncIterator[Process]:
    with _log(folder) as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "backends.finetune",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=log,
            env={**_PATIENT, **os.environ, **environment, "PYTHONPATH": _import_path()},
            limit=_MAX_EVENT,
            # Ctrl-C reaches us alone, and we hand it on once.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _followed(process: Process, told: Callable[[Event], None]) -> Event | None:
    """Tell what it tells until it ends; return its last word if it was done."""
    assert process.stdout is not None, "asked for above"
    async with aclosing(_events(process.stdout)) as events:
        async for event in events:
            if event["event"] == "done":
                return event
            if event["event"] == "failed":
                raise _error(event)
            told(event)
    return None


async def _events(stream: asyncio.StreamReader) -> AsyncGenerator[Event]:
    while line := await stream.readline():
        if line.startswith(b"{"):
            yield json.loads(line)


async def _stopped(process: Process, told: Callable[[Event], None]) -> None:
    """Ask it to stop and give it the time to write its checkpoint."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(_STOP_WITHIN_S):
            await _followed(process, told)
            await process.wait()
    except (TimeoutError, errors.BackendError):
        return


def _log(folder: Path) -> BinaryIO:
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / LOG).open("wb")


def _error(event: Event) -> errors.BackendError:
    for kind in event["kinds"]:
        found = getattr(errors, kind, None)
        if isinstance(found, type) and issubclass(found, errors.BackendError):
            return found(event["problem"], backend="fine-tuning", hint=event["hint"])
    raise AssertionError(event["kinds"])


def _died(code: int, log: Path) -> errors.Garbled:
    words = log.read_text(encoding="utf-8", errors="replace").strip()
    last = words.rpartition("\n")[2][-_LAST_WORDS:]
    killed = " It was killed, as a machine does that runs out of memory." if code == -9 else ""
    return errors.Garbled(
        f"The training process ended with code {code}.{killed} {last}".strip(),
        backend="fine-tuning",
        hint=f"Everything that it said is in {log}.",
    )


def _import_path() -> str:
    """Where this package lies comes first, so that the process runs the same code."""
    own = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([own, *filter(None, [os.environ.get("PYTHONPATH")])])
