"""The classifier that ships: right on what is obvious, explainable, and tied to its embedder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import Misconfigured
from backends.minilm import MiniLmEmbedder
from router.classify import (
    Heads,
    HeadsClassifier,
    InvalidHeads,
    shipped_heads,
    shipped_policy,
)
from router.classify.features import feature_names, ngram_features, surface_features
from router.policy import Route

if TYPE_CHECKING:
    from numpy.typing import NDArray

F, B, H = Route.FACTUAL, Route.BEHAVIOURAL, Route.HYBRID
OBVIOUS = [
    (B, "Hi"),
    (B, "Hello, how are you?"),
    (B, "Thanks!"),
    (B, "Thank you, that was helpful."),
    (B, "Good morning"),
    (B, "Bye"),
    (F, "What is our returns policy?"),
    (F, "How many days of annual leave do I get in Germany?"),
    (F, "Can I expense a taxi to the airport?"),
    (F, "List the countries we ship to"),
    (F, "Who approves purchases above 5,000 euros?"),
    (F, "when is the next payday"),
    (F, "What is the capital of Australia?"),
    (F, "How do I reset my VPN password?"),
    (F, "Is breakfast included in the room rate?"),
    (F, "Tell me the warranty period of the dishwasher."),
    (F, "My card was stolen, what do I do?"),
    (B, "Rewrite this in a friendly tone: Your payment is late and we will close the account."),
    (B, "How would a pirate say hello?"),
    (B, "Write a haiku about the sea."),
    (B, "Translate into Spanish: The shop is closed today."),
    (B, "Summarise the following text: The bus was late, and nobody had told the passengers."),
    (B, "Write a Python function that adds two numbers."),
    (B, "Give me five names for a coffee bar."),
    (B, "What would a pirate say about Mondays?"),
    (B, "Act as a strict teacher and scold me."),
    (B, "Correct the spelling: I has recieved you're letter"),
    (H, "Write a friendly reply to a customer asking how long they may return boots"),
    (H, "Write our customer the current return policy in a warm tone"),
    (H, "Explain our travel policy like I'm five"),
    (H, "Answer as a pirate: what are your opening hours?"),
    (H, "Give me our shipping costs as a table"),
    (H, "Explain how vaccines work to a five-year-old"),
    (H, "Write a tweet with our new opening hours"),
]


@pytest.fixture(scope="module")
def heads() -> Heads:
    return shipped_heads()


@pytest.fixture(scope="module")
def vector(heads: Heads) -> NDArray[np.float32]:
    direction = np.random.default_rng(1).normal(size=heads.embedding.shape[1])
    return np.asarray(direction / np.linalg.norm(direction), np.float32)


async def test_obvious_questions_go_where_they_should(
    heads: Heads, tmp_path_factory: pytest.TempPathFactory
) -> None:
    policy = shipped_policy()
    models: Path = tmp_path_factory.mktemp("models")
    async with MiniLmEmbedder.open(models) as embedder:
        classifier = HeadsClassifier(heads, embedder.model)
        embeddings = await embedder.embed([question for _, question in OBVIOUS])
        wrong = []
        for (route, question), embedding in zip(OBVIOUS, embeddings, strict=True):
            scores = await classifier.classify(question, embedding)
            decision = policy.decide(scores.needs_facts, scores.needs_manner)
            if decision.route is not route:
                wrong.append((question, decision.route, decision.reason))

    assert wrong == []


def test_the_shipped_policy_belongs_to_the_shipped_heads(heads: Heads) -> None:
    assert shipped_policy().heads == heads.fingerprint


def test_an_embedder_of_another_model_is_refused(heads: Heads) -> None:
    with pytest.raises(Misconfigured, match="fitted on all-MiniLM-L6-v2, but BAAI/bge-small"):
        HeadsClassifier(heads, "BAAI/bge-small")


def test_the_same_model_under_its_long_name_is_accepted(heads: Heads) -> None:
    HeadsClassifier(heads, "sentence-transformers/all-MiniLM-L6-v2")


def test_vectors_of_another_length_are_refused(heads: Heads) -> None:
    with pytest.raises(InvalidHeads, match="384"):
        heads.score(np.ones(8, np.float32), {})


@given(text=st.text(max_size=3_000))
def test_any_text_gets_two_probabilities(text: str) -> None:
    heads = Heads.build(
        "none",
        feature_names(),
        embedding=np.zeros((2, 2), np.float32),
        surface=np.ones((2, len(feature_names())), np.float32),
        ngrams=np.ones((2, 64), np.float32),
        calibration=np.ones((2, 2), np.float32),
    )
    scores = heads.score(np.array([1.0, 0.0], np.float32), heads.features(text))

    assert 0 <= scores.needs_facts <= 1
    assert 0 <= scores.needs_manner <= 1


def test_recorded_features_give_the_same_scores_again(
    heads: Heads, vector: NDArray[np.float32]
) -> None:
    scores = heads.score(vector, heads.features("Which boots can I return, and how?"))

    assert heads.score(vector, scores.features) == scores


def test_heads_that_were_written_read_back_the_same(heads: Heads) -> None:
    assert Heads.load(heads.dump()).fingerprint == heads.fingerprint


def test_writing_the_same_heads_gives_the_same_bytes(heads: Heads) -> None:
    assert heads.dump() == Heads.load(heads.dump()).dump()


@pytest.mark.parametrize("content", [b"", b"no safetensors at all", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_file_that_is_no_heads_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidHeads):
        Heads.load(content)


def test_heads_over_unknown_features_are_refused(heads: Heads) -> None:
    other = Heads.build(
        heads.model,
        ("shoe_size",),
        embedding=heads.embedding,
        surface=heads.surface[:, :1],
        ngrams=heads.ngrams,
        calibration=heads.calibration,
    )

    with pytest.raises(InvalidHeads, match="shoe_size"):
        Heads.load(other.dump())


def test_scoring_a_question_takes_well_under_a_millisecond(
    heads: Heads, vector: NDArray[np.float32]
) -> None:
    question = "How many days of annual leave do I get in Germany?"
    durations = []
    for _ in range(50):
        start = time.perf_counter()
        heads.score(vector, heads.features(question))
        durations.append(time.perf_counter() - start)

    assert min(durations) < 0.0005


def test_every_text_has_the_same_features_in_the_same_order() -> None:
    assert tuple(surface_features('Rewrite: "It is late."\n\nThanks!')) == feature_names()


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        ("starts_wh", "Hello, could you please tell me: where do I park?"),
        ("starts_create", "please write me a poem"),
        ("starts_transform", "Kindly rephrase what I said"),
        ("starts_role", "You are a pirate."),
        ("greets", "good evening"),
        ("thanks", "ok, thanks a lot"),
        ("supplied", "Make this nicer: send me all of the files right now"),
        ("code_marks", "```\nreturn 1\n```"),
        ("limit", "Tell me in exactly three short sentences"),
        ("audience", "Explain it to a five-year-old"),
        ("language", "now in French"),
        ("would_say", "What would a pirate say?"),
        ("asks_plainly", "When do you open?"),
        ("asks_shaped", "When do you open? Answer in a friendly tone."),
    ],
)
def test_a_feature_sees_what_its_name_says(feature: str, text: str) -> None:
    assert surface_features(text)[feature] > 0


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        ("would_say", "What would you recommend?"),
        ("asks_plainly", "Write a poem. Do you like it?"),
        ("supplied", "Opening hours: Sunday"),
        ("greets", "history of the harbour"),
    ],
)
def test_a_feature_does_not_see_what_is_not_there(feature: str, text: str) -> None:
    assert surface_features(text)[feature] == 0


def test_hashed_words_are_of_unit_length() -> None:
    values = ngram_features("which boots may I return", 4_096).values()

    assert sum(value * value for value in values) == pytest.approx(1)


def test_the_middle_of_a_long_text_is_read_by_its_length_alone() -> None:
    start, middle, end = "Summarise this. " * 50, "pirate " * 500, "the last words " * 20

    assert surface_features(start + middle + end) == surface_features(
        start + middle.replace("pirate", "sailor") + end
    )
