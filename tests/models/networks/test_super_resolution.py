"""Networks that enlarge pictures: as published, of any size, the same in tiles, in files and in other runtimes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from convmedia.data.transforms import bicubic as transforms_bicubic
from convmedia.models.analysis.receptive_field import mult_adds, reach_px
from convmedia.models.answer import PICTURE
from convmedia.models.export.exporter import export
from convmedia.models.inference.predictor import Predictor
from convmedia.models.inference.tiling import whole_picture
from convmedia.models.networks.catalogue import SUPER_RESOLUTION
from convmedia.models.networks.super_resolution import SCALES, carn, carn_m, enlarges, espcn, srcnn, vdsr, whole
from convmedia.models.saving.assembly import assemble
from convmedia.models.saving.files import load, save

# Each network at one scale, all scales among them; the other pairs by `make test-all`.
EVERY = [
    pytest.param(name, scale, marks=[] if scale == SCALES[place % len(SCALES)] else [pytest.mark.slow])
    for place, name in enumerate(SUPER_RESOLUTION)
    for scale in SCALES
]


def lively(network, seed=0):
    """The network with weights that make every layer matter, and an answer that stays near the input."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            spread = 0.3 / np.sqrt(np.prod(kernel.shape[:-1]))
            layer.set_weights([kernel + rng.normal(0, spread, kernel.shape), rng.normal(0, 0.02, bias.shape)])
    return network


def predictor(name, scale, seed=0):
    network = lively(SUPER_RESOLUTION[name].build(scale), seed)
    details = {"network": name, "scale": scale}
    return Predictor(
        assemble(whole(network, scale), app="super-resolution", labels=None, input=PICTURE, details=details)
    )


def pictures(*size, number=1, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (number, *size, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (srcnn, 57_281),
        (lambda: srcnn(kernels=(9, 1, 5)), 8_129),
        (vdsr, 665_921),
        (lambda: carn(SCALES), 1_591_939),
        (lambda: carn_m(SCALES), 414_787),
    ],
    ids=["srcnn", "srcnn-9-1-5", "vdsr", "carn", "carn-m"],
)
def test_parameters_are_those_of_the_papers(network, parameters):
    assert network().count_params() == parameters


