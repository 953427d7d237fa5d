"""How passages are shown to a model: numbered, and fenced so that they stay passages."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from backends.base import Passage


def fence() -> str:
    """Return a line that no document can hold, because it is made for this one request."""
    return f"=====[{secrets.token_hex(8)}]====="


def fenced(passages: Sequence[Passage]) -> str:
    """Return the passages as prompt text, numbered from 1, between lines made for this request.

    The random fence is what keeps a passage from ending its own quotation (OWASP LLM01, indirect
    prompt injection: separate and mark untrusted content).
    """
    line = fence()
    blocks = [
        f"{line}\n[{number}] {_label(passage)}\n{passage.text}"
        for number, passage in enumerate(passages, start=1)
    ]
    return "\n".join([*blocks, line])


def _label(passage: Passage) -> str:
    return f"{passage.title} › {passage.heading}" if passage.heading else passage.title
