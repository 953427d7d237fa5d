"""Does a question ask for what used to hold? Only then do replaced documents answer it.

"Old", "earlier" and "used to" stand in many questions about today ("how old must I be", "leave
earlier", "used to pay"); they count only beside a word for a rule.
"""

from __future__ import annotations

import re
from typing import Final

LOOKED_AT: Final = 4_000
"""Characters at either end of a question that are read."""

_RULE: Final = (
    r"(?:rules?|rulebook|polic(?:y|ies)|versions?|editions?|terms|conditions|limits?|allowances?|"
    r"procedures?|process(?:es)?|guidelines?|guidance|regulations?|handbooks?|agreements?|"
    r"arrangements?|schemes?|tariffs?|rates?|periods?|deadlines?|thresholds?|requirements?|"
    r"regel|regelung|richtlinie)\b"
)
_DATE: Final = (
    r"(?:\d{1,2}(?:st|nd|rd|th)?\s+)?(?:(?:january|february|march|april|may|june|july|august|"
    r"september|october|november|december)\s+)?(?:\d{1,2},\s+)?(?:\d{1,2}[./]\d{1,2}[./])?"
    r"(?:19|20)\d\d\b(?:-\d\d-\d\d)?"
)
_PAST: Final = re.compile(
    # "An earlier version of my form" is nobody's rule, hence no "an" before it.
    rf"(?<!\ban )(?<!\bmy )\b(?:old|former|previous|earlier|prior|superseded|replaced|outdated)\s+"
    rf"(?:[\w’'-]+\s+){{0,3}}?{_RULE}"
    rf"|(?<!\bborn )\bbefore\s+(?:{_DATE}|(?:the|its|this|that)\s+(?:\w+\s+)?(?:change|update|"
    r"revision|reform|replacement)\b(?!\s+of\s+(?!the\b|our\b))|the\s+new\s+(?:\w+\s+)?"
    + _RULE
    + r")"
    r"|\bwhat\s+(?:was|were)\b|\bhow\s+(?:long|much|high|many)\s+(?:was|were)\s+(?:the|our)\b"
    r"|\bused\s+to\s+be\b|\bback\s+then\b",
    re.IGNORECASE,
)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")


def asks_for_the_past(question: str) -> bool:
    """Whether a question asks for a rule that held before: "the old policy", "what was …"."""
    return bool(_PAST.search(_ends(question)))


def years(text: str) -> set[str]:
    """The years that a question or a title names, "1900" to "2099"."""
    return set(_YEAR.findall(_ends(text)))


def _ends(text: str) -> str:
    if len(text) <= 2 * LOOKED_AT:
        return text
    return f"{text[:LOOKED_AT]}\n{text[-LOOKED_AT:]}"
