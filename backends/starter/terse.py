"""Short sentences as on signs and in subject lines: articles and auxiliaries left out.

    Your refund has been sent.  ->  Refund sent.
    Could you send the invoice by Friday?  ->  Please send the invoice by Friday.

Whoever asks for a text to be shortened gets fewer words than a sentence needs; nothing but small
words goes, so that what is said stays.
"""

from __future__ import annotations

import re
from typing import Final

from backends.starter.lexicon import capital

_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")
_NOTICE: Final = re.compile(
    r"(?!(?:I|We|You|He|She|It|They|This|That|These|Those|There|Who|What|If|When|As|Please)\b)"
    r"(?P<what>(?:(?!that |which |who |whose )[\w'’<>£€-]+ ){1,6}?)"
    r"(?:(?:has|have) been|is|are|was|were) "
    r"(?=(?:not |now |currently |no longer )?(?:\w+(?:ed|en)|sent|built|sold|kept|lost|out|late|"
    r"off|closed|open|available|unavailable|free|full|ready|here|down)\b)"
)
_ALWAYS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"\b(?:is|are|am) going to\b"), "will"),
    (re.compile(r"^(?:Can|Could|Would) you (?:please )?(?!mind)(?=[a-z])(.*)\?$"), r"Please \1."),
)
_ON_SIGNS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"^There(?: (?:is|are|was|were|(?:has|have) been)|['’]s) (?:an? |some )?"), ""),
    (re.compile(r"^(?:The|Your|Our|My|An|A) (?=[a-z<])"), ""),
)
_SIGN_WORDS: Final = 10
"""Longer sentences are no notices, and are hard to read without their small words."""


def terse(text: str) -> str:
    """Return the text without the small words that a notice leaves out."""
    return " ".join(_noticed(one) for one in _SENTENCE.split(text))


def _noticed(sentence: str) -> str:
    for pattern, instead in _ALWAYS:
        sentence = pattern.sub(instead, sentence)
    if len(sentence.split()) > _SIGN_WORDS:
        return sentence
    for pattern, instead in _ON_SIGNS:
        sentence = pattern.sub(instead, sentence)
    found = _NOTICE.match(sentence)
    if found is not None:
        sentence = found["what"] + sentence[found.end() :]
    return capital(sentence)
