"""The figures of an evaluation, against values computed by hand from their definitions."""

from __future__ import annotations

from functools import partial
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from router.evaluation import metrics
from router.tuning.resampling import interval

RANKED = ["a", "b", "c", "d", "e"]


def test_ndcg_counts_gains_linearly_and_discounts_by_the_logarithm_of_the_rank() -> None:
    # (2 / log2(3) + 1 / log2(5)) / (2 / log2(2) + 1 / log2(3))
    relevant = {"b": 2.0, "d": 1.0}

    assert metrics.ndcg(RANKED, relevant, 10) == pytest.approx(0.643322, abs=1e-6)
    assert metrics.ndcg(RANKED, relevant, 3) == pytest.approx((2 / log2(3)) / (2 + 1 / log2(3)))
    assert metrics.ndcg(["b", "d"], relevant, 10) == 1.0
    assert metrics.ndcg([], relevant, 10) == 0.0


def test_the_best_ranking_of_more_than_k_relevant_documents_has_an_ndcg_of_one() -> None:
    assert metrics.ndcg(["a", "b"], dict.fromkeys("abcd", 1.0), 2) == 1.0


@given(st.permutations(range(8)), st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_ndcg_is_what_an_independent_implementation_says(
    order: list[int], gains: list[int]
) -> None:
    if not any(gains):
        return
    ranked = [str(one) for one in order]
    relevant = {str(one): float(gain) for one, gain in enumerate(gains) if gain}
    scores = [-ranked.index(str(one)) for one in range(8)]

    assert metrics.ndcg(ranked, relevant, 5) == pytest.approx(ndcg_score([gains], [scores], k=5))


def test_recall_hit_and_reciprocal_rank_look_at_the_first_k_only() -> None:
    relevant = {"c": 1.0, "e": 1.0, "x": 1.0}

    assert metrics.recall(RANKED, relevant, 5) == pytest.approx(2 / 3)
    assert metrics.recall(RANKED, relevant, 3) == pytest.approx(1 / 3)
    assert (metrics.hit(RANKED, relevant, 2), metrics.hit(RANKED, relevant, 3)) == (0.0, 1.0)
    assert metrics.reciprocal_rank(RANKED, relevant, 10) == pytest.approx(1 / 3)
    assert metrics.reciprocal_rank(RANKED, relevant, 2) == 0.0


def test_fused_ranks_add_up_over_the_rankings_that_hold_an_id() -> None:
    # a: 1/61 + 1/63; b: 1/62; c: 1/63 + 1/61, level with a but later; d: 1/62, level with b
    assert metrics.reciprocal_rank_fusion(["abc", "cda"]) == ["a", "c", "b", "d"]


def test_auroc_is_the_share_of_pairs_in_the_right_order_and_half_of_the_ties() -> None:
    # Of the six pairs 3 > 1, 3 > 2, 2 > 1, 1 = 1 and 2 = 2; 1 < 2.
    answerable, unanswerable = np.array([3.0, 2.0, 1.0]), np.array([1.0, 2.0])

    assert metrics.auroc(answerable, unanswerable) == pytest.approx(4 / 6)


@given(st.lists(st.integers(0, 9), min_size=1), st.lists(st.integers(0, 9), min_size=1))
def test_auroc_is_what_an_independent_implementation_says(
    positive: list[int], negative: list[int]
) -> None:
    theirs = roc_auc_score([1] * len(positive) + [0] * len(negative), [*positive, *negative])

    ours = metrics.auroc(np.array(positive, float), np.array(negative, float))

    assert ours == pytest.approx(theirs)


def test_false_answers_are_counted_where_nine_in_ten_answerable_questions_are_answered() -> None:
    answerable = np.arange(10) / 10  # nine of them reach 0.1
    unanswerable = np.array([0.05, 0.1, 0.3, 0.0])

    assert metrics.threshold_at_coverage(answerable, 0.9) == 0.1
    assert metrics.false_answer_rate_at_coverage(answerable, unanswerable, 0.9) == 0.5


def test_an_interval_holds_the_mean_shrinks_with_more_rows_and_comes_out_the_same_again() -> None:
    few, many = np.array([0.0, 1.0] * 20), np.array([0.0, 1.0] * 2_000)

    low, high = interval(np.mean, few)

    # The mean of 40 fair coins has a standard error of 0.5 / √40 = 0.079.
    assert low == pytest.approx(0.5 - 1.96 * 0.079, abs=0.03)
    assert high == pytest.approx(0.5 + 1.96 * 0.079, abs=0.03)
    assert interval(np.mean, few) == [low, high]
    assert np.diff(interval(np.mean, many)) < (high - low) / 5


def test_an_interval_draws_each_sample_by_itself() -> None:
    apart = partial(metrics.false_answer_rate_at_coverage, coverage=0.9)

    assert interval(apart, np.array([0.9] * 9), np.array([0.1] * 5)) == [0.0, 0.0]
