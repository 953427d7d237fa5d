"""More examples out of fewer: authored pieces put together, always the same way.

A factual question becomes a hybrid one when a manner is asked for on top, and stays factual when it
is only wrapped in courtesy or a story. Genres, subjects, passages and programs multiply into
behavioural ones. Noise (typing mistakes, no capitals, no punctuation) leaves a label as it is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from router.tuning.rows import Row, frames

SEED = 20_251_120

_FACTUAL_KINDS = frozenset({"inform", "both", "tell", "plainly"})
_PLAIN_KINDS = frozenset({"inform", "plainly"})


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many rows of each kind to compose."""

    shaped: int = 500
    wrapped: int = 250
    made: int = 350
    transformed: int = 250
    coded: int = 150
    played: int = 200
    tasks: int = 700
    informed: int = 400
    both: int = 250
    told: int = 350
    free: int = 350
    plainly: int = 150
    long: int = 600
    noisy: int = 500


def compose(rows: Sequence[Row], amounts: Amounts | None = None, *, seed: int = SEED) -> list[Row]:
    """Return composed rows only; the same arguments give the same rows.

    Args:
        rows: Labelled rows to wrap and to disturb; composed rows keep the source of theirs.
        amounts: How many of each kind.
        seed: Of the random choices.
    """
    amounts = amounts or Amounts()
    # Reproducible choices, no secrets.
    choice = random.Random(seed)  # noqa: S311 - repeatable, not secret
    pieces = frames()
    plain = [row for row in rows if row.needs_facts and not row.needs_manner and _short(row)]
    composed = [
        *_shaped(choice, pieces, plain, amounts.shaped),
        *_wrapped(choice, pieces, plain, amounts.wrapped),
        *_filled(choice, pieces, "make", amounts.made),
        *_filled(choice, pieces, "transform", amounts.transformed),
        *_filled(choice, pieces, "code", amounts.coded),
        *_filled(choice, pieces, "play", amounts.played),
        *_filled(choice, pieces, "task", amounts.tasks),
        *_filled(choice, pieces, "inform", amounts.informed),
        *_filled(choice, pieces, "both", amounts.both),
        *_filled(choice, pieces, "tell", amounts.told),
        *_filled(choice, pieces, "free", amounts.free),
        *_filled(choice, pieces, "plainly", amounts.plainly),
        *_filled(choice, pieces, "long", amounts.long),
    ]
    everything = [*rows, *composed]
    noisy = [_noisy(choice, choice.choice(everything)) for _ in range(amounts.noisy)]
    return _distinct([*composed, *noisy], rows)


def _short(row: Row) -> bool:
    return len(row.text) <= 160


def _shaped(
    choice: random.Random, pieces: Mapping[str, Sequence[str]], rows: Sequence[Row], count: int
) -> Iterator[Row]:
    for _ in range(count if rows else 0):
        row = choice.choice(rows)
        if choice.random() < 0.5:
            text = f"{_ended(row.text)} {choice.choice(pieces['suffix'])}"
        else:
            text = f"{choice.choice(pieces['prefix'])} {_quoted(choice, row.text)}"
        yield replace(row, text=text, needs_manner=True, kind="shaped", composed=True)


def _wrapped(
    choice: random.Random, pieces: Mapping[str, Sequence[str]], rows: Sequence[Row], count: int
) -> Iterator[Row]:
    for _ in range(count if rows else 0):
        row = choice.choice(rows)
        lead = choice.choice(pieces["lead"])
        trail = f" {choice.choice(pieces['trail'])}" if choice.random() < 0.4 else ""
        yield replace(row, text=f"{lead} {_ended(row.text)}{trail}", kind="wrapped", composed=True)


def _filled(
    choice: random.Random, pieces: Mapping[str, Sequence[str]], kind: str, count: int
) -> Iterator[Row]:
    """Fill the slots of a kind's frames; a slot may be filled by a piece with slots of its own."""
    for _ in range(count):
        text = choice.choice(pieces[kind])
        while "{" in text and (slot := _slot(text, pieces)):
            text = text.replace(f"{{{slot}}}", choice.choice(pieces[slot]), 1)
        if choice.random() < 0.2:
            text = f"{choice.choice(pieces['polite'])} {text[0].lower()}{text[1:]}"
        facts, manner = kind in _FACTUAL_KINDS, kind not in _PLAIN_KINDS
        yield Row(_article(text), facts, manner, f"own-{kind}", kind, composed=True)


def _slot(text: str, pieces: Mapping[str, Sequence[str]]) -> str | None:
    return next((kind for kind in pieces if f"{{{kind}}}" in text), None)


def _article(text: str) -> str:
    for vowel in "aeiou":
        text = text.replace(f" a {vowel}", f" an {vowel}").replace(f" A {vowel}", f" An {vowel}")
    return text


def _ended(text: str) -> str:
    text = text.strip()
    return text if text.endswith(("?", ".", "!")) else f"{text}?"


def _quoted(choice: random.Random, text: str) -> str:
    return f'"{_ended(text)}"' if choice.random() < 0.3 else _ended(text)


def _noisy(choice: random.Random, row: Row) -> Row:
    text = row.text
    disturbance = choice.randrange(4)
    if disturbance == 0:
        text = text.lower().rstrip("?.!")
    elif disturbance == 1:
        text = text.rstrip("?.!")
    elif disturbance == 2:
        text = _mistyped(choice, text)
    else:
        text = _mistyped(choice, text.lower()).replace("'", "").replace(",", "")
    return replace(row, text=text, kind="noisy", composed=True)


def _mistyped(choice: random.Random, text: str) -> str:
    """Swap or drop a letter in about one word of eight."""
    words = text.split(" ")
    for place, word in enumerate(words):
        if len(word) > 4 and choice.random() < 0.125:
            at = choice.randrange(1, len(word) - 2)
            swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
            words[place] = swapped if choice.random() < 0.5 else word[:at] + word[at + 1 :]
    return " ".join(words)


def _distinct(composed: Sequence[Row], known: Sequence[Row]) -> list[Row]:
    seen = {row.text for row in known}
    kept = []
    for row in composed:
        if row.text not in seen:
            seen.add(row.text)
            kept.append(row)
    return kept
