"""What every reranker promises, held against the twin and a server by HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from backends.base import Reranker
from backends.errors import BackendError, Garbled, Refused, TimedOut, Unavailable
from backends.memory.reranker import OverlapReranker
from backends.rerank import HttpReranker
from backends.rerank.http import MAX_ANSWER_BYTES

Opener = Callable[[], AbstractAsyncContextManager[Reranker]]
Answering = Callable[[Mapping[str, Any]], Awaitable[web.StreamResponse]]

QUESTION = "How long may boots be returned?"
PASSAGES = [
    "The office closes at noon on Fridays.",
    "Boots may be returned within 45 days.",
    "Long boots are sold out.",
]


@dataclass
class RerankServer:
    """A server of the shared shape on a loopback socket, with what it was asked."""

    url: str = ""
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


@asynccontextmanager
async def rerank_server(answer: Answering | None = None) -> AsyncIterator[RerankServer]:
    server = RerankServer()

    async def rerank(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        server.asked.append(body)
        server.keys.append(request.headers.get("Authorization", ""))
        return await (answer or _well)(body)

    app = web.Application()
    app.router.add_post("/v1/rerank", rerank)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}/v1"
        yield server
    finally:
        await runner.cleanup()


async def _well(body: Mapping[str, Any]) -> web.StreamResponse:
    """The twin's scores, best first, as servers send them."""
    scores = await OverlapReranker().scores(body["query"], body["documents"])
    results: list[dict[str, Any]] = [
        {"index": index, "relevance_score": score, "document": {"text": body["documents"][index]}}
        for index, score in enumerate(scores)
    ]
    results.sort(key=lambda one: -one["relevance_score"])
    return web.json_response({"id": "rerank-1", "model": body["model"], "results": results})


@asynccontextmanager
async def _memory() -> AsyncIterator[Reranker]:
    yield OverlapReranker()


@asynccontextmanager
async def _http() -> AsyncIterator[Reranker]:
    async with rerank_server() as server, HttpReranker.open(server.url, "cross") as reranker:
        yield reranker


@pytest.fixture(params=["memory", "http"])
def opener(request: pytest.FixtureRequest) -> Opener:
    return {"memory": _memory, "http": _http}[request.param]


async def test_each_passage_gets_a_score_between_0_and_1(opener: Opener) -> None:
    async with opener() as reranker:
        scores = await reranker.scores(QUESTION, PASSAGES)

        assert len(scores) == len(PASSAGES)
        assert all(0.0 <= score <= 1.0 for score in scores)


async def test_the_passage_that_answers_scores_highest(opener: Opener) -> None:
    async with opener() as reranker:
        scores = await reranker.scores(QUESTION, PASSAGES)

        assert max(scores) == scores[1]


async def test_scores_come_back_in_the_order_of_the_passages(opener: Opener) -> None:
    async with opener() as reranker:
        forward = await reranker.scores(QUESTION, PASSAGES)
        backward = await reranker.scores(QUESTION, PASSAGES[::-1])

        assert list(forward) == list(backward)[::-1]


async def test_a_score_does_not_depend_on_the_other_passages(opener: Opener) -> None:
    async with opener() as reranker:
        together = await reranker.scores(QUESTION, PASSAGES)
        alone = await reranker.scores(QUESTION, PASSAGES[1:2])

        assert together[1] == alone[0]


async def test_no_passages_have_no_scores(opener: Opener) -> None:
    async with opener() as reranker:
        assert list(await reranker.scores(QUESTION, [])) == []


@pytest.mark.parametrize(
    "question", ["", " ", "\x00", "\ud800", "旅費はいくらですか", "كم يوما؟", "boots " * 20_000]
)
async def test_any_question_can_be_asked(opener: Opener, question: str) -> None:
    async with opener() as reranker:
        assert len(await reranker.scores(question, [*PASSAGES, "\udfff"])) == 4


async def test_the_model_has_a_name(opener: Opener) -> None:
    async with opener() as reranker:
        assert reranker.model


