"""A whole server process on the embedded defaults, from its start to its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from router.config import ServerSettings, Settings
from router.errors import SettingsError
from router.server import PortUnavailable, serve

SERVE = """
import asyncio
from router.config import load_settings
from router.server import serve
asyncio.run(serve(load_settings()))
"""
LIMIT_S = 60.0


@pytest.fixture(scope="module", name="home")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@contextmanager
def process(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A server process on a port of the system's choice."""
    environment = {**os.environ, "ROUTER_HOME": str(home), "ROUTER_SERVER__PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], env=environment, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def logged(running: subprocess.Popen[str], event: str) -> dict[str, Any]:
    """Read the log up to an event."""
    assert running.stderr is not None
    for text in running.stderr:
        line: dict[str, Any] = json.loads(text)
        if line["event"] == event:
            return line
    raise AssertionError(f"the process ended without {event!r}")


def test_a_process_on_the_defaults_becomes_ready_and_stops_cleanly_when_told(home: Path) -> None:
    with process(home) as running:
        port = logged(running, "listening")["port"]
        ready = httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=LIMIT_S)
        running.send_signal(signal.SIGTERM)
        logged(running, "stopped")
        assert (ready.status_code, running.wait(LIMIT_S)) == (200, 0)


def test_a_process_that_is_told_to_stop_while_it_opens_stops_cleanly(home: Path) -> None:
    with process(home) as running:
        logged(running, "opening")
        running.send_signal(signal.SIGTERM)
        logged(running, "stopped while opening")
        assert running.wait(LIMIT_S) == 0


def test_a_taken_port_is_told_before_anything_is_opened(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortUnavailable, match=str(port)):
            asyncio.run(serve(Settings(home=tmp_path, server=ServerSettings(port=port))))
    assert list(tmp_path.iterdir()) == []


async def test_strangers_are_not_let_in_by_mistake(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, server=ServerSettings(host="0.0.0.0"))  # noqa: S104 - refused
    with pytest.raises(SettingsError, match=r"server\.host"):
        await serve(settings)
