"""The rules that turn two probabilities into a route.

Pure: nothing here reads, writes, waits or imports more than the standard library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Final

from router.costs import COSTS
from router.costs import Costs as Costs
from router.costs import InvalidPolicy as InvalidPolicy
from router.decision import DecidedBy as DecidedBy
from router.decision import Decision as Decision
from router.decision import Route as Route
from router.decision import Word as Word
from router.probe import SUPPORT, Probe
from router.values import complaints, number, numbers, text, whole_number

_FALLBACKS: Mapping[Route, Route | None] = MappingProxyType(
    {Route.HYBRID: Route.FACTUAL, Route.BEHAVIOURAL: None, Route.FACTUAL: None}
)


_OF_COSTS: Final = float("nan")
"""Stands for a threshold that nobody gave; told by identity from a NaN that somebody did."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that tuning may change about a decision; never changed, only followed by another.

    Attributes:
        version: Its number, 1 or more.
        heads: Fingerprint of the classifier's weights that it was tuned with; empty for any.
        facts_threshold: Probability, 0..1, from which a question needs facts; left out, the one of
            least expected cost, which is .5 where nothing is said of costs.
        manner_threshold: The same for manner.
        uncertain_band: Half-width, in probability, of the band around a boundary inside which
            a decision is uncertain.
        uncertain_route: Where uncertain questions go when no judge decides; None keeps the likelier
            route.
        costs: What the thresholds follow from; deciding reads only the thresholds.
        probe: What a look into the documents does to a decision that is uncertain about facts.
        fallbacks: Where to go when a route's backend is down; None for nowhere.
        evidence_min_support: Probability, 0..1, below which evidence counts as insufficient. The
            default is stricter than the threshold that `python -m router.tuning.fit_evidence`
            prints, for the sake of questions whose answer the asker may not see. It is low because
            half of what that is fitted on was written to be mistaken for answerable; `router eval
            retrieval` says what it costs.
    """

    version: int = 1
    heads: str = ""
    facts_threshold: float = _OF_COSTS
    manner_threshold: float = _OF_COSTS
    uncertain_band: float = 0.15
    uncertain_route: Route | None = None
    costs: Costs = field(default_factory=Costs)
    probe: Probe = field(default_factory=Probe)
    fallbacks: Mapping[Route, Route | None] = field(default_factory=lambda: _FALLBACKS)
    evidence_min_support: float = 0.27

    def __post_init__(self) -> None:
        """Take the thresholds that nobody gave from the costs, and check the numbers.

        Raises:
            InvalidPolicy: A number is of the wrong kind or out of its range, or a threshold is not
                the one that the costs make; names them all.
        """
        for axis, made in self.costs.thresholds().items():
            if getattr(self, f"{axis}_threshold") is _OF_COSTS:
                object.__setattr__(self, f"{axis}_threshold", made)
        checked = {name: getattr(self, name) for name in _CHECKED}
        problems = complaints(checked, _READERS)
        if not problems:
            given = {"facts": self.facts_threshold, "manner": self.manner_threshold}
            problems = self.costs.contradictions(given)
        if problems:
            raise InvalidPolicy("; ".join(problems))

    @property
    def name(self) -> str:
        """How it is shown: ``"policy-1"``."""
        return f"policy-{self.version}"

    @property
    def rules(self) -> str:
        """Its thresholds, the costs that made them and so on, in one line for who operates it."""
        facts = f"facts from {_short(self.facts_threshold)}{_made_by(self.costs, 'facts')}"
        manner = f"manner from {_short(self.manner_threshold)}{_made_by(self.costs, 'manner')}"
        probe = f"probe weight {self.probe.weight:g}" if self.probe.weight else "no probe"
        return f"{facts}, {manner}, uncertain within {_short(self.uncertain_band)}, {probe}"

    def decide(
        self,
        needs_facts: float,
        needs_manner: float,
        *,
        features: Mapping[str, float] | None = None,
        words: tuple[Word, ...] = (),
    ) -> Decision:
        """Turn the classifier's two probabilities into a route.

        Args:
            needs_facts: Probability, 0..1.
            needs_manner: Probability, 0..1.
            features: Kept with the decision. Where they hold ``probe.support`` and this policy
                would have looked into the documents (`probes`), it moves the need of facts first.
            words: Kept likewise.
        """
        looked = ""
        found = (features or {}).get(SUPPORT)
        if found is not None and self.probes(needs_facts):
            looked = (
                f"; before a look into the documents, whose support is {_short(found)}, "
                f"facts were {_short(needs_facts)}"
            )
            needs_facts = self.probe.moved(needs_facts, found)
        likelier = self._route(needs_facts, needs_manner)
        margin = self._margin(needs_facts, needs_manner)
        uncertain = margin < self.uncertain_band
        route = (self.uncertain_route or likelier) if uncertain else likelier
        reason = self._reason(needs_facts, needs_manner) + looked
        if uncertain:
            reason += f"; uncertain by a margin of {_short(margin)}"
        if route is not likelier:
            reason += f", and uncertain questions go to {route}"
        return Decision(
            route=route,
            needs_facts=needs_facts,
            needs_manner=needs_manner,
            margin=margin,
            reason=reason,
            policy=self.name,
            uncertain=uncertain,
            features=features or {},
            words=words,
            diverted=route is not likelier,
        )

    def probes(self, needs_facts: float) -> bool:
        """Whether the classifier's probability of needing facts is worth a look into documents."""
        return self.probe.weight > 0 and (
            abs(needs_facts - self.facts_threshold) < self.uncertain_band
        )

    def judged(self, decision: Decision, needs_facts: bool, needs_manner: bool) -> Decision:
        """Let a judge overrule an uncertain decision; the classifier's probabilities are kept."""
        route = self._table(needs_facts, needs_manner)
        reason = f"the judge: {_words(needs_facts, needs_manner)}; before: {decision.reason}"
        return self._overruled(decision, route, reason, "judge")

    def forced(self, route: Route, decision: Decision) -> Decision:
        """Let the caller choose the route; the classifier's probabilities are kept."""
        reason = f"the caller asked for {route}; before: {decision.reason}"
        return self._overruled(decision, route, reason, "caller")

    def to_json(self) -> str:
        """Write it down; `from_json` reads the same policy back."""
        return json.dumps(_as_data(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Policy:
        """Read a policy; keys that are absent keep their defaults.

        Thresholds that are absent follow from the costs, where there are any (`Costs`).

        Raises:
            InvalidPolicy: Not JSON, a key is unknown or has an unusable value, or a threshold is
                not the one that the costs make; names them all.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidPolicy(f"the policy is not JSON: {error}") from error
        return _from_data(data)

    def _overruled(
        self, decision: Decision, route: Route, reason: str, decided_by: DecidedBy
    ) -> Decision:
        return Decision(
            route=route,
            needs_facts=decision.needs_facts,
            needs_manner=decision.needs_manner,
            margin=decision.margin,
            reason=reason,
            policy=self.name,
            uncertain=decision.uncertain,
            decided_by=decided_by,
            features=decision.features,
            words=decision.words,
        )

    def _route(self, needs_facts: float, needs_manner: float) -> Route:
        return self._table(
            needs_facts >= self.facts_threshold, needs_manner >= self.manner_threshold
        )

    @staticmethod
    def _table(facts: bool, manner: bool) -> Route:
        # Neither means small talk, which the behavioural route answers in the house voice.
        if not facts:
            return Route.BEHAVIOURAL
        return Route.HYBRID if manner else Route.FACTUAL

    def _margin(self, needs_facts: float, needs_manner: float) -> float:
        to_facts = abs(needs_facts - self.facts_threshold)
        if needs_facts < self.facts_threshold:
            return to_facts  # without facts the route is the same with manner and without
        return min(to_facts, abs(needs_manner - self.manner_threshold))

    def _reason(self, needs_facts: float, needs_manner: float) -> str:
        facts = (
            "asks for something a document would hold"
            if needs_facts >= self.facts_threshold
            else "nothing has to be looked up"
        )
        manner = (
            "a tone, format or transformation is asked for"
            if needs_manner >= self.manner_threshold
            else "no tone or format asked"
        )
        return f"{facts}: facts {_short(needs_facts)}; {manner}: manner {_short(needs_manner)}"


def _short(probability: float) -> str:
    """Write .97 for 0.97, as the traces do; 1.00 stays."""
    return f"{probability:.2f}".removeprefix("0")


def _made_by(costs: Costs, axis: str) -> str:
    if not costs.tell_of(axis):
        return ""
    missed, needless = costs.of(axis)
    return f" (missed {missed:g}, needless {needless:g})"


def _words(facts: bool, manner: bool) -> str:
    needs = [name for name, needed in (("facts", facts), ("manner", manner)) if needed]
    return f"needs {' and '.join(needs)}" if needs else "needs neither facts nor manner"


def _as_data(policy: Policy) -> dict[str, Any]:
    return {
        "version": policy.version,
        "heads": policy.heads,
        "facts_threshold": policy.facts_threshold,
        "manner_threshold": policy.manner_threshold,
        "uncertain_band": policy.uncertain_band,
        "uncertain_route": policy.uncertain_route,
        "costs": asdict(policy.costs),
        "probe": asdict(policy.probe),
        "fallbacks": dict(policy.fallbacks),
        "evidence_min_support": policy.evidence_min_support,
    }


def _from_data(data: object) -> Policy:
    if not isinstance(data, dict):
        raise InvalidPolicy("the policy is not a JSON object")
    problems: list[str] = []
    values: dict[str, Any] = {}
    for key, value in data.items():
        if found := complaints({key: value}, _READERS):
            problems += found
        else:
            values[key] = _READERS[key](value)
    try:
        policy = Policy(**values)
    except InvalidPolicy as error:
        raise InvalidPolicy("; ".join([*problems, str(error)])) from error
    if problems:
        raise InvalidPolicy("; ".join(problems))
    return policy


def _route_or_none(value: object) -> Route | None:
    if value is None:
        return None
    try:
        return Route(str(value))
    except ValueError as error:
        names = ", ".join(Route)
        raise ValueError(f"expected one of {names} or null, got {value!r}") from error


def _fallbacks(value: object) -> Mapping[Route, Route | None]:
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, got {value!r}")
    given = {_route_or_none(key): _route_or_none(to) for key, to in value.items()}
    read = {route: given.get(route, _FALLBACKS[route]) for route in Route}
    circular = [route for route in Route if read[route] is route]
    if circular:
        raise ValueError(f"{circular[0]} cannot fall back to itself")
    return MappingProxyType(read)


_probability = number(0.0, 1.0, "a probability from 0 to 1")
_READERS: Mapping[str, Any] = MappingProxyType(
    {
        "version": whole_number,
        "heads": text,
        "facts_threshold": _probability,
        "manner_threshold": _probability,
        "uncertain_band": _probability,
        "uncertain_route": _route_or_none,
        "costs": numbers(Costs, COSTS),
        "probe": numbers(
            Probe,
            {
                "weight": number(0.0, 2.0, "a weight from 0 to 2"),
                "centre": number(-5.0, 5.0, "a logit from -5 to 5"),
            },
        ),
        "fallbacks": _fallbacks,
        "evidence_min_support": _probability,
    }
)
_CHECKED: Final = (
    "version",
    "facts_threshold",
    "manner_threshold",
    "uncertain_band",
    "evidence_min_support",
)
