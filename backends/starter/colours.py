"""What the attributes skill learns from: colour words of every sort and their master colour."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Final

from backends.starter.clauses import Clauses
from backends.starter.corpus import kept_back
from backends.starter.exchange import Exchange
from backends.starter.lexicon import capital, pairs, pick, read_lists, read_rows

MASTER_COLOURS: Final = (
    "beige", "pink", "white", "grey", "blue", "green", "orange", "red", "purple", "yellow", "brown",
    "black", "gold", "silver", "multicolour",
)  # fmt: skip
"""The list of the sample retailer's document on colours."""

SCHEMA: Final[Mapping[str, object]] = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": list(MASTER_COLOURS)}},
    "required": ["colour"],
    "additionalProperties": False,
}
"""What an answer of the attributes skill is."""


def held_out() -> dict[str, str]:
    """Return phrasings that are never composed into training, each with its master colour."""
    return {row["phrase"]: row["colour"] for row in read_rows("colours_held_out.jsonl")}


PHRASES: Final = "colours.jsonl"
"""One written phrase a line, as ``phrase``, with its master colour, as ``colour``."""

_WRITTEN: Final = 0.5
"""Share of the phrases that were written; the others are composed."""


class Colours:
    """Composes colour phrases; none of them is one of `held_out`."""

    def __init__(self, clauses: Clauses) -> None:
        self._clauses = clauses
        self._rng: random.Random = clauses.rng
        words = read_lists("colours")
        self._words = {colour: words[colour] for colour in MASTER_COLOURS}
        self._lists = read_lists("colour_words")
        self._ish = pairs(self._lists["ish"])
        self._apart = {_key(phrase) for phrase in held_out()}
        self._written: list[tuple[str, str]] = [
            (row["phrase"], row["colour"])
            for row in read_rows(PHRASES)
            if kept_back(row["phrase"]) is clauses.corpus.measuring
        ]

    def exchange(self, system: str = "") -> Exchange:
        """Return a wish for a master colour and its answer."""
        phrase, colour = self.phrase()
        wish = pick(self._rng, self._lists["wishes"]).replace("{p}", phrase)
        return Exchange(wish, json.dumps({"colour": colour}), system)

    def phrase(self) -> tuple[str, str]:
        """Return a phrase and its master colour."""
        while True:
            phrase, colour = self._phrase()
            if _key(phrase) not in self._apart:
                return phrase, colour

    def _phrase(self) -> tuple[str, str]:
        if self._rng.random() < _WRITTEN:
            phrase, colour = self._rng.choice(self._written)
            return self._cased(self._spelt(phrase)), colour
        roll = self._rng.random()
        if roll < 0.07:
            return self._metal()
        if roll < 0.13:
            return self._many()
        if roll < 0.25:
            phrase, colour = self._tinged()
        else:
            colour = pick(self._rng, MASTER_COLOURS)
            phrase = self._spelt(self._word(colour))
            if self._rng.random() < 0.12:
                phrase = phrase.replace(" ", "-")
            if self._rng.random() < 0.5:
                phrase = self._modified(phrase)
        return self._framed(phrase, colour), colour

    def _tinged(self) -> tuple[str, str]:
        """Return "pinkish beige": the last word is the colour."""
        rng = self._rng
        tinge = pick(rng, tuple(self._ish))
        if rng.random() < 0.3:
            modifier = pick(rng, self._lists["modifiers"])
            tinge = f"{modifier} {tinge}"
        colour = pick(rng, self._lists["basics"])
        roll = rng.random()
        if roll < 0.2:
            return tinge, self._ish.get(tinge.split()[-1], colour)
        head = colour if roll < 0.8 else pick(rng, self._words[colour])
        joint = pick(rng, (" ", " ", " ", "-", " sort of ", " kind of "))
        phrase = f"{tinge}{joint}{head}"
        return phrase, colour

    def _word(self, colour: str) -> str:
        """Return a name of the colour; those that stand first are the commonest."""
        words = self._words[colour]
        return words[int(len(words) * self._rng.random() ** 1.4)]

    def _modified(self, phrase: str) -> str:
        rng = self._rng
        modifier = pick(rng, self._lists["modifiers"])
        roll = rng.random()
        if roll < 0.6:
            return f"{modifier} {phrase}"
        if roll < 0.75:
            return f"{modifier}, {pick(rng, self._lists['modifiers'])} {phrase}"
        if roll < 0.9:
            return f"{phrase}, {modifier}"
        return f"{phrase}{pick(rng, (' ', ', '))}{pick(rng, _FOREIGN)}"

    def _framed(self, phrase: str, colour: str) -> str:
        rng = self._rng
        if rng.random() < 0.16 and colour not in ("gold", "silver", "multicolour"):
            second = pick(rng, self._lists["basics"])
            pattern = pick(rng, self._lists["patterns"]).replace("{b}", second)
            if rng.random() < 0.25:
                pattern = pattern.replace(
                    "with", pick(rng, ("w/", "w.", "mit", "+", "avec", "con"))
                )
            goods = f" {self._goods()}" if rng.random() < 0.3 else ""
            return self._cased(f"{phrase}{goods} {pattern}".replace(" ,", ","))
        if rng.random() < 0.06:
            return self._cased(f"{phrase}-ish{pick(rng, ('', ' tone', ' colour', ', almost'))}")
        text = pick(rng, self._lists["frames"])
        text = text.replace("{c}/{c}", "{c}").replace("{c}", phrase)
        text = text.replace("{g}", self._goods())
        number = rng.choice((rng.randint(1, 99), rng.randint(100, 9999)))
        text = text.replace("{n}", f"{number:0{rng.choice((1, 2, 3))}d}")
        return self._cased(text)

    def _goods(self) -> str:
        """Return what has the colour; half of the time any noun, since it must not matter."""
        if self._rng.random() < 0.5:
            return pick(self._rng, self._lists["goods"])
        return self._clauses.things() if self._rng.random() < 0.3 else self._clauses.thing()

    def _metal(self) -> tuple[str, str]:
        """Return metal, which is gold or silver whatever else the word means."""
        rng = self._rng
        colour = pick(rng, ("gold", "silver"))
        tone = pick(rng, self._lists[f"{colour}ish"])
        if rng.random() < 0.3:
            polish = ("brushed", "polished", "antique", "matte", "shiny", "pale", "light", "old")
            tone = f"{pick(rng, polish)} {tone}"
        metal = pick(rng, self._lists["metals"])
        joint = pick(rng, (" ", " ", "-coloured ", " metal ", "-coloured metal ", " metallic "))
        joint = " " if "coloured" in tone or "toned" in tone else joint
        text = pick(rng, (f"{tone}{joint}{metal}", f"{metal} in {tone}", f"{metal}, {tone}"))
        return self._cased(text), colour

    def _many(self) -> tuple[str, str]:
        """Return three colours or more, which make one product multicoloured."""
        rng = self._rng
        colours = rng.sample(MASTER_COLOURS[:14], rng.choice((3, 3, 3, 4)))
        said = [
            colour if rng.random() < 0.6 else pick(rng, self._words[colour]) for colour in colours
        ]
        if rng.random() < 0.25:
            text = pick(rng, ("/", " / ", "-", " + ")).join(said)
        else:
            text = f"{', '.join(said[:-1])} and {said[-1]}"
        after = (
            "",
            "",
            " stripes",
            " blocks",
            " patchwork",
            " squares",
            " flowers",
            " checks",
            " mix",
        )
        return self._cased(f"{text}{pick(rng, after)}"), "multicolour"

    def _spelt(self, word: str) -> str:
        """Return the word, one time in four with a slip of the keys."""
        rng = self._rng
        if len(word) < 4 or rng.random() >= 0.25:
            return word
        at = rng.randint(1, len(word) - 2)
        roll = rng.random()
        if roll < 0.35:
            return word[:at] + word[at + 1 :]
        if roll < 0.6:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        if roll < 0.8:
            return word[:at] + word[at] + word[at:]
        return word[:at] + pick(rng, "abcdefghiklmnoprstuwy") + word[at + 1 :]

    def _cased(self, text: str) -> str:
        roll = self._rng.random()
        if roll < 0.76:
            return text
        return capital(text) if roll < 0.86 else (text.upper() if roll < 0.96 else text.title())


_FOREIGN: Final = (
    "hell", "dunkel", "matt", "zart", "clair", "foncé", "mat", "vif", "claro", "oscuro", "meliert",
    "glänzend", "pastell", "pâle", "licht", "donker", "brillant", "gestreift",
)  # fmt: skip


def _key(phrase: str) -> str:
    return " ".join(phrase.casefold().split())
