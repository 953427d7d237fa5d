"""How well routes and probabilities fit the labels. Pure; every figure is 0..1."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from router.policy import Route
from router.tuning.resampling import interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pairs: TypeAlias = NDArray[np.int_]
    """Shape (rows, 2): the numbers of the true and of the predicted route."""

_BINS: Final = 10
_ROUTES: Final = tuple(Route)
_Z: Final = 1.959964
"""Half of a standard normal's 95 %."""


@dataclass(frozen=True, slots=True)
class OneRoute:
    """Precision, recall and F1 of one route, each 0..1, and how many rows should have it."""

    precision: float
    recall: float
    f1: float
    rows: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far predicted routes agree with the labels.

    Attributes:
        macro_f1: Mean F1 over the routes that occur among labels or predictions.
        low: Lower end of its 95 % interval, by bootstrap over rows.
        high: Upper end.
    """

    rows: int
    accuracy: float
    macro_f1: float
    low: float
    high: float
    routes: Mapping[Route, OneRoute]


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of like probability.

    Attributes:
        probability: Their mean probability.
        happened: The share of them in which it was so.
    """

    rows: int
    probability: float
    happened: float


def agreement(truth: Sequence[Route], predicted: Sequence[Route]) -> Agreement:
    """Compare two equally long lists of routes; at least one row."""
    import numpy as np

    numbers = {route: number for number, route in enumerate(_ROUTES)}
    both = zip(truth, predicted, strict=True)
    pairs = np.array([(numbers[true], numbers[guess]) for true, guess in both])
    low, high = interval(_macro_f1, pairs)
    return Agreement(
        rows=len(pairs),
        accuracy=float((pairs[:, 0] == pairs[:, 1]).mean()),
        macro_f1=_macro_f1(pairs),
        low=low,
        high=high,
        routes={route: _one_route(_counts(pairs), number) for route, number in numbers.items()},
    )


def confusion(
    truth: Sequence[Route], predicted: Sequence[Route]
) -> Mapping[Route, Mapping[Route, int]]:
    """Count rows by their label, then by the route they got."""
    counts = {true: dict.fromkeys(_ROUTES, 0) for true in _ROUTES}
    for true, guess in zip(truth, predicted, strict=True):
        counts[true][guess] += 1
    return counts


def reliability(probabilities: Sequence[float], happened: Sequence[bool]) -> Sequence[Bin]:
    """Sort rows into ten bins of equal width by their probability; empty bins are left out."""
    import numpy as np

    probability = np.asarray(probabilities, float)
    outcome = np.asarray(happened, float)
    places = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    bins = []
    for place in np.unique(places):
        inside = places == place
        means = float(probability[inside].mean()), float(outcome[inside].mean())
        bins.append(Bin(int(inside.sum()), *means))
    return bins


def calibration_error(probabilities: Sequence[float], happened: Sequence[bool]) -> float:
    """Expected calibration error over ten bins of equal width (Guo et al. 2017)."""
    total = len(probabilities)
    return sum(
        one.rows / total * abs(one.probability - one.happened)
        for one in reliability(probabilities, happened)
    )


def brier(probabilities: Sequence[float], happened: Sequence[bool]) -> float:
    """Mean squared difference of probability and outcome (Brier 1950)."""
    pairs = zip(probabilities, happened, strict=True)
    return sum((probability - so) ** 2 for probability, so in pairs) / len(probabilities)


def accuracy_at_coverage(
    correct: Sequence[bool], margins: Sequence[float], coverage: float
) -> float:
    """Accuracy of the rows with the largest margins, as many as make up ``coverage`` of all.

    Args:
        coverage: Over 0, at most 1; the number of rows is rounded up.
    """
    kept = math.ceil(coverage * len(correct) - 1e-9)
    return sum(_surest_first(correct, margins)[:kept]) / kept


def risk_coverage(
    correct: Sequence[bool], margins: Sequence[float], points: int = 100
) -> list[tuple[float, float]]:
    """Error rate of the surest rows as more and more of them are kept (El-Yaniv and Wiener 2010).

    Returns:
        At most ``points`` pairs of coverage and error rate, coverage rising to 1.
    """
    ordered = _surest_first(correct, margins)
    total = len(ordered)
    sizes = sorted({math.ceil(total * point / points) for point in range(1, points + 1)})
    curve, errors, done = [], 0, 0
    for size in sizes:
        errors += sum(not right for right in ordered[done:size])
        done = size
        curve.append((size / total, errors / size))
    return curve


def share_interval(hits: int, total: int) -> tuple[float, float]:
    """95 % interval of a share of independent rows (Wilson 1927); sound for no hits as well."""
    share, spread = hits / total, _Z**2 / total
    centre = (share + spread / 2) / (1 + spread)
    reach = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def _surest_first(correct: Sequence[bool], margins: Sequence[float]) -> list[bool]:
    pairs = sorted(zip(margins, correct, strict=True), key=lambda pair: -pair[0])
    return [right for _, right in pairs]


def _macro_f1(pairs: Pairs) -> float:
    counts = _counts(pairs)
    present = (counts.sum(axis=0) + counts.sum(axis=1)).nonzero()[0]
    return sum(_one_route(counts, int(number)).f1 for number in present) / len(present)


def _counts(pairs: Pairs) -> NDArray[np.int_]:
    """Return how many rows have each label (down) and got each route (across)."""
    import numpy as np

    size = len(_ROUTES)
    cells = np.bincount(pairs[:, 0] * size + pairs[:, 1], minlength=size * size)
    return cells.reshape(size, size)


def _one_route(counts: NDArray[np.int_], number: int) -> OneRoute:
    hits, wanted, given = (
        int(counts[number, number]),
        int(counts[number].sum()),
        int(counts[:, number].sum()),
    )
    return OneRoute(
        precision=hits / given if given else 0.0,
        recall=hits / wanted if wanted else 0.0,
        f1=2 * hits / (wanted + given) if wanted + given else 0.0,
        rows=wanted,
    )
