from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import metrics

from betaearth.errors import DataError
from betaearth.evaluation.confusion import score_classes


def test_scores_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice([1, 2, 5, 7], size=400, p=[0.6, 0.2, 0.15, 0.05])
    said = np.where(rng.random(400) < 0.6, truth, rng.choice([1, 2, 5, 9], size=400))  # 7 guessed late, 9 never true
    score = score_classes(truth, said, rng.integers(0, 20, 400), seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a class that is said but never true
        assert score.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(truth, said))
    assert score.accuracy == pytest.approx(metrics.accuracy_score(truth, said))
    assert score.macro_f1 == pytest.approx(metrics.f1_score(truth, said, average="macro", zero_division=0))
    np.testing.assert_array_equal(score.confusion.counts, metrics.confusion_matrix(truth, said))
    assert score.confusion.labels == (1, 2, 5, 7, 9)


def test_scores_by_hand() -> None:
    truth = np.array(["a", "a", "a", "b"])
    score = score_classes(truth, np.array(["a", "a", "b", "b"]), np.arange(4), seed=0)
    assert score.accuracy == 0.75
    assert score.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    assert score.macro_f1 == pytest.approx((2 * 2 / 5 + 2 * 1 / 3) / 2)
    assert score.confusion.labels == ("a", "b")
    assert score.confusion.counts == ((2, 1), (0, 1))
    assert (score.samples, score.groups) == (4, 4)


def test_interval_is_that_of_resampled_groups() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(25), 12)
    truth = rng.integers(0, 3, 300)
    said = np.where(rng.random(300) < np.repeat(rng.uniform(0.2, 1, 25), 12), truth, (truth + 1) % 3)
    score = score_classes(truth, said, groups, seed=1)
    resampled = []
    for _ in range(2000):
        chosen = np.concatenate([np.flatnonzero(groups == group) for group in rng.integers(0, 25, 25)])
        hit = truth[chosen] == said[chosen]
        resampled.append(np.mean([hit[truth[chosen] == label].mean() for label in range(3)]))
    low, high = np.percentile(resampled, [2.5, 97.5])
    assert score.interval is not None
    assert score.interval.low == pytest.approx(low, abs=0.1 * (high - low))
    assert score.interval.high == pytest.approx(high, abs=0.1 * (high - low))
    alone = score_classes(truth, said, np.arange(300), seed=1).interval
    assert alone is not None
    assert alone.high - alone.low < 0.75 * (high - low)  # neighbours are no independent samples


def test_a_single_group_has_no_interval() -> None:
    assert score_classes(np.array([0, 1]), np.array([0, 1]), np.array(["x", "x"]), seed=0).interval is None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="3 labels, 2 answers and 3 groups"):
        score_classes(np.arange(3), np.arange(2), np.arange(3), seed=0)
    with pytest.raises(DataError, match="at least 1"):
        score_classes(np.empty(0), np.empty(0), np.empty(0), seed=0)
