"""Labels that are probably wrong, on clouds of points whose labels are known."""

import numpy as np
import pytest

from convmedia.apps.review.label_faults import suspects
from convmedia.apps.review.look_alikes import candidates


def clouds(labels: int, each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points around a corner for each label, as features of pictures: not negative, 32 numbers."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 1, (labels, 32)) * (rng.uniform(size=(labels, 32)) < 0.4)
    truth = np.repeat(np.arange(labels), each)
    return np.abs(centres[truth] + rng.normal(0, 0.1, (len(truth), 32))).astype(np.float32), truth


def test_wrong_labels_come_first_with_the_right_one_suggested():
    vectors, truth = clouds(3, 40)
    wrong = np.array([3, 50, 51, 100])
    given = truth.copy()
    given[wrong] = (truth[wrong] + 1) % 3
    found = suspects(vectors, given, np.arange(len(given)))
    assert {row.file for row in found[:4]} == set(wrong.tolist())
    assert all(row.suggested == truth[row.file] and row.label == given[row.file] for row in found[:4])
    assert all(
        row.neighbours.get(int(truth[row.file]), 0) >= 8 and sum(row.neighbours.values()) == 10 for row in found[:4]
    )
    assert all(given[row.nearest] == row.suggested for row in found)
    margins = [row.margin for row in found]
    assert margins == sorted(margins) and margins[0] < 0


def test_without_a_wrong_label_there_is_no_suspect():
    vectors, truth = clouds(3, 40)
    assert suspects(vectors, truth, np.arange(len(truth))) == []


@pytest.mark.parametrize("together", [True, False])
def test_copies_do_not_speak_for_each_other(together):
    vectors, truth = clouds(2, 20)
    copies = 12  # of one picture, all with the same wrong label
    given = np.concatenate([truth, np.full(copies, 1)])
    vectors = np.concatenate([vectors, np.repeat(vectors[:1], copies, axis=0)])
    groups = np.concatenate(
        [np.arange(len(truth)), np.full(copies, len(truth)) if together else np.arange(copies) + 99]
    )
    found = {row.file for row in suspects(vectors, given, groups)}
    assert (set(range(len(truth), len(given))) <= found) == together


def test_a_label_of_one_picture_is_left_out():
    vectors, truth = clouds(2, 20)
    given = truth.copy()
    given[5] = 7
    assert all(row.file != 5 and row.suggested != 7 for row in suspects(vectors, given, np.arange(40)))


def test_candidates_are_the_nearest():
    rng = np.random.default_rng(1)
    vectors = rng.uniform(0, 1, (300, 512)).astype(np.float32)
    vectors[299] = vectors[17] * rng.uniform(0.9, 1.1, 512)
    vectors[298] = vectors[40] * rng.uniform(0.9, 1.1, 512)
    found = candidates(vectors, rows=128)
    assert {(17, 299), (40, 298)} <= set(found)
    assert all(one < other for one, other in found) and len(found) < 60
