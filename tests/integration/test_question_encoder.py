"""The encoder that reads questions: packed in a byte a weight, stopped early, read at both ends."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from onnxruntime import InferenceSession

from backends.errors import Misconfigured, TimedOut, Unavailable
from backends.minilm import EarlyExitEncoder
from backends.minilm.encoder import open_session, open_tokenizer
from backends.minilm.exits import both_ends
from backends.minilm.graph import encoder_graph, lower_graph, upper_graph
from backends.minilm.packing import PackedEncoder, pack, unpack
from backends.minilm.weights import find_bundle
from backends.questions import Reading
from router.classify import shipped_encoder

QUESTION = "Which boots may I return, and how long do I have?"


def _never(_: Reading) -> bool:
    return False


def _always(_: Reading) -> bool:
    return True


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@asynccontextmanager
async def _encoder(
    models: Path, *, timeout_s: float = 30.0, max_waiting: int = 256
) -> AsyncIterator[EarlyExitEncoder]:
    async with EarlyExitEncoder.open(
        models, shipped_encoder(), timeout_s=timeout_s, max_waiting=max_waiting
    ) as encoder:
        yield encoder


async def test_whoever_asks_decides_how_deep_is_read(models: Path) -> None:
    exits = unpack(shipped_encoder()).exits
    async with _encoder(models) as encoder:
        shallow = await encoder.read(QUESTION, _always)
        deep = await encoder.read(QUESTION, _never)

    assert (shallow.layers, deep.layers) == (exits[0], exits[-1])
    assert shallow.tokens.shape == deep.tokens.shape
    assert not np.allclose(shallow.tokens, deep.tokens)


async def test_spans_say_where_each_token_stands(models: Path) -> None:
    async with _encoder(models) as encoder:
        reading = await encoder.read("Straße nach Köln?", _always)

    words = ["Straße nach Köln?"[start:end] for start, end in reading.spans if start != end]
    assert "".join(words) == "StraßenachKöln?"
    assert len(reading.spans) == len(reading.tokens)


async def test_the_same_question_is_read_the_same_beside_others(models: Path) -> None:
    async with _encoder(models) as encoder:
        alone = await encoder.read(QUESTION, _never)
        *_, beside = await asyncio.gather(
            *(encoder.read(f"{number} {QUESTION}", _never) for number in range(8)),
            encoder.read(QUESTION, _never),
        )

    np.testing.assert_array_equal(alone.tokens, beside.tokens)


@pytest.mark.parametrize("middle", ["word " * 60, "word " * 2_000, "x" * 50_000])
async def test_a_long_text_is_read_at_both_ends(models: Path, middle: str) -> None:
    text = f"Please summarise what follows. {middle} And make it rhyme."
    async with _encoder(models) as encoder:
        reading = await encoder.read(text, _always)

    packed = unpack(shipped_encoder())
    assert len(reading.tokens) <= packed.head + packed.tail + 3
    assert text[slice(*reading.spans[1])] == "Please"
    assert text[slice(*reading.spans[-3])] == "rhyme"


@pytest.mark.parametrize("text", ["", " ", "\x00", "🙂" * 300, "\u0301" * 4_000, "a" * 100_000])
async def test_any_text_can_be_read(models: Path, text: str) -> None:
    async with _encoder(models) as encoder:
        reading = await encoder.read(text, _never)

    assert np.isfinite(reading.tokens).all()


async def test_more_readings_than_may_wait_are_refused(models: Path) -> None:
    async with _encoder(models, max_waiting=1) as encoder:
        both = [encoder.read(QUESTION, _never) for _ in range(2)]
        results = await asyncio.gather(*both, return_exceptions=True)

    assert [type(result) for result in results] == [Reading, Unavailable]


async def test_a_reading_that_waits_too_long_is_given_up(models: Path) -> None:
    async with _encoder(models, timeout_s=0.0) as encoder:
        with pytest.raises(TimedOut, match="classifier was busy"):
            await encoder.read(QUESTION, _never)


def test_packing_keeps_weights_within_half_a_step_of_their_block() -> None:
    rng = np.random.default_rng(5)
    weight = rng.normal(size=(8, 64)).astype(np.float32)
    weight[0, :32] = 0
    bias = rng.normal(size=8).astype(np.float32)
    packed = unpack(pack(PackedEncoder({"a.weight": weight, "a.bias": bias}, (1,), 4, 2)))

    step = np.abs(weight.reshape(8, 2, 32)).max(axis=2).repeat(32, axis=1) / 127
    assert (np.abs(packed.weights["a.weight"] - weight) <= 0.6 * step + 1e-6).all()
    np.testing.assert_allclose(packed.weights["a.bias"], bias, atol=1e-3)
    assert (packed.exits, packed.head, packed.tail) == ((1,), 4, 2)


def test_packing_again_gives_the_same_bytes() -> None:
    assert pack(unpack(shipped_encoder())) == shipped_encoder()


@pytest.mark.parametrize("content", [b"", b"no safetensors", b"\x02\0\0\0\0\0\0\0{}"])
async def test_a_file_that_is_no_encoder_is_refused(models: Path, content: bytes) -> None:
    with pytest.raises(Misconfigured, match="encoder cannot be read"):
        async with EarlyExitEncoder.open(models, content):
            pass


async def test_an_encoder_that_lacks_a_layer_is_refused(tmp_path: Path) -> None:
    whole = unpack(shipped_encoder())
    weights = {name: part for name, part in whole.weights.items() if ".layer.5." not in name}
    packed = pack(PackedEncoder(weights, whole.exits, whole.head, whole.tail))

    with pytest.raises(Misconfigured, match=r"lacks .*layer\.5"):
        async with EarlyExitEncoder.open(tmp_path, packed):
            pass


def test_lower_and_upper_layers_in_a_row_are_the_whole_model(tmp_path: Path) -> None:
    bundle = find_bundle()
    weights = bundle.weights()
    ids = np.array([both_ends(open_tokenizer(bundle.tokenizer()), QUESTION, 48, 24)[0]], np.int64)

    def opened(graph: bytes) -> InferenceSession:
        path = tmp_path / f"{hashlib.sha256(graph).hexdigest()}.onnx"
        path.write_bytes(graph)
        return open_session(path, 1)

    whole = opened(encoder_graph(weights, "float32")).run(["tokens"], {"input_ids": ids})
    lower = opened(lower_graph(weights, "float32", range(4)))
    upper = opened(upper_graph(weights, "float32", range(4, 6)))
    hidden = lower.run(["tokens"], {"input_ids": ids})[0]

    np.testing.assert_allclose(upper.run(["tokens"], {"hidden": hidden})[0], whole[0], atol=1e-4)
