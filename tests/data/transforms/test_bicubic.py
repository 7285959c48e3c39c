"""Resizing is MATLAB's: bit for bit on its own pictures, by hand on small ones."""

import numpy as np
import pytest
from PIL import Image

from convmedia.data.transforms import bicubic
from convmedia.data.transforms.bicubic import imresize, luma, modcrop, rgb2ycbcr, ycbcr2rgb

# Keys's kernel (a = -0.5) at distances 1.75, 1.25, 0.75, 0.25, in 128ths: what enlarging by 2 makes of one light pixel.
IMPULSE_X2 = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 128

BICUBIC_PSNR = {  # decibels on Y, MATLAB, at scales 2, 3, 4
    "Set5": (33.661, 30.392, 28.421),
    "Set14": (30.232, 27.541, 26.000),
}
NUMBER_OF_PICTURES = {"Set5": 5, "Set14": 14}


def picture(*shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


def originals(convmedia_data, name):
    """(name, picture as stored) of a benchmark: most RGB, one grey."""
    paths = sorted((convmedia_data / "super_resolution" / name / "HR").glob("*.bmp"))
    assert len(paths) == NUMBER_OF_PICTURES[name]
    for path in paths:
        with Image.open(path) as image:
            yield path.stem.removesuffix("_GT"), np.array(image)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_low_resolution_pictures_of_matlab_come_out_bit_for_bit(convmedia_data, name, scale):
    folder = convmedia_data / "super_resolution" / name / "LR_bicubic_matlab" / f"X{scale}"
    differing = []
    for stem, original in originals(convmedia_data, name):
        with Image.open(folder / f"{stem}x{scale}.png") as image:
            expected = np.array(image)
        if not np.array_equal(imresize(modcrop(original, scale), 1 / scale), expected):
            differing.append(stem)
    assert differing == []


def test_double_arrays_of_matlab_come_out_to_1e_9(convmedia_data):
    folder = convmedia_data / "super_resolution"
    with np.load(folder / "matlab_bicubic_set5_y_double.npz") as matlab:
        for name in ("bird", "butterfly", "head", "woman"):
            with Image.open(folder / "Set5" / "HR" / f"{name}_GT.bmp") as image:
                original = np.array(image)
            for scale in (2, 3, 4):
                original = modcrop(original, scale)  # of what the scale before has left
                y = luma(original.astype(np.float64))
                small = imresize(y, 1 / scale, border="symmetric")
                back = imresize(small, scale, border="symmetric")
                np.testing.assert_allclose(small, matlab[f"{name}_GT_x{scale}/im_l_y"], rtol=0, atol=1e-9)
                np.testing.assert_allclose(back, matlab[f"{name}_GT_x{scale}/im_b_y"], rtol=0, atol=1e-9)


def bicubic_psnr(original, scale):
    """As the published evaluations: Y as uint8, down and up again unrounded, rounded for the comparison."""
    y = luma(modcrop(original, scale)).astype(np.float64)
    back = imresize(imresize(y, 1 / scale, border="symmetric"), scale, border="symmetric")
    error = (y - np.clip(np.floor(back + 0.5), 0, 255))[scale:-scale, scale:-scale]
    return 20 * np.log10(255 / np.sqrt(np.mean(error**2)))


@pytest.mark.parametrize("name", BICUBIC_PSNR)
def test_bicubic_rows_of_the_benchmarks_are_reproduced(convmedia_data, name):
    pictures = [original for _, original in originals(convmedia_data, name)]
    rows = [np.mean([bicubic_psnr(one, scale) for one in pictures]) for scale in (2, 3, 4)]
    assert rows == pytest.approx(BICUBIC_PSNR[name], abs=0.001)


def test_one_light_pixel_enlarged_is_the_kernel():
    line = np.zeros((1, 9))
    line[0, 4] = 1
    expected = np.zeros(18)
    expected[5:13] = IMPULSE_X2
    np.testing.assert_array_equal(imresize(line, (1, 18))[0], expected)
    np.testing.assert_array_equal(imresize(line.T, (18, 1))[:, 0], expected)


def test_shrinking_widens_the_kernel_unless_told_not_to():
    line = np.zeros((1, 18))
    line[0, 8] = 1
    # New samples 2 to 5 lie 3.5, 1.5, 0.5 and 2.5 pixels from the light one: half of that in the widened kernel.
    expected = np.array([0, 0, -3, 29, 111, -9, 0, 0, 0]) / 256
    np.testing.assert_array_equal(imresize(line, (1, 9))[0], expected)
    narrow = np.array([0, 0, 0, -1, 9, 0, 0, 0, 0]) / 16  # the kernel at 1.5 and 0.5
    np.testing.assert_array_equal(imresize(line, (1, 9), antialias=False)[0], narrow)


@pytest.mark.parametrize(("border", "mode"), [("replicate", "edge"), ("symmetric", "symmetric")])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 5)])
def test_beyond_the_border_lies_what_the_rule_says(border, mode, size):
    original = picture(*size, dtype=np.float64)
    padded = np.pad(original, 12, mode=mode)
    for scale in (2, 3, 4):
        cut = slice(12 * scale, -12 * scale)
        np.testing.assert_allclose(imresize(original, scale, border=border), imresize(padded, scale)[cut, cut])


