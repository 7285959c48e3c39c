"""The pretrained networks that `transfer` builds on: two that come with the package, SqueezeNet, and every classifier
of keras.applications.

    network = backbone("vgg16")     # prepared picture to maps
    preparation("vgg16")            # layers from RGB 0..255 to the prepared picture

Their table is `rows.BACKBONES`.
"""

import contextlib
import http.client
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import ops

from convmedia.data.storage import arrays
from convmedia.data.storage.errors import InputError, in_one_line
from convmedia.data.storage.files import shown
from convmedia.models.backbones import squeezenet
from convmedia.models.backbones.rows import BACKBONES, TF_KERNELS, Backbone, cache_folder, row_of
from convmedia.models.preprocessing.resize import Resize

__all__ = ["BACKBONES", "BackboneInput", "as_input", "backbone", "cache_folder", "preparation", "row_of"]

TIMEOUT_SECONDS = 30.0  # without a byte from the server; Keras sets none
BGR_MEANS = (103.939, 116.779, 123.68)  # of ImageNet, 0..255 (Simonyan and Zisserman 2014)
LITE_MEAN, LITE_SCALE = 127.0, 128.0  # of the pictures of EfficientNet-Lite
RGB_MEANS, RGB_DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, 0..1


@keras.saving.register_keras_serializable("convmedia")
class BackboneInput(keras.layers.Layer):
    """Pixels as a pretrained network was given them: (batch, height, width, 3) RGB 0..255 to float32 of that shape.

    Args:
        style: "caffe", BGR minus the means of ImageNet; "tf", -1..1; "torch", 0..1, normalised by ImageNet's means and
            deviations: the numbers of keras.applications' `preprocess_input`. "lite": (x - 127) / 128.
    """

    def __init__(self, style: str, **kwargs):
        kwargs.setdefault("dtype", "float32")  # preparation stays exact whatever precision the network computes in
        super().__init__(**kwargs)
        if style not in ("caffe", "tf", "torch", "lite"):
            raise ValueError(f"style is caffe, tf, torch or lite; received {style!r}")
        self.style = style

    def call(self, inputs):
        if self.style == "tf":
            return inputs / 127.5 - 1.0
        if self.style == "lite":
            return (inputs - LITE_MEAN) / LITE_SCALE
        if self.style == "torch":
            return (inputs / 255.0 - _channels(RGB_MEANS)) / _channels(RGB_DEVIATIONS)
        red, green, blue = ops.split(inputs, 3, axis=-1)
        return ops.concatenate([blue, green, red], axis=-1) - _channels(BGR_MEANS)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "style": self.style}


def _channels(values):
    return ops.reshape(ops.convert_to_tensor(values, "float32"), (1, 1, 1, 3))


def as_input(name: str, batch):
    """Pixels of RGB pictures, 0..255, as the last layer of `preparation` gives them, on any backend.

    Args:
        batch: NumPy's float32 (n, height, width, 3) or TensorFlow's, also inside tf.data.
    """
    style = row_of(name).style
    if style == "tf":
        return batch / 127.5 - 1.0
    if style == "lite":
        return (batch - LITE_MEAN) / LITE_SCALE
    if style == "torch":
        means, deviations = (np.array(values, np.float32) for values in (RGB_MEANS, RGB_DEVIATIONS))
        return (batch / 255.0 - means) / deviations
    return batch[..., ::-1] - np.array(BGR_MEANS, np.float32) if style == "caffe" else batch


def preparation(name: str, side: int | None = None) -> list[keras.layers.Layer]:
    """Layers from raw RGB pictures, 0..255, of any size to what the backbone of this name takes.

    Args:
        side: px, of the square that pictures are resized to, antialiased; None takes the backbone's own.

    Raises:
        InputError: unknown name, or a side below what the network can shrink.
    """
    row = row_of(name)
    side = row.side if side is None else side
    if side < row.least:
        raise InputError(f"{name} takes pictures from {row.least} px up; received a side of {side}")
    resize: list[keras.layers.Layer] = [Resize(side, side, name="resize")]
    return resize if row.style == "inside" else [*resize, BackboneInput(row.style, name="backbone_input")]


def backbone(name: str, weights: str | Path = "imagenet") -> keras.Model:
    """A network without its classifier, named as it is here: prepared pictures to maps.

    Args:
        name: a key of `BACKBONES`.
        weights: "imagenet", those that come with the package, else from Keras's cache or by Keras's download into it;
            "none", random ones; or a file: .npz as what comes with the package, HDF5 that fits the network without
            classifier, as in Keras's cache, or its `.weights.h5`.

    Returns:
        Uncompiled functional model, (batch, height, width, 3) as `preparation` gives it to (batch, h, w, maps).

    Raises:
        InputError: unknown name; no network and nothing in the cache; a file that is damaged or of another network.
    """
    row = row_of(name)
    if weights == "imagenet":
        network = _pretrained(name, row)
    else:
        network = _build(row, None)
        if weights != "none":
            _load(network, name, row, Path(weights))
    network = _portable(network, mended=weights == "imagenet")
    network.name = name
    return network


def _build(row: Backbone, weights: str | None) -> keras.Model:
    if row.ours:
        return row.ours()
    with warnings.catch_warnings():
        # MobileNets tell that weights for 224 px are taken where the side is free; they serve every side.
        warnings.filterwarnings("ignore", "`input_shape` is undefined")
        # Built without a size, Keras's NASNetLarge leaves out a step in which sizes differ: it answers no picture.
        sized = {"input_shape": (row.side, row.side, 3)} if row.builder == "NASNetLarge" else {}
        return getattr(keras.applications, row.builder)(include_top=False, weights=weights, **sized)


