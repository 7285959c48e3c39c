"""Networks that read one digit from a prepared picture: (28, 28, 1), 0..1."""

import keras
from keras import layers

from convmedia.models.preprocessing.digit_localization import FindInk
from convmedia.models.preprocessing.resize import Grey, Resize

SIDE = 28  # px


def lenet5(classes=10):
    """LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998, section II.B): Sequential, 61,706 parameters for ten classes.

    As usual since, 28x28 is padded to 32x32, subsampling is average pooling, every map of C3 sees all of S2, and the
    radial basis output is a softmax.
    """
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            layers.Conv2D(6, 5, padding="same", activation="tanh", name="c1"),
            layers.AveragePooling2D(2, name="s2"),
            layers.Conv2D(16, 5, activation="tanh", name="c3"),
            layers.AveragePooling2D(2, name="s4"),
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation="tanh", name="c5"),
            layers.Dense(84, activation="tanh", name="f6"),
            layers.Dense(classes, activation="softmax", name="output"),
        ],
        name="lenet5",
    )


def convnet(classes=10, dropout=0.25):
    """Six 3x3 convolutions with batch normalisation, two of them with stride 2: functional, 364,394 parameters."""
    inputs = x = keras.Input((SIDE, SIDE, 1))
    widths = ((32, 1), (48, 2), (64, 1), (64, 1), (128, 2), (128, 1))
    for number, (filters, strides) in enumerate(widths, start=1):
        x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    outputs = layers.Dense(classes, activation="softmax", name="output")(x)
    return keras.Model(inputs, outputs, name="convnet")


def ink():
    """Layers that find the ink and centre it as MNIST was made; polarity, size and colour no longer matter."""
    return [FindInk(SIDE, name="find_ink")]


def resize():
    """Layers that only take the luma and resize to 28x28; polarity is kept."""
    return [Grey(name="grey"), Resize(SIDE, SIDE, name="resize"), layers.Rescaling(1 / 255, name="rescaling")]


PREPARATIONS = {"ink": ink, "resize": resize}
