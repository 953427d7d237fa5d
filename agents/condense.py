"""The standalone question: the turn, understandable without its conversation.

Model-free, and only when the turn leans on what was said before:

- a swapped detail ("And in France?") takes the previous question with that detail exchanged;
- a wish about the previous answer ("Make it friendlier") takes that answer along as its material;
- anything else that leans ("Why?", "Does that include boots?") takes the previous question along.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Literal

from agents.base import NOTHING_FOUND
from agents.focus import CARRIED_TURNS, carried, in_focus, names_of
from agents.mentions import mentions
from agents.pointing import asks_about_several, is_small_talk, points_back, rests_on
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
    r"(?:great|perfect|cool|nice|good|got it|all right|alright|sure|yes|no|sorry|oh)(?=\s*[,.!;:])"
    r"|ok(?:ay)?(?=\s*[.!;]))"
    r"|(?P<loose>so(?! (?:far|many|much|called))|also|ok(?:ay)?|then|now|"
    rf"even(?=\s+(?:if|when|though|{PREPOSITION}))|(?:well|plus)(?=,))"
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


@dataclass(frozen=True, slots=True)
class Condensed:
    """A turn and what it needs of its conversation.

    Attributes:
        question: The standalone question.
        carried: Names and noun phrases of the turns before, for the search alone: more than a
            question can say and stay readable. Empty unless the turn leans on them.
        leans: Whether the turn cannot be understood alone; a wish about an answer has it along.
    """

    question: str
    carried: str = ""
    leans: bool = False


def condense(conversation: Sequence[Message]) -> str:
    """Return the last turn as a question of its own; see `condensed`."""
    return condensed(conversation).question


def condensed(conversation: Sequence[Message]) -> Condensed:
    """Return the last turn as a question of its own, and what a search should know besides.

    Args:
        conversation: The turns; the last one is the user's.

    Returns:
        The last turn unchanged when it does not lean on the conversation.
    """
    turn = conversation[-1].content.strip()
    earlier = _earlier(conversation)
    if not earlier or len(turn) > _BROUGHT_ALONG or is_small_talk(turn):
        return Condensed(turn)
    asked = answered = None
    for message in earlier:
        said = message.content
        if message.role == "assistant":
            answered = said or answered
        elif said and not is_small_talk(said[:_BROUGHT_ALONG]) and not _is_rework(said):
            asked = _standalone(said, asked).question[-MAX_CARRIED:]
    if answered is not None and asked is not None and _is_rework(turn):
        return Condensed(f"{turn}\n\n“{answered}”")
    return _in_context(_standalone(turn, asked), turn, asked, _telling(earlier))


def _earlier(conversation: Sequence[Message]) -> list[Message]:
    """The last turns before this one, oldest first, cut to what is read of them."""
    spoken = (m for m in reversed(conversation[:-1]) if m.role in ("user", "assistant"))
    cut = [
        Message(m.role, m.content[: 2 * MAX_CARRIED].strip()[:MAX_CARRIED])
        for m in islice(spoken, _LOOKED_BACK)
    ]
    return cut[::-1]


def _telling(earlier: Sequence[Message]) -> list[Message]:
    """The turns without the words of an abstention, which quotes a question and tells nothing."""
    return [
        replace(said, content="")
        if said.role == "assistant" and said.content.startswith(NOTHING_FOUND)
        else said
        for said in earlier
    ]


@dataclass(frozen=True, slots=True)
class _Standalone:
    question: str
    how: Literal["alone", "exchanged", "added", "together"]


def _standalone(turn: str, asked: str | None) -> _Standalone:
    if asked is None or len(turn) > _BROUGHT_ALONG:
        return _Standalone(turn, "alone")
    rest, leads = _without_leads(turn)
    if _BARE.fullmatch(rest):
        return _Standalone(f"{asked} {turn}", "together")
    opened = bool(leads & {"loose", "tight"})
    if (opened or len(rest.split()) <= 4) and (exchanged := swapped(asked, rest, named=opened)):
        return _Standalone(exchanged, "exchanged")
    whole = _WHOLE.match(rest) or ("tight" not in leads and _WHOLE_AFTER_ALSO.match(rest))
    if opened and not whole:
        return _Standalone(f"{asked.rstrip('?.! ')}: {rest}", "added")
    if points_back(rest):
        return _Standalone(f"{asked} {turn}", "together")
    return _Standalone(turn, "alone")


def _in_context(
    found: _Standalone, turn: str, asked: str | None, earlier: Sequence[Message]
) -> Condensed:
    """Add the name in focus, and what the search should know."""
    if found.how == "exchanged":
        return Condensed(found.question, leans=True)
    rest, _ = _without_leads(turn)
    if found.how == "alone" and not points_back(rest) and not _rests(turn, earlier):
        return Condensed(turn)
    name = in_focus(earlier, rest, several=asks_about_several(rest))
    question = found.question
    if name and asked is not None and not _is_question(asked):
        # "Saturday for two, please." said what to look for, not what is asked now.
        question = turn
    if name.lower() not in question.lower():
        question = f"{question} ({name})"
    if found.how == "added" and question == found.question:
        return Condensed(question, leans=True)
    return Condensed(question, carried(earlier, question), leans=True)


def _rests(turn: str, earlier: Sequence[Message]) -> bool:
    if any(one.kind != "adjective" for one in mentions(turn, names_of(earlier))):
        return False
    said = " ".join(message.content for message in earlier[-CARRIED_TURNS:])
    return rests_on(turn, said, earlier[-1].content)


def _is_question(asked: str) -> bool:
    return "?" in asked or re.match(_QUESTION_WORD, asked, re.IGNORECASE) is not None


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
