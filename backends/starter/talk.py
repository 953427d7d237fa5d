"""What the base model learns to say by itself: small talk, and that the rest is beyond it."""

from __future__ import annotations

import random
from typing import Final

from backends.starter.clauses import Clauses
from backends.starter.exchange import Exchange
from backends.starter.lexicon import capital, pick, read_lists

KINDS: Final = (
    "hello", "morning", "afternoon", "evening", "night", "howareyou", "thanks", "praise", "bye",
    "who", "what", "sorry", "ok", "sad", "glad", "angry", "chat",
)  # fmt: skip


class Talk:
    """Composes small talk and refusals."""

    def __init__(self, clauses: Clauses) -> None:
        self._clauses = clauses
        self._rng: random.Random = clauses.rng
        self._lists = read_lists("talk")

    def small(self, system: str = "") -> Exchange:
        """Return a greeting, thanks or other small talk and what the house says to it."""
        kind = pick(self._rng, KINDS)
        said = pick(self._rng, self._lists[kind])
        return Exchange(self._varied(said), self.answer(kind), system or self.system())

    def declined(self, system: str = "") -> Exchange:
        """Return a wish beyond the base model and the sentence that says so."""
        if self._rng.random() < 0.6:
            wish = pick(self._rng, self._clauses.corpus.wishes)[:300].strip()
        else:
            wish = self._wish()
        return Exchange(wish, self.refusal, system or self.system())

    def refused(self, system: str) -> Exchange:
        """Return a wish that no skill covers, for adapters."""
        if self._rng.random() < 0.5:
            wish = pick(self._rng, self._clauses.corpus.creative)[:250].strip()
        else:
            wish = self._wish()
        return Exchange(wish, self.refusal, system)

    def answer(self, kind: str) -> str:
        """Return what is said to a kind of small talk."""
        return self._lists[f"answers {kind}"][0]

    @property
    def refusal(self) -> str:
        """The one sentence for everything else."""
        return self._lists["decline"][0]

    def system(self) -> str:
        """Return a system prompt that callers might write, mostly none."""
        return pick(self._rng, self._lists["systems"]) if self._rng.random() < 0.25 else ""

    def _wish(self) -> str:
        text = self._clauses.fill(
            pick(self._rng, self._lists["decline wishes"]),
            t=self._clauses.thing,
            ts=self._clauses.things,
        )
        front = ("", "", "", "Please ", "Can you ", "Hi, ", "I need you to ", "Hello! ", "Hey, ")
        start = pick(self._rng, front)
        text = f"{start}{text[0].lower()}{text[1:]}" if start else text
        return self._varied(text) if self._rng.random() < 0.4 else text

    def _varied(self, text: str) -> str:
        rng = self._rng
        if rng.random() < 0.12 and len(text) > 4:
            at = rng.randint(1, len(text) - 2)
            text = text[:at] + text[at + 1 :]
        roll = rng.random()
        text = capital(text) if roll < 0.6 else text
        if roll > 0.97:
            text = text.upper()
        if text[-1].isalpha():
            text += rng.choices(("", "!", ".", "!!", " :)", "..."), (5, 4, 3, 0.4, 0.4, 0.3))[0]
        if rng.random() < 0.04:
            text = f"{text} {pick(rng, ('bot', 'there', 'everyone', 'friend', 'assistant'))}"
        return text