def _pretrained(name: str, row: Backbone) -> keras.Model:
    """ImageNet weights. What fails is the network, which Keras tells by a bare Exception, or the cached file."""
    if row.shipped:
        return _with_arrays(_build(row, None), name, row.shipped)
    try:
        with _timeout(), contextlib.redirect_stdout(sys.stderr):  # Keras shows its progress on standard output
            if not row.ours:
                return _build(row, "imagenet")
            network = _build(row, None)
            squeezenet.load_weights(network, _squeezenet_file(row))
            return network
    except Exception as error:
        if not isinstance(error, (*arrays.DAMAGED, http.client.HTTPException)) and "URL fetch failure" not in str(
            error
        ):
            raise
        raise InputError(
            f"the ImageNet weights of {name} are not to be had ({in_one_line(error)}); put {row.file} into "
            f"{shown(cache_folder())}, or give --weights FILE, or --weights none to start from random ones"
        ) from error


def _squeezenet_file(row: Backbone) -> Path:
    """From CONVMEDIA_DATA, where it holds the file; else from Keras's cache, fetched into it where it is missing."""
    data = os.environ.get("CONVMEDIA_DATA")
    given = sorted(Path(data, "backbones").glob(f"squeezenet*{TF_KERNELS}")) if data else []
    return given[0] if given else Path(keras.utils.get_file(row.file, squeezenet.WEIGHTS_URL, cache_subdir="models"))


@contextlib.contextmanager
def _timeout() -> Iterator[None]:
    """Sockets that give up when nothing comes; Keras's download would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _load(network: keras.Model, name: str, row: Backbone, path: Path) -> None:
    if not path.is_file():
        raise InputError(f"there is no weights file {shown(path)}; give a file, or --weights imagenet or none")
    if path.suffix == ".npz":
        _with_arrays(network, name, path)
        return
    if name == "squeezenet" and not path.name.endswith(".weights.h5"):
        squeezenet.load_weights(network, path)
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # all that Keras says of layers that it found no weights for
            network.load_weights(path)
    except (*arrays.DAMAGED, UserWarning) as error:
        raise InputError(
            f"{shown(path)} holds no weights of {name} without its classifier ({in_one_line(error)}); "
            f"give a file such as {row.file}"
        ) from error


def _with_arrays(network: keras.Model, name: str, path: Path) -> keras.Model:
    """Set a network's weights from an .npz of `LAYER/VARIABLE`; all is looked at before anything is set."""
    advice = f"give an .npz of {name} such as comes with the package, or --weights imagenet"
    with arrays.undamaged(path, advice):
        given = arrays.read(path)
    names = [f"{layer.name}/{weight.name}" for layer in network.layers for weight in layer.weights]
    shapes = [tuple(weight.shape) for weight in network.weights]
    if [given[name].shape if name in given else None for name in names] != shapes:
        raise InputError(f"{shown(path)} holds no weights of {name}, or of other shapes; {advice}")
    network.set_weights([given[name] for name in names])
    return network


def _portable(network: keras.Model, mended: bool) -> keras.Model:
    """The same network without what copies and exported files cannot follow; itself where there is nothing of it.

    Normalization keeps its means outside its weights too: a copy of the weights leaves them behind, and ONNX files
    want them as inputs. ConvNeXt's convolutions in as many groups as channels and its GELU by `erfc` have no
    operators in ONNX; as depthwise convolutions they also train many times faster on a CPU.

    Args:
        mended: whether `_rescaling` need not mend the deviations.
    """
    if not any(map(_foreign, network.layers)):
        return network

    def rewritten(layer):
        if isinstance(layer, keras.layers.Normalization):
            return _rescaling(layer, mended)
        config = layer.get_config()
        if isinstance(layer, keras.layers.Conv2D) and _foreign(layer):
            kept = {key: config[key] for key in ("name", "kernel_size", "strides", "padding", "use_bias")}
            return keras.layers.DepthwiseConv2D(**kept)
        return type(layer).from_config({**config, "activation": erf_gelu} if _foreign(layer) else config)

    copy = keras.models.clone_model(network, clone_function=rewritten)
    for layer, original in zip(copy.layers, network.layers, strict=True):
        weights = [] if isinstance(original, keras.layers.Normalization) else original.get_weights()
        if isinstance(layer, keras.layers.DepthwiseConv2D) and _foreign(original):
            weights[0] = weights[0].transpose(0, 1, 3, 2)
        layer.set_weights(weights)
    return copy


def _foreign(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, keras.layers.Conv2D):
        return layer.groups == layer.filters > 1
    gelu = isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.gelu
    return gelu or isinstance(layer, keras.layers.Normalization)


@keras.saving.register_keras_serializable("convmedia")
def erf_gelu(x):
    """GELU (Hendrycks and Gimpel 2016) of any tensor, exact, by the error function."""
    return 0.5 * x * (1.0 + ops.erf(x * 0.5**0.5))


def _rescaling(layer: keras.layers.Normalization, mended: bool) -> keras.layers.Rescaling:
    """The same numbers by constants. Keras's files of EfficientNet B0 to B7 call the deviation a variance.

    For "imagenet", and not for the same weights from a file, Keras mends that by one more layer; here, the latter is.
    """
    mean, variance = (ops.convert_to_numpy(value).ravel() for value in (layer.mean, layer.variance))
    if not mended and layer.weights and np.allclose(variance, RGB_DEVIATIONS, atol=1e-3):
        variance = variance**2
    scale = 1.0 / np.sqrt(variance)
    return keras.layers.Rescaling(scale.tolist(), (-mean * scale).tolist(), name=layer.name)
