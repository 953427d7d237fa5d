"""A teacher's answers: kept where nothing speaks against them, remembered over runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.base import Message
from backends.errors import Garbled, Refused, Unavailable
from backends.finetune.distil import CUT_OFF, EMPTY, REFUSED, Teaching, distil
from backends.finetune.examples import Example, Problem, read_examples
from backends.generation import GenerationRequest
from backends.memory.generator import Script, ScriptedGenerator

ROWS = [Example((Message("user", f"question {number}"),), "") for number in range(20)]


def echo(request: GenerationRequest) -> str:
    return f" Answer to {request.question}. "


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines())


def no_doubt(example: Example) -> str:
    return ""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "work" / "answers.jsonl"


async def test_answers_become_the_targets_in_the_order_of_the_rows(cache: Path) -> None:
    teacher = ScriptedGenerator(echo)
    told: list[tuple[int, int]] = []
    found = await distil(ROWS, teacher, Teaching(cache, no_doubt), lambda *at: told.append(at))
    assert [one.answer for one in found.examples] == [f"Answer to question {n}." for n in range(20)]
    assert sorted(told) == [(number, 20) for number in range(1, 21)]
    assert found.as_json() == {"asked": 20, "remembered": 0, "kept": 20, "dropped": {}}
    assert {one.sampling.temperature for one in teacher.requests} == {0.0}


async def test_what_was_answered_once_is_not_asked_again(cache: Path) -> None:
    await distil(ROWS[:12], ScriptedGenerator(echo), Teaching(cache, no_doubt))
    with cache.open("a") as file:
        file.write('{"mark": "cut off by the e')
    again = ScriptedGenerator(echo)
    found = await distil(ROWS, again, Teaching(cache, no_doubt))
    assert len(again.requests) == 8
    assert found.remembered == 12
    assert len(found.examples) == 20


async def test_another_model_is_asked_anew(cache: Path) -> None:
    await distil(ROWS, ScriptedGenerator(echo, model="one"), Teaching(cache, no_doubt))
    other = ScriptedGenerator(echo, model="other")
    await distil(ROWS, other, Teaching(cache, no_doubt))
    assert len(other.requests) == 20


async def test_a_teacher_that_goes_away_leaves_what_it_said(cache: Path) -> None:
    said = 0

    def rule(request: GenerationRequest) -> Script | str:
        nonlocal said
        said += 1
        if said > 5:
            return Script(fails_with=Unavailable("gone", backend="model server"))
        return echo(request)

    with pytest.raises(Unavailable, match="gone"):
        await distil(ROWS, ScriptedGenerator(rule), Teaching(cache, no_doubt))
    kept = lines_of(cache)
    assert kept >= 5
    again = ScriptedGenerator(echo)
    await distil(ROWS, again, Teaching(cache, no_doubt))
    assert len(again.requests) == 20 - kept


async def test_bad_answers_are_dropped_and_counted_by_reason(cache: Path) -> None:
    answers: dict[str, Script | str] = {
        "question 0": " ",
        "question 1": Script(text="and so on and", finish_reason="length"),
        "question 2": Script(fails_with=Refused("too long", backend="model server", status=400)),
        "question 3": Script(fails_with=Garbled("nonsense", backend="model server")),
        "question 4": "It costs 99 euros.",
    }

    def doubt(example: Example) -> str:
        return "invented" if "99" in example.answer else ""

    teacher = ScriptedGenerator(lambda request: answers.get(request.question, "Fine."))
    found = await distil(ROWS, teacher, Teaching(cache, doubt))
    assert found.dropped == {REFUSED: 2, EMPTY: 1, CUT_OFF: 1, "invented": 1}
    assert len(found.examples) == 15


async def test_a_wrong_name_of_the_teacher_is_an_error(cache: Path) -> None:
    def rule(request: GenerationRequest) -> Script:
        return Script(fails_with=Refused("no such model", backend="model server", status=404))

    with pytest.raises(Refused, match="no such model"):
        await distil(ROWS, ScriptedGenerator(rule), Teaching(cache, no_doubt))


def test_rows_for_a_teacher_need_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps({"messages": [{"role": "user", "content": "hello"}]}) + "\n")
    (with_teacher,) = read_examples(path, unanswered=True)
    (alone,) = read_examples(path)
    assert with_teacher == Example((Message("user", "hello"),), "", 1)
    assert isinstance(alone, Problem)
