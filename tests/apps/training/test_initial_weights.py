"""What `--weights` copies: layers by name and shape, and scores by label."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from convmedia.apps.training import warm_start
from convmedia.models.networks import digits, photos, sounds

FRAMES = np.random.default_rng(0).normal(size=(2, 40, 40, 2)).astype("float32") * [1, 0] + [0, 1]
DIGITS = np.random.default_rng(1).random((2, 28, 28, 1), dtype="float32")
PHOTOS = np.random.default_rng(2).random((2, 150, 150, 3), dtype="float32")
BUILDERS = {
    "lenet5": (digits.lenet5, DIGITS),
    "small": (photos.small, PHOTOS),
    "speech": (lambda labels: sounds.speech(40, 40, labels, units=20), FRAMES),
    "compact": (lambda labels: sounds.compact(40, 40, labels, widths=(4, 4, 4, 4)), FRAMES),
    "several": (lambda labels: sounds.tagger(40, 40, labels, several=True), FRAMES),
}


def trained(build, labels):
    """A network with scores that are far from equal, as `load` gives it."""
    network = build(len(labels))
    rng = np.random.default_rng(3)
    network.set_weights([rng.normal(0, 0.1, w.shape) if w.ndim == 2 else w for w in network.get_weights()])
    return SimpleNamespace(model=network, labels=labels, path="runs/before")


def scores(network, inputs, labels):
    """{label: its scores}."""
    found = np.asarray(network(inputs, training=False))
    if found.shape[-1] == 1:
        found = np.concatenate([1 - found, found], axis=1)
    return dict(zip(labels, found.T, strict=True))


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("labels", [["a", "b", "c"], ["c", "a", "b"], ["a", "b"], ["b", "a"]], ids="".join)
def test_labels_in_another_order_keep_their_scores(name, labels):
    build, inputs = BUILDERS[name]
    before = trained(build, sorted(labels))
    network = build(len(labels))
    warm_start.start_from(network, before, labels)
    expected, found = scores(before.model, inputs, before.labels), scores(network, inputs, labels)
    assert np.ptp(list(expected.values())) > 1e-3
    for label in labels:
        np.testing.assert_allclose(found[label], expected[label], atol=1e-5)


@pytest.mark.parametrize("name", BUILDERS)
def test_other_labels_start_anew_and_it_is_said(name, capsys):
    build, _ = BUILDERS[name]
    before = trained(build, ["a", "b", "c"])
    network = build(3)
    scoring = "frame_scores" if name == "speech" else "output"
    random = network.get_layer(scoring).get_weights()
    warm_start.start_from(network, before, ["a", "b", "d"])
    assert f"its labels are a, b, c, so the layer {scoring} starts anew" in capsys.readouterr().err
    for layer in network.layers:
        expected = random if layer.name == scoring else before.model.get_layer(layer.name).get_weights()
        for one, other in zip(layer.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_networks_without_labels_are_copied_whole():
    inputs = keras.Input((4,))
    networks = [keras.Model(inputs, keras.layers.Dense(3, activation="sigmoid", name="out")(inputs)) for _ in "ab"]
    warm_start.start_from(networks[0], SimpleNamespace(model=networks[1], labels=None, path="runs/before"))
    for one, other in zip(networks[0].get_weights(), networks[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
