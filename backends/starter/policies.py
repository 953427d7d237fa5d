"""Sentences as they stand in the rules of a retailer, about anything."""

from __future__ import annotations

import random
import re
from typing import Final

from backends.starter.clauses import Clause, Clauses
from backends.starter.lexicon import pairs, pick, read_lists


class Policies:
    """Composes rules; every draw comes from the generator of the clauses."""

    def __init__(self, clauses: Clauses) -> None:
        self._clauses = clauses
        self._rng: random.Random = clauses.rng
        self.lists = read_lists("policies")
        self.verbs = pairs(self.lists["verbs"])
        self._said = [one for one in self.lists["sentences"] if _SENTENCE.fullmatch(one)]

    def clause(self) -> Clause:
        """Return a rule as a clause among others."""
        rng = self._rng
        pattern = pick(rng, self._said)
        if not pattern.startswith(("{Name}", "{Brand}")):
            pattern = pattern[0].lower() + pattern[1:] if pattern[0] != "{" else _lowered(pattern)
        text = self.rule(
            pattern, self.goods(), pick(rng, self.lists["nouns"]), pick(rng, tuple(self.verbs))
        )
        return Clause("statement", text.rstrip("."))

    def pattern(self) -> str:
        """Return a sentence with blanks; most have one for goods."""
        rng = self._rng
        pattern = pick(rng, self.lists["sentences"])
        while "{goods}" not in pattern.lower() and rng.random() < 0.7:
            pattern = pick(rng, self.lists["sentences"])
        if pattern == "{Goods}":
            cell = pick(rng, ("{amount}", "{num} percent", "free", "{num} days", "none"))
            pattern = f"{{Goods}} | {cell}"
        if "{" not in pattern or len(pattern) < 14:
            pattern = "{Goods} cost {amount}."
        return pattern

    def rule(self, pattern: str, goods: str, noun: str, verb: str) -> str:
        """Fill the blanks of a pattern."""
        rng = self._rng
        text = self._clauses.fill(
            pattern,
            goods=lambda: goods,
            noun=lambda: noun,
            v=lambda: verb,
            pp=lambda: self.verbs[verb],
            event=lambda: pick(rng, self.lists["events"]),
            cond=lambda: pick(rng, self.lists["conditions"]),
            proof=lambda: pick(rng, self.lists["proofs"]),
            unit=lambda: pick(rng, self.lists["units"]),
        )
        return _BEFORE_VOWEL.sub(r"\1n", text)

    def goods(self) -> str:
        """Return goods in the plural, with or without what kind they are."""
        rng = self._rng
        noun = self._clauses.things()
        roll = rng.random()
        if roll < 0.25:
            noun = pick(rng, self._clauses.corpus.nouns)
            noun = noun if noun.endswith("s") else f"{noun}s"
        elif roll < 0.3:
            noun = f"{self._clauses.no_word()}s"
        if rng.random() < 0.35:
            return f"{pick(rng, self.lists['goods kinds'])} {noun}"
        if rng.random() < 0.12:
            return f"{noun} and {self._clauses.things()}"
        return noun


def _lowered(pattern: str) -> str:
    return f"{{{pattern[1].lower()}{pattern[2:]}"


_BEFORE_VOWEL: Final = re.compile(r"\b([Aa])(?= [aeiou])")
_SENTENCE: Final = re.compile(r"[A-Z{].{16,}\.")
