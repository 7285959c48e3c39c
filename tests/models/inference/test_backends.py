"""The three backends: every network, and every layer that hears or prepares, answers alike with the same weights."""

import json
import os
import subprocess
import sys
import warnings
from importlib.util import find_spec

import numpy as np
import pytest

ANSWERS = """
import sys
import keras
import numpy as np
from convmedia.data.audio.mel import Spectrum
from convmedia.models.networks import sounds as audio
from convmedia.models.networks import digits
from convmedia.models.networks.catalogue import DIGITS, PHOTOS, SOUNDS, SUPER_RESOLUTION
from convmedia.models.preprocessing import mel_spectrogram as mel
from convmedia.models.networks import photos as pictures
from convmedia.models.networks import stylization as stylizing
from convmedia.models.networks import super_resolution

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
for name, build in DIGITS.items():
    found[name] = answer(build(), uniform(3, 28, 28, 1))
page = np.full((2, 60, 80, 3), 230.0, "float32")
page[0, 20:45, 30:36], page[1, 15:20, 20:60] = 40.0, 90.0
for name, layers in digits.PREPARATIONS.items():
    found[f"prepared by {name}"] = keras.Sequential([keras.Input((None, None, 3)), *layers()])(page)
for name, build in PHOTOS.items():
    side = PHOTOS[name].side_px
    found[name] = answer(build(), uniform(2, side, side, 3))
for name, build in SOUNDS.items():
    frames, bands = (41, 60) if name == "piczak" else (40, 40)
    values, heard = uniform(2, frames, bands, low=-1.0), np.ones((2, frames, bands), "float32")
    heard[1, frames // 2 :] = 0.0
    found[name] = answer(build(frames, bands, 4), np.stack([values * heard, heard], axis=-1))
for name, row in SUPER_RESOLUTION.items():
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


@pytest.mark.parametrize("backend", [pytest.param("jax", marks=pytest.mark.slow), "torch"])
def test_another_backend_answers_alike(backend, by_tensorflow, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    found = answers(backend, tmp_path)
    assert found.keys() == by_tensorflow.keys()
    for name, expected in by_tensorflow.items():
        assert expected.std() > 1e-3, name
        assert found[name].shape == expected.shape, name
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-4 * np.abs(expected).max(), err_msg=name)


TRAINED = """
import json, sys
import keras
import numpy as np
from convmedia.apps.training import callbacks as _callbacks
from convmedia.apps.cli.backend import load_pipelines
load_pipelines()
from convmedia.apps.training import trainer as _training
from convmedia.apps.runs.opening import new_run
from convmedia.models.losses.metrics import BalancedAccuracy, MacroF1
from pathlib import Path

class Masks(keras.callbacks.Callback):
    # What dropout let through in each step: a step of size 1 takes it off the kernels.

    def on_train_begin(self, logs=None):
        self.before, self.masks = self.model.get_weights(), []

    def on_train_batch_end(self, batch, logs=None):
        after = self.model.get_weights()
        self.masks.append([(a - b < -1e-3).ravel().tolist() for a, b in zip(after, self.before)])
        self.before = after

def masks(epochs):
    inputs = keras.Input((64,))
    scores = [keras.layers.Dense(1, use_bias=False)(keras.layers.Dropout(0.5)(inputs)) for _ in range(2)]
    network = keras.Model(inputs, keras.layers.Add()(scores))
    network.compile(optimizer=keras.optimizers.SGD(1.0), loss=lambda truth, answer: answer, run_eagerly=False)
    watched = Masks()
    network.fit(np.ones((3, 64), "float32"), np.zeros((3, 1), "float32"), batch_size=1, initial_epoch=epochs.start,
                epochs=epochs.stop, verbose=0, shuffle=False, callbacks=[_callbacks.EpochSeeds(7), watched])
    return watched.masks

