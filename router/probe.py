"""What the documents hold as evidence of what a question needs. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SUPPORT: Final = "probe.support"
"""The feature under which a decision records what the documents held."""

BOUNDS: Final = (0.01, 0.99)
"""Support beyond these counts as these: no search is surer, and no single one may decide alone."""

_SMALLEST: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Probe:
    """How far a look into the documents moves a doubtful probability of needing facts.

    ``logit(facts) += weight · (logit(support) - centre)``, one step of a logistic regression whose
    offset is the classifier. The defaults are cautious: among the few questions that the classifier
    doubts, support hardly tells those that need facts from the others, and questions that no
    document answers need facts too. `infra/bench/probe.py` measures them beside other values; run
    it again after fitting the classifier.

    Attributes:
        weight: 0..2; 0 never looks.
        centre: Logit, -5..5, of the support that speaks neither for facts nor against.
    """

    weight: float = 0.1
    centre: float = -2.5

    def moved(self, needs_facts: float, support: float) -> float:
        """Return the probability of needing facts, 0..1, in the light of the support, 0..1."""
        low, high = BOUNDS
        shift = self.weight * (_logit(min(max(support, low), high)) - self.centre)
        facts = min(max(needs_facts, _SMALLEST), 1 - _SMALLEST)
        return 1 / (1 + math.exp(-(_logit(facts) + shift)))


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
