"""Does a turn point back at what was said before? By its words alone, without a model.

English says "that" and "there" in many turns that point at nothing: "is there a gym?", "this year",
"the store that opens". Only what cannot be understood alone counts as pointing.
"""

from __future__ import annotations

import re
from typing import Final

from agents.mentions import phrases

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
    r"|\b(?:that|those)\s*(?:[?.!,;]|$)|\bthat\s+(?:as|too|without|instead|myself|online|now)\b",
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
    r"again)\b|\bthen\s*[?.!]*$"
    r"|\b(?:write|make|draft|create|compose|tell)\s+(?:(?:me|us)\s+)?(?:one|another)\b"
    r"|\bthe\s+(?:following|next|previous)\s+(?:day|morning|evening|night|week|month|year)\b"
    r"|\b(?:both|neither|either)\b(?:\s+of\b(?!\s+(?:my|our|the)\b)|\s*[?.!,]|\s+(?:have|has|are|is|"
    r"offer|come|work|allow|include)\b)|\b(?:are|do|have|can|will)\s+both\s"
    r"|^which(?:\s+of\s+\w+)?\s+(?:is|are|was|has|have|had|does|do|would|offers?|comes?|gets?|costs?)\b",
    re.IGNORECASE,
)
_EXCEPTION = re.compile(r"^(?:\S+\s+){0,3}exceptions?\b[?.!]*(?:\s+\S+){0,3}$", re.IGNORECASE)
"""An exception is always one from something; a short turn leaves open from what."""

_POINTS_AHEAD = re.compile(r"\b(?:this|these|it)\b[^?.!:]{0,40}:\s*\S", re.IGNORECASE)
"""Translate this sentence: …"""

_OWN_MATTER = re.compile(r"\W*(?:my|our|an?)\s+\w[^.?!]{12,}[.!]", re.IGNORECASE)
"""My jumper is not in the branch. When can I fetch it?"""

_SECOND_CLAUSE = re.compile(
    # "How long may I return boots if they are worn?": what comes after a whole clause points into
    # it; but "could you tell me if it …" has no clause of its own before the "if".
    r"^((?:\S+\s+){5,}?)(?<!\bme )(?<!\bknow )(?<!\bsure )(?<!\bcheck )"
    r"(?:if|when|because|who|which|and|while|after|before|once|unless|but|until)\b",
    re.IGNORECASE,
)


_ON_ITS_WAY: Final = (
    r"(?:thanks|thank you|thx|cheers|also|another|different|separate|unrelated|by the way|btw|"
    r"one more|next question|new question|changing|switching|something else)\b"
)
_LEAVES = re.compile(rf"\W*(?:\w+\W+){{0,3}}?{_ON_ITS_WAY}", re.IGNORECASE)
"""A turn that closes the topic before it asks."""

_DEFINITE = re.compile(
    # A noun with nothing that would say which one: "the rooms", not "the head of HR".
    rf"\bthe\s+(?!{_HERE_AND_NOW}|(?:same|first|second|last|next|best|most|only|right|whole|new)\b)"
    r"([a-z]{3,})\b(?!\s+(?:of|for|per|that|which|who|to)\b)",
    re.IGNORECASE,
)
_YES_OR_NO = re.compile(
    r"(?:(?:(?:can|could|would|do) you (?:tell me|check|know|say|see)|i wonder)\s+)?"
    r"(?:(?:if|whether)\s+)?(?:is|are|was|were|does|do|did|has|have|will|would|"
    r"how(?:['’]s|\s+\w+))\s+the\s"
    r"|what(?:['’]s|\s+is|\s+are)\s+the\s.*\blike\b",
    re.IGNORECASE,
)
_MOST_OWN_WORDS: Final = 5
"""A turn with more words that mean something describes its matter itself."""

_EXISTS = re.compile(r"(?:is|are|will|was|were)\s+there\b", re.IGNORECASE)
_HERE = re.compile(r"\bhere\s*[?.!]*$", re.IGNORECASE)
_OPEN_QUESTION = re.compile(
    r"(?!.*\b(?:else|further|(?:help|assist)\w*)\b)[^?]*\?\W*$", re.IGNORECASE | re.DOTALL
)
_LAST_SENTENCE = re.compile(r"[^.!?\n]*[?]\W*$")


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
    if _OWN_MATTER.match(turn):
        return False
    words = _POINTS_AHEAD.sub(" ", " ".join(turn.split()))
    clause = _SECOND_CLAUSE.match(words)
    own = clause.group(1) if clause else words
    told = _OWNERS.sub(" ", _EMPTY_IT.sub(" ", own))
    patterns = (_THIS, _THAT, _THERE, _REFERRING, _EXCEPTION)
    return bool(_PRONOUN.search(told)) or any(pattern.search(own) for pattern in patterns)


def rests_on(turn: str, earlier: str, answer: str) -> bool:
    """Whether a turn without any pointing word is still about what was being talked about.

    "Are the bathrooms clean?" does not say which ones. It is about the house that was just offered
    when the offer is still open, when the noun was said before, or when it is the whole subject of
    a question for yes or no.

    Args:
        turn: Without names of its own; at most some hundred characters.
        earlier: What was said in the last turns.
        answer: The turn before.
    """
    own = phrases(turn)
    if _LEAVES.match(turn) or sum(len(phrase.split()) for phrase in own) > _MOST_OWN_WORDS:
        return False
    nouns = [noun.lower() for noun in _DEFINITE.findall(turn)]
    unmodified = [noun for noun in nouns if noun in map(str.lower, own)]
    said = earlier.lower()
    if any(re.search(rf"\b{re.escape(noun.removesuffix('s'))}", said) for noun in nouns):
        return True
    if nouns and _YES_OR_NO.match(turn):
        return True
    return _is_open(answer) and bool(unmodified or _EXISTS.match(turn) or _HERE.search(turn))


def asks_about_several(turn: str) -> bool:
    """Whether a turn compares or joins what was named before: both, either, which, them."""
    return bool(
        re.search(r"\b(?:both|either|neither|them|they|these|those|which|all)\b", turn, re.I)
    )


def _is_open(answer: str) -> bool:
    """Whether an answer ends with a question about its matter, not with "Anything else?"."""
    last = _LAST_SENTENCE.search(answer[-400:])
    return last is not None and _OPEN_QUESTION.match(last[0]) is not None