def diverged(folder):
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    run = new_run("test", folder, {})
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([6], [0.01, 1e30])
    inputs = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
    import tensorflow as tf
    with run.begin():
        history = _training.fit(network, run, 12, lambda indices, seed: (tf.gather(inputs, indices),) * 2, epochs=9,
            batch_size=4, seed=1, precision="float32", validation=_training.held_out(inputs, inputs), keep=lambda: None,
            monitor="val_loss", optimizer=keras.optimizers.SGD(rates), loss="mean_squared_error")
    finite = all(np.isfinite(weight).all() for weight in network.get_weights())
    return {"epochs": len(history), "finite": finite, **{name: run.record[name] for name in ("diverged", "kept")}}

def measured():
    rng = np.random.default_rng(3)
    found = []
    for kind in (BalancedAccuracy, MacroF1):
        for labels, units in ((2, 1), (5, 5)):
            metric = kind(labels)
            for size in (7, 1, 9):
                metric.update_state(*of(rng, size, labels, units))
            found.append(float(metric.result()))
    return found

def of(rng, size, labels, units):
    truth = rng.integers(0, min(labels, 4), size)
    scores = rng.random((size, units), dtype="float32")
    return (truth[:, None] if units == 1 else np.eye(labels)[truth]).astype("float32"), scores

print(json.dumps({"masks": masks(range(2)), "again": masks(range(1, 2)), "diverged": diverged(Path(sys.argv[1])),
                  "measured": measured()}))
"""


@pytest.fixture(scope="module", params=["tensorflow", pytest.param("jax", marks=pytest.mark.slow), "torch"])
def trained(request, tmp_path_factory):
    """What small trainings with a backend tell."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": request.param, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", TRAINED, tmp_path_factory.mktemp("runs") / "run"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_no_two_steps_epochs_or_layers_drop_the_same(trained):
    masks = [tuple(mask) for step in trained["masks"] for mask in step]
    assert len(masks) == 2 * 3 * 2
    assert len(set(masks)) == len(masks)
    assert 0.3 < np.mean(masks) < 0.7


def test_an_epoch_drops_the_same_when_it_is_repeated(trained):
    assert trained["again"] == trained["masks"][3:]


def test_a_training_that_diverges_keeps_what_was_good(trained):
    found = trained["diverged"]
    assert found["finite"]
    assert (found["epochs"], found["kept"]["epoch"], found["diverged"]["epoch"]) == (2, 2, 3)


def macro_f1(truth, answers):
    from sklearn.metrics import f1_score

    return f1_score(truth, answers, average="macro", labels=sorted(set(truth)))


def test_figures_of_labels_are_gathered_over_batches(trained):
    from sklearn.metrics import balanced_accuracy_score

    rng, expected = np.random.default_rng(3), []
    for score in (balanced_accuracy_score, macro_f1):
        for labels, units in ((2, 1), (5, 5)):
            truths, answers = [], []
            for size in (7, 1, 9):
                truths += rng.integers(0, min(labels, 4), size).tolist()
                scores = rng.random((size, units), dtype="float32")
                answers += ((scores[:, 0] > 0.5).astype(int) if units == 1 else scores.argmax(1)).tolist()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="y_pred contains classes not in y_true")
                expected.append(score(truths, answers))
    assert trained["measured"] == pytest.approx(expected, abs=1e-6)


