"""PSNR and SSIM are the papers': closed forms, an independent implementation, published figures."""

import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf
from PIL import Image
from scipy.signal import convolve2d
from scipy.stats import binomtest

from convmedia.data.transforms import bicubic
from convmedia.models.losses import label_metrics, metrics

# Bicubic on Set5 at scales 2, 3, 4: PSNR of baby, bird, butterfly, head, woman, and published mean SSIM
# (Dong et al. 2016, table 3).
SET5_PSNR = {
    2: (37.07, 36.81, 27.43, 34.86, 32.14),
    3: (33.91, 32.57, 24.04, 32.88, 28.56),
    4: (31.78, 30.18, 22.10, 31.59, 26.46),
}
SET5_SSIM = {2: 0.9299, 3: 0.8682, 4: 0.8104}


def psnr(*pair, **options):
    return np.asarray(metrics.psnr(*pair, **options))


def ssim(*pair, **options):
    return np.asarray(metrics.ssim(*pair, **options))


def batch(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.float32)


def scipy_ssim(reference, answer):
    """Wang et al. 2004 as its formula reads: one 2-D window, float64, one picture (height, width)."""
    x, y = (picture.astype(np.float64) for picture in (reference, answer))
    place = np.arange(11) - 5
    window = np.exp(-(place[:, None] ** 2 + place**2) / (2 * 1.5**2))
    window /= window.sum()
    mean_x, mean_y, square_x, square_y, product = (
        convolve2d(values, window, mode="valid") for values in (x, y, x * x, y * y, x * y)
    )
    c1, c2 = 2.55**2, 7.65**2
    numerator = (2 * mean_x * mean_y + c1) * (2 * (product - mean_x * mean_y) + c2)
    denominator = (mean_x**2 + mean_y**2 + c1) * (square_x - mean_x**2 + square_y - mean_y**2 + c2)
    return np.mean(numerator / denominator)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_on_set5_has_the_published_figures(convmedia_data, scale):
    rows = []
    for path in sorted((convmedia_data / "super_resolution" / "Set5" / "HR").glob("*.bmp")):
        with Image.open(path) as image:
            y = bicubic.luma(bicubic.modcrop(np.array(image), scale)).astype(np.float64)
        small = bicubic.imresize(y, 1 / scale, border="symmetric")
        pair = [one[None, ..., None] for one in (y, bicubic.imresize(small, scale, border="symmetric"))]
        rows.append((psnr(*pair, border_px=scale)[0], ssim(*pair, border_px=scale)[0]))
    decibels, similarities = zip(*rows, strict=True)
    assert decibels == pytest.approx(SET5_PSNR[scale], abs=0.0051)
    assert np.mean(similarities) == pytest.approx(SET5_SSIM[scale], abs=0.0001)


@pytest.mark.parametrize("error", [1, 5, 100])
def test_psnr_of_a_known_error_is_its_closed_form(error):
    reference = np.full((1, 8, 9, 1), 120.0)
    assert psnr(reference, reference + error)[0] == pytest.approx(20 * np.log10(255 / error), abs=1e-4)
    one_pixel = reference.copy()
    one_pixel[0, 3, 4] += error
    expected = 20 * np.log10(255 / error) + 10 * np.log10(8 * 9)
    assert psnr(reference, one_pixel)[0] == pytest.approx(expected, abs=1e-4)


def test_psnr_is_of_each_picture_and_infinite_for_an_identical_one():
    reference = batch(3, 8, 9, 1) / 2
    answer = reference + np.array([0, 2, 20]).reshape(3, 1, 1, 1)
    expected = [np.inf, 20 * np.log10(255 / 2), 20 * np.log10(255 / 20)]
    np.testing.assert_allclose(psnr(reference, answer, rounded=False), expected, rtol=1e-6)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_the_border_does_not_count(metric):
    reference, answer = batch(2, 20, 23, 1), batch(2, 20, 23, 1, seed=1)
    inside = (slice(None), slice(3, -3), slice(3, -3))
    expected = metric(reference[inside], answer[inside])
    np.testing.assert_array_equal(metric(reference, answer, border_px=3), expected)
    frame = np.full_like(answer, 255)
    frame[inside] = answer[inside]
    np.testing.assert_array_equal(metric(reference, frame, border_px=3), expected)
    assert not np.allclose(metric(reference, frame), expected)


def test_pictures_are_rounded_and_clipped_first_unless_told_not_to():
    reference = np.array([10, 10, 10, 255]).reshape(1, 2, 2, 1)
    answer = np.array([10.49, 10.5, 9.51, 400.0]).reshape(1, 2, 2, 1)
    assert psnr(reference, answer)[0] == pytest.approx(20 * np.log10(255 / np.sqrt(1 / 4)), abs=1e-4)
    squares = 0.49**2 + 0.5**2 + 0.49**2 + 145**2
    assert psnr(reference, answer, rounded=False)[0] == pytest.approx(10 * np.log10(4 * 255**2 / squares), abs=1e-4)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_colour_is_compared_by_matlabs_luma(metric):
    reference, answer = batch(1, 15, 16, 3).astype(np.uint8), batch(1, 15, 16, 3, seed=1).astype(np.uint8)
    by_luma = [bicubic.luma(one[0])[None, ..., None] for one in (reference, answer)]
    np.testing.assert_allclose(metric(reference, answer), metric(*by_luma), rtol=1e-6)
    floats = reference.astype(np.float64)
    np.testing.assert_allclose(metrics.luma(floats)[0, ..., 0], bicubic.luma(floats[0]), atol=1e-4)


