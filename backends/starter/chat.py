"""The form in which the starter model reads a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

END: Final = "<|end|>"
PAD: Final = "<|pad|>"
ROLES: Final[Mapping[str, str]] = {
    "system": "<|system|>",
    "user": "<|user|>",
    "assistant": "<|assistant|>",
}
SPECIAL: Final = (PAD, END, *ROLES.values())
"""Tokens that are never part of a text; the first two are padding and the end of a turn."""

TEMPLATE: Final = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
"""The same as `pieces`, for transformers and vLLM."""

Turn: TypeAlias = Mapping[str, str]


def pieces(messages: Sequence[Turn]) -> list[tuple[str, bool]]:
    """Return the conversation in pieces, and of each whether the model writes it.

    Only the last turn is learnt, as the chat data of this project says.
    """
    found: list[tuple[str, bool]] = []
    for turn in messages:
        last = turn is messages[-1]
        found.append((f"{ROLES[turn['role']]}\n", False))
        found.append((f"{turn['content']}{END}", last))
        if not last:
            found.append(("\n", False))
    return found
