"""Pictures laid on each other: known cuts, turns and mirror images are found again, other pictures are not."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter

from convmedia.data.splits.registration import Registered, Small, registered


def scene(seed: int) -> Image.Image:
    """A picture of 320 x 240 px with detail of many sizes."""
    rng = np.random.default_rng(seed)
    planes = [gaussian_filter(rng.normal(0, 1, (240, 320, 3)), (width, width, 0)) for width in (2, 5, 12, 30)]
    whole = sum(plane / plane.std() for plane in planes)
    return Image.fromarray((128 + 30 * whole).clip(0, 255).astype(np.uint8))


def laid(one: Image.Image, other: Image.Image) -> Registered:
    found = registered(Small(np.asarray(one)), Small(np.asarray(other)))
    assert found is not None
    return found


def test_a_picture_lies_on_itself():
    found = laid(scene(0), scene(0))
    assert found.likeness == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(found.affine, [[1, 0, 0], [0, 1, 0]], atol=1e-3)
    assert (found.mirrored, found.shares) == (False, (1.0, 1.0))


@pytest.mark.parametrize("seed", range(4))
def test_a_mirror_image_is_told(seed):
    found = laid(scene(seed), scene(seed).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert found.likeness > 0.98 and found.mirrored
    np.testing.assert_allclose(found.affine, [[-1, 0, 1], [0, 1, 0]], atol=0.01)
    assert found.degrees == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize("degrees", [-8, -3, 5])
def test_a_turn_is_measured(degrees):
    turned = scene(1).rotate(degrees, Image.Resampling.BICUBIC).crop((30, 30, 290, 210))
    found = laid(scene(1), turned)
    assert found.likeness > 0.9
    assert found.degrees == pytest.approx(abs(degrees), abs=0.4)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_cut_is_measured_from_either_side(swapped):
    cut = scene(2).crop((64, 24, 304, 204))  # 240 x 180 px of 320 x 240
    pair = (cut, scene(2)) if swapped else (scene(2), cut)
    found = laid(*pair)
    shares = found.shares[::-1] if swapped else found.shares
    assert found.likeness > 0.9
    assert shares == pytest.approx((240 * 180 / (320 * 240), 1), abs=0.03)
    affine = (
        [[240 / 320, 0, 64 / 320], [0, 240 / 320, 24 / 320]] if swapped else [[4 / 3, 0, -64 / 240], [0, 4 / 3, -0.1]]
    )
    np.testing.assert_allclose(found.affine, affine, atol=0.02)


def test_brightness_size_and_noise_change_little():
    altered = ImageEnhance.Contrast(ImageEnhance.Brightness(scene(3)).enhance(0.6)).enhance(0.7).resize((140, 90))
    assert laid(scene(3), altered).likeness > 0.9


@pytest.mark.parametrize("seed", range(6))
def test_other_pictures_do_not_lie_on_each_other(seed):
    found = registered(Small(np.asarray(scene(seed))), Small(np.asarray(scene(seed + 100))))
    assert found is None or found.likeness < 0.7


def test_pictures_without_detail_are_nowhere_alike():
    blank = np.full((50, 80, 3), 200, np.uint8)
    assert registered(Small(blank), Small(blank)) is None
    assert registered(Small(blank), Small(np.asarray(scene(0)))) is None
