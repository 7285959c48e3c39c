import numpy as np

from convmedia.data.augmentation import window_recipe
from convmedia.data.datasets.patches import Patches

RNG = np.random.default_rng(0)
SEED = np.array([3, 5], np.int32)


def test_a_seed_gives_the_same_windows_and_another_gives_others():
    photos = [RNG.integers(0, 256, (60, 80, 3)).astype("uint8") for _ in range(3)]
    bank = Patches(photos, [window_recipe.windows(16)], (1.0, 0.5))
    one, again, other = bank(np.arange(4), SEED), bank(np.arange(4), SEED), bank(np.arange(4), SEED + 1)
    assert (one.shape, one.dtype) == ((4, 16, 16, 3), np.float32)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1
    assert 0 <= one.min() <= one.max() <= 255


def test_without_jitter_windows_are_pixels_mirrored_or_not():
    batch = RNG.integers(0, 256, (12, 9, 9, 3)).astype("uint8")
    answer = window_recipe.windows(9, jitter=0.0)(batch, SEED)
    plain = np.abs(answer - batch).max(axis=(1, 2, 3)) < 1e-3
    mirrored = np.abs(answer - batch[:, :, ::-1]).max(axis=(1, 2, 3)) < 1e-3
    assert (plain ^ mirrored).all()
    assert 0 < plain.sum() < 12


def test_larger_windows_are_shrunk():
    flat = np.full((2, 32, 32, 3), 77, np.uint8)
    np.testing.assert_allclose(window_recipe.windows(16, jitter=0.0)(flat, SEED), 77, atol=1e-3)
