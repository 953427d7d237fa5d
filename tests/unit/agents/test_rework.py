"""Wishes about what was just said, told from those that ask for more."""

from __future__ import annotations

import pytest

from agents.condense import condense, condensed
from backends.base import Message

ASKED = "What is the notice period during probation?"
ANSWER = "Two weeks, on any day; the numbers are in your contract."


def after(turn: str, *, asked: str = ASKED, answer: str = ANSWER) -> str:
    return condense([Message("user", asked), Message("assistant", answer), Message("user", turn)])


@pytest.mark.parametrize(
    "turn",
    [
        "Could you put that more simply?",
        "I want it funnier",
        "too formal",
        "spanish please",
        "same in Italian",
        "without the jargon",
        "like a pirate",
        "Summarise the above",
        "shorten the answer",
        "Explain that to my grandma",
        "put the numbers in a table",
        "Turn this into a mail to my boss",
        "Can I have this as an email for Tom?",
        "Put that on a sign for the door",
        "Draft a short reminder on that basis.",
        "Reply to our customer with that, very kindly",
        "I don't understand those words, say it simply",
        "Less stiff, and mention that I like tea",
        "Once more, with an everyday comparison?",
        "Formuliere das bitte etwas freundlicher",
        "plus court s'il te plaît",
        "en español por favor",
    ],
)
def test_a_wish_about_the_answer_has_it_for_its_material(turn: str) -> None:
    assert after(turn) == f"{turn}\n\n“{ANSWER}”"


@pytest.mark.parametrize(
    "turn",
    [
        "Make it a mail that says what it costs",
        "and the price, in one cheerful sentence",
        "Write an email about it saying when it starts",
        "Make it shorter and add the price",
        "And the trial period for apprentices, as a poem",
        "Put the holidays in a table",
        "Explain the rules for leave, simply",
        "In a letter?",
        "Write a tweet about our canteen",
        "Put this on my calendar",
    ],
)
def test_a_wish_for_more_than_the_answer_is_none_about_it(turn: str) -> None:
    assert ANSWER not in after(turn)


def test_a_language_may_be_the_detail_that_was_asked_about() -> None:
    asked = "Is the handbook there in English?"

    assert after("And in German?", asked=asked) == "Is the handbook there in German?"
    assert after("In German, please", asked=asked).endswith(f"“{ANSWER}”")


@pytest.mark.parametrize(
    ("asked", "turn"),
    [
        (
            "Check my mail: Hello Tom, I has sent you the files yesterday.",
            "What was wrong with it?",
        ),
        ("Proofread: 'Their going to meet us at the cafe'", "Explain the mistakes"),
        ("Polish this: we sings every Tuesday in the old station hall.", "Is that too formal now?"),
    ],
)
def test_a_question_about_a_text_of_the_users_takes_that_text_along(asked: str, turn: str) -> None:
    assert after(turn, asked=asked) == f"{turn}\n\n“{asked}”"


@pytest.mark.parametrize(
    ("asked", "turn"),
    [
        ("Pretend you are a vending machine with feelings.", "What else is in you?"),
        ("Act as my interviewer for a job as a tram driver.", "I like the city in the morning."),
        ("Invent a planet where gravity is shy", "What do the inhabitants eat?"),
        ("I'd like a bedtime story about a snail", "And then?"),
    ],
)
def test_a_turn_within_a_role_or_an_invention_takes_it_along(asked: str, turn: str) -> None:
    found = condensed(
        [Message("user", asked), Message("assistant", "Well…"), Message("user", turn)]
    )

    assert found.question == f"{asked} {turn}"
    assert not found.leans


@pytest.mark.parametrize(
    "turn", ["How many sick days do we get?", "What is the limit for gifts?", "Thanks, bye!"]
)
def test_a_turn_that_leaves_a_role_stands_alone(turn: str) -> None:
    assert after(turn, asked="Pretend you are a vending machine with feelings.") == turn