async def test_the_server_is_asked_for_every_passage_with_its_key() -> None:
    async with (
        rerank_server() as server,
        HttpReranker.open(server.url, "cross", api_key="secret") as reranker,
    ):
        await reranker.scores(QUESTION, PASSAGES)

    expected = {"model": "cross", "query": QUESTION, "documents": PASSAGES, "top_n": 3}
    assert server.asked == [expected]
    assert server.keys == ["Bearer secret"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (401, Refused),
        (404, Refused),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (302, Refused),
    ],
)
async def test_a_refusal_is_told_apart_from_a_server_that_is_down(
    status: int, kind: type[BackendError]
) -> None:
    async def refuse(body: Mapping[str, Any]) -> web.StreamResponse:
        return web.Response(status=status, text=body["documents"][0], headers={"Location": "/x"})

    async with rerank_server(refuse) as server, HttpReranker.open(server.url, "cross") as reranker:
        with pytest.raises(kind) as raised:
            await reranker.scores(QUESTION, PASSAGES)

    assert str(status) in str(raised.value)
    assert raised.value.backend == "reranker"
    assert PASSAGES[0] not in str(raised.value)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "not json",
        '{"results": null}',
        '{"results": [{"index": 0, "relevance_score": 0.5}]}',
        '{"results": [{"index": 0}, {"index": 1}, {"index": 2}]}',
        json.dumps({"results": [{"index": i, "relevance_score": 3.5} for i in range(3)]}),
        json.dumps({"results": [{"index": i, "relevance_score": -0.1} for i in range(3)]}),
        json.dumps({"results": [{"index": i, "relevance_score": float("nan")} for i in range(3)]}),
        '{"results": [{"index": 1e999, "relevance_score": 0.5}]}',
        "[" * 100_000,
    ],
)
async def test_an_answer_that_is_not_one_score_a_passage_is_said_to_be_garbled(body: str) -> None:
    async def garble(_: Mapping[str, Any]) -> web.StreamResponse:
        return web.Response(text=body, content_type="application/json")

    async with rerank_server(garble) as server, HttpReranker.open(server.url, "cross") as reranker:
        with pytest.raises(Garbled, match="reran"):
            await reranker.scores(QUESTION, PASSAGES)


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    sent = 0

    async def go_on(request: Mapping[str, Any]) -> web.StreamResponse:
        async def pieces() -> AsyncIterator[bytes]:
            nonlocal sent
            while sent < 8 * MAX_ANSWER_BYTES:
                sent += 1 << 16
                yield b" " * (1 << 16)

        return web.Response(body=pieces())

    async with rerank_server(go_on) as server, HttpReranker.open(server.url, "cross") as reranker:
        with pytest.raises(Garbled, match=f"more than {MAX_ANSWER_BYTES} bytes"):
            await reranker.scores(QUESTION, PASSAGES)

    assert sent < 8 * MAX_ANSWER_BYTES


async def test_a_key_that_is_no_header_is_told_and_not_shown() -> None:
    async with (
        rerank_server() as server,
        HttpReranker.open(server.url, "cross", api_key="secret\r\nX: y") as reranker,
    ):
        with pytest.raises(Refused, match="header") as raised:
            await reranker.scores(QUESTION, PASSAGES)

    assert "secret" not in str(raised.value)


async def test_a_server_that_does_not_answer_in_time_is_given_up() -> None:
    released = asyncio.Event()

    async def wait(_: Mapping[str, Any]) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with (
        rerank_server(wait) as server,
        HttpReranker.open(server.url, "cross", timeout_s=0.05) as reranker,
    ):
        with pytest.raises(TimedOut, match=r"within 0\.05 s"):
            await reranker.scores(QUESTION, PASSAGES)
        released.set()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with rerank_server() as server:
        gone = server.url
    async with HttpReranker.open(gone, "cross") as reranker:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await reranker.scores(QUESTION, PASSAGES)


async def test_a_cancelled_call_ends_at_once() -> None:
    asked, released = asyncio.Event(), asyncio.Event()

    async def wait(_: Mapping[str, Any]) -> web.StreamResponse:
        asked.set()
        await released.wait()
        return web.Response()

    async with (
        rerank_server(wait) as server,
        HttpReranker.open(server.url, "cross", timeout_s=30) as reranker,
    ):
        call = asyncio.create_task(_scores(reranker))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        released.set()


async def _scores(reranker: Reranker) -> None:
    await reranker.scores(QUESTION, PASSAGES)
