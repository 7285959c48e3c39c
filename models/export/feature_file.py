"""Features in an ONNX file: what a network makes of raw pictures or sounds before the layer that scores labels.

Where a classifier is taught elsewhere, as in a browser, its scores are one matrix product of these away.
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from convmedia.data.storage.errors import InputError
from convmedia.data.storage.quiet import silenced
from convmedia.models.answer import PICTURE
from convmedia.models.backbones import catalogue, finetuning
from convmedia.models.export import probes
from convmedia.models.formats import writers
from convmedia.models.inference.sessions import onnx
from convmedia.models.kind import TOLERANCE

FEATURES = "features"
"""Name of the file's output, float32 (batch, size)."""


def of_backbone(name: str, side: int | None = None) -> keras.Model:
    """A backbone with its ImageNet weights and its preparation: raw pictures (batch, height, width, 3), 0..255, of any
    size to the mean of its last maps, (batch, maps).

    Args:
        side: px, that pictures are resized to; None for the backbone's own.
    """
    raw = keras.Input(tuple(PICTURE["shape"]), dtype=PICTURE["dtype"], name=PICTURE["kind"])
    prepared = raw
    for layer in catalogue.preparation(name, side or catalogue.row_of(name).side):
        prepared = layer(prepared)
    return keras.Model(raw, finetuning.features(catalogue.backbone(name))(prepared), name=FEATURES)


def write(model: keras.Model, path: Path, inputs: Sequence[np.ndarray] = ()) -> float:
    """Write a model of features and prove it.

    Args:
        model: raw pictures or waveforms to (batch, size).
        path: of the file, whose input is uint8 (batch, height, width, 3) or float32 (batch, samples).
        inputs: batches that it is tried on beside the probes.

    Returns:
        The greatest difference from Keras, in fractions of the greatest feature.

    Raises:
        InputError: it differs by more than 1e-4 of that.
    """
    with silenced(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own, about its own insides
        writers.write_onnx(model, path)
    _name_output(path)
    session = onnx(path)
    known: dict[str, Any] = {"kind": "image"} if len(model.inputs[0].shape) == 4 else {}
    batches = [*inputs, *(probes.drawn(known) if known else ())]
    pairs = [(session.run([batch])[0], _in_keras(model)(batch)) for batch in batches]
    greatest = max(float(np.abs(expected).max()) for _, expected in pairs)
    apart = max(float(np.abs(found - expected).max()) for found, expected in pairs) / greatest
    if not apart <= TOLERANCE:
        raise InputError(f"the file of features differs from Keras by {apart:.1e} of the greatest; it is not kept")
    return apart


def _in_keras(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    def answer(batch: np.ndarray) -> np.ndarray:
        given = ops.convert_to_tensor(batch.astype("float32"))
        found: np.ndarray = ops.convert_to_numpy(model(given, training=False))
        return found

    return answer


def _name_output(path: Path) -> None:
    import onnx as package

    written = package.load(path)
    for node in written.graph.node:
        node.input[:] = [FEATURES if name == "output_0" else name for name in node.input]
        node.output[:] = [FEATURES if name == "output_0" else name for name in node.output]
    written.graph.output[0].name = FEATURES
    package.save(written, path)
