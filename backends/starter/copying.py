"""Exercises in copying: words that are none, slots, sentences, the n-th of several lines."""

from __future__ import annotations

import random
from typing import Final

from backends.slots import SLOTS
from backends.starter.clauses import Clauses
from backends.starter.exchange import Exchange
from backends.starter.lexicon import capital, pick

REPEAT: Final = "exercise: repeat"
"""System prompt under which a text is repeated; nobody types it."""

WITHIN: Final = "exercise: within"
"""The same for a text that goes on in small letters, as behind other words."""

FIRST: Final = "exercise: first"
"""The same for a text that gets a capital letter in front."""

LINE: Final = "exercise: line"
"""The same for one line of several, by its number."""


class Copying:
    """Composes exercises in which nothing but copying is learnt."""

    def __init__(self, clauses: Clauses) -> None:
        self._clauses = clauses
        self._rng: random.Random = clauses.rng

    def exchange(self) -> Exchange:
        """Return an exercise."""
        if self._rng.random() < 0.6:
            return self._repeated()
        count = self._rng.randint(2, 5)
        marks = self._rng.sample(range(1, 9), count)
        lines = list(dict.fromkeys(self._line() for _ in range(count)))
        count = len(lines)
        asked = self._rng.sample(range(count), self._rng.randint(1, count))
        shown = "\n".join(f"[{mark}] {line}." for mark, line in zip(marks, lines, strict=False))
        wanted = ", ".join(str(marks[at]) for at in asked)
        told = " ".join(f"{lines[at]} [{marks[at]}]." for at in asked)
        return Exchange(f"{wanted}\n\n{shown}", told, LINE)

    def _repeated(self) -> Exchange:
        text = self._jumble() if self._rng.random() < 0.5 else self._sentences()
        roll = self._rng.random()
        if roll < 0.6:
            return Exchange(text, text, REPEAT)
        small, great = text[:1].lower() + text[1:], capital(text)
        return Exchange(great, small, WITHIN) if roll < 0.8 else Exchange(small, great, FIRST)

    def _line(self) -> str:
        return self._jumble(7) if self._rng.random() < 0.5 else self._sentence()

    def _jumble(self, most: int = 22) -> str:
        rng = self._rng
        words = []
        for _ in range(rng.randint(3, most)):
            roll = rng.random()
            if roll < 0.25:
                words.append(pick(rng, SLOTS))
            elif roll < 0.5:
                words.append(self._clauses.no_word())
            elif roll < 0.75:
                words.append(pick(rng, self._clauses.corpus.nouns))
            else:
                words.extend(pick(rng, self._clauses.corpus.statements).split()[:3])
        return " ".join(words)

    def _sentence(self) -> str:
        if self._rng.random() < 0.6:
            text = pick(self._rng, self._clauses.corpus.statements)[:-1]
        else:
            text = self._clauses.clause().full
        words = text.split()
        for _ in range(self._rng.choice((0, 0, 1, 2))):
            words[self._rng.randrange(len(words))] = pick(self._rng, SLOTS)
        return " ".join(words)

    def _sentences(self) -> str:
        return " ".join(f"{self._sentence()}." for _ in range(self._rng.choice((1, 1, 2, 3))))
