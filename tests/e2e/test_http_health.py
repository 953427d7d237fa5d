"""What probes are told."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.support.server import ScriptedRouter, served


async def probe(path: str, router: ScriptedRouter, **settings: Any) -> httpx2.Response:
    async with served(router, **settings) as door, httpx2.AsyncClient() as client:
        return await client.get(f"{door.url}{path}")


async def test_a_living_process_says_so() -> None:
    response = await probe("/healthz", ScriptedRouter(parts={"database": "down"}))
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_a_server_whose_parts_work_is_ready() -> None:
    response = await probe("/readyz", ScriptedRouter())
    assert (response.status_code, response.json()["status"]) == (200, "ready")


@pytest.mark.parametrize("part", ["database", "embedder"])
async def test_a_server_without_a_part_that_it_needs_is_not_ready(part: str) -> None:
    router = ScriptedRouter()
    router.parts[part] = "no answer from db.internal"
    response = await probe("/readyz", router)
    assert (response.status_code, response.json()["parts"][part]) == (503, "failing")


@pytest.mark.parametrize("part", ["model server", "adapters"])
async def test_a_part_that_only_some_questions_need_is_told_but_leaves_the_server_ready(
    part: str,
) -> None:
    router = ScriptedRouter()
    router.parts[part] = "no answer"
    response = await probe("/readyz", router)
    assert (response.status_code, response.json()["parts"][part]) == (200, "failing")


async def test_a_probe_learns_that_a_part_fails_and_the_log_learns_why() -> None:
    router = ScriptedRouter(parts={"database": "no answer from db.internal"})
    async with served(router) as door, httpx2.AsyncClient() as client:
        response = await client.get(f"{door.url}/readyz")
    assert "db.internal" not in response.text
    assert "db.internal" in door.log.getvalue()


async def test_many_probes_ask_the_parts_once() -> None:
    router = ScriptedRouter()
    async with served(router) as door, httpx2.AsyncClient() as client:
        for _ in range(20):
            await client.get(f"{door.url}/readyz")
    assert router.pings <= 2  # a second one only if the twenty took longer than a second


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_need_no_key(path: str) -> None:
    response = await probe(path, ScriptedRouter(), api_keys=["k-1"])
    assert response.status_code == 200
