"""Does a turn point back at what was said before? By its words alone, without a model.

English says "that" and "there" in many turns that point at nothing: "is there a gym?", "this year",
"the store that opens". Only what cannot be understood alone counts as pointing.
"""

from __future__ import annotations

import re
from typing import Final

_SMALL_TALK = re.compile(
    r"\b(?:hi|hello|hey|thanks|thank|thx|cheers|bye|goodbye|ok|okay|great|perfect|cool|nice|awesome|"
    r"wonderful|excellent|brilliant|super|understood|appreciated?|alright|sure|fine|good|welcome|"
    r"hallo|danke|tschüss|merci)\b"
)
_AROUND_SMALL_TALK = re.compile(
    # What may stand beside it: "thank you so much, that helps a lot for now".
    r"\b(?:a|afternoon|again|all|and|answer|are|at|day|evening|everyone|everybody|for|got|guys|have|"
    r"help|helped|helpful|helps|how|i|info|information|is|it|later|lots?|many|moment|"
    r"morning|much|my|night|no|not|now|of|problem|really|see|so|that|the|then|there|this|"
    r"time|to|today|team|until|very|was|week|weekend|will|with|worries|yes|you|your)(?:['’](?:s|m|re|ll))?\b"
)
_HERE_AND_NOW: Final = (
    r"(?:days?|weeks?|weekends?|months?|quarters?|years?|morning|afternoon|evening|time|season|"
    r"spring|summer|autumn|winter|christmas|monday|tuesday|wednesday|thursday|friday|saturday|"
    r"sunday|company|firm|business|organi[sz]ation|employer|office|stores?|shops?|branch|site|"
    r"building|floor|team|department|role|job|country|city|town|region|app|tool|system|platform|"
    r"website|chat)\b"
)
"""What "this" stands before when it means the here and now: "this year", "this company"."""

_PRONOUN = re.compile(
    # Case matters: "IT" is a department.
    r"\b(?:[Ii]ts?|[Tt]hey|[Tt]hem|[Tt]heirs?|[Hh]e|[Ss]he|[Hh]is|[Hh]ers?|[Hh]im)\b"
)
_EMPTY_IT = re.compile(
    # "Is it possible to …", "how long does it take to …": this "it" stands for nothing.
    r"\b(?:is|was|will|would|does|do)\s+it\s+(?:be\s+)?[\w-]+\s+(?:\w+\s+)?(?:to|that)\s+\w+"
    r"|\b(?:what (?:time|day) is it|it is \w+ (?:to|that))\b",
    re.IGNORECASE,
)
_OWNERS = re.compile(
    # "Can customers change their order?" names those whom it means.
    r"\b(?:employees?|customers?|colleagues|managers?|people|staff|members|students?|contractors?|"
    r"suppliers?|parents|interns?|apprentices|teams?|users?|shoppers?|guests?|newcomers|everyone|"
    r"anyone|someone|somebody|who)\b[^?.!]*?\b(?:they|them|their)\b",
    re.IGNORECASE,
)
_THIS = re.compile(rf"\bth(?:is|ese)\b(?!\s+{_HERE_AND_NOW})", re.IGNORECASE)
_THAT = re.compile(
    # Not the relative "that", which follows a noun: "the store that opens".
    r"(?:^|[.!?,;:]\s*|\b(?:does|do|did|are|were|can|could|will|would|should|may|must|has|have|if|"
    r"when|why|how|about|for|of|to|in|on|at|with|by|from|like|than|after|before|without|under|over|"
    r"(?<!problem )(?<!issue )(?<!thing )(?<!point )(?<!reason )(?:is|was))\s+)"
    rf"(?:that|those)\b(?!\s+(?:{_HERE_AND_NOW}|who\b))"
    r"|\b(?:that|those)\s*(?:[?.!,;]|$)",
    re.IGNORECASE,
)
_THERE = re.compile(
    # Not "is there …", "there are …", "hi there".
    r"(?<!\bis )(?<!\bare )(?<!\bwas )(?<!\bwere )(?<!\bwill )(?<!\bbe )(?<!\bhas )(?<!\bhave )"
    r"(?<!n't )(?<!\bhi )(?<!\bhey )(?<!\bhello )\bthere\b(?!['’]s|\s+(?:is|are|was|were|will|has|"
    r"have|be|any|an?)\b)",
    re.IGNORECASE,
)
_REFERRING = re.compile(
    r"\b(?:the same|the former|the latter|the (?:first|second|last|other) one|which one|instead|"
    r"again)\b|\bthen\s*[?.!]*$",
    re.IGNORECASE,
)
_EXCEPTION = re.compile(r"^(?:\S+\s+){0,3}exceptions?\b[?.!]*(?:\s+\S+){0,3}$", re.IGNORECASE)
"""An exception is always one from something; a short turn leaves open from what."""

_POINTS_AHEAD = re.compile(r"\b(?:this|these|it)\b[^?.!:]{0,40}:\s*\S", re.IGNORECASE)
"""Translate this sentence: …"""

_SECOND_CLAUSE = re.compile(
    # "How long may I return boots if they are worn?": what comes after a whole clause points into
    # it; but "could you tell me if it …" has no clause of its own before the "if".
    r"^((?:\S+\s+){5,}?)(?<!\bme )(?<!\bknow )(?<!\bsure )(?<!\bcheck )"
    r"(?:if|when|because|who|which|and|while|after|before|once|unless|but|until)\b",
    re.IGNORECASE,
)


def is_small_talk(turn: str) -> bool:
    """Whether a turn only greets, thanks, agrees or says goodbye; a question never does."""
    if "?" in turn and not turn.lower().endswith("how are you?"):
        return False
    courtesies, found = _SMALL_TALK.subn(" ", turn.lower())
    return found > 0 and not re.search(r"\w", _AROUND_SMALL_TALK.sub(" ", courtesies))


def points_back(turn: str) -> bool:
    """Whether a turn holds a word that stands for something said before it.

    Args:
        turn: At most some hundred characters; longer turns bring their own context.
    """
    words = _POINTS_AHEAD.sub(" ", " ".join(turn.split()))
    clause = _SECOND_CLAUSE.match(words)
    own = clause.group(1) if clause else words
    told = _OWNERS.sub(" ", _EMPTY_IT.sub(" ", own))
    patterns = (_THIS, _THAT, _THERE, _REFERRING, _EXCEPTION)
    return bool(_PRONOUN.search(told)) or any(pattern.search(own) for pattern in patterns)
