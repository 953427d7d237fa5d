"""How passages are shown to a model: numbered, and fenced so that they stay passages."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Final

from agents.prompts import prompt
from backends.base import Message, Passage

MAX_LABEL: Final = 300
"""Characters of a title with its heading; more is no title."""

_UNSEEN = re.compile("[\u200b\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
"""Characters that a person cannot see and a model reads: zero-width spaces, marks that turn the
direction of text around, and the tag characters that spell out whole hidden sentences. Joiners
stay, since Persian and emoji need them."""


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
        f"{line}\n[{number}] {_label(passage)}\n{_UNSEEN.sub('', passage.text)}"
        for number, passage in enumerate(passages, start=1)
    ]
    ours = prompt(name, fence=line, passages="\n".join([*blocks, line]))
    theirs = [turn.content for turn in turns if turn.role == "system"]
    spoken = [turn for turn in turns if turn.role != "system"]
    return (Message("system", "\n\n".join([*theirs, ours])), *spoken)


def _label(passage: Passage) -> str:
    """Title and heading on one line; what a document calls itself must not look like our lines."""
    label = f"{passage.title} › {passage.heading}" if passage.heading else passage.title
    visible = "".join(letter if letter.isprintable() else " " for letter in _UNSEEN.sub("", label))
    return " ".join(visible.split())[:MAX_LABEL]
