import json
import os
import subprocess
import sys
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from keras import ops

from convmedia.data.storage.errors import InputError
from convmedia.models.backbones import vgg
from convmedia.models.losses import style_losses

RNG = np.random.default_rng(0)
NAMES = ["block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2"]


def without(weights, path, *layers):
    """A weights file that lacks some layers."""
    arrays = np.load(weights)
    np.savez(path, **{name: arrays[name] for name in arrays.files if name.split("/")[0] not in layers})
    return path


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


def test_a_gram_matrix_by_hand():
    maps = np.array([[[1.0, 2.0], [3.0, 4.0]]], "float32")[np.newaxis]  # two places, two filters
    np.testing.assert_array_equal(numbers(style_losses.gram(maps))[0], [[1 + 9, 2 + 12], [2 + 12, 4 + 16]])
    np.testing.assert_array_equal(numbers(style_losses.mean_gram(maps))[0], [[5, 7], [7, 10]])
    weighted = style_losses.gram(maps, np.array([1.0, 0.5], "float32").reshape(1, 1, 2, 1))
    np.testing.assert_array_equal(numbers(weighted)[0], [[1 + 4.5, 2 + 6], [2 + 6, 4 + 8]])


def test_losses_by_hand():
    maps, target = np.array([[1.0, 2.0]], "float32"), np.array([[0.5, 4.0]], "float32")
    assert float(style_losses.content_loss(maps, target)) == pytest.approx(0.5 * (0.25 + 4))
    one, two = np.array([[[5.0, 7.0], [7.0, 10.0]]]), np.array([[[4.0, 7.0], [7.0, 12.0]]])
    # Equation 4 with G = M g: 1 / (4 N^2 M^2) sum (G - A)^2
    places = 2
    paper = np.sum((places * one - places * two) ** 2) / (4 * 2**2 * places**2)
    assert float(style_losses.gram_loss(one, two)[0]) == pytest.approx(paper)
    layers = {"a": one, "b": two}
    assert float(style_losses.style_loss(layers, {"a": two, "b": two})[0]) == pytest.approx(paper / 2)
    picture = np.array([[1.0, 3.0], [0.0, 7.0]]).reshape(1, 2, 2, 1)
    assert float(style_losses.total_variation(picture)) == 2**2 + 1 + 4**2 + 7**2


@pytest.mark.parametrize("name", ["content", "style", "variation"])
def test_gradients_equal_finite_differences(name):
    from convmedia.models.losses.style_objective import compiled

    target = RNG.normal(size=(1, 3, 4, 2)).astype("float32")
    wanted = numbers(style_losses.mean_gram(target))

    def loss(maps):
        value = {
            "content": lambda: style_losses.content_loss(maps, target),
            "style": lambda: ops.sum(style_losses.gram_loss(style_losses.mean_gram(maps), wanted)),
            "variation": lambda: style_losses.total_variation(maps),
        }[name]()
        return value, (value,)

    maps = RNG.normal(size=target.shape).astype("float32")
    _, gradient = compiled(loss)(maps)
    differences = np.empty(maps.shape)
    for place in np.ndindex(*maps.shape):
        step = np.zeros(maps.shape)
        step[place] = 1e-2
        above, below = (float(loss(ops.convert_to_tensor((maps + s).astype("float32")))[0]) for s in (step, -step))
        differences[place] = (above - below) / 2e-2
    np.testing.assert_allclose(gradient, differences, atol=2e-3 * np.abs(differences).max())


def test_layers_follow_from_what_a_file_holds(small_vgg):
    seen = style_losses.extractor(small_vgg)
    assert seen.content_layers == ("block2_conv2",)
    assert seen.style_layers == ("block1_conv1", "block2_conv1")
    assert (seen.deepest_stride, seen.least_px) == (2, 4)
    named = style_losses.extractor(small_vgg, content_layers=["conv1_2"], style_layers=["conv2_1", "block1_conv1"])
    assert (named.content_layers, named.style_layers) == (("block1_conv2",), ("block2_conv1", "block1_conv1"))


def test_maps_are_convolutions_of_the_mirrored_picture(small_vgg):
    picture = RNG.uniform(0, 255, (1, 6, 8, 3)).astype("float32")
    maps = style_losses.extractor(small_vgg, style_layers=["conv1_1"]).model(picture)["block1_conv1"]
    arrays = np.load(small_vgg)
    prepared = picture / 255 @ arrays["preprocess_1x1/kernel"][0, 0] + arrays["preprocess_1x1/bias"]
    around = np.pad(prepared, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="reflect")
    kernel = arrays["block1_conv1/kernel"]
    expected = sum(around[:, y : y + 6, x : x + 8] @ kernel[y, x] for y in range(3) for x in range(3))
    np.testing.assert_allclose(maps, np.maximum(expected + arrays["block1_conv1/bias"], 0), atol=1e-5)


def test_places_beyond_the_reach_do_not_count(small_vgg):
    seen = style_losses.extractor(small_vgg)
    picture = RNG.uniform(0, 255, (1, 48, 48, 3)).astype("float32")
    other = picture.copy()
    other[:, 24 + seen.reach_px :] = 0
    one, two = (numbers(seen.model(each)["block2_conv2"])[:, :12] for each in (picture, other))
    np.testing.assert_array_equal(one, two)


