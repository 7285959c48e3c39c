"""The three backends: every network, and every layer that hears or prepares, answers alike with the same weights."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

ANSWERS = """
import sys
import keras
import numpy as np
from convmedia.data.spectra import Spectrum
from convmedia.models import audio, digits, mel, pictures, stylizing, super_resolution

rng = np.random.default_rng(5)

def drawn(path, values):
    '''Kernels that keep the size of what they are given, normalisation away from its start.'''
    if path.endswith(("variance", "gamma")):
        return rng.uniform(0.5, 1.5, values.shape)
    if values.ndim < 2:
        return rng.normal(0.0, 0.1, values.shape)
    strength = 5.0 if values.shape[-1] == 1 and "output" in path else 1.0  # means of noise differ little
    return rng.normal(0.0, strength * values[..., 0].size ** -0.5, values.shape)

def answer(network, *inputs):
    network.set_weights([
        drawn(weight.path, before) if weight.trainable or "moving" in weight.path else before
        for weight, before in zip(network.weights, network.get_weights())
    ])
    return network.predict(list(inputs) if len(inputs) > 1 else inputs[0], verbose=0)

def uniform(*shape, low=0.0, high=1.0):
    return rng.uniform(low, high, shape).astype("float32")

found = {}
for name, build in digits.NETWORKS.items():
    found[name] = answer(build(), uniform(3, 28, 28, 1))
page = np.full((2, 60, 80, 3), 230.0, "float32")
page[0, 20:45, 30:36], page[1, 15:20, 20:60] = 40.0, 90.0
for name, layers in digits.PREPARATIONS.items():
    found[f"prepared by {name}"] = keras.Sequential([keras.Input((None, None, 3)), *layers()])(page)
for name, build in pictures.NETWORKS.items():
    side = pictures.SIDES[name]
    found[name] = answer(build(), uniform(2, side, side, 3))
for name, build in audio.NETWORKS.items():
    frames, bands = (41, 60) if name == "piczak" else (40, 40)
    values, heard = uniform(2, frames, bands, low=-1.0), np.ones((2, frames, bands), "float32")
    heard[1, frames // 2 :] = 0.0
    found[name] = answer(build(frames, bands, 4), np.stack([values * heard, heard], axis=-1))
for name, row in super_resolution.NETWORKS.items():
    found[name] = answer(super_resolution.whole(row.build(2), 2), uniform(1, 12, 16, 3, high=255.0))
found["painter"] = answer(stylizing.painter(8, 2), uniform(1, 21, 34, 3, high=255.0))
weights = np.array([[0.3, 0.7]], "float32")
found["painter of two styles"] = answer(stylizing.painter(8, 2, styles=2), uniform(1, 21, 34, 3, high=255.0), weights)
waves = 0.1 * uniform(2, 9000, low=-1.0)
found["log-mel"] = mel.LogMel(8000, fft_samples=512, hop_samples=128, bands=40)(waves)
found["MFCC"] = mel.MFCC(8000, 20, fft_samples=512, hop_samples=128, bands=40)(waves)
spectrum = Spectrum(8000, 256, 100, 40)
network = audio.compact(spectrum.frames(4000), 40, 4)
moments = np.full(40, -40.0, "float32"), np.full(40, 12.0, "float32")
heard = audio.whole(network, spectrum, 4000, *moments, app="audio", labels=list("abcd"), details={})
found["sound in windows"] = answer(heard, waves)
np.savez(sys.argv[1], **{name: keras.ops.convert_to_numpy(values) for name, values in found.items()})
"""


def answers(backend, folder):
    path = folder / f"{backend}.npz"
    environment = {**os.environ, "KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ANSWERS, path], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def by_tensorflow(tmp_path_factory):
    return answers("tensorflow", tmp_path_factory.mktemp("answers"))


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_answers_alike(backend, by_tensorflow, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    found = answers(backend, tmp_path)
    assert found.keys() == by_tensorflow.keys()
    for name, expected in by_tensorflow.items():
        assert expected.std() > 1e-3, name
        assert found[name].shape == expected.shape, name
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-4 * np.abs(expected).max(), err_msg=name)
