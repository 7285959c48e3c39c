"""Networks that tell photographs apart, trained from scratch: a prepared picture (side, side, 3), 0..1.

For two classes the answer is (batch, 1), the probability of the second one; for more, (batch, classes) probabilities.
"""

import keras
from keras import layers, ops

from convmedia.models.networks.catalogue import PHOTOS
from convmedia.models.preprocessing.resize import Resize


def small(classes=2, dropout=0.5):
    """The small convnet of F. Chollet, "Building powerful image classification models using very little data" (Keras
    blog, 2016): Sequential, 1,212,513 parameters for two classes.

    Input (batch, 150, 150, 3), 0..1. The convolutions are unpadded, as there; its rotations, shifts and dropout are
    what keeps it from learning 2,000 pictures by heart.
    """
    side = PHOTOS["small"].side_px
    stack = [keras.Input((side, side, 3))]
    for number, filters in enumerate((32, 32, 64), start=1):
        stack += [
            layers.Conv2D(filters, 3, activation="relu", name=f"conv{number}"),
            layers.MaxPooling2D(2, name=f"pool{number}"),
        ]
    stack += [
        layers.Flatten(name="flatten"),
        layers.Dense(64, activation="relu", name="dense"),
        layers.Dropout(dropout, name="dropout"),
        answer(classes),
    ]
    return keras.Sequential(stack, name="small")


def resnet(classes=2, dropout=0.2, mirrored=True):
    """A residual network of 15 3x3 convolutions (He et al. 2015, section 4.2, thinner): functional, 1,924,001
    parameters for two classes.

    Input (batch, side, side, 3), 0..1, of any side from 32 px up; made for 144. Shortcuts are pooled before they are
    widened (He, T. et al. 2018, "Bag of tricks", ResNet-D), and the last normalisation of a branch starts at zero
    (Goyal et al. 2017, section 5.1), so that a block starts as its shortcut. Widths are multiples of 32, for which
    CPUs have the fastest kernels.

    Args:
        mirrored: answer with the mean of the picture's and its mirror image's features (never while training).
    """
    inputs = keras.Input((None, None, 3))
    x = BothWays(name="both_ways")(inputs) if mirrored else inputs
    x = convolution(x, 32, "stem", strides=2)
    for stage, (filters, blocks) in enumerate(((32, 1), (64, 2), (128, 2), (192, 2)), start=1):
        for number in range(1, blocks + 1):
            strides = 2 if stage > 1 and number == 1 else 1
            x = block(x, filters, f"stage{stage}_block{number}", strides)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = MeanOfWays(name="mean_of_ways")(x) if mirrored else x
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(inputs, answer(classes)(x), name="resnet")


def block(x, filters, name, strides=1):
    """Two 3x3 convolutions beside a shortcut, as `resnet` has them."""
    branch = convolution(x, filters, f"{name}_conv1", strides)
    branch = convolution(branch, filters, f"{name}_conv2", activated=False, gamma="zeros")
    if strides > 1:
        x = layers.AveragePooling2D(strides, padding="same", name=f"{name}_pool")(x)
    if x.shape[-1] != filters:
        x = convolution(x, filters, f"{name}_shortcut", kernel=1, activated=False)
    x = layers.Add(name=f"{name}_add")([x, branch])
    return layers.ReLU(name=f"{name}_relu")(x)


def convolution(x, filters, name, strides=1, kernel=3, activated=True, gamma="ones"):
    """Convolution without bias, batch normalisation and, if `activated`, ReLU."""
    start = keras.initializers.HeNormal()
    x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False, kernel_initializer=start, name=name)(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if activated else x


def answer(classes):
    """The last layer: one sigmoid unit for two classes, softmax for more."""
    if classes == 2:
        return layers.Dense(1, activation="sigmoid", name="output")
    return layers.Dense(classes, activation="softmax", name="output")


@keras.saving.register_keras_serializable("convmedia")
class BothWays(layers.Layer):
    """Puts the mirror images of a batch behind it, (n, height, width, c) to (2n, height, width, c); not in training."""

    def call(self, inputs, training=None):
        return inputs if training else ops.concatenate([inputs, ops.flip(inputs, axis=2)], axis=0)

    def compute_output_shape(self, input_shape):
        return (None, *input_shape[1:])


@keras.saving.register_keras_serializable("convmedia")
class MeanOfWays(layers.Layer):
    """Means of what became of `BothWays`' pairs: (2n, features) to (n, features); not in training."""

    def call(self, inputs, training=None):
        return inputs if training else ops.mean(ops.reshape(inputs, (2, -1, inputs.shape[-1])), axis=0)

    def compute_output_shape(self, input_shape):
        return (None, *input_shape[1:])


def preparation(network):
    """Layers from a picture of any size, 0..255, to the input of the network of this name: squashed to a square."""
    side = PHOTOS[network].side_px
    return [Resize(side, side, name="resize"), layers.Rescaling(1 / 255, name="rescaling")]
