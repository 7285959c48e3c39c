"""What ends up inside a saved file: layers, networks, metrics, saving.

Importing this package registers every layer that a saved file may hold, so that `keras.saving.load_model` finds them.
"""

from convmedia.models import answer, enlarging, ink, layers
from convmedia.models.predicting import Predictor
from convmedia.models.saving import load, shipped

__all__ = ["Predictor", "answer", "enlarging", "ink", "layers", "load", "shipped"]
