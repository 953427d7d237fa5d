"""What every test gets: coroutine tests run, and nothing of the machine's own configuration."""

from __future__ import annotations

import asyncio
import inspect
import os

import pytest

from tests.support.database import (
    database_server,
    database_template,
    database_url,
    empty_database_url,
)
from tests.support.stores import open_store

__all__ = [
    "database_server",
    "database_template",
    "database_url",
    "empty_database_url",
    "open_store",
]

TEST_TIMEOUT_S = 120.0


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run ``async def`` tests, each on a loop of its own and never for longer than the limit."""
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    wanted = inspect.signature(function).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}

    async def limited() -> None:
        async with asyncio.timeout(TEST_TIMEOUT_S):
            await function(**arguments)

    with asyncio.Runner() as runner:
        runner.run(limited())
    return True


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own ROUTER_… and OTEL_… variables decide nothing in a test."""
    for name in list(os.environ):
        if name.startswith(("ROUTER_", "OTEL_")) and not name.startswith("ROUTER_TEST_"):
            monkeypatch.delenv(name)
