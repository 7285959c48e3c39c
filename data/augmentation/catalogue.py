"""The recipes that `--augment` names, a row each. A new one is a function and a row; TensorFlow is loaded when a recipe
is made.
"""

from dataclasses import dataclass

from convmedia.data.storage.deferred import Deferred

HERE = "convmedia.data.augmentation"
SHIFTS = {"width_shift_range": 0.15, "height_shift_range": 0.15, "shear_range": 0.0}


@dataclass(frozen=True)
class SoundRecipes:
    """What is done to sounds.

    Attributes:
        waveforms: makes a recipe as `sound_recipes.waveforms` does; None where nothing is done to them.
        spectrograms: makes one as `sound_recipes.spectrograms` does.
        separable: an example is made without the others of its batch.
    """

    waveforms: Deferred | None = None
    spectrograms: Deferred | None = None
    separable: bool = True


PHOTOS: dict[str, Deferred | None] = {
    "strong": Deferred(
        f"{HERE}.photo_recipe:photos",
        {"rotation_range": 15.0, "zoom_range": (0.6, 1.0), "colour_jitter": 0.3, **SHIFTS},
    ),
    "photos": Deferred(f"{HERE}.photo_recipe:photos"),
    "randaugment": Deferred(
        f"{HERE}.photo_recipe:photos", {"rotation_range": 0.0, "zoom_range": (0.6, 1.0), "randaugment": 2, **SHIFTS}
    ),
    # Little is needed where the network has seen a million pictures.
    "light": Deferred(
        f"{HERE}.photo_recipe:photos",
        {"rotation_range": 10.0, "zoom_range": (0.75, 1.0), "shear_range": 0.0, "colour_jitter": 0.2},
    ),
    "none": None,
}
"""Each makes a recipe(batch, seed): float32 (n, height, width, 3) in 0..255, to the same."""

SOUNDS: dict[str, SoundRecipes] = {
    "words": SoundRecipes(
        Deferred(f"{HERE}.sound_recipes:waveforms", {"shift": 0.1, "speed": 0.15}),
        Deferred(f"{HERE}.sound_recipes:spectrograms", {"time": 0.15, "bands": 0.15}),
    ),
    "noises": SoundRecipes(
        Deferred(f"{HERE}.sound_recipes:waveforms", {"speed": 0.15, "rolled": True, "noise_share": 0.25}),
        Deferred(f"{HERE}.sound_recipes:spectrograms", {"time": 0.15, "bands": 0.12, "mixup": 0.3}),
        separable=False,
    ),
    "none": SoundRecipes(),
}
