"""Evidence: what is left out, what is enough, and what is said when there is none."""

from __future__ import annotations

import pytest

from agents.base import Task
from agents.evidence import EvidenceFinder, abstention, current, reformulated
from backends.base import (
    DocumentId,
    Message,
    NewDocument,
    NewPassage,
    Passage,
    PassageId,
    ScoredPassage,
)
from backends.memory.embedder import HashingEmbedder
from backends.memory.store import MemoryStore
from backends.principals import EVERYONE, NOBODY, Principals, asker, parse_principals

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


async def finder(*, min_support: float = 0.3) -> EvidenceFinder:
    store, embedder = MemoryStore(), HashingEmbedder()
    document = NewDocument(
        "returns", "Returns", BODY, "text/plain", "f", parse_principals("everyone")
    )
    await store.publish(document, [NewPassage(0, len(BODY), BODY)], await embedder.embed([BODY]))
    return EvidenceFinder(store, embedder, embedder, min_support=min_support, limit=4)


async def test_evidence_with_a_sentence_close_to_the_question_is_enough() -> None:
    evidence = await (await finder()).find(task("When may boots be returned?"), hybrid=False)

    assert evidence.sufficient
    assert evidence.support > 0.5


async def test_evidence_without_such_a_sentence_is_not_enough() -> None:
    evidence = await (await finder()).find(task("Who painted the ceiling?"), hybrid=False)

    assert not evidence.sufficient


async def test_a_hybrid_question_is_searched_for_without_its_manner() -> None:
    asked = task("Write a friendly reply to a customer asking when boots may be returned")

    evidence = await (await finder()).find(asked, hybrid=True)

    assert evidence.query == "when boots may be returned"


def test_passages_of_a_replaced_document_are_left_out() -> None:
    hits = [found("Returns 2022", superseded_by="Returns"), found("Returns")]

    assert [hit.passage.title for hit in current(hits, "How long?")] == ["Returns"]


@pytest.mark.parametrize("query", ["What did the old rule say?", "How long was it in 2022?"])
def test_a_question_about_the_past_keeps_them(query: str) -> None:
    hits = [found("Returns 2022", superseded_by="Returns"), found("Returns")]

    assert len(current(hits, query)) == 2


def test_a_reformulation_drops_courtesies() -> None:
    assert (
        reformulated("Hi, could you please tell me when the shop opens?") == "when the shop opens"
    )


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
