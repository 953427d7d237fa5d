"""What to find, without how to say it.

Only phrases that can mean nothing else are left out: "as a pirate" after "explain", but not in "can
I work as a pirate?". A phrase too many in a search costs little; a lost one costs the answer.
"""

from __future__ import annotations

import re
from typing import Final

LOOKED_AT: Final = 4_000
"""Characters at either end that are read; wishes about the manner stand there."""

_TONE: Final = (
    r"(?:warm|friendly|formal|informal|casual|polite|cheerful|playful|funny|humorous|serious|"
    r"professional|empathetic|apologetic|upbeat|concise|short|brief|simple|plain|dramatic|poetic|"
    r"on-brand|enthusiastic|reassuring|kind|encouraging|neutral|gentle|teasing|lively|sarcastic|"
    r"persuasive|catchy|witty|fun|rhyming|personal)"
)
_GENRE: Final = (
    r"(?:reply|answer|response|e-?mail|mail|letter|message|note|text|tweet|post|poem|haiku|limerick|"
    r"song|rap|story|speech|script|announcement|notice|newsletter|caption|slogan|faq(?: entry)?|"
    r"memo|summary|paragraph|dialogue|explanation|description|article|essay|report|press release|"
    r"headline|flyer|poster|advert(?:isement)?|sms|slide|table|list|rhyme|joke|quiz|template)"
)
_PURE_GENRE: Final = r"(?:poem|haiku|limerick|sonnet|rap|bullet\s+points|rhymes?)"
"""No office document has this shape, so it can only be wished for."""

_PEOPLE: Final = (
    r"(?:customers?|colleagues?|team|staff|employees?|managers?|clients?|shoppers?|newcomers?|"
    r"new\s+starters?|suppliers?|guests?|visitors?|users?|website)"
)
_ASKER: Final = (
    r"(?:employees?|workers?|starters?|joiners?|hires?|managers?|leads?|supervisors?|customers?|"
    r"members?|contractors?|freelancers?|students?|interns?|apprentices?|trainees?|parents?|mother|"
    r"father|suppliers?|visitors?|guests?|users?|admins?|carers?|temps?|gift|gift\s+card|refund|rule)"
)
"""Whom a question may be about: "as a part-time employee" says what to find."""

_POLITE: Final = r"(?:(?:please|kindly|(?:can|could|would|will)\s+you|and|but|then)[\s,]+){0,4}"
_SAYING: Final = (
    r"(?:explain|write|answer|tell|describe|say|summari[sz]e|reply|respond|rewrite|phrase|present|"
    r"list|talk|speak|narrate|announce|report|draft|compose|outline|give|put|return|show)"
)
_STARTS: Final = r"(?:^|(?<=[.!?:;,\n]))\s*"
_ENDS: Final = r"(?=\s*(?:[.,:;!?\n]|$))"
_NEXT: Final = (
    rf"(?:\s+(?:would|might)\b(?:\s+(?:say|explain|write)\s+it)?)?(?:{_ENDS}|(?=\s+(?:about|how|what|"
    r"when|where|which|who|why|whether|that|in|to|and)\b))"
)
_LENGTH: Final = (
    r"(?:(?:to|under|below|within|at most|around|about|exactly|(?:no )?more than|less than|"
    r"fewer than)\s+){0,2}(?:\d+|one|two|three|four|five|six|ten|twelve|a\s+few|a\s+couple\s+of)\s+"
    rf"(?:(?:{_TONE}|clear)(?:,|\s+and)?\s+){{0,2}}(?:words?|sentences?|lines?|characters?|"
    r"paragraphs?|bullet points|bullets)\b"
)
_PERSONA: Final = (
    rf"(?:(?:like|as)\s+(?:an?|if\s+(?:you|i)\s+were(?:\s+an?)?)\s+(?!(?:[\w-]+\s+){{0,2}}{_ASKER}\b)"
    rf"[\w'’-]+(?:\s+[\w'’-]+){{0,3}}?|like\s+i['’]m\s+(?:five|\d+|a\s+child))"
)
_WHICH_CONTENT: Final = r"(?:if|whether|can\s+i|may\s+i|do\s+i|something|anything|work|apply|count)"
"""Before a persona, these make it content: "tell me if I can work as a nurse"."""

