"""What is quoted from the evidence, and how."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from backends.base import DocumentId, Message, Passage, PassageId
from backends.errors import Refused, Unavailable
from backends.extractive import ExtractiveGenerator
from backends.extractive.generator import MOST_EMBEDDED
from backends.generation import GenerationRequest, Usage
from backends.memory.embedder import HashingEmbedder

if TYPE_CHECKING:
    from backends.base import Vectors

LEAVE = """\
# Leave

How many days of leave do I get? Everybody has 28 days of leave a year. Ask your lead early.

Unused days lapse at the end of March. They can be paid out when somebody leaves.
"""
TRAVEL = """\
| Country | Daily allowance |
|---|---|
| Germany | 28 euros |
| France | 31 euros |

- **Trains are booked in second class.**
- Flights need the approval of your lead.
"""


class CountingEmbedder(HashingEmbedder):
    """Remembers what it was asked to embed."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        return await super().embed(texts)


class LostEmbedder(HashingEmbedder):
    """Cannot be reached."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        raise Unavailable("No embedder.", backend="embedder")


def passages(*texts: str, heading: str = "") -> tuple[Passage, ...]:
    return tuple(
        Passage(
            PassageId(f"p{at}"), DocumentId(f"d{at}"), "", "a.md", 1, 0, 0, len(text), text, heading
        )
        for at, text in enumerate(texts)
    )


def asked(question: str, *texts: str, heading: str = "") -> GenerationRequest:
    return GenerationRequest(
        (Message("user", question),), question=question, evidence=passages(*texts, heading=heading)
    )


async def answer(question: str, *texts: str, heading: str = "") -> str:
    generator = ExtractiveGenerator(HashingEmbedder())
    return (await generator.complete(asked(question, *texts, heading=heading))).text


async def test_the_sentence_that_answers_is_quoted_with_its_passage() -> None:
    assert (
        await answer("How many days of leave do I get?", TRAVEL, LEAVE)
        == "Everybody has 28 days of leave a year. [2]"
    )


async def test_every_quotation_is_a_verbatim_piece_of_the_passage_it_names() -> None:
    said = await answer("What happens to unused days when somebody leaves?", LEAVE, TRAVEL)
    quoted = re.findall(r"(.+?) \[(\d)\] ?", said)
    assert quoted
    assert all(text in (LEAVE, TRAVEL)[int(number) - 1] for text, number in quoted)


async def test_a_question_in_the_evidence_is_not_an_answer() -> None:
    assert "do I get?" not in await answer("How many days of leave do I get?", LEAVE)


async def test_a_heading_is_not_an_answer() -> None:
    assert await answer("leave", "# Leave\n\nWe like trains.") == "We like trains. [1]"


async def test_a_row_of_a_table_can_answer() -> None:
    said = await answer("What is the daily allowance in France?", TRAVEL)
    assert said == "France | 31 euros [1]"


async def test_marks_at_the_edges_of_an_item_are_left_out() -> None:
    said = await answer("In which class are trains booked?", TRAVEL)
    assert said == "Trains are booked in second class. [1]"


async def test_a_heading_lends_its_words_to_the_sentences_below() -> None:
    text = "It lasts 14 weeks. We have 14 trains."
    said = await answer("How long is parental leave?", text, heading="Parental leave")
    assert said == "It lasts 14 weeks. [1]"


async def test_a_sentence_that_leans_on_the_one_before_brings_it_along() -> None:
    text = "The gym is open to all. It closes at ten in the evening. Dogs stay out."
    said = await answer("When does it close in the evening?", text)
    assert said == "The gym is open to all. [1] It closes at ten in the evening. [1]"


async def test_a_further_sentence_comes_when_it_brings_what_is_missing() -> None:
    one = "Expense reports are due monthly. We like trains."
    two = "Expense reports go to the finance team. We like cats."
    said = await answer("When are expense reports due and which team gets them?", one, two)
    assert (
        said == "Expense reports are due monthly. [1] Expense reports go to the finance team. [2]"
    )


async def test_a_further_sentence_that_brings_nothing_stays_out() -> None:
    one = "Expense reports are due monthly. Expense reports are due soon."
    assert (await answer("When are expense reports due?", one)).count("[") == 1


async def test_at_most_three_sentences_are_quoted() -> None:
    text = "Red cars stop. Blue cars go. Green cars wait. Black cars turn. White cars park."
    said = await answer("What do red, blue, green, black and white cars do?", text)
    assert said.count("[1]") == 3


async def test_sentences_of_one_passage_keep_their_order() -> None:
    text = "Blue cars go. Red cars stop at red lights."
    said = await answer("Which cars stop at red lights and do blue cars go?", text)
    assert said == "Blue cars go. [1] Red cars stop at red lights. [1]"


async def test_a_sentence_in_two_passages_is_quoted_from_the_first() -> None:
    assert await answer("Who likes trains?", "We like trains.", "We like trains.") == (
        "We like trains. [1]"
    )


async def test_without_shared_words_something_is_quoted_all_the_same() -> None:
    assert await answer("Wohin damit?", "We like trains.") == "We like trains. [1]"


async def test_the_last_turn_is_the_question_when_no_other_is_given() -> None:
    request = GenerationRequest(
        (Message("user", "Who likes trains?"),), evidence=passages("We like trains. Cats sleep.")
    )
    assert (await ExtractiveGenerator(HashingEmbedder()).complete(request)).text == (
        "We like trains. [1]"
    )


async def test_long_evidence_takes_one_batch_of_bounded_size() -> None:
    embedder = CountingEmbedder()
    long = " ".join(f"Train number {number} is late." for number in range(200))
    await ExtractiveGenerator(embedder).complete(asked("Which train is late?", long))
    assert [len(batch) for batch in embedder.batches] == [MOST_EMBEDDED + 1]


async def test_tokens_are_counted_as_the_embedder_counts_them() -> None:
    generation = await ExtractiveGenerator(HashingEmbedder()).complete(
        asked("Who likes trains?", "We like trains.")
    )
    assert generation.usage == Usage(input_tokens=5 + 5, output_tokens=6)


async def test_without_evidence_it_refuses() -> None:
    with pytest.raises(Refused, match="no evidence"):
        await answer("Who?")


async def test_with_evidence_of_headings_only_it_refuses() -> None:
    with pytest.raises(Refused, match="no sentence"):
        await answer("Who?", "# One\n\n## Two\n\n---\n")


@pytest.mark.parametrize("wish", [{"schema": {"type": "object"}}, {"choices": ("yes", "no")}])
async def test_structured_output_is_refused(wish: dict[str, object]) -> None:
    request = GenerationRequest((), question="Who?", evidence=passages("We."), **wish)  # type: ignore[arg-type]  # either field
    with pytest.raises(Refused, match="schema or choices"):
        await ExtractiveGenerator(HashingEmbedder()).complete(request)


async def test_an_embedder_that_is_down_makes_it_unavailable() -> None:
    with pytest.raises(Unavailable):
        await ExtractiveGenerator(LostEmbedder()).complete(asked("Who?", "We like trains."))