def test_ssim_of_identical_pictures_is_1():
    pictures = batch(2, 11, 30, 1)
    np.testing.assert_allclose(ssim(pictures, pictures), [1, 1], atol=1e-6)


def test_ssim_of_even_pictures_is_its_closed_form():
    answer, c1 = np.array([100.0, 10.0, 250.0]), 2.55**2
    levels = np.broadcast_to(answer.reshape(3, 1, 1, 1), (3, 12, 13, 1))
    expected = (2 * 100 * answer + c1) / (100**2 + answer**2 + c1)
    np.testing.assert_allclose(ssim(np.full_like(levels, 100.0), levels), expected, atol=1e-6)


@pytest.mark.parametrize("contrast", [1.0, 0.05])
@pytest.mark.parametrize("level", [0, 200])
def test_ssim_is_the_one_of_an_independent_implementation(contrast, level):
    reference = level * (1 - contrast) + contrast * batch(2, 31, 26, 1)
    answer = reference + np.random.default_rng(2).normal(0, 6, reference.shape)
    expected = [scipy_ssim(*pair) for pair in zip(reference[..., 0], answer[..., 0], strict=True)]
    np.testing.assert_allclose(ssim(reference, answer, rounded=False), expected, atol=2e-6)


@pytest.mark.parametrize("metric", [metrics.psnr, metrics.ssim])
def test_free_sizes_inside_a_graph_give_the_same(metric):
    free = tf.TensorSpec((None, None, None, 3), tf.float32)
    traced = tf.function(lambda x, y: metric(x, y, border_px=2), input_signature=[free, free])
    pair = batch(2, 17, 19, 3), batch(2, 17, 19, 3, seed=1)
    np.testing.assert_allclose(traced(*pair), metric(*pair, border_px=2), rtol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "border_px", "named"),
    [
        (((1, 20, 20, 1), (1, 20, 21, 1)), 0, "one shape"),
        (((20, 20, 1), (20, 20, 1)), 0, "one shape"),
        (((1, 20, 20, 2), (1, 20, 20, 2)), 0, "one shape"),
        (((1, 20, 18, 1), (1, 20, 18, 1)), 4, "11x11 .*border_px 4"),
        (((1, 20, 20, 1), (1, 20, 20, 1)), -1, "border_px -1"),
    ],
)
def test_what_cannot_be_compared_is_named(shapes, border_px, named):
    with pytest.raises(ValueError, match=named):
        ssim(*map(np.zeros, shapes), border_px=border_px)
    if border_px == 4:
        assert np.isposinf(psnr(*map(np.zeros, shapes), border_px=border_px))


@pytest.mark.parametrize(("right", "number"), [(557, 600), (0, 3), (3, 3), (1, 1), (50, 100), (9_962, 10_000)])
def test_the_interval_of_an_accuracy_is_wilsons(right, number):
    expected = binomtest(right, number).proportion_ci(method="wilson")
    assert label_metrics.wilson_interval(right, number) == pytest.approx(tuple(expected), abs=1e-12)


def test_figures_of_labels_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.choice(4, 200, p=[0.7, 0.2, 0.08, 0.02])
    answers = np.where(rng.random(200) < 0.7, truth, rng.integers(0, 4, 200))
    found = label_metrics.label_figures(truth, answers, list("abcd"))
    assert found["balanced_accuracy"] == pytest.approx(sklearn.metrics.balanced_accuracy_score(truth, answers))
    assert found["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(truth, answers, average="macro"))
    assert [found["per_label"][label]["examples"] for label in "abcd"] == np.bincount(truth).tolist()
    assert found["per_label"]["b"]["precision"] == pytest.approx((truth[answers == 1] == 1).mean())
    assert found["per_label"]["b"]["recall"] == pytest.approx((answers[truth == 1] == 1).mean())


def test_labels_without_examples_are_left_out_of_the_means():
    truth, answers = np.array([0, 0, 0, 1]), np.array([0, 0, 2, 1])
    found = label_metrics.label_figures(truth, answers, ["a", "b", "never", "never answered either"])
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["macro_f1"] == pytest.approx((2 * 2 / 5 + 1) / 2)
    assert found["per_label"]["never"]["recall"] is None
    assert found["per_label"]["never answered either"]["precision"] is None
    assert found["per_label"]["never"]["examples"] == 0


def test_a_label_that_is_never_answered_counts_as_nothing_in_macro_f1():
    found = label_metrics.label_figures(np.array([0, 0, 1]), np.array([0, 0, 0]), ["a", "b"])
    assert found["balanced_accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx(0.8 / 2)
