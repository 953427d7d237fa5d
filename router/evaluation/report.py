"""The figures of an evaluation, each with its 95 % interval, as one object. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from router.evaluation import metrics
from router.evaluation.retrieval import BASELINES, SYSTEM
from router.tuning.resampling import interval

if TYPE_CHECKING:
    from router.evaluation.benchmark import Benchmark
    from router.evaluation.metrics import Values
    from router.evaluation.retrieval import Outcomes

Metric = Callable[[Sequence[str], Mapping[str, float]], float]

RANKING: Final[Mapping[str, Metric]] = {
    "ndcg_at_10": partial(metrics.ndcg, k=10),
    "recall_at_5": partial(metrics.recall, k=5),
    "recall_at_10": partial(metrics.recall, k=10),
    "hit_at_1": partial(metrics.hit, k=1),
    "hit_at_5": partial(metrics.hit, k=5),
    "mrr_at_10": partial(metrics.reciprocal_rank, k=10),
}
"""What is said of every ranking."""

COVERAGE: Final = 0.9
"""Share of answerable questions that is answered where false answers are compared."""


def report(benchmark: Benchmark, outcomes: Outcomes) -> dict[str, Any]:
    """Return every figure; ``NAME_ci`` beside each is its 95 % interval as [low, high]."""
    import numpy as np

    times = np.array([one.ms for _, one in outcomes.answerable])
    return {
        "benchmark": benchmark.name,
        "documents": len(benchmark.corpus),
        "passages": outcomes.passages,
        "embedder": outcomes.embedder,
        "n": len(outcomes.answerable),
        **_ranking(outcomes, SYSTEM),
        "latency_ms": percentiles(times),
        "abstention": _abstention(outcomes),
        "baselines": {name: _ranking(outcomes, name) for name in BASELINES},
    }


def percentiles(times: Values) -> dict[str, Any]:
    """Return the median and the 99th percentile."""
    import numpy as np

    return {
        **figure("p50", partial(np.percentile, q=50), times),
        **figure("p99", partial(np.percentile, q=99), times),
    }


def figure(name: str, statistic: Callable[..., Any], *samples: Values) -> dict[str, Any]:
    """Return a statistic of some samples and its interval; None for both where one is empty."""
    if not all(map(len, samples)):
        return {name: None, f"{name}_ci": None}
    return {name: float(statistic(*samples)), f"{name}_ci": interval(statistic, *samples)}


def _ranking(outcomes: Outcomes, ranker: str) -> dict[str, Any]:
    import numpy as np

    figures: dict[str, Any] = {}
    for name, metric in RANKING.items():
        values = [metric(one.ranked[ranker], query.relevant) for query, one in outcomes.answerable]
        figures |= figure(name, np.mean, np.array(values))
    return figures


def _abstention(outcomes: Outcomes) -> dict[str, Any]:
    """Without unanswerable questions only the coverage is known; the rest is None."""
    import numpy as np

    support = np.array([one.support for _, one in outcomes.answerable])
    answered = np.array([float(one.sufficient) for _, one in outcomes.answerable])
    kinds = sorted({question.kind for question, _ in outcomes.unanswerable} - {""})
    return {
        "threshold": outcomes.min_support,
        **figure("coverage", np.mean, answered),
        **_told_apart(outcomes, support, None),
        "by_kind": {kind: _told_apart(outcomes, support, kind) for kind in kinds},
    }


def _told_apart(outcomes: Outcomes, support: Values, kind: str | None) -> dict[str, Any]:
    """How well answerable questions are told from unanswerable ones of a kind; None is of any."""
    import numpy as np

    others = [one for question, one in outcomes.unanswerable if kind in (None, question.kind)]
    unsupported = np.array([one.support for one in others])
    falsely = np.array([float(one.sufficient) for one in others])
    at_coverage = partial(metrics.false_answer_rate_at_coverage, coverage=COVERAGE)
    return {
        "n": len(others),
        **figure("auroc", metrics.auroc, support, unsupported),
        **figure("false_answer_rate_at_90_coverage", at_coverage, support, unsupported),
        **figure("false_answer_rate", np.mean, falsely),
    }
