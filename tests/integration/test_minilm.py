"""The embedder in process: the graph is right, the cache is safe, the loop stays free."""

from __future__ import annotations

import asyncio
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.errors import Misconfigured, TimedOut, Unavailable
from backends.minilm import MiniLmEmbedder
from backends.minilm.cache import built_model
from backends.minilm.encoder import bundled, from_folder
from backends.minilm.graph import encoder_graph
from backends.minilm.weights import Bundle, find_bundle

if TYPE_CHECKING:
    from backends.base import Vectors

PAIRS = [
    ("How do I reset my password?", "I forgot my password, how can I get a new one?"),
    ("When does the museum open?", "What are the opening hours of the museum?"),
    ("The invoice is overdue.", "The bill was not paid in time."),
    ("Can I bring my dog?", "Are pets allowed?"),
]
SENTENCES = [
    *(sentence for pair in PAIRS for sentence in pair),
    "Write a short poem about rain on a tin roof.",
    "Employees accrue leave on the first day of each month, up to a limit of thirty days. " * 6,
    "Rewrite this politely: send me the file now",
    "What is the capital of Portugal?",
    "Thanks, that helped a lot!",
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    built_model(find_bundle(), folder)
    return folder


@pytest.fixture(scope="module")
def float32_vectors(tmp_path_factory: pytest.TempPathFactory) -> Vectors:
    bundle = find_bundle()
    folder = tmp_path_factory.mktemp("float32")
    _write_model_folder(folder, encoder_graph(bundle.weights(), "float32"), bundle.tokenizer())
    return from_folder(folder, threads=1).encode(SENTENCES)


def _write_model_folder(folder: Path, graph: bytes, tokenizer: str) -> None:
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(graph)
    (folder / "tokenizer.json").write_text(tokenizer)
    (folder / "config.json").write_text(json.dumps({"_name_or_path": "somebody/a-model"}))


def _model_file(folder: Path) -> Path:
    return next(folder.glob("*.onnx"))


def test_paraphrases_lie_closer_than_any_other_pair(float32_vectors: Vectors) -> None:
    cosines = float32_vectors @ float32_vectors.T
    np.fill_diagonal(cosines, -1)

    assert [int(row.argmax()) for row in cosines[:8]] == [1, 0, 3, 2, 5, 4, 7, 6]


async def test_int8_stays_close_to_single_precision(cache: Path, float32_vectors: Vectors) -> None:
    async with MiniLmEmbedder.open(cache) as embedder:
        cosines = (await embedder.embed(SENTENCES) * float32_vectors).sum(axis=1)

    assert cosines.min() >= 0.97


async def test_a_text_is_cut_at_256_tokens(cache: Path) -> None:
    async with MiniLmEmbedder.open(cache) as embedder:
        short, long = await embedder.embed(["word " * 254, "word " * 900])

    assert np.array_equal(short, long)


async def test_tokens_are_those_of_the_models_own_tokenizer(cache: Path) -> None:
    async with MiniLmEmbedder.open(cache) as embedder:
        assert embedder.count_tokens("Unaffordable boots?") == len(
            ["[CLS]", "una", "##ff", "##ord", "##able", "boots", "?", "[SEP]"]
        )


def test_building_twice_gives_the_same_bytes() -> None:
    weights = find_bundle().weights()

    assert encoder_graph(weights, "int8") == encoder_graph(weights, "int8")


def test_an_intact_model_in_the_cache_is_not_built_again(cache: Path) -> None:
    before = _model_file(cache).stat().st_mtime_ns

    built_model(find_bundle(), cache)

    assert _model_file(cache).stat().st_mtime_ns == before


def test_a_damaged_model_in_the_cache_is_built_again(tmp_path: Path) -> None:
    model = built_model(find_bundle(), tmp_path).read_bytes()
    _model_file(tmp_path).write_bytes(model[:-1])

    built_model(find_bundle(), tmp_path)

    assert _model_file(tmp_path).read_bytes() == model


def test_two_builders_at_once_leave_one_intact_model(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda folder: built_model(find_bundle(), folder), [tmp_path] * 2)

    assert first == second == _model_file(tmp_path)
    assert first.read_bytes() == encoder_graph(find_bundle().weights(), "int8")


def test_a_finished_build_leaves_only_the_model_and_its_checksum(cache: Path) -> None:
    recorded = next(cache.glob("*.sha256")).read_text()

    assert {path.suffix for path in cache.iterdir()} == {".onnx", ".sha256"}
    assert recorded == hashlib.sha256(_model_file(cache).read_bytes()).hexdigest()


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    occupied = tmp_path / "models"
    occupied.write_text("a file where a folder should be")

    with pytest.raises(Misconfigured, match="models"):
        built_model(find_bundle(), occupied)


def test_weights_that_are_not_the_published_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")

    with pytest.raises(Misconfigured, match=r"model\.safetensors.*SHA-256"):
        Bundle(tmp_path).weights()


async def test_another_model_folder_can_be_used(tmp_path: Path, float32_vectors: Vectors) -> None:
    bundle = find_bundle()
    _write_model_folder(tmp_path, encoder_graph(bundle.weights(), "float32"), bundle.tokenizer())

    async with MiniLmEmbedder.open(tmp_path / "unused", tmp_path) as embedder:
        vectors = await embedder.embed(SENTENCES)

        assert (embedder.model, np.allclose(vectors, float32_vectors)) == ("a-model", True)


async def test_a_model_folder_without_a_graph_says_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text(find_bundle().tokenizer())

    with pytest.raises(Misconfigured, match=r"onnx/model\.onnx"):
        async with MiniLmEmbedder.open(tmp_path, tmp_path):
            pass


async def test_the_loop_runs_while_a_text_is_embedded(cache: Path) -> None:
    async with MiniLmEmbedder.open(cache) as embedder:
        embedding = asyncio.create_task(embedder.embed(["word " * 300] * 8))
        turns_of_the_loop = 0
        while not embedding.done():
            await asyncio.sleep(0.001)
            turns_of_the_loop += 1

    assert turns_of_the_loop > 20


async def test_a_question_overtakes_a_long_ingestion(cache: Path) -> None:
    async with MiniLmEmbedder.open(cache) as embedder:
        ingestion = asyncio.create_task(embedder.embed(["word " * 300] * 100))
        await asyncio.sleep(0)
        await embedder.embed(["When do you open?"])

        assert not ingestion.done()
        ingestion.cancel()


async def test_a_cancelled_call_frees_its_place(cache: Path) -> None:
    async with MiniLmEmbedder.open(cache, max_waiting=1) as embedder:
        cancelled = asyncio.create_task(embedder.embed(["word " * 300] * 100))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)

        assert (await embedder.embed(["When do you open?"])).shape == (1, 384)


