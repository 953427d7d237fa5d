"""Passages: exact offsets, everything covered, within the tokens, and cut where it hurts least."""

from __future__ import annotations

import gc
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.base import NewPassage
from backends.ingest.budget import embedding_text, passage_context
from backends.ingest.chunks import split
from backends.sentences import sentence_spans

_TOKEN = re.compile(r"\w{1,4}|[^\w\s]")


def count_tokens(text: str) -> int:
    """Like a word-piece tokenizer: groups of letters, each sign by itself, two special tokens."""
    return len(_TOKEN.findall(text)) + 2


def passages(
    body: str, *, max_tokens: int = 64, title: str = "", rows: bool = False
) -> list[NewPassage]:
    return split(body, count_tokens=count_tokens, max_tokens=max_tokens, title=title, rows=rows)


def texts(body: str, *, max_tokens: int = 64, rows: bool = False) -> list[str]:
    return [passage.text for passage in passages(body, max_tokens=max_tokens, rows=rows)]


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


def words(count: int) -> str:
    return " ".join(["word"] * count)


# --- what always holds ----------------------------------------------------------------------------

FRAGMENTS = st.sampled_from(
    [
        "# ", "## ", "### Deep\n", "\n", "\n\n", "- ", "1. ", "  - ", "| a | b |\n", "|---|---|\n",
        "```\n", "~~~", "    ", "\t", "Dr. Smith paid 3.14 € in the U.S. yesterday. ", "word ",
        "Is it? ", "No! ", "see https://example.org/a.b?c=d, ", "…", "これは文です。", "字，" * 40,
        "مرحبا بالعالم؟ ", "שלום עולם. ", "👩‍👩‍👧", "e\u0301", "\u2028", "\x0c", "x" * 200, "---\n",
        "===\n", "a:\n", "*", "_", "`", "<!-- -->", "\u00a0",
    ]
)  # fmt: skip
BODIES = st.lists(FRAGMENTS | st.text(max_size=20), max_size=60).map("".join)
TITLES = st.sampled_from(["", "Returns", "A title of many words that goes on " * 4, "字" * 90])


@given(BODIES, TITLES, st.booleans())
@settings(deadline=None, max_examples=150)
def test_offsets_are_exact(body: str, title: str, rows: bool) -> None:
    found = passages(body, title=title, rows=rows)
    assert [body[p.start : p.end] for p in found] == [p.text for p in found]


@given(BODIES, TITLES, st.booleans())
@settings(deadline=None, max_examples=150)
def test_passages_cover_everything_but_white_space_in_order(
    body: str, title: str, rows: bool
) -> None:
    position, between = 0, ""
    for passage in passages(body, title=title, rows=rows):
        between += body[position : passage.start]
        position = passage.end
    assert not (between + body[position:]).strip()


@given(BODIES, TITLES, st.sampled_from([32, 64, 256]), st.booleans())
@settings(deadline=None, max_examples=150)
def test_no_passage_with_its_context_exceeds_the_tokens(
    body: str, title: str, max_tokens: int, rows: bool
) -> None:
    for passage in passages(body, title=title, max_tokens=max_tokens, rows=rows):
        context = passage_context(title, passage.heading, count_tokens, max_tokens)
        assert count_tokens(embedding_text(context, passage.text)) <= max_tokens


@given(BODIES)
@settings(deadline=None, max_examples=100)
def test_passages_are_never_blank_and_begin_and_end_with_text(body: str) -> None:
    assert all(text and text == text.strip() for text in texts(body))


@given(st.lists(st.integers(1, 12), min_size=1, max_size=60))
@settings(deadline=None, max_examples=100)
def test_prose_is_cut_only_after_sentences(lengths: list[int]) -> None:
    body = " ".join(f"{words(length).capitalize()}." for length in lengths)
    assert all(text.startswith("Word") and text.endswith(".") for text in texts(body))


@given(st.lists(st.integers(1, 12), min_size=1, max_size=60))
@settings(deadline=None, max_examples=100)
def test_splitting_a_passage_again_leaves_it_whole(lengths: list[int]) -> None:
    body = "\n\n".join(f"{words(length).capitalize()}." for length in lengths)
    assert all(texts(text) == [text] for text in texts(body))


