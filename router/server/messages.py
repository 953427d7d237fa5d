"""Conversations as OpenAI's APIs write them, with a text or a list of parts as content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Final, NamedTuple

from backends.base import Message, Role
from router.errors import InvalidRequest

_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "system",  # OpenAI's newer name for it
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_EXTRA: Final = ("name", "tool_calls", "tool_call_id")


class TextPart(NamedTuple):
    """A kind of content part that is text: its ``type``, and the key that holds the text."""

    kind: str
    key: str


def read_messages(
    value: Sequence[object], *, where: str, parts: Set[TextPart]
) -> tuple[Message, ...]:
    """Read a conversation that ends with a question.

    Args:
        value: The messages as they came.
        where: The field that holds them, for error messages.
        parts: The kinds of content parts that are read.

    Raises:
        InvalidRequest: ``field`` says which message, and which part of it.
    """
    if not value:
        raise InvalidRequest(f"{where} is empty; send at least one message.", field=where)
    keys = dict(parts)
    messages = tuple(_message(item, f"{where}[{at}]", keys) for at, item in enumerate(value))
    last = f"{where}[{len(messages) - 1}]"
    if messages[-1].role == "tool" and any(turn.role == "user" for turn in messages):
        return messages
    if messages[-1].role != "user":
        raise InvalidRequest(
            f"{last}.role: the last message must be the user's question, or what a tool said "
            "about one.",
            field=f"{last}.role",
        )
    if not messages[-1].content.strip():
        raise InvalidRequest(f"{last}.content: the question is empty.", field=f"{last}.content")
    return messages


def _message(item: object, where: str, keys: Mapping[str, str]) -> Message:
    if not isinstance(item, dict):
        raise InvalidRequest(f"{where} must be an object with role and content.", field=where)
    if (kind := item.get("type", "message")) != "message":
        raise InvalidRequest(
            f"{where}.type: {_shown(kind)} is not supported, only messages are.",
            field=f"{where}.type",
        )
    role = item.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise InvalidRequest(
            f"{where}.role: {_shown(role)} is not supported; use {', '.join(_ROLES)}.",
            field=f"{where}.role",
        )
    if item.get("function_call"):
        raise InvalidRequest(
            f"{where}.function_call is the old form of tool_calls; send tool_calls.",
            field=f"{where}.function_call",
        )
    extra = {name: item[name] for name in _EXTRA if item.get(name)}
    content = item.get("content")
    if content is None and "tool_calls" in extra:
        content = ""
    return Message(_ROLES[role], _content(content, f"{where}.content", keys), extra)


def _content(value: object, where: str, keys: Mapping[str, str]) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise InvalidRequest(f"{where} must be a text or a list of text parts.", field=where)
    return "".join(_part(part, f"{where}[{at}]", keys) for at, part in enumerate(value))


def _part(part: object, where: str, keys: Mapping[str, str]) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    key = keys.get(kind) if isinstance(kind, str) else None
    text = part.get(key) if isinstance(part, dict) and key else None
    if not isinstance(text, str):
        wanted = ", ".join(sorted(keys))
        raise InvalidRequest(
            f"{where}: only parts that are text are read (type {wanted}).", field=where
        )
    return text


def _shown(value: object) -> str:
    return repr(value)[:40]
