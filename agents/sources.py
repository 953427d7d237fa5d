"""What texts state, to be asked whether they hold a fact in whatever form it comes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from agents.amounts import Reading, Stated, calendar_in, counts_in, stated_in


class Sources:
    """What may be stated.

    Args:
        texts: The passages, and what the user said.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._readings: set[Reading] = set()
        self._words: set[str] = set()
        lowered = []
        for text in texts:
            for one in stated_in(text):
                self._readings.update(*one.parts)
            self._readings.update(("number", count) for count in counts_in(text))
            self._readings.update(calendar_in(text))
            lowered.append(text.casefold())
            self._words.update(re.findall(r"\w+", lowered[-1]))
        self._text = "\n".join(lowered)
        self._readings.update([reading for one in self._readings for reading in _implied(one)])

    def hold(self, stated: Stated) -> bool:
        """Whether every part of a fact is known, in one of the forms that it may be meant in."""
        return all(any(self._holds(reading) for reading in part) for part in stated.parts)

    def _holds(self, reading: Reading) -> bool:
        if reading in self._readings:
            return True
        match reading:
            case ("date", day, month, year):
                return self._holds_date(day, month, year)
            case ("time", minutes):
                # "9–11 am": the first of them has lost its half of the day.
                hour, minute = divmod(int(minutes), 60)
                return minute == 0 and ("number", str((hour - 1) % 12 + 1)) in self._readings
            case ("code", code):
                return code in self._text
            case ("name", *words):
                return all(_either(word) & self._words for word in words)
        return False

    def _holds_date(self, day: str, month: str, year: str) -> bool:
        """In pieces: "between 1 and 16 May", "the rules of 2025 … on 1 May"."""
        whole = ("date", day, month, "") in self._readings
        pieces = {("number", day), ("month", month)} <= self._readings
        return (whole or pieces) and (not year or ("number", year) in self._readings)


def _implied(reading: Reading) -> list[Reading]:
    """What a fact of a source says besides: a date names its month and its year."""
    match reading:
        case ("date", day, month, year):
            implied: list[Reading] = [("date", day, month, ""), ("month", month)]
            return [*implied, ("number", year)] if year else implied
    return []


def _either(word: str) -> set[str]:
    """Singular and plural, more or less."""
    return {word, word.removesuffix("s"), f"{word}s"}
