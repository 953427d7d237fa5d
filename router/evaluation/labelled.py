"""Reads questions whose route is known: one JSON object a line.

- ``text``, or ``messages`` of a conversation that ends in the question, as OpenAI's API has them;
- ``label``: ``behavioural``, ``factual`` or ``hybrid``; or ``needs_facts`` and ``needs_manner``,
  true or false, from which it follows;
- ``source`` (or ``domain``), which may be absent: where the row comes from.

A ``behavioural`` row that says no more counts as one that needs manner; small talk, which needs
neither, says ``"needs_manner": false``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.condense import condensed
from backends.base import Message
from router.errors import InvalidRequest
from router.evaluation.lines import BadBenchmark, read_conversation, read_objects, read_text
from router.policy import Route
from router.request import read_request
from router.tuning.rows import Row


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question with its conversation, and what it needs.

    Attributes:
        row: Its text is the standalone question by rules, which is what the baselines read.
    """

    conversation: tuple[Message, ...]
    row: Row


def read_labelled(paths: Sequence[Path]) -> Sequence[LabelledQuestion]:
    """Read the questions of some files, which count as one set.

    Raises:
        BadBenchmark: A file is missing or empty, or a row is not what it should be; the message
            names file and line.
    """
    found: list[LabelledQuestion] = []
    for path in paths:
        before = len(found)
        found += (_question(where, row, path.stem) for where, row in read_objects(path))
        if len(found) == before:
            raise BadBenchmark(str(path), "there are no rows in it")
    return found


def _question(where: str, row: Mapping[str, Any], name: str) -> LabelledQuestion:
    conversation = read_conversation(where, row)
    try:
        read_request(conversation)
    except InvalidRequest as error:
        raise BadBenchmark(where, str(error)) from error
    needs_facts, needs_manner = _needs(where, row)
    source = read_text(where, row, "source") or read_text(where, row, "domain") or name
    text = condensed(conversation).question
    return LabelledQuestion(conversation, Row(text, needs_facts, needs_manner, source))


def _needs(where: str, row: Mapping[str, Any]) -> tuple[bool, bool]:
    label = _label(where, row)
    facts, manner = _flag(where, row, "needs_facts"), _flag(where, row, "needs_manner")
    if label is None and (facts is None or manner is None):
        raise BadBenchmark(
            where, "the row needs a label, or needs_facts and needs_manner that are true or false"
        )
    if facts is None:
        facts = label is not Route.BEHAVIOURAL
    if manner is None:
        manner = label is not Route.FACTUAL
    follows = Row("", facts, manner, "").route
    if label is not None and label is not follows:
        raise BadBenchmark(
            where, f"the label is {label}, but what the row says that it needs makes it {follows}"
        )
    return facts, manner


def _label(where: str, row: Mapping[str, Any]) -> Route | None:
    label = row.get("label")
    if label is None:
        return None
    try:
        return Route(label)
    except ValueError as error:
        known = ", ".join(Route)
        raise BadBenchmark(where, f"there is no label {label!r}; use {known}") from error


def _flag(where: str, row: Mapping[str, Any], name: str) -> bool | None:
    value = row.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise BadBenchmark(where, f"{name} must be true or false")
