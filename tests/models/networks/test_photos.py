"""The networks that tell photographs apart: their size by hand, their answers, that they learn; their preparation."""

import re

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

from convmedia.models.networks import photos as network_photos
from convmedia.models.networks.catalogue import PHOTOS

every_network = pytest.mark.parametrize("name", PHOTOS)
RESNET_WIDTHS = [32] + [32] * 2 + [64] * 4 + [128] * 4 + [192] * 4  # of the 3x3 convolutions, in order


def build(name, **options):
    keras.utils.set_random_seed(0)
    return PHOTOS[name](**options)


def photos(number, side, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (number, side, side, 3)).astype("float32")


def side_of(name):
    """A side that the network takes, the least there is."""
    return PHOTOS[name].side_px if name == "small" else 32


def stirred(network, seed=0):
    """The same network with random statistics and scales, as training leaves them: nothing is zero or one."""
    random = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.0, weight.shape) for weight in layer.get_weights()])
    return network


def answers(network, batch):
    return ops.convert_to_numpy(network(batch, training=False))


def stated(function):
    """The number of parameters in a builder's docstring."""
    return int(re.search(r"([\d,]+)\s+parameters", function.__doc__).group(1).replace(",", ""))


def test_small_is_the_network_of_the_blog():
    network = build("small")
    assert isinstance(network, keras.Sequential)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Conv2D", "MaxPooling2D"] * 3 + ["Flatten", "Dense", "Dropout", "Dense"]
    convolutions = [network.get_layer(f"conv{number}") for number in (1, 2, 3)]
    assert [(c.filters, c.kernel_size, c.padding, c.activation.__name__) for c in convolutions] == [
        (filters, (3, 3), "valid", "relu") for filters in (32, 32, 64)
    ]
    assert network.get_layer("pool3").output.shape[1:] == (17, 17, 64)  # 150 > 148 > 74 > 72 > 36 > 34 > 17
    assert network.get_layer("dropout").rate == 0.5
    assert network.output_shape == (None, 1)
    assert network.get_layer("output").activation.__name__ == "sigmoid"
    by_hand = (27 + 1) * 32 + (9 * 32 + 1) * 32 + (9 * 32 + 1) * 64 + (17 * 17 * 64 + 1) * 64 + 64 + 1
    assert network.count_params() == by_hand == stated(network_photos.small)


def test_resnet_is_functional_and_small():
    network = build("resnet")
    assert not isinstance(network, keras.Sequential)
    wide = [each for each in network.layers if getattr(each, "kernel_size", None) == (3, 3)]
    assert [layer.filters for layer in wide] == RESNET_WIDTHS
    assert np.prod([layer.strides[0] for layer in wide]) == 16
    convolutions = sum(9 * below * above for below, above in zip([3, *RESNET_WIDTHS[:-1]], RESNET_WIDTHS, strict=True))
    shortcuts = 32 * 64 + 64 * 128 + 128 * 192
    by_hand = convolutions + shortcuts + 4 * (sum(RESNET_WIDTHS) + 64 + 128 + 192) + 192 + 1
    assert network.count_params() == by_hand == stated(network_photos.resnet)
    assert by_hand < 2_000_000


@every_network
def test_its_file_is_below_8_megabytes(name, tmp_path):
    build(name).save(tmp_path / "network.keras")
    assert (tmp_path / "network.keras").stat().st_size < 8_000_000


@every_network
def test_two_classes_have_one_unit_and_more_have_one_each(name):
    batch = photos(4, side_of(name))
    two, three = answers(build(name), batch), answers(build(name, classes=3), batch)
    assert two.shape == (4, 1)
    assert three.shape == (4, 3)
    assert 0 < two.min() < two.max() < 1
    np.testing.assert_allclose(three.sum(-1), 1, atol=1e-6)


def test_a_block_starts_as_its_shortcut():
    inputs = keras.Input((8, 8, 32))
    network = keras.Model(inputs, network_photos.block(inputs, 32, "block"))
    batch = photos(2, 8)[..., :1] * np.linspace(-1, 1, 32, dtype="float32")
    np.testing.assert_allclose(answers(network, batch), np.maximum(batch, 0), atol=1e-6)


def test_the_answer_is_the_mean_of_both_ways():
    both, one = stirred(build("resnet")), build("resnet", mirrored=False)
    one.set_weights(both.get_weights())
    batch = photos(3, 48)
    logit = lambda p: np.log(p / (1 - p))  # noqa: E731
    there, back = (logit(answers(one, view)) for view in (batch, batch[:, :, ::-1]))
    assert np.abs(there - back).max() > 1e-3
    np.testing.assert_allclose(logit(answers(both, batch)), (there + back) / 2, atol=1e-4)
    np.testing.assert_allclose(answers(both, batch[:, :, ::-1]), answers(both, batch), atol=1e-5)


def test_training_sees_one_way():
    both, one = (build("resnet", mirrored=mirrored, dropout=0.0) for mirrored in (True, False))
    one.set_weights(both.get_weights())
    batch = photos(3, 32)
    np.testing.assert_array_equal(both(batch, training=True), one(batch, training=True))


@every_network
def test_a_picture_scores_the_same_alone_and_in_a_batch(name):
    network, batch = stirred(build(name)), photos(4, side_of(name))
    alone = np.concatenate([answers(network, batch[place : place + 1]) for place in range(4)])
    np.testing.assert_allclose(answers(network, batch), alone, atol=1e-5)


@every_network
def test_loss_falls_on_32_examples(name):
    targets = np.arange(32)[:, None] % 2
    network, inputs = build(name), photos(32, side_of(name))
    inputs[targets[:, 0] == 1, :, :, 0] *= 0.5  # the second class has less red
    network.compile(optimizer=keras.optimizers.Adam(2e-3), loss="binary_crossentropy", jit_compile=False)
    losses = [float(network.train_on_batch(inputs, targets)) for _ in range(8)]
    assert losses[0] > 0.6  # ln 2 is 0.69
    assert losses[-1] < 0.75 * losses[0]


@every_network
def test_a_saved_network_gives_the_same_numbers(name, tmp_path):
    network, batch = stirred(build(name)), photos(3, side_of(name))
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    np.testing.assert_array_equal(answers(loaded, batch), answers(network, batch))


@every_network
def test_preparation_squashes_as_pillow_does(name):
    photo = np.random.default_rng(3).integers(0, 256, (90, 260, 3)).astype("uint8")
    ours = photo[None].astype("float32")
    for layer in network_photos.preparation(name):
        ours = layer(ours)
    side = PHOTOS[name].side_px
    pillow = Image.fromarray(photo).resize((side, side), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(ops.convert_to_numpy(ours)[0] * 255, np.asarray(pillow), atol=1.1)  # Pillow rounds twice
