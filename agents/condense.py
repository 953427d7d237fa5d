"""The standalone question: the turn, understandable without its conversation.

Model-free, and only when the turn leans on what was said before:

- a swapped detail ("And in France?") takes the previous question with that detail exchanged;
- a wish about the previous answer ("Make it friendlier") takes that answer along as its material;
- anything else that leans ("Why?", "Does that include boots?") takes the previous question along.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Final

from agents.pointing import is_small_talk, points_back
from agents.swap import PREPOSITION, swapped
from backends.base import Message

MAX_CARRIED: Final = 1_500
"""Characters of an earlier turn that are carried along; a pasted document is not."""

_BROUGHT_ALONG: Final = 400
"""A turn longer than this brings its own context."""

_LOOKED_BACK: Final = 8
"""Messages that are read: "And in Spain?" may follow "And in France?"."""

_LEAD = re.compile(
    r"\s*(?:(?P<greeting>(?:hi|hello|hey|thanks|thank you|thx|cheers|hallo|danke)(?![-\w])"
    r"(?:\s+(?:there|a lot|so much|very much|all|team))?|"
    r"(?:great|perfect|cool|nice|good|got it|all right|alright|sure|yes|no|sorry|oh)(?=\s*[,.!;:]))"
    r"|(?P<loose>so(?! (?:far|many|much|called))|also|ok(?:ay)?|then|now|(?:well|plus)(?=,))"
    r"|(?P<tight>and|but|or|what about|how about|what(?=\s+if\b)|und|aber|was ist mit))\b"
    r"[\s,.!;:–-]*",
    re.IGNORECASE,
)
"""How a turn opens. "And" leans unless a whole question follows; "also" leans less."""

_QUESTION_WORD: Final = (
    r"(?:what|who|when|where|which|why|how|is|are|am|was|were|do|does|did|can|could|may|must|"
    r"should|will|would|have|has)\b"
)
_WHOLE = re.compile(
    rf"(?:{PREPOSITION}\s+)?{_QUESTION_WORD}.{{18,}}|(?:is|are|was|were|will)n?['’]?t?\s+there\s"
    r"|(?:tell|show|explain|describe|list|find|give|write|draft|compose|create|summari[sz]e|"
    r"translate|help|compare|send|book|order)\b.{8,}",
    re.IGNORECASE | re.DOTALL,
)
_WHOLE_AFTER_ALSO = re.compile(
    r"(?:what|who|when|where|which)(?:['’]s| is| are| was)\s+(?:the|an?|our|my|your)\s+\w"
    r"|(?:i|we|my|our|there|please)\b.{8,}",
    re.IGNORECASE | re.DOTALL,
)
_BARE = re.compile(
    # A question word and no topic, or a wish for more.
    rf"(?:(?:why|how|what|when|where|who|whom|which)(?:\s+[\w-]+)?"
    rf"|{PREPOSITION}\s+(?:how|what|when|where|whom|which)(?:\s+[\w-]+){{0,2}}"
    r"|really|seriously|for real|are you sure|for example|examples?|such as|like what|details|"
    r"go on|continue|anything else|(?:(?:can|could) you\s+)?(?:please\s+)?(?:explain|elaborate)"
    r"(?:\s+(?:more|further))?|(?:please\s+)?(?:(?:can|could|tell|give|show|may)\s+)?(?:i have|you "
    r"(?:tell|give) me|me)?\s*(?:some|a few|any)?\s*(?:more|further)"
    r"(?:\s+(?:details?|info|information|examples?|context))?)(?:,?\s*please)?[\s?.!…]*",
    re.IGNORECASE,
)
_STYLE: Final = (
    r"(?:formal|informal|casual|friendly|polite(?:ly)?|professional(?:ly)?|concise|brief|short|fun|"
    r"funny|playful|serious|warm|personal|direct|simple|simply|empathetic|enthusiastic|excited|"
    r"cheerful|technical|detailed|neutral|shorter|longer|friendlier|simpler|warmer|nicer|kinder|"
    r"clearer|funnier|softer|happier)\b"
)
_REWORK = re.compile(
    # What follows "that" must say how: "translate that letter" and "put this on my calendar" bring
    # something new, and so does everything after a colon.
    r"(?:please\s+|(?:can|could|would) you\s+|now\s+)*(?:(?:make|rewrite|rephrase|reword|shorten|"
    r"translate|summari[sz]e|simplify|say|write|expand|polish|format|condense|repeat)\s+"
    r"(?:it|them|(?:your|the)\s+(?:last\s+|previous\s+)?(?:answer|reply|response)|"
    r"(?:that|this)(?=\s*(?:$|[?.!,]|(?:please|again|more|less|much|even|an?|in(?:to)?|to|as|for|"
    r"with|without|under|using|like|so|sound)\b|" + _STYLE + r")))\b"
    r"|(?:turn|put)\s+(?:it|that|this|them|(?:your|the) answer)\s+(?:in(?:to)?|as)\s+"
    r"(?:(?:an?|the)\s+)?(?:[\w-]+\s+)?(?:e-?mail|letter|table|list|points|bullets|poem|tweet|"
    r"words|haiku|message|note|rhymes?|dialogue|form|english|french|german|spanish|dutch)\b)[^:\"“\n]{0,80}",
    re.IGNORECASE,
)
_TERSE_REWORK = re.compile(
    r"(?:(?:please|now|again|but|a bit|a little|much|even)[\s,]+)*"
    rf"(?:{_STYLE}|(?:more|less)\s+{_STYLE}|fewer words|use (?:fewer|simpler) words|"
    r"in (?:english|french|german|spanish|dutch|italian|short|plain words)|"
    r"(?:as|in) (?:an?\s+)?(?:poem|haiku|limerick|rhymes?|tweet|e-?mail|letter|table|list|bullet "
    r"points)|in (?:one|two|three|\d+) (?:words?|sentences?|lines))(?:[\s,]+please)?[\s.!?]*",
    re.IGNORECASE,
)


def condense(conversation: Sequence[Message]) -> str:
    """Return the last turn as a question of its own.

    Args:
        conversation: The turns; the last one is the user's.

    Returns:
        The last turn unchanged when it does not lean on the conversation.
    """
    asked = answered = None
    earlier = (m for m in reversed(conversation[:-1]) if m.role in ("user", "assistant"))
    for message in reversed(list(islice(earlier, _LOOKED_BACK))):
        said = message.content[: 2 * MAX_CARRIED].strip()[:MAX_CARRIED]
        if message.role == "assistant":
            answered = said or answered
        elif said and not is_small_talk(said[:_BROUGHT_ALONG]) and not _is_rework(said):
            asked = _standalone(said, asked)[-MAX_CARRIED:]
    turn = conversation[-1].content.strip()
    if asked is None or len(turn) > _BROUGHT_ALONG or is_small_talk(turn):
        return turn
    if answered is not None and _is_rework(turn):
        return f"{turn}\n\n“{answered}”"
    return _standalone(turn, asked)


def _standalone(turn: str, asked: str | None) -> str:
    if asked is None or len(turn) > _BROUGHT_ALONG:
        return turn
    rest, leads = _without_leads(turn)
    if _BARE.fullmatch(rest):
        return f"{asked} {turn}"
    opened = bool(leads & {"loose", "tight"})
    if (opened or len(rest.split()) <= 4) and (exchanged := swapped(asked, rest, named=opened)):
        return exchanged
    whole = _WHOLE.match(rest) or ("tight" not in leads and _WHOLE_AFTER_ALSO.match(rest))
    if opened and not whole:
        return f"{asked.rstrip('?.! ')}: {rest}"
    return f"{asked} {turn}" if points_back(rest) else turn


def _is_rework(turn: str) -> bool:
    rest, _ = _without_leads(turn[: _BROUGHT_ALONG + 1])
    return bool(_REWORK.fullmatch(rest) or _TERSE_REWORK.fullmatch(rest))


def _without_leads(turn: str) -> tuple[str, set[str]]:
    """The turn without "Thanks! And …", and the kinds of words that were left out."""
    kinds: set[str] = set()
    while lead := _LEAD.match(turn):
        kinds.add(lead.lastgroup or "")
        turn = turn[lead.end() :]
    return turn, kinds
