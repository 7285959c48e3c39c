"""What the page draws and saves has the pixels of the picture it was made from."""

import base64
import io

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def noise(folder) -> np.ndarray:
    pixels = np.random.default_rng(5).integers(0, 256, (53, 71, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "noise.png")
    return pixels


@pytest.mark.parametrize("in_worker", [False, True])
def test_a_saved_png_has_exactly_the_pixels(folder, asked, cat, noise, in_worker):
    cat.save(folder / "cat.png")
    Image.new("RGB", (1, 1), (1, 2, 3)).save(folder / "dot.png")
    for name, answer in zip(names := ["noise.png", "cat.png", "dot.png"], asked("png", names, in_worker), strict=True):
        with Image.open(io.BytesIO(base64.b64decode(answer["file"]))) as written, Image.open(folder / name) as expected:
            assert (written.format, written.mode) == ("PNG", "RGB")
            written.verify()
        with Image.open(io.BytesIO(base64.b64decode(answer["file"]))) as written, Image.open(folder / name) as expected:
            assert (np.asarray(written) == np.asarray(expected)).all()


def test_a_saved_photograph_is_about_as_small_as_pillow_makes_it(folder, asked, cat):
    cat.save(folder / "cat.png")
    (answer,) = asked("png", ["cat.png"])
    assert len(base64.b64decode(answer["file"])) < 1.15 * (folder / "cat.png").stat().st_size


@pytest.mark.parametrize("in_worker", [False, True])
def test_a_canvas_shows_the_pixels(asked, noise, in_worker):
    (answer,) = asked("shown", ["noise.png"], in_worker)
    assert (answer["data"] == noise).all()


def test_a_thumbnail_keeps_sides_and_colours_and_enlarges_nothing(folder, asked, cat, noise):
    large = cat.resize((900, 400))
    large.save(folder / "large.png")
    small, same = asked("shown", ["large.png", "noise.png"], side=90)
    assert small["data"].shape == (40, 90, 3)
    assert (same["data"] == noise).all()
    expected = np.asarray(large.resize((90, 40), Image.Resampling.BOX)).astype(float)
    assert np.abs(small["data"] - expected).mean() < 4
