"""What every embedder promises, held against the twin, MiniLM in process, and a server by HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from backends.base import Embedder, SpanEmbedder
from backends.embedding_cache import CachingEmbedder
from backends.embeddings import HttpEmbedder
from backends.memory.embedder import HashingEmbedder
from backends.minilm import MiniLmEmbedder

Opener = Callable[[], AbstractAsyncContextManager[Embedder]]

TEXTS = [
    "Which boots can be returned?",
    "Boots that were returned within thirty days",
    "The committee postponed the vote on the harbour tax.",
]


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@asynccontextmanager
async def _memory() -> AsyncIterator[Embedder]:
    yield HashingEmbedder()


@asynccontextmanager
async def _http() -> AsyncIterator[Embedder]:
    """A server on a loopback socket that answers with the twin's vectors, at no unit length."""
    twin = HashingEmbedder()

    async def embeddings(request: web.Request) -> web.Response:
        vectors = await twin.embed((await request.json())["input"])
        data = [{"index": row, "embedding": (3 * v).tolist()} for row, v in enumerate(vectors)]
        return web.json_response({"data": data, "model": twin.model})

    app = web.Application()
    app.router.add_post("/v1/embeddings", embeddings)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with HttpEmbedder.open(f"http://{host}:{port}/v1", "hashing") as embedder:
            yield embedder
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _cached() -> AsyncIterator[Embedder]:
    """Remembers so little that every test also sees it forget."""
    yield CachingEmbedder(HashingEmbedder(), max_texts=2)


@pytest.fixture(params=["memory", "minilm", "http", "cached"])
def opener(request: pytest.FixtureRequest, model_cache: Path) -> Opener:
    openers: dict[str, Opener] = {
        "memory": _memory,
        "http": _http,
        "cached": _cached,
        "minilm": lambda: MiniLmEmbedder.open(model_cache),
    }
    return openers[request.param]


async def test_one_vector_comes_back_for_each_text(opener: Opener) -> None:
    async with opener() as embedder:
        vectors = await embedder.embed(TEXTS)

        assert vectors.shape == (len(TEXTS), embedder.dimension)


async def test_vectors_are_of_single_precision(opener: Opener) -> None:
    async with opener() as embedder:
        assert (await embedder.embed(TEXTS)).dtype == np.float32


async def test_no_texts_give_no_vectors(opener: Opener) -> None:
    async with opener() as embedder:
        assert (await embedder.embed([])).shape == (0, embedder.dimension)


async def test_vectors_have_unit_length(opener: Opener) -> None:
    async with opener() as embedder:
        vectors = await embedder.embed([*TEXTS, "", "   ", "?", "long " * 2_000])

        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)


async def test_the_same_text_gives_the_same_vector(opener: Opener) -> None:
    async with opener() as embedder:
        assert np.array_equal(await embedder.embed(TEXTS), await embedder.embed(TEXTS))


async def test_vectors_come_back_in_the_order_of_the_texts(opener: Opener) -> None:
    async with opener() as embedder:
        forward = await embedder.embed(TEXTS)
        backward = await embedder.embed(TEXTS[::-1])

        assert np.allclose(forward, backward[::-1], atol=1e-6)


async def test_a_vector_does_not_depend_on_its_neighbours(opener: Opener) -> None:
    async with opener() as embedder:
        together = await embedder.embed([*TEXTS, "a much longer neighbour " * 50])
        alone = await embedder.embed([TEXTS[0]])

        assert np.allclose(together[0], alone[0], atol=1e-6)


async def test_texts_about_the_same_thing_lie_closer_together(opener: Opener) -> None:
    async with opener() as embedder:
        question, answer, stranger = await embedder.embed(TEXTS)

        assert question @ answer > question @ stranger + 0.1


async def test_a_call_larger_than_a_batch_keeps_every_text(opener: Opener) -> None:
    texts = [f"article {number} of the rules on parking" for number in range(300)]
    async with opener() as embedder:
        vectors = await embedder.embed(texts)

        assert np.allclose(vectors[-1:], await embedder.embed(texts[-1:]), atol=1e-6)


async def test_counting_goes_on_beyond_the_limit_of_tokens(opener: Opener) -> None:
    async with opener() as embedder:
        text = "word " * (2 * embedder.max_tokens)

        assert embedder.count_tokens(text) > embedder.max_tokens


async def test_a_longer_text_takes_more_tokens(opener: Opener) -> None:
    async with opener() as embedder:
        assert embedder.count_tokens(TEXTS[0]) < embedder.count_tokens(" ".join(TEXTS))


async def test_the_model_has_a_name(opener: Opener) -> None:
    async with opener() as embedder:
        assert embedder.model


async def test_spans_are_embedded_with_their_text(opener: Opener) -> None:
    async with opener() as embedder:
        if not isinstance(embedder, SpanEmbedder):
            pytest.skip("this one embeds whole texts only")
        texts = ["Boots may be returned. Curtains are made to measure.", "Hello.", ""]
        [(one, spans), (two, whole), (_, none)] = await embedder.embed_spans(
            texts, [[(0, 22), (23, 51)], [(0, 6)], []]
        )
        wanted = await embedder.embed([*texts[:2], "Are boots returned?"])
        assert np.allclose([one, two], wanted[:2], atol=1e-5)
        assert spans is not None
        assert spans.shape == (2, embedder.dimension)
        assert np.allclose(np.linalg.norm(spans, axis=1), 1, atol=1e-3)
        assert spans[0] @ wanted[2] > spans[1] @ wanted[2]
        assert whole is not None
        assert whole[0] @ two > 0.9
        assert none is not None
        assert none.shape == (0, embedder.dimension)
