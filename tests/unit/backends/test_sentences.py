"""Where a text is cut into sentences, and where it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.sentences import split_sentences, statements, without_marks

PIECES = [*"aB1.!?… \n\t|-*#>`_)=：。\r\u2028", "\n\n", "e.g. ", "| a |\n", "```\n"]
MARKDOWN = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def cut(text: str) -> list[str]:
    return [text[one.start : one.end] for one in split_sentences(text)]


def kinds(text: str) -> list[str]:
    return [one.kind for one in split_sentences(text)]


def bare(text: str) -> str:
    start, end = without_marks(text, 0, len(text))
    return text[start:end]


@given(MARKDOWN)
def test_between_sentences_there_is_nothing_but_white_space(text: str) -> None:
    sentences = split_sentences(text)
    edges = [0, *(edge for one in sentences for edge in (one.start, one.end)), len(text)]
    assert edges == sorted(edges)
    gaps = [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
    assert "".join(gaps).strip() == ""


@given(MARKDOWN)
def test_no_sentence_is_empty_or_begins_with_white_space(text: str) -> None:
    assert all(sentence == sentence.strip() != "" for sentence in cut(text))


@given(MARKDOWN)
def test_a_span_without_its_marks_lies_within_the_span(text: str) -> None:
    start, end = without_marks(f"x{text}", 1, len(text) + 1)
    assert 1 <= start <= end <= len(text) + 1


def test_sentences_end_at_their_marks() -> None:
    assert cut("One. Two! Three? Four… Five") == ["One.", "Two!", "Three?", "Four…", "Five"]


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith and Mrs. Jones met J. R. Miller.",
        "Use a mask, e.g. FFP2, i.e. a good one.",
        "See Sec. 3 and Fig. 4 on p. 12.",
        "It costs 3.50 or 1.000.000 in all.",
        "Read https://intra.example.com/a.b?c=d&e=f. or ask.",
        "The U.S. Army is at No. 5 by approx. Noon.",
        "Open at 9 a.m. Monday.",
        "Am 3. Mai gilt z.B. die Regel Nr. 5 ggf. Montags.",
        "Wait... and see, Yahoo! is down.",
        "Version 2.0.1 of file.txt is out.",
    ],
)
def test_a_dot_within_a_sentence_does_not_end_it(text: str) -> None:
    assert cut(text) == [text]


def test_an_abbreviation_at_the_end_ends_the_sentence_too() -> None:
    assert cut("He works for Acme Inc. The rest left.") == [
        "He works for Acme Inc.",
        "The rest left.",
    ]


def test_a_number_at_the_end_ends_the_sentence() -> None:
    assert cut("It grew by 5. Then it shrank.") == ["It grew by 5.", "Then it shrank."]


def test_closing_quotes_and_brackets_stay_with_their_sentence() -> None:
    assert cut('She said "go." (He went.) Fine.') == ['She said "go."', "(He went.)", "Fine."]


def test_sentences_without_spaces_between_them_are_cut() -> None:
    assert cut("今日は。明日も。") == ["今日は。", "明日も。"]


def test_a_line_break_does_not_end_a_sentence() -> None:
    assert cut("One long\nsentence. Next.") == ["One long\nsentence.", "Next."]


def test_an_empty_line_does() -> None:
    assert cut("One\n\ntwo") == ["One", "two"]


def test_items_of_a_list_are_sentences_of_their_own() -> None:
    assert cut("We need:\n- bread\n- milk. And tea\n  with sugar\n1. First. Step") == [
        "We need:",
        "- bread",
        "- milk.",
        "And tea\n  with sugar",
        "1. First.",
        "Step",
    ]


def test_rows_of_a_table_are_told_from_its_header() -> None:
    assert kinds("| a | b |\n|---|:-:|\n| 1. | 2. |\n") == ["header", "rule", "row"]


@pytest.mark.parametrize("text", ["# Leave", "Leave\n=====", "### Leave. And more."])
def test_headings_are_headings(text: str) -> None:
    assert kinds(text)[0] == "heading"


def test_code_is_cut_by_lines_only() -> None:
    assert cut("```sh\na. B. c\nd\n```")[1:-1] == ["a. B. c", "d"]


def test_sentences_of_one_paragraph_share_its_number() -> None:
    assert [one.block for one in split_sentences("A dog. A cat.\n\nA bird.")] == [0, 0, 1]


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("- [x] done", "done"),
        ("12) twelve", "twelve"),
        ("## Heading", "Heading"),
        ("> quoted", "quoted"),
        ("**All of it.**", "All of it."),
        ("**Part** of it.", "**Part** of it."),
        ("**One** and **two**", "**One** and **two**"),
        ("| a | b |", "a | b"),
        ("* _slanted_", "slanted"),
        ("-5 degrees", "-5 degrees"),
    ],
)
def test_marks_at_the_edges_go_and_others_stay(marked: str, plain: str) -> None:
    assert bare(marked) == plain


def test_a_long_row_of_dots_costs_no_more_than_its_length() -> None:
    text = "." * 200_000 + "_" * 200_000 + "x " + " " * 200_000 + "-|"
    assert len(cut(text)) == 1


def test_statements_are_the_sentences_that_say_something_without_their_marks() -> None:
    table, code = "| a | b |\n|---|---|\n| c | d |", "```\ncode\n```"
    text = f"# Returns\n\n- Boots: 45 days.\n\n{table}\n\n{code}\n\nAsk us."

    assert [text[start:end] for start, end in statements(text)] == [
        "Boots: 45 days.",
        "c | d",
        "Ask us.",
    ]


@given(MARKDOWN)
def test_no_statement_is_empty(text: str) -> None:
    assert all(start < end for start, end in statements(text))
