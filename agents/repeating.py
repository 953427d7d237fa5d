"""Does a statement repeat the line that it cites? A small model may put another word into it.

What a statement says in words of its own is not checked word by word where a large model speaks; a
small one that has learnt to repeat lines is held to it, and quoted where it does not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from backends.sentences import split_sentences
from backends.terms import question_terms

MAX_HELD: Final = 2_000
"""Characters that are held back for a mark; no honest statement is longer."""

_POLITE: Final = "please kindly good news happy glad pleased note remember know simply also welcome"
"""Words that a voice may add to what a line says."""

_MARK = re.compile(r"[ \t]{0,8}\[(\d{1,2})\]", re.ASCII)
_BULLET = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s+")


class LineGuard:
    """Takes an answer in pieces; a statement that strays from the line it cites becomes that line.

    Args:
        lines: What the model was given, numbered from 1.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._terms = [frozenset(question_terms(line)) for line in lines]
        self._polite = frozenset(question_terms(_POLITE))
        self._pending = ""

    def feed(self, piece: str) -> str:
        """Take the next piece; give back what no mark can follow any more."""
        self._pending += piece
        shown = ""
        while mark := _MARK.search(self._pending):
            shown += self._repeated(self._pending[: mark.start()], int(mark[1])) + mark[0]
            self._pending = self._pending[mark.end() :]
        return shown + self._through(self._begun())

    def close(self) -> str:
        """The answer is over; give back what was held."""
        return self._through(len(self._pending))

    def _through(self, end: int) -> str:
        ready, self._pending = self._pending[:end], self._pending[end:]
        return ready

    def _begun(self) -> int:
        """Where the last sentence begins, which may still be cited."""
        if len(self._pending) > MAX_HELD:
            return len(self._pending)
        return _last_start(self._pending)

    def _repeated(self, before: str, number: int) -> str:
        """The text before a mark, its last statement as the line has it."""
        if not 1 <= number <= len(self._lines):
            return before
        start = _last_start(before)
        if bullet := _BULLET.match(before, start):
            start = bullet.end()
        statement = before[start:]
        strange = set(question_terms(statement)) - self._terms[number - 1] - self._polite
        if not strange:
            return before
        return before[:start] + self._lines[number - 1].rstrip(" .")


def _last_start(text: str) -> int:
    """Where the last sentence of a text begins, on its last line."""
    line = text.rfind("\n", 0, len(text.rstrip())) + 1
    found = split_sentences(text[line:])
    return line + found[-1].start if found else line
