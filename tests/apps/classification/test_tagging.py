"""Figures and thresholds of models for several labels."""

import numpy as np
import pytest

from convmedia.apps.classification import cross_validation, tagging
from convmedia.models.losses.label_metrics import average_precisions
from convmedia.models.losses.resampling import RESAMPLES, percentile_interval


def test_the_threshold_with_the_best_f1_lies_half_way_between_two_scores():
    scores = np.array([[0.9, 0.2], [0.8, 0.6], [0.4, 0.7], [0.1, 0.3]])
    truth = np.array([[1, 0], [1, 0], [0, 0], [0, 0]])
    assert tagging.tuned(scores, truth) == pytest.approx([0.6, 0.5])
    assert tagging.tuned(np.array([[0.5], [0.5]]), np.array([[1], [0]])) == pytest.approx([0.25])


def test_tagging_figures_by_hand():
    scores = np.array([[0.9, 0.8], [0.2, 0.7], [0.6, 0.1]])
    truth = np.array([[1, 0], [0, 1], [1, 0]])
    found = tagging.tagging(scores, truth, [0.5, 0.5], ["dog", "wind"])
    assert found["mean_average_precision"] == pytest.approx((1.0 + 0.5) / 2)
    assert found["f1"] == pytest.approx(2 * 3 / (4 + 3))
    assert found["exact"] == pytest.approx(2 / 3)
    assert found["per_label"]["wind"] == {
        "average_precision": pytest.approx(0.5),
        "f1": pytest.approx(2 / 3),
        "threshold": 0.5,
        "examples": 1,
        "answered": 2,
    }
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)


def test_a_label_without_examples_does_not_count():
    found = average_precisions(np.array([[0.9, 0.1], [0.2, 0.3]]), np.array([[1, 0], [0, 0]]))
    assert found[0] == 1.0
    assert np.isnan(found[1])


def test_average_precision_is_that_of_scikit_learn_for_resampled_examples_too():
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(3)
    truth = (rng.random((60, 3)) < [0.2, 0.5, 0.8]).astype(int)
    scores = np.round(0.3 * truth + rng.random((60, 3)), 1)  # with many equal ones
    expected = [average_precision_score(truth[:, i], scores[:, i]) for i in range(3)]
    np.testing.assert_allclose(average_precisions(scores, truth), expected, rtol=1e-12)
    counts = rng.multinomial(60, np.full(60, 1 / 60), 2)
    expected = [[average_precision_score(truth[:, i], scores[:, i], sample_weight=c) for i in range(3)] for c in counts]
    np.testing.assert_allclose(average_precisions(scores, truth, counts), expected, rtol=1e-12)


def test_the_bootstrap_of_a_mean_is_that_of_scipy():
    from scipy import stats

    values = np.random.default_rng(1).exponential(2.0, 80)
    own = percentile_interval(lambda counts: counts @ values / 80, 80)
    wanted = stats.bootstrap((values,), np.mean, n_resamples=9999, method="percentile", rng=2).confidence_interval
    spread = values.std() / np.sqrt(80)
    assert RESAMPLES >= 1000
    np.testing.assert_allclose(own, wanted, atol=0.2 * spread)


def test_the_summary_of_folds():
    beside = {"accuracy_interval": [0.7, 0.9], "per_label": {"a": {"recall": None}}}
    found = cross_validation.summary(
        [{"accuracy": 0.8, "examples": 10, **beside}, {"accuracy": 0.9, "examples": 12, **beside}]
    )
    assert found == {"accuracy": pytest.approx(0.85), "accuracy_spread": pytest.approx(0.0707107), "examples": 22}
