"""A server of this machine in the background, on one that stands in for vLLM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from backends.errors import Misconfigured, TimedOut
from backends.vllm.local import Engine, Launch, LocalServer, Running
from backends.vllm.local.processes import identity
from tests.support.fake_vllm import fake_python


def launch(folder: Path, *, port: int = 0) -> Launch:
    return Launch(Engine("cpu", str(fake_python(folder))), str(folder), "small", port)


async def started(local: LocalServer, folder: Path) -> Running:
    return await local.start(launch(folder), timeout_s=60, tell=lambda seconds, line: None)


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        local = LocalServer(tmp_path / "vllm")
        with pytest.raises(Misconfigured, match=f"Port {port} is taken"):
            await local.start(launch(tmp_path, port=port), timeout_s=9, tell=lambda *_: None)
    assert local.running() is None


async def test_a_server_that_never_comes_up_is_ended_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VLLM_HANGS", "1")
    local, heard = LocalServer(tmp_path / "vllm"), list[float]()
    with pytest.raises(TimedOut, match=r"not up within 0\.5 s"):
        await local.start(
            launch(tmp_path), timeout_s=0.5, tell=lambda seconds, line: heard.append(seconds)
        )
    assert heard
    assert local.running() is None


async def test_only_one_is_started_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VLLM_HANGS", "1")
    local, begun = LocalServer(tmp_path / "vllm"), asyncio.Event()
    first = asyncio.create_task(
        local.start(launch(tmp_path), timeout_s=60, tell=lambda *_: begun.set())
    )
    await begun.wait()
    with pytest.raises(Misconfigured, match="being started already"):
        await local.start(launch(tmp_path), timeout_s=60, tell=lambda *_: None)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert local.running() is None


async def test_a_server_that_was_killed_is_not_running_any_more(tmp_path: Path) -> None:
    local = LocalServer(tmp_path / "vllm")
    running = await started(local, tmp_path)
    assert LocalServer(tmp_path / "vllm").running() == running
    assert await local.check_health(running) == "ok"
    os.kill(running.pid, signal.SIGKILL)
    await asyncio.to_thread(os.waitpid, running.pid, 0)
    assert local.running() is None
    assert await local.check_health(running) == "it does not answer"
    assert await local.stop() is None


async def test_a_process_that_only_has_the_same_number_is_left_alone(tmp_path: Path) -> None:
    local = LocalServer(tmp_path / "vllm")
    running = await started(local, tmp_path)
    assert await local.stop() == running
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE
    )
    assert identity(other.pid) not in (None, running.identity)
    state = asdict(running) | {"pid": other.pid}
    (tmp_path / "vllm" / "server.json").write_text(json.dumps(state))
    assert local.running() is None
    assert await local.stop() is None
    # It goes on, and ends well when it is asked to.
    await other.communicate(b"\n")
    assert other.returncode == 0


async def test_a_damaged_record_is_no_server(tmp_path: Path) -> None:
    folder = tmp_path / "vllm"
    folder.mkdir()
    for damaged in ("", "[]", "{}", '{"pid": 1}', "null"):
        (folder / "server.json").write_text(damaged)
        assert LocalServer(folder).running() is None
