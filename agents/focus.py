"""What a conversation is about just now: the names in focus, and the words of its last turns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from agents.mentions import Mention, mentions, phrases
from backends.base import Message

CARRIED_TURNS: Final = 4
"""Earlier turns whose words are carried into a search."""

MAX_CARRIED_WORDS: Final = 240
"""Characters that are carried into a search, the newest first."""

_OF_ONE_TURN: Final = 140
_MAX_NAMES: Final = 3


def names_of(turns: Iterable[Message]) -> frozenset[str]:
    """Return every name in the turns, so that it is known in lower case as well."""
    return frozenset(
        one.text for turn in turns for one in mentions(turn.content) if one.kind == "name"
    )


def in_focus(earlier: Sequence[Message], turn: str, *, several: bool) -> str:
    """Return the name that a turn most likely means, or the names.

    The newest turn that names anything wins, except that "the hotel" looks for a name that was
    called so. Within a turn what it is about comes before where it is; identifiers come last.

    Args:
        earlier: Oldest first.
        turn: Says "it", "the hotel", "both".
        several: Take all names of that turn, up to three, and of the one before when it has one.

    Returns:
        Empty when nothing was named.
    """
    known = names_of(earlier)
    named = [(message, mentions(message.content, known)) for message in reversed(earlier)]
    groups = [_by_weight(found) for _, found in named]
    groups = [group for group in groups if group]
    if not groups:
        return ""
    group = next((g for g in groups if g[0].kind != "code"), groups[0])
    names = [one.text for one in group]
    if not several:
        return _called_so(turn, named) or names[0]
    if len(set(names)) == 1 and len(groups) > 1:
        names += [one.text for one in groups[1] if one.kind == group[0].kind]
    return " and ".join(_distinct(names)[:_MAX_NAMES])


def carried(earlier: Sequence[Message], question: str) -> str:
    """Return the names and noun phrases of the last turns, the newest first, for a search.

    Args:
        earlier: Oldest first.
        question: What it says already is left out.

    Returns:
        At most `MAX_CARRIED_WORDS` characters.
    """
    known = names_of(earlier)
    said = question.lower()
    kept: list[str] = []
    room = MAX_CARRIED_WORDS
    for message in list(reversed(earlier))[:CARRIED_TURNS]:
        of_turn = _OF_ONE_TURN
        names = [one.text for one in mentions(message.content, known)]
        for phrase in _distinct([*names, *phrases(message.content)]):
            cost = len(phrase) + 1
            if cost > min(room, of_turn) or phrase.lower() in said:
                continue
            kept.append(phrase)
            said += f" {phrase.lower()}"
            room -= cost
            of_turn -= cost
    return " ".join(kept)


def _by_weight(found: Sequence[Mention]) -> list[Mention]:
    order = {"name": 0, "phrase": 0, "code": 4}
    return sorted(
        (one for one in found if one.kind in order),
        key=lambda one: order[one.kind] + (2 if one.adjunct else 0),
    )


def _called_so(turn: str, named: Sequence[tuple[Message, Sequence[Mention]]]) -> str:
    """The newest name that holds the noun of "the hotel"."""
    for noun in re.findall(r"\b(?:the|that|this)\s+([a-z]{3,})\b", turn, re.IGNORECASE):
        for _, found in named:
            for one in reversed(found):
                if noun.lower() in one.text.lower().split() and one.kind in ("name", "phrase"):
                    return one.text
    return ""


def _distinct(texts: Iterable[str]) -> list[str]:
    """Without repetitions, whatever their case; the first of them stays."""
    kept: dict[str, str] = {}
    for text in texts:
        kept.setdefault(text.lower(), text)
    return list(kept.values())
