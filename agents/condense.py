"""The standalone question: the turn, understandable without its conversation.

Model-free, and only when the turn leans on what was said before. Three ways of leaning are known:

- a swapped detail ("And in France?") takes the previous question with that detail exchanged;
- a wish about the previous answer ("Make it friendlier") takes that answer along as its material;
- anything else that points back ("Does that include boots?") takes the previous question along.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from backends.base import Message

MAX_CARRIED: Final = 1_500
"""Characters of an earlier turn that are carried along; a pasted document is not."""

_OPENING = re.compile(
    r"^\s*(?:and|but|or|so|also|ok(?:ay)?|then|what about|how about)\b[\s,]*", re.IGNORECASE
)
_PREPOSITION = re.compile(
    r"^(in|for|at|on|with|from|to|by|during|under|over)\s+(.+?)[\s?.!]*$", re.IGNORECASE
)
_POINTING = re.compile(
    r"\b(?:it|its|that|this|these|those|they|them|their|he|she|his|her|there|then|"
    r"the same|the former|the latter|the (?:first|second|last|other) one|instead|again)\b",
    re.IGNORECASE,
)
_REWORK = re.compile(
    r"^\s*(?:please\s+|now\s+|can you\s+|could you\s+|ok(?:ay)?,?\s+)*"
    r"(?:make|rewrite|rephrase|reword|shorten|translate|summari[sz]e|simplify|turn|put|say|write|"
    r"expand|polish|format)\b.*\b(?:it|that|this|them|those|your (?:answer|reply|last))\b",
    re.IGNORECASE | re.DOTALL,
)
_TERSE_REWORK = re.compile(
    r"^\s*(?:please\s+|now\s+|a bit\s+|much\s+)*"
    r"(?:shorter|longer|friendlier|simpler|warmer|more \w+|less \w+|"
    r"in (?:english|french|german|spanish|dutch))"
    r"(?:,?\s*please)?[\s.!?]*$",
    re.IGNORECASE,
)
_OWN_QUESTION = re.compile(
    r"^\s*(?:and\s+|but\s+|so\s+)?(?:what|who|when|where|which|why|how|is|are|do|does|can|may)\b"
    r".{18,}",
    re.IGNORECASE | re.DOTALL,
)
_BROUGHT_ALONG: Final = 400
"""A turn longer than this brings its own context."""


def condense(conversation: Sequence[Message]) -> str:
    """Return the last turn as a question of its own.

    Args:
        conversation: The turns; the last one is the user's.

    Returns:
        The last turn unchanged when it does not lean on the conversation.
    """
    turn = conversation[-1].content.strip()
    asked = _last(conversation[:-1], "user")
    if asked is None or len(turn) > _BROUGHT_ALONG:
        return turn
    answered = _last(conversation[:-1], "assistant")
    if answered is not None and (_REWORK.match(turn) or _TERSE_REWORK.match(turn)):
        return f"{turn}\n\n“{answered}”"
    rest, opened = _without_opening(turn)
    if (swapped := _swapped(asked, rest)) and (opened or len(rest.split()) <= 4):
        return swapped
    if opened and not _OWN_QUESTION.match(rest):
        return f"{asked.rstrip('?.! ')}: {rest}"
    if _POINTING.search(turn):
        return f"{asked} {turn}"
    return turn


def _last(turns: Sequence[Message], role: str) -> str | None:
    for message in reversed(turns):
        if message.role == role and message.content.strip():
            return message.content.strip()[:MAX_CARRIED]
    return None


def _without_opening(turn: str) -> tuple[str, bool]:
    rest = _OPENING.sub("", turn, count=1)
    return rest, rest != turn


def _swapped(asked: str, rest: str) -> str | None:
    """Exchange the last detail of the previous question that has the same preposition."""
    wanted = _PREPOSITION.match(rest)
    if wanted is None:
        return None
    preposition, detail = wanted.group(1), wanted.group(2)
    # A name of several words is one detail: "the United Kingdom".
    detail_of = rf"\b(?i:{preposition})\s+((?i:the\s+)?[\w’'-]+(?:\s+[A-Z][\w’'-]+)*)"
    details = list(re.finditer(detail_of, asked))
    if not details:
        return f"{asked.rstrip('?.! ')} {preposition.lower()} {detail}?"
    last = details[-1]
    return f"{asked[: last.start(1)]}{detail}{asked[last.end(1) :]}"
