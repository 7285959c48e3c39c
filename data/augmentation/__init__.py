"""The augmentation recipes that all applications share.

A recipe is `recipe(batch, seed)`: a float32 batch and a stateless seed, int32 (2,), made of (seed, epoch, step); the
same seed gives the same batch, whatever ran before and in however many threads. Pictures are in [0, 255] on both sides.
Recipes act on the training split only and never become part of a saved file.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convmedia.data.augmentation.digit_recipe import digits as digits
    from convmedia.data.augmentation.mixing import mixed as mixed
    from convmedia.data.augmentation.patch_recipe import patches as patches
    from convmedia.data.augmentation.photo_recipe import photos as photos
    from convmedia.data.augmentation.sound_recipes import spectrograms as spectrograms
    from convmedia.data.augmentation.sound_recipes import waveforms as waveforms
    from convmedia.data.augmentation.stateless_random import step_seed as step_seed
    from convmedia.data.augmentation.window_recipe import windows as windows

_PLACES = {
    "digits": "convmedia.data.augmentation.digit_recipe",
    "photos": "convmedia.data.augmentation.photo_recipe",
    "mixed": "convmedia.data.augmentation.mixing",
    "waveforms": "convmedia.data.augmentation.sound_recipes",
    "spectrograms": "convmedia.data.augmentation.sound_recipes",
    "patches": "convmedia.data.augmentation.patch_recipe",
    "windows": "convmedia.data.augmentation.window_recipe",
    "step_seed": "convmedia.data.augmentation.stateless_random",
}


def __getattr__(name: str) -> Any:
    """What is asked for is loaded then."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
