"""Figures against the numbers they are drawn from."""

import math

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from convmedia.apps.reporting import charts, confusion_matrix


def line(axes, label):
    return next(line for line in axes.get_lines() if line.get_label() == label)


def test_curves_put_training_and_validation_of_a_metric_together():
    history = {"epoch": [1, 2], "loss": [1.0, 0.5], "accuracy": [0.6, 0.8], "val_loss": [1.1, 0.7], "lr": [0.1, 0.1]}
    axes = charts.curves(history).axes
    assert [each.get_title(loc="left").split(":")[0] for each in axes] == ["loss", "accuracy", "lr"]
    np.testing.assert_array_equal(line(axes[0], "training").get_xydata(), [[1, 1.0], [2, 0.5]])
    np.testing.assert_array_equal(line(axes[0], "validation").get_xydata(), [[1, 1.1], [2, 0.7]])
    assert "validation" not in [each.get_label() for each in axes[1].get_lines()]


def test_curves_mark_the_lowest_loss_and_the_highest_accuracy():
    history = {"val_loss": [0.9, 0.4, 0.6], "val_accuracy": [0.7, 0.8, 0.9], "accuracy": [0.5, 0.6, 0.7]}
    loss, accuracy = charts.curves(history).axes
    assert loss.get_title(loc="left") == "loss: 0.4 at epoch 2"
    assert accuracy.get_title(loc="left") == "accuracy: 0.9 at epoch 3"


def test_curves_mark_the_epoch_that_was_kept():
    loss, accuracy = charts.curves({"val_loss": [0.9, 0.4], "val_accuracy": [0.7, 0.8]}, best_epoch=1).axes
    assert loss.get_title(loc="left") == "loss: 0.9 at epoch 1"
    assert accuracy.get_title(loc="left") == "accuracy: 0.7 at epoch 1"


def test_curves_mark_nothing_where_no_epoch_was_kept():
    axes = charts.curves({"val_loss": [0.9, 0.4], "val_accuracy": [0.7, 0.8]}, best_epoch=0).axes
    assert [each.get_title(loc="left") for each in axes] == ["loss", "accuracy"]


def test_missing_values_are_gaps_and_one_epoch_is_enough():
    gaps = charts.curves({"loss": [None, 0.5, math.nan, math.inf, 0.4]}).axes[0]
    np.testing.assert_array_equal(line(gaps, "training").get_ydata(), [math.nan, 0.5, math.nan, math.nan, 0.4])
    single = charts.curves({"loss": [0.5], "val_loss": [None]})
    assert single.axes[0].get_title(loc="left") == "loss"
    single.canvas.draw()
    low, high = single.axes[0].get_xlim()
    assert [tick for tick in single.axes[0].get_xticks() if low <= tick <= high] == [1]


def test_confusion_writes_counts_and_colours_by_the_share_of_the_row():
    matrix = np.array([[8, 0, 0], [1, 3, 0], [0, 0, 0]])
    axes = confusion_matrix.confusion(matrix, ["a", "b", "c"]).axes[0]
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "8", (0, 1): "1", (1, 1): "3"}  # (answer, truth)
    cells = axes.get_images()[0].get_array()
    np.testing.assert_allclose(cells[..., 3], np.sqrt(np.array([[1, 0, 0], [0.25, 0.75, 0], [0, 0, 0]])))
    assert tuple(cells[1, 1, :3]) == to_rgba(confusion_matrix.RIGHT)[:3]
    assert tuple(cells[1, 0, :3]) == to_rgba(confusion_matrix.WRONG)[:3]


def test_confusion_takes_any_label_and_shortens_long_ones():
    figure = confusion_matrix.confusion(np.eye(3, dtype=int), ["$1", r"$\frac$", "x" * 40])
    figure.draw_without_rendering()  # mathematics that does not parse would raise here
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["$1", r"$\frac$", "x" * 23 + "…"]


@pytest.mark.parametrize(("count", "counted"), [(50, 50), (51, 0)])
def test_confusion_counts_up_to_fifty_labels_within_their_cells(count, counted):
    figure = confusion_matrix.confusion(999 * np.eye(count, dtype=int), [str(i) for i in range(count)])
    texts = figure.axes[0].texts
    assert len(texts) == counted
    figure.draw_without_rendering()
    cell = figure.axes[0].get_window_extent().width / count
    assert all(text.get_window_extent().width < cell for text in texts)


def test_calibration_by_hand():
    probabilities = np.array([[0.55, 0.45], [0.42, 0.58], [0.95, 0.05], [0.0, 1.0]])
    truth = np.array([0, 0, 0, 1])
    confidence, accuracy, count = charts.calibration(probabilities, truth)
    np.testing.assert_array_equal(count, [*[0] * 8, 2, *[0] * 5, 2])
    np.testing.assert_allclose(confidence[[8, 14]], [0.565, 0.975])
    np.testing.assert_allclose(accuracy[[8, 14]], [0.5, 1.0])
    assert np.isnan(accuracy[0])
    assert charts.calibration_error(probabilities, truth) == pytest.approx((2 * 0.065 + 2 * 0.025) / 4)


def test_reliability_draws_accuracy_over_count():
    probabilities = np.array([[0.55, 0.45], [0.42, 0.58], [0.95, 0.05]])
    top, bottom = charts.reliability(probabilities, np.array([0, 0, 0])).axes
    assert [bar.get_height() for bar in top.patches] == [*[0] * 8, 0.5, *[0] * 5, 1]
    assert [bar.get_height() for bar in bottom.patches] == [*[0] * 8, 2, *[0] * 5, 1]
