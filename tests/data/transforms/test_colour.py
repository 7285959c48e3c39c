"""Changes of colour, against Pillow."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from convmedia.data.transforms import colour


def pictures(number=3, height=20, width=27):
    """Noise between different bounds in each channel and picture, so that no stretching is the identity."""
    rng = np.random.default_rng(0)
    low, high = rng.integers(0, 90, (number, 1, 1, 3)), rng.integers(120, 256, (number, 1, 1, 3))
    return rng.integers(low, high, (number, height, width, 3)).astype("float32")


def by_pillow(change, batch):
    """What `change` makes of each picture as a Pillow image, float32."""
    return np.stack([np.asarray(change(Image.fromarray(one.astype("uint8"))), "float32") for one in batch])


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.9])
@pytest.mark.parametrize(
    "ours, enhancer",
    [
        (colour.brightness, ImageEnhance.Brightness),
        (colour.contrast, ImageEnhance.Contrast),
        (colour.saturation, ImageEnhance.Color),
        (colour.sharpness, ImageEnhance.Sharpness),
    ],
    ids=["brightness", "contrast", "saturation", "sharpness"],
)
def test_factors_are_pillows(ours, enhancer, factor):
    batch = pictures()
    changed = ours(tf.constant(batch), factor).numpy()
    # Pillow rounds what it fades towards and cuts the result off to bytes.
    np.testing.assert_allclose(changed, by_pillow(lambda image: enhancer(image).enhance(factor), batch), atol=1.6)
    if factor == 1:
        np.testing.assert_allclose(changed, batch, atol=1e-4)


def test_each_picture_has_its_own_factor():
    batch, factors = pictures(), tf.constant([0.2, 1.0, 1.7])[:, None, None, None]
    for change in (colour.brightness, colour.contrast, colour.saturation):
        together = change(tf.constant(batch), factors)
        alone = [change(tf.constant(one), factor) for one, factor in zip(batch, (0.2, 1.0, 1.7), strict=True)]
        np.testing.assert_allclose(together, np.stack(alone), atol=1e-3)


@pytest.mark.parametrize("bits", [8.0, 5.0, 1.0])
def test_posterizing_is_pillows(bits):
    expected = by_pillow(lambda image: ImageOps.posterize(image, int(bits)), pictures())
    assert np.array_equal(colour.posterize(tf.constant(pictures()), bits), expected)


@pytest.mark.parametrize("threshold", [0, 100, 256])
def test_solarizing_is_pillows(threshold):
    expected = by_pillow(lambda image: ImageOps.solarize(image, threshold), pictures())
    assert np.array_equal(colour.solarize(tf.constant(pictures()), float(threshold)), expected)


def test_stretching_the_range_is_pillows():
    expected = by_pillow(ImageOps.autocontrast, pictures())
    np.testing.assert_allclose(colour.autocontrast(tf.constant(pictures())), expected, atol=1)


@pytest.mark.parametrize("size", [(20, 27), (100, 80), (3, 4)])
def test_equalizing_is_pillows(size):
    batch = pictures(2, *size)
    batch[1] = np.minimum(batch[1], 130)  # a value that many pixels share
    expected = by_pillow(ImageOps.equalize, batch)
    assert np.array_equal(np.stack([colour.equalize(tf.constant(one)) for one in batch]), expected)


@pytest.mark.parametrize("change", [colour.autocontrast, colour.equalize])
def test_a_channel_of_one_value_stays(change):
    flat = np.full((9, 9, 3), 90, "float32")
    flat[..., 1] = np.arange(81).reshape(9, 9)
    assert np.all(change(tf.constant(flat)).numpy()[..., [0, 2]] == 90)


def test_a_shift_of_the_channels_stays_within_the_pictures_range():
    batch, amounts = pictures(2), np.float32([-60, 45]).reshape(2, 1, 1, 1)
    expected = [np.clip(one + a, one.min(), one.max()) for one, a in zip(batch, amounts, strict=True)]
    assert np.array_equal(colour.channel_shift(tf.constant(batch), amounts), np.stack(expected))
