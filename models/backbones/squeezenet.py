"""SqueezeNet v1.1, the small backbone: its convolutions conv1 .. fire9 and the reader of its public weights."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers

from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown

WEIGHTS_URL = (
    "https://github.com/rcmalli/keras-squeezenet/releases/download/v1.0/"
    "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
FIRES = {  # squeeze and expand filters of each; the expand filters are there twice, 1x1 and 3x3
    "fire2": (16, 64),
    "fire3": (16, 64),
    "fire4": (32, 128),
    "fire5": (32, 128),
    "fire6": (48, 192),
    "fire7": (48, 192),
    "fire8": (64, 256),
    "fire9": (64, 256),
}
POOLED = {"fire3": "pool3", "fire5": "pool5"}


def squeezenet(name="squeezenet"):
    """SqueezeNet v1.1 without its classifier (Iandola et al. 2016; v1.1 is the authors' own, pooled earlier).

    Functional, 722,496 parameters. Input (batch, height, width, 3), BGR minus (103.939, 116.779, 123.68), from 32x32
    up; output (batch, h, w, 512), h about height / 16. Layers are named as in the public weights file, with `_` for
    `/`, which Keras 3 allows in no name: fire2_squeeze1x1.
    """
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(64, 3, strides=2, activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for fire, (squeeze, expand) in FIRES.items():
        x = layers.Conv2D(squeeze, 1, activation="relu", name=f"{fire}_squeeze1x1")(x)
        left = layers.Conv2D(expand, 1, activation="relu", name=f"{fire}_expand1x1")(x)
        right = layers.Conv2D(expand, 3, padding="same", activation="relu", name=f"{fire}_expand3x3")(x)
        x = layers.Concatenate(name=f"{fire}_concat")([left, right])
        if fire in POOLED:
            x = layers.MaxPooling2D(3, strides=2, name=POOLED[fire])(x)
    return keras.Model(inputs, x, name=name)


def load_weights(network: keras.Model, path: str | Path) -> None:
    """Set the network's weights from an HDF5 file in the layout of Keras 1: a group per layer, `fire2/squeeze1x1`.

    Everything is checked before anything is set. Layers of the file that the network has not (a classifier) are left.

    Raises:
        InputError: unreadable, or layers are missing or of other shapes.
    """
    try:
        with h5py.File(path, "r") as file:
            given = dict(_arrays(file))
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:  # of h5py, on bad files
        reason = " ".join(str(error).split())
        raise InputError(
            f"{shown(path)} cannot be read as Keras weights in HDF5 ({reason}); give the file of {WEIGHTS_URL}"
        ) from error
    wanted = {layer.name: layer for layer in network.layers if layer.weights}
    faults = {
        "missing": [name for name in wanted if name not in given],
        "of other shapes": [
            n for n, layer in wanted.items() if n in given and _shapes(given[n]) != _shapes(layer.weights)
        ],
    }
    if any(faults.values()):
        said = " and ".join(
            f"{len(names)} layers are {fault} ({_some(names)})" for fault, names in faults.items() if names
        )
        raise InputError(f"{shown(path)} holds no weights of SqueezeNet v1.1: {said}; give the file of {WEIGHTS_URL}")
    for name, layer in wanted.items():
        layer.set_weights(given[name])


def _arrays(file: h5py.File) -> Iterator[tuple[str, list[np.ndarray]]]:
    """(layer name, its weights) for each layer of the file that has some; the file names them layer by layer."""
    file = file.get("model_weights", file)  # where a whole model was saved
    for layer in map(_text, file.attrs["layer_names"]):
        names = [_text(name) for name in file[layer].attrs["weight_names"]]
        if names:
            yield layer.replace("/", "_"), [np.asarray(file[layer][name]) for name in names]


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name


def _shapes(weights) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in weights]


def _some(names: list[str], most: int = 3) -> str:
    return ", ".join([*names[:most], *(["..."] if len(names) > most else [])])
