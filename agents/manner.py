"""What to find, without how to say it."""

from __future__ import annotations

import re
from typing import Final

_TONE: Final = (
    r"(?:warm|friendly|formal|informal|casual|polite|cheerful|playful|funny|humorous|serious|"
    r"professional|empathetic|apologetic|upbeat|concise|short|brief|simple|plain|dramatic|poetic|"
    r"on-brand|enthusiastic|reassuring|kind|encouraging|neutral)"
)
_GENRE: Final = (
    r"(?:reply|answer|response|e-?mail|letter|message|note|text|tweet|post|poem|haiku|limerick|"
    r"song|story|speech|script|announcement|notice|newsletter|caption|slogan|faq|memo|summary|"
    r"paragraph|dialogue|explanation)"
)
_PATTERNS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # "Write a friendly reply to a customer asking how long …"
        rf"^\s*(?:please\s+|can you\s+|could you\s+)*(?:write|draft|compose|create|give me|send)\s+"
        rf"(?:me\s+|us\s+)?(?:an?|the|our)?\s*(?:{_TONE}(?:,|\s+and)?\s+)*(?:[\w-]+\s+){{0,2}}{_GENRE}\s*"
        rf"(?:(?:to|for)\s+(?:an?|the|our|my)?\s*(?:[\w-]+\s+){{0,3}}?(?:customers?|colleagues?|team|"
        rf"staff|employees?|managers?|clients?|shoppers?|newcomers?|new starters?))?\s*"
        rf"(?:(?:who\s+(?:asks?|wants?\s+to\s+know|is\s+asking)|asking|explaining|about|that\s+explains|"
        rf"saying|on|telling\s+(?:them|her|him|us))\s+)?",
        rf"\bin\s+(?:an?|the|our|your)\s+(?:very\s+)?(?:{_TONE}(?:,|\s+and)?\s+)+"
        rf"(?:tone|voice|style|manner|way)\b",
        r"\bin\s+(?:our|the)\s+(?:brand|house)\s+(?:voice|tone|style)\b",
        r"\b(?:like|as)\s+(?:a|an|if\s+you\s+were\s+a)\s+[\w-]+(?:\s+(?:would|captain|poet))?\b",
        r"\bin\s+the\s+(?:style|voice|tone)\s+of\s+(?:an?\s+|the\s+)?[\w-]+\b",
        rf"\b(?:as|in)\s+(?:an?\s+|one\s+)?(?:{_TONE}\s+)?(?:{_GENRE}|bullet\s+points|rhymes?|json|table)\b",
        r"\b(?:keep|make)\s+it\s+[\w-]+(?:\s+and\s+[\w-]+)?\b",
    )
)


def without_manner(question: str) -> str:
    """Return the part of a question that says what to find.

    Args:
        question: A standalone question, such as "Write a friendly reply about our gift cards".

    Returns:
        The question without the phrases that only say how to answer ("our gift cards"); the whole
        question when nothing would be left.
    """
    rest = question
    for pattern in _PATTERNS:
        rest = pattern.sub(" ", rest)
    rest = " ".join(rest.split()).strip(" ,.;:-")
    return rest if len(rest.split()) >= 2 else question
