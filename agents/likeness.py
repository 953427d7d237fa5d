"""Is a question of the kind that an adapter's examples are? A calibrated probability from cosines.

Pure. The model is logistic; `python -m router.tuning.fit_adapters` fits it and prints how it does
on adapters that it has not seen.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from backends.base import Vectors

WEIGHTS: Final = "likeness.json"

NEIGHBOURS: Final = 3
"""Nearest examples that speak for an adapter together."""

UNWRITTEN: Final = 0.6
"""Where there are fewer, one that nobody wrote is taken to be so near, beside the nearest."""

MANY: Final = 8
"""Examples; with more of them one lies near by chance, and beyond these hardly oftener."""

FAR: Final = 0.3
"""The margin is no larger, so that an only adapter is no surer than one far before the others."""

LOOKED_AT: Final = 300
"""Characters of either end of a long question that are compared on their own: the wish stands
there, and the rest is what it is about."""

_LINE = re.compile(r"[^\n]*\S[^\n]*")
_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+")


@dataclass(frozen=True, slots=True)
class Likeness:
    """The fitted model: ``sigmoid(bias + Σ weight · feature)``."""

    bias: float
    weights: Mapping[str, float]

    def probability(self, features: Mapping[str, float]) -> float:
        """Return how likely, 0..1, a question with these features is of the adapter's kind."""
        logit = self.bias + sum(weight * features[name] for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-40.0, min(40.0, logit))))


@dataclass(frozen=True, slots=True)
class Nearest:
    """The adapter whose examples are nearest to a question.

    Attributes:
        index: Which one.
        features: What `Likeness.probability` reads.
    """

    index: int
    features: Mapping[str, float]


def shipped() -> Likeness:
    """Read the model that ships with the package."""
    text = resources.files("agents").joinpath(WEIGHTS).read_text(encoding="utf-8")
    data = json.loads(text)
    return Likeness(float(data["bias"]), {name: float(w) for name, w in data["weights"].items()})


def parts(question: str) -> tuple[str, ...]:
    """Return what of a question is compared: the whole, and of a long one its two ends."""
    whole = question.strip()
    lines = _LINE.findall(whole)
    ends = []
    if lines and (len(lines) > 1 or len(whole) > LOOKED_AT):
        first, last = lines[0].strip(), lines[-1].strip()
        ends = [_SENTENCE_END.split(first)[0], _SENTENCE_END.split(last)[-1]]
    elif len(found := _SENTENCE_END.split(whole)) > 1:
        ends = [found[0], found[-1]]
    cut = [whole[:LOOKED_AT], *(end[:LOOKED_AT] for end in ends)]
    return tuple(dict.fromkeys(text for text in cut if text))


def nearest(asked: Vectors, examples: Sequence[Vectors]) -> Nearest | None:
    """Return the adapter whose examples are nearest.

    Args:
        asked: Of a question's `parts`, shape (parts, d).
        examples: Of each adapter's examples, shape (examples, d), at least one each.

    Returns:
        None without adapters.
    """
    import numpy as np

    if not examples:
        return None
    # Of each adapter, each example's cosine with the part that fits it best.
    cosines = [np.sort((each @ asked.T).max(axis=1))[::-1] for each in examples]
    best = [float(each[0]) for each in cosines]
    index = int(np.argmax(best))
    second = max((value for at, value in enumerate(best) if at != index), default=-1.0)
    ours = cosines[index]
    near = [float(value) for value in ours[:NEIGHBOURS]]
    near += [UNWRITTEN * near[0]] * (NEIGHBOURS - len(near))
    features = {
        "cosine": best[index],
        "margin": min(FAR, best[index] - second),
        "neighbours": sum(near) / NEIGHBOURS,
        "examples": min(len(ours), MANY) / MANY,
    }
    return Nearest(index, features)
