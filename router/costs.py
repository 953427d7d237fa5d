"""What wrong assumptions cost, and the thresholds that follow. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Final

from router.values import complaints, number

TOLERANCE: Final = 1e-3
"""How far a threshold may be from the one that the costs make, for the sake of rounding."""


class InvalidPolicy(ValueError):
    """A policy that cannot be used; the message names each key that is wrong."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What a wrong answer to each of the two questions costs, in any one unit.

    Rows are what the question needed, columns what was assumed; a right assumption costs nothing:

        ===============  ==================  ===================
        .                facts assumed       no facts assumed
        facts needed     0                   ``missed_facts``
        facts not needed ``needless_facts``  0
        ===============  ==================  ===================

    and likewise for manner. With probability p that facts are needed, assuming them costs
    (1 - p) · needless on average and not assuming them p · missed, so that the threshold of least
    expected cost is needless / (needless + missed) (Elkan 2001, "The foundations of cost-sensitive
    learning"). Only the proportion counts: where a need of facts that was missed makes somebody
    invent them and is three times as bad as a needless search, facts are assumed from .25.

    Costs of 1 and 1, which a policy has when nobody said anything, say nothing about an axis.

    Raises:
        InvalidPolicy: A cost is no number above 0.
    """

    missed_facts: float = 1.0
    needless_facts: float = 1.0
    missed_manner: float = 1.0
    needless_manner: float = 1.0

    def __post_init__(self) -> None:
        if problems := complaints(asdict(self), COSTS):
            raise InvalidPolicy("; ".join(problems))

    @property
    def facts_threshold(self) -> float:
        """Probability of needing facts from which assuming so is cheaper."""
        return self.needless_facts / (self.needless_facts + self.missed_facts)

    @property
    def manner_threshold(self) -> float:
        """Probability of needing manner from which assuming so is cheaper."""
        return self.needless_manner / (self.needless_manner + self.missed_manner)

    def thresholds(self) -> Mapping[str, float]:
        """Return both thresholds by axis."""
        return {"facts": self.facts_threshold, "manner": self.manner_threshold}

    def of(self, axis: str) -> tuple[float, float]:
        """Return what missing a need of an axis costs, and what assuming it needlessly does."""
        if axis == "facts":
            return self.missed_facts, self.needless_facts
        return self.missed_manner, self.needless_manner

    def tell_of(self, axis: str) -> bool:
        """Whether anything was said about an axis."""
        return self.of(axis) != (1.0, 1.0)

    def contradictions(self, given: Mapping[str, float]) -> list[str]:
        """Say of each threshold that is not the one these costs make, what to do about it.

        Args:
            given: Both thresholds by axis.
        """
        return [
            self._contradiction(axis, given[axis], made)
            for axis, made in self.thresholds().items()
            if self.tell_of(axis) and abs(given[axis] - made) > TOLERANCE
        ]

    def _contradiction(self, axis: str, given: float, made: float) -> str:
        missed, needless = self.of(axis)
        return (
            f"{axis}_threshold: it is {given:g}, but the costs (missed_{axis} {missed:g}, "
            f"needless_{axis} {needless:g}) make it {made:.4g}; leave {axis}_threshold out to take "
            f"{made:.4g}, or leave the two costs out to keep {given:g}"
        )


_cost = number(1e-9, 1e9, "a number above 0 and up to 1e9")

COSTS: Final = MappingProxyType(dict.fromkeys(Costs.__dataclass_fields__, _cost))
"""Readers of the costs by name."""
