"""What to find, without how to say it."""

from __future__ import annotations

import pytest

from agents.manner import without_manner


@pytest.mark.parametrize(
    ("question", "sought"),
    [
        (
            "Write a friendly reply to a customer asking how long they may return boots",
            "how long they may return boots",
        ),
        ("Explain the returns policy in a cheerful tone", "Explain the returns policy"),
        ("Describe our gift cards like a pirate would", "Describe our gift cards"),
        ("Draft a short email about the staff discount", "the staff discount"),
        ("What is the staff discount, in bullet points?", "What is the staff discount, ?"),
    ],
)
def test_phrases_that_only_say_how_to_answer_are_left_out(question: str, sought: str) -> None:
    assert without_manner(question).strip(" ?,") == sought.strip(" ?,")


def test_a_question_without_a_manner_stays_as_it_is() -> None:
    question = "How many days of annual leave do I get in Germany?"

    assert without_manner(question) == question


def test_a_question_that_is_all_manner_stays_whole() -> None:
    assert without_manner("Write a poem") == "Write a poem"
