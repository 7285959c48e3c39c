"""Networks that label sounds: a standardised log-mel spectrogram and its mask, (frames, bands, 2), to probabilities.

A builder takes the size of the spectrogram, the number of labels, and whether one sound may have several of them
(sigmoid in place of softmax). `whole` joins one with windows and spectrum into the model that takes waveforms.
"""

import math

import keras
import numpy as np
from keras import layers, ops

from convmedia.data.audio.mel import Spectrum, slopes
from convmedia.models.answer import Answer
from convmedia.models.preprocessing.mel_spectrogram import LogMel, MeanByEnergy, MeanOfWindows, Standardised, Windows

SHORT_SECONDS = 2.0
"""Windows up to this are words and beats, whose spectrogram is finer in time."""


def compact(frames, bands, labels, several=False, widths=(24, 48, 96, 160), dropout=0.3):
    """Six 3x3 convolutions with batch normalisation, then one feature per place in time: functional, 404,706
    parameters for 40 bands and 10 labels, 481,506 parameters for 64 bands.

    The last layer's bands become features, since a sound is not the same one elsewhere in frequency; over time the
    features are pooled by their mean and greatest value (Kong et al. 2020, "PANNs", section III-B), where there is
    sound.

    Args:
        frames, bands: size of the spectrogram, at least 8 x 8.
        widths: filters of the four stages, between which both sides are halved.
    """
    spectrogram = keras.Input((frames, bands, 2), name="spectrogram")
    x = Values(name="values")(spectrogram)
    for stage, (filters, depth) in enumerate(zip(widths, (1, 1, 2, 1), strict=True), start=1):
        for number in range(1, depth + 1):
            x = convolution(x, filters, 3, f"stage{stage}_conv{number}")
        if stage < len(widths):
            x = layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
    x = layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]), name="bands_to_features")(x)
    x = layers.Conv1D(widths[-1], 1, activation="relu", kernel_initializer="he_normal", name="features")(x)
    x = MaskedPooling(name="pool")([x, spectrogram])
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(spectrogram, answer(labels, several)(x), name="compact")


