"""Where an answer ends that would not end by itself: too long, or going round in a circle."""

from __future__ import annotations

import re
from typing import Final

MAX_CHARACTERS: Final = 60_000
"""Of one answer, whatever the caller and the model say; some 15,000 tokens."""

CHARACTERS_A_TOKEN: Final = 32
"""At most, on average: a server that ignores ``max_tokens`` is stopped here."""

LOOP: Final = 600
"""Characters at the end of an answer that have to be one piece over and over."""

FEWEST_TIMES: Final = 4
"""How often that piece stands there then."""

_LOOKED_EVERY: Final = 120


class AnswerLimit:
    """Takes an answer in pieces and gives back what may still be said of it.

    Args:
        max_tokens: What the model was told, if anything.

    Attributes:
        why: Why nothing more is said, in plain words; None while there is no reason.
    """

    def __init__(self, max_tokens: int | None = None) -> None:
        told = CHARACTERS_A_TOKEN * max_tokens if max_tokens else MAX_CHARACTERS
        self._left = min(told, MAX_CHARACTERS)
        self._end = ""
        self._unseen = 0
        self.why: str | None = None

    def feed(self, piece: str) -> str:
        """Take the next piece; give back as much of it as there is room for."""
        if self.why is not None:
            return ""
        said, self._left = piece[: self._left], self._left - len(piece)
        self._end = (self._end + said)[-2 * LOOP :]
        self._unseen += len(said)
        if self._left < 0:
            self.why = "The answer was cut because the model did not come to an end."
        elif self._unseen >= _LOOKED_EVERY:
            self._unseen = 0
            if goes_round(self._end):
                self.why = "The answer was cut because the model repeated itself."
        return said


def goes_round(text: str) -> bool:
    """Whether the end of a text is one piece, words in it, over and over.

    The shortest period is read off the prefix function of Knuth, Morris and Pratt, 1977.
    """
    tail = text[-LOOP:]
    if len(tail) < LOOP or not re.search(r"[^\W_]", tail):
        return False
    longest = [0] * len(tail)
    for at in range(1, len(tail)):
        border = longest[at - 1]
        while border and tail[at] != tail[border]:
            border = longest[border - 1]
        longest[at] = border + (tail[at] == tail[border])
    return (len(tail) - longest[-1]) * FEWEST_TIMES <= len(tail)
