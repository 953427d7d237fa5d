"""What is carried over from a conversation, and what is not, in conversations of many fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.base import Evidence, Task
from agents.condense import condensed
from agents.evidence import abstention
from agents.focus import MAX_CARRIED_WORDS
from backends.base import Message
from backends.principals import parse_principals

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data/conversations.jsonl").read_text().splitlines()
]


def talk(*turns: str) -> list[Message]:
    return [Message("assistant" if i % 2 else "user", turn) for i, turn in enumerate(turns)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["turns"][-1])
def test_a_turn_takes_along_what_it_needs_and_nothing_else(case: dict[str, Any]) -> None:
    found = condensed(talk(*case["turns"]))

    searched = f"{found.question} {found.carried}".lower()
    assert [words for words in case["carries"] if words.lower() not in searched] == []
    assert [words for words in case["leaves"] if words.lower() in searched] == []


def test_a_name_that_the_assistant_gave_is_part_of_the_question() -> None:
    turns = talk(
        "I want a room near the office.", "The Hobsons House has three stars.", "Is it clean?"
    )

    assert condensed(turns).question == "Is it clean? (Hobsons House)"


def test_a_wish_is_not_repeated_once_a_name_stands_for_it() -> None:
    turns = talk("Which lamp is best?", "The Alto Lamp.", "Is it heavy?")

    assert condensed(turns).question == "Which lamp is best? Is it heavy? (Alto Lamp)"


def test_an_abstention_names_nothing_that_a_later_turn_could_mean() -> None:
    asked = "How long is a gift card valid"
    evidence = Evidence(asked, (), sufficient=False, support=0.0)
    task = Task(asked, (), principals=parse_principals("everyone"))
    turns = talk(f"{asked}?", abstention(task, evidence).text, "Do they expire?")

    found = condensed(turns)
    assert found.question == f"{asked}? Do they expire?"
    assert found.carried == ""


def test_what_is_carried_is_bounded() -> None:
    turns = talk(
        *["The Blue Harbour Company sells lamps, chairs and tables. " * 500] * 8, "Is it big?"
    )

    assert len(condensed(turns).carried) <= MAX_CARRIED_WORDS
    assert len(condensed(turns).question) < 2_000
