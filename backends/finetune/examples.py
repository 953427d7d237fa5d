"""Reads chat data: one JSON object a line, ``{"messages": [{"role": …, "content": …}, …]}``.

The form of OpenAI's fine-tuning API and of TRL. The last message is the assistant's and is what is
learnt; a ``label`` beside the messages may name what the row is an example of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from backends.base import Message, Role
from backends.errors import Refused
from backends.publishing import storable

MAX_LINE: Final = 1_000_000
"""Bytes of one line at most; a longer one is passed over without being read into memory."""

_ROLES: Final[Mapping[object, Role]] = MappingProxyType(
    # The developer is OpenAI's newer name for the system.
    {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
)
_BESIDE_WORDS = re.compile(r"[^\w]+")

Weight: TypeAlias = Literal["fatal", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with the data.

    Attributes:
        line: From 1; None where it is about the whole file.
        kind: A few words that name it, the same for each of its sort.
        detail: What exactly; without secrets.
        weight: Whether training can go on.
    """

    line: int | None
    kind: str
    detail: str
    weight: Weight = "fatal"


@dataclass(frozen=True, slots=True)
class Example:
    """One row: a prompt, which ends with the user's turn, and the answer to learn.

    Attributes:
        line: Where it stands in its file, from 1; 0 where it was made here.
        label: What it is an example of, where the row says it.
    """

    prompt: tuple[Message, ...]
    answer: str
    line: int = 0
    label: str = ""

    @property
    def asked(self) -> str:
        """What people said in the prompt, without instructions; tells rows apart."""
        return "\n".join(one.content for one in self.prompt if one.role != "system")

    def instructed(self, system: str) -> Example:
        """Return it with these instructions in front, if it has none of its own."""
        if not system or self.prompt[0].role == "system":
            return self
        return replace(self, prompt=(Message("system", system), *self.prompt))


def normalised(text: str) -> str:
    """Return the words of a text alone: letter case, punctuation and spaces make no difference."""
    return _BESIDE_WORDS.sub(" ", text.casefold()).strip()


def read_examples(path: Path, *, unanswered: bool = False) -> Iterator[Example | Problem]:
    """Read a file; what cannot be read comes as a `Problem` with its line, and the rest goes on.

    Args:
        unanswered: A row may end with the user's turn; its answer is "" then.

    Raises:
        Refused: The file cannot be opened.
    """
    try:
        for number, line in _lines(path):
            if isinstance(line, Problem):
                yield line
            elif line.strip():
                yield _example(number, line, unanswered=unanswered)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise Refused(f"{path} cannot be read ({reason}).", backend="fine-tuning") from error


def as_json(example: Example) -> dict[str, Any]:
    """Return it as a line of a file holds it."""
    turns = [*example.prompt, Message("assistant", example.answer)]
    row: dict[str, Any] = {"messages": [{"role": m.role, "content": m.content} for m in turns]}
    return {**row, "label": example.label} if example.label else row


class _Flawed(Exception):
    """A row is not what it should be: kind and detail."""


def _lines(path: Path) -> Iterator[tuple[int, str | Problem]]:
    with path.open("rb") as file:
        number = 0
        while piece := file.readline(MAX_LINE + 1):
            number += 1
            if len(piece) > MAX_LINE:
                while piece and not piece.endswith(b"\n"):
                    piece = file.readline(MAX_LINE)
                yield number, Problem(number, "line too long", f"more than {MAX_LINE:,} bytes")
                continue
            try:
                yield number, piece.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                detail = f"byte {error.start + 1} of the line is not UTF-8"
                yield number, Problem(number, "not UTF-8", detail)


def _example(number: int, line: str, *, unanswered: bool) -> Example | Problem:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return Problem(number, "not JSON", f"{error.msg} at character {error.pos + 1}")
    except (ValueError, RecursionError):
        return Problem(number, "not JSON", "nested too deeply, or a number too long, to be read")
    try:
        return _checked(number, row, unanswered=unanswered)
    except _Flawed as flaw:
        return Problem(number, *flaw.args)


def _checked(number: int, row: object, *, unanswered: bool) -> Example:
    if not isinstance(row, dict) or not isinstance(row.get("messages"), list):
        raise _Flawed("no messages", 'a line is {"messages": [{"role": …, "content": …}, …]}')
    turns = [_turn(place, turn) for place, turn in enumerate(row["messages"], start=1)]
    if unanswered and turns and turns[-1].role == "user":
        turns.append(Message("assistant", ""))
    _check_order([turn.role for turn in turns])
    label = row.get("label", "")
    if not isinstance(label, str) or not storable(label):
        raise _Flawed("label is no text", "a label is a short text")
    return Example(tuple(turns[:-1]), turns[-1].content, number, label)


def _turn(place: int, turn: object) -> Message:
    if not isinstance(turn, dict):
        raise _Flawed("not a message", f"message {place} is no object with role and content")
    said = turn.get("role")
    if not isinstance(said, str) or said not in _ROLES:
        known = "system, user and assistant are known"
        raise _Flawed("unknown role", f"message {place} has the role {str(said)[:40]!r}; {known}")
    content = _joined(turn.get("content"))
    if content is None:
        raise _Flawed("content is no text", f"message {place} ({said}) has no content that is text")
    if not content.strip():
        raise _Flawed("empty content", f"message {place} ({said}) says nothing")
    if not storable(content):
        raise _Flawed("broken text", f"message {place} holds NUL characters or broken Unicode")
    return Message(_ROLES[said], content)


def _joined(content: object) -> str | None:
    """Return the text of a content, which may be a list of parts; None when it is no text."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    texts = [part.get("text") if isinstance(part, dict) else None for part in content]
    return "".join(map(str, texts)) if all(isinstance(text, str) for text in texts) else None


def _check_order(roles: list[Role]) -> None:
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    if not spoken or spoken[-1] != "assistant":
        raise _Flawed("wrong order", "the last message must be the assistant's, which is learnt")
    if "system" in spoken:
        raise _Flawed("wrong order", "a system message may only stand first")
    due: list[Role] = ["user", "assistant"] * (len(spoken) // 2)
    if spoken != due:
        raise _Flawed("wrong order", "user and assistant must take turns, the user first")