@pytest.mark.parametrize(
    ("name", "scale", "billions"),
    [
        ("srcnn", 2, 52.7),
        ("vdsr", 2, 612.6),
        ("carn", 2, 222.8),
        ("carn", 3, 118.8),
        ("carn", 4, 90.9),
        ("carn-m", 2, 91.2),
        ("carn-m", 3, 46.1),
        ("carn-m", 4, 32.5),
    ],
)
def test_mult_adds_for_1280x720_are_those_of_the_papers(name, scale, billions):
    """Ahn et al. 2018, table 1; they count fractions of pixels at scale 3."""
    found = mult_adds(whole(SUPER_RESOLUTION[name].build(scale), scale), 720 // scale, 1280 // scale) / 1e9
    assert found == pytest.approx(billions, rel=0.0025)


@pytest.mark.parametrize("name", ["srcnn", "srcnn-9-1-5", "vdsr"])
def test_networks_of_luma_start_as_the_identity(name):
    planes = np.random.default_rng(0).uniform(0, 1, (2, 13, 21, 1)).astype(np.float32)
    np.testing.assert_allclose(SUPER_RESOLUTION[name].build(2)(planes), planes, atol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
def test_espcn_starts_as_bicubic_enlargement(scale):
    planes = np.random.default_rng(0).uniform(0, 1, (2, 13, 21, 1)).astype(np.float32)
    expected = [transforms_bicubic.imresize(plane.astype(np.float64), scale) for plane in planes]
    np.testing.assert_allclose(espcn(scale)(planes), expected, atol=1e-6)


def test_espcn_is_convolutions_whose_channels_become_pixels_on_a_bicubic_enlargement():
    """Shi et al. 2016, equation 4, written out: pixel (3y + r, 3x + c) is channel 3r + c at (y, x)."""
    network = lively(espcn(3, depth=4))
    plane = np.random.default_rng(0).uniform(0, 1, (1, 6, 5, 1)).astype(np.float32)
    maps = plane
    for name in ("conv1", "conv2", "conv3"):
        kernel, bias = network.get_layer(name).get_weights()
        maps = tf.nn.leaky_relu(tf.nn.conv2d(maps, kernel, 1, "SAME") + bias, 0.2)
    kernel, bias = network.get_layer("x3_up").get_weights()
    channels = (tf.nn.conv2d(maps, kernel, 1, "SAME") + bias).numpy()
    expected = transforms_bicubic.imresize(plane[0, ..., 0].astype(np.float64), 3)
    for row in range(3):
        for column in range(3):
            expected[row::3, column::3] += channels[0, ..., 3 * row + column]
    np.testing.assert_allclose(network(plane)[0, ..., 0], expected, atol=1e-5)


def test_espcn_begins_by_passing_every_channel_on():
    """What its last thin layer gives still tells all that the first one found: no channel has died on the way."""
    network = espcn(2)
    hidden = keras.Model(network.input, [network.get_layer(name).output for name in ("conv1", "conv9")])
    planes = np.random.default_rng(0).uniform(0, 1, (1, 32, 32, 1)).astype(np.float32)
    first, last = (np.reshape(maps, (-1, 16)) for maps in hidden(planes))
    assert np.linalg.matrix_rank(np.corrcoef(last.T), tol=1e-3) == 16
    assert 0.2 < np.std(last) / np.std(first) < 20


def test_which_networks_enlarge_is_read_off_them():
    assert [name for name, row in SUPER_RESOLUTION.items() if enlarges(row.build(3))] == ["espcn", "carn", "carn-m"]


def test_convolutions_in_groups_are_those_of_keras():
    network = lively(carn_m((2,)))
    parts = [network.get_layer(f"block1_conv1_group{n}") for n in (1, 2, 3, 4)]
    kernels, biases = zip(*(part.get_weights() for part in parts), strict=True)
    grouped = keras.layers.Conv2D(64, 3, padding="same", groups=4)
    maps = np.random.default_rng(0).normal(size=(1, 7, 9, 64)).astype(np.float32)
    grouped.build(maps.shape)
    grouped.set_weights([np.concatenate(kernels, axis=-1), np.concatenate(biases)])
    ours = np.concatenate([part(maps[..., 16 * n : 16 * n + 16]) for n, part in enumerate(parts)], axis=-1)
    np.testing.assert_allclose(ours, grouped(maps), atol=1e-5)


def test_carn_is_the_papers_graph():
    """One block of Ahn et al. 2018, figure 2, written out on arrays."""
    network = lively(carn((3,), blocks=1))

    def conv(x, name, relu=False):
        y = network.get_layer(name)(x)
        return tf.nn.relu(y) if relu else y

    def relu(x):
        return tf.nn.relu(x)

    x = pictures(6, 5) / 255
    mean = np.array((0.4488, 0.4371, 0.4040), np.float32)
    entry = conv(x - mean, "entry")
    unit = relu(entry + conv(relu(conv(entry, "block1_unit1_conv1")), "block1_unit1_conv2"))
    block = conv(tf.concat([entry, unit], -1), "block1_join1")  # its ReLU is inside the layer
    body = conv(tf.concat([entry, block], -1), "cascade_join1")
    wide = conv(body, "x3_up1").numpy()
    shuffled = wide.reshape(1, 6, 5, 3, 3, 64).transpose(0, 1, 3, 2, 4, 5).reshape(1, 18, 15, 64)
    np.testing.assert_allclose(network(x), conv(shuffled, "exit") + mean, atol=1e-5)


def test_the_luma_of_the_file_is_the_networks_and_its_colour_is_bicubic():
    network = lively(vdsr(depth=4))
    picture = pictures(12, 17)
    answer = whole(network, 3)(picture).numpy()[0].astype(np.float64)
    bicubic = transforms_bicubic.imresize(picture[0].astype(np.float64), 3)
    ours, theirs = transforms_bicubic.rgb2ycbcr(answer), transforms_bicubic.rgb2ycbcr(bicubic)
    expected = network(theirs[np.newaxis, ..., :1].astype(np.float32) / 255).numpy()[0, ..., 0] * 255
    np.testing.assert_allclose(ours[..., 0], expected, atol=2e-3)
    np.testing.assert_allclose(ours[..., 1:], theirs[..., 1:], atol=2e-3)
    assert np.abs(expected - theirs[..., 0]).max() > 1.0  # the network did something


def test_of_small_luma_too_the_file_has_the_networks_luma_and_bicubic_colour():
    network = lively(espcn(3, depth=4))
    picture = pictures(12, 17)
    answer = whole(network, 3)(picture).numpy()[0].astype(np.float64)
    small = transforms_bicubic.rgb2ycbcr(picture[0].astype(np.float64))[np.newaxis, ..., :1]
    expected = network(small.astype(np.float32) / 255).numpy()[0, ..., 0] * 255
    bicubic = transforms_bicubic.rgb2ycbcr(transforms_bicubic.imresize(picture[0].astype(np.float64), 3))
    ours = transforms_bicubic.rgb2ycbcr(answer)
    np.testing.assert_allclose(ours[..., 0], expected, atol=2e-3)
    np.testing.assert_allclose(ours[..., 1:], bicubic[..., 1:], atol=2e-3)
    assert np.abs(expected - bicubic[..., 0]).max() > 1.0  # the network did something


@pytest.mark.parametrize(("name", "scale"), EVERY)
def test_a_place_depends_on_what_lies_within_reach_and_on_nothing_beyond(name, scale):
    """Moving a pixel at the reach's corner moves the answer, one pixel further away it does not move one bit."""
    model = predictor(name, scale)
    reach = reach_px(model.model)
    side = 2 * reach + 5
    picture = pictures(side, side)
    answer = model(picture)[0]
    centre = slice((reach + 2) * scale, (reach + 3) * scale)

    def moved(row, column):
        other = picture.copy()
        other[0, row, column] = 255.0 - other[0, row, column]
        return np.abs(model(other)[0] - answer)[centre, centre].max()

    assert moved(1, reach + 2) == 0.0
    assert moved(reach + 2, side - 2) == 0.0
    assert max(moved(2, reach + 2), moved(3, reach + 2)) > 0.0  # it is rounded up, by less than a pixel


@pytest.mark.parametrize(("name", "scale"), EVERY)
def test_tiled_equals_whole(name, scale):
    model = predictor(name, scale)
    rng = np.random.default_rng([SCALES.index(scale), len(name)])
    sides = tuple(rng.integers(20, 50, 2))
    for size, tile_px in (((1, 1), 16), ((9, 11), 16), ((2, 61), 90), (sides, int(rng.integers(30, 120)))):
        picture = pictures(*size)[0]
        expected = model(picture[np.newaxis])[0]
        answer = whole_picture(model, picture, scale, tile_px)
        assert answer.shape == (size[0] * scale, size[1] * scale, 3)
        assert np.abs(answer - expected).max() <= 1e-5 * 255


@pytest.mark.parametrize("name", SUPER_RESOLUTION)
def test_saved_and_loaded_it_answers_the_same(name, tmp_path):
    model = predictor(name, 3)
    save(model.model, tmp_path / "model.keras")
    again = load(tmp_path / "model.keras")
    assert (again.app, again.details, again.labels) == ("super-resolution", {"network": name, "scale": 3}, None)
    np.testing.assert_array_equal(again(pictures(9, 14)), model(pictures(9, 14)))


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("srcnn", 2),
        ("espcn", 3),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in (("vdsr", 3), ("carn", 4), ("carn-m", 3))),
    ],
)
def test_exported_files_take_any_size_and_agree(name, scale, tmp_path):
    examples = [np.uint8(pictures(*size)[0]) for size in ((24, 24), (17, 41), (33, 12))]
    names = ["saved-model", "onnx", "litert"]
    parity = export(predictor(name, scale), names, tmp_path, examples)
    assert list(parity) == names
    for figures in parity.values():
        assert figures.get("refused") is None
        assert figures["max_abs_diff"] <= 1e-4


@pytest.mark.parametrize("build", [lambda: carn((5,)), lambda: espcn(5)], ids=["carn", "espcn"])
def test_a_scale_that_no_tail_has_is_refused(build):
    with pytest.raises(ValueError, match="Received: 5"):
        build()


def test_reach_is_not_guessed():
    inputs = keras.Input((None, None, 3))
    with pytest.raises(ValueError, match="strided"):
        reach_px(keras.Model(inputs, keras.layers.Conv2D(2, 3, strides=2, name="strided")(inputs)))
