"""The enlargement inside a file is that of `imresize`, on any size, saved and exported."""

import contextlib
import io
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from convmedia.data.transforms.bicubic import imresize
from convmedia.models.formats.formats import FORMATS
from convmedia.models.preprocessing.upsampling import Enlarge, depth_to_space, phase_weights

SIZES = [(1, 1), (1, 7), (6, 1), (2, 3), (5, 5), (17, 31)]
SCALES = (2, 3, 4)


def picture(*size, channels=3, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (2, *size, channels)).astype(np.float32)


def enlarging(channels=3):
    """One input, enlarged by each scale."""
    inputs = keras.Input((None, None, channels))
    return keras.Model(inputs, [Enlarge(scale, name=f"x{scale}")(inputs) for scale in SCALES])


@pytest.fixture(scope="module")
def model():
    return enlarging()


def expected(pictures):
    return [imresize(pictures.astype(np.float64), scale) for scale in SCALES]


def assert_enlarged(answers, pictures, tolerance=1e-4):
    """Within `tolerance` of 255, and each of its own shape."""
    for answer, right in zip(answers, expected(pictures), strict=True):
        assert answer.shape == right.shape
        assert np.abs(answer - right).max() <= tolerance * 255


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_enlarged_as_imresize_does(model, size):
    assert_enlarged(map(np.asarray, model(picture(*size))), picture(*size), tolerance=1e-6)


def test_a_grey_picture_is_enlarged_as_each_channel_of_a_coloured_one(model):
    coloured, grey = model(picture(5, 6)), enlarging(channels=1)(picture(5, 6)[..., 1:2])
    for many, one in zip(coloured, grey, strict=True):
        np.testing.assert_allclose(many[..., 1:2], one, atol=1e-4)


def test_it_neither_clips_nor_rounds_and_is_linear():
    enlarge = Enlarge(3)
    first, second = picture(4, 5), picture(4, 5, seed=1)
    np.testing.assert_allclose(enlarge(2 * first - 3 * second), 2 * enlarge(first) - 3 * enlarge(second), atol=2e-3)
    step = np.repeat([[0.0, 255.0]], 4, axis=1).reshape(1, 1, 8, 1)
    grey = np.asarray(Enlarge(3)(step))
    assert grey.min() < -10
    assert grey.max() > 265


def test_weights_are_those_of_keyss_kernel():
    np.testing.assert_array_equal(phase_weights(2) * 128, [[-3, 29, 111, -9, 0], [0, -9, 111, 29, -3]])
    np.testing.assert_allclose(phase_weights(3)[1], [0, 0, 1, 0, 0], atol=1e-15)


def test_half_precision_does_not_round_the_pixels():
    pictures = picture(9, 8)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        answer = Enlarge(2)(pictures)
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_allclose(answer, imresize(pictures, 2), atol=1e-3)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_channels_become_pixels_as_in_tensorflow(scale):
    maps = np.random.default_rng(0).normal(size=(2, 3, 5, scale**2 * 4)).astype(np.float32)
    np.testing.assert_array_equal(
        depth_to_space(maps, scale), maps if scale == 1 else tf.nn.depth_to_space(maps, scale)
    )


def test_a_saved_file_gives_the_same_numbers(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.output_shape == [(None, None, None, 3)] * 3
    for before, after in zip(model(picture(5, 7)), loaded(picture(5, 7)), strict=True):
        np.testing.assert_array_equal(before, after)


def saved_model_answers(path):
    serve = tf.saved_model.load(str(path)).serve
    return lambda batch: [answer.numpy() for answer in serve(batch)]


def onnx_answers(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})


def litert_answers(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))

    def answer(batch):
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], batch)
        interpreter.invoke()
        outputs = sorted(interpreter.get_output_details(), key=lambda output: output["name"])
        return [interpreter.get_tensor(output["index"]) for output in outputs]

    return answer


RUNTIMES = {"saved-model": saved_model_answers, "onnx": onnx_answers, "litert": litert_answers}


@pytest.mark.parametrize("name", RUNTIMES)
def test_exported_with_free_sizes_it_gives_the_same(model, tmp_path, name):
    path = tmp_path / FORMATS[name].file
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the converters' own
        FORMATS[name].write(model, path)
    answers = RUNTIMES[name](path)
    for size in SIZES:
        pictures = picture(*size).astype(np.uint8)
        assert_enlarged(answers(pictures), pictures)


@pytest.mark.parametrize("scale", [1, 0, -2, 2.0, "2"])
def test_another_scale_is_named(scale):
    with pytest.raises(ValueError, match=f"at least 2.*{scale!r}"):
        Enlarge(scale)
