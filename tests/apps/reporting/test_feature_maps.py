"""Sheets of filters and maps, pixel by pixel."""

import matplotlib
import numpy as np
import pytest

from convmedia.apps.reporting import feature_maps

RANDOM = np.random.default_rng(0)


def image(axes):
    return axes.get_images()[0]


def test_filters_before_and_after_are_on_one_scale():
    before, after = 0.1 * RANDOM.normal(size=(5, 3, 3, 1)), RANDOM.normal(size=(5, 3, 3, 1))
    left, right = feature_maps.filter_sheet(after, before).axes[:2]
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("before training", "after training")
    limit = np.abs(after).max()
    assert image(left).get_clim() == image(right).get_clim() == (-limit, limit)
    grid = image(right).get_array()
    assert grid.shape == (7, 11)  # 3 columns and 2 rows of 3x3 with a gap of 1
    np.testing.assert_array_equal(grid[4:7, 4:7], after[4, ..., 0])
    assert np.ma.getmaskarray(grid)[3].all() and np.ma.getmaskarray(grid)[4:7, 8:].all()


def test_filters_of_three_channels_are_colours_around_grey():
    kernels = RANDOM.normal(size=(1, 3, 3, 3))
    grid = image(feature_maps.filter_sheet(kernels).axes[0]).get_array()
    np.testing.assert_allclose(grid[..., :3], kernels[0] / (2 * np.abs(kernels).max()) + 0.5)
    np.testing.assert_array_equal(grid[..., 3], np.ones((3, 3)))


def test_filters_of_more_channels_are_their_mean():
    kernels = RANDOM.normal(size=(1, 3, 3, 8))
    grid = image(feature_maps.filter_sheet(kernels).axes[0]).get_array()
    np.testing.assert_allclose(grid, kernels[0].mean(axis=-1))


def test_filters_that_are_all_zero_are_drawn():
    for channels in (1, 3):
        figure = feature_maps.filter_sheet(np.zeros((2, 3, 3, channels)))
        figure.draw_without_rendering()
        assert np.isfinite(np.ma.compressed(image(figure.axes[0]).get_array())).all()


def test_activations_draw_the_maps_with_the_largest_peaks_in_order():
    maps = np.zeros((2, 2, 4))
    maps[0, 0], maps[1, 1] = (5, 1, 3, 4), (0, 0, -6, 0)
    axes = feature_maps.activation_sheet([("conv", maps), ("pool", maps[:1, :1])], maximum=2).axes
    titles = [each.get_title(loc="left") for each in axes]
    assert titles == ["conv: 4 maps of 2 x 2, the 2 strongest", "pool: 4 maps of 1 x 1, the 2 strongest"]
    grid = image(axes[0]).get_array()
    np.testing.assert_array_equal(grid[:, :2], maps[..., 0])
    np.testing.assert_array_equal(grid[:, 3:5], maps[..., 2])
    assert np.ma.getmaskarray(grid)[:, 5:].all()


def test_large_maps_are_averaged_along_each_side():
    maps = np.arange(4 * 6, dtype=float).reshape(4, 6, 1)
    grid = image(feature_maps.activation_sheet([("conv", maps)], side_px=3).axes[0]).get_array()
    np.testing.assert_array_equal(grid[:, :3], maps[..., 0].reshape(2, 2, 3, 2).mean(axis=(1, 3)))


def test_heat_covers_where_it_is_and_nothing_else():
    picture = RANDOM.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    painted = feature_maps.overlay(picture, np.array([[0.0, 1.0], [0.5, 0.0]]), strength=0.8)
    np.testing.assert_array_equal(painted[[0, 1], [0, 1]], picture[[0, 1], [0, 1]])
    hottest = 255 * np.array(matplotlib.colormaps["plasma"](1.0)[:3])
    np.testing.assert_allclose(painted[0, 1], 0.2 * picture[0, 1] + 0.8 * hottest, atol=0.51)
    middle = 255 * np.array(matplotlib.colormaps["plasma"](0.5)[:3])
    np.testing.assert_allclose(painted[1, 0], 0.6 * picture[1, 0] + 0.4 * middle, atol=0.51)


def test_heat_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"received \(2, 2\) and \(3, 3\)"):
        feature_maps.overlay(np.zeros((2, 2, 3), np.uint8), np.zeros((3, 3)))


def test_a_prepared_picture_is_stretched_to_be_looked_at():
    shown = feature_maps.stretched(np.array([[[-1.0], [0.0]], [[0.5], [1.0]]]))
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(shown[..., 1], [[0, 128], [191, 255]])
    np.testing.assert_array_equal(feature_maps.stretched(np.full((2, 3, 3), 7.0)), np.zeros((2, 3, 3)))
