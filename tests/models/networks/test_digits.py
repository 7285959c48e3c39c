"""The networks that read digits: their size by hand, their answers, that they learn; and what prepares pictures."""

import re

import keras
import numpy as np
import pytest
from PIL import Image

from convmedia.models.networks import digits
from convmedia.models.networks.catalogue import DIGITS

every_network = pytest.mark.parametrize("build", list(DIGITS.values()), ids=list(DIGITS))


def pictures(number, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (number, 28, 28, 1)).astype("float32")


def trainable(network):
    return sum(weight.numpy().size for weight in network.trainable_weights)


def stated(build):
    """The number of parameters in a builder's docstring."""
    return int(re.search(r"([\d,]+) parameters", build.__doc__).group(1).replace(",", ""))


def test_lenet5_has_the_layers_and_parameters_of_the_paper():
    network = digits.lenet5()
    assert isinstance(network, keras.Sequential)
    assert [layer.name for layer in network.layers] == ["c1", "s2", "c3", "s4", "flatten", "c5", "f6", "output"]
    shapes = [layer.output.shape[1:] for layer in network.layers if layer.name != "flatten"]
    assert shapes == [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (120,), (84,), (10,)]
    by_hand = (25 + 1) * 6 + (25 * 6 + 1) * 16 + (400 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10
    assert network.count_params() == by_hand == stated(digits.lenet5) == 61_706


def test_convnet_is_functional_and_small():
    network = digits.convnet()
    assert not isinstance(network, keras.Sequential)
    widths = [network.get_layer(f"conv{number}").filters for number in range(1, 7)]
    shrunk = np.prod([network.get_layer(f"conv{number}").strides for number in range(1, 7)], axis=0)
    assert shrunk.tolist() == [4, 4]
    convolutions = sum(9 * below * above for below, above in zip([1, *widths[:-1]], widths, strict=True))
    by_hand = convolutions + 4 * sum(widths) + (7 * 7 * widths[-1] + 1) * 10
    assert network.count_params() == by_hand == stated(digits.convnet)
    assert by_hand <= 700_000


@every_network
def test_answers_are_probabilities_of_the_labels_asked_for(build):
    network = build(classes=3)
    assert not network.compiled
    answer = keras.ops.convert_to_numpy(network(pictures(5)))
    assert answer.shape == (5, 3)
    assert answer.min() >= 0
    np.testing.assert_allclose(answer.sum(-1), 1, atol=1e-6)
    assert np.ptp(answer, axis=0).max() > 1e-6  # of different pictures they differ


@every_network
def test_a_picture_scores_the_same_alone_and_in_a_batch(build):
    network, batch = build(), pictures(4)
    alone = np.concatenate([network(batch[place : place + 1]) for place in range(4)])
    np.testing.assert_allclose(network(batch), alone, atol=1e-6)


@pytest.mark.parametrize("build, steps", [(digits.lenet5, 25), (digits.convnet, 4)], ids=["lenet5", "convnet"])
def test_loss_falls_on_32_examples(build, steps):
    keras.utils.set_random_seed(0)
    network, inputs = build(), pictures(32)
    targets = np.arange(32) % 10
    network.compile(optimizer=keras.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy", jit_compile=False)
    losses = [float(network.train_on_batch(inputs, targets)) for _ in range(steps)]
    assert losses[0] > 1.5  # ln 10 is 2.3
    assert losses[-1] < 0.5 * losses[0]


@every_network
def test_a_saved_network_gives_the_same_numbers(build, tmp_path):
    network = build()
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    assert np.array_equal(loaded(pictures(3)), network(pictures(3)))


def prepared(preparation, batch):
    for layer in digits.PREPARATIONS[preparation]():
        batch = layer(batch)
    return keras.ops.convert_to_numpy(batch)


@pytest.fixture
def photo():
    """A light stroke on a coloured ground, uint8 (90, 70, 3)."""
    picture = np.full((90, 70, 3), (20, 60, 90), "uint8")
    picture[15:75, 30:40] = (250, 240, 200)
    return picture


def test_resize_is_pillows_grey_and_size_and_keeps_the_polarity(photo):
    ours = prepared("resize", photo[None].astype("float32"))
    pillow = Image.fromarray(photo).convert("L").resize((28, 28), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(ours[0, ..., 0] * 255, np.asarray(pillow), atol=1.6)  # Pillow rounds three times
    inverse = prepared("resize", 255 - photo[None].astype("float32"))
    np.testing.assert_allclose(inverse, 1 - ours, atol=1e-5)


def test_ink_drops_the_polarity(photo):
    ours = prepared("ink", photo[None].astype("float32"))
    inverse = prepared("ink", 255 - photo[None].astype("float32"))
    assert ours.shape == (1, 28, 28, 1)
    assert ours[0, 8:20, 13:15, 0].min() > 0.9  # the stroke, light, in the middle
    assert ours[0, :, :8].max() < 0.01
    np.testing.assert_allclose(inverse, ours, atol=0.01)
