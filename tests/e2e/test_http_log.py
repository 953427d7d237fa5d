"""What the server's log says of a request that failed."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from backends.errors import TimedOut
from router.errors import (
    ConfigurationFault,
    InvalidRequest,
    RetrievalUnavailable,
    RouterError,
    UpstreamFailed,
)
from tests.support.server import Door, ScriptedRouter, served

PROBLEM = "Could not search the documents (database db.example:5432/answers): no answer in time."


async def logged(failure: RouterError, *, fail_after: int = 0) -> dict[str, Any]:
    """The line that a question leaves which fails like that."""
    async with served(ScriptedRouter(failure=failure, fail_after=fail_after)) as door:
        await _ask(door, stream=bool(fail_after))
    lines = map(json.loads, door.log.getvalue().splitlines())
    found: list[dict[str, Any]] = [line for line in lines if line["event"] == "request"]
    (line,) = found
    return line


@pytest.mark.parametrize("kind", [RetrievalUnavailable, UpstreamFailed, ConfigurationFault])
async def test_a_failure_on_our_side_is_logged_with_its_sentence(kind: type[RouterError]) -> None:
    line = await logged(kind(PROBLEM))
    assert (line["error"], line["problem"]) == (kind.code, PROBLEM)


async def test_a_failure_in_the_middle_of_a_stream_is_logged_with_its_sentence() -> None:
    assert (await logged(UpstreamFailed(PROBLEM), fail_after=1))["problem"] == PROBLEM


async def test_a_failure_on_our_side_is_logged_with_the_kinds_of_its_causes() -> None:
    beneath = TimedOut(PROBLEM, backend="database")
    beneath.__cause__ = TimeoutError()
    failure = RetrievalUnavailable(PROBLEM)
    failure.__cause__ = beneath
    assert (await logged(failure))["causes"] == ["TimedOut", "TimeoutError"]


async def test_a_long_sentence_is_cut_in_the_log() -> None:
    assert len((await logged(UpstreamFailed("x" * 10_000)))["problem"]) <= 500


async def test_a_callers_mistake_is_logged_without_its_sentence() -> None:
    line = await logged(InvalidRequest("'my secret question' is too long"))
    assert line["error"] == "invalid_request"
    assert "secret" not in json.dumps(line)


@pytest.mark.parametrize("fail_after", [0, 1])
async def test_where_the_servers_are_stays_in_the_log(fail_after: int) -> None:
    failure = RetrievalUnavailable(PROBLEM)
    async with served(ScriptedRouter(failure=failure, fail_after=fail_after)) as door:
        response = await _ask(door, stream=bool(fail_after))
    assert failure.public in response.text
    assert "db.example" not in response.text


async def _ask(door: Door, *, stream: bool) -> httpx2.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}], "stream": stream}
    async with httpx2.AsyncClient(timeout=10) as client:
        return await client.post(f"{door.url}/v1/chat/completions", json=body)
