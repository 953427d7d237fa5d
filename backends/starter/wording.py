"""How sentences are put together: capitals, greetings, chains, and what hurried hands do."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from backends.starter.clauses import lower_first
from backends.starter.lexicon import capital, pick


def replaced(text: str, words: Mapping[str, str]) -> str:
    """Put other words for some, whole words only, the longest first."""
    if not words:
        return text
    return _any_of(tuple(words)).sub(lambda found: words[found[0]], text)


def sentence(text: str, end: str = ".") -> str:
    """Return a text with a capital in front and a mark behind."""
    return capital(text if text.endswith(("?", "!", ".")) else f"{text}{end}")


def lower_start(text: str) -> str:
    """Return a sentence as it goes on behind a greeting: I, names and slots stay."""
    first = text.split(" ", 1)[0].strip(",.!?")
    if first in ("Just", "May", "Could", "Please", "Sorry", "Also", "Kindly", "It"):
        return text[0].lower() + text[1:]
    return lower_first(text)


def behind_greeting(said: Sequence[str]) -> str:
    """Join sentences of which the first may be a greeting that goes on."""
    if len(said) > 1 and said[0].endswith(","):
        said = [said[0], lower_start(said[1]), *said[2:]]
    return " ".join(said)


def put(pattern: str, text: str) -> str:
    """Fill a pattern: as it is, with a capital, or without its question mark."""
    question = text.replace("?", "")
    return (
        pattern.replace("{v}", text)
        .replace("{V}", capital(text))
        .replace("{Q}", capital(question))
        .replace("{q}", question)
    )


def chained(said: Sequence[str]) -> str:
    """Chain what is said as chats do: a comma behind the greeting, then stops."""
    return ". ".join(said).replace("?.", "?").replace("!.", "!").replace(".. ", ". ")


def spoilt(text: str, rng: random.Random) -> str:
    """Commas for stops, small letters in front, a lost or a doubled mark at the end."""
    first, _, rest = text.partition(". ")
    if rest and len(first) < 20:
        text = f"{first}{pick(rng, (', ', ', ', '! ', ' '))}{rest}"
    text = re.sub(
        r"\. ([a-z])",
        lambda found: f". {found[1].upper() if rng.random() < 0.7 else found[1]}",
        text,
    )
    if rng.random() < 0.65:
        text = capital(text)
    if not text.endswith(("?", "!", ".", ")", "xx", "lol", "haha")):
        text += rng.choices((".", "!", "", "!!"), (5, 4, 2, 0.5))[0]
    return text


def neutral_greeting(greets: str) -> str:
    """Greet as anybody would."""
    return {"all": "Hello everyone.", "someone": "Hello."}.get(greets, f"Hello {greets}.")


def stiff_greeting(greets: str, default: str) -> str:
    """Greet as in a letter."""
    return {"all": "Dear colleagues,", "someone": default}.get(greets, f"Dear {greets},")


def friendly_greeting(greets: str) -> str:
    """Greet as among colleagues."""
    return {"all": "Hi everyone,", "someone": "Hi there,", "": "Hi there,"}.get(
        greets, f"Hi {greets},"
    )


@lru_cache(maxsize=64)
def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    longest = sorted(words, key=len, reverse=True)
    return re.compile(rf"(?<![\w'’-])(?:{'|'.join(map(re.escape, longest))})(?![\w'’-])")