def test_vgg_of_keras_is_looked_at_with_its_own_numbers(tmp_path):
    keras.utils.set_random_seed(0)
    whole = keras.applications.VGG16(include_top=False, weights=None)
    whole.save_weights(tmp_path / "vgg16.weights.h5")
    seen = style_losses.extractor(tmp_path / "vgg16.weights.h5", network="vgg16", style_layers=["conv3_1"])
    assert seen.content_layers == ("block4_conv2",)
    picture = RNG.uniform(0, 255, (1, 40, 48, 3)).astype("float32")
    part = keras.Model(whole.input, [whole.get_layer(name).output for name in ("block3_conv1", "block4_conv2")])
    expected = part(keras.applications.vgg16.preprocess_input(picture.copy()))
    found = seen.model(picture)
    for name, maps in zip(("block3_conv1", "block4_conv2"), expected, strict=True):
        np.testing.assert_allclose(found[name], maps, rtol=1e-4, atol=1e-5 * np.abs(maps).max())


def test_missing_layers_are_named(small_vgg, tmp_path):
    with pytest.raises(InputError, match="lacks block3_conv1, block3_conv2, block3_conv3, block3_conv4, block4_conv1"):
        style_losses.extractor(small_vgg, style_layers=["conv4_1"])
    gap = without(small_vgg, tmp_path / "gap.npz", "block1_conv2", "block2_conv1")
    with pytest.raises(InputError, match="lacks block1_conv2, block2_conv1; it ends at block2_conv2"):
        style_losses.extractor(gap)
    with pytest.raises(InputError, match="vgg19 has no layer block6_conv1; its layers are block1_conv1"):
        style_losses.extractor(small_vgg, style_layers=["conv6_1"])


def test_weights_that_are_none_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no weights file .*absent.npz; give a file"):
        style_losses.extractor(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("no weights")
    with pytest.raises(InputError, match=r"text.npz cannot be read as weights"):
        style_losses.extractor(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(InputError, match=r"other.npz holds no layer of VGG: `block1_conv1/kernel`"):
        style_losses.extractor(tmp_path / "other.npz")


def test_a_kernel_that_does_not_follow_is_named(small_vgg, tmp_path):
    arrays = dict(np.load(small_vgg))
    arrays["block2_conv1/kernel"] = arrays["block2_conv1/kernel"][:, :, :3]
    np.savez(tmp_path / "odd.npz", **arrays)
    with pytest.raises(InputError, match=r"block2_conv1 .*kernel \(3, 3, 3, 6\).*\(3, 3, 5, 6\)"):
        style_losses.extractor(tmp_path / "odd.npz")


def test_normalised_weights_are_active_by_1_on_average(small_vgg, tmp_path):
    path = without(small_vgg, tmp_path / "plain.npz", "preprocess_1x1")
    photos = [RNG.uniform(0, 255, (24, 32, 3)) for _ in range(3)]
    before = vgg.build(vgg.weights_of(path, "vgg19"), NAMES, "vgg19")
    after = style_losses.extractor(path, content_layers=NAMES, photos=photos).model
    batch = np.stack(photos).astype("float32")
    for name in NAMES:
        mean = numbers(after(batch)[name]).mean(axis=(0, 1, 2))
        active = numbers(before(batch)[name]).mean(axis=(0, 1, 2)) > 0
        np.testing.assert_allclose(mean[active], 1.0, rtol=1e-4)
        np.testing.assert_allclose(
            numbers(after(batch)[name])[..., active] * numbers(before(batch)[name]).mean(axis=(0, 1, 2))[active],
            numbers(before(batch)[name])[..., active],
            rtol=1e-3,
            atol=1e-3,
        )


LOSSES = """
import json, sys
import numpy as np
from convmedia.models.losses.style_objective import Guide, Objective
from convmedia.models.losses.style_losses import extractor

rng = np.random.default_rng(1)
content, painting, picture = (rng.uniform(0, 255, size).astype("float32") for size in
                              ((24, 32, 3), (20, 28, 3), (24, 32, 3)))
found = []
for tile_px in (64, 16):
    goal = Objective(extractor(sys.argv[1]), content, [Guide([(painting, 1.0)])],
                     content_weight=1.0, style_weight=10.0, tv_weight=1e-3, tile_px=tile_px)
    losses, gradient = goal(picture)
    found.append([*losses, *gradient.ravel()[:300].astype(float)])
json.dump(found, sys.stdout)
"""


def on_backend(backend, weights):
    """Losses and gradient in one piece and in tiles."""
    done = subprocess.run(
        [sys.executable, "-c", LOSSES, str(weights)],
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
        capture_output=True,
        text=True,
    )
    return np.array(json.loads(done.stdout))


@pytest.fixture(scope="module")
def on_tensorflow(small_vgg):
    return on_backend("tensorflow", small_vgg)


@pytest.mark.parametrize("backend", [pytest.param("jax", marks=pytest.mark.slow), "torch"])
def test_other_backends_give_the_same_losses(backend, on_tensorflow, small_vgg):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    for one, other in zip(on_tensorflow, on_backend(backend, small_vgg), strict=True):
        np.testing.assert_allclose(other[:4], one[:4], rtol=1e-4)
        np.testing.assert_allclose(other[4:], one[4:], atol=1e-4 * np.abs(one[4:]).max())
