"""Citations are checked while they stream."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.base import Cited, Token
from agents.citations import CitationChecker
from backends.base import DocumentId, Passage, PassageId

BODY = (
    "Unworn items may be returned within 45 days of delivery. "
    "Refunds are issued within five working days. "
    "A parcel return costs €3.50."
)


def passage(text: str = BODY, start: int = 100) -> Passage:
    return Passage(
        id=PassageId("p1"),
        document_id=DocumentId("d1"),
        title="Returns",
        source="returns.md",
        version=3,
        ordinal=0,
        start=start,
        end=start + len(text),
        text=text,
    )


def read(checker: CitationChecker, pieces: Iterable[str]) -> list[Token | Cited]:
    events = [event for piece in pieces for event in checker.feed(piece)]
    return [*events, *checker.close()]


def shown(events: Iterable[Token | Cited]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


def test_each_part_of_a_sentence_has_a_mark_of_its_own() -> None:
    costs = passage("Standard delivery costs €6.20. Returns are free.")
    free = passage("Delivery is free for orders above €80.")
    checker = CitationChecker([costs, free])

    read(checker, ["Standard delivery costs €6.20 [1], and it is free for orders above €80 [2].\n"])

    assert [one.quote for one in checker.citations] == [
        "Standard delivery costs €6.20",
        "Delivery is free for orders above €80.",
    ]


def test_a_part_that_its_passage_does_not_support_has_no_mark() -> None:
    costs = passage("Standard delivery costs €6.20.")
    checker = CitationChecker([costs, passage("Gift cards are valid for 3 years.")])

    read(checker, ["Standard delivery costs €6.20 [1], and it is free above €80 [2].\n"])

    assert checker.text == "Standard delivery costs €6.20 [1], and it is free above €80.\n"


def test_a_verbatim_statement_is_cited_by_its_exact_span() -> None:
    checker = CitationChecker([passage()])

    read(checker, ["Refunds are issued within five working days. [1]"])

    [citation] = checker.citations
    assert citation.quote == "Refunds are issued within five working days."
    assert BODY[citation.start - 100 : citation.end - 100] == citation.quote
    assert checker.text[citation.text_start : citation.text_end] == "[1]"


def test_a_reworded_statement_is_cited_by_the_sentence_that_supports_it() -> None:
    checker = CitationChecker([passage()])

    read(checker, ["You can return unworn items for 45 days after delivery [1]."])

    assert checker.citations[0].quote.startswith("Unworn items may be returned")


def test_a_number_that_the_passage_does_not_hold_is_not_cited() -> None:
    checker = CitationChecker([passage()])

    events = read(checker, ["Unworn items may be returned within 60 days of delivery. [1]"])

    assert checker.citations == []
    assert checker.removed == 1
    assert shown(events) == "Unworn items may be returned within 60 days of delivery."


def test_a_number_is_compared_whole() -> None:
    checker = CitationChecker([passage("Returns are accepted within 145 days of delivery.")])

    read(checker, ["Returns are accepted within 45 days of delivery. [1]", "45 days [1]"])

    assert checker.citations == []


def test_a_number_of_another_sentence_supports_nothing() -> None:
    text = "Boots may be returned within 45 days. Coats may be returned within 30 days."
    checker = CitationChecker([passage(text)])

    read(checker, ["Boots can be returned for 30 days. [1]"])

    assert [citation.quote for citation in checker.citations] != [
        "Boots may be returned within 45 days."
    ]


def test_brackets_in_code_are_no_marks() -> None:
    checker = CitationChecker([passage()])

    assert (
        shown(read(checker, ["Use `rows[0]` and `rows [1]`."])) == "Use `rows[0]` and `rows [1]`."
    )


def test_brackets_in_fenced_code_are_no_marks_and_those_behind_it_are() -> None:
    checker = CitationChecker([passage()])
    code = "```\nfirst = rows[0]\n```\n"

    events = read(checker, [f"{code}A parcel return costs €3.50. [1]"])

    assert shown(events) == f"{code}A parcel return costs €3.50. [1]"
    assert (len(checker.citations), checker.removed) == (1, 0)


@pytest.mark.parametrize("mark", ["[1; 9]", "[1-9]", "[1–9]", "[^1][^9]", "[1 , 9]"])
def test_a_mark_is_checked_however_it_is_written(mark: str) -> None:
    checker = CitationChecker([passage()])

    events = read(checker, f"A parcel return costs €3.50. {mark}")

    assert shown(events) == "A parcel return costs €3.50. [1]"
    assert (len(checker.citations), checker.removed) == (1, 1)


def test_a_passage_that_was_never_given_is_not_cited() -> None:
    checker = CitationChecker([passage()])

    events = read(checker, ["Refunds are issued within five working days. [2] [99]"])

    assert checker.removed == 2
    assert "[" not in shown(events)


def test_an_unrelated_statement_is_not_cited() -> None:
    checker = CitationChecker([passage()])

    read(checker, ["The moon orbits the earth. [1]"])

    assert checker.citations == []


def test_several_marks_behind_one_statement_are_checked_one_by_one() -> None:
    other = passage("The shop opens at nine.")
    checker = CitationChecker([passage(), other, passage()])

    events = read(checker, ["A parcel return costs €3.50. [1, 2][3]"])

    assert [citation.number for citation in checker.citations] == [1, 2]
    assert shown(events) == "A parcel return costs €3.50. [1][2]"


def test_marks_are_numbered_in_the_order_in_which_they_are_met() -> None:
    checker = CitationChecker([passage("The shop opens at nine."), passage()])

    text = "A parcel return costs €3.50. [2] The shop opens at nine. [1] It costs €3.50. [2]"
    read(checker, [text])

    assert [citation.number for citation in checker.citations][:2] == [1, 2]
    assert checker.text.startswith("A parcel return costs €3.50. [1] The shop opens at nine. [2]")


def test_brackets_that_are_no_marks_are_shown() -> None:
    checker = CitationChecker([passage()])

    assert (
        shown(read(checker, ["See [note] and [12ab] and [", "]."]))
        == "See [note] and [12ab] and []."
    )


@given(st.data())
def test_how_the_answer_is_cut_into_pieces_changes_nothing(data: st.DataObject) -> None:
    answer = (
        "Unworn items may be returned within 45 days of delivery. [1] Made up. [1] "
        "A parcel return costs €3.50 [1][7], [^1], [1–3; 2] [see] [4"
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=12)))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    whole, cut = CitationChecker([passage()]), CitationChecker([passage()])

    read(whole, [answer])
    events = read(cut, pieces)

    assert cut.citations == whole.citations
    assert cut.text == whole.text == shown(events)
