"""What ends up inside a saved file: layers, networks, metrics, saving.

Importing this package registers every layer that a saved file may hold, so that `keras.saving.load_model` finds them.
"""

from convmedia.models import (
    answer,
    audio,
    backbones,
    enlarging,
    finetuning,
    ink,
    layers,
    mel,
    pictures,
    stylizing,
    super_resolution,
)
from convmedia.models.predicting import Predictor
from convmedia.models.saving import load, shipped

__all__ = [
    "Predictor",
    "answer",
    "audio",
    "backbones",
    "enlarging",
    "finetuning",
    "ink",
    "layers",
    "load",
    "mel",
    "pictures",
    "shipped",
    "stylizing",
    "super_resolution",
]
