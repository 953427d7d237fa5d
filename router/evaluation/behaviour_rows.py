"""Reads rows that an adapter is measured on: what is asked, and what a person answered.

One JSON object a line:

- ``messages`` of a chat that ends with the assistant's answer, which is the reference, as OpenAI's
  API and TRL have them;
- ``evidence``, which may be absent: the sentences that a hybrid answer rests on. Where it is absent
  and the user's turn ends with lines ``[1] …``, ``[2] …``, as bare prompting writes them, it is
  those;
- ``style``, which may be absent: one that the written pairs know, such as ``formal``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from backends.base import Message
from router.errors import InvalidRequest
from router.evaluation.held_out import STYLES, BehaviourRow
from router.evaluation.lines import (
    BadBenchmark,
    checked,
    read_conversation,
    read_objects,
    read_text,
)
from router.request import read_request


def read_rows(path: Path) -> Sequence[BehaviourRow]:
    """Read the rows of a file.

    Raises:
        BadBenchmark: The file is missing or empty, or a row is not what it should be; the message
            names file and line.
    """
    rows = [_row(where, row) for where, row in read_objects(path)]
    if not rows:
        raise BadBenchmark(str(path), "there are no rows in it")
    return rows


def _row(where: str, row: Mapping[str, Any]) -> BehaviourRow:
    turns = row.get("messages")
    last = turns[-1] if isinstance(turns, list) and turns else None
    answer = last.get("content") if isinstance(last, dict) else None
    if not isinstance(last, dict) or last.get("role") != "assistant":
        raise BadBenchmark(
            where, "there is no reference; messages must end with the assistant's answer"
        )
    if not isinstance(answer, str) or not answer.strip():
        raise BadBenchmark(where, "the reference must be a text that is not empty")
    assert isinstance(turns, list), "its last element was found"
    conversation = read_conversation(where, {"messages": turns[:-1]}) if turns[:-1] else ()
    if not conversation:
        raise BadBenchmark(where, "nobody asks anything; messages must begin with the user's turn")
    try:
        read_request(conversation)
    except InvalidRequest as error:
        raise BadBenchmark(where, str(error)) from error
    style = read_text(where, row, "style")
    if style and style not in STYLES:
        raise BadBenchmark(where, f"there is no style {style!r}; use {', '.join(STYLES)}")
    evidence = _evidence(where, row)
    if not evidence:
        conversation, evidence = _apart(conversation)
    return BehaviourRow(conversation, checked(where, "the reference", answer), evidence, style)


def _evidence(where: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    given = row.get("evidence") or []
    if not isinstance(given, list) or not all(
        isinstance(one, str) and one.strip() for one in given
    ):
        raise BadBenchmark(where, "evidence must be a list of texts")
    return tuple(checked(where, "evidence", one) for one in given)


def _apart(conversation: tuple[Message, ...]) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    """Take numbered sentences at the end of the last turn for the evidence that they are."""
    *before, last = conversation
    wish, _, block = last.content.rpartition("\n\n")
    found = _NUMBERED.findall(block)
    numbers = [int(number) for number, _ in found]
    whole = len(found) == len(block.strip().splitlines())
    if not wish.strip() or not found or not whole or numbers != [*range(1, len(found) + 1)]:
        return conversation, ()
    evidence = tuple(sentence for _, sentence in found)
    return (*before, replace(last, content=wish)), evidence


_NUMBERED: Final = re.compile(r"^\[(\d{1,2})\][ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
