"""Answers that would not end by themselves."""

from __future__ import annotations

import pytest

from agents.limits import CHARACTERS_A_TOKEN, MAX_CHARACTERS, AnswerLimit, goes_round


def _fed(limit: AnswerLimit, piece: str, times: int) -> str:
    return "".join(limit.feed(piece) for _ in range(times))


def test_an_answer_of_any_words_ends_at_the_limit() -> None:
    limit = AnswerLimit()
    said = "".join(limit.feed(f"{number} ") for number in range(100_000))
    assert len(said) == MAX_CHARACTERS
    assert limit.why == "The answer was cut because the model did not come to an end."


def test_a_server_that_ignores_the_token_limit_is_stopped() -> None:
    limit = AnswerLimit(max_tokens=10)
    assert len("".join(limit.feed(f"{number} ") for number in range(1_000))) == (
        10 * CHARACTERS_A_TOKEN
    )


@pytest.mark.parametrize("piece", ["no end in sight. ", "ha", "A sentence of some length. " * 3])
def test_an_answer_that_goes_round_is_cut(piece: str) -> None:
    limit = AnswerLimit()
    said = _fed(limit, piece, 2_000)
    assert len(said) < 2_000
    assert limit.why == "The answer was cut because the model repeated itself."


@pytest.mark.parametrize(
    "text",
    [
        "-" * 2_000,
        "| --- | --- |\n" * 100,
        " " * 2_000,
        "".join(f"{number}. Item number {number}\n" for number in range(200)),
        "ha" * 40,
    ],
)
def test_lines_lists_and_short_repetitions_are_no_circle(text: str) -> None:
    assert not goes_round(text)


def test_an_ordinary_answer_passes_whole() -> None:
    limit = AnswerLimit(max_tokens=400)
    text = "Customers may return boots within 45 days. " * 3
    assert (limit.feed(text), limit.why) == (text, None)
