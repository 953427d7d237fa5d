"""What the tone skill learns from: a text, the manner that is wanted, and the text in it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from backends.starter.exchange import Exchange, slotted
from backends.starter.lexicon import capital, pick, read_lists
from backends.starter.manner import Manners, Message
from backends.starter.written import Written

Manner: TypeAlias = Literal[
    "formal",
    "friendly",
    "short",
    "formal and short",
    "friendly and short",
    "warm",
    "warm and short",
]

ADJECTIVES: Final[dict[Manner, tuple[str, ...]]] = {
    "formal": (
        "formal", "more formal", "professional", "more professional", "businesslike", "official",
        "very formal", "much more formal", "polished", "a bit more formal", "suitable for a letter",
        "more serious", "formal and polite", "corporate", "proper",
    ),
    "friendly": (
        "friendly", "friendlier", "more friendly", "casual", "more casual", "relaxed", "informal",
        "less formal", "less stiff", "chatty", "easygoing", "nicer", "a bit friendlier", "lighter",
        "sound friendlier", "conversational", "more cheerful", "cheerful",
    ),
    "short": (
        "short", "shorter", "much shorter", "concise", "more concise", "brief", "briefer", "crisp",
        "to the point", "as short as possible", "tighter", "compact", "less wordy", "snappier",
    ),
    "formal and short": (
        "shorter and more formal", "formal and short", "short and formal", "concise and formal",
        "more formal and shorter", "brief and professional", "short and businesslike",
        "more professional and shorter", "formal but short", "formal and concise",
        "crisp and official",
    ),
    "friendly and short": (
        "short and friendly", "friendly and short", "shorter and friendlier", "brief and casual",
        "friendlier and shorter", "casual and short", "short but friendly", "short and informal",
    ),
    "warm": (
        "warm", "warmer", "a warmer", "kinder", "gentler", "more caring", "softer",
        "more empathetic",
        "less harsh", "less cold", "more understanding", "more welcoming", "kind", "warm and clear",
        "warm and plain", "more considerate", "less rude", "more human", "calm and warm",
    ),
    "warm and short": (
        "short and warm", "warm and short", "warmer and shorter", "kind but short",
        "brief and warm",
        "short but kind", "warm and brief",
    ),
}  # fmt: skip

VOICES: Final = (
    "in our brand voice", "in the house voice", "in our house voice", "in the brand voice",
    "in our voice", "in the Tarn & Teasel voice", "for our customers",
    "the way we talk to customers",
)  # fmt: skip

_OBJECTS: Final = (
    "this", "this text", "this sentence", "this message", "the following", "the following text",
    "this e-mail", "this email", "my note", "the text", "this line", "these sentences",
    "this reply",
    "the following message", "this draft", "my message", "this paragraph", "this answer",
    "the sentence",
    "the message", "the following sentence", "this notice",
)  # fmt: skip
_FRAMES: Final = (
    "Make {o} {a}: {q}", "Make {o} {a}: {q}", "make {o} {a}: {q}", "Rewrite {o} in {n} tone: {q}",
    "Rewrite {o} in {n} tone: {q}", "Rewrite {o} so that it is {a}: {q}", "Rewrite {o}, {a}: {q}",
    "Rephrase {o} in {n} style: {q}", "Put {o} into {n} tone: {q}",
    "Turn {o} into something {a}: {q}",
    "Can you make {o} {a}? {q}", "Could you make {o} {a}, please? {q}", "Please make {o} {a}: {q}",
    "Please rewrite {o} in {n} tone. {q}", "{A}, please: {q}", "{A}: {q}", "{q} Make it {a}.",
    "{q}\n\nMake this {a}.", "{q}\n\nRewrite this in {n} tone, please.", "Make {o} {a}.\n\n{q}",
    "Say {o} in {n} way: {q}", "Change the tone of {o} to {a}: {q}", "I need {o} {a}: {q}",
    "How would I say {o} in {n} tone? {q}", "Edit {o} to be {a}: {q}",
    "Give me {n} version of {o}: {q}",
    "Can you rewrite {o} in {n} tone: {q}", "Reword {o} to sound {a}: {q}", "{o} {a} please: {q}",
    "Convert {o} to {n} tone: {q}", "Write {o} in {n} tone: {q}",
    "Improve {o}, it should be {a}: {q}",
    "{q} - make it {a}", "{q} ({a} please)", "Adjust {o} to {n} tone: {q}",
    "It should sound {a}: {q}",
)  # fmt: skip
_VOICE_FRAMES: Final = (
    "Rewrite {o} {v}: {q}", "Put {o} {v}: {q}", "Say {o} {v}: {q}",
    "How would we say this {v}? {q}",
    "Rephrase {o} {v}: {q}", "{q} Rewrite it {v}.", "Rewrite {o} {v}.\n\n{q}", "Write {o} {v}: {q}",
    "Please put {o} {v}: {q}", "Make {o} sound right {v}: {q}", "Tidy {o} up {v}: {q}",
)  # fmt: skip
_QUOTES: Final = ('"{}"', '"{}"', '"{}"', "“{}”", "'{}'", "{}", "{}", "«{}»", "„{}“")

ORDINARY: Final[tuple[Manner, ...]] = (
    "formal", "formal", "formal", "friendly", "friendly", "short", "short", "short", "short",
    "formal and short", "friendly and short",
)  # fmt: skip
"""The manners that are asked of anybody, the harder ones more often."""


_WRITTEN: Final[Mapping[str, float]] = MappingProxyType(
    {"formal": 0.1, "short": 0.9, "formal and short": 0.15}
)
"""By the manner: the share of exchanges that change a written text."""


_WITHOUT_TEXT: Final = 0.25
"""Share of the wishes that are refused because there is nothing to change."""


class Tones:
    """Makes exchanges in which a text changes its manner, composed or written."""

    def __init__(self, manners: Manners, written: Written, rng: random.Random) -> None:
        self._manners = manners
        self._written = written
        self._rng = rng
        self._lists = read_lists("tone")

    def exchange(self, manner: Manner, system: str = "") -> Exchange:
        """Return one for a manner."""
        while True:
            source, target = self._pair(manner)
            row = slotted(self._wish(manner, source), target, system)
            if row is not None and len(row.user) < 480 and source != target:
                return row

    def other(self, refusal: str, system: str = "") -> Exchange:
        """Return a wish that cannot be met, and the refusal to it.

        It asks for no other manner of its text, or brings no text along.
        """
        while True:
            manner = self._rng.choice(ORDINARY)
            if self._rng.random() < _WITHOUT_TEXT:
                wish = self._wish(manner, "")
            else:
                source, _ = self._pair(manner)
                wish = self._said(manner, source, pick(self._rng, self._lists["others"]))
            row = slotted(wish, refusal, system)
            if row is not None and len(row.user) < 480:
                return row

    def _pair(self, manner: Manner) -> tuple[str, str]:
        if self._rng.random() < _WRITTEN.get(manner, 0.0):
            return self._written.pair(manner)
        message = self._manners.message()
        return self._source(message, manner), self.target(message, manner)

    def target(self, message: Message, manner: Manner) -> str:
        """Say the message in the manner."""
        short = manner.endswith("short")
        if manner == "short":
            return self._manners.short(message)
        if manner.startswith("formal"):
            return self._manners.formal(message, short=short)
        if manner.startswith("friendly"):
            return self._manners.friendly(message, short=short)
        return self._manners.warm(message, short=short)

    def _source(self, message: Message, manner: Manner) -> str:
        roll = self._rng.random()
        if manner.startswith("formal"):
            return self._manners.informal(message) if roll < 0.8 else self._manners.plain(message)
        if manner.startswith("friendly"):
            return self._manners.stiff(message) if roll < 0.7 else self._manners.plain(message)
        if manner == "short":
            if roll < 0.7:
                return self._manners.wordy(message)
            return self._manners.informal(message) if roll < 0.85 else self._manners.stiff(message)
        return self._manners.cold(message) if roll < 0.85 else self._manners.stiff(message)

    def _wish(self, manner: Manner, source: str) -> str:
        rng = self._rng
        if rng.random() < 0.45:
            return self._loosely(manner, source)
        adjective = pick(rng, ADJECTIVES[manner])
        noun = _with_article(adjective)
        frame = pick(rng, _FRAMES)
        if manner.startswith("warm") and rng.random() < 0.3:
            frame = pick(rng, _VOICE_FRAMES)
            if manner == "warm and short":
                frame = f"{frame} Keep it short."
        quoted = pick(rng, _QUOTES).format(source)
        other = pick(rng, _OBJECTS)
        text = (
            frame.replace("{o}", other)
            .replace("{v}", pick(rng, VOICES))
            .replace("{a}", adjective)
            .replace("{A}", capital(adjective))
            .replace("{n}", noun)
        )
        return (
            capital(text).replace("{q}", quoted)
            if rng.random() < 0.9
            else text.replace("{q}", quoted)
        )

    def _loosely(self, manner: Manner, source: str) -> str:
        """Ask as people type: a word or two, where it goes, the text before or behind."""
        said = pick(self._rng, self._lists[manner.split(" ", 1)[0]])
        if " " in manner:
            said = f"{said} {pick(self._rng, self._lists['short too'])}"
        return self._said(manner, source, said)

    def _said(self, manner: Manner, source: str, wish: str) -> str:
        """Put a wish of some words and a text together, this way or that."""
        rng = self._rng
        adjective = pick(rng, ADJECTIVES[manner])
        said = (
            wish.replace("{o}", pick(rng, ("this", "it", *_OBJECTS)))
            .replace("{a}", adjective)
            .replace("{n}", _with_article(adjective))
            .replace("{l}", pick(rng, self._lists["languages"]))
        )
        if rng.random() < 0.4:
            context = pick(rng, self._lists["contexts"])
            said = f"{context} {capital(said) if context.endswith('.') else said}"
        if rng.random() < 0.3:
            said = f"{said} {pick(rng, self._lists['afters'])}"
        said = said.replace(" ,", ",").replace(" !!", "!!")
        said = capital(said) if rng.random() < 0.6 else said
        quoted = pick(rng, _QUOTES).format(source)
        if rng.random() < 0.15:
            gap = pick(rng, (" ", "\n", "\n\n", " - ", " -> "))
            return f"{quoted}{gap}{said}"
        joint = pick(rng, self._lists["joints"]).replace("/", "\n")
        return f"{said}{joint} {quoted}".replace("\n ", "\n").replace("  ", " ")


def _with_article(adjective: str) -> str:
    article = "an" if adjective[0] in "aeiou" else "a"
    return adjective if adjective.startswith("a ") else f"{article} {adjective}"


MANNERS: Final[tuple[Manner, ...]] = get_args(Manner)

SHARES: Final = (22, 16, 30, 6, 6, 14, 6)
"""How often each of `MANNERS` is practised; the hardest most."""
