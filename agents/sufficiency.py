"""Is what was found enough to answer from? A calibrated probability from a dozen plain features.

Pure. Closeness alone takes a question whose year, name or negation was swapped for an answerable
one; whether the closest sentence has what the question names tells many of those apart. The model
is logistic; `python -m router.tuning.fit_evidence` fits it and prints how it does on articles that
it has not seen.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

from agents.ranking import Ranked
from agents.reading import Read, share

READ: Final = 3
"""Passages whose sentences may hold the answer; further ones hardly ever do."""

WEIGHTS: Final = "sufficiency.json"

_SHARE_COUNTS: Final = 0.2
"""How much the share of the question's words counts beside the cosine, choosing the sentence."""

_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)(?<!\w)[A-Z][\w’'-]+")
_NUMBER = re.compile(r"(?<!\w)\d[\d.,]*")
_NEGATION = re.compile(
    r"\b(?:not|never|no|none|nothing|nobody|without|except|neither|nor|cannot|unlike|lacks?|un\w+able|"
    r"fail(?:s|ed)?)\b|n[’']t\b",
    re.IGNORECASE,
)
_AFTER_A_MARK = re.compile(r"(?<=[.!?])")
_WANTS_NUMBER = re.compile(
    r"\bhow (?:many|much|old|far|long|often|large|big|tall|high|deep|fast)\b|\bpercent",
    re.IGNORECASE,
)
_WANTS_TIME = re.compile(
    r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|century|decade|time)\b", re.IGNORECASE
)
_WANTS_NAME = re.compile(r"\b(?:who|whom|whose|where)\b", re.IGNORECASE)
_HAS_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|hundred|thousand|"
    r"million|billion|half|third|quarter|dozen|once|twice|none|single|double)\b",
    re.IGNORECASE,
)
_HAS_TIME = re.compile(
    r"\d|\b(?:january|february|march|april|may|june|july|august|september|october|november|december|"
    r"monday|tuesday|wednesday|thursday|friday|saturday|sunday|century|years?|months?|weeks?|days?|"
    r"hours?|minutes?|noon|midnight)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sufficiency:
    """The fitted model: ``sigmoid(bias + Σ weight · feature)``."""

    bias: float
    weights: Mapping[str, float]

    def probability(self, features: Mapping[str, float]) -> float:
        """Return how likely, 0..1, evidence with these features is enough."""
        logit = self.bias + sum(weight * features[name] for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-40.0, min(40.0, logit))))


def shipped() -> Sufficiency:
    """Read the model that ships with the package."""
    text = resources.files("agents").joinpath(WEIGHTS).read_text(encoding="utf-8")
    data = json.loads(text)
    return Sufficiency(float(data["bias"]), {name: float(w) for name, w in data["weights"].items()})


def features(question: str, ranked: Ranked) -> Mapping[str, float]:
    """Return what the probability is computed from; empty when nothing was found.

    Args:
        question: The words that were searched for.
        ranked: What was found for them, in the order of `agents.ranking.rank`.
    """
    top = ranked.reads[:READ]
    if not top:
        return {}
    asking = _asking(question)
    best = max((_best(one, ranked.worth) for one in top), key=lambda sentence: sentence.score)
    hit = best.read.candidate.hit
    around = f"{hit.passage.title} {hit.passage.heading}"
    whole = f"{around} {hit.passage.text}"
    having = frozenset(best.read.around).union(best.terms)
    negated = _NEGATION.search(asking) is not None
    return {
        "cosine": best.cosine,
        "closest": max(_closest(one) for one in top),
        "score": ranked.scores[0],
        "lacks_a_word": float(not having.issuperset(ranked.worth)),
        "lacks_a_number": float(_lacks_a_number(asking, whole)),
        "negated": float(negated),
        "negated_alone": float(negated and not _NEGATION.search(best.text)),
        "kind_fits": float(_kind_fits(asking, best.text)),
        "length": math.log1p(len(ranked.worth)),
    }


@dataclass(frozen=True, slots=True)
class _Sentence:
    read: Read
    text: str
    terms: tuple[str, ...]
    cosine: float
    score: float


def _best(one: Read, worth: Mapping[str, float]) -> _Sentence:
    """The sentence that answers best; the whole passage where it has none."""
    candidate = one.candidate
    if not candidate.sentences:
        text, cosine = candidate.hit.passage.text, candidate.hit.similarity
        return _Sentence(one, text, one.around, cosine, cosine)
    sentences = (
        _Sentence(one, text, terms, cosine, cosine + _SHARE_COUNTS * share(worth, frozenset(terms)))
        for text, terms, cosine in zip(
            candidate.sentences, one.within, candidate.cosines, strict=True
        )
    )
    return max(sentences, key=lambda sentence: sentence.score)


def _closest(one: Read) -> float:
    return max(one.candidate.cosines, default=one.candidate.hit.similarity)


def _asking(question: str) -> str:
    """The sentences that end in a question mark; all of it where none does."""
    asked = [part.strip() for part in _AFTER_A_MARK.split(question) if part.endswith("?")]
    return " ".join(asked) or question


def _lacks_a_number(asking: str, whole: str) -> bool:
    return any(number.rstrip(".,") not in whole for number in _NUMBER.findall(asking))


def _kind_fits(asking: str, sentence: str) -> bool:
    """Whether a sentence has a number, a time or a name where the question wants one."""
    if _WANTS_NUMBER.search(asking):
        return _HAS_NUMBER.search(sentence) is not None
    if _WANTS_TIME.search(asking):
        return _HAS_TIME.search(sentence) is not None
    if _WANTS_NAME.search(asking):
        known = asking.casefold()
        return any(name.casefold() not in known for name in _NAME.findall(sentence))
    return True
