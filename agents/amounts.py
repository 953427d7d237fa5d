"""Facts in one form each, so that "€1,200.00" and "1200 euros" are the same. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from backends.facts import FactKind, facts_in

Reading: TypeAlias = tuple[str, ...]
"""One meaning of a fact: ``("number", "1200")``, ``("time", "540")``, ``("date", "12", "5", "")``,
``("weekday", "mon")``, ``("month", "5")``, ``("code", "ab-12345")`` or ``("name", "anna", …)``."""

StatedKind: TypeAlias = Literal["number", "date", "name", "code"]


@dataclass(frozen=True, slots=True)
class Stated:
    """A fact where it stands in a text.

    Attributes:
        kind: What it is.
        start: First code point.
        end: One past the last.
        parts: What it says, each part in every form that it may be meant in: a date with a weekday
            and a time has three parts, "1.200" one with two readings.
    """

    kind: StatedKind
    start: int
    end: int
    parts: tuple[frozenset[Reading], ...]


def stated_in(text: str) -> list[Stated]:
    """Return the facts of a text in order, spelled-out numbers from two on among them."""
    found = [_foreign_date(one) for one in _FOREIGN_DATE.finditer(text)]
    found += [_read(one.kind, text, one.start, one.end) for one in facts_in(text)]
    found += _spelled(text)
    found.sort(key=lambda one: (one.start, -one.end))
    kept: list[Stated] = []
    for one in found:
        if one.parts and (not kept or one.start >= kept[-1].end):
            kept.append(one)
    return kept


def counts_in(text: str) -> frozenset[str]:
    """Return the numbers that words of a text may mean, "once", "third", "zwölf" among them."""
    return frozenset(
        _SMALL_ANYWHERE[word]
        for word in re.findall(r"[^\W\d_]+", text.casefold())
        if word in _SMALL_ANYWHERE
    )


def calendar_in(text: str) -> frozenset[Reading]:
    """Return the days and months that a text names in letters of any size: "since monday".

    "May" and "march" are words, too, and count only where they are written as months are.
    """
    named = re.findall(r"[^\W\d_]{4,10}", text.casefold())
    days = {("weekday", word[:3]) for word in named if word.removesuffix("s").endswith("day")}
    months = {("month", _MONTH_OF[word[:3]]) for word in named if word in _LONG_MONTHS}
    return frozenset(one for one in days if one[1] in _DAYS) | months


# --- numbers -------------------------------------------------------------------------------------

_UNITS: Final = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen
"""
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES: Final = {word: at for at, word in enumerate(_UNITS.split())} | {
    word: 20 + 10 * at for at, word in enumerate(_TENS.split())
}
_TIMES: Final = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
_NUMBER_WORD: Final = rf"(?:{'|'.join((*_VALUES, *_TIMES))})"
_NUMBER_WORDS = re.compile(
    rf"\b(?:(?:half )?an? (?=hundred|thousand|million|dozen))?(?:{_NUMBER_WORD}"
    rf"(?:(?:[ -]|[ ]and[ ]){_NUMBER_WORD}){{0,8}}|dozen)\b",
    re.IGNORECASE,
)
_OF_THE_ANSWER = re.compile(
    # "three things", "two ways": the answer counts its own parts.
    r"\s+(?:\w+\s+)?(?:things|points?|steps?|ways|options|tips|facts|reasons|rules|answers|parts|"
    r"words|lines|sentences|bullets|of (?:you|us|them))\b",
    re.IGNORECASE,
)
_OTHERS: Final = (  # from two on, for sources in which a number is spelled out
    "zwei deux dos twee second twice pair couple|drei trois tres drie third|vier quatre cuatro "
    "fourth|fünf cinq cinco vijf fifth|sechs six seis zes sixth|sieben sept siete zeven seventh|"
    "acht huit ocho eighth|neun neuf nueve negen ninth|zehn dix diez tien tenth|elf onze once "
    "eleventh|zwölf douze doce twaalf twelfth dozen"
)
_SMALL_ANYWHERE: Final = {
    word: str(value)
    for value, words in enumerate(_OTHERS.split("|"), start=2)
    for word in words.split()
} | {"one": "1", "first": "1", "half": "0.5", "vierzehn": "14", "quatorze": "14", "dreißig": "30"}
_SUFFIXED = re.compile(r"[ \u00a0]?(?:(k|tsd\b|thousand)|(m|million|mio)|(bn|billion))\b", re.I)
_THOUSANDS = re.compile(r"\d{1,3}(?:([.,'’\u00a0\u202f])\d{3})(?:\1\d{3})*")


def _numbers(digits: str) -> frozenset[str]:
    """Every number that digits with separators may mean, "1200" and "1.2" for "1.200"."""
    digits = digits.rstrip("stndrh")
    readings = set()
    if grouped := _THOUSANDS.match(digits):
        rest = digits[grouped.end() :]
        whole = re.sub(r"\D", "", grouped[0])
        if not rest:
            readings.add(whole)
        elif re.fullmatch(r"[.,]\d+", rest):
            readings.add(f"{whole}.{rest[1:]}")
    if re.fullmatch(r"\d+(?:[.,]\d+)?", digits):
        readings.add(digits.replace(",", "."))
    return frozenset(_plain(one) for one in readings or {re.sub(r"[^\d.]", ".", digits)})


def _plain(number: str) -> str:
    """Without zeros that say nothing: "1200.00" is "1200"."""
    whole, _, fraction = number.partition(".")
    fraction = fraction.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")


def _multiplied(readings: frozenset[str], text: str, end: int) -> frozenset[str]:
    suffix = _SUFFIXED.match(text, end)
    if suffix is None:
        return readings
    zeros = 3 if suffix[1] else 6 if suffix[2] else 9
    return readings | {_shifted(one, zeros) for one in readings}


