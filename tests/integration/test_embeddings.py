"""The HTTP embedder against a server on a loopback socket that misbehaves on request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiohttp import ClientSession, web

from backends.embeddings import HttpEmbedder
from backends.errors import Garbled, Misconfigured, Refused, TimedOut, Unavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def _serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/embeddings", handler)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/v1"
    finally:
        await runner.cleanup()


def _answering(payload: object, *, status: int = 200) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.json_response(payload, status=status)

    return handler


def _rows(*vectors: list[float]) -> dict[str, object]:
    return {"data": [{"index": i, "embedding": vector} for i, vector in enumerate(vectors)]}


async def _embed(handler: Handler, texts: list[str], *, dimension: int = 2) -> np.ndarray:
    async with _serving(handler) as url, HttpEmbedder.open(url, "m", dimension=dimension) as it:
        return await it.embed(texts)


async def test_vectors_are_brought_to_unit_length() -> None:
    vectors = await _embed(_answering(_rows([3.0, 4.0])), ["a"])

    assert vectors.tolist() == pytest.approx(np.array([[0.6, 0.8]]))


async def test_vectors_are_put_in_order_by_their_index() -> None:
    rows = {"data": [{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [1.0, 0.0]}]}

    assert (await _embed(_answering(rows), ["a", "b"])).tolist() == [[1.0, 0.0], [0.0, 1.0]]


async def test_an_unknown_dimension_is_asked_for_at_opening() -> None:
    async with (
        _serving(_answering(_rows([1.0, 0.0, 0.0]))) as url,
        HttpEmbedder.open(url, "m") as embedder,
    ):
        assert embedder.dimension == 3


async def test_requests_carry_no_more_texts_than_a_batch() -> None:
    sizes: list[int] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        texts = (await request.json())["input"]
        sizes.append(len(texts))
        return web.json_response(_rows(*[[1.0, 0.0]] * len(texts)))

    async with (
        _serving(handler) as url,
        HttpEmbedder.open(url, "m", dimension=2, batch_size=4) as embedder,
    ):
        await embedder.embed(["a"] * 10)

    assert sizes == [4, 4, 2]


async def test_the_key_is_sent_as_a_bearer_token() -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        return web.json_response(_rows([1.0, 0.0]))

    async with (
        _serving(handler) as url,
        HttpEmbedder.open(url, "m", dimension=2, api_key="s3cret") as embedder,
    ):
        await embedder.embed(["a"])

    assert seen == ["Bearer s3cret"]


async def test_a_long_text_is_cut_before_it_is_sent() -> None:
    lengths: list[int] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        lengths.append(len((await request.json())["input"][0]))
        return web.json_response(_rows([1.0, 0.0]))

    async with (
        _serving(handler) as url,
        HttpEmbedder.open(url, "m", dimension=2, max_tokens=12) as embedder,
    ):
        await embedder.embed(["x" * 1_000])

    assert lengths == [30]


async def test_a_shared_session_stays_open() -> None:
    async with _serving(_answering(_rows([1.0, 0.0]))) as url, ClientSession() as session:
        async with HttpEmbedder.open(url, "m", session=session, dimension=2) as embedder:
            await embedder.embed(["a"])

        assert not session.closed


async def test_a_server_that_is_not_there_is_unavailable(unused_port: int) -> None:
    async with HttpEmbedder.open(f"http://127.0.0.1:{unused_port}/v1", "m", dimension=2) as it:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await it.embed(["a"])


async def test_a_server_that_does_not_answer_in_time_times_out() -> None:
    released = asyncio.Event()

    async def handler(_: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with (
        _serving(handler) as url,
        HttpEmbedder.open(url, "m", dimension=2, timeout_s=0.05) as embedder,
    ):
        with pytest.raises(TimedOut, match=r"0\.05 s"):
            await embedder.embed(["a"])
        released.set()


async def test_cancelling_a_call_reaches_the_server() -> None:
    arrived, left = asyncio.Event(), asyncio.Event()

    async def handler(_: web.Request) -> web.StreamResponse:
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return web.Response()

    async with _serving(handler) as url, HttpEmbedder.open(url, "m", dimension=2) as embedder:
        call = asyncio.create_task(embedder.embed(["a"]))
        await arrived.wait()
        call.cancel()
        await asyncio.wait_for(left.wait(), 1)

    assert call.cancelled()


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_overloaded_or_failing_server_is_unavailable(status: int) -> None:
    with pytest.raises(Unavailable, match=str(status)):
        await _embed(_answering({}, status=status), ["a"])


@pytest.mark.parametrize("status", [302, 400, 401, 404])
async def test_a_request_that_it_will_not_serve_is_refused(status: int) -> None:
    with pytest.raises(Refused, match=str(status)) as refused:
        await _embed(_answering({}, status=status), ["a"])

    assert refused.value.status == status


async def test_a_refusal_passes_on_what_the_server_says() -> None:
    error = {"error": {"message": "maximum context length is 512 tokens"}}

    with pytest.raises(Refused, match="maximum context length"):
        await _embed(_answering(error, status=400), ["a"])


@pytest.mark.parametrize(
    "payload",
    [
        {},
        [],
        {"data": "none"},
        {"data": [{"index": 0}]},
        {"data": [{"index": 5, "embedding": [1.0, 0.0]}]},
        {"data": [{"index": 0, "embedding": "AAAA"}]},
        {"data": [{"index": 0, "embedding": [0.0, 0.0]}]},
        {"data": [{"index": 0, "embedding": [1.0, float("nan")]}]},
        {"data": [{"index": 0, "embedding": 1.0}]},
    ],
    ids=json.dumps,
)
async def test_an_answer_that_is_not_vectors_is_garbled(payload: object) -> None:
    with pytest.raises(Garbled):
        await _embed(_answering(payload), ["a"])


async def test_an_answer_that_is_not_json_is_garbled() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>")

    with pytest.raises(Garbled):
        await _embed(handler, ["a"])


async def test_an_answer_that_stops_in_the_middle_is_garbled() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"data": [')
        assert request.transport is not None
        request.transport.close()
        return response

    with pytest.raises(Garbled, match="middle"):
        await _embed(handler, ["a"])


async def test_vectors_of_another_length_are_a_misconfiguration() -> None:
    with pytest.raises(Misconfigured, match=r"length 2, expected 384"):
        await _embed(_answering(_rows([1.0, 0.0])), ["a"], dimension=384)


async def test_a_password_in_the_url_is_not_shown(unused_port: int) -> None:
    url = f"http://ana:hunter2@127.0.0.1:{unused_port}/v1"

    async with HttpEmbedder.open(url, "m", dimension=2) as embedder:
        with pytest.raises(Unavailable) as unavailable:
            await embedder.embed(["a"])

    assert "hunter2" not in str(unavailable.value)


async def test_the_estimate_of_tokens_is_not_below_one_for_each_ideograph() -> None:
    async with HttpEmbedder.open("http://127.0.0.1/v1", "m", dimension=2) as embedder:
        assert embedder.count_tokens("退货政策") >= 4


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
