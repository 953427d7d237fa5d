"""A statement that strays from the line it cites becomes that line."""

from __future__ import annotations

import pytest

from agents.repeating import MAX_HELD, LineGuard

LINES = ("Staff purchases are limited to €2,500 per year.", "Members pay no delivery fee.")


def guarded(answer: str, size: int = 1) -> str:
    guard = LineGuard(LINES)
    pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
    return "".join(map(guard.feed, pieces)) + guard.close()


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_statement_with_a_strange_word_becomes_its_line(size: int) -> None:
    said = "Welcome! Here it is:\n- Staff pots are limited to €2,500 per year [1]\nWarm regards"
    wanted = (
        "Welcome! Here it is:\n- Staff purchases are limited to €2,500 per year [1]\nWarm regards"
    )
    assert guarded(said, size) == wanted


@pytest.mark.parametrize(
    "said",
    [
        "Hello, thank you. Members pay no delivery fee [2]. Warm regards, your team",
        "Good news: you pay no delivery fee [2].",
        "No delivery fee, please note [2]",
        "Nothing is cited. Pots are blue.",
        "A mark of nothing [7], and rows[0] of code.",
    ],
)
def test_what_repeats_its_line_or_cites_none_stays(said: str) -> None:
    assert guarded(said) == said


def test_only_the_statement_before_the_mark_is_changed() -> None:
    said = "Hello dear customer. Members pay no shipping tax [2]. Purchases are limited [1]."
    assert (
        guarded(said)
        == "Hello dear customer. Members pay no delivery fee [2]. Purchases are limited [1]."
    )


def test_each_mark_is_held_to_its_own_line() -> None:
    said = "Members pay no delivery fee [1]. Members pay no delivery fee [2]."
    assert guarded(said) == f"{LINES[0][:-1]} [1]. Members pay no delivery fee [2]."


def test_a_finished_sentence_is_not_held_back() -> None:
    guard = LineGuard(LINES)
    assert guard.feed("Hello there. How") == "Hello there. "


def test_what_never_ends_is_not_held_for_ever() -> None:
    guard = LineGuard(LINES)
    assert len(guard.feed("word " * MAX_HELD)) == 5 * MAX_HELD