async def test_more_waiting_calls_than_allowed_are_turned_away(cache: Path) -> None:
    async with MiniLmEmbedder.open(cache, max_waiting=2) as embedder:
        calls = [embedder.embed(["When do you open?"]) for _ in range(3)]
        results = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(result) for result in results].count(Unavailable) == 1


async def test_a_call_that_waits_too_long_times_out(cache: Path) -> None:
    async with MiniLmEmbedder.open(cache, timeout_s=0.0001) as embedder:
        with pytest.raises(TimedOut, match="busy"):
            await embedder.embed(["word " * 300])


async def test_vectors_come_in_the_order_of_the_texts_however_many_workers(cache: Path) -> None:
    texts = [f"{word} " * length for length in (300, 1, 120) for word in ("boots", "rain", "dog")]
    async with MiniLmEmbedder.open(cache, workers=3) as embedder:
        together = await embedder.embed(texts)
        alone = [(await embedder.embed([text]))[0] for text in texts]

    assert np.array_equal(together, np.stack(alone))


def test_a_span_is_embedded_by_its_own_tokens_from_one_pass(tmp_path: Path) -> None:
    encoder = bundled(tmp_path, threads=1)
    text = "The library is closed on Mondays. Dogs are allowed on a lead."

    whole, spans = encoder.encode_spans(text, [(0, 33), (34, len(text)), (0, len(text))])

    assert spans is not None
    np.testing.assert_array_equal(whole, encoder.encode([text])[0])
    asked = encoder.encode(["May I bring my dog?"])[0]
    assert asked @ spans[1] > asked @ whole > asked @ spans[0]
    np.testing.assert_allclose(np.linalg.norm(spans, axis=1), 1.0, atol=1e-5)


def test_a_span_that_the_model_does_not_reach_gets_the_vector_of_the_text(tmp_path: Path) -> None:
    encoder = bundled(tmp_path, threads=1)
    text = "boots " * 400

    whole, spans = encoder.encode_spans(text, [(len(text) - 6, len(text)), (3, 3)])

    assert spans is not None
    np.testing.assert_array_equal(spans, np.stack([whole, whole]))
