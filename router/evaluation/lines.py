"""Reads files of one JSON object a line and says, by file and line, what cannot be read."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from backends.base import Message, Role
from backends.publishing import storable
from router.errors import InvalidRequest

_SEED: Final = 7
_ROLES: Final[Mapping[object, Role]] = MappingProxyType(
    # The developer is OpenAI's newer name for the system.
    {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
)

_Item = TypeVar("_Item")


class BadBenchmark(InvalidRequest):
    """A file is missing or is not what it should be; the message names file and line."""

    def __init__(self, where: str, problem: str, *, field: str = "file") -> None:
        super().__init__(f"{where}: {problem}", field=field)


def some_of(items: Sequence[_Item], limit: int) -> Sequence[_Item]:
    """Return at most ``limit`` of them in their order, always the same ones."""
    chosen = random.Random(_SEED)  # noqa: S311 - a seeded sample, not a secret
    kept = sorted(chosen.sample(range(len(items)), min(limit, len(items))))
    return [items[place] for place in kept]


def read_objects(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Read one JSON object a line, each with its place as ``FILE:LINE``.

    Raises:
        BadBenchmark: The file cannot be read, or a line is no JSON object.
    """
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadBenchmark(where, f"this is not JSON ({error})") from error
        if not isinstance(row, dict):
            raise BadBenchmark(where, "a line must be a JSON object")
        yield where, row


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Read the lines that are not empty, with their numbers from 1.

    Raises:
        BadBenchmark: The file cannot be read, or is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise BadBenchmark(str(path), f"cannot be read ({reason})") from error
    except UnicodeDecodeError as error:
        raise BadBenchmark(str(path), "is not UTF-8 text") from error


def read_text(where: str, row: Mapping[str, Any], name: str) -> str:
    """Return a text of the row, empty when there is none.

    Raises:
        BadBenchmark: It is something else, or no database would store it.
    """
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadBenchmark(where, f"{name} must be text")
    return checked(where, name, value)


def read_conversation(where: str, row: Mapping[str, Any]) -> tuple[Message, ...]:
    """Return the row's ``messages``, or its ``text`` as the only one.

    Raises:
        BadBenchmark: There is neither, or the last message is not the user's question.
    """
    turns = row.get("messages")
    if turns is None or turns == []:
        text = read_text(where, row, "text")
        if not text.strip():
            raise BadBenchmark(where, "there is neither text nor messages")
        return (Message("user", text),)
    if not isinstance(turns, list):
        raise BadBenchmark(where, "messages must be a list")
    conversation = tuple(_message(where, turn) for turn in turns)
    if conversation[-1].role != "user" or not conversation[-1].content.strip():
        raise BadBenchmark(where, "the last message must be the user's question")
    return conversation


def checked(where: str, what: str, text: str) -> str:
    """Return the text.

    Raises:
        BadBenchmark: No database would store it.
    """
    if not storable(text):
        raise BadBenchmark(where, f"{what} holds NUL characters or broken Unicode")
    return text


def _message(where: str, turn: object) -> Message:
    if isinstance(turn, dict):
        role, content = turn.get("role"), _joined(turn.get("content"))
        if isinstance(role, str) and role in _ROLES and content is not None:
            return Message(_ROLES[role], checked(where, "a message", content))
    raise BadBenchmark(
        where, "a message needs a role (system, user or assistant) and a content that is text"
    )


def _joined(content: object) -> str | None:
    """Return the text of a content, which may be a list of parts; None when it is no text."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    texts = [part.get("text") if isinstance(part, dict) else None for part in content]
    if not all(isinstance(text, str) for text in texts):
        return None
    return "".join(map(str, texts))
