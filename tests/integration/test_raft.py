"""RAFT rows over real retrieval: production's prompt, marks that verify, honest refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import SecretStr

from agents.care import NO_ANSWER
from agents.citations import CitationChecker
from backends.adapters import AdapterSpec
from backends.base import DocumentId, Message, Passage, PassageId
from backends.finetune.examples import Example
from router.config import Settings
from router.errors import InvalidRequest
from router.finetune.raft import NOT_FOUND, TOO_LONG, Way, cited, raft

QUESTIONS = Path(__file__).parents[2] / "infra" / "examples" / "questions"
HANDBOOK = Path(__file__).parents[2] / "router" / "demo" / "handbook"


def settings(home: Path, url: str) -> Settings:
    return Settings(home=home, database_url=SecretStr(url))


def way(
    oracle: float, *, prompting: Literal["instructed", "bare"] = "instructed", longest: int = 10**6
) -> Way:
    spec = AdapterSpec(
        "warm",
        "tiny",
        Path("warm"),
        "",
        8,
        system_prompt="Speak warmly.",
        prompting=prompting,
        evidence_characters=1_000 if prompting == "bare" else 12_000,
    )
    return Way(spec, oracle, lambda row: sum(len(m.content) for m in row.prompt) <= longest)


def passage(text: str, number: int = 1) -> Passage:
    name = str(number)
    return Passage(PassageId(name), DocumentId(name), "t", "s", 1, 0, 0, len(text), text)


@pytest.mark.parametrize("prompting", ["instructed", "bare"])
async def test_answers_are_quoted_from_the_right_passage_with_its_number(
    database_url: str, tmp_path: Path, prompting: Literal["instructed", "bare"]
) -> None:
    told: list[tuple[int, int]] = []
    found = await raft(
        QUESTIONS,
        (),
        way(1.0, prompting=prompting),
        settings(tmp_path, database_url),
        lambda *at: told.append(at),
    )
    total = told[-1][1]
    assert told == [(number, total) for number in range(1, total + 1)]
    assert found.refusals == 0
    assert len(found.examples) + sum(found.dropped.values()) == total
    assert len(found.examples) >= total - 2
    opening = {row.prompt[-1].content.splitlines()[0]: row for row in found.examples}
    row = opening["When is the workshop open on Saturdays?"]
    assert row.prompt[0].role == "system"
    assert row.prompt[0].content.startswith("Speak warmly.")
    assert "8:30 to 17:00" in row.answer
    assert "[" in row.answer


async def test_without_the_right_passage_the_model_learns_to_say_so(
    database_url: str, tmp_path: Path
) -> None:
    found = await raft(QUESTIONS, (), way(0.0), settings(tmp_path, database_url), lambda *at: None)
    assert {row.answer for row in found.examples} == {NO_ANSWER}
    assert found.refusals == len(found.examples) > 0
    for row in found.examples:
        if "Saturdays" in row.prompt[-1].content:
            assert "8:30 to 17:00" not in row.prompt[0].content


async def test_rows_that_the_base_cannot_read_are_dropped_and_counted(
    database_url: str, tmp_path: Path
) -> None:
    found = await raft(
        QUESTIONS, (), way(1.0, longest=10), settings(tmp_path, database_url), lambda *at: None
    )
    assert found.examples == ()
    assert found.dropped[TOO_LONG] > 0


async def test_own_answers_are_cited_by_the_documents_that_support_them(
    database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name in ("gift-cards.md", "brand-voice-guide.md"):
        (folder / name).write_text((HANDBOOK / name).read_text())
    given = [
        Example(
            (Message("user", "How long is a gift card valid?"),),
            "Gift cards are valid for four years from the date of purchase.",
            1,
        ),
        Example((Message("user", "What is the moon made of?"),), "Cheese of deep valleys.", 2),
    ]
    found = await raft(folder, given, way(1.0), settings(tmp_path, database_url), lambda *at: None)
    assert [row.line for row in found.examples] == [1]
    assert found.dropped == {NOT_FOUND: 1}
    assert found.examples[0].answer.startswith(given[0].answer)
    assert found.examples[0].answer.endswith("]")


async def test_a_folder_without_questions_needs_data(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="gives no questions"):
        await raft(tmp_path, (), way(1.0), settings(tmp_path, database_url), lambda *at: None)


def test_each_statement_gets_the_number_of_what_supports_it() -> None:
    passages = [passage("Boots may be returned within 45 days.", 1), passage("Carts are red.", 2)]
    read = " ".join(one.text for one in passages)
    answer = "How kind of you to ask! Boots may be returned within 45 days. Carts are red."
    marked = cited(answer, passages, read)
    assert marked == (
        "How kind of you to ask! Boots may be returned within 45 days. [1] Carts are red. [2]"
    )
    checker = CitationChecker(passages)
    assert [*checker.feed(marked), *checker.close()]
    assert (len(checker.citations), checker.removed) == (2, 0)
    assert cited("Boots may be returned within 30 days.", passages, read) == ""
    assert cited(answer, passages, "another line") == ""
