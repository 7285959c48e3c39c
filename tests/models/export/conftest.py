"""What tests of exports share."""

import keras
import pytest

from convmedia.models.inference.predictor import Predictor
from convmedia.models.saving import assembly

SOUND = {"kind": "sound", "dtype": "float32", "shape": [None], "sample_rate": 8000}


@pytest.fixture
def hears() -> Predictor:
    """A small network that tells three labels of sounds of any length."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.layers.Reshape((-1, 1)),
            keras.layers.Conv1D(4, 9, strides=4, padding="same", activation="relu"),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    return Predictor(assembly.assemble(network, app="audio", labels=["a", "b", "c"], input=SOUND, details={}))
