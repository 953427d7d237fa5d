"""Facts of an answer that no source states are found, in whatever form the sources have them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.fidelity import UNFILLED, FactGuard, facts_kept, invented
from agents.sources import Sources

PASSAGES = (
    "Customers may return unworn items within 45 days of delivery for a full refund. It costs "
    "€1,200.00 or €3.50. Items bought between 1 and 16 December 2025 may be returned until "
    "31 January. Boots have twelve months. The shop opens 9–11 am and at 17:00 on Mondays.",
    "Salaries reach 1.5 million. Write to help@shop.example about order AB-123. Tarn & Teasel has "
    "shops in Germany. The rule holds from 1 February. The third day is free.",
)


def _texts(answer: str) -> list[str]:
    return [one.text for one in invented(answer, Sources(PASSAGES))]


def test_days_and_months_in_small_letters_are_stated() -> None:
    typed = Sources(["the heating is dead since monday, fine on 3 february, may i complain?"])
    assert invented("It has been cold since Monday, and was fine on 3 February.", typed) == ()
    assert [one.text for one in invented("It was fine in May, until Tuesday.", typed)] == [
        "May",
        "Tuesday",
    ]


@pytest.mark.parametrize(
    "answer",
    [
        "You have 45 days.",
        "You have forty-five days.",
        "That is 1200 euros, or EUR 1 200.00.".replace("1 200", "1,200"),
        "It takes 12 months.",
        "Send them by January 31st.",
        "On 12/16/2025, on 16.12.2025, or on 1 December 2025.",
        "Bis zum 31. Januar, ab dem 1. Februar.",
        "We open at 9 am, and at 5 pm on Monday.",
        "It is 1,500,000 or 1.5m.",
        "Ask about AB-123, or write to HELP@shop.example.",
        "Here are three things to know: the 3rd day is free.",
        "Hi there, Anna! Unfortunately we cannot. Warm regards, Your Team",
    ],
)
def test_what_the_sources_say_in_another_form_is_not_invented(answer: str) -> None:
    assert [one for one in invented(answer, Sources(PASSAGES)) if one.kind != "name"] == []


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("You have 30 days, 45 at most.", ["30"]),
        ("You have thirty days.", ["thirty"]),
        ("A hundred and five euros.", ["A hundred and five"]),
        ("By 31 January 2026, or 15 December.", ["31 January 2026", "15 December"]),
        ("We open at 6 pm on Sunday.", ["6 pm", "Sunday"]),
        ("Order AB-124.", ["AB-124"]),
        ("Ask Peter Miller in Germany.", ["Peter Miller"]),
        (f"It takes {UNFILLED} days.", [UNFILLED]),
    ],
)
def test_what_no_source_says_is_found(answer: str, found: list[str]) -> None:
    assert _texts(answer) == found


@pytest.mark.parametrize("passage", PASSAGES)
def test_a_source_invents_nothing(passage: str) -> None:
    assert _texts(passage) == []


@given(st.text(max_size=200))
def test_no_text_invents_what_it_says_itself(text: str) -> None:
    assert invented(text, Sources([text])) == ()


def test_an_invented_fact_says_where_it_stands() -> None:
    answer = "You have 45 days, and 99 more."
    (one,) = invented(answer, Sources(PASSAGES))
    assert answer[one.start : one.end] == one.text == "99"


def test_kept_facts_are_counted_in_any_form() -> None:
    assert facts_kept("It costs €3.50 from 1 May.", "From May 1st, 3.5 euros.") == 1.0
    assert facts_kept("It costs €3.50 from 1 May.", "From May 1st.") == 0.5
    assert facts_kept("It is free.", "Anything.") == 1.0


def _guarded(answer: str) -> tuple[str, FactGuard]:
    guard = FactGuard(Sources(PASSAGES))
    pieces = [guard.feed(piece) for piece in re.findall(r"\s*\S{1,3}|\s+", answer)]
    return "".join(pieces) + guard.close(), guard


def test_a_sentence_with_an_invented_fact_is_taken_out_with_its_mark() -> None:
    shown, guard = _guarded("Hi Anna! You have 45 days [1]. Then 30 more. [2] See you soon.")
    assert shown == "Hi Anna! You have 45 days [1]. See you soon."
    assert guard.doubts.note == "A statement was removed that the documents do not hold: “30”."


def test_an_item_with_an_invented_fact_leaves_no_empty_line() -> None:
    shown, _ = _guarded("Good news:\n\n- 45 days [1].\n- 30 days [1].\n- 12 months [1].\n\nBye")
    assert shown == "Good news:\n\n- 45 days [1].\n- 12 months [1].\n\nBye"


def test_an_answer_that_would_vanish_stays_and_is_told_of() -> None:
    shown, guard = _guarded("You have 30 days [1].")
    assert shown == "You have 30 days [1]."
    assert guard.doubts.note == "The documents do not state: “30”."


def test_an_invented_name_stays_and_is_told_of_where_a_source_is_claimed() -> None:
    shown, guard = _guarded("Dear Anna, ask Peter Miller within 45 days [1]. Yours, Tom Brown")
    assert shown == "Dear Anna, ask Peter Miller within 45 days [1]. Yours, Tom Brown"
    assert guard.doubts.names == ["Anna", "Peter Miller"]


def test_an_answer_in_pieces_is_guarded_as_the_whole_one() -> None:
    answer = "It costs €3.50 [1]! Dr. Miller said e.g. 17:00? 99 no. Yes [2, 3]. \n\n1. 45 days\n"
    guard = FactGuard(Sources(PASSAGES))
    assert _guarded(answer)[0] == guard.feed(answer) + guard.close()


def test_a_sentence_is_let_go_as_soon_as_the_next_one_begins() -> None:
    guard = FactGuard(Sources(PASSAGES))
    assert guard.feed("You have 45 days.") == ""
    assert guard.feed(" [1]") == ""
    assert guard.feed(" Then") == "You have 45 days. [1] "


def test_nothing_is_held_without_end() -> None:
    guard = FactGuard(Sources(PASSAGES))
    shown = "".join(guard.feed("and on ") for _ in range(1_000))
    assert len(shown) > 4_000
    assert len(shown + guard.close()) == 7_000
