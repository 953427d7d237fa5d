"""The previous question with one detail exchanged: "And in France?" after "… in Germany?"."""

from __future__ import annotations

import re
from typing import Final

PREPOSITION: Final = (
    r"(?:in|for|at|on|with|without|from|to|by|during|under|over|above|below|after|before|until|since|"
    r"within|per|about|für|bei|mit|ohne|im|am|ab|seit|nach)\b"
)
_DETAIL = re.compile(rf"({PREPOSITION})\s+(.+?)[\s?.!]*", re.IGNORECASE)
_QUESTION = re.compile(r"(?:how|what|when|where|which|whom?|why|if)\b", re.IGNORECASE)
_YEAR: Final = r"\b(?:19|20)\d\d\b"
_VALUE = re.compile(r"(?P<number>[€$£]?\d[\d.,]*)\s*(?P<unit>[^\W\d]+|%|€)?")
_CALENDAR = re.compile(
    r"(?:the\s+)?(?:january|february|march|april|may|june|july|august|september|october|november|"
    r"december|\w+day|weekends?|spring|summer|autumn|winter|christmas|easter)s?\b",
    re.IGNORECASE,
)
_NAME: Final = r"(?:the\s+)?[A-ZÄÖÜ][\w’'-]*[a-z](?:\s+[A-ZÄÖÜ][\w’'-]+)*|the U[KS]A?|U[KS]A?|EU"
_SEVERAL = re.compile(r"(?:[a-z]{3,}\s+)?[a-z]{2,}[a-rt-z]s")
_THING = re.compile(
    r"\b(?:(?:I|we|you|they|one|people)\s+[a-z]+|for|of|with|about)\s+"
    r"([a-z]{2,}[a-rt-z]s)\b",
    re.IGNORECASE,
)
_NO_THING = re.compile(
    r"days|hours|weeks|months|years|euros|things|times|always|this|his|others|was|has|does",
    re.IGNORECASE,
)
_LONGEST_DETAIL: Final = 6
"""Words; more than that is a sentence, not a detail."""


def swapped(asked: str, rest: str, *, named: bool) -> str | None:
    """Exchange a detail of the previous question for the one of the same kind that a turn names.

    Args:
        asked: The previous question.
        rest: The turn without its opening: "in France?", "2024?", "the United Kingdom?".
        named: A name without a preposition is a detail too ("what about Austria?").

    Returns:
        The exchanged question; with the detail added when it holds none of that kind; None when the
        turn is no detail.
    """
    bare = rest.strip(" ?.!")
    phrase = _DETAIL.fullmatch(rest)
    detail = phrase.group(2) if phrase else bare
    if _QUESTION.match(detail) or not 0 < len(detail.split()) <= _LONGEST_DETAIL:
        return None
    if value := _VALUE.fullmatch(detail):
        spans = _same_values(asked, value)
    elif phrase:
        spans = _same_preposition(asked, phrase.group(1), detail)
    elif named and _CALENDAR.fullmatch(bare):
        spans = _calendar(asked)
    elif named and re.fullmatch(_NAME, bare):
        spans = _names(asked)
    elif named:
        spans = _same_noun(asked, bare)
        if not spans and _SEVERAL.fullmatch(bare):
            spans = _things(asked)
    else:
        return None
    if spans:
        start, end = spans[-1]
        return f"{asked[:start]}{detail}{asked[end:]}"
    return f"{asked.rstrip('?.! ')} {phrase.group(1).lower()} {detail}?" if phrase else None


def _same_values(asked: str, value: re.Match[str]) -> list[tuple[int, int]]:
    """Years for a year; else numbers with the same unit."""
    if re.fullmatch(_YEAR, value.group()):
        return [found.span() for found in re.finditer(_YEAR, asked)]
    numbers = re.finditer(rf"(?!{_YEAR})(?<![\w.,]){_VALUE.pattern}", asked)
    if unit := value.group("unit"):
        return [n.span() for n in numbers if (n.group("unit") or "").lower() == unit.lower()]
    return [n.span("number") for n in numbers]


def _same_preposition(asked: str, preposition: str, detail: str) -> list[tuple[int, int]]:
    # A name of several words is one detail, and so is "a store": "the United Kingdom".
    word = r"[\w’'€$£-]+"
    begins = r"(?=[A-ZÄÖÜ\d]|(?:the|an?|my|our)\b)" if preposition.lower() == "to" else ""
    pattern = (
        rf"\b(?i:{preposition})\s+{begins}(?!(?i:{PREPOSITION}|{_QUESTION.pattern}))"
        rf"((?i:(?:the|an?|my|our|your)\s+)?(?i:(?:united|new|south|north)\s+)?{word}"
        rf"(?:\s+[A-ZÄÖÜ]{word})*)"
    )
    spans = []
    for found in re.finditer(pattern, asked):
        old, end = found.group(1), found.end(1)
        if _kind(old) != _kind(detail):
            continue
        # "the Berlin office" for "the Munich office": the noun that both share goes with it.
        shared = re.match(rf"\s+{re.escape(detail.split()[-1])}\b", asked[end:], re.IGNORECASE)
        spans.append((found.start(1), end + (shared.end() if shared else 0)))
    return spans


def _names(asked: str) -> list[tuple[int, int]]:
    found = re.finditer(
        rf"\b(?:in|at|for|from|to|with|about|of|by|für|bei)\s+({_NAME})(?![\w’'-])", asked
    )
    return [name.span(1) for name in found if not _CALENDAR.match(name.group(1))]


def _calendar(asked: str) -> list[tuple[int, int]]:
    """Days for days: "on Saturdays"."""
    pattern = rf"\b(?:on|in|at|by|until|this|next)\s+({_CALENDAR.pattern})(?!\w)"
    return [day.span(1) for day in re.finditer(pattern, asked, re.IGNORECASE)]


def _same_noun(asked: str, detail: str) -> list[tuple[int, int]]:
    """What ends in the same word: "the sports jackets" for "the wool jackets"."""
    words = detail.split()
    if len(words) == 1 or re.search(rf"\b(?:that|which|{PREPOSITION})", detail, re.IGNORECASE):
        return []
    noun = rf"(?:[\w’'-]+\s+){{0,2}}?{re.escape(words[-1])}(?![\w’'-])"
    found = re.finditer(rf"\b(?:{PREPOSITION}|of)\s+({noun})", asked, re.IGNORECASE)
    return [thing.span(1) for thing in found]


def _things(asked: str) -> list[tuple[int, int]]:
    """The one plural without an article, if it is clear where it begins: "may I return boots".

    In "wash winter boots" it is not clear, and "how many days" asks for a number, not for days.
    """
    found = [thing for thing in _THING.finditer(asked) if not _NO_THING.fullmatch(thing.group(1))]
    return [found[0].span(1)] if len(found) == 1 else []


def _kind(detail: str) -> str:
    if detail.lstrip("€$£")[:1].isdigit():
        return "number"
    return "calendar" if _CALENDAR.match(detail) else "word"