def piczak(frames, bands, labels, several=False, dropout=0.5):
    """K. J. Piczak, "Environmental sound classification with convolutional neural networks" (MLSP 2015), section 2:
    log-mel and deltas as two channels, two convolutions, two dense layers of 5,000. Functional, with 10 labels
    29,144,291 parameters for 101 frames, 26,335,771 parameters for 41.

    Args:
        frames, bands: 101 (his "long" segments) or 41 ("short"), and 60.
    """
    spectrogram = keras.Input((frames, bands, 2), name="spectrogram")
    values = Values(name="values")(spectrogram)
    x = layers.Concatenate(name="static_and_deltas")([values, Deltas(name="deltas")(values)])
    x = layers.Conv2D(80, (6, max(bands - 3, 1)), activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D((3, min(4, x.shape[2])), name="pool1")(x)
    x = layers.Dropout(dropout, name="dropout1")(x)
    x = layers.Conv2D(80, (3, 1), activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D((3, 1), name="pool2")(x)
    x = layers.Flatten(name="flatten")(x)
    for number in (1, 2):
        x = layers.Dense(5000, activation="relu", name=f"dense{number}")(x)
        x = layers.Dropout(dropout, name=f"dropout{number + 1}")(x)
    return keras.Model(spectrogram, answer(labels, several)(x), name="piczak")


def speech(frames, bands, labels, several=False, maps=84, units=1000, dropout=0.3):
    """Abdel-Hamid et al., "Convolutional neural networks for speech recognition" (TASLP 2014), section IV: around each
    frame a context of 11, convolved along frequency (8 bands, pooling 6 by steps of 2), then two dense layers.

    Deltas and their deltas are channels beside the values, as there. Each frame is scored; the answer is the mean over
    the frames that hold sound. Functional, 2,210,270 learned parameters for 40 bands and 10 labels.
    """
    spectrogram = keras.Input((frames, bands, 2), name="spectrogram")
    values = Values(name="values")(spectrogram)
    first = Deltas(name="deltas")(values)
    x = layers.Concatenate(name="channels")([values, first, Deltas(name="second_deltas")(first)])
    x = layers.ZeroPadding2D(((5, 5), (0, 0)), name="context")(x)
    x = layers.Conv2D(maps, (11, 8), activation="relu", kernel_initializer="he_normal", name="conv")(x)
    x = layers.MaxPooling2D((1, 6), (1, 2), name="pool")(x)
    x = layers.Reshape((frames, x.shape[2] * maps), name="frames")(x)
    for number in (1, 2):
        x = layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=f"dense{number}")(x)
        x = layers.Dropout(dropout, name=f"dropout{number}")(x)
    x = answer(labels, several, "frame_scores")(x)
    return keras.Model(spectrogram, MaskedPooling(greatest=False, name="output")([x, spectrogram]), name="speech")


def tagger(frames, bands, labels, several=True, widths=(32, 48, 64, 96), units=128, dropout=0.5):
    """Liu et al., "CNN based music emotion classification" (2017), section 3: four convolutions and one hidden layer,
    for sounds with several labels. Functional, with 10 labels 148,586 parameters for 81 frames of 40 bands, 296,042
    parameters for 216 frames of 64.
    """
    spectrogram = keras.Input((frames, bands, 2), name="spectrogram")
    x = Values(name="values")(spectrogram)
    for number, filters in enumerate(widths, start=1):
        x = convolution(x, filters, 3, f"conv{number}")
        x = layers.MaxPooling2D((3, 2) if number > 1 and x.shape[1] > 9 else 2, name=f"pool{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(units, activation="relu", kernel_initializer="he_normal", name="hidden")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(spectrogram, answer(labels, several)(x), name="tagger")


def convolution(x, filters, kernel, name):
    """Convolution without bias, batch normalisation and ReLU."""
    start = keras.initializers.HeNormal()
    x = layers.Conv2D(filters, kernel, padding="same", use_bias=False, kernel_initializer=start, name=name)(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def answer(labels, several, name="output"):
    """The last layer: softmax where a sound has one label, a sigmoid each where it may have several."""
    return layers.Dense(labels, activation="sigmoid" if several else "softmax", name=name)


@keras.saving.register_keras_serializable("convmedia")
class Values(layers.Layer):
    """The values of a spectrogram without its mask: (n, frames, bands, 2) to (n, frames, bands, 1)."""

    def call(self, inputs):
        return inputs[..., :1]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)


@keras.saving.register_keras_serializable("convmedia")
class Deltas(layers.Layer):
    """Slopes along time, as `librosa.feature.delta` has them: (n, frames, bands, 1) to the same; frames are fixed."""

    def build(self, input_shape):
        matrix = slopes(input_shape[1])
        start = keras.initializers.Constant(matrix)
        self.slopes = self.add_weight(name="slopes", shape=matrix.shape, initializer=start, trainable=False)
        self.built = True

    def call(self, inputs):
        frames, bands = inputs.shape[1:3]
        # Along the last axis and as a convolution of width 1: matrix products of unequal ranks are not for LiteRT.
        turned = ops.transpose(ops.reshape(inputs, (-1, frames, bands)), (0, 2, 1))
        kernel = ops.expand_dims(ops.transpose(ops.cast(self.slopes, inputs.dtype)), 0)
        turned = ops.conv(turned, kernel, strides=1, padding="valid", data_format="channels_last")
        return ops.expand_dims(ops.transpose(turned, (0, 2, 1)), -1)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("convmedia")
class MaskedPooling(layers.Layer):
    """Features over time to one vector, from the frames that hold sound: their mean, plus their greatest value.

    Input: (n, t, features) and the network's input, (n, frames, bands, 2), of which frames // t make one place each;
    output (n, features). A place counts where one of its frames does.

    Args:
        greatest: add the greatest value; False gives the mean alone.
    """

    def __init__(self, greatest=True, **kwargs):
        super().__init__(**kwargs)
        self.greatest = greatest

    def call(self, inputs):
        features, spectrogram = inputs
        step = spectrogram.shape[1] // features.shape[1]
        mask = ops.max_pool(spectrogram[:, :, :1, 1:], (step, 1), (step, 1), data_format="channels_last")
        mask = ops.cast(ops.reshape(mask, (-1, mask.shape[1], 1))[:, : features.shape[1]], features.dtype)
        mean = ops.sum(features * mask, axis=1) / ops.sum(mask, axis=1)
        if not self.greatest:
            return mean
        return mean + ops.max(features * mask + (mask - 1.0) * 1e4, axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], input_shape[0][-1])

    def get_config(self):
        return {**super().get_config(), "greatest": self.greatest}


def heard_as(network, sample_rate, window_seconds):
    """The spectrum that a network is given, and its window in samples, a whole number of hops.

    Args:
        network: a name of `catalogue.SOUNDS`.
        sample_rate: Hz.
        window_seconds: what a window should last at least; `piczak`'s has 101 frames whatever is wanted.

    Returns:
        (Spectrum, samples).
    """
    if network == "piczak":  # 22,050 Hz: 1,024 and 512 samples, 60 bands
        hop = round(sample_rate * 512 / 22_050)
        return Spectrum(sample_rate, 2 * hop, hop, 60, relative=True), 100 * hop
    short = window_seconds <= SHORT_SECONDS
    hop_seconds = 0.01 if network == "speech" else 0.0125 if short else 512 / 22_050
    hop = max(round(sample_rate * hop_seconds), 1)
    length = 2 ** math.ceil(math.log2(2 * hop))
    bands = 40 if sample_rate < 12_000 or network == "speech" else 64
    spectrum = Spectrum(sample_rate, length, hop, bands, relative=True)
    return spectrum, hop * max(math.ceil(round(window_seconds * sample_rate, 3) / hop), 16)


def sound(sample_rate, window_samples):
    """The input description of a file that takes waveforms."""
    window_seconds = window_samples / sample_rate
    facts = {"sample_rate": sample_rate, "window_seconds": window_seconds}
    return {"kind": "sound", "dtype": "float32", "shape": [None], **facts}


def whole(network, spectrum, window_samples, mean, deviation, *, app, labels, details):
    """Join windows, spectrum, network and answer into the model that is saved. Weights are shared with `network`.

    Args:
        network: as the builders here give it, for the frames of `window_samples` and the bands of `spectrum`.
        mean, deviation: float (bands,), of the training set's decibels.
        app, labels, details: as `Answer` has them.

    Returns:
        Uncompiled functional model: waveforms (batch, samples) float32 in -1..1, of any length from one sample up, to
        (batch, labels) probabilities, the mean over their windows, each counted by its energy
        (`mel_spectrogram.MeanByEnergy`).
    """
    description = sound(spectrum.sample_rate, window_samples)
    log_mel = LogMel(**spectrum.config, name="log_mel")
    standardised = Standardised(spectrum.hop_samples, mean, deviation, name="standardised")
    result = Answer(app, labels, description, details, name="answer")
    return _joined(window_samples, log_mel, standardised, network, result)


def _joined(window_samples, log_mel, standardised, network, result):
    raw = keras.Input((None,), dtype="float32", name="sound")
    windows, heard = Windows(window_samples, overlapping=True, name="windows")(raw)
    scores = network(standardised([log_mel(windows), heard]))
    mean = MeanByEnergy(name="mean_of_windows")([scores, heard, windows, raw])
    return keras.Model(raw, result(mean), name=result.app.replace("-", "_"))


def renewed(model):
    """A loaded model with windows that overlap and count by their energy, where it was saved with others.

    Files written before averaged all windows, silent ones too. Layers and weights are the given model's.
    """
    parts = {layer.name: layer for layer in model.layers}
    if not isinstance(parts.get("mean_of_windows"), MeanOfWindows):
        return model
    network = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    size = parts["windows"].window_samples
    return _joined(size, parts["log_mel"], parts["standardised"], network, parts["answer"])


def parameters(network):
    """How many numbers of a network are learned."""
    return int(sum(np.prod(weight.shape) for weight in network.trainable_weights))