def _shifted(number: str, zeros: int) -> str:
    whole, _, fraction = number.partition(".")
    fraction = fraction.ljust(zeros, "0")
    return _plain(f"{whole}{fraction[:zeros]}.{fraction[zeros:]}")


def _spelled(text: str) -> Iterator[Stated]:
    for found in _NUMBER_WORDS.finditer(text):
        value = _value(found[0].lower())
        if value >= 2 and not _OF_THE_ANSWER.match(text, found.end()):
            parts = (frozenset({("number", str(value))}),)
            yield Stated("number", found.start(), found.end(), parts)


def _value(words: str) -> int:
    """Read "two hundred and fifty"; a bare "hundred" is no number, an "a hundred" is."""
    if "dozen" in words:
        return 6 if words.startswith("half") else 12
    total = current = 0
    for word in re.findall(r"[a-z]+", words):
        if word in ("a", "an"):
            current = 1
        elif word in _VALUES:
            current += _VALUES[word]
        elif word == "hundred":
            current *= 100
        elif word in _TIMES:
            total, current = total + current * _TIMES[word], 0
    return total + current


# --- dates and times -----------------------------------------------------------------------------

_MONTHS: Final = (
    "jan januar januari janvier enero|feb februar februari février febrero|"
    "mar märz maart mars marzo|"
    "apr april avril abril|may mai mei mayo|jun juni juin junio|jul juli juillet julio|"
    "aug august augustus août agosto|sep september septembre septiembre|"
    "oct oktober octobre octubre|nov november novembre noviembre|"
    "dec dezember december décembre diciembre"
)
_MONTH_OF: Final = {
    word: str(number)
    for number, words in enumerate(_MONTHS.split("|"), start=1)
    for word in words.split()
}
_LONG_MONTHS: Final = frozenset(
    ("january", "february", "april", "june", "july", "august", "september", "october", "november",
     "december")
)  # fmt: skip
_ABROAD: Final = "|".join(sorted(_MONTH_OF, key=len, reverse=True))
_FOREIGN_DATE = re.compile(
    rf"(?<!\w)(?P<day>\d{{1,2}})\.?[ ](?:de[ ])?(?P<month>{_ABROAD})\b"
    rf"(?:[ ](?:de[ ])?(?P<year>\d{{4}}))?",
    re.IGNORECASE,
)
_MONTH_WORD = re.compile(r"[A-Za-z]{3,9}")
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_NUMERIC = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4}|\d\d)$")
_CLOCK = re.compile(
    r"(?<![\d+-])(\d{1,2})(?:[:.h](\d\d))?(?::\d\d)?"
    r"[ \u00a0\u202f]?([ap]\.?m|o['’]clock|Uhr)?(?![\d-])",
    re.IGNORECASE,
)
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _date(text: str) -> tuple[frozenset[Reading], ...]:
    parts: list[frozenset[Reading]] = []
    rest = text
    if iso := _ISO.search(text):
        parts.append(frozenset({_day(iso[3], iso[2], iso[1])}))
        rest = text[iso.end() :]
    elif numeric := _NUMERIC.match(text):
        year = numeric[3] if len(numeric[3]) == 4 else f"20{numeric[3]}"
        either = {_day(numeric[1], numeric[2], year), _day(numeric[2], numeric[1], year)}
        return (frozenset(either),)
    words = [word.lower()[:3] for word in _MONTH_WORD.findall(rest)]
    parts += [frozenset({("weekday", word)}) for word in words if word in _DAYS]
    month = next((_MONTH_OF[word] for word in words if word in _MONTH_OF), None)
    if month is None:
        return (*parts, *_clock(rest))
    day = re.search(r"(?<!\d)\d{1,2}(?!\d)", rest)
    year_given = re.search(r"\d{4}", rest)
    year = year_given[0] if year_given else ""
    if day:
        return (*parts, frozenset({_day(day[0], month, year)}))
    parts.append(frozenset({("month", month)}))
    return (*parts, frozenset({("number", year)})) if year else tuple(parts)


def _clock(text: str) -> Iterator[frozenset[Reading]]:
    found = _CLOCK.search(text)
    if found is None:
        return
    hour, minute = int(found[1]), int(found[2] or 0)
    half = (found[3] or "").lower().replace(".", "")
    hours = {hour}
    if half == "pm":
        hours = {hour % 12 + 12}
    elif half == "am":
        hours = {hour % 12}
    elif hour <= 12:
        hours = {hour, (hour + 12) % 24}
    yield frozenset({("time", str(60 * one + minute)) for one in hours})


def _day(day: str, month: str, year: str) -> Reading:
    return ("date", str(int(day)), str(int(month)), year)


def _foreign_date(found: re.Match[str]) -> Stated:
    month = _MONTH_OF[found["month"].lower()]
    reading = _day(found["day"], month, found["year"] or "")
    return Stated("date", found.start(), found.end(), (frozenset({reading}),))


# --- all of them ---------------------------------------------------------------------------------


def _read(kind: FactKind, text: str, start: int, end: int) -> Stated:
    said = text[start:end]
    if kind == "n":
        numbers = _multiplied(_numbers(said), text, end)
        return Stated("number", start, end, (frozenset(("number", one) for one in numbers),))
    if kind == "d":
        return Stated("date", start, end, _date(said))
    if kind == "c":
        return Stated("code", start, end, (frozenset({("code", said.casefold())}),))
    words = tuple(
        word for word in re.findall(r"\w+", said.casefold()) if word not in _NOT_OF_A_NAME
    )
    return Stated("name", start, end, (frozenset({("name", *words)}),) if words else ())


_NOT_OF_A_NAME: Final = frozenset({"mr", "mrs", "ms", "dr", "of", "the", "de", "la", "s"})