_PATTERNS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), kept)
    for pattern, kept in (
        # "As a pirate, tell me …", but not "As a new employee, how many …".
        (
            rf"^\s*(?:as|like)\s+an?\s+(?!(?:[\w-]+\s+){{0,2}}{_ASKER}\b)[\w-]+(?:\s+[\w-]+){{0,2}},\s+"
            rf"(?={_POLITE}{_SAYING}\b)",
            " ",
        ),
        # "Write a friendly reply to a customer asking how long …"
        (
            rf"^\s*{_POLITE}(?:write|draft|compose|create|give me|send|prepare|generate|make)\s+"
            rf"(?:me\s+|us\s+)?(?:(?:an?|the|our|one)\s+)?(?:{_TONE}(?:,|\s+and)?\s+)*"
            rf"(?:(?!to\b|for\b|about\b|in\b|on\b)[\w-]+\s+){{0,2}}?{_GENRE}\b"
            rf"(?!\s+of\b|\s+templates?\b)"
            rf"(?:\s+(?:to|for)\s+(?:(?:an?|the|our|my|all)\s+)?(?:[\w-]+\s+){{0,3}}?{_PEOPLE}\b)?"
            r"(?:,?\s+(?:(?:who\s+|that\s+|which\s+)(?:asks?|wants?\s+to\s+know|is\s+asking|explains?|"
            r"answers?|tells?(?:\s+(?:people|them|everyone|customers))?|says?|names?|announces?)|to\s+(?:announce|explain|say)|asking|"
            r"explaining|announcing|describing|saying|promoting|introducing|advertising|about|on|for|"
            r"(?:telling|reminding|informing)\s+(?:them|her|him|us|people|everyone)(?:\s+(?:of|about|"
            r"that))?)\b)?",
            " ",
        ),
        # "Could you keep it under 50 words: …", "… and make it fun."
        (
            rf"(?:{_STARTS}|\band\s+){_POLITE}(?:keep|make)\s+(?:it|this|that|your\s+answer)\s+"
            rf"(?:{_LENGTH}|(?:sound\s+)?like\s+[\w'’ -]{{1,40}}{_ENDS}|(?:(?:more|very|a\s+bit)\s+"
            rf")?[\w-]+(?:\s+and\s+[\w-]+)?{_ENDS})\s*[:,.]?",
            " ",
        ),
        (
            rf"\bin\s+(?:an?|the|our|your)\s+(?:very\s+)?(?:{_TONE}(?:,|\s+and)?\s+)+"
            r"(?:tone|voice|style|manner|way)\b",
            " ",
        ),
        (r"\bin\s+(?:our|the)\s+(?:brand|house)\s+(?:voice|tone|style)\b", " "),
        (
            r"\bin\s+the\s+(?:style|voice|tone)\s+of\s+(?:an?\s+|the\s+)?[\w'’-]+"
            rf"(?:\s+[\w'’-]+){{0,2}}?{_NEXT}",
            " ",
        ),
        (rf"\b(?:as|in(?:to)?)\s+(?:an?\s+|one\s+)?(?:{_TONE}\s+)?{_PURE_GENRE}{_NEXT}", " "),
        # "Explain … as a pirate", "…? Answer in two sentences."
        (
            rf"({_STARTS}{_POLITE}{_SAYING}\b(?:(?!\b{_WHICH_CONTENT}\b)[^.!?:;\n]){{0,200}}?)\s*"
            rf"(?<![\w-])(?:{_PERSONA}{_NEXT}|(?:as|in|with)\s+(?:an?\s+|one\s+)?(?:{_TONE}\s+)*"
            rf"(?:{_GENRE}|json){_ENDS}|in\s+{_LENGTH})",
            r"\1 ",
        ),
        (rf"(?<=,)\s*(?:as|in)\s+(?:an?\s+|one\s+)?(?:{_TONE}\s+)?(?:{_GENRE}|json){_ENDS}", " "),
        # "Explain … to a new colleague"; what is asked to "tell a colleague" follows that.
        (
            rf"({_STARTS}{_POLITE}(?:explain|describe|present|summari[sz]e|outline)\b[^.?!:;\n]"
            rf"{{0,200}}?)\s+to\s+(?:(?:an?|the|our|my|all)\s+)?(?:new\s+)?{_PEOPLE}{_ENDS}",
            r"\1 ",
        ),
        (
            rf"^\s*{_POLITE}(?:tell|remind|inform)\s+(?:an?|the|our|my|all|your)\s+(?:new\s+)?"
            rf"{_PEOPLE}\s*(?:\w{{3,20}}ly\b)?,?\s*(?=(?:about|how|what|when|where|which|who|why|"
            r"whether)\b)",
            " ",
        ),
        # "Your entire response must be in lower case. Use at least 300 words."
        (
            r"(?:(?<=[.!?:;\n])|^)\s*(?:and\s+)?(?:please\s+)?(?:make\s+sure\s+(?:that\s+)?|ensure\s+"
            r"(?:that\s+)?)?(?:your|the)\s+(?:entire\s+|whole\s+|full\s+)?(?:response|answer|output|"
            r"reply)\s+(?:should|must|has\s+to|needs?\s+to|may|is|are|contains?|ha[sv]e?)\b"
            r"[^.!?\n]{0,200}(?:[.!?]+|$)",
            " ",
        ),
        (
            rf"{_STARTS}{_POLITE}use\s+(?:only\s+|exactly\s+|at\s+(?:least|most)\s+|all\s+|no\s+|fewer"
            r"\s+than\s+|less\s+than\s+|no\s+more\s+than\s+)(?:\w+\s+){0,2}(?:words?|sentences?|lines?|"
            r"paragraphs?|letters?|caps|capitals|commas|bullet\s+points|bullets)\b[^.!?\n]{0,80}"
            r"(?:[.!?]+|$)",
            " ",
        ),
        # What is left of "Answer as a pirate."
        (
            rf"{_STARTS}{_POLITE}{_SAYING}(?:\s+(?:it|this|that|me|to me|the (?:answer|reply)))*"
            r"\s*(?:[,.:;!?]+|$)",
            " ",
        ),
    )
)
_GAP = re.compile(r"\s+")
_LOOSE_END = re.compile(r"(?<![\s,])[\s,]+(?=[?!])")
"""What the left-out phrases leave before a mark: "the staff discount, ?"."""


def without_manner(question: str) -> str:
    """Return the part of a question that says what to find.

    Args:
        question: A standalone question, such as "Write a friendly reply about our gift cards".

    Returns:
        The question without the phrases that only say how to answer ("our gift cards"); the whole
        question when there are none, or when nothing would be left.
    """
    if len(question) > 2 * LOOKED_AT:
        head, tail = _bare(question[:LOOKED_AT]), _bare(question[-LOOKED_AT:])
        return head + question[LOOKED_AT:-LOOKED_AT] + tail
    rest = _bare(question)
    if rest == question:
        return question
    rest = " ".join(_LOOSE_END.sub("", rest).split()).strip(" ,.;:-")
    return rest if len(rest.split()) >= 2 else question


def _bare(text: str) -> str:
    # The patterns try a wide gap from every place in it.
    rest = close = _GAP.sub(lambda gap: "\n" if "\n" in gap.group() else " ", text)
    for pattern, kept in _PATTERNS:
        rest = pattern.sub(kept, rest)
    return text if rest == close else rest
