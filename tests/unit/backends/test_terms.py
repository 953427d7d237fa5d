"""What BM25 makes of texts."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.base import NewPassage
from backends.terms import (
    DIMENSIONS,
    inverse_document_frequency,
    passage_weights,
    question_terms,
    words,
    words_among,
)


def test_forms_of_a_word_are_one_term() -> None:
    assert question_terms("reimbursed") == question_terms("Reimbursements")


def test_stop_words_are_no_terms() -> None:
    assert list(question_terms("what is it that we do?")) == []


def test_a_term_counts_once_in_a_question() -> None:
    assert len(question_terms("zebra Zebra zebras")) == 1


def test_the_parts_of_a_code_are_terms() -> None:
    assert list(question_terms("TT-4471")) == [*question_terms("tt"), *question_terms("4471")]


def test_a_word_within_a_run_of_characters_shares_a_term() -> None:
    assert set(question_terms("旅費")) <= set(question_terms("出張の旅費は月末"))


def test_latin_within_a_run_of_characters_is_a_term() -> None:
    assert set(question_terms("pto")) <= set(question_terms("年假PTO政策"))


def test_a_question_gives_a_bounded_number_of_terms() -> None:
    assert len(question_terms(" ".join(f"w{number}" for number in range(10_000)))) == 4_096


@given(st.text())
def test_any_text_gives_places_within_the_vector(text: str) -> None:
    assert all(1 <= term <= DIMENSIONS for term in question_terms(text))


@given(st.text())
def test_any_passage_gives_weights_above_zero_and_below_the_limit(text: str) -> None:
    (weights,) = passage_weights("", [NewPassage(0, len(text), text)])
    assert all(0 < weight < 2.2 for weight in weights.values())


def test_the_hash_is_the_same_in_every_process() -> None:
    program = "from backends.terms import question_terms; print(question_terms('zebra'))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == str(question_terms("zebra"))


def test_a_term_that_occurs_more_often_weighs_more_but_not_twice_as_much() -> None:
    once, twice = passage_weights(
        "", [NewPassage(0, 11, "zebra lunch"), NewPassage(0, 11, "zebra zebra")]
    )
    (zebra,) = question_terms("zebra")
    assert once[zebra] < twice[zebra] < 2 * once[zebra]


def test_a_term_weighs_less_in_a_longer_passage() -> None:
    long = "zebra " + "lunch " * 200
    short, longer = passage_weights("", [NewPassage(0, 5, "zebra"), NewPassage(0, len(long), long)])
    (zebra,) = question_terms("zebra")
    assert longer[zebra] < short[zebra]


def test_a_word_of_title_and_heading_counts_once() -> None:
    passage = NewPassage(0, 5, "lunch", heading="zebra zebra")
    (weights,) = passage_weights("zebra", [passage])
    (same,) = passage_weights("", [NewPassage(0, 11, "lunch zebra")])
    assert weights == same


@pytest.mark.parametrize(("passages", "with_term"), [(1, 1), (10, 10), (10, 1), (0, 0)])
def test_the_inverse_document_frequency_is_never_negative(passages: int, with_term: int) -> None:
    assert inverse_document_frequency(passages, with_term) >= 0


def test_words_looked_for_are_those_of_the_whole_text_that_match() -> None:
    text = "Returning boots: the return of a boot, returned in May. Boats turn."
    wanted = frozenset(words("When may boots be returned?"))

    found = words_among([text, ""], wanted)

    assert found == [[term for term in words(text) if term in wanted], []]
    assert "boot" in found[0]
