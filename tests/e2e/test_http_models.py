"""Which models there are."""

from __future__ import annotations

import httpx2
import pytest
from openai import AsyncOpenAI, NotFoundError

from backends.errors import Unavailable
from backends.generation import ModelCard
from tests.support.server import Door, ScriptedRouter, served

BUILT_IN = ["auto", "factual", "behavioural", "hybrid"]
CARDS = [ModelCard("base-model"), ModelCard("house-voice", base="base-model")]
DOWN = Unavailable("No answer.", backend="model server")


def client_of(door: Door) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{door.url}/v1", api_key="unused", max_retries=0)


async def names(router: ScriptedRouter) -> list[str]:
    async with served(router) as door, client_of(door) as client:
        return [model.id async for model in client.models.list()]


async def ask(router: ScriptedRouter, model: str) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    async with served(router) as door, httpx2.AsyncClient() as client:
        return await client.post(f"{door.url}/v1/chat/completions", json=body)


async def test_the_list_has_the_routes_and_then_what_the_model_server_has() -> None:
    listed = await names(ScriptedRouter(cards=CARDS))
    assert sorted(listed[:4]) == sorted(BUILT_IN)
    assert listed[4:] == ["base-model", "house-voice"]


async def test_the_list_starts_with_auto() -> None:
    assert (await names(ScriptedRouter()))[0] == "auto"


async def test_the_list_does_without_a_model_server_that_is_down() -> None:
    listed = await names(ScriptedRouter(models_failure=DOWN))
    assert sorted(listed) == sorted(BUILT_IN)


async def test_a_model_says_who_owns_it() -> None:
    async with served(ScriptedRouter(cards=CARDS)) as door, client_of(door) as client:
        owners = {model.id: model.owned_by async for model in client.models.list()}
    assert (owners["auto"], owners["house-voice"]) == ("router", "base-model")


@pytest.mark.parametrize("name", ["auto", "hybrid", "house-voice", "org/model"])
async def test_a_single_model_can_be_looked_up(name: str) -> None:
    router = ScriptedRouter(cards=[*CARDS, ModelCard("org/model")])
    async with served(router) as door, client_of(door) as client:
        assert (await client.models.retrieve(name)).id == name


async def test_a_model_that_nobody_has_cannot_be_looked_up() -> None:
    async with served() as door, client_of(door) as client:
        with pytest.raises(NotFoundError):
            await client.models.retrieve("gpt-9")


@pytest.mark.parametrize("model", BUILT_IN)
async def test_the_routes_can_be_asked_though_the_model_server_is_down(model: str) -> None:
    response = await ask(ScriptedRouter(models_failure=DOWN), model)
    assert response.status_code == 200


async def test_whether_an_adapter_exists_is_unknown_while_the_model_server_is_down() -> None:
    response = await ask(ScriptedRouter(models_failure=DOWN), "house-voice")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "model_unavailable")


async def test_an_adapter_loaded_later_is_found_at_once() -> None:
    router = ScriptedRouter()
    body = {"model": "new-voice", "messages": [{"role": "user", "content": "Hello"}]}
    async with served(router) as door, httpx2.AsyncClient() as client:
        before = await client.post(f"{door.url}/v1/chat/completions", json=body)
        router.cards = [ModelCard("new-voice")]
        after = await client.post(f"{door.url}/v1/chat/completions", json=body)
    assert (before.status_code, after.status_code) == (404, 200)


async def test_asking_one_adapter_again_and_again_lists_the_models_once() -> None:
    router = ScriptedRouter(cards=CARDS)
    body = {"model": "house-voice", "messages": [{"role": "user", "content": "Hello"}]}
    async with served(router) as door, httpx2.AsyncClient() as client:
        for _ in range(5):
            await client.post(f"{door.url}/v1/chat/completions", json=body)
    assert router.listings == 1