def test_a_size_that_is_no_multiple_is_rounded_up_and_keeps_the_scale():
    line = picture(1, 5, dtype=np.float64)
    longer = imresize(np.pad(line, ((0, 0), (0, 7)), mode="edge"), 0.5)
    np.testing.assert_allclose(imresize(line, 0.5), longer[:, :3])
    assert not np.allclose(imresize(line, (1, 3)), longer[:, :3])  # scale 0.6


@pytest.mark.parametrize("border", ["replicate", "symmetric"])
@pytest.mark.parametrize("new_size", [(40, 40), (7, 5), (1, 1), (20, 3), (13, 90)])
def test_an_even_picture_stays_even(border, new_size):
    grey = np.full((13, 17, 3), 37.25)
    np.testing.assert_allclose(imresize(grey, new_size, border=border), np.full((*new_size, 3), 37.25))


def test_integers_are_rounded_after_rows_and_again_after_columns():
    original = picture(60, 40)
    by_axis = imresize(imresize(original, (30, 40)), (30, 20))
    np.testing.assert_array_equal(imresize(original, 0.5), by_axis)
    at_once = np.clip(np.round(imresize(original.astype(np.float64), 0.5)), 0, 255)
    assert not np.array_equal(by_axis, at_once)


def test_the_axis_that_shrinks_most_goes_first():
    original = picture(60, 40)
    np.testing.assert_array_equal(imresize(original, (90, 20)), imresize(imresize(original, (60, 20)), (90, 20)))
    assert not np.array_equal(imresize(original, (90, 20)), imresize(imresize(original, (90, 40)), (90, 20)))


@pytest.mark.parametrize(("pair", "between"), [([0, 1], 1), ([2, 3], 3), ([254, 255], 255)])
def test_halves_are_rounded_away_from_zero(pair, between):
    assert imresize(np.array([pair], np.uint8), (1, 1)) == between


@pytest.mark.parametrize(("dtype", "most"), [(np.uint8, 255), (np.uint16, 65535)])
def test_overshoot_is_clipped_in_integers_and_kept_in_floats(dtype, most):
    step = np.repeat([[0, most]], 4, axis=1).astype(dtype)
    enlarged = imresize(step, 2)
    assert (enlarged.dtype, enlarged.min(), enlarged.max()) == (dtype, 0, most)
    assert np.all(np.diff(enlarged[0].astype(int)) >= 0)
    unclipped = imresize(step.astype(np.float64), 2)
    assert unclipped.min() < -0.05 * most
    assert unclipped.max() > 1.05 * most


def test_channels_and_batches_are_resized_as_alone():
    batch = picture(2, 11, 7, 3)
    together = imresize(batch, 3)
    assert together.shape == (2, 33, 21, 3)
    for one, many in zip(batch, together, strict=True):
        np.testing.assert_array_equal(imresize(one, 3), many)
        np.testing.assert_array_equal(imresize(one[..., 1], 3), many[..., 1])


