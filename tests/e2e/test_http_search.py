"""The HTTP doors to passages, and conditions on metadata at every HTTP door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI

from router.tracing.setup import tracing
from tests.support.parts import World
from tests.support.server import served_router

QUESTION = "How many days of leave do I get?"
HR = {"X-Router-Principal": "group:hr"}


@asynccontextmanager
async def door(**settings: Any) -> AsyncIterator[httpx2.AsyncClient]:
    async with tracing() as traced:
        world = World(traced)
        for country, days in (("DE", 30), ("FR", 25)):
            await world.publish(
                f"leave-{country}", f"You get {days} days of leave.", country=country
            )
        await world.publish("pay", "Leave days are paid twice.", acl="group:hr", band="C")
        async with (
            served_router(world.router(), **settings) as (port, _, _),
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}/v1", timeout=20) as client,
        ):
            yield client


def sources(answer: httpx2.Response) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {passage["source"] for passage in answer.json()["passages"]}


async def test_a_search_gives_passages_with_where_they_stand() -> None:
    async with door() as client:
        answer = await client.post("/search", json={"query": QUESTION, "limit": 1})
        [passage] = answer.json()["passages"]
        again = await client.get(f"/passages/{passage['id']}")

    shared = {"id", "document_id", "source", "title", "heading", "page", "version", "start", "end"}
    assert passage.keys() == shared | {"text", "score", "similarity", "superseded_by"}
    assert again.json() == {key: passage[key] for key in shared | {"text"}}
    assert answer.headers["x-router-trace-id"] == answer.json()["trace_id"]


async def test_a_search_finds_what_the_principal_may_see() -> None:
    async with door() as client:
        anonymous = await client.post("/search", json={"query": QUESTION})
        hr = await client.post("/search", json={"query": QUESTION}, headers=HR)

    assert sources(anonymous) == {"leave-DE", "leave-FR"}
    assert sources(hr) == {"leave-DE", "leave-FR", "pay"}


async def test_a_door_without_an_anonymous_principal_finds_nothing_for_nobody() -> None:
    async with door(anonymous="") as client:
        assert sources(await client.post("/search", json={"query": QUESTION})) == set()


@pytest.mark.parametrize("where", [{"country": "FR"}, ["country=FR"], "country=FR"])
async def test_conditions_narrow_a_search_and_an_answer(where: object) -> None:
    body = {"model": "factual", "messages": [{"role": "user", "content": QUESTION}]}
    async with door() as client:
        searched = await client.post("/search", json={"query": QUESTION, "where": where})
        answered = await client.post("/chat/completions", json={**body, "where": where})

    assert sources(searched) == {"leave-FR"}
    assert "25 days" in answered.json()["choices"][0]["message"]["content"]


async def test_the_official_client_sends_conditions_in_its_extra_body() -> None:
    async with (
        door() as plain,
        AsyncOpenAI(base_url=str(plain.base_url), api_key="unused") as client,
    ):
        said = await client.chat.completions.create(
            model="factual",
            messages=[{"role": "user", "content": QUESTION}],
            extra_body={"where": {"country": "FR"}},
        )

    assert "25 days" in (said.choices[0].message.content or "")


@pytest.mark.parametrize(
    "where",
    [
        {"band": "C"},
        {"nowhere": 1},
        ["country"],
        {"country": None},
        {"price": {"~": 1}},
        5,
        True,
        [[]],
        {"price": 10**400},
        {"country": "\x00"},
        {"country": "x" * 501},
        {f"field{at}": 1 for at in range(21)},
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_conditions_that_cannot_be_met_are_the_callers_mistake_at_every_door(
    where: object, streamed: bool
) -> None:
    body = {"model": "factual", "messages": [{"role": "user", "content": QUESTION}]}
    async with door() as client:
        answers = [
            await client.post("/search", json={"query": QUESTION, "where": where}),
            await client.post(
                "/chat/completions", json={**body, "where": where, "stream": streamed}
            ),
        ]

    for answer in answers:
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["param"] == "where"


async def test_an_unknown_field_is_told_apart_by_what_the_asker_may_see() -> None:
    async with door() as client:
        answer = await client.post("/search", json={"query": QUESTION, "where": {"band": "C"}})

    message = answer.json()["error"]["message"]
    assert "'band'" in message
    assert "there are country." in message


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "query"),
        ({"query": ""}, "query"),
        ({"query": 5}, "query"),
        ({"query": ["a"]}, "query"),
        ({"query": "x" * 8_001}, "query"),
        ({"query": "x", "limit": 0}, "limit"),
        ({"query": "x", "limit": 51}, "limit"),
        ({"query": "x", "limit": True}, "limit"),
        ({"query": "x", "limit": "5"}, "limit"),
        ({"query": "x", "filters": {"country": "DE"}}, "filters"),
        ({"query": "x", "principal": "group:hr"}, "principal"),
    ],
)
async def test_a_search_that_cannot_be_made_names_the_field(
    body: dict[str, object], param: str
) -> None:
    async with door() as client:
        answer = await client.post("/search", json=body)

    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("known", ["1", "%00", "a%2Fb", "%ED%A0%80", "' OR true", "x" * 4_000])
async def test_what_is_no_passage_is_not_found(known: str) -> None:
    async with door() as client:
        answer = await client.get(f"/passages/{known}")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "passage_not_found"


async def test_a_principal_that_is_none_is_refused_at_the_new_doors_too() -> None:
    headers = {"X-Router-Principal": "hr"}
    async with door() as client:
        answers = [
            await client.post("/search", json={"query": QUESTION}, headers=headers),
            await client.get("/passages/1", headers=headers),
        ]

    assert [answer.status_code for answer in answers] == [400, 400]


async def test_the_new_doors_ask_for_a_key_where_one_is_set() -> None:
    async with door(api_keys=["k"]) as client:
        answers = [
            await client.post("/search", json={"query": QUESTION}),
            await client.get("/passages/1"),
        ]

    assert [answer.status_code for answer in answers] == [401, 401]
