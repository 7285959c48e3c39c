"""Backbones: the table against keras.applications, their input, where their weights come from, VGG16 by hand."""

import http.server
import inspect
import re
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.applications import imagenet_utils, mobilenet
from keras.src.applications.convnext import ConvNeXt
from keras.src.applications.efficientnet import EfficientNet
from keras.src.applications.efficientnet_v2 import EfficientNetV2
from keras.src.backend import config
from keras.src.utils import file_utils

from convmedia.data.storage.errors import InputError
from convmedia.models.backbones import catalogue, finetuning, squeezenet
from convmedia.models.backbones.catalogue import BACKBONES, BackboneInput, backbone, preparation
from convmedia.models.formats import formats, runtimes
from convmedia.models.preprocessing.resize import Resize

RANDOM = np.random.default_rng(0)
OF_KERAS = {name: row for name, row in BACKBONES.items() if not row.ours}
NOT_V3 = [name for name in OF_KERAS if not name.startswith("mobilenet-v3")]


def builder(name: str) -> Callable[..., keras.Model]:
    return getattr(keras.applications, BACKBONES[name].builder)


def pictures(*shape: int) -> np.ndarray:
    return RANDOM.uniform(0, 255, shape).astype("float32")


def prepared(batch: np.ndarray, layers: list[keras.layers.Layer]) -> np.ndarray:
    for layer in layers:
        batch = layer(batch)
    return keras.ops.convert_to_numpy(batch)


def test_the_table_holds_every_classifier_of_keras_and_three_of_ours():
    builders = {name for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    assert sorted(row.builder for row in OF_KERAS.values()) == sorted(builders)
    assert set(BACKBONES) - set(OF_KERAS) == {"efficientnet-lite0", "mobilenet-v2", "squeezenet"}
    for name, row in OF_KERAS.items():
        assert name.removeprefix("keras-").replace("-", "") == row.builder.lower()


@pytest.mark.parametrize("name", NOT_V3)  # which asks nobody
def test_sides_are_those_that_keras_takes(name, monkeypatch):
    class Asked(Exception):
        pass

    def obtain_input_shape(*_, default_size, min_size, **__):
        raise Asked(default_size, min_size)

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", obtain_input_shape)
    with pytest.raises(Asked) as asked:
        builder(name)(weights=None, include_top=False)
    assert asked.value.args == (BACKBONES[name].side, BACKBONES[name].least)


@pytest.mark.slow  # 84.7 million weights
def test_nasnet_large_answers_pictures_of_its_side():
    side = BACKBONES["nasnet-large"].side
    frozen = finetuning.features(backbone("nasnet-large", "none"))
    assert frozen(keras.KerasTensor((1, side, side, 3))).shape == (1, 4032)
    with pytest.raises(ValueError, match="incompatible shapes"):  # what Keras builds when it is told no size
        keras.applications.NASNetLarge(include_top=False, weights=None)(keras.KerasTensor((1, side, side, 3)))


@pytest.mark.parametrize("name", OF_KERAS)
def test_files_are_those_that_keras_caches(name, monkeypatch):
    class Asked(Exception):
        pass

    def get_file(fname, origin, **_):
        raise Asked(fname)

    monkeypatch.setattr(file_utils, "get_file", get_file)
    # The graph does not matter here, and building it takes long: every layer passes on what it gets.
    monkeypatch.setattr(keras.Layer, "__call__", lambda self, x, *_, **__: x[0] if isinstance(x, list) else x)
    with warnings.catch_warnings(), pytest.raises(Asked, match=f"^{re.escape(BACKBONES[name].file)}$"):
        warnings.simplefilter("ignore")
        builder(name)(weights="imagenet", include_top=False)


@pytest.mark.parametrize("name", OF_KERAS)
def test_preparation_is_that_of_the_networks_own_module(name):
    pixels = pictures(2, 9, 7, 3)
    theirs = sys.modules[builder(name).__module__].preprocess_input(pixels.copy())
    resize, *own = preparation(name)
    assert (resize.height, resize.width) == (BACKBONES[name].side,) * 2
    np.testing.assert_allclose(prepared(pixels, own), theirs, rtol=1e-6, atol=2e-5)
    for batch in (pixels, tf.constant(pixels)):
        np.testing.assert_allclose(catalogue.as_input(name, batch), theirs, rtol=1e-6, atol=2e-5)


def test_squeezenet_takes_blue_first():
    _, own = preparation("squeezenet")
    by_hand = [30 - 103.939, 20 - 116.779, 10 - 123.68]
    np.testing.assert_allclose(prepared(np.array([[[[10.0, 20, 30]]]], "float32"), [own]).ravel(), by_hand, rtol=1e-6)


def test_preparation_resizes_before_it_shifts():
    layers = preparation("vgg16", side=32)
    pixels = pictures(1, 50, 80, 3)
    np.testing.assert_array_equal(prepared(pixels, layers), prepared(prepared(pixels, layers[:1]), layers[1:]))
    assert prepared(pixels, layers).shape == (1, 32, 32, 3)


@pytest.mark.parametrize("name, side", [("xception", 70), ("vgg16", 31), ("inception-v3", 0)])
def test_a_side_that_is_too_small_is_refused(name, side):
    with pytest.raises(
        InputError, match=rf"{name} takes pictures from {BACKBONES[name].least} px up; received .* {side}$"
    ):
        preparation(name, side)


def test_an_unknown_name_brings_the_nearest():
    with pytest.raises(InputError, match="'VGG-16'; did you mean vgg16"):
        backbone("VGG-16", "none")
    with pytest.raises(InputError, match="'qqq'; choose one of efficientnet-lite0, mobilenet-v2"):
        preparation("qqq")


@pytest.fixture(scope="module")
def styles() -> keras.Model:
    """The three preparations beside each other: (batch, height, width, 3) to (batch, 8, 8, 9)."""
    raw = keras.Input((None, None, 3), name="image")
    small = Resize(8, 8)(raw)
    return keras.Model(
        raw, keras.layers.Concatenate()([BackboneInput(style)(small) for style in ("caffe", "tf", "torch")])
    )


@pytest.mark.parametrize("kind", ["onnx", "litert"])
def test_an_exported_preparation_agrees(styles, kind, tmp_path):
    row = formats.FORMATS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converters' own, about their own insides
        row.write(styles, tmp_path / row.file)
    run = runtimes.RUNTIMES[row.runtime](str(tmp_path / row.file))  # plain LiteRT: refuses Flex
    for size in [(1, 1), (8, 8), (30, 17)]:
        batch = RANDOM.integers(0, 256, (2, *size, 3), dtype="uint8")
        np.testing.assert_allclose(run(batch), styles(batch.astype("float32")), rtol=0, atol=1e-2)


def test_a_saved_preparation_gives_the_same_numbers(styles, tmp_path):
    styles.save(tmp_path / "styles.keras")
    loaded = keras.saving.load_model(tmp_path / "styles.keras", safe_mode=True)
    assert np.array_equal(*(model(pictures(1, 9, 9, 3) * 0 + 77) for model in (loaded, styles)))


def test_an_unknown_style_is_an_error():
    with pytest.raises(ValueError, match="caffe, tf, torch or lite; received 'bgr'"):
        BackboneInput("bgr")


# Where weights come from


class Server(http.server.BaseHTTPRequestHandler):
    content: bytes | None = None
    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        if self.content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_):
        pass


