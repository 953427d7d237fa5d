"""What the base learns words from: which topic a text has, and what trouble a customer has.

No adapter that ships sorts anything. It is practised so that an adapter that somebody trains on a
few hundred rows of their own finds words told apart by what they are about.
"""

from __future__ import annotations

import json

from backends.starter.clauses import Clauses
from backends.starter.exchange import Exchange
from backends.starter.lexicon import capital, pick

SYSTEM = "exercise: sort"
_LONGEST = 240
_NO_TOPICS = frozenset(("general", "rewrite", "followup", "writing", "smalltalk"))


class Sorting:
    """Composes exchanges in which a text is sorted; every draw comes from one generator."""

    def __init__(self, clauses: Clauses) -> None:
        self._clauses = clauses
        self._topics = [
            (text, topic)
            for text, topic in clauses.corpus.topics
            if len(text) <= _LONGEST and topic not in _NO_TOPICS
        ]

    def exchange(self) -> Exchange:
        """Return a text and its label, as JSON."""
        if self._topics and self._clauses.rng.random() < 0.75:
            text, topic = self._topics[self._clauses.rng.randrange(len(self._topics))]
            return Exchange(text, json.dumps({"topic": topic}), SYSTEM)
        clause = self._clauses.clause("problem")
        greeting = pick(self._clauses.rng, ("", "", "Hello, ", "Hi, ", "Sorry, but ", "So, "))
        text = clause.full.replace("your ", "my ", 1)
        said = f"{greeting}{text}" if greeting else capital(text)
        return Exchange(f"{said}.", json.dumps({"trouble": clause.trouble}), SYSTEM)
