"""Resizing and luma inside the model, against Pillow and against the exported files' runtimes."""

import warnings

import keras
import numpy as np
import pytest
from PIL import Image

from convmedia.models.formats import formats, runtimes
from convmedia.models.preprocessing import digit_localization, resize

RANDOM = np.random.default_rng(0)
SIZES = [(1, 1), (2, 2), (3, 200), (28, 28), (90, 61), (257, 130), (700, 900)]
TARGETS = [(28, 28), (1, 1), (64, 17)]


def picture(height, width, channels=1):
    return RANDOM.uniform(0, 255, (height, width, channels)).astype("float32")


def pillow(one, height, width):
    """Pillow's own floating-point resize of one channel: it rounds nothing to 8 bits."""
    return np.asarray(Image.fromarray(one, "F").resize((width, height), Image.Resampling.BILINEAR))


def resized(batch, height, width):
    return keras.ops.convert_to_numpy(resize.Resize(height, width)(batch))


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_resize_is_pillows_antialiased_bilinear(size, target):
    source = picture(*size, 2)
    ours = resized(source[None], *target)[0]
    for channel in range(2):
        np.testing.assert_allclose(ours[..., channel], pillow(source[..., channel], *target), rtol=0, atol=5e-4)


def test_equal_size_changes_no_bit():
    source = picture(28, 28, 3)[None]
    assert np.array_equal(resized(source, 28, 28), source)


def test_a_step_edge_is_shrunk_by_hand():
    # Two samples from four: triangle of half-width 2 around 0.5, so weights .75 .75 .25 (the fourth is 2.5 away).
    edge = np.array([0, 0, 70, 0], "float32").reshape(1, 1, 4, 1)
    np.testing.assert_allclose(resized(edge, 1, 2).ravel(), [10, 30], rtol=1e-6)


def test_rows_of_a_sampling_matrix_sum_to_one_and_outside_repeats_the_edge():
    positions = np.array([[-50.0, -0.5, 0.25, 3.0, 8.9, 40.0]], "float32")
    narrow = keras.ops.convert_to_numpy(resize.sampling_matrix(positions, 10, 1.0))
    wide = keras.ops.convert_to_numpy(resize.sampling_matrix(positions, 10, np.full((1, 1), 3.7, "float32")))
    for matrix in (narrow, wide):
        assert matrix.min() >= 0
        np.testing.assert_allclose(matrix.sum(-1), 1, atol=1e-6)
    line = np.arange(10, dtype="float32") * 10
    np.testing.assert_allclose(narrow[0] @ line, np.interp(positions[0], np.arange(10), line), atol=1e-4)


def test_pictures_of_a_batch_are_resampled_by_matrices_of_their_own():
    source = picture(6, 5, 3)
    rows, columns = RANDOM.uniform(size=(2, 4, 6)), RANDOM.uniform(size=(2, 3, 5))
    ours = resize.resample(np.stack([source] * 2), *(matrix.astype("float32") for matrix in (rows, columns)))
    by_hand = np.einsum("nih,hwc,njw->nijc", rows, source, columns)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ours), by_hand, rtol=1e-5)


def test_grey_is_pillows_luma():
    colours = RANDOM.integers(0, 256, (60, 70, 3), dtype="uint8")
    ours = keras.ops.convert_to_numpy(resize.Grey()(colours[None].astype("float32")))[0, ..., 0]
    luma = np.asarray(Image.fromarray(colours).convert("L"), "float32")
    assert np.abs(ours - luma).max() <= 0.51  # Pillow rounds to 8 bits
    white = keras.ops.convert_to_numpy(resize.Grey()(np.full((1, 1, 1, 3), 255, "float32")))
    np.testing.assert_allclose(white, 255, rtol=1e-6)


@pytest.fixture(scope="module")
def model():
    raw = keras.Input((None, None, 3), name="image")
    return keras.Model(raw, resize.Resize(20, 12)(resize.Grey()(raw)))


def test_a_saved_model_gives_the_same_numbers(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    batch = picture(33, 47, 3)[None]
    assert loaded.output_shape == (None, 20, 12, 1)
    assert np.array_equal(loaded(batch), model(batch))


@pytest.mark.parametrize("kind", ["onnx", "litert"])
def test_an_exported_resize_agrees_at_any_size(model, kind, tmp_path):
    row = formats.FORMATS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converters' own, about their own insides
        row.write(model, tmp_path / row.file)
    run = runtimes.RUNTIMES[row.runtime](str(tmp_path / row.file))  # plain LiteRT: refuses Flex
    for size in [(1, 1), (3, 200), (20, 12), (61, 40), (400, 300)]:
        batch = RANDOM.integers(0, 256, (2, *size, 3), dtype="uint8")
        np.testing.assert_allclose(run(batch), model(batch.astype("float32")), rtol=0, atol=5e-5 * 255)


@pytest.mark.parametrize("size", [(1, 1), (3, 70), (64, 64), (150, 41)])
def test_padding_that_is_told_of_changes_nothing(size):
    """Whatever is in it."""
    rng = np.random.default_rng(0)
    picture = rng.uniform(0, 255, (2, *size, 3)).astype("float32")
    larger = rng.uniform(0, 255, (2, 192, 128, 3)).astype("float32")
    larger[:, : size[0], : size[1]] = picture
    for layer, tolerance in ((resize.Resize(28, 20), 1e-3), (digit_localization.FindInk(), 1e-5)):
        with resize.padded(*map(np.int32, size)):
            told = keras.ops.convert_to_numpy(layer(larger))
        np.testing.assert_allclose(told, keras.ops.convert_to_numpy(layer(picture)), atol=tolerance)
