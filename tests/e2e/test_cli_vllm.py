"""``router vllm`` as a real process, on a server that stands in for vLLM."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.vllm.local.processes import end_group, identity
from tests.support.fake_vllm import fake_python

LIMIT_S = 100


class House:
    """A home, a model, and a python that only seems to have vLLM."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.model = folder / "small-model"
        self.model.mkdir()
        self._python = fake_python(folder)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "router", "vllm", *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        given = {"ROUTER_HOME": str(self.home), "VLLM_PYTHON": str(self._python)}
        return os.environ | given | more

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    @property
    def state(self) -> Path:
        return self.home / "vllm" / "server.json"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    if house.state.exists():
        end_group(json.loads(house.state.read_text())["pid"], force=True)


def test_a_server_goes_up_is_told_of_and_goes_down(house: House) -> None:
    up = house.run("up", str(house.model), "--port", "0", "--json")
    started: dict[str, Any] = json.loads(up.stdout)

    second = house.run("up", str(house.model), "--port", "0")
    assert second.returncode == 1
    assert f"runs already: small-model at {started['url']}" in second.stderr
    assert "router vllm down" in second.stderr

    status = house.run("status", "--json")
    told = json.loads(status.stdout)
    assert status.returncode == 0
    assert (told["running"], told["health"]) == (True, "ok")
    assert (told["models"], told["adapters"]) == (["small-model"], [])
    assert (told["pid"], told["url"]) == (started["pid"], started["url"])

    assert house.run("down").returncode == 0
    assert identity(started["pid"]) is None
    status = house.run("status", "--json")
    assert status.returncode == 1
    assert json.loads(status.stdout) == {"running": False}


def test_nothing_to_end_is_no_failure(house: House) -> None:
    done = house.run("down")
    assert done.returncode == 0
    assert "No vLLM server" in done.stderr


def test_a_server_that_dies_tells_the_end_of_its_log(house: House) -> None:
    dying = {"FAKE_VLLM_DIES": "RuntimeError: no kernel for this"}
    done = house.run("up", str(house.model), "--port", "0", **dying)
    assert done.returncode == 1
    assert dying["FAKE_VLLM_DIES"] in done.stderr
    assert "server.log" in done.stderr


def test_ctrl_c_while_it_starts_ends_what_was_started(house: House) -> None:
    starting = subprocess.Popen(
        house.command("up", str(house.model), "--port", "0"),
        env=house.environment(FAKE_VLLM_HANGS="1"),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert starting.stderr is not None
    # Said right before the server is started.
    assert "vLLM on the" in starting.stderr.readline()
    starting.send_signal(signal.SIGINT)
    starting.communicate(timeout=LIMIT_S)
    assert starting.returncode == 130
    assert not house.state.exists()


def test_the_line_for_production_is_printed_and_nothing_is_started(house: House) -> None:
    done = house.run("up", "Qwen/Qwen3-8B", "--print", "--", "--dtype", "bfloat16")
    assert done.returncode == 0
    assert done.stdout.startswith("VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 vllm serve Qwen/Qwen3-8B ")
    for words in ("--enable-lora", "--max-loras", "--max-lora-rank", "--dtype bfloat16"):
        assert words in done.stdout
    assert not house.state.exists()


def test_a_python_that_is_none_is_named(house: House) -> None:
    done = house.run("up", str(house.model), VLLM_PYTHON="/nowhere/python")
    assert done.returncode == 1
    assert "VLLM_PYTHON=/nowhere/python is not a program" in done.stderr