SIZES = """
import sys
import keras
import numpy as np
from convmedia.models import shipped
from convmedia.models.answer import PICTURE
from convmedia.models.inference.predictor import Predictor
from convmedia.models.saving.assembly import assemble
from convmedia.models.networks.stylization import painter
from convmedia.models.networks.super_resolution import carn_m, espcn, srcnn, vdsr, whole
from convmedia.models.inference.tiling import whole_picture

programs, rng, found = [], np.random.default_rng(3), {}
if keras.backend.backend() == "jax":
    import jax

    jax.monitoring.register_event_duration_secs_listener(
        lambda name, seconds, **_: programs.append(name) if name.endswith("backend_compile_duration") else None
    )

def ask(name, *shapes, call, others=()):
    counted = []
    for place, shape in enumerate(shapes):
        before = len(programs)
        found[f"{name} {place}"] = call(np.round(rng.uniform(0, 255, shape)), *others)
        counted.append(len(programs) - before)
    found[f"programs of {name}"] = counted

def in_tiles(picture):
    return whole_picture(enlarging, picture, 2, 80)

def drawn(network):
    weights = [rng.normal(0, 0.2, weight.shape) + ("scale" in weight.path) for weight in network.weights]
    network.set_weights(weights)
    return network

def predictor(network, beside=None):
    return Predictor(assemble(network, app="test", labels=None, input=PICTURE, details={}, beside=beside))

enlarging = predictor(whole(drawn(vdsr(depth=3, filters=4)), 2))
sizes = [(90, 100, 2), (91, 101, 2), (92, 102, 2), (120, 77, 2), (65, 128, 2)]
ask("digits", *((number, height, width, 3) for height, width, number in sizes), call=shipped("mnist"))
small = [(1, 1), (1, 60), (33, 20), (63, 64), (64, 64)]
ask("vdsr", *((1, *size, 3) for size in small), call=enlarging)
ask("srcnn", *((1, *size, 3) for size in small), call=predictor(whole(drawn(srcnn((5, 1, 3), (4, 4))), 3)))
ask("espcn", *((1, *size, 3) for size in small), call=predictor(whole(drawn(espcn(2, 3, 4)), 2)))
ask("carn-m", *((1, *size, 3) for size in small), call=predictor(whole(drawn(carn_m((2,), 8, 1)), 2)))
ask("tiles", *((*size, 3) for size in [(64, 64), (90, 130), (201, 77), (33, 150)]), call=in_tiles)
ask("painting", *((1, *size, 3) for size in small), call=predictor(drawn(painter(4, blocks=1))))
two = predictor(drawn(painter(4, blocks=1, styles=2)), beside={"style": 2})
ask("two styles", *((1, *size, 3) for size in small), call=two, others=[np.array([[0.3, 0.7]], "float32")])
np.savez(sys.argv[1], **found)
"""


@pytest.fixture(scope="module")
def at_many_sizes(tmp_path_factory):
    """What JAX and TensorFlow answer to pictures of many sizes, and how many programs JAX compiled for each."""
    if find_spec("jax") is None:
        pytest.skip("jax is not installed")

    def asked(backend):
        path = tmp_path_factory.mktemp("sizes") / "answers.npz"
        subprocess.run([sys.executable, "-c", SIZES, path], env={**os.environ, "KERAS_BACKEND": backend}, check=True)
        with np.load(path) as file:
            return {name: file[name] for name in file.files}

    return asked("jax"), asked("tensorflow")


@pytest.mark.slow  # two processes, and JAX compiles for each network
@pytest.mark.parametrize("name", ["digits", "srcnn", "vdsr", "espcn", "carn-m", "tiles", "painting", "two styles"])
def test_jax_compiles_few_programs_for_pictures_of_many_sizes(at_many_sizes, name):
    first, *others = at_many_sizes[0][f"programs of {name}"].tolist()
    assert first >= (name != "tiles"), first  # a tile has the shape of small pictures
    assert others[:4] == [0] * 4 or name == "tiles", others
    assert sum(others) <= 1, others


@pytest.mark.slow
def test_jax_answers_pictures_that_it_pads_as_tensorflow_does(at_many_sizes):
    found, right = at_many_sizes
    for name in right:
        if not name.startswith("programs"):
            assert right[name].size == 3 or right[name].std() > 1e-3, name
            scale = 1.0 if name.startswith("digits") else 255.0
            np.testing.assert_allclose(found[name], right[name], rtol=0, atol=1e-4 * scale, err_msg=name)


@pytest.mark.slow  # loads JAX in a process of its own
@pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed")
def test_jax_keeps_a_bounded_number_of_programs_of_a_network_that_it_cannot_pad():
    """Of a layer that sees where a picture ends and is not known, as a user's may have."""
    script = """
import gc
import keras
import numpy as np
from convmedia.models.inference import compiled

compiled.PROGRAMS = 3
picture = keras.Input((None, None, 3))
network = keras.Model(picture, keras.layers.AveragePooling2D(3, 1, "same")(picture))
assert not compiled.answers_a_picture(network)
ask = compiled.with_jax(network)
for side in range(8, 16):
    assert ask(np.ones((1, side, side, 3), "float32")).shape == (1, side, side, 3)
import jax
gc.collect()
print(len(jax.devices()[0].client.live_executables()))
"""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 3 + 1
