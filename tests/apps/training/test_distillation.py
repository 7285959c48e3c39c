"""Distillation: whose answers are mixed into which targets, and trainings that learn from a teacher."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import convmedia
from convmedia.apps.training import distillation
from convmedia.apps.training.distillation import SHARE, Teacher, teacher_of
from convmedia.data.storage.errors import InputError


class Scores:
    """Stands for a model: gives the scores of the places that the pictures' first pixels name."""

    path = "teacher.keras"

    def __init__(self, labels, scores):
        self.labels, self.scores = labels, np.array(scores, "float32")

    def __call__(self, batch):
        return self.scores[np.asarray(batch)[:, 0, 0, 0].astype(int)]

    def window_scores(self, windows, heard):
        return self.scores[heard]


SCORES = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]


def pictures(places):
    return np.array(places, "float32")[:, None, None, None] * np.ones((1, 2, 2, 3), "float32")


def test_targets_take_the_share_in_the_order_of_the_networks_labels():
    teacher = Teacher(Scores(["dog", "cat", "hen"], SCORES), ["cat", "dog", "hen"])
    wanted = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]], "float32")

    def mixed(batch, targets):
        return teacher.pictures(batch, targets)

    batches = tf.data.Dataset.from_tensor_slices((pictures([0, 1, 1]), wanted)).batch(3).map(mixed)
    [found] = [batch.numpy() for batch in batches]
    expected = (1 - SHARE) * wanted + SHARE * np.array(SCORES)[[0, 1, 1]][:, [1, 0, 2]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    heard = tf.constant([1, 0, 0])
    np.testing.assert_allclose(
        teacher.sounds(tf.zeros((3, 4)), heard, tf.constant(wanted)),
        (1 - SHARE) * wanted + SHARE * np.array(SCORES)[[1, 0, 0]][:, [1, 0, 2]],
        rtol=1e-6,
    )


def test_of_two_labels_the_second_ones_share_is_taken():
    teacher = Teacher(Scores(["none", "dog", "cat"], SCORES), ["cat", "dog"])
    found = teacher.pictures(tf.constant(pictures([0, 1])), tf.constant([[0.0], [1.0]]))
    expected = SHARE * np.array([[0.2 / 0.3], [0.3 / 0.9]]) + (1 - SHARE) * np.array([[0.0], [1.0]])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_teacher_of_other_labels_or_files_is_refused():
    with pytest.raises(InputError, match=r"--teacher teacher.keras: it knows cat, dog, and not hen; give a model with"):
        Teacher(Scores(["cat", "dog"], SCORES), ["cat", "hen"])
    with pytest.raises(InputError, match=r"--teacher .*audio.keras: the kind of its input is sound, not image; give"):
        teacher_of({"teacher": "audio"}, ["cat", "dog"], kind="image")
    assert teacher_of({}, ["cat", "dog"], kind="image") is None
    assert distillation.facts(None) == {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 noisy pictures of two labels."""
    root, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(24):
        label = ("cat", "dog")[number % 2]
        (root / label).mkdir(exist_ok=True)
        noise = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / label / f"{number}.png")
    return root


@pytest.mark.parametrize(
    ("app", "options"),
    [
        ("cats-vs-dogs", {"network": "small", "augment": "none", "ema": 0.0}),
        pytest.param(
            "transfer",
            {"backbone": "squeezenet", "weights": "none", "side": 48, "augment": "none", "blocks": 1},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_trainings_learn_from_a_teacher(app, options, folder, tmp_path):
    common = {"data": str(folder), "epochs": 1, "batch_size": 4, "precision": "float32", **options}
    alone = convmedia.train(app, out=tmp_path / "alone", **common)
    taught = convmedia.train(app, out=tmp_path / "taught", teacher="cats-vs-dogs", **common)
    again = convmedia.train(app, out=tmp_path / "again", teacher="cats-vs-dogs", **common)
    weights = [one.load().predictor.model.get_weights()[-1] for one in (alone, taught, again)]
    assert not np.allclose(weights[0], weights[1], atol=1e-5)
    np.testing.assert_array_equal(weights[1], weights[2])
    record = json.loads((tmp_path / "taught" / "run.json").read_text())
    assert record["teacher_digest"] == convmedia.load("cats-vs-dogs").predictor.digest
    assert "teacher_digest" not in alone.record
