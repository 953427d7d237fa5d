"""Says a clause with many words that carry nothing, as people do who write long letters.

What a padding adds can be told from what it is put around, so that the way back, which a small
model is to learn, follows by rule.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Final

from backends.starter.clauses import Clause
from backends.starter.lexicon import pick, read_lists
from backends.starter.wording import put, replaced, sentence


class Padding:
    """Pads clauses; every draw comes from one random generator."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._lists = read_lists("padding")
        pairs = [item.split("=", 1) for item in self._lists["longer"]]
        self._longer = {
            left: tuple(right for one, right in pairs if one == left) for left, _ in pairs
        }

    def padded(self, clause: Clause, *, lead: bool) -> str:
        """Return a sentence that says the clause at length.

        Args:
            clause: What is said.
            lead: Whether words in front are sure; without, a part of the clauses goes without.
        """
        text = self._lengthened(clause.full)
        if clause.kind in ("imperative", "prohibition"):
            if text.startswith(("do not ", "never ", "no ")):
                return sentence(f"{self._of('leads')} you should {_not_imperative(text)}")
            return put(self._of("requests"), text)
        if clause.kind == "refusal":
            return put(self._of("refusals"), text)
        if clause.kind == "question":
            return self._asked(text)
        text = self._interrupted(text)
        if self._rng.random() < 0.2:
            text = f"{text} {self._of('ends of sentences')}"
        if lead or self._rng.random() < 0.5:
            text = f"{self._of('leads')} {text}"
        return sentence(text)

    def courtesy(self) -> str:
        """Return a sentence that may be left out."""
        return self._of("courtesies")

    def _asked(self, text: str) -> str:
        indirect = _YES_OR_NO.match(text)
        if indirect and self._rng.random() < 0.6:
            whether = f"you {indirect[1]} {text[indirect.end() :]}".replace("you do ", "you ")
            return self._of("indirect questions").replace("{w}", whether)
        return put(self._of("questions"), text)

    def _lengthened(self, text: str) -> str:
        """Put longer words for some of those that have longer ones."""
        if self._rng.random() < 0.4:
            return text
        chosen = {
            left: pick(self._rng, rights)
            for left, rights in self._longer.items()
            if self._rng.random() < 0.6
        }
        return replaced(text, chosen)

    def _interrupted(self, text: str) -> str:
        """Put an aside in front of the first auxiliary, or an adverb behind it."""
        found = _AUXILIARY.search(text)
        roll = self._rng.random()
        if not found or roll < 0.5:
            return text
        if roll < 0.75:
            aside = self._of("insertions")
            return f"{text[: found.start()].rstrip()}, {aside}, {text[found.start() :]}"
        return f"{text[: found.end()]} {self._of('adverbs')}{text[found.end() :]}"

    def _of(self, key: str) -> str:
        return pick(self._rng, self._lists[key])


def _not_imperative(text: str) -> str:
    """Say a prohibition behind "you should"."""
    for start, instead in _PROHIBITED:
        if text.startswith(start):
            return instead + text[len(start) :]
    return text


_PROHIBITED: Final[Sequence[tuple[str, str]]] = (("do not ", "not "), ("no ", "have no "))
_YES_OR_NO: Final = re.compile(r"(can|could|do|will|would|are|have) you ")
_AUXILIARY: Final = re.compile(r"\b(?:is|are|was|were|has|have|will|can|cannot|does not|do not)\b")
