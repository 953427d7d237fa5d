"""Who may come in."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from openai import AsyncOpenAI, AuthenticationError

from tests.support.server import Door, ScriptedRouter, served, served_in_thread


@pytest.fixture(scope="module", name="locked")
def _locked() -> Iterator[Door]:
    with served_in_thread(ScriptedRouter(), api_keys=["k-1", "k-2"]) as door:
        yield door


@pytest.fixture(scope="module", name="unlocked")
def _unlocked() -> Iterator[Door]:
    with served_in_thread(ScriptedRouter()) as door:
        yield door


@pytest.mark.parametrize("key", ["k-1", "k-2"])
def test_each_key_opens(locked: Door, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    assert httpx2.get(f"{locked.url}/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "authorization", ["Bearer k-3", "Bearer k-1k-2", "Bearer", "Basic k-1", "k-1", ""]
)
def test_nothing_else_opens(locked: Door, authorization: str) -> None:
    headers = {"Authorization": authorization}
    assert httpx2.get(f"{locked.url}/v1/models", headers=headers).status_code == 401


def test_a_stranger_is_told_how_to_send_a_key(locked: Door) -> None:
    response = httpx2.get(f"{locked.url}/v1/models")
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["error"]["code"] == "invalid_api_key"


def test_a_stranger_does_not_learn_which_paths_exist(locked: Door) -> None:
    assert httpx2.get(f"{locked.url}/nowhere").status_code == 401


async def test_the_official_client_knows_the_refusal() -> None:
    async with (
        served(api_keys=["k-1"]) as door,
        AsyncOpenAI(base_url=f"{door.url}/v1", api_key="wrong", max_retries=0) as client,
    ):
        with pytest.raises(AuthenticationError):
            await client.models.list()


async def test_keys_are_not_logged() -> None:
    async with served(api_keys=["k-secret"]) as door, httpx2.AsyncClient() as client:
        for key in ("k-secret", "k-wrong"):
            headers = {"Authorization": f"Bearer {key}"}
            await client.get(f"{door.url}/v1/models", headers=headers)
    assert "k-secret" not in door.log.getvalue()
    assert "k-wrong" not in door.log.getvalue()


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080"])
def test_without_keys_this_machine_may_come_in_by_its_names(unlocked: Door, host: str) -> None:
    response = httpx2.get(f"{unlocked.url}/v1/models", headers={"Host": host})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "10.0.0.1", "localhost.evil.example"]
)
def test_without_keys_a_page_that_rebinds_its_name_stays_out(unlocked: Door, host: str) -> None:
    response = httpx2.get(f"{unlocked.url}/v1/models", headers={"Host": host})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "host_not_allowed")


def test_with_keys_the_server_answers_to_any_name(locked: Door) -> None:
    headers = {"Host": "router.example", "Authorization": "Bearer k-1"}
    assert httpx2.get(f"{locked.url}/v1/models", headers=headers).status_code == 200
