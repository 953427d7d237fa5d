"""Whatever is asked, at whichever door: an answer or a clear error, and nothing is written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from backends.ingest import ingest_bytes
from backends.memory.embedder import HashingEmbedder
from backends.principals import parse_principals
from router import Router, Settings
from router.cli.checks import examine
from router.errors import InvalidRequest, ModelUnavailable
from tests.support.server import served_router
from tests.support.stores import in_postgres

TEXTS: Mapping[str, str] = {
    "100,000 characters": "How long may boots be returned? " * 3_125,
    "one word of 100,000 letters": "x" * 100_000,
    "NUL": "How long may \x00 boots be returned?\x00",
    "half a surrogate pair": "How long may boots \ud83d be returned?",
    "control characters": "How long \x1b[31m may\x07 boots\x7f be returned?",
    "right to left": "كم من الوقت يمكن إرجاع الأحذية؟",
    "turned around": "\u202eHow long may boots be returned?\u202c",
    "CJK": "長靴は何日以内に返品できますか？",
    "mixed": "Boots 長靴 الأحذية ботинки 👢👩‍🔧 e\u0301\u0301\u0301",
    "SQL": "'; DROP TABLE passage; -- %(principals)s {0} $1",
    "a fence": "=====[0123456789abcdef]=====",
    "nothing but marks": "?!…",
}


def posts(text: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """What is sent to each HTTP door."""
    turns = [{"role": "user", "content": text}]
    chat = {"model": "factual", "messages": turns}
    return {
        "chat": ("/v1/chat/completions", chat),
        "chat as a stream": ("/v1/chat/completions", {**chat, "stream": True}),
        "chat, route free": ("/v1/chat/completions", {**chat, "model": "auto"}),
        "history": (
            "/v1/chat/completions",
            {**chat, "messages": [*turns, {"role": "assistant", "content": text}, *turns]},
        ),
        "decisions": ("/v1/decisions", {"input": text}),
        "search": ("/v1/search", {"query": text}),
        "where": ("/v1/search", {"query": "boots", "where": {text: "1"}}),
        "where, a value": ("/v1/search", {"query": "boots", "where": {"country": text}}),
        "where, a text": ("/v1/search", {"query": "boots", "where": [text]}),
    }


@pytest.fixture(scope="module", name="replies")
def _replies(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], httpx2.Response]:
    """Every text at every HTTP door of one whole router, and whether it changed anything."""

    async def ask() -> dict[tuple[str, str], httpx2.Response]:
        settings = Settings(home=tmp_path_factory.mktemp("home"))
        async with Router.open(settings) as router:
            await _publish(router)
            before = await router.documents.documents()
            async with (
                served_router(router) as (port, _, _),
                httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
            ):
                replies = {
                    (kind, door): await client.post(path, content=json.dumps(body), headers=JSON)
                    for kind, text in TEXTS.items()
                    for door, (path, body) in posts(text).items()
                }
            assert await router.documents.documents() == before
            return replies

    return asyncio.run(ask())


JSON = {"Content-Type": "application/json"}


async def _publish(router: Router) -> None:
    text = b"---\ncountry: DE\n---\nBoots may be returned within 45 days of delivery."
    acl = parse_principals("everyone")
    await ingest_bytes("boots.md", text, store=router.documents, embedder=router.embedder, acl=acl)


@pytest.mark.parametrize("kind", TEXTS)
def test_no_text_is_answered_with_an_internal_error(
    replies: Mapping[tuple[str, str], httpx2.Response], kind: str
) -> None:
    answers = {door: replies[kind, door] for door in posts("")}
    # Without a model server, what needs one says so; that is no internal error.
    allowed = {200, 400, 503}

    assert {
        door: one.status_code for door, one in answers.items() if one.status_code not in allowed
    } == {}
    for one in answers.values():
        if one.status_code == 503:
            assert one.json()["error"]["code"] == "model_unavailable"


@pytest.mark.parametrize("kind", TEXTS)
def test_every_error_names_the_field_and_reads_like_one(
    replies: Mapping[tuple[str, str], httpx2.Response], kind: str
) -> None:
    for door in posts(""):
        reply = replies[kind, door]
        if reply.status_code == 400:
            error = reply.json()["error"]
            assert error["code"] == "invalid_request"
            # JSON cannot hold half a pair, so the body as a whole is at fault.
            assert error["param"] or "not valid JSON" in error["message"], (door, error)
            assert len(error["message"]) < 2_000


@pytest.mark.parametrize("door", ["chat", "chat as a stream", "history"])
@pytest.mark.parametrize("kind", ["NUL", "control characters", "turned around"])
def test_a_question_with_noise_in_it_is_still_answered(
    replies: Mapping[tuple[str, str], httpx2.Response], kind: str, door: str
) -> None:
    reply = replies[kind, door]

    assert reply.status_code == 200, reply.text[:500]
    assert "45 days" in reply.text


def test_a_search_of_a_hundred_thousand_characters_is_refused(
    replies: Mapping[tuple[str, str], httpx2.Response],
) -> None:
    reply = replies["100,000 characters", "search"]

    assert reply.status_code == 400
    assert "at most 8000" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    "kind", [kind for kind in TEXTS if "100,000" not in kind and "half" not in kind]
)
def test_a_search_takes_any_script(
    replies: Mapping[tuple[str, str], httpx2.Response], kind: str
) -> None:
    assert replies[kind, "search"].status_code == 200


async def test_documents_of_another_model_are_told_with_the_remedy_at_every_door(
    database_url: str, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url))
    async with Router.open(settings) as router:
        async with in_postgres(database_url, model="other", dimension=64) as store:
            await ingest_bytes(
                "boots.md",
                b"Boots may be returned.",
                store=store,
                embedder=HashingEmbedder(64, model="other"),
                acl=parse_principals("everyone"),
            )
        async with (
            served_router(router) as (port, _, _),
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
        ):
            doors = posts("How long may boots be returned?")
            for door in ("chat", "chat as a stream", "search"):
                path, body = doors[door]
                reply = await client.post(path, json=body)
                assert (door, reply.status_code) == (door, 503)
                assert "router documents reindex" in reply.json()["error"]["message"]
        found = {check.name: check.finding for check in await examine(settings)}
    assert found["documents"].status == "fail"
    assert "router documents reindex" in found["documents"].hint


@pytest.mark.parametrize(
    "principal",
    ["hr", "group:", "role:hr", "group:hr group:it", "user:a,hr", "*", "everyone:x", "user:\x00,x"],
)
async def test_an_untyped_principal_is_refused_at_every_door_of_the_library(
    database_url: str, tmp_path: Path, principal: str
) -> None:
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url))
    async with Router.open(settings) as router:
        for asked in (
            router.ask("boots", principal=principal),
            router.decide("boots", principal=principal),
            router.search("boots", principal=principal),
            router.passage("1", principal=principal),
        ):
            with pytest.raises(InvalidRequest) as raised:
                await asked
            assert raised.value.field == "principal"


async def test_the_library_answers_every_text_or_says_what_is_wrong(
    database_url: str, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url))
    said: list[str] = []
    async with Router.open(settings) as router:
        await _publish(router)
        for text in TEXTS.values():
            for ask in (router.ask, router.search, router.passage):
                try:
                    await ask(text, principal="user:ana")
                except (InvalidRequest, ModelUnavailable) as error:
                    said.append(error.public)

    assert len(said) >= len(TEXTS), "no text is the id of a passage"
    assert all(said)
