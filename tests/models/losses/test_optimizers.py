"""The learning-rate schedule, and Muon for convolutions against Keras's own on matrices."""

import keras
import numpy as np
import pytest

from convmedia.models.losses.optimizers import ConvolutionMuon, warm_cosine


def test_warm_cosine_rises_then_falls_to_nearly_nothing():
    rate = warm_cosine(1e-2, steps=100, warmup=10)
    values = np.array([float(rate(step)) for step in range(101)])
    assert values.argmax() == 10
    assert values[10] == pytest.approx(1e-2, rel=1e-5)
    assert values[55] == pytest.approx(0.5 * (1e-2 + 1e-2 / 500), rel=1e-2)
    assert values[100] == pytest.approx(1e-2 / 500, rel=1e-3)


def variable(values, name="kernel"):
    return keras.Variable(values.astype(np.float32), name=name)


def updated(optimizer, values, gradients):
    """A variable after steps with these gradients."""
    weight = variable(values)
    optimizer.build([weight])
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient.astype(np.float32))], [weight])
    return keras.ops.convert_to_numpy(weight)


@pytest.mark.parametrize("nesterov", [True, False])
def test_a_kernel_is_updated_as_keras_updates_its_matrix(nesterov):
    rng = np.random.default_rng(0)
    kernel, gradients = rng.normal(size=(3, 3, 4, 16)), rng.normal(size=(3, 3, 3, 4, 16))
    ours = updated(ConvolutionMuon(1e-2, nesterov=nesterov), kernel, gradients)
    matrices = gradients.reshape(3, 36, 16)
    plain = keras.optimizers.Muon(1e-2, nesterov=nesterov, weight_decay=None, adam_weight_decay=None)
    np.testing.assert_allclose(ours.reshape(36, 16), updated(plain, kernel.reshape(36, 16), matrices), atol=1e-6)


def test_one_update_is_orthogonal_and_of_the_stated_size():
    rng = np.random.default_rng(1)
    step = -updated(ConvolutionMuon(1e-2), np.zeros((3, 3, 8, 16)), rng.normal(size=(1, 3, 3, 8, 16))).reshape(72, 16)
    # Five Newton-Schulz steps bring singular values into 0.7..1.2 (K. Jordan), times rate, 0.2 and sqrt(72).
    singular = np.linalg.svd(step, compute_uv=False) / (1e-2 * 0.2 * np.sqrt(72))
    assert 0.6 < singular.min() < singular.max() < 1.25
    assert np.sqrt(np.mean(step**2)) == pytest.approx(0.2 * 1e-2, rel=0.2)


@pytest.mark.parametrize("shape", [(16,), (3, 3, 16, 1), (16, 8)], ids=str)
def test_what_is_no_kernel_of_many_filters_is_updated_as_adam_does(shape):
    rng = np.random.default_rng(2)
    values, gradients = rng.normal(size=shape), rng.normal(size=(4, *shape))
    ours = updated(ConvolutionMuon(1e-2), values, gradients)
    np.testing.assert_allclose(ours, updated(keras.optimizers.Adam(5e-3), values, gradients), rtol=1e-4, atol=1e-6)


def test_it_is_built_again_from_its_configuration():
    again = ConvolutionMuon.from_config(ConvolutionMuon(1e-2, least_filters=4).get_config())
    assert again.least_filters == 4
    assert again.weight_decay is None
