"""How far a figure would move if other rows had been drawn. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES: Final = 1_000
_SEED: Final = 7


def interval(statistic: Callable[..., float], *samples: NDArray[np.generic]) -> list[float]:
    """Return the 95 % interval of a statistic as [low, high], by bootstrap with a fixed seed.

    Args:
        statistic: Takes as many samples as are given.
        samples: Each is drawn from anew, by itself, in whole rows (Efron, 1979; percentile method).
    """
    import numpy as np

    random = np.random.default_rng(_SEED)
    drawn: list[Any] = [
        statistic(*(own[random.integers(0, len(own), len(own))] for own in samples))
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return [float(low), float(high)]
