"""The wiring: what the settings name is what answers."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from backends.ingest import ingest_bytes
from backends.memory.embedder import HashingEmbedder
from backends.principals import parse_principals
from router import Policy, Router, Settings, SettingsError
from router.probe import SUPPORT, Probe
from tests.support.server import served_router

RETURNS = b"Unworn boots may be returned within 45 days of delivery for a full refund."
QUESTION = "How long may unworn boots be returned?"


@asynccontextmanager
async def embeddings_server(dimension: int) -> AsyncIterator[str]:
    """A server of OpenAI's embeddings API whose model nobody has fitted a classifier on."""
    twin = HashingEmbedder(dimension)

    async def embeddings(request: web.Request) -> web.Response:
        vectors = await twin.embed((await request.json())["input"])
        data = [{"index": row, "embedding": v.tolist()} for row, v in enumerate(vectors)]
        return web.json_response({"data": data, "model": "hashing"})

    async with served({"/v1/embeddings": embeddings}) as url:
        yield url


@asynccontextmanager
async def served(
    paths: Mapping[str, Callable[[web.Request], Awaitable[web.Response]]],
) -> AsyncIterator[str]:
    """A server on a free loopback port that takes POSTs at these paths."""
    app = web.Application()
    for path, handler in paths.items():
        app.router.add_post(path, handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def test_documents_may_be_embedded_by_a_model_that_the_classifier_does_not_know(
    database_url: str, tmp_path: Path
) -> None:
    async with embeddings_server(64) as url:
        settings = Settings(
            home=tmp_path,
            database_url=SecretStr(database_url),
            embeddings_url=url,
            embeddings_model="hashing",
        )
        async with Router.open(settings) as router:
            await ingest_bytes(
                "returns.txt",
                RETURNS,
                store=router.documents,
                embedder=router.embedder,
                acl=parse_principals("everyone"),
            )
            answer = await router.ask(QUESTION, principal="user:ana")

    assert router.embedder.dimension == 64
    assert answer.decision.route == "factual"
    assert "45 days" in answer.text


async def test_a_policy_for_other_heads_is_refused_before_anything_starts(tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(Policy(heads="0123456789abcdef").to_json(), encoding="utf-8")
    settings = Settings(home=tmp_path / "home", policy=policy)

    with pytest.raises(SettingsError, match="0123456789abcdef"):
        async with Router.open(settings):
            pass

    assert not (tmp_path / "home").exists()


async def test_a_policy_file_decides_instead_of_the_one_that_ships(
    database_url: str, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(Policy(version=7, facts_threshold=1.0).to_json(), encoding="utf-8")
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url), policy=policy)

    async with Router.open(settings) as router:
        decision = await router.decide(QUESTION, principal="user:ana")

    assert decision.policy == "policy-7"
    assert decision.route == "behavioural"


async def test_doubt_about_facts_is_settled_by_what_the_documents_hold(
    database_url: str, tmp_path: Path
) -> None:
    always = Policy(uncertain_band=1.0, probe=Probe(weight=1.0, centre=0.0))
    policy = tmp_path / "policy.json"
    policy.write_text(always.to_json(), encoding="utf-8")
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url), policy=policy)

    async with Router.open(settings) as router:
        before = await router.decide(QUESTION, principal="user:ana")
        await ingest_bytes(
            "returns.txt",
            RETURNS,
            store=router.documents,
            embedder=router.embedder,
            acl=parse_principals("everyone"),
        )
        held = await router.decide(QUESTION, principal="user:ana")
        other = await router.decide("Say hello like a pirate", principal="user:ana")

    assert SUPPORT not in before.features
    assert held.features[SUPPORT] > 0.5 > other.features[SUPPORT]
    assert held.needs_facts > before.needs_facts


def test_a_synchronous_program_opens_a_router_without_asyncio(
    database_url: str, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url))

    with Router.open(settings) as router:
        said = router.as_runnable().invoke({"question": QUESTION, "principal": "user:ana"})

    assert said.response_metadata["abstained"]


async def test_a_rerank_server_orders_what_a_search_found(
    database_url: str, tmp_path: Path
) -> None:
    asked: list[dict[str, Any]] = []

    async def last_first(request: web.Request) -> web.Response:
        asked.append(await request.json())
        scores = [at / 10 for at in range(len(asked[-1]["documents"]))]
        results = [{"index": at, "relevance_score": score} for at, score in enumerate(scores)]
        return web.json_response({"results": results})

    async with served({"/v1/rerank": last_first}) as url:
        settings = Settings(home=tmp_path, database_url=SecretStr(database_url))
        ranked = settings.model_copy(update={"rerank_url": f"{url}/v1", "rerank_model": "cross"})
        async with Router.open(settings) as plain, Router.open(ranked) as router:
            for name, text in (("boots", RETURNS), ("hats", b"Hats may not be returned.")):
                await ingest_bytes(
                    f"{name}.txt",
                    text,
                    store=router.documents,
                    embedder=router.embedder,
                    acl=parse_principals("everyone"),
                )
            before = await plain.search(QUESTION, principal="user:ana")
            after = await router.search(QUESTION, principal="user:ana")

    assert asked[0]["model"] == "cross"
    assert [hit.passage.id for hit in after.passages] == [
        hit.passage.id for hit in reversed(before.passages)
    ]


async def test_questions_are_answered_while_the_rerank_server_is_down(
    database_url: str, tmp_path: Path
) -> None:
    async with served({}) as url:
        gone = f"{url}/v1"
    settings = Settings(
        home=tmp_path,
        database_url=SecretStr(database_url),
        rerank_url=gone,
        rerank_model="cross",
    )
    async with Router.open(settings) as router:
        await ingest_bytes(
            "returns.txt",
            RETURNS,
            store=router.documents,
            embedder=router.embedder,
            acl=parse_principals("everyone"),
        )
        answer = await router.ask(QUESTION, principal="user:ana")

    assert "45 days" in answer.text


async def test_two_routers_that_judge_for_each_other_ask_once(
    database_url: str, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(Policy(uncertain_band=1.0).to_json(), encoding="utf-8")
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url), policy=policy)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]

    async with (
        Router.open(judged_by(settings, port)) as other,
        served_router(other, api_keys=("secret",)) as (other_port, _, asked),
        Router.open(judged_by(settings, other_port, "secret")) as router,
        served_router(router, port=port) as (_, _, asked_back),
    ):
        decision = await router.decide("Say hello like a pirate")

    assert (decision.decided_by, decision.route) == ("judge", "behavioural")
    assert decision.reason.startswith("the judge: needs manner; before: ")
    assert asked.getvalue().count("/v1/decisions") == 1
    assert "/v1/decisions" not in asked_back.getvalue()


def judged_by(settings: Settings, port: int, key: str = "none") -> Settings:
    judge = {"judge_url": f"http://127.0.0.1:{port}/v1", "judge_api_key": SecretStr(key)}
    return settings.model_copy(update=judge)


async def test_a_judge_that_is_down_leaves_the_decision_to_the_classifier(
    database_url: str, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(Policy(uncertain_band=1.0).to_json(), encoding="utf-8")
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url), policy=policy)

    async with Router.open(judged_by(settings, 1)) as router:
        decision = await router.decide(QUESTION)

    assert (decision.decided_by, decision.route) == ("classifier", "factual")
