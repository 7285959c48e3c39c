"""Visible colour reaches into hidden pixels, and visible edges keep it."""

import numpy as np
import pytest

from convmedia.apps.tasks.style_transfer.pictures import as_original, in_rgb, resized
from convmedia.apps.tasks.super_resolution.upscale import compared, upscale
from convmedia.data.images import transparency
from convmedia.data.images.lossless import Original
from convmedia.data.images.transparency import extended
from convmedia.models import shipped

RED = np.array([220, 40, 40])


def disc(dtype=np.uint8, hidden=0):
    """A red disc of hard edge over a hidden colour."""
    white = np.iinfo(dtype).max
    y, x = np.mgrid[:40, :40]
    visible = (y - 20) ** 2 + (x - 20) ** 2 < 12**2
    colour = np.where(visible[..., None], RED, hidden) * (white // 255)
    return Original(colour.astype(dtype), np.where(visible, white, 0).astype(dtype))


def test_hidden_pixels_take_the_nearest_visible_colour_and_visible_ones_stay() -> None:
    colour = np.array([[[1], [9], [5], [9], [9], [7]]], np.uint8)
    alpha = np.array([[1, 0, 200, 0, 0, 255]], np.uint8)
    assert extended(colour, alpha)[0, :, 0].tolist() in ([1, 1, 5, 5, 7, 7], [1, 5, 5, 5, 7, 7])
    assert colour[0, 1, 0] == 9


def test_all_hidden_and_opaque_pictures_stay_as_they_are() -> None:
    colour = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    for alpha in (None, np.full((2, 2), 3, np.uint8), np.zeros((2, 2), np.uint8)):
        assert extended(colour, alpha) is colour


def test_strips_give_what_the_whole_gives_within_their_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (90, 30, 3)).astype(np.uint8)
    alpha = np.where(rng.random((90, 30)) < 0.05, 255, 0).astype(np.uint8)
    whole = extended(colour, alpha)
    monkeypatch.setattr(transparency, "STRIP_PX", 16)
    monkeypatch.setattr(transparency, "REACH_PX", 40)
    np.testing.assert_array_equal(extended(colour, alpha), whole)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("hidden", [0, 255])
def test_visible_edges_keep_their_colour_when_a_transparent_picture_is_painted_smaller(dtype, hidden) -> None:
    original = disc(dtype, hidden)
    painted = as_original(original, resized(in_rgb(original), (23, 23)))
    assert painted.alpha is not None
    seen = painted.colour[painted.alpha > 0] / np.iinfo(dtype).max * 255
    np.testing.assert_allclose(seen, np.broadcast_to(RED, seen.shape), atol=1)


@pytest.mark.parametrize("network", ["srcnn", "carn-m"])
@pytest.mark.parametrize("hidden", [0, 255])
def test_visible_edges_keep_their_colour_when_a_transparent_picture_is_enlarged(network, hidden) -> None:
    original = disc(hidden=hidden)
    larger = upscale(shipped(f"{network}_x2"), original, 2, 256)
    assert larger.alpha is not None
    seen = larger.colour[larger.alpha > 16].astype(int)
    np.testing.assert_allclose(seen, np.broadcast_to(RED, seen.shape), atol=3)
    np.testing.assert_allclose(compared(original, larger, 2).astype(int)[:, :80], np.full((80, 80, 3), RED), atol=2)
