"""How well routes and probabilities fit the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.policy import Route

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 1_000
_SEED = 7
_BINS = 10


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


def agreement(truth: Sequence[Route], predicted: Sequence[Route]) -> Agreement:
    """Compare two equally long lists of routes; at least one row."""
    import numpy as np

    order = list(Route)
    true = np.array([order.index(route) for route in truth])
    guess = np.array([order.index(route) for route in predicted])
    random = np.random.default_rng(_SEED)
    samples = []
    for _ in range(RESAMPLES):
        drawn = random.integers(0, len(true), len(true))
        samples.append(_macro_f1(true[drawn], guess[drawn]))
    low, high = np.quantile(samples, [0.025, 0.975])
    per_route = {route: _one_route(true, guess, number) for number, route in enumerate(order)}
    return Agreement(
        rows=len(true),
        accuracy=float((true == guess).mean()),
        macro_f1=_macro_f1(true, guess),
        low=float(low),
        high=float(high),
        routes=per_route,
    )


def calibration_error(probabilities: Sequence[float], happened: Sequence[bool]) -> float:
    """Expected calibration error over ten bins of equal width (Guo et al. 2017), 0..1."""
    import numpy as np

    probability = np.asarray(probabilities)
    outcome = np.asarray(happened, float)
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    error = 0.0
    for number in np.unique(bins):
        inside = bins == number
        error += inside.mean() * abs(probability[inside].mean() - outcome[inside].mean())
    return float(error)


def _macro_f1(true: NDArray[np.int_], guess: NDArray[np.int_]) -> float:
    import numpy as np

    present = np.union1d(true, guess)
    return float(np.mean([_one_route(true, guess, int(number)).f1 for number in present]))


def _one_route(true: NDArray[np.int_], guess: NDArray[np.int_], number: int) -> OneRoute:
    hits = int(((true == number) & (guess == number)).sum())
    wanted = int((true == number).sum())
    given = int((guess == number).sum())
    return OneRoute(
        precision=hits / given if given else 0.0,
        recall=hits / wanted if wanted else 0.0,
        f1=2 * hits / (wanted + given) if wanted + given else 0.0,
        rows=wanted,
    )
