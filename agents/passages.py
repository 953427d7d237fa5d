"""How passages are shown to a model: numbered, and fenced so that they stay passages."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from agents.prompts import prompt
from backends.base import Message, Passage


def fence() -> str:
    """Return a line that no document can hold, because it is made for this one request."""
    return f"=====[{secrets.token_hex(8)}]====="


def passages_prompt(
    name: str, passages: Sequence[Passage], turns: Sequence[Message]
) -> tuple[Message, ...]:
    """Return the turns with a system message in front that holds the passages.

    System messages of the caller become part of it, because many chat templates take only one.
    The random fence is what keeps a passage from ending its own quotation (OWASP LLM01, indirect
    prompt injection: separate and mark untrusted content).

    Args:
        name: Of the prompt, see ``agents/prompts``.
        passages: Numbered from 1 in this order.
        turns: The conversation.
    """
    line = fence()
    blocks = [
        f"{line}\n[{number}] {_label(passage)}\n{passage.text}"
        for number, passage in enumerate(passages, start=1)
    ]
    ours = prompt(name, fence=line, passages="\n".join([*blocks, line]))
    theirs = [turn.content for turn in turns if turn.role == "system"]
    spoken = [turn for turn in turns if turn.role != "system"]
    return (Message("system", "\n\n".join([*theirs, ours])), *spoken)


def _label(passage: Passage) -> str:
    return f"{passage.title} › {passage.heading}" if passage.heading else passage.title
