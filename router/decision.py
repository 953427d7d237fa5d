"""What is decided about a question. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from backends.adapters import AdapterChoice


class Route(StrEnum):
    """Who answers."""

    FACTUAL = "factual"
    BEHAVIOURAL = "behavioural"
    HYBRID = "hybrid"


DecidedBy = Literal["classifier", "judge", "caller"]


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a question, and what it adds to the logits of the two needs over an average one."""

    text: str
    facts: float
    manner: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What a question needs and where it goes.

    Attributes:
        route: Where it goes.
        needs_facts: Calibrated probability, 0..1, that a document would hold the answer; where the
            documents were looked into, in the light of what they hold.
        needs_manner: Calibrated probability, 0..1, that a tone, persona, format or transformation
            is asked for.
        margin: Distance in probability to the nearest boundary beyond which the route changes.
        reason: Why, in plain words.
        policy: Name of the policy that decided, such as ``"policy-1"``.
        propensity: Probability with which the policy takes this route for this question; 1 as long
            as it does not explore. Off-policy evaluation divides by it.
        uncertain: The margin lies within the policy's uncertain band.
        decided_by: Who had the last word.
        features: What the classifier measured by name, and ``probe.support`` where the documents
            were looked into, so that a replay needs neither a model nor documents.
        words: Those that weighed most, as the question has them. Content, unlike all the rest:
            where content is not to be kept, they are not.
        diverted: A rule chose the route, not the two probabilities: the policy's
            ``uncertain_route``, or that a schema was asked for.
        adapter: Which adapter answers and why, on routes where one does.
    """

    route: Route
    needs_facts: float
    needs_manner: float
    margin: float
    reason: str
    policy: str
    propensity: float = 1.0
    uncertain: bool = False
    decided_by: DecidedBy = "classifier"
    features: Mapping[str, float] = field(default_factory=dict)
    words: tuple[Word, ...] = ()
    diverted: bool = False
    adapter: AdapterChoice | None = None

    @property
    def by_needs(self) -> bool:
        """Whether the two probabilities made the route, and nobody and no rule after them."""
        return self.decided_by == "classifier" and not self.diverted

    def diverted_to(self, route: Route, why: str) -> Decision:
        """Return the decision with the route that a rule chose, and why after its reason."""
        return replace(self, route=route, reason=f"{self.reason}; {why}", diverted=True)

    @property
    def explained(self) -> str:
        """The reason, and the words that weighed most. Content, for the asker's eyes."""
        if not self.words:
            return self.reason
        return f"{self.reason}; weightiest words: {', '.join(map(_weighed, self.words[:_SHOWN]))}"


_SHOWN = 3


def _weighed(word: Word) -> str:
    axis, weight = max(("facts", word.facts), ("manner", word.manner), key=lambda of: abs(of[1]))
    return f"“{word.text}” ({axis} {weight:+.1f})"
