"""Fit the two heads and calibrate them on sources they have not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from router.classify.features import feature_names, ngram_features, surface_features
from router.classify.heads import EMBEDDING_SCALE, NGRAM_BUCKETS, NGRAM_SCALE, Heads
from router.policy import Route
from router.tuning.rows import Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backends.base import Vectors

    Floats = NDArray[np.float64]

C = 0.5
"""Inverse strength of regularisation, by cross-validation over sources, where 0.3 to 1 do alike."""

FOLDS = 8

SHARES: Mapping[Route, float] = MappingProxyType(
    {Route.FACTUAL: 0.4, Route.BEHAVIOURAL: 0.4, Route.HYBRID: 0.2}
)
"""Weight of each route in the fit, whatever their numbers: hybrid questions are the rarer ones."""

_DECIMALS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Heads, and what they said of each row while its source was held out.

    Attributes:
        out_of_source: Calibrated probabilities, shape (rows, 2).
    """

    heads: Heads
    out_of_source: Floats


def fit_heads(rows: Sequence[Row], embeddings: Vectors, model: str) -> Fitted:
    """Fit on all rows; calibrate on predictions for held-out sources (Platt 1999).

    Args:
        rows: Labelled questions of at least ``FOLDS`` sources.
        embeddings: Their unit vectors, shape (rows, d).
        model: Name of the embedding model.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no stubs

    # Sums in another order end in other bytes; the problem is too small for threads to pay.
    with threadpool_limits(1):
        return _fit(rows, embeddings, model)


def row_weights(rows: Sequence[Row]) -> Floats:
    """Weigh rows so that routes get their ``SHARES``, and a big source does not drown a small one.

    Within a route a source counts by the square root of its number of rows. Mean 1.
    """
    import numpy as np

    counts = Counter((_family(row), row.route) for row in rows)
    weights = np.array([counts[_family(row), row.route] ** -0.5 for row in rows])
    routes = np.array([row.route for row in rows])
    for route, share in SHARES.items():
        of_route = routes == route
        if of_route.any():
            weights[of_route] *= share / weights[of_route].sum()
    return np.asarray(weights / weights.mean())


def _fit(rows: Sequence[Row], embeddings: Vectors, model: str) -> Fitted:
    import numpy as np

    inputs = _inputs(rows, embeddings)
    targets = np.array([(row.needs_facts, row.needs_manner) for row in rows])
    weights = row_weights(rows)
    logits = _held_out_logits(rows, inputs, targets, weights)
    calibration = np.array([_platt(logits[:, axis], targets[:, axis], weights) for axis in (0, 1)])
    fitted = [_fit_one(inputs, targets[:, axis], weights) for axis in (0, 1)]
    # The bias of the head goes through the same calibration: a * (x + bias) + b.
    biases = np.array([head.intercept_[0] for head in fitted])
    calibration[:, 1] += calibration[:, 0] * biases
    coefficients = np.round(np.vstack([head.coef_[0] for head in fitted]), _DECIMALS)
    width = embeddings.shape[1]
    surface = width + len(feature_names())
    heads = Heads.build(
        model,
        feature_names(),
        embedding=coefficients[:, :width],
        surface=coefficients[:, width:surface],
        ngrams=coefficients[:, surface:],
        calibration=np.round(calibration, _DECIMALS),
    )
    slopes, intercepts = calibration.T
    intercepts = intercepts - slopes * biases
    return Fitted(heads, 1 / (1 + np.exp(-(logits * slopes + intercepts))))


def _family(row: Row) -> str:
    """All our own domains are one source among the others."""
    return "own" if row.source.startswith("own-") else row.source


def _inputs(rows: Sequence[Row], embeddings: Vectors) -> Any:
    from scipy import sparse  # type: ignore[import-untyped]  # has no stubs

    surface = [list(surface_features(row.text).values()) for row in rows]
    ngrams = sparse.lil_matrix((len(rows), NGRAM_BUCKETS))
    for number, row in enumerate(rows):
        for place, value in ngram_features(row.text, NGRAM_BUCKETS).items():
            ngrams[number, place] = value * NGRAM_SCALE
    return sparse.hstack(
        [sparse.csr_matrix(embeddings * EMBEDDING_SCALE), sparse.csr_matrix(surface), ngrams]
    ).tocsr()


def _held_out_logits(
    rows: Sequence[Row], inputs: Any, targets: NDArray[np.bool_], weights: Floats
) -> Floats:
    import numpy as np
    from sklearn.model_selection import GroupKFold

    logits = np.zeros(targets.shape)
    groups = [row.source for row in rows]
    for fit, held_out in GroupKFold(FOLDS).split(inputs, groups=groups):
        for axis in (0, 1):
            head = _fit_one(inputs[fit], targets[fit, axis], weights[fit])
            logits[held_out, axis] = head.decision_function(inputs[held_out])
    return logits


def _fit_one(inputs: Any, target: NDArray[np.bool_], weights: Floats) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, max_iter=2_000).fit(inputs, target, sample_weight=weights)


def _platt(logits: Floats, target: NDArray[np.bool_], weights: Floats) -> tuple[float, float]:
    from sklearn.linear_model import LogisticRegression

    line = LogisticRegression(C=1e6).fit(logits[:, None], target, sample_weight=weights)
    return float(line.coef_[0, 0]), float(line.intercept_[0])
