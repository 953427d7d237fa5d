"""Reading questions whose route is known, and writing them as a hurried person would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backends.base import Message
from router.evaluation.labelled import read_labelled
from router.evaluation.lines import BadBenchmark, some_of
from router.evaluation.perturb import KINDS, perturbed
from router.policy import Route

F, B, H = Route.FACTUAL, Route.BEHAVIOURAL, Route.HYBRID
TEXT = "Could you please tell me how long the walking boots may be returned, in days?"


def file(folder: Path, *rows: Any) -> Path:
    path = folder / "rows.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("said", "route", "needs"),
    [
        ({"label": "factual"}, F, (True, False)),
        ({"label": "hybrid"}, H, (True, True)),
        ({"label": "behavioural"}, B, (False, True)),
        ({"label": "behavioural", "needs_manner": False}, B, (False, False)),
        ({"needs_facts": True, "needs_manner": True}, H, (True, True)),
        ({"needs_facts": False, "needs_manner": False}, B, (False, False)),
    ],
)
def test_a_row_says_its_label_or_what_it_needs(
    tmp_path: Path, said: dict[str, Any], route: Route, needs: tuple[bool, bool]
) -> None:
    [question] = read_labelled([file(tmp_path, {"text": "How?", **said})])

    row = question.row
    assert (row.route, (row.needs_facts, row.needs_manner)) == (route, needs)
    assert (question.conversation, row.source) == ((Message("user", "How?"),), "rows")


def test_a_conversation_may_have_parts_and_is_condensed_for_the_baselines(tmp_path: Path) -> None:
    turns = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "How many days of leave do employees in Spain take?"},
        {"role": "assistant", "content": "22 days."},
        {"role": "user", "content": [{"type": "text", "text": "And in France?"}]},
    ]

    [question] = read_labelled(
        [file(tmp_path, {"messages": turns, "label": "factual", "source": "s"})]
    )

    assert question.conversation[0] == Message("system", "Be brief.")
    assert question.conversation[-1] == Message("user", "And in France?")
    assert "leave" in question.row.text
    assert question.row.source == "s"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{broken", "this is not JSON"),
        ("[]", "a line must be a JSON object"),
        ({"label": "factual"}, "there is neither text nor messages"),
        ({"text": 3, "label": "factual"}, "text must be text"),
        ({"text": "a\0b", "label": "factual"}, "NUL"),
        ({"text": "How?"}, "the row needs a label"),
        ({"text": "How?", "needs_facts": True}, "the row needs a label"),
        ({"text": "How?", "label": "chat"}, "there is no label 'chat'; use factual,"),
        ({"text": "How?", "label": ["factual"]}, "there is no label"),
        ({"text": "How?", "label": "factual", "needs_facts": "yes"}, "needs_facts must be true"),
        ({"text": "How?", "label": "factual", "needs_manner": True}, "makes it hybrid"),
        ({"text": "x" * 1_000_001, "label": "factual"}, "at most 1000000 are read"),
        ({"messages": [{"role": "tool", "content": "x"}], "label": "factual"}, "needs a role"),
        ({"messages": [{"role": "user", "content": [{}]}], "label": "factual"}, "content that is"),
        (
            {"messages": [{"role": "assistant", "content": "x"}], "label": "factual"},
            "the last message must be the user's question",
        ),
    ],
)
def test_a_row_that_cannot_be_read_is_named_by_file_and_line(
    tmp_path: Path, row: Any, problem: str
) -> None:
    path = file(tmp_path, {"text": "How?", "label": "factual"}, "", row)

    with pytest.raises(BadBenchmark, match=r"rows\.jsonl:3: ") as refused:
        read_labelled([path])

    assert problem in str(refused.value)
    assert refused.value.field == "file"


def test_a_file_without_rows_is_refused_and_so_is_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadBenchmark, match="there are no rows in it"):
        read_labelled([file(tmp_path, "", "  ")])
    with pytest.raises(BadBenchmark, match=r"absent\.jsonl: cannot be read"):
        read_labelled([tmp_path / "absent.jsonl"])


def test_some_of_the_rows_are_always_the_same_ones_in_their_order() -> None:
    some = some_of(range(100), 10)

    assert (len(some), sorted(some), some) == (10, list(some), some_of(range(100), 10))
    assert list(some_of(range(3), 10)) == [0, 1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_disturbance_changes_the_text_and_is_the_same_every_time(kind: str) -> None:
    assert perturbed(kind, TEXT) != TEXT
    assert perturbed(kind, TEXT) == perturbed(kind, TEXT)


def test_casing_changes_letters_cases_alone_and_a_prefix_leaves_the_question_whole() -> None:
    assert perturbed("casing", TEXT).lower() == TEXT.lower()
    assert perturbed("prefix", TEXT).endswith(TEXT)


def test_punctuation_goes_but_not_from_inside_a_word() -> None:
    text = 'Is it true, that "v3.5" (it\'s at a.b@c.de) costs 1,000?'

    assert perturbed("punctuation", text) == "Is it true that v3.5 it's at a.b@c.de costs 1,000"


def test_about_one_word_of_ten_is_mistyped_and_no_first_letter() -> None:
    text = " ".join(["return"] * 100)

    words = perturbed("typos", text).split(" ")

    assert sum(word != "return" for word in words) == 10
    assert {word[0] for word in words} == {"r"}


@pytest.mark.parametrize("kind", ["typos", "casing", "punctuation"])
def test_what_cannot_be_disturbed_stays_as_it_is(kind: str) -> None:
    assert perturbed(kind, "42") == "42"
    assert perturbed(kind, "?!") == "?!"
