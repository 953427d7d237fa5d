"""Cheap signs on the surface of a question, beside what its embedding says of the meaning.

Every feature has a name and a value around 0..2, so that a decision can be explained, and replayed
without a model.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from router.classify.lexicon import GREETING, POLITE, WORDS, alternatives

# Patterns read the two ends of a long text: instructions stand there, a pasted document between.
_HEAD = 700
_TAIL = 200

_AUX = (
    r"(?:do|does|did|is|are|am|was|were|can|could|may|must|should|will|would|has|have|had)"
    r"(?:n't)? (?:i|we|you|they|he|she|it|there|the|a|an|my|our|your|their|this|that)"
)
_NUMBER = r"(?:\d+|one|two|three|four|five|ten|twelve|fifty)"
_FORMS = "words?|sentences?|lines?|paragraphs?|characters?|tweets?|haikus?"

_STARTS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        name: re.compile(rf"{POLITE}(?:{pattern})\b")
        for name, pattern in {
            "starts_wh": r"what|when|where|who|whom|whose|which|why|how",
            "starts_aux": _AUX,
            "starts_create": rf"{alternatives('create')}|come up with|give me",
            "starts_transform": alternatives("transform"),
            "starts_inform": r"list|name|tell|explain|describe|define|show|give|find|state|identify"
            r"|compare|look up|send me|i (?:want|need|would like) to know",
            "starts_role": r"act|pretend|role-?play|you are|be (?:my|an?)|speak|as an?|imagine"
            r"|in the (?:voice|style|tone)|answer|let",
        }.items()
    }
)
_ANYWHERE: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "like_a": re.compile(r"\b(?:like|as) (?:if|though|an?|i'?m|someone|somebody)\b"),
        "audience": re.compile(
            r"\b(?:to|for) (?:an?|my|our|the) (?:[\w-]+ ){0,2}?(?:customer|client|child|kid|teen|"
            r"beginner|layman|[\w-]+.year.old|audience|friend|boss|colleague|patient|tenant|guest)"
        ),
        "age": re.compile(r"\b(?:year.olds?|like i'?m|eli5|kindergarten|toddlers?)\b"),
        "would_say": re.compile(
            r"\b(?:what|how|which \w+|who) (?:would|might|could) (?!you (?:like|recommend)\b|i\b)"
        ),
        "limit": re.compile(rf"\b{_NUMBER}[- ](?:\w+ )?(?:{_FORMS})\b"),
        "language": re.compile(
            r"\b(?:in|into|to|say) (?:french|german|spanish|italian|portuguese|english|turkish|"
            r"chinese|japanese|dutch|polish|russian|arabic)\b"
        ),
        "quantity": re.compile(
            r"\bhow (?:many|much|long|often|far|old|high|big|large|late|soon|fast|heavy)\b"
        ),
        "answer_as": re.compile(
            r"\b(?:answer|reply|explain|describe|tell|say|write|put|teach|speak|summari[sz]e)\b"
            r"[^.?!:]{0,40}\b(?:as|like|in the|in an?|with an?|using)\b"
        ),
        "thanks": re.compile(r"\b(?:thanks|thank you|thx|cheers|bye|goodbye|see you)\b"),
        "greets": re.compile(rf"^{GREETING}\b"),
    }
)

_CODE_MARK = re.compile(r"```|[{};]$|</?\w+>|\w\([^)\n]{0,40}\)|==|=>|!=|\bdef \w|\breturn\b", re.M)
_QUOTED = re.compile(r"[\"“‘']([^\"”’']{12,})[\"”’']")
_AFTER_COLON = re.compile(r":\s+(.{25,})", re.DOTALL)
_CAPITALISED = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_WORD = re.compile(r"\w+(?:['’]\w+)?")
_DIGIT = re.compile(r"\d")


def surface_features(text: str) -> dict[str, float]:
    """Return every feature of a question by name, always the same names in the same order.

    Args:
        text: The standalone question, of any length; what lies between the first 700 and the last
            200 characters counts only by its length.
    """
    text = text.strip()
    read = _ends(text)
    lower = _plain(read)
    words = _WORD.findall(lower)
    features = {name: float(p.match(lower) is not None) for name, p in _STARTS.items()}
    features |= {name: float(p.search(lower) is not None) for name, p in _ANYWHERE.items()}
    features |= _counted(words)
    features |= _shape(text, read, len(words))
    features |= _combined(features)
    return features


def ngram_features(text: str, buckets: int) -> dict[int, float]:
    """Return the question's words and pairs of words, hashed to signed places, at unit length.

    Feature hashing (Weinberger et al. 2009) by CRC-32, which is the same on every machine.

    Args:
        text: The standalone question; its ends are read, as by `surface_features`.
        buckets: Number of places.
    """
    words = _WORD.findall(_plain(_ends(text.strip())))
    places: dict[int, float] = {}
    for ngram in (*words, *(f"{first} {second}" for first, second in pairwise(words))):
        digest = zlib.crc32(ngram.encode())
        place = digest % buckets
        places[place] = places.get(place, 0.0) + (1.0 if digest & 0x8000_0000 else -1.0)
    length = math.sqrt(sum(value * value for value in places.values()))
    return {place: value / length for place, value in places.items() if value}


def feature_names() -> tuple[str, ...]:
    """Return the names in the order of `surface_features`."""
    return tuple(surface_features(""))


def _ends(text: str) -> str:
    return text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}\n{text[-_TAIL:]}"


def _plain(text: str) -> str:
    return text.lower().replace("’", "'")


def _counted(words: list[str]) -> dict[str, float]:
    distinct = set(words)
    distinct |= {word[:-1] for word in distinct if word.endswith("s")}
    return {name: min(len(distinct & listed), 4) ** 0.5 for name, listed in WORDS.items()}


def _shape(text: str, read: str, words_read: int) -> dict[str, float]:
    words = words_read + max(0, len(text) - len(read)) / 6
    after_colon = _AFTER_COLON.search(read)
    quoted = sum(len(part) for part in _QUOTED.findall(read))
    supplied = max(len(after_colon.group(1)) if after_colon else 0, quoted)
    asks = read.count("?")
    return {
        "length": math.log1p(words) / 3,
        "very_short": float(words <= 3),
        "long": float(words > 40),
        "lines": math.log1p(text.count("\n")) / 2,
        "ends_asking": float(read.endswith("?")),
        "asks": min(asks, 3) ** 0.5,
        "ends_stating": float(read.endswith((".", "!"))),
        "unpunctuated": float(read[-1:].isalnum()),
        "supplied": math.log1p(supplied) / 5,
        "code_marks": min(len(_CODE_MARK.findall(read)), 4) ** 0.5,
        "capitalised": min(len(_CAPITALISED.findall(read)), 4) ** 0.5,
        "digits": min(len(_DIGIT.findall(read)), 6) ** 0.5 / 2,
    }


def _combined(found: Mapping[str, float]) -> dict[str, float]:
    """Signs that mean something only together, which a linear head cannot see by itself."""
    asks = any(found[n] for n in ("asks", "starts_wh", "starts_aux"))
    shapes = ("genre", "format", "tone", "role", "audience", "age", "like_a", "would_say", "limit")
    shaped = any(found[n] for n in shapes)
    made = any(found[n] for n in ("starts_create", "starts_transform", "starts_role"))
    rules = found["rules"] > 0
    informs = found["starts_inform"] > 0
    combined = {
        "asks_plainly": asks and not shaped and not made,
        "asks_shaped": asks and shaped,
        "made_and_asks": made and asks,
        "made_about_rules": made and rules,
        "made_about_ours": made and found["ours"] > 0,
        "made_of_supplied": made and found["supplied"] > 0,
        "shaped_rules": shaped and rules,
        "shaped_without_rules": shaped and not rules and not asks,
        "informs_shaped": informs and shaped,
        "informs_plainly": informs and not shaped,
        "short_without_asking": found["length"] < 0.6 and not asks,
        "plain": not (asks or shaped or made or informs),
    }
    return {name: float(holds) for name, holds in combined.items()}
