"""Every layer that a saved file may hold, registered with Keras: importing this module imports Keras and does it."""

from convmedia.data.storage import memory
from convmedia.models import answer
from convmedia.models.backbones import catalogue, finetuning
from convmedia.models.networks import abstaining, photos, sounds, stylization, super_resolution
from convmedia.models.preprocessing import digit_localization, mel_spectrogram, resize, upsampling

REGISTERING = (
    abstaining,
    answer,
    catalogue,
    digit_localization,
    finetuning,
    mel_spectrogram,
    photos,
    resize,
    sounds,
    stylization,
    super_resolution,
    upsampling,
)

memory.reused_by_tensorflow()
