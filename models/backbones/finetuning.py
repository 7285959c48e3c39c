"""Transfer learning: a frozen network's features, a head on them, then the network's upper blocks with the head.

    maps = backbone("vgg16")
    frozen, top = features(maps), head(512, classes=2)
    standardise(top, cached)            # stage 1: `frozen` answered every picture once, only `top` is trained
    classifier = joined(frozen, top)    # stage 2: both in one network that shares their weights
    unfreeze(maps, 1)                   # and block5 is trained too

How fast each block is trained, and from which step on, is told to `LayerwiseAdam`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

import keras
import numpy as np
from keras import layers, ops

from convmedia.models.keras_internals import flattened_layers, variable_index
from convmedia.models.networks.photos import BothWays, MeanOfWays

# By how a backbone's name begins: what tells the block in the name of a layer. A layer without it belongs to the
# block of the layer before it, in the inceptions (`CLOSING`), where merging layers bear the names, of the one after.
BLOCKS = {
    "vgg": r"block\d+",
    "squeezenet": r"conv1|fire\d",
    "resnet": r"conv\d",
    "densenet": r"conv\d",
    "inception-v3": r"mixed\d+$",
    "inception-resnet": r"mixed_\d\w|block\d+|conv_7b",
    "xception": r"block\d+",
    "keras-mobilenet-v2": r"Conv1|expanded_conv|block_\d+|Conv_1",
    "mobilenet-v2": r"stem|stage\d|top",
    "mobilenet-v3": r"expanded_conv_\d+|expanded_conv|conv_1|conv",
    "mobilenet": r"conv1|(conv)_[dp]w(_\d+)",
    "nasnet": r"_((?:stem|reduce)_\d+|\d+)$",
    "efficientnet-lite": r"stem|stage\d|top",
    "efficientnet": r"stem|block\d|top",
    "convnext": r"stem|downsampling_block_\d|stage_\d",
}
CLOSING = ("inception-v3", "inception-resnet")


def features(network: keras.Model, side: int | None = None, flips: bool = False) -> keras.Model:
    """The pooled maps of a network: (batch, height, width, 3) prepared pictures to (batch, maps).

    Args:
        side: px; when given, the maps of pictures of that side are not averaged but flattened (Chollet 2017, 5.3).
        flips: answer with the mean of the picture's features and its mirror image's, never while training.
    """
    inputs = keras.Input((side, side, 3))
    pool = layers.Flatten(name="flatten") if side else layers.GlobalAveragePooling2D(name="pool")
    if not flips:
        return keras.Model(inputs, pool(network(inputs)), name="features")
    pooled = pool(network(BothWays(name="both_ways")(inputs)))
    return keras.Model(inputs, MeanOfWays(name="mean_of_ways")(pooled), name="features")


def head(size: int, classes: int, hidden: int = 0, dropout: float = 0.0, l2: float = 0.0) -> keras.Model:
    """A classifier of features: Sequential, (batch, size) to (batch, classes) probabilities, of two classes (batch, 1).

    Args:
        hidden: units of a dense layer with ReLU before the last one; 0 for none: logistic regression.
        dropout: share of the last layer's input that is dropped in training.
        l2: added to the loss, times the sum of the squares of each kernel.
    """
    # Standardising is a batch normalisation that stays in inference: as weights it is copied, saved and fused.
    x = [layers.BatchNormalization(center=False, scale=False, epsilon=1e-12, trainable=False, name="standardise")]
    penalty = keras.regularizers.L2(l2) if l2 else None
    if hidden:
        x.append(layers.Dense(hidden, activation="relu", kernel_regularizer=penalty, name="hidden"))
    x.append(layers.Dropout(dropout, name="dropout"))
    units, activation = (1, "sigmoid") if classes == 2 else (classes, "softmax")
    x.append(layers.Dense(units, activation=activation, kernel_regularizer=penalty, name="scores"))
    return keras.Sequential([keras.Input((size,)), *x], name="head")


def standardise(head: keras.Model, cached: np.ndarray) -> None:
    """Let a head subtract the mean and divide by the deviation of the features of the training pictures.

    Pooled features differ in range by backbone, and a head without this trains as slowly as the smallest. Of each map's
    variance and the mean one of all maps the average is taken: of few pictures a variance is a guess, and maps that
    hardly vary would count as much as those that do.

    Args:
        cached: (n, size) float32.
    """
    variance = cached.var(axis=0, dtype="float64")
    shrunk = np.maximum((variance + variance.mean()) / 2, 1e-12)
    head.get_layer("standardise").set_weights([cached.mean(axis=0, dtype="float64"), shrunk])


def joined(features: keras.Model, head: keras.Model) -> keras.Model:
    """Prepared pictures to probabilities, in one functional model that shares the weights of both.

    The head's layers are its own last ones, so that what explains a network finds the scores before the activation.
    """
    x = features.outputs[0]
    for layer in head.layers:
        x = layer(x)
    return keras.Model(features.inputs[0], x, name="classifier")


def with_head(network: keras.Model, classes: int, side: int | None = None, **options) -> keras.Model:
    """`joined` at once: a network and a new head; `side` as in `features`, `options` as in `head`."""
    pooled = features(network, side)
    return joined(pooled, head(pooled.output_shape[-1], classes, **options))


def blocks(network: keras.Model) -> list[tuple[str, list[keras.layers.Layer]]]:
    """The layers with weights of a network of `backbones.backbone`, block by block, from the bottom to the top.

    Returns:
        (name, layers) pairs, such as block1 .. block5 of vgg16, conv1 .. conv5 of resnet50, conv1, fire2 .. fire9 of
        squeezenet.
    """
    family = next(begins for begins in BLOCKS if network.name.startswith(begins))
    labels = [_label(BLOCKS[family], layer.name) for layer in network.layers]
    before = list(_filled(labels))
    after = list(_filled(labels[::-1]))[::-1]
    first, second = (after, before) if family in CLOSING else (before, after)
    grouped: dict[str, list[keras.layers.Layer]] = {}
    for layer, one, other in zip(network.layers, first, second, strict=True):
        if layer.weights:
            grouped.setdefault(one or other, []).append(layer)
    return list(grouped.items())


def _label(pattern: str, name: str) -> str:
    found = re.search(pattern, name)
    return "" if found is None else "".join(part for part in found.groups() if part) or found[0]


def _filled(labels: Iterable[str]) -> Iterator[str]:
    last = ""
    for label in labels:
        last = label or last
        yield last


def unfreeze(network: keras.Model, number: int) -> list[str]:
    """Train the upper `number` blocks of a network and freeze the rest; 0 freezes all. Compile afterwards.

    Batch normalisation stays frozen everywhere. In Keras that is what keeps it in inference mode, so that its
    statistics, gathered over a million pictures, do not move by one bit; and its scale and offset belong to them:
    trained on small batches of few pictures they would only do what the next convolution can do as well.

    Returns:
        The names of the blocks that are trained, from the top.
    """
    network.trainable = False
    upper = blocks(network)[::-1][: max(number, 0)]
    network.trainable = True
    trained = {id(layer) for _, block in upper for layer in block}
    for layer in network.layers:
        layer.trainable = id(layer) in trained
        for inner in flattened_layers(layer):
            if isinstance(inner, keras.layers.BatchNormalization):
                inner.trainable = False
    return [name for name, _ in upper]


def by_depth(network: keras.Model) -> dict[str, int]:
    """{layer name: 0 in the top block, 1 in the one below, ...} for the layers with weights and those within them."""
    upwards = enumerate(reversed(blocks(network)))
    return {inner.name: depth for depth, (_, block) in upwards for layer in block for inner in flattened_layers(layer)}


@keras.saving.register_keras_serializable("convmedia")
class LayerwiseAdam(keras.optimizers.Adam):
    """Adam with a learning rate, and a first step, for each layer.

    A factor on the gradients would do nothing: Adam divides it out. So the step is scaled, variable by variable. A
    layer that starts later rests until its step, while its moments are gathered already: one training unfreezes
    block after block, nothing is compiled anew, and the optimizer's variables are all its state.

    Args:
        learning_rate: of layers without a factor: a number or a schedule.
        factors: {layer name: factor of the learning rate}.
        starts: {layer name: the step, counted from 0, at which it first moves}.
        decay: weight decay of kernels, decoupled (Loshchilov and Hutter 2019): this share of their value, times
            their own learning rate, is taken off at each step.
    """

    def __init__(
        self,
        learning_rate=1e-3,
        factors: Mapping[str, float] | None = None,
        starts: Mapping[str, int] | None = None,
        decay: float = 0.0,
        name="layerwise_adam",
        **kwargs,
    ):
        super().__init__(learning_rate, name=name, **kwargs)
        self.factors, self.starts, self.decay = dict(factors or {}), dict(starts or {}), decay

    def build(self, var_list):
        if not self.built:
            # TensorFlow gives `update_step` its own variables, which know no layer; Keras knows their places.
            self.places = [variable.path.split("/") for variable in var_list]
        super().build(var_list)

    def update_step(self, gradient, variable, learning_rate):
        place = self.places[variable_index(self, variable)]
        rate = ops.cast(learning_rate, variable.dtype) * _of_layer(self.factors, place, 1.0)
        start = _of_layer(self.starts, place, 0)
        if start:
            rate = ops.where(self.iterations < start, ops.zeros_like(rate), rate)
        if self.decay and len(variable.shape) > 1:
            self.assign_sub(variable, variable * rate * self.decay)
        super().update_step(gradient, variable, rate)

    def get_config(self):
        return {**super().get_config(), "factors": self.factors, "starts": self.starts, "decay": self.decay}


def _of_layer(values: Mapping, place: list[str], default):
    """The value of the outermost layer around a variable that has one; `place` ends in the variable's own name."""
    return next((values[layer] for layer in place if layer in values), default)
