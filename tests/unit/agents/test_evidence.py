"""Evidence: what is left out, what is enough, and what is said when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agents.base import Task
from agents.evidence import CANDIDATES, EvidenceFinder, abstention, current, reformulated
from backends.base import (
    DocumentId,
    Message,
    NewDocument,
    NewPassage,
    Passage,
    PassageId,
    Reranker,
    ScoredPassage,
    SearchQuery,
)
from backends.errors import Unavailable
from backends.memory.embedder import HashingEmbedder
from backends.memory.store import MemoryStore
from backends.principals import EVERYONE, NOBODY, Principals, asker, parse_principals
from backends.sentences import statements
from backends.spans import PassageSentences

if TYPE_CHECKING:
    from backends.base import Vectors

ANA = asker("user:ana")
BODY = "Boots may be returned within 45 days. The shop opens at nine."


def found(title: str, *, superseded_by: str = "") -> ScoredPassage:
    passage = Passage(
        id=PassageId(title),
        document_id=DocumentId(title),
        title=title,
        source=title,
        version=1,
        ordinal=0,
        start=0,
        end=len(BODY),
        text=BODY,
    )
    return ScoredPassage(passage, 1.0, 0.5, 2.0, superseded_by)


def task(question: str, principals: Principals = ANA) -> Task:
    return Task(question, (Message("user", question),), principals)


class Counting(HashingEmbedder):
    """Remembers what it was asked to embed."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts.extend(texts)
        return await super().embed(texts)