def test_float32_stays_float32_and_strides_do_not_matter():
    original = picture(12, 20, dtype=np.float32)
    enlarged = imresize(original, 2)
    assert enlarged.dtype == np.float32
    np.testing.assert_allclose(enlarged, imresize(original.astype(np.float64), 2), atol=2e-5)
    np.testing.assert_array_equal(imresize(original[::-1, ::2], 2), imresize(original[::-1, ::2].copy(), 2))


def test_blocks_leave_no_trace(monkeypatch):
    original = picture(37, 23, 3)
    whole = [imresize(original, scale) for scale in (0.3, 3)]
    monkeypatch.setattr(bicubic, "BLOCK_VALUES", 1)
    for scale, expected in zip((0.3, 3), whole, strict=True):
        np.testing.assert_array_equal(imresize(original, scale), expected)


@pytest.mark.parametrize(
    ("original", "scale", "border", "named"),
    [
        (np.zeros(5), 2, "replicate", r"\(5,\)"),
        (np.zeros((0, 5)), 2, "replicate", r"\(0, 5\)"),
        (np.zeros((5, 5), np.int64), 2, "replicate", "int64"),
        (np.zeros((5, 5)), 0, "replicate", "positive.* 0"),
        (np.zeros((5, 5)), float("inf"), "replicate", "finite.* inf"),
        (np.zeros((5, 5)), (0, 5), "replicate", r"\(0, 5\)"),
        (np.zeros((5, 5)), (5, 5, 3), "replicate", r"\(5, 5, 3\)"),
        (np.zeros((5, 5)), 2, "wrap", "wrap"),
    ],
)
def test_what_cannot_be_resized_is_named(original, scale, border, named):
    with pytest.raises(ValueError, match=named):
        imresize(original, scale, border=border)


def test_modcrop_cuts_the_end_off():
    original = picture(11, 9, 3)
    np.testing.assert_array_equal(modcrop(original, 4), original[:8, :8])
    assert modcrop(original[..., 0], 3).shape == (9, 9)
    with pytest.raises(ValueError, match=r"\(3, 9, 3\)"):
        modcrop(original[:3], 4)


# ITU-R BT.601 in studio range.
COLOURS = {
    (0, 0, 0): (16, 128, 128),
    (255, 255, 255): (235, 128, 128),
    (255, 0, 0): (81, 90, 240),
    (0, 255, 0): (145, 54, 34),
    (0, 0, 255): (41, 240, 110),
}


def test_colours_become_ycbcr_as_the_standard_has_them_and_back():
    rgb, ycbcr = np.array(list(COLOURS), np.uint8), np.array(list(COLOURS.values()), np.uint8)
    np.testing.assert_array_equal(rgb2ycbcr(rgb), ycbcr)
    assert np.abs(ycbcr2rgb(ycbcr).astype(int) - rgb).max() <= 1


def test_colours_in_floats_are_neither_rounded_nor_clipped():
    rgb = np.random.default_rng(0).uniform(-50, 300, (7, 5, 3))
    ycbcr = rgb2ycbcr(rgb)
    np.testing.assert_allclose(ycbcr2rgb(ycbcr), rgb, atol=1e-9)
    np.testing.assert_allclose(ycbcr[..., 0], 16 + (rgb @ [65.481, 128.553, 24.966]) / 255)
    assert rgb2ycbcr(rgb.astype(np.float32)).dtype == np.float32


def test_luma_is_y_and_a_grey_picture_is_its_own():
    rgb = picture(7, 5, 3)
    np.testing.assert_array_equal(luma(rgb), rgb2ycbcr(rgb)[..., 0])
    np.testing.assert_array_equal(luma(rgb[..., 0]), rgb[..., 0])


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 4)), np.zeros((4, 3), np.int32)])
def test_what_has_no_colours_is_named(wrong):
    with pytest.raises(ValueError, match=str(wrong.dtype)):
        rgb2ycbcr(wrong)
