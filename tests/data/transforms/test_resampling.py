"""Resizing in floating point against Pillow and against the layer of saved files."""

import keras
import numpy as np
import pytest
from PIL import Image

from convmedia.data.transforms import resampling
from convmedia.models.preprocessing.resize import Resize


@pytest.mark.parametrize("shape", [(90, 61), (20, 300), (7, 5), (1, 1), (48, 40)])
def test_resizing_is_that_of_pillow_without_rounding_and_that_of_the_layer(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    found = resampling.resized(picture, (48, 40))
    channels = [Image.fromarray(picture[..., one].astype(np.float32)) for one in range(3)]
    by_pillow = [np.asarray(one.resize((40, 48), Image.Resampling.BILINEAR)) for one in channels]
    np.testing.assert_allclose(found, np.stack(by_pillow, axis=-1), atol=2e-3)
    layer = keras.ops.convert_to_numpy(Resize(48, 40)(picture[np.newaxis].astype(np.float32)))
    np.testing.assert_allclose(found, layer[0], atol=2e-3)


def test_the_layer_leaves_a_picture_of_its_size_as_it_is() -> None:
    prepared = np.random.default_rng(0).uniform(0, 255, (2, 48, 40, 3)).astype(np.float32)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(Resize(48, 40)(prepared)), prepared)