class Silent(Server):
    def do_GET(self):
        time.sleep(5)


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[str, list[str]]]]:
    """serve(content, handler) gives the address of a server on this machine and the list of what it is asked."""
    servers = []

    def start(content: bytes | None, handler=Server) -> tuple[str, list[str]]:
        kind = type("Handler", (handler,), {"content": content, "asked": []})
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/", kind.asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """Keras's cache, empty."""
    home = tmp_path / "keras"
    home.mkdir()
    monkeypatch.setattr(config, "_KERAS_DIR", str(home))
    monkeypatch.setenv("KERAS_HOME", str(home))
    monkeypatch.delenv("CONVMEDIA_DATA", raising=False)
    return home / "models"


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[keras.Model, Path]:
    """A MobileNet, whose download Keras checks by no checksum, and its weights as a file."""
    network = backbone("mobilenet", "none")
    path = tmp_path_factory.mktemp("published") / BACKBONES["mobilenet"].file
    network.save(path)
    return network, path


def same_weights(one: keras.Model, other: keras.Model) -> bool:
    return all(np.array_equal(*pair) for pair in zip(one.get_weights(), other.get_weights(), strict=True))


def refusal(name: str, weights: str | Path = "imagenet") -> str:
    with pytest.raises(InputError) as refused:
        backbone(name, weights)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_the_cache_is_where_keras_has_it(cache, monkeypatch):
    assert catalogue.cache_folder() == Path(config.keras_home()) / "models"
    monkeypatch.undo()
    assert catalogue.cache_folder() == Path(config.keras_home()).expanduser() / "models"