@given(BODIES)
@settings(deadline=None, max_examples=100)
def test_sentences_cover_everything_but_white_space(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def test_a_budget_too_small_for_a_context_and_words_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        passages("Text.", max_tokens=31)


# --- structure ------------------------------------------------------------------------------------


def test_a_heading_begins_a_passage_and_its_path_travels_along() -> None:
    found = passages("# Returns\n\nAll.\n\n## Boots\n\nSome.\n\n# Care\n\nWax.\n")
    assert [(p.heading, p.text) for p in found] == [
        ("Returns", "# Returns\n\nAll."),
        ("Returns > Boots", "## Boots\n\nSome."),
        ("Care", "# Care\n\nWax."),
    ]


def test_a_heading_without_text_stays_with_what_follows() -> None:
    assert texts("# Returns\n\n## Boots\n\nSome.") == ["# Returns\n\n## Boots\n\nSome."]


def test_an_underlined_heading_is_a_heading() -> None:
    found = passages("Returns\n=======\n\nAll.\n\nBoots\n-----\n\nSome.")
    assert [p.heading for p in found] == ["Returns", "Returns > Boots"]


def test_a_comment_in_code_is_no_heading() -> None:
    assert [p.heading for p in passages("# Run\n\n```sh\n# not a heading\nls\n```\n")] == ["Run"]


def test_a_heading_stays_with_the_first_sentence_below_it() -> None:
    body = f"## Boots\n\n{words(40)}. {words(40).capitalize()}."
    assert texts(body)[0] == f"## Boots\n\n{words(40)}."


def test_code_stays_whole_when_it_fits() -> None:
    code = "```\n" + "run. It. Now.\n" * 8 + "```"
    assert code in texts(f"{words(30)}.\n\n{code}\n\n{words(30)}.")


def test_a_table_stays_whole_when_it_fits() -> None:
    table = "| a | b |\n|---|---|\n" + "\n".join(["| 1. One | 2 |"] * 4)
    assert table in texts(f"{words(40)}.\n\n{table}\n\n{words(40)}.")


def test_the_rest_of_a_table_has_the_header_in_its_heading() -> None:
    rows = "\n".join(["| Boots and shoes | 30 percent |"] * 30)
    first, *rest = passages(f"# Rates\n\n| **Item** | Discount |\n|---|---|\n{rows}")
    assert first.heading == "Rates"
    assert {one.heading for one in rest} == {"Rates > Item | Discount"}


def test_a_table_without_a_header_adds_nothing_to_the_heading() -> None:
    rows = "\n".join(["| Boots and shoes | 30 percent |"] * 30)
    assert {one.heading for one in passages(f"# Rates\n\n{rows}")} == {"Rates"}


def test_a_header_for_which_there_is_no_room_is_left_out() -> None:
    row = f"| {words(28)} | 30 percent |"
    table = "\n".join(["| Article in words | Discount |", "|---|---|", *[row] * 5])
    assert {one.heading for one in passages(f"# Rates\n\n{table}", max_tokens=40)} == {"Rates"}


def test_a_table_that_does_not_fit_is_cut_between_rows() -> None:
    table = "\n".join(["| some words | in a row |"] * 30)
    assert {line for text in texts(table) for line in text.split("\n")} == {
        "| some words | in a row |"
    }


def test_records_of_a_csv_file_are_never_cut() -> None:
    body = "\n".join(["Ms. Ana said. So it was.,42,done"] * 30)
    lines = [line for text in texts(body, rows=True) for line in text.split("\n")]
    assert lines == body.split("\n")


def test_list_items_stay_whole() -> None:
    items = [f"- First this. Then that {number}, and so on." for number in range(12)]
    assert all(
        line.startswith("- ") for text in texts("\n".join(items)) for line in text.split("\n")
    )


def test_a_wrapped_list_item_stays_whole() -> None:
    items = [f"- Item {number} goes on\n  over the line.\n\n  And on." for number in range(8)]
    found = texts("\n".join(items))
    assert len(found) > 1
    assert all(text.startswith("- Item") and text.endswith("And on.") for text in found)


def test_a_lead_in_stays_with_its_list() -> None:
    body = f"{words(36)}.\n\nBring with you:\n\n- a box\n- {words(30)}"
    assert [text for text in texts(body) if text.endswith(":")] == []


def test_paragraphs_are_parted_before_sentences() -> None:
    first = f"{words(16)}. {words(12).capitalize()}."
    second = f"{words(20).capitalize()}. {words(20).capitalize()}."
    assert texts(f"{first}\n\n{second}") == [first, second]


def test_a_passage_knows_the_page_it_begins_on() -> None:
    body = f"{words(50)}.\n\n{words(50)}."
    pages = [(0, 1), (body.index("\n\n") + 2, 3)]
    found = split(body, count_tokens=count_tokens, max_tokens=64, pages=pages)
    assert [p.page for p in found] == [1, 3]


def test_only_a_sentence_runs_over_the_end_of_a_page() -> None:
    body = "It begins. It goes\non here. It ends."
    pages = [(0, 1), (body.index("on here"), 2)]
    found = split(body, count_tokens=count_tokens, max_tokens=64, pages=pages)
    assert [(p.text, p.page) for p in found] == [
        ("It begins. It goes\non here.", 1),
        ("It ends.", 2),
    ]


def test_a_document_without_pages_has_none() -> None:
    assert passages("Text.")[0].page is None


# --- sentences ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sentence",
    [
        "Dr. Smith and Mrs. Jones paid 3.14 € for it.",
        "He moved to the U.S. Army base in Jan. 2020 or so.",
        "See https://example.org/a.b?c=d. and so on.",
        "J. R. R. Tolkien wrote it.",
        "Use e.g. Boots, i.e. shoes, etc. and go.",
        "Is “Really?” enough, she asked.",
        "Wait... what?",
        "See No. 7 and Fig. 3 there.",
        "Version 3.1.4 is out.",
    ],
)
def test_marks_that_end_no_sentence_are_left_alone(sentence: str) -> None:
    assert sentences(f"{sentence} Next one.") == [sentence, "Next one."]


