"""EfficientNet-Lite0 and MobileNetV2 against the files that their weights come from, and the pyramid of maps."""

import runpy
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest

from convmedia.data.storage.errors import InputError
from convmedia.models.backbones import catalogue, finetuning, inverted_residuals
from convmedia.models.backbones.catalogue import BACKBONES, backbone

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "benchmarks" / "convert_backbones.py"
NETWORKS = {"efficientnet-lite0": 3_413_024 - 42_016, "mobilenet-v2": 2_257_984 - 34_112}
TOLERANCE = 1e-4  # in float32; of maps whose values are greater than 1, times the greatest


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


@cache
def pretrained(name):
    return backbone(name)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * max(1.0, float(np.abs(expected).max())))


@pytest.mark.parametrize("name", NETWORKS)
def test_activations_are_those_of_the_source(name, script):
    """The vectors: PyTorch's from the tensors of the published files (benchmarks/convert_backbones.py)."""
    found = script["vectors"](script["answers_here"](name, script["prepared_pictures"](name)))
    with np.load(Path(__file__).with_name("source_vectors.npz")) as file:
        stored = {key.partition("/")[2]: file[key] for key in file.files if key.startswith(f"{name}/")}
    assert len(found) == {"efficientnet-lite0": 18, "mobilenet-v2": 19}[name]
    assert found.keys() == stored.keys()
    for key, expected in stored.items():
        close(found[key], expected)
    np.testing.assert_allclose(found["top"], stored["top"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_activation_is_the_one_that_pytorch_computes(name, script):
    pytest.importorskip("torch")
    network = pretrained(name)
    parts = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    state = {}
    for layer in network.layers:
        for weight in layer.weights:
            value = weight.numpy()
            if weight.name == "kernel":
                depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
                value = value.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
            state[f"{layer.name}.{parts.get(weight.name, weight.name)}"] = value
    prepared = script["prepared_pictures"](name, 97, 130)
    expected = script["answers_of_source"](name, state, prepared)
    found = script["answers_here"](name, prepared)
    for key in expected:
        close(found[key], expected[key])


@pytest.mark.parametrize(("name", "trainable"), NETWORKS.items())
def test_parameters_are_those_of_the_papers_without_their_classifiers(name, trainable):
    """4,652,008 and 3,504,872 with 1,000 labels, of which 1,281,000 are the classifier's."""
    published = {"efficientnet-lite0": 4_652_008, "mobilenet-v2": 3_504_872}[name]
    network = backbone(name, "none")
    counted = sum(weight.numpy().size for weight in network.trainable_weights)
    assert counted == published - 1_281_000 == trainable


@pytest.mark.parametrize(
    ("name", "maps"), [("efficientnet-lite0", (24, 40, 112, 320)), ("mobilenet-v2", (24, 32, 96, 320))]
)
def test_the_pyramid_has_the_maps_of_each_stride(name, maps):
    network = pretrained(name)
    answers = inverted_residuals.pyramid(network)(np.zeros((1, 64, 96, 3), "float32"))
    expected = {f"stride{s}": (1, 64 // s, 96 // s, n) for s, n in zip((4, 8, 16, 32), maps, strict=True)}
    assert {key: tuple(value.shape) for key, value in answers.items()} == expected
    last = keras.Model(network.input, network.get_layer("stage7_block1_project_norm").output)
    picture = np.random.default_rng(0).normal(size=(1, 64, 96, 3)).astype("float32")
    np.testing.assert_array_equal(inverted_residuals.pyramid(network)(picture)["stride32"], last(picture))


@pytest.mark.parametrize("name", NETWORKS)
def test_they_come_with_the_package_and_are_small(name, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))  # nothing is taken from there, or fetched
    monkeypatch.setattr(keras.utils, "get_file", lambda *_, **__: pytest.fail("it was asked for elsewhere"))
    assert backbone(name).name == name
    assert BACKBONES[name].shipped.stat().st_size < 20e6
    card = BACKBONES[name].shipped.with_suffix(".md").read_text(encoding="utf-8")
    assert "licence" in card.lower()


def test_files_of_other_networks_and_damaged_ones_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no weights of efficientnet-lite0, or of other shapes; give an \.npz"):
        backbone("efficientnet-lite0", BACKBONES["mobilenet-v2"].shipped)
    cut = tmp_path / "cut.npz"
    cut.write_bytes(BACKBONES["mobilenet-v2"].shipped.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"cut\.npz cannot be read .*; give an \.npz of mobilenet-v2"):
        backbone("mobilenet-v2", cut)


def test_the_input_of_efficientnet_lite_is_centred():
    pixels = np.array([[[[0.0, 127.0, 255.0]]]], "float32")
    expected = [[[[-127 / 128, 0.0, 1.0]]]]
    np.testing.assert_allclose(catalogue.as_input("efficientnet-lite0", pixels), expected)
    np.testing.assert_allclose(catalogue.BackboneInput("lite")(pixels), expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_upper_blocks_can_be_trained_alone(name):
    network = backbone(name, "none")
    assert finetuning.unfreeze(network, 2) == ["top", "stage7"]
    assert {w.path.partition("_")[0].partition("/")[0] for w in network.trainable_weights} == {"top", "stage7"}
