"""VGG16 and VGG19 (Simonyan and Zisserman 2014) as style transfer takes them: weights from a file or from Keras.

A file's own form decides how pictures are prepared: an .npz with `preprocess_1x1` brings its preparation, takes RGB in
0..1 and mirrors at borders; all others take BGR minus the means of ImageNet and pad with zeros.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops

from convmedia.data.storage import arrays
from convmedia.data.storage.errors import InputError, in_one_line
from convmedia.data.storage.files import shown
from convmedia.models.backbones import catalogue
from convmedia.models.backbones.catalogue import BackboneInput

CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # of each block
PREPARATION = "preprocess_1x1"
POOLINGS = {"average": keras.layers.AveragePooling2D, "max": keras.layers.MaxPooling2D}
RANDOM = ", or --weights none to start from random ones"  # nothing to look at with

Weights = dict[str, tuple[np.ndarray, np.ndarray]]
"""Kernel, float32 (3, 3, in, out), and bias (out,) of each convolution by its Keras name, `block1_conv1`."""


def names(network: str) -> list[str]:
    """The convolutions of "vgg16" or "vgg19" in order, by Keras's names."""
    blocks = enumerate(CONVOLUTIONS[network], start=1)
    return [f"block{block}_conv{place}" for block, count in blocks for place in range(1, count + 1)]


def weights_of(source: str | Path, network: str) -> Weights:
    """Kernels and biases that a source holds, without the classifier.

    Args:
        source: "imagenet", from Keras's cache or by its download into it; an .npz with `LAYER/kernel` (HWIO) and
            `LAYER/bias`, which may end before the last layer; or HDF5 as Keras's.
        network: "vgg16" or "vgg19"; an .npz need not have all of its layers.

    Raises:
        InputError: nothing to be had, not readable, or of another network.
    """
    path = Path(source)
    if source != "imagenet" and not path.is_file():
        raise InputError(f"there is no weights file {shown(path)}; give a file, or --weights imagenet")
    if path.suffix == ".npz":
        return _from_arrays(path, [PREPARATION, *names(network)])
    try:
        model = catalogue.backbone(network, source)
    except InputError as error:
        raise InputError(str(error).removesuffix(RANDOM)) from error
    return {name: tuple(model.get_layer(name).get_weights()) for name in names(network)}


def _from_arrays(path: Path, wanted: Sequence[str]) -> Weights:
    try:
        with np.load(path) as file:
            present = [name for name in wanted if {f"{name}/kernel", f"{name}/bias"} <= set(file.files)]
            found = {name: (file[f"{name}/kernel"], file[f"{name}/bias"]) for name in present}
    except arrays.DAMAGED as error:
        raise InputError(f"{shown(path)} cannot be read as weights ({in_one_line(error, 80)}); copy it anew") from error
    if not set(found) - {PREPARATION}:
        raise InputError(
            f"{shown(path)} holds no layer of VGG: `{wanted[1]}/kernel` and `{wanted[1]}/bias` would be the first; "
            "give another --weights"
        )
    return found


def build(weights: Weights, layers: Sequence[str], network: str, pooling: str = "max") -> keras.Model:
    """The network up to the deepest of some layers, with its preparation.

    Args:
        weights: as `weights_of` gives them.
        layers: names of convolutions; what comes before them must be there too.
        pooling: "max", which the weights were trained with, or "average", which Gatys et al. 2016 (section 2) prefer;
            with a network that ends early its grid shows in the pictures.

    Returns:
        Uncompiled, not trainable: pictures (batch, height, width, 3), RGB, 0..255, to {layer: maps after its
        rectifier, float32 (batch, h, w, filters)}.

    Raises:
        InputError: layers that the weights lack, or whose shapes do not follow from one another; all are named.
    """
    unknown = [name for name in layers if name not in names(network)]
    if unknown:
        raise InputError(f"{network} has no layer {', '.join(unknown)}; its layers are {', '.join(names(network))}")
    every = names(network)[: max(map(names(network).index, layers)) + 1]
    _check(weights, every)
    mirrored = PREPARATION in weights
    picture = keras.Input((None, None, 3), name="image")
    maps = _prepared(picture, weights)
    outputs = {}
    for name in every:
        if name.endswith("conv1") and name != every[0]:
            maps = POOLINGS[pooling](2, name=f"block{int(name[5]) - 1}_pool")(maps)
        if mirrored:
            maps = ops.pad(maps, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect")
        padding = "valid" if mirrored else "same"
        filters = weights[name][0].shape[-1]
        maps = keras.layers.Conv2D(filters, 3, padding=padding, activation="relu", name=name)(maps)
        outputs[name] = maps
    model = keras.Model(picture, {name: outputs[name] for name in layers}, name=network)
    for name in [*every, *([PREPARATION] if mirrored else [])]:
        model.get_layer(name).set_weights(weights[name])
    model.trainable = False
    return model


def _prepared(picture, weights: Weights):
    if PREPARATION not in weights:
        return BackboneInput("caffe", name="backbone_input")(picture)
    return keras.layers.Conv2D(3, 1, name=PREPARATION)(keras.layers.Rescaling(1 / 255.0)(picture))


def _check(weights: Weights, every: Sequence[str]) -> None:
    missing = [name for name in every if name not in weights]
    if missing:
        raise InputError(
            f"the weights file lacks {', '.join(missing)}; it ends at {deepest(weights)}: "
            "give a complete file, or layers that it has"
        )
    channels = 3
    for name in every:
        kernel, bias = weights[name]
        expected = (3, 3, channels, kernel.shape[-1])
        if kernel.shape != expected or bias.shape != expected[-1:]:
            raise InputError(
                f"{name} of the weights file has a kernel {kernel.shape} and a bias {bias.shape} where "
                f"{expected} and {expected[-1:]} follow from the layer before; give a file of one network"
            )
        channels = expected[-1]


def deepest(weights: Weights) -> str:
    """The last convolution that the weights hold."""
    return max(name for name in weights if name != PREPARATION)


def normalised(weights: Weights, network: str, photos: Sequence[np.ndarray], pooling: str = "max") -> Weights:
    """The same network with each filter's activation 1 on average over pictures and places.

    Gatys, Ecker and Bethge 2016, section 2: rectifiers and pooling pass a positive factor on, so each layer's is
    undone in the next one. Weights of losses then mean the same for every network.

    Args:
        photos: float or uint8 (height, width, 3), RGB, 0..255, to average over.
    """
    convolutions = [name for name in names(network) if name in weights]
    every = convolutions[: convolutions.index(deepest(weights)) + 1]
    model = build(weights, every, network, pooling)
    sums = {name: np.zeros(weights[name][1].shape) for name in every}
    for photo in photos:
        for name, maps in model(photo[np.newaxis].astype("float32")).items():
            sums[name] += ops.convert_to_numpy(ops.mean(maps, axis=(0, 1, 2)))
    rescaled, before = {}, np.ones(3)
    for name in every:
        mean = np.where(sums[name] > 0, sums[name] / len(photos), 1.0)  # a filter that is never active stays
        kernel, bias = weights[name]
        rescaled[name] = ((kernel * before[:, np.newaxis] / mean).astype("float32"), (bias / mean).astype("float32"))
        before = mean
    return rescaled