@pytest.mark.parametrize(
    "text",
    [
        "The answer is no.|Ask again.",
        "It was 2019.|We moved.",
        "He said “Go!”|She went.",
        "**Bold.**|Plain.",
        "Really?!|Yes.",
        "これは一つ目です。|「二つ目です！」|三つ目。",
        "这是第一句。|这是第二句？|好！",
        "هل أنت هنا؟|نعم.",
        "שלום עולם.|מה שלומך?|טוב.",
        "It costs 3.5.|That is all.",
    ],
)
def test_sentences_end_where_readers_end_them(text: str) -> None:
    glue = "" if re.search("[\u3040-\u9fff]", text) else " "
    assert sentences(text.replace("|", glue)) == text.split("|")


def test_a_numbered_line_is_not_cut_after_its_number() -> None:
    assert sentences("1. Open it.\n2. Close it.") == ["1. Open it.", "2. Close it."]


# --- what has no good place to be cut -------------------------------------------------------------


def test_a_sentence_that_is_too_long_is_cut_between_words() -> None:
    body = f"{words(500)}."
    found = texts(body)
    assert " ".join(found) == body


def test_a_sentence_that_is_too_long_is_cut_after_a_clause_where_it_has_one() -> None:
    body = ", ".join([words(9)] * 20) + "."
    assert all(text.endswith((",", ".")) for text in texts(body))


def test_a_word_that_is_too_long_is_cut_between_characters_but_not_before_accents() -> None:
    found = texts("e\u0301" * 2_000)
    assert "".join(found) == "e\u0301" * 2_000
    assert not any(text.startswith("\u0301") for text in found)


def test_a_row_of_accents_that_no_character_has_is_cut_as_any_text_is() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return count_tokens(text)

    body = "a" + "\u0301" * 5_000
    found = split(body, count_tokens=count, max_tokens=64)
    assert "".join(passage.text for passage in found) == body
    assert len(counted) < 20 * len(found)


def test_an_unknown_word_of_one_token_is_still_bounded_in_length() -> None:
    found = split("x" * 100_000, count_tokens=lambda text: 3, max_tokens=64)
    assert max(len(p.text) for p in found) <= 64 * 12


@pytest.mark.parametrize("unit", ["word ", "字", "x", "Short one. ", "a.", "| ", "- ", "\n", " : "])
def test_time_grows_with_length_and_not_with_its_square(unit: str) -> None:
    def seconds(length: int) -> float:
        body = (unit * length)[:length]
        # A collection costs as much as other tests have left behind.
        gc.disable()
        try:
            began = time.process_time()
            split(body, count_tokens=count_tokens, max_tokens=256)
            return time.process_time() - began
        finally:
            gc.enable()

    seconds(20_000)
    # Eight times the text: linear is 8, quadratic 64.
    assert seconds(320_000) < 24 * max(seconds(40_000), 0.01)


# --- the context ----------------------------------------------------------------------------------


def test_the_context_is_the_title_and_the_headings() -> None:
    assert passage_context("Care", "Boots > Wax", count_tokens, 64) == "Care\nBoots > Wax"


def test_a_first_heading_that_repeats_the_title_is_left_out() -> None:
    assert passage_context("Care", "Care > Wax", count_tokens, 64) == "Care\nWax"


def test_a_context_that_takes_too_much_loses_its_outer_headings_first() -> None:
    heading = f"{words(8)} > {words(8)} > Wax"
    assert passage_context("Care", heading, count_tokens, 48) == f"Care\n{words(8)} > Wax"


def test_a_title_that_takes_too_much_loses_its_last_words() -> None:
    assert passage_context(words(50), "Wax", count_tokens, 36) == words(10)
