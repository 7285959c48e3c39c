"""What ends up inside a saved file: layers, networks, metrics, saving.

Importing this package registers every layer that a saved file may hold, so that `keras.saving.load_model` finds them.
"""

from convmedia.models import answer, backbones, enlarging, finetuning, ink, layers, pictures, super_resolution
from convmedia.models.predicting import Predictor
from convmedia.models.saving import load, shipped

__all__ = [
    "Predictor",
    "answer",
    "backbones",
    "enlarging",
    "finetuning",
    "ink",
    "layers",
    "load",
    "pictures",
    "shipped",
    "super_resolution",
]