def test_imagenet_weights_are_downloaded_once_and_then_come_from_the_cache(
    cache, serve, published, monkeypatch, capsys
):
    address, asked = serve(published[1].read_bytes())
    monkeypatch.setattr(mobilenet, "BASE_WEIGHT_PATH", address)
    assert same_weights(backbone("mobilenet"), published[0])
    assert same_weights(backbone("mobilenet"), published[0])
    assert asked == [f"/{BACKBONES['mobilenet'].file}"]
    assert [file.name for file in cache.iterdir()] == [BACKBONES["mobilenet"].file]
    assert capsys.readouterr().out == ""  # Keras's progress belongs to standard error


@pytest.mark.parametrize("name", ["mobilenet", "squeezenet"])
def test_without_a_network_one_line_says_what_to_put_where(name, cache, serve, monkeypatch):
    for address in ("http://127.0.0.1:9/", serve(None)[0]):  # refused, not found
        monkeypatch.setattr(mobilenet, "BASE_WEIGHT_PATH", address)
        monkeypatch.setattr(squeezenet, "WEIGHTS_URL", f"{address}squeezenet.h5")
        said = refusal(name)
        assert address in said
        assert f"put {BACKBONES[name].file} into {cache}, or give --weights FILE, or --weights none" in said
        assert list(cache.iterdir()) == []


def test_a_server_that_says_nothing_is_given_up(cache, serve, monkeypatch):
    monkeypatch.setattr(mobilenet, "BASE_WEIGHT_PATH", serve(None, Silent)[0])
    monkeypatch.setattr(catalogue, "TIMEOUT_SECONDS", 0.3)
    assert "timed out" in refusal("mobilenet")


def test_a_damaged_file_in_the_cache_is_one_line(cache, published):
    cache.mkdir()
    (cache / published[1].name).write_bytes(published[1].read_bytes()[:5000])
    assert published[1].name in refusal("mobilenet")


def test_weights_come_from_a_file(published, tmp_path):
    network, path = published
    assert same_weights(backbone("mobilenet", path), network)
    network.save_weights(tmp_path / "own.weights.h5")
    assert same_weights(backbone("mobilenet", tmp_path / "own.weights.h5"), network)
    assert "holds no weights of squeezenet" in refusal("squeezenet", tmp_path / "own.weights.h5")


def test_a_file_of_another_network_is_refused(published, tmp_path):
    assert "holds no weights of mobilenet-v2 without its classifier" in refusal("mobilenet-v2", published[1])
    assert "holds no weights of SqueezeNet v1.1" in refusal("squeezenet", published[1])
    assert "there is no weights file" in refusal("mobilenet", tmp_path / "missing.h5")
    text = tmp_path / "text.h5"
    text.write_text("no weights")
    assert "holds no weights of mobilenet" in refusal("mobilenet", text)


def test_squeezenet_comes_from_the_data_folder_and_from_the_cache(cache, convmedia_data_folder, monkeypatch):
    from_file = backbone("squeezenet", convmedia_data_folder)
    monkeypatch.setenv("CONVMEDIA_DATA", str(convmedia_data_folder.parents[1]))
    assert same_weights(backbone("squeezenet"), from_file)
    monkeypatch.delenv("CONVMEDIA_DATA")
    cache.mkdir()
    shutil.copy(convmedia_data_folder, cache / BACKBONES["squeezenet"].file)
    assert same_weights(backbone("squeezenet"), from_file)


@pytest.fixture(scope="module")
def convmedia_data_folder(convmedia_data) -> Path:
    """The weights file of SqueezeNet among the shared data."""
    return next((convmedia_data / "backbones").glob("squeezenet*.h5"))


@pytest.fixture
def narrow(monkeypatch) -> None:
    """The builders of Keras make narrow and shallow networks: the same layers in a fraction of the time."""
    tiny = {
        "EfficientNetB0": partial(EfficientNet, 0.1, 0.1, 224, name="efficientnetb0", weights_name="b0"),
        "EfficientNetV2B0": partial(EfficientNetV2, 0.1, 0.1, 224, name="efficientnetv2-b0", weights_name="-b0"),
        "ConvNeXtTiny": partial(ConvNeXt, [1] * 4, [8] * 4, name="convnext_tiny", weights_name="convnext_tiny"),
    }
    for name, build in tiny.items():
        monkeypatch.setattr(keras.applications, name, build)


