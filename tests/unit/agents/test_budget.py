"""What a model reads of the evidence."""

from __future__ import annotations

from agents.budget import GAP, MOST_LINES, excerpts, lines
from backends.base import DocumentId, Passage, PassageId, ScoredPassage

RETURNS = (
    "The policy covers every shop. Boots may be returned within 45 days. Swimwear stays with the "
    "customer. A return of boots by parcel costs €3.50."
)
HOURS = "The shop opens at nine. It closes at six. Boots are on the first floor."


def _hit(number: int, text: str) -> ScoredPassage:
    identity = f"p{number}"
    passage = Passage(
        id=PassageId(identity),
        document_id=DocumentId(identity),
        title=f"Document {number}",
        source=f"{number}.md",
        version=1,
        ordinal=0,
        start=100,
        end=100 + len(text),
        text=text,
    )
    return ScoredPassage(passage, score=1.0 / number, similarity=0.5, lexical=1.0)


HITS = (_hit(1, RETURNS), _hit(2, HOURS))


async def test_passages_that_fit_are_read_whole() -> None:
    read = await excerpts("boots", HITS, 1_000)
    assert [one.text for one in read] == [RETURNS, HOURS]


async def test_a_passage_that_does_not_fit_gives_its_best_sentences_in_their_order() -> None:
    query = "How many days may boots be returned, and what does a return by parcel cost?"
    read = await excerpts(query, HITS[:1], 105)
    assert [one.text for one in read] == [
        f"Boots may be returned within 45 days.{GAP}A return of boots by parcel costs €3.50."
    ]
    assert read[0].passage == HITS[0].passage


async def test_the_first_passages_stay_whole_as_long_as_they_fit() -> None:
    read = await excerpts("When does the shop open?", HITS, len(RETURNS) + 30)
    assert [one.text for one in read] == [RETURNS, "The shop opens at nine."]


async def test_the_best_sentence_is_read_whatever_its_length() -> None:
    read = await excerpts("How many days for boots?", HITS, 10)
    assert [one.text for one in read] == ["Boots may be returned within 45 days."]


async def test_no_more_is_read_than_there_is_room_for() -> None:
    hits = [_hit(number, RETURNS * 3) for number in range(1, 8)]
    for room in (60, 200, 900, 2_000):
        read = await excerpts("boots returned within how many days", hits, room)
        assert sum(len(one.text) for one in read) <= room


async def test_lines_are_single_sentences_the_best_first() -> None:
    read = await lines("How many days to return boots?", HITS, 500)
    assert read[0].text == "Boots may be returned within 45 days."
    assert len(read) <= MOST_LINES


async def test_a_line_that_leans_on_the_one_before_comes_with_it() -> None:
    read = await lines("When does it close?", HITS[1:], 500)
    assert read[0].text == "The shop opens at nine. It closes at six."


async def test_more_lines_come_where_more_points_are_wanted() -> None:
    query = "How many days to return boots?"
    few = await lines(query, HITS, 500)
    more = await lines(query, HITS, 500, least=3)
    assert more[: len(few)] == few
    assert len(more) > len(few)


async def test_nothing_found_gives_nothing_to_read() -> None:
    assert await excerpts("boots", (), 100) == []
    assert await lines("boots", (), 100) == []
