"""The standalone question."""

from __future__ import annotations

import pytest

from agents.condense import condense
from backends.base import Message

LEAVE = "How many days of annual leave do I get in Germany?"


def talk(*turns: str) -> list[Message]:
    return [Message("assistant" if i % 2 else "user", turn) for i, turn in enumerate(turns)]


def test_a_first_question_stays_as_it_is() -> None:
    assert condense(talk(LEAVE)) == LEAVE


def test_a_question_of_its_own_stays_as_it_is_in_a_conversation() -> None:
    turns = talk(LEAVE, "30 days.", "When do the shops close on 24 December?")

    assert condense(turns) == "When do the shops close on 24 December?"


def test_a_swapped_detail_is_exchanged_in_the_question_before() -> None:
    turns = talk(LEAVE, "30 days.", "And in France?")

    assert condense(turns) == "How many days of annual leave do I get in France?"


def test_a_detail_of_several_words_is_exchanged_whole() -> None:
    turns = talk("How many leave days are there in the United Kingdom?", "26.", "and in Spain?")

    assert condense(turns) == "How many leave days are there in Spain?"


def test_a_new_detail_is_added_to_the_question_before() -> None:
    turns = talk("How long may I return boots?", "45 days.", "And for gift cards?")

    assert condense(turns) == "How long may I return boots for gift cards?"


def test_a_new_topic_after_what_about_keeps_the_question_before() -> None:
    turns = talk("How long is the return period?", "45 days.", "What about gift cards?")

    assert condense(turns) == "How long is the return period: gift cards?"


def test_a_turn_that_points_back_takes_the_question_before_along() -> None:
    turns = talk("How long may I return boots?", "45 days.", "Does that include sale items?")

    assert condense(turns) == "How long may I return boots? Does that include sale items?"


@pytest.mark.parametrize("turn", ["Make it friendlier", "Shorter, please.", "Translate that."])
def test_a_wish_about_the_answer_takes_the_answer_along(turn: str) -> None:
    turns = talk(LEAVE, "You get 30 days.", turn)

    assert condense(turns) == f"{turn}\n\n“You get 30 days.”"


def test_a_long_turn_brings_its_own_context() -> None:
    pasted = "Does this hold? " + "It is a long text. " * 40

    assert condense(talk(LEAVE, "30 days.", pasted)) == pasted.strip()


def test_system_messages_are_not_mistaken_for_questions() -> None:
    turns = [Message("system", "Be brief."), Message("user", "And in France?")]

    assert condense(turns) == "And in France?"
