"""SqueezeNet v1.1: its graph by hand, and its weights file as Keras 1 wrote it."""

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from convmedia.data.images import decoding
from convmedia.data.storage.errors import InputError
from convmedia.models.backbones import catalogue, squeezenet

FILE = "squeezenet_v1.1_weights_tf_dim_ordering_tf_kernels_notop.h5"


def write_keras1(network: keras.Model, path: Path) -> dict[str, np.ndarray]:
    """The layout of Keras 1: groups named as layers, `fire2/squeeze1x1`, with the names of their weights beside."""
    random = np.random.default_rng(1)
    written = {}
    with h5py.File(path, "w") as file:
        convolutions = [layer.name for layer in network.layers if layer.weights]
        names = {name: name.replace("_", "/", 1) for name in convolutions}
        file.attrs["layer_names"] = [name.encode() for name in ["input_1", *names.values(), "drop9"]]
        for empty in ("input_1", "drop9"):
            file.create_group(empty).attrs["weight_names"] = np.array([])
        for number, (layer, name) in enumerate(names.items()):
            group = file.create_group(name)
            kernel, bias = (random.normal(size=weight.shape) for weight in network.get_layer(layer).weights)
            group[f"uniform{number}"] = written[f"{layer}/kernel"] = kernel.astype("float32")
            group[f"{name}_b"] = written[f"{layer}/bias"] = bias.astype("float32")
            group.attrs["weight_names"] = [f"uniform{number}".encode(), f"{name}_b".encode()]
    return written


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return squeezenet.squeezenet()


@pytest.fixture
def public(network, tmp_path) -> tuple[Path, dict[str, np.ndarray]]:
    return tmp_path / "public.h5", write_keras1(network, tmp_path / "public.h5")


def test_squeezenet_has_the_parameters_of_the_paper(network):
    conv1 = (9 * 3 + 1) * 64
    given, by_hand = 64, conv1
    for squeeze, expand in [(16, 64)] * 2 + [(32, 128)] * 2 + [(48, 192)] * 2 + [(64, 256)] * 2:
        by_hand += (given + 1) * squeeze + (squeeze + 1) * expand + (9 * squeeze + 1) * expand
        given = 2 * expand
    assert network.count_params() == by_hand == 722_496
    assert network.output_shape == (None, None, None, 512)
    assert network.compute_output_shape((1, 227, 227, 3)) == (1, 13, 13, 512)


def convolved(picture: np.ndarray, kernel: np.ndarray, bias: np.ndarray, stride: int = 1) -> np.ndarray:
    """What a convolution without padding and ReLU give: (h, w, c), (n, n, c, filters) to (h', w', filters)."""
    n = kernel.shape[0]
    windows = np.lib.stride_tricks.sliding_window_view(picture, (n, n), axis=(0, 1))[::stride, ::stride]
    return np.maximum(np.einsum("yxcij,ijcf->yxf", windows, kernel) + bias, 0)


def pooled(picture: np.ndarray) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(picture, (3, 3), axis=(0, 1))[::2, ::2].max((-1, -2))


def test_conv1_and_fire2_by_hand(network, public):
    path, weights = public
    squeezenet.load_weights(network, path)
    picture = np.random.default_rng(2).uniform(-120, 120, (23, 31, 3))
    x = pooled(convolved(picture, weights["conv1/kernel"], weights["conv1/bias"], stride=2))
    squeezed, left, right = (
        (weights[f"fire2_{part}/kernel"], weights[f"fire2_{part}/bias"])
        for part in ("squeeze1x1", "expand1x1", "expand3x3")
    )
    x = convolved(x, *squeezed)
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    by_hand = np.concatenate([convolved(x, *left), convolved(padded, *right)], axis=-1)
    fire2 = keras.Model(network.inputs[0], network.get_layer("fire2_concat").output)(picture[None].astype("float32"))
    np.testing.assert_allclose(fire2[0], by_hand, rtol=1e-4, atol=1e-4 * by_hand.max())


def test_every_weight_of_a_file_lands_in_its_layer(network, public):
    path, weights = public
    squeezenet.load_weights(network, path)
    assert len(weights) == len(network.variables) == 50
    for variable in network.variables:
        np.testing.assert_array_equal(variable, weights[variable.path], err_msg=variable.path)


def altered(path: Path, change) -> Path:
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def no_fire9(file):
    kept = [bytes(name) for name in np.array(file.attrs["layer_names"], dtype="S")]
    file.attrs["layer_names"] = [name for name in kept if not name.startswith(b"fire9")]


def other_conv1(file):
    del file["conv1/uniform0"]
    file["conv1/uniform0"] = np.zeros((7, 7, 3, 96), "float32")


@pytest.mark.parametrize(
    "change, said",
    [
        (no_fire9, "3 layers are missing (fire9_squeeze1x1, fire9_expand1x1, fire9_expand3x3)"),
        (other_conv1, "1 layers are of other shapes (conv1)"),
        (lambda file: file.attrs.clear(), "cannot be read as Keras weights"),
    ],
    ids=["missing", "shapes", "no names"],
)
def test_a_file_of_another_network_is_refused_in_one_line_and_changes_nothing(network, public, change, said):
    before = [weight.copy() for weight in network.get_weights()]
    with pytest.raises(InputError) as refused:
        squeezenet.load_weights(network, altered(public[0], change))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert all(np.array_equal(*pair) for pair in zip(before, network.get_weights(), strict=True))


@pytest.mark.parametrize("size", [0, 3000, 400_000], ids=["empty", "header", "half"])
def test_a_cut_file_is_refused_in_one_line(network, public, size, tmp_path):
    cut = tmp_path / "cut.h5"
    cut.write_bytes(public[0].read_bytes()[:size])
    with pytest.raises(InputError, match="cannot be read as Keras weights") as refused:
        squeezenet.load_weights(network, cut)
    assert "\n" not in str(refused.value)


def test_the_real_weights_tell_cats_from_dogs(network, convmedia_data):
    squeezenet.load_weights(network, convmedia_data / "backbones" / FILE)
    folders = [convmedia_data / "cats_vs_dogs" / "train" / name for name in ("cat", "dog")]
    files = [file for folder in folders for file in sorted(folder.iterdir())[:30]]
    resize, preprocess = catalogue.preparation("squeezenet", side=128)
    pictures = np.concatenate([resize(decoding.decode(file)[None].astype("float32")) for file in files])
    x = keras.ops.convert_to_numpy(network(preprocess(pictures))).mean((1, 2))
    labels, first = np.repeat([0, 1], 30), np.arange(60) % 2 == 0
    # 15 of each kind give the centres, the other 15 are told by the nearer one.
    centres = np.stack([x[first & (labels == label)].mean(0) for label in (0, 1)])
    nearer = ((x[~first, None] - centres) ** 2).sum(-1).argmin(-1)
    assert (nearer == labels[~first]).mean() >= 0.8
