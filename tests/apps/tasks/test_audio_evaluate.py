"""Figures and thresholds of models for several labels."""

import numpy as np
import pytest

from convmedia.apps.classification import cross_validation
from convmedia.apps.tasks.audio import evaluate


def test_the_threshold_with_the_best_f1_lies_half_way_between_two_scores():
    scores = np.array([[0.9, 0.2], [0.8, 0.6], [0.4, 0.7], [0.1, 0.3]])
    truth = np.array([[1, 0], [1, 0], [0, 0], [0, 0]])
    assert evaluate.tuned(scores, truth) == pytest.approx([0.6, 0.5])
    assert evaluate.tuned(np.array([[0.5], [0.5]]), np.array([[1], [0]])) == pytest.approx([0.25])


def test_tagging_figures_by_hand():
    scores = np.array([[0.9, 0.8], [0.2, 0.7], [0.6, 0.1]])
    truth = np.array([[1, 0], [0, 1], [1, 0]])
    found = evaluate.tagging(scores, truth, [0.5, 0.5])
    assert found["mean_average_precision"] == pytest.approx((1.0 + 0.5) / 2)
    assert found["f1"] == pytest.approx(2 * 3 / (4 + 3))
    assert found["exact"] == pytest.approx(2 / 3)


def test_a_label_without_examples_does_not_count():
    found = evaluate.average_precisions(np.array([[0.9, 0.1], [0.2, 0.3]]), np.array([[1, 0], [0, 0]]))
    assert found[0] == 1.0
    assert np.isnan(found[1])


def test_the_summary_of_folds():
    beside = {"accuracy_interval": [0.7, 0.9], "per_label": {"a": {"recall": None}}}
    found = cross_validation.summary(
        [{"accuracy": 0.8, "examples": 10, **beside}, {"accuracy": 0.9, "examples": 12, **beside}]
    )
    assert found == {"accuracy": pytest.approx(0.85), "accuracy_spread": pytest.approx(0.0707107), "examples": 22}