class WithSentences:
    """A store that has kept the vectors of its sentences."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def search(self, query: SearchQuery) -> Sequence[ScoredPassage]:
        embedder = HashingEmbedder()
        whole = []
        for hit in await self._store.search(query):
            spans = statements(hit.passage.text)
            texts = [hit.passage.title, *(hit.passage.text[start:end] for start, end in spans)]
            vectors = await embedder.embed(texts)
            whole.append(
                replace(hit, sentences=PassageSentences(embedder.model, tuple(spans), vectors))
            )
        return whole


class Noting:
    """Notes how many passages a store is asked for."""

    def __init__(self, store: MemoryStore, asked: list[int]) -> None:
        self._store = store
        self._asked = asked

    async def search(self, query: SearchQuery) -> Sequence[ScoredPassage]:
        self._asked.append(query.limit)
        return await self._store.search(query)


class Prefers:
    """A reranker that likes passages with a word in them."""

    def __init__(self, word: str, score: float = 0.9) -> None:
        self._word = word
        self._score = score

    @property
    def model(self) -> str:
        return "prefers"

    async def scores(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        return [self._score if self._word.lower() in text.lower() else 0.0 for text in passages]


class Down:
    """A reranker whose server is away."""

    @property
    def model(self) -> str:
        return "down"

    async def scores(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        raise Unavailable("The reranker is away.", backend="reranker")


async def publish(store: MemoryStore, embedder: HashingEmbedder, title: str) -> None:
    document = NewDocument(
        title.lower(), title, BODY, "text/plain", "f", parse_principals("everyone")
    )
    await store.publish(document, [NewPassage(0, len(BODY), BODY)], await embedder.embed([BODY]))


async def finder(*, min_support: float = 0.3, reranker: Reranker | None = None) -> EvidenceFinder:
    store, embedder = MemoryStore(), HashingEmbedder()
    await publish(store, embedder, "Returns")
    return EvidenceFinder(
        store, embedder, embedder, min_support=min_support, limit=4, reranker=reranker
    )


async def test_evidence_with_a_sentence_close_to_the_question_is_enough() -> None:
    evidence = await (await finder()).find(task("When may boots be returned?"), hybrid=False)

    assert evidence.sufficient
    assert evidence.support > 0.5


async def test_evidence_without_such_a_sentence_is_not_enough() -> None:
    evidence = await (await finder()).find(task("Who painted the ceiling?"), hybrid=False)

    assert not evidence.sufficient


async def test_sentences_that_the_store_brings_along_are_not_embedded_again() -> None:
    store, embedder = MemoryStore(), Counting()
    for name in ("Returns", "Opening"):
        await publish(store, embedder, name)
    embedder.texts.clear()
    finder = EvidenceFinder(WithSentences(store), embedder, embedder, min_support=0.3, limit=4)

    evidence = await finder.find(task("When may boots be returned?"), hybrid=False)

    assert evidence.sufficient
    assert set(embedder.texts) == {"When may boots be returned?"}


async def test_more_is_looked_through_than_an_answer_may_rest_on() -> None:
    store, embedder = MemoryStore(), HashingEmbedder()
    for number in range(6):
        await publish(store, embedder, f"Returns {number}")
    asked: list[int] = []
    finder = EvidenceFinder(Noting(store, asked), embedder, embedder, min_support=0.3, limit=2)

    evidence = await finder.find(task("When may boots be returned?"), hybrid=False)

    assert asked == [CANDIDATES]
    assert len(evidence.passages) == 2


async def test_a_reranker_has_the_last_word_on_the_order() -> None:
    store, embedder = MemoryStore(), HashingEmbedder()
    for name in ("Returns", "Opening"):
        await publish(store, embedder, name)
    finder = EvidenceFinder(
        store, embedder, embedder, min_support=0.3, limit=2, reranker=Prefers("Opening")
    )

    evidence = await finder.find(task("When may boots be returned? Returns"), hybrid=False)

    assert [hit.passage.title for hit in evidence.passages] == ["Opening", "Returns"]
    assert evidence.reranked_by == "prefers"


@pytest.mark.parametrize("score", [0.0, 1.0])
async def test_a_reranker_takes_part_in_what_is_enough(score: float) -> None:
    plain = await (await finder()).find(task("When may boots be returned?"), hybrid=False)

    evidence = await (await finder(reranker=Prefers("returns", score))).find(
        task("When may boots be returned?"), hybrid=False
    )

    assert evidence.support == pytest.approx((plain.support + score) / 2)


async def test_a_question_goes_on_without_a_reranker_that_fails() -> None:
    plain = await (await finder()).find(task("When may boots be returned?"), hybrid=False)

    evidence = await (await finder(reranker=Down())).find(
        task("When may boots be returned?"), hybrid=False
    )

    assert evidence.passages[0].passage.title == plain.passages[0].passage.title
    assert evidence.support == plain.support
    assert "reranker is away" in evidence.not_reranked
    assert evidence.reranked_by == ""


async def test_nothing_found_is_not_enough() -> None:
    embedder = HashingEmbedder()
    empty = EvidenceFinder(MemoryStore(), embedder, embedder, min_support=0.0, limit=2)

    evidence = await empty.find(task("When may boots be returned?"), hybrid=False)

    assert (evidence.sufficient, evidence.support) == (False, 0.0)


async def test_a_hybrid_question_is_searched_for_without_its_manner() -> None:
    asked = task("Write a friendly reply to a customer asking when boots may be returned")

    evidence = await (await finder()).find(asked, hybrid=True)

    assert evidence.query == "when boots may be returned"


def test_passages_of_a_replaced_document_are_left_out() -> None:
    hits = [found("Returns 2022", superseded_by="Returns"), found("Returns")]

    assert [hit.passage.title for hit in current(hits, "How long?")] == ["Returns"]


@pytest.mark.parametrize(
    "query",
    [
        "What did the old rule say?",
        "How long was it in 2022?",
        "What did the previous travel policy say?",
        "What was the return period?",
        "What were the terms back then?",
        "What used to be the limit?",
        "What held before the change?",
        "Which rate applied before 1 January 2024?",
        "What does the superseded procedure say?",
        "How long was the return period?",
    ],
)
def test_a_question_about_the_past_keeps_them(query: str) -> None:
    hits = [found("Returns 2022", superseded_by="Returns"), found("Returns")]

    assert len(current(hits, query)) == 2


@pytest.mark.parametrize(
    "query",
    [
        "How old must I be to work here?",
        "Can I leave earlier on Fridays?",
        "Which card is used to pay?",
        "May I bring my 3 year old?",
        "Can a damaged item be replaced?",
        "Where is my previous order?",
        "Can I keep my old notebook?",
        "Must leftover holiday be taken before 31 March?",
        "Is a previously worn item returnable?",
        "How much notice do I give before the change of shift?",
        "How many days do I get in 2024?",
    ],
)
def test_a_question_about_today_leaves_them_out(query: str) -> None:
    hits = [found("Returns 2022", superseded_by="Returns"), found("Returns")]

    assert [hit.passage.title for hit in current(hits, query)] == ["Returns"]


def test_of_a_huge_question_only_the_ends_tell_whether_it_is_about_the_past() -> None:
    hits = [found("Returns 2022", superseded_by="Returns")]
    half = "old in a " * 60_000

    assert current(hits, f"{half} the old rule {half}") == []


def test_a_reformulation_drops_courtesies() -> None:
    assert (
        reformulated("Hi, could you please tell me when the shop opens?") == "when the shop opens"
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("When does the shop open? Thanks!", "When does the shop open"),
        ("How long can you wear boots?", "How long can you wear boots"),
        ("Where is the thank you note, please?", "Where is the thank you note"),
        ("Could you keep it under 50 words: may I return boots?", "may I return boots"),
    ],
)
def test_a_reformulation_keeps_what_is_to_be_found(query: str, words: str) -> None:
    assert reformulated(query) == words


def test_a_reformulation_of_a_huge_question_is_no_longer_than_it() -> None:
    huge = "please " * 142_857

    assert len(reformulated(huge)) <= len(huge)


def test_a_reformulation_of_nothing_but_courtesies_stays_what_it_is() -> None:
    assert reformulated("Thank you") == "Thank you"


async def test_an_abstention_names_what_was_searched_for() -> None:
    asked = task("Who painted the ceiling?")
    evidence = await (await finder()).find(asked, hybrid=False)

    reply = abstention(asked, evidence)

    assert reply.abstained
    assert "“Who painted the ceiling?”" in reply.text


async def test_an_abstention_for_nobody_says_that_a_principal_is_missing() -> None:
    asked = task("When may boots be returned?", NOBODY)
    evidence = await (await finder()).find(asked, hybrid=False)

    assert "principal" in abstention(asked, evidence).text
    assert evidence.passages == ()


def test_everyone_is_among_the_principals_of_each_asker() -> None:
    assert EVERYONE in asker("user:ana")
