"""What ends up inside a saved file: layers, networks, metrics, saving.

Importing this package registers every layer that a saved file may hold, so that `keras.saving.load_model` finds them.
"""

from convmedia.models import answer
from convmedia.models.backbones import catalogue, finetuning
from convmedia.models.inference import sound_predictor
from convmedia.models.inference.predictor import Predictor
from convmedia.models.networks import photos, sounds, stylization, super_resolution
from convmedia.models.preprocessing import digit_localization, mel_spectrogram, resize, upsampling
from convmedia.models.saving.files import load, shipped

__all__ = ["Predictor", "load", "shipped"]

REGISTERING = (
    answer,
    catalogue,
    digit_localization,
    finetuning,
    mel_spectrogram,
    photos,
    resize,
    sound_predictor,
    sounds,
    stylization,
    super_resolution,
    upsampling,
)
