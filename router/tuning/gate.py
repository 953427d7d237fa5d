"""Whether a trained adapter may take the live version's place. Pure, over recorded answers.

Each check has a 95 % interval by bootstrap over rows, and all of them must hold:

- **task**: better than the live version on rows that were held out, with the whole interval of the
  paired difference above 0;
- **constant**: better than the answer that comes most often, said to everything, likewise, where
  answers are right or wrong;
- **format**: as many answers have the form that they must have, less `FORMAT_MARGIN` at most;
- **length**: answers are as long as the references, within `LENGTHS`;
- **general**: what the base says to prompts of all sorts has not been unlearnt: its own answers
  surprise the candidate by at most `GENERAL_MARGIN` more than the base itself. To keep the outputs
  of before is how Li and Hoiem 2016 ("Learning without Forgetting") define not to forget, and the
  mean of that surprise estimates the divergence from the base, which foretells how much is
  forgotten (Shenfeld et al. 2025, "RL's Razor").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from router.tuning.answers import Measure, measure_for, score
from router.tuning.resampling import interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT_MARGIN: Final = 0.02
LENGTHS: Final = (0.67, 1.5)
GENERAL_MARGIN: Final = 0.25
"""Nats per token: answers of the base become at most e^0.25 = 1.28 times as perplexing."""


@dataclass(frozen=True, slots=True)
class Side:
    """One held-out row, answered by both.

    Attributes:
        candidate_ended: False where the answer ran into its limit.
    """

    reference: str
    candidate: str
    rival: str
    candidate_ended: bool = True
    rival_ended: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the gate.

    Attributes:
        value: What decides, such as the difference in the task's measure.
        interval: Its 95 % interval, [low, high].
        bound: What it was held against, in words.
        candidate: The candidate's own figure.
        rival: The other side's.
    """

    name: str
    passed: bool
    value: float
    interval: tuple[float, float]
    bound: str
    candidate: float
    rival: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate found; ``measure`` says how answers were compared."""

    measure: Measure
    rows: int
    general: int
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return all(check.passed for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in an adapter's report."""
        return {
            "passed": self.passed,
            "measure": self.measure,
            "rows": self.rows,
            "general_prompts": self.general,
            "checks": {check.name: _check_json(check) for check in self.checks},
        }


def judge(
    sides: Sequence[Side],
    general: Sequence[tuple[float, float]],
    *,
    schema: bool = False,
    fits: Callable[[str], str] = lambda answer: "",
) -> Verdict:
    """Compare a candidate with its rival.

    Args:
        sides: At least one.
        general: For each general prompt the surprise of base and candidate at the base's own
            answer, in nats per token; without any the check is left out.
        schema: Answers are JSON under a schema.
        fits: Says how an answer breaks the form that it must have, else "".
    """
    import numpy as np

    measure = measure_for([side.reference for side in sides], schema=schema)
    task = [
        (score(measure, side.candidate, side.reference), score(measure, side.rival, side.reference))
        for side in sides
    ]
    formats = [
        (
            float(side.candidate_ended and _holds(side.candidate, fits)),
            float(side.rival_ended and _holds(side.rival, fits)),
        )
        for side in sides
    ]
    lengths = [(len(one.candidate), len(one.rival), max(1, len(one.reference))) for one in sides]
    checks = [
        _better("task", np.array(task, float)),
        *_constant(measure, sides, [ours for ours, _ in task]),
        _format(np.array(formats, float)),
        _length(np.array(lengths, float)),
    ]
    if general:
        checks.append(_general(np.array(general, float)))
    return Verdict(measure, len(sides), len(general), tuple(checks))


def _better(name: str, pairs: NDArray[np.float64]) -> Check:
    low, high = interval(_gain, pairs)
    means = map(float, pairs.mean(axis=0))
    return Check(name, low > 0, _gain(pairs), (low, high), "above 0", *means)


def _constant(measure: Measure, sides: Sequence[Side], ours: Sequence[float]) -> list[Check]:
    """The best constant is known from the very rows that it is measured on, which favours it."""
    import numpy as np

    if measure == "chrF":
        return []
    references = [side.reference for side in sides]
    always, times = Counter(references).most_common(1)[0]
    if times == 1:
        return []
    constant = [score(measure, always, reference) for reference in references]
    return [_better("constant", np.array(list(zip(ours, constant, strict=True)), float))]


def _format(pairs: NDArray[np.float64]) -> Check:
    low, high = interval(_gain, pairs)
    bound = f"at least -{FORMAT_MARGIN:g}"
    means = map(float, pairs.mean(axis=0))
    return Check("format", low >= -FORMAT_MARGIN, _gain(pairs), (low, high), bound, *means)


def _length(triples: NDArray[np.float64]) -> Check:
    low, high = interval(_ratio, triples)
    least, most = LENGTHS
    return Check(
        "length",
        least <= low and high <= most,
        _ratio(triples),
        (low, high),
        f"{least:g} to {most:g}",
        _ratio(triples),
        float(triples[:, 1].sum() / triples[:, 2].sum()),
    )


def _general(pairs: NDArray[np.float64]) -> Check:
    """Pairs of base and candidate, so that the difference is what the candidate lost."""
    low, high = interval(_lost, pairs)
    base, candidate = map(float, pairs.mean(axis=0))
    bound = f"at most {GENERAL_MARGIN:g} nats per token"
    return Check(
        "general", high <= GENERAL_MARGIN, _lost(pairs), (low, high), bound, candidate, base
    )


def _gain(pairs: NDArray[np.float64]) -> float:
    return float((pairs[:, 0] - pairs[:, 1]).mean())


def _lost(pairs: NDArray[np.float64]) -> float:
    return float((pairs[:, 1] - pairs[:, 0]).mean())


def _ratio(triples: NDArray[np.float64]) -> float:
    return float(triples[:, 0].sum() / triples[:, 2].sum())


def _holds(answer: str, fits: Callable[[str], str]) -> bool:
    return bool(answer.strip()) and not fits(answer)


def _check_json(check: Check) -> Mapping[str, Any]:
    return {
        "passed": check.passed,
        "value": check.value,
        "interval": list(check.interval),
        "bound": check.bound,
        "candidate": check.candidate,
        "rival": check.rival,
    }
