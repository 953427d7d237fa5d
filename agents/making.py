"""Does a turn go on with what a conversation is making: a role, an invention, a text of the user's?

"What else is in you?" asks a vending machine that was made up, and "what was wrong with it?" is
about the user's own letter. Alone, both look like questions for a document.
"""

from __future__ import annotations

import re
from typing import Final

from agents.pointing import points_back

_ROLE: Final = re.compile(
    r"\b(?:act as|pretend|role-?play|play (?:the|a|an|my)\b|imagine you|be my\b|"
    r"you(?:['’]re| are) (?:an?|my|the)\b)",
    re.IGNORECASE,
)
_VOICE: Final = re.compile(
    # Case matters: "as Yoda", but not "as soon as".
    r"(?i:^\W*as\s+(?:an?\s+)?[\w’'-]+(?:\s+[\w’'-]+){0,2},|\bas if you were\b|\bfrom now on\b|"
    r"\bin the (?:voice|tone|style) of\b)"
    r"|(?i:\b(?:answer|talk|speak|explain|tell|say|describe)\b[^.?!:]{0,40}?\b(?:as|like)\s+)"
    r"(?:an?\s|[A-Z])"
)
_INVENTION: Final = re.compile(
    r"\b(?:invent|make up|imagine an?|come up with|dream up|"
    r"(?:write|tell|want|need|like)\b[^.?!]{0,20}?"
    r"\b(?:story|fairy tale|tale|saga|scene|fan fiction|adventure|legend|myth)\b)",
    re.IGNORECASE,
)
_OWN: Final = (
    r"(?:this|my\s+(?:[\w-]+\s+)?(?:text|draft|essay|letter|e-?mail|mail|message|poem|code|function|"
    r"query|speech|bio|intro|introduction|article|post|cv|résumé|resume|story|sentence|translation|"
    r"recipe|review|abstract|paragraph|answer|note))\b"
)
_OWN_TEXT: Final = re.compile(
    rf"\b(?:check|correct|proofread|polish|improve|fix|review|rewrite|rephrase|translate|shorten|"
    rf"summari[sz]e|edit|critique|look (?:at|over)|here['’]?s|here (?:is|are)):?\s+"
    rf"(?:{_OWN}|[\"“'‘])"
    rf"|\A\W*{_OWN}[^.?!\n]{{0,40}}[:\n]",
    re.IGNORECASE,
)
_OF_A_TEXT: Final = re.compile(
    r"\b(?:the|my|your|any|which|what)\s+(?:\w+\s+)?(?:mistakes?|errors?|typos?|changes?|corrections?|"
    r"edits?|wording|spelling|grammar|commas?|tone|sentences?|paragraphs?|title|ending|opening|bug)\b",
    re.IGNORECASE,
)
_PASTED: Final = re.compile(r"[\"“'‘][^\"”\n]{24,}|[:?.]\s+\S.{24,}|\n\s*\S", re.DOTALL)

_POLITE: Final = re.compile(r"\b(?:can|could|would|will) you\b|\bdo you know\b", re.IGNORECASE)
_YOU: Final = re.compile(r"\b(?:you|your|yours|yourself)\b", re.IGNORECASE)
_SAYS: Final = re.compile(
    # A statement or a deed within the play, not a wish and not a question.
    r"(?!.*\?)\W*(?:i|because|yes|no|well|my|he|she|they|it)\b"
    r"(?!(?:['’]d|\s+would)\s+like\b|\s+(?:need|want)\b)",
    re.IGNORECASE | re.DOTALL,
)
_OF_THE_INVENTION: Final = re.compile(
    # "the inhabitants", but not "the head of HR"
    r"\bthe\s+[a-z]{3,}\b(?!\s+(?:of|for|per|that|which|who|to)\b)"
    r"|\b(?:he|she|it|its|they|them|their|his|her)\b",
    re.IGNORECASE,
)
_OUTSIDE: Final = re.compile(r"\b(?:our|we|us|policy|by the way|btw)\b", re.IGNORECASE)
"""Words by which a turn leaves the play."""

_AND_THEN: Final = re.compile(
    r"\W*(?:and\s+)?(?:then|go on|continue|what (?:next|then)|what happen(?:s|ed) (?:next|then))"
    r"\W*",
    re.IGNORECASE,
)


def goes_on(asked: str, turn: str) -> bool:
    """Whether a turn goes on within a role or an invention that was asked for.

    Args:
        asked: The question before, with what it leaned on.
        turn: At most some hundred characters.
    """
    if _OUTSIDE.search(turn):
        return False
    if _AND_THEN.fullmatch(turn):
        return bool(_ROLE.search(asked) or _INVENTION.search(asked))
    if _ROLE.search(asked):
        return bool(_YOU.search(_POLITE.sub(" ", turn)) or _SAYS.match(turn))
    return bool(_INVENTION.search(asked) and _OF_THE_INVENTION.search(turn))


def asks_for_a_voice(asked: str) -> bool:
    """Whether a question asked to be answered as somebody else: as Yoda, like a pirate."""
    return _VOICE.search(asked) is not None


def is_about_own_text(asked: str, turn: str) -> bool:
    """Whether a question came with a text of the user's, and the turn is about that.

    Args:
        asked: The question before, with what it leaned on.
        turn: At most some hundred characters.
    """
    if not (_OWN_TEXT.search(asked) and _PASTED.search(asked)):
        return False
    return points_back(turn) or _OF_A_TEXT.search(turn) is not None
