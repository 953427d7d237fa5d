"""How good a ranking is, and how well evidence tells what can be answered from what cannot. Pure.

Rankings are lists of document ids, best first, each id once; what is relevant is a mapping from id
to gain, over 0. Every figure is 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values: TypeAlias = NDArray[np.float64]

_RRF_K: Final = 60
"""As in Cormack, Clarke and Büttcher, 2009."""


def ndcg(ranked: Sequence[str], relevant: Mapping[str, float], k: int) -> float:
    """Discounted cumulative gain over the best possible one (Järvelin and Kekäläinen, 2002).

    Gains count linearly and are divided by log2(rank + 1), as in trec_eval's ``ndcg_cut``.
    """
    got = sum(
        relevant.get(one, 0.0) / math.log2(rank + 1) for rank, one in enumerate(ranked[:k], start=1)
    )
    gains = sorted(relevant.values(), reverse=True)[:k]
    best = sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
    return got / best


def recall(ranked: Sequence[str], relevant: Mapping[str, float], k: int) -> float:
    """Share of what is relevant that stands among the first ``k``."""
    return len(relevant.keys() & set(ranked[:k])) / len(relevant)


def hit(ranked: Sequence[str], relevant: Mapping[str, float], k: int) -> float:
    """1 when anything relevant stands among the first ``k``, else 0."""
    return float(not relevant.keys().isdisjoint(ranked[:k]))


def reciprocal_rank(ranked: Sequence[str], relevant: Mapping[str, float], k: int) -> float:
    """1 / rank of the first that is relevant; 0 when none of the first ``k`` is."""
    return next(
        (1 / rank for rank, one in enumerate(ranked[:k], start=1) if one in relevant),
        0.0,
    )


def reciprocal_rank_fusion(rankings: Sequence[Sequence[str]]) -> list[str]:
    """Join rankings: each id scores the sum of 1 / (60 + rank) over the rankings that hold it.

    Of two with the same score the one that occurs first, in the first ranking, comes first.
    """
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, one in enumerate(ranking, start=1):
            scores[one] = scores.get(one, 0.0) + 1 / (_RRF_K + rank)
    return sorted(scores, key=lambda one: -scores[one])


def auroc(positive: Values, negative: Values) -> float:
    """Chance that one of ``positive`` is larger than one of ``negative``; a tie counts half."""
    import numpy as np

    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    up_to = np.searchsorted(ordered, positive, side="right")
    return float((below + up_to).mean() / (2 * len(ordered)))


def threshold_at_coverage(answerable: Values, coverage: float) -> float:
    """Return the highest threshold at which at least this share of ``answerable`` reaches it."""
    import numpy as np

    needed = math.ceil(coverage * len(answerable) - 1e-9)
    return float(np.sort(answerable)[len(answerable) - needed])


def false_answer_rate_at_coverage(
    answerable: Values, unanswerable: Values, coverage: float
) -> float:
    """Share of ``unanswerable`` that is answered when ``coverage`` of ``answerable`` is."""
    return float((unanswerable >= threshold_at_coverage(answerable, coverage)).mean())
