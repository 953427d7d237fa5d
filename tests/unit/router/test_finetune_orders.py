"""What is asked of fine-tuning is checked before anything starts."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from agents.care import NO_ANSWER
from backends.base import DocumentId, Message, Passage, PassageId
from backends.finetune.examples import Example
from router.config import Settings
from router.errors import InvalidRequest
from router.finetune.bases import Base, find_base
from router.finetune.forms import Form, read_form
from router.finetune.order import Order
from router.finetune.rows import INVENTED, NO_USE, UNCITED, doubts, rows_of, spec_of

SCHEMA = {
    "type": "object",
    "properties": {"department": {"enum": ["billing", "stores"]}},
    "required": ["department"],
}
ANYTHING = Form(None, lambda answer: "")


def base(context: int) -> Base:
    return Base(Path("base"), "tiny", "sha256:0", context, lambda turns: 1)


def asked(question: str, answer: str) -> Example:
    passage = "[1] The shop in Porto opens at 9:30 on Monday."
    return Example((Message("system", passage), Message("user", question)), answer)


@pytest.mark.parametrize("name", ["", "Tickets", "1st", "a b", "x" * 64])
def test_an_adapter_needs_a_name_that_servers_take(name: str) -> None:
    with pytest.raises(InvalidRequest, match="is no name of an adapter"):
        Order(Path("data.jsonl"), name)


def test_something_must_be_learnt_from() -> None:
    with pytest.raises(InvalidRequest, match="Name a file of examples"):
        Order(None, "tickets")


def test_instructions_are_read_and_must_say_something(tmp_path: Path) -> None:
    file = tmp_path / "system.txt"
    order = Order(Path("data.jsonl"), "tickets", system=file)
    with pytest.raises(InvalidRequest, match="cannot be read"):
        order.instructions()
    file.write_text("  \n")
    with pytest.raises(InvalidRequest, match="is empty"):
        order.instructions()
    file.write_bytes(b"\xef\xbb\xbfBe brief.\n")
    assert order.instructions() == "Be brief."


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"type": "objekt"}', "[" * 100_000])
def test_a_schema_must_be_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "schema.json"
    file.write_text(text)
    with pytest.raises(InvalidRequest, match="schema"):
        read_form(file)


def test_answers_are_held_to_the_schema(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(SCHEMA))
    fits = read_form(file).fits
    assert fits('{"department": "stores"}') == ""
    assert "as its schema says: at department" in fits('{"department": "kitchen"}')
    assert "not the JSON" in fits("stores")
    assert "in a fence" in fits('```json\n{"department": "stores"}\n```')


async def test_a_base_that_is_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no base 'nowhere'"):
        await find_base("nowhere", tmp_path, lambda event: None)


def test_a_base_that_reads_little_reads_single_sentences() -> None:
    order = Order(Path("data.jsonl"), "tickets")
    little, much = spec_of(order, base(1024)), spec_of(order, base(32_768))
    assert (little.prompting, little.evidence_characters) == ("bare", 2048)
    assert (much.prompting, much.evidence_characters) == ("instructed", 12_000)


def test_a_teachers_answer_is_doubted_for_what_nobody_stated() -> None:
    doubt = doubts(ANYTHING, {})
    assert doubt(asked("When does Porto open?", "It opens at 9:30 on Monday. [1]")) == ""
    assert doubt(asked("When does Porto open?", "It opens at 10:15 on Monday. [1]")) == INVENTED
    assert doubt(asked("When does Porto open?", f"{NO_ANSWER}.")) == NO_USE


def test_a_teachers_marks_must_verify() -> None:
    right = asked("When?", "The shop in Porto opens at 9:30 on Monday. [1]")
    text = "The shop in Porto opens at 9:30 on Monday."
    one = Passage(PassageId("p"), DocumentId("d"), "t", "s", 1, 0, 0, len(text), text)
    doubt = doubts(ANYTHING, {right.prompt: (one,)})
    assert doubt(right) == ""
    assert doubt(replace(right, answer="The shop in Porto opens at 9:30 on Monday.")) == UNCITED
    assert doubt(replace(right, answer="The shop in Porto opens at 9:30 on Monday. [2]")) == UNCITED


def test_rows_for_raft_or_a_teacher_must_be_readable(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("nothing\n")
    order = Order(data, "tickets", raft=tmp_path)
    made = rows_of(order, Settings(home=tmp_path), ANYTHING, base(1024), lambda event: None)
    with pytest.raises(InvalidRequest, match=r"data\.jsonl:1: not JSON"):
        asyncio.run(made)


async def test_rows_of_a_file_are_taken_as_they_are(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    order = Order(data, "tickets")
    rows = await rows_of(order, Settings(home=tmp_path), ANYTHING, base(1024), lambda event: None)
    assert (rows.path, rows.made) == (data, {})
