"""Stands in for a python that can import vLLM: serves `tests.support.model_server` instead.

    VLLM_PYTHON="$(python -m tests.support.fake_vllm FOLDER)"

writes a program into the folder that takes vLLM's arguments. ``FAKE_VLLM_DIES`` makes it end with
that text, ``FAKE_VLLM_HANGS`` never come up.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]


def fake_python(folder: Path) -> Path:
    """Write the program; return where it is."""
    program = folder / "python-with-vllm"
    program.write_text(
        "#!/usr/bin/env bash\n"
        f'PYTHONPATH={ROOT} exec {sys.executable} -m tests.support.fake_vllm serve "$@"\n'
    )
    program.chmod(0o755)
    return program


async def _serve(arguments: list[str]) -> None:
    from tests.support.model_server import ModelServer

    given = dict(pairwise(arguments))
    server = ModelServer()
    server.models = [(given["--served-model-name"], None)]
    server.roots[given["--served-model-name"]] = given["--model"]
    server.max_lora_rank = int(given["--max-lora-rank"])
    server.runtime_loading = os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") == "1"
    server.port = int(given["--port"])
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    if not os.environ.get("FAKE_VLLM_HANGS"):
        await server.start()
    await stopped.wait()


if __name__ == "__main__":
    if sys.argv[1] != "serve":
        sys.stdout.write(f"{fake_python(Path(sys.argv[1]))}\n")
    elif words := os.environ.get("FAKE_VLLM_DIES"):
        sys.exit(words)
    else:
        asyncio.run(_serve(sys.argv[2:]))