def test_efficientnet_computes_the_same_from_a_file_as_from_the_cache(narrow, tmp_path, monkeypatch):
    # Keras mends the deviations of these files by a layer that only "imagenet" brings.
    file = tmp_path / BACKBONES["efficientnet-b0"].file
    original = builder("efficientnet-b0")(weights=None, include_top=False)
    normalization = next(layer for layer in original.layers if isinstance(layer, keras.layers.Normalization))
    normalization.set_weights([np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), np.array(1)])
    original.save(file)
    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: file)
    networks = backbone("efficientnet-b0"), backbone("efficientnet-b0", file)
    pixels = pictures(1, 32, 32, 3)
    by_hand = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    for network in networks:
        seen = keras.Model(network.inputs[0], network.get_layer("stem_conv").input)(pixels)
        np.testing.assert_allclose(seen[:, :32, :32], by_hand, rtol=1e-4, atol=1e-5)  # the rest is padding
        np.testing.assert_array_equal(network.get_layer("stem_conv").kernel, original.get_layer("stem_conv").kernel)
    np.testing.assert_allclose(networks[0](pixels), networks[1](pixels), atol=1e-6)


@pytest.mark.parametrize("name", ["convnext-tiny", "efficientnet-v2-b0"])
def test_a_network_computes_the_same_without_what_cannot_be_exported(name, narrow, tmp_path):
    keras.utils.set_random_seed(0)
    original = builder(name)(weights=None, include_top=False)
    original.save_weights(tmp_path / "its.weights.h5")
    ours = backbone(name, tmp_path / "its.weights.h5")
    pixels = pictures(2, 64, 48, 3)
    theirs = keras.ops.convert_to_numpy(original(pixels))
    np.testing.assert_allclose(ours(pixels), theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())
    kinds = {type(layer) for layer in ours.layers}
    assert keras.layers.Normalization not in kinds
    assert not [layer for layer in ours.layers if isinstance(layer, keras.layers.Conv2D) and layer.groups > 1]
    assert name != "convnext-tiny" or keras.layers.DepthwiseConv2D in kinds
    ours.save(tmp_path / "ours.keras")
    assert np.array_equal(keras.saving.load_model(tmp_path / "ours.keras", safe_mode=True)(pixels), ours(pixels))


# VGG16


@pytest.fixture(scope="module")
def vgg16() -> keras.Model:
    return backbone("vgg16", "none")


def test_vgg16_has_the_graph_of_the_paper(vgg16):
    convolutions = [layer for layer in vgg16.layers if isinstance(layer, keras.layers.Conv2D)]
    filters = [64, 64, 128, 128, 256, 256, 256, *[512] * 6]  # configuration D of the paper's table 1
    assert [layer.filters for layer in convolutions] == filters
    assert {(layer.kernel_size, layer.strides, layer.padding) for layer in convolutions} == {((3, 3), (1, 1), "same")}
    by_hand = sum((9 * below + 1) * above for below, above in zip([3, *filters[:-1]], filters, strict=True))
    assert vgg16.count_params() == by_hand == 14_714_688
    assert vgg16.compute_output_shape((1, 224, 224, 3)) == (1, 7, 7, 512)


def convolved(picture: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """3x3 convolution with zero padding and ReLU: (h, w, c), (3, 3, c, filters) to (h, w, filters)."""
    padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)))
    height, width = picture.shape[:2]
    shifted = ((padded[y : y + height, x : x + width], kernel[y, x]) for y in range(3) for x in range(3))
    return np.maximum(sum(part @ weights for part, weights in shifted) + bias, 0)


def test_block1_and_block2_by_hand(vgg16, convmedia_data):
    names = [f"block{block}_conv{number}" for block in (1, 2) for number in (1, 2)]
    with np.load(convmedia_data / "backbones" / "vgg16_block1_block2.npz") as file:
        weights = {name: (file[f"{name}/kernel"], file[f"{name}/bias"]) for name in names}
    for name, pair in weights.items():
        vgg16.get_layer(name).set_weights(pair)
    picture = prepared(pictures(1, 40, 60, 3), preparation("vgg16", side=32))
    x = picture[0].astype("float64")
    for name in names:
        x = convolved(x, *(value.astype("float64") for value in weights[name]))
        ours = keras.Model(vgg16.inputs[0], vgg16.get_layer(name).output)(picture)[0]
        np.testing.assert_allclose(ours, x, rtol=1e-4, atol=1e-5 * x.max(), err_msg=name)
        if name == "block1_conv2":
            x = x.reshape(16, 2, 16, 2, 64).max((1, 3))
    assert (x > 0).mean() > 0.2  # the real weights answer noise, and not with zeros
