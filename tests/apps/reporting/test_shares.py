"""Shares are said with their counts and intervals, and what speaks against relying on them."""

import numpy as np
import pytest
from scipy.stats import binomtest

from convmedia.apps.classification import evaluation, tagging
from convmedia.apps.reporting import shares


def figures(right, number, labels=("cat", "dog")):
    """Figures of `number` files, of which `right` are read, the labels by turns."""
    truth = np.arange(number) % len(labels)
    answers = np.where(np.arange(number) < right, truth, (truth + 1) % len(labels))
    return evaluation.figures(np.eye(len(labels))[answers], truth, labels)


def wilson(right, number):
    found = binomtest(right, number).proportion_ci(method="wilson")
    return f"{100 * found.low:.1f} to {100 * found.high:.1f} %"


@pytest.mark.parametrize(("right", "number"), [(15, 18), (557, 600), (3, 3)])
def test_accuracy_is_said_with_counts_and_interval(right, number):
    said = evaluation.accuracy_said(figures(right, number))
    assert said == f"{100 * right / number:.2f} % ({right} of {number}, 95 % interval {wilson(right, number)})"
    headline = evaluation.headline({"test": figures(right, number), "inverted": figures(1, 4)})
    assert headline["test"] == f"{100 * right / number:.2f} % ({right} of {number})"
    assert headline["95 % interval"] == wilson(right, number)
    assert headline["95 % interval, inverted"] == wilson(1, 4)


def test_few_files_are_a_doubt_and_many_none():
    assert shares.doubts({"test": figures(15, 18)}) == [
        f"test: 18 files tell too little: the accuracy may be {wilson(15, 18)}; test on more"
    ]
    assert shares.doubts({"test": figures(557, 600)}) == []


def test_labels_with_few_files_are_named():
    truth = np.repeat([0, 1, 2], [100, 100, 9])
    found = evaluation.figures(np.eye(3)[truth], truth, ["cat", "dog", "newt"])
    assert shares.doubts({"test": found}) == ["test: too few files to tell the recall of newt within 20 points"]


def test_one_answer_to_everything_is_a_doubt():
    truth = np.arange(600) % 2
    always = np.tile([0.9, 0.1], (600, 1))
    assert shares.doubts({"test": evaluation.figures(always, truth, ["cat", "dog"])})[0] == (
        "test: 'cat' is answered to every file; nothing was learned"
    )
    alone = evaluation.figures(always[truth == 0], truth[truth == 0], ["cat", "dog"])
    assert "only_answer" not in alone


def test_rows_of_labels_have_counts():
    rows = evaluation.label_rows(figures(15, 18)["per_label"])
    assert rows[0] == ["cat", "80.00 % (8 of 10)", "88.89 % (8 of 9)", "84.21 %", 9]


def test_sounds_with_several_labels_are_said_with_counts():
    scores, truth = np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.9]]), np.array([[1, 0], [0, 1], [1, 0]])
    found = tagging.tagging(scores, truth, [0.5, 0.5], ["dog", "wind"])
    assert tagging.shares_said(found)["exactly right"] == f"66.67 % (2 of 3, 95 % interval {wilson(2, 3)})"
    assert shares.doubts({"test": found})[0].startswith("test: 3 files tell too little: the share that is exactly")


def test_shares_of_exports_are_said_with_counts_and_interval():
    from convmedia.apps.reporting.export_figures import share, worth
    from convmedia.models.export.comparison import counted_share

    found = {"metric": "accuracy", "measured_on": "18 files", "before": 1.0, "after": 15 / 18}
    assert worth(found) == "accuracy 100.00 % before, 83.33 % after (18 files)"  # from before there were counts
    found |= counted_share("before", 18, 18) | counted_share("after", 15, 18)
    assert (found["after_right"], found["after_examples"]) == (15, 18)
    assert "83.33 % (15 of 18, 95 % interval 60.8 to 94.2 %) after" in worth(found)
    assert share({"same_top1": 15 / 18, **counted_share("same_top1", 15, 18)}, "same_top1") == (
        "83.33 % (15 of 18, 95 % interval 60.8 to 94.2 %)"
    )


def test_a_share_without_a_kept_interval_is_said_with_one():
    from convmedia.apps.reporting.shares import counted

    assert counted(15 / 18, 18) == "83.33 % (15 of 18, 95 % interval 60.8 to 94.2 %)"
