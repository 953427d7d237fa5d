"""Real vLLMs with a tiny model and adapters, for tests marked ``vllm``.

One serves an adapter that it was started with, loads nothing at run time and calls tools; the other
is started by ``router vllm up``, takes adapters and calls no tools. Each starts once a session,
when a test first wants it, and only where ``ROUTER_TEST_VLLM_PYTHON`` names a python that can
import vllm; ``infra/vllm/setup_cpu.sh`` makes one. Import the fixtures into a ``conftest.py``.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

VARIABLE = "ROUTER_TEST_VLLM_PYTHON"
MAKE_MODEL = Path(__file__).parents[1] / "vllm" / "make_model.py"
SERVE = Path(__file__).parents[2] / "infra" / "vllm" / "serve.sh"
BASE_MODEL = "tiny-base"
ADAPTER = "tiny-voice"
CONTEXT_TOKENS = 8192
MAX_RANK = 8
MAKE_LIMIT_S = 180
START_LIMIT_S = 300
STOP_LIMIT_S = 30
POLL_S = 0.25
LOG_TAIL = 3000


class RealVllm(NamedTuple):
    """Where it is and what it serves."""

    url: str
    base_model: str
    adapter: str
    folder: Path


@pytest.fixture(scope="session")
def real_vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealVllm]:
    """Serve the tiny model on a free loopback port until the session ends."""
    python = _python_with_vllm()
    folder = tmp_path_factory.mktemp("vllm")
    _make_models(python, folder)
    url = f"http://127.0.0.1:{_free_port()}"
    log = folder / "server.log"
    with log.open("wb") as output:
        # A group of its own, so that the engine's processes end with the server's.
        server = subprocess.Popen(
            _command(folder),
            cwd=folder,
            env=_environment(python, url),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_healthy(server, url, log)
        yield RealVllm(url, BASE_MODEL, ADAPTER, folder)
    finally:
        _stop(server)


class LocalVllm:
    """A server as ``router vllm`` runs it.

    Attributes:
        folder: Holds ``base`` and the adapters that `tests/vllm/make_model.py` writes.
        url: Address without ``/v1``; the same after a restart.
    """

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._environment = os.environ | {"ROUTER_HOME": str(folder), "VLLM_PYTHON": python}

    @property
    def base_model(self) -> str:
        return BASE_MODEL

    @property
    def max_rank(self) -> int:
        return MAX_RANK

    def router_vllm(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``router vllm`` with these arguments."""
        return subprocess.run(
            [sys.executable, "-m", "router", "vllm", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=START_LIMIT_S,
            check=False,
        )

    def up(self) -> None:
        """Start it and wait until it is healthy."""
        given = ["--name", BASE_MODEL, "--port", self.url.rpartition(":")[2]]
        # So that an answer is the same alone and among others.
        exact = ["--dtype", "float32", "--max-model-len", "4096"]
        done = self.router_vllm(
            "up", str(self.folder / "base"), *given, "--", "--max-lora-rank", str(MAX_RANK), *exact
        )
        if done.returncode:
            pytest.fail(f"router vllm up: {done.stderr[-LOG_TAIL:]}")

    def down(self) -> None:
        """End it."""
        assert self.router_vllm("down").returncode == 0


@pytest.fixture(scope="session")
def local_vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVllm]:
    """Run a server that takes adapters until the session ends."""
    python = _python_with_vllm()
    folder = tmp_path_factory.mktemp("local-vllm")
    _make_models(python, folder)
    server = LocalVllm(folder, python)
    server.up()
    yield server
    server.down()


def _make_models(python: str, folder: Path) -> None:
    making = [python, str(MAKE_MODEL), str(folder)]
    subprocess.run(making, check=True, timeout=MAKE_LIMIT_S, cwd=folder)


def _python_with_vllm() -> str:
    python = os.environ.get(VARIABLE, "")
    if not python:
        pytest.skip(f"{VARIABLE} names no python with vllm; infra/vllm/setup_cpu.sh makes one")
    if shutil.which(python) is None:
        pytest.skip(f"{VARIABLE}={python} is not a program")
    found = subprocess.run(
        [python, "-c", "import importlib.util as u; raise SystemExit(u.find_spec('vllm') is None)"],
        check=False,
        timeout=MAKE_LIMIT_S,
    )
    if found.returncode:
        pytest.skip(f"{VARIABLE}={python} cannot import vllm")
    return python


def _command(folder: Path) -> list[str]:
    """What the README tells people to run, kept small for a test."""
    options = {
        "served-model-name": BASE_MODEL,
        "max-lora-rank": str(MAX_RANK),
        "max-model-len": str(CONTEXT_TOKENS),
    }
    pairs = [word for name, value in options.items() for word in (f"--{name}", value)]
    served = [str(folder / "base"), f"{ADAPTER}={folder / 'adapter'}"]
    # Compiling pays off after thousands of answers, not after a dozen.
    tools = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    return ["bash", str(SERVE), *served, "--", *pairs, *tools, "--enforce-eager"]


def _environment(python: str, url: str) -> dict[str, str]:
    return os.environ | {
        "VLLM_PYTHON": python,
        "VLLM_PORT": url.rpartition(":")[2],
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "0",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"vLLM ended with {server.returncode}:\n{_tail(log)}")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_S)
    pytest.fail(f"vLLM was not healthy within {START_LIMIT_S} s:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-LOG_TAIL:]


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(STOP_LIMIT_S)
