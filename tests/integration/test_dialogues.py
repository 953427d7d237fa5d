"""Turns of conversations, through the path that questions take."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from backends.base import Message
from router.app import open_decisions
from router.config import Settings
from router.evaluation.labelled import LabelledQuestion, read_labelled
from router.evaluation.routing import decide
from router.policy import Route
from router.tuning.training import training_rows

ANSWER = (
    "You are entitled to 28 working days of leave in a calendar year [1]. Part-time staff get a "
    "share of that in proportion to their hours [1]. Leave is requested through the portal, at "
    "least two weeks before it begins, and your lead answers within five working days [2]. "
) * 4
ODD, EVEN = 0.94, 0.84
"""Accuracy at least, of each half of the lines; a floor a little under what is reached."""


@pytest.fixture(scope="module")
def dialogues() -> list[LabelledQuestion]:
    path = Path(str(files("router.tuning") / "examples" / "dialogues.jsonl"))
    return list(read_labelled([path]))


def test_dialogues_ask_for_every_route_after_at_least_one_answer(
    dialogues: list[LabelledQuestion],
) -> None:
    routes = Counter(one.row.route for one in dialogues)

    assert len(dialogues) >= 150
    assert min(routes[route] for route in Route) >= 25
    assert all(len(one.conversation) >= 3 for one in dialogues)
    assert len({one.conversation for one in dialogues}) == len(dialogues)


def test_no_dialogue_is_trained_on(dialogues: list[LabelledQuestion]) -> None:
    trained = {row.text.casefold() for row in training_rows(None)}
    own = {one.conversation[-1].content.casefold() for one in dialogues}

    assert {turn for turn in own & trained if len(turn.split()) > 4} == set()


async def test_turns_of_conversations_go_where_they_should(
    dialogues: list[LabelledQuestion], tmp_path: Path
) -> None:
    async with open_decisions(Settings(home=tmp_path)) as steps:
        routes = [(await decide(steps, one.conversation)).route for one in dialogues]
    right = [route is one.row.route for route, one in zip(routes, dialogues, strict=True)]

    # Rules were made for the odd lines; the even ones say more about other conversations.
    assert sum(right[::2]) / len(right[::2]) >= ODD
    assert sum(right[1::2]) / len(right[1::2]) >= EVEN


@pytest.mark.parametrize(
    "turn", ["Make it friendlier", "shorter please", "in German", "as a table"]
)
async def test_a_wish_about_a_long_answer_looks_nothing_up(turn: str, tmp_path: Path) -> None:
    asked = "How many days of leave do I get?"
    conversation = (Message("user", asked), Message("assistant", ANSWER), Message("user", turn))

    async with open_decisions(Settings(home=tmp_path)) as steps:
        decision = await decide(steps, conversation)

    assert decision.route is Route.BEHAVIOURAL
    assert decision.needs_manner > 0.5
