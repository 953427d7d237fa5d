"""The standalone question: the turn, understandable without its conversation.

Model-free, and only when the turn leans on what was said before:

- a swapped detail ("And in France?") takes the previous question with that detail exchanged;
- a wish about the previous answer ("Make it friendlier") takes that answer along as its material;
- a question about the user's own text ("What was wrong with it?") takes that text along;
- a turn within a role or an invention takes along what was asked for;
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
from agents.making import asks_for_a_voice, goes_on, is_about_own_text
from agents.mentions import mentions
from agents.pointing import asks_about_several, is_small_talk, points_back, rests_on
from agents.rework import is_rework, names_a_language
from agents.swap import PREPOSITION, swapped
from backends.base import Message

MAX_CARRIED: Final = 1_500
"""Characters of an earlier turn that are carried along; a pasted document is not."""

_BROUGHT_ALONG: Final = 400
"""A turn longer than this brings its own context."""

_FEW: Final = 4
"""Words of a turn that may be nothing but a detail."""

_LOOKED_BACK: Final = 8
"""Messages that are read: "And in Spain?" may follow "And in France?"."""

_LEAD = re.compile(
    r"[\s¿¡]*(?:(?P<greeting>(?:hi|hello|hey|thanks|thank you|thx|cheers|hallo|danke)(?![-\w])"
    r"(?:\s+(?:there|a lot|so much|very much|all|team))?|"
    r"(?:great|perfect|cool|nice|good|got it|all right|alright|sure|yes|oh|(?:ha){2,}|lol)"
    r"(?=\s*[,.!;:])|(?:(?:ha){2,}|lol)(?=\s+and\b)"
    r"|ok(?:ay)?(?=\s*[.!;]))"
    r"|(?P<against>(?:no(?:\s+no)*|nope|sorry|hm+|wait)(?=\s*[,.!;:])|hm+|"
    r"i\s+(?:meant|mean(?=\s+the\b)|was (?:talking|asking) about))"
    r"|(?P<loose>so(?! (?:far|many|much|called))|also|ok(?:ay)?|then|now|"
    r"seriously(?:\s+(?:now|though))?(?=\s*[,:])|"
    rf"even(?=\s+(?:if|when|though|{PREPOSITION}))|(?:well|plus)(?=,))"
    r"|(?P<tight>(?:please\s+)?(?:do\s+)?(?:the\s+)?same(?:\s+(?:again|thing|question|but)){0,2}\s+"
    r"(?:for|with|about)|next(?=\s*[,:])|"
    r"(?:another|one)(?:\s+(?:one|more))?\s+(?:for|about)|"
    r"and|but|or|what about|how about|what(?=\s+if\b)|und|aber|was ist mit|et|y))\b"
    r"[\s,.!;:–-]*",
    re.IGNORECASE,
)
"""How a turn opens. "And" leans unless a whole question follows; "also" leans less; "no, I meant"
holds against what was understood."""

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
    r"another(?:\s+one)?|one more|more of (?:them|those|these)|"
    r"go on|continue|anything else|(?:(?:can|could) you\s+)?(?:please\s+)?(?:explain|elaborate)"
    r"(?:\s+(?:more|further))?|(?:please\s+)?(?:(?:can|could|tell|give|show|may)\s+)?(?:i have|you "
    r"(?:tell|give) me|me)?\s*(?:some|a few|any)?\s*(?:more|further)"
    r"(?:\s+(?:details?|info|information|examples?|context))?)(?:,?\s*please)?[\s?.!…]*",
    re.IGNORECASE,
)


_FRAGMENT = re.compile(
    # "My kids?": a thing and a question mark, nothing that is asked of it.
    rf"(?!{_QUESTION_WORD})(?:[\w’'-]+\s+){{0,2}}[\w’'-]+\s*\?",
    re.IGNORECASE,
)
_OBJECTION = re.compile(
    # "I only see 'Pause'.", "I did not receive one."
    r"(?:i|my|mine|the)\s(?=.{0,60}$).*?(?:\b(?:only|still|already|never|not|cannot)\b|n['’]t\b).*",
    re.IGNORECASE,
)
_TOO = re.compile(r"[\s,]+(?:too|as well|also)(?=[\s?.!]*$)", re.IGNORECASE)
_WISHES = re.compile(r"\b(?:need|want|like|else|thank\w*|care|matter|mind)\b", re.IGNORECASE)
_ASKING: Final = (
    r"(?:please\s+)?(?:tell\s+(?:me|us|everyone)|explain|describe|list|summari[sz]e|sum\s+up|compare|"
    r"answer|write|draft|compose|translate|give\s+(?:me|us)\s+(?:our|the|a\s+\w+\s+version))\b"
)
"""A wish that says what is asked, unlike "find me a table for two"."""


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
        elif (
            said
            and not is_small_talk(said[:_BROUGHT_ALONG])
            and not _is_rework(said, asked, answered)
        ):
            asked = _standalone(said, asked, answered).question[-MAX_CARRIED:]
    material = _material(turn, asked, answered)
    if material is not None:
        return Condensed(f"{turn}\n\n“{material}”")
    return _in_context(_standalone(turn, asked, answered), turn, asked, _telling(earlier))


def _material(turn: str, asked: str | None, answered: str | None) -> str | None:
    """The text of the conversation that a turn is about, where nothing else has to be found."""
    if asked is None or answered is None:
        return None
    if _is_rework(turn, asked, answered):
        return answered
    rest, _ = _without_leads(turn)
    return asked if is_about_own_text(asked, rest) else None


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
    how: Literal["alone", "exchanged", "added", "together", "within"]


def _standalone(turn: str, asked: str | None, answered: str | None) -> _Standalone:
    if asked is None or len(turn) > _BROUGHT_ALONG:
        return _Standalone(turn, "alone")
    if goes_on(asked, turn):
        return _Standalone(f"{asked} {turn}", "within")
    rest, leads = _without_leads(turn)
    if _BARE.fullmatch(rest):
        return _Standalone(f"{asked} {turn}", "together")
    rest = _TOO.sub("", rest)
    against = _objects(rest, leads, answered or "")
    opened = bool(leads & {"loose", "tight"} or _FRAGMENT.fullmatch(rest) or against)
    if (opened or len(rest.split()) <= _FEW) and (exchanged := swapped(asked, rest, named=opened)):
        return _Standalone(exchanged, "exchanged")
    if opened and (against or not _is_whole(rest, leads)):
        return _Standalone(f"{asked.rstrip('?.! ')}: {rest}", "added")
    in_voice = leads == {"tight"} and asks_for_a_voice(asked)
    if in_voice or (points_back(rest) and not _takes_leave(rest)):
        return _Standalone(f"{asked} {turn}", "together")
    return _Standalone(turn, "alone")


def _is_whole(rest: str, leads: set[str]) -> bool:
    return bool(_WHOLE.match(rest) or ("tight" not in leads and _WHOLE_AFTER_ALSO.match(rest)))


def _takes_leave(rest: str) -> bool:
    """Whether a turn asks nothing and ends in thanks: "That sounds like me. Anyway, cheers"."""
    last = re.split(r"[.!,;]\s+", rest.rstrip(" .!"))[-1]
    return "?" not in rest and is_small_talk(last)


def _objects(rest: str, leads: set[str], answered: str) -> bool:
    """Whether a turn holds something against the answer: "no, the shuttle", "I only see one".

    After a question of the assistant's, it is the answer to that.
    """
    if answered.rstrip().endswith("?") or "?" in rest or _WISHES.search(rest):
        return False
    return "against" in leads or _OBJECTION.fullmatch(rest) is not None


def _in_context(
    found: _Standalone, turn: str, asked: str | None, earlier: Sequence[Message]
) -> Condensed:
    """Add the name in focus, and what the search should know."""
    if found.how == "within":
        return Condensed(found.question)
    if found.how == "exchanged":
        return Condensed(found.question, leans=True)
    rest, _ = _without_leads(turn)
    if found.how == "alone" and not _leans(turn, rest, earlier):
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


def _leans(turn: str, rest: str, earlier: Sequence[Message]) -> bool:
    return not _takes_leave(rest) and (points_back(rest) or _rests(turn, earlier))


def _rests(turn: str, earlier: Sequence[Message]) -> bool:
    if any(one.kind != "adjective" for one in mentions(turn, names_of(earlier))):
        return False
    said = " ".join(message.content for message in earlier[-CARRIED_TURNS:])
    return rests_on(turn, said, earlier[-1].content)


def _is_question(asked: str) -> bool:
    return (
        "?" in asked or re.match(rf"{_QUESTION_WORD}|{_ASKING}", asked, re.IGNORECASE) is not None
    )


def _is_rework(turn: str, asked: str | None, answered: str | None) -> bool:
    if len(turn) > _BROUGHT_ALONG:
        return False
    rest, _ = _without_leads(turn)
    if "?" in rest and len(rest.split()) <= _FEW and asked and names_a_language(asked):
        # "And in German?" after "Is the menu there in English?"
        return False
    return is_rework(rest, answered or "")


def _without_leads(turn: str) -> tuple[str, set[str]]:
    """The turn without "Thanks! And …", and the kinds of words that were left out."""
    kinds: set[str] = set()
    while lead := _LEAD.match(turn):
        kinds.add(lead.lastgroup or "")
        turn = turn[lead.end() :]
    return turn, kinds
