"""Borders, frames and tables around a page are cut off where that is certain; what shows nothing is blank."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from convmedia.data.images import decoding, pages
from convmedia.models import shipped


def seven(side=200, ground=245, ink=20):
    page = Image.new("RGB", (side, side), (ground,) * 3)
    pencil = ImageDraw.Draw(page)
    stroke = [(0.3 * side, 0.25 * side), (0.7 * side, 0.25 * side), (0.45 * side, 0.8 * side)]
    pencil.line(stroke, fill=(ink,) * 3, width=side // 14, joint="curve")
    return np.asarray(page)


def framed(page, width=6, gap=12, colour=30):
    image = Image.fromarray(page)
    ImageDraw.Draw(image).rectangle(
        (gap, gap, page.shape[1] - gap - 1, page.shape[0] - gap - 1), outline=(colour,) * 3, width=width
    )
    return np.asarray(image)


def bordered(page, top=0, bottom=0, left=0, right=0, colour=0):
    return np.pad(page, ((top, bottom), (left, right), (0, 0)), constant_values=colour)


@pytest.fixture(scope="module")
def reader():
    return shipped("mnist")


AROUND = {
    "scanner's border at two sides": bordered(seven(), top=25, left=18),
    "scanner's border at one side": bordered(seven(), right=30),
    "black border": bordered(seven(), 20, 20, 20, 20, 10),
    "frame": framed(seven()),
    "thick frame at the edge": framed(seven(), width=12, gap=0),
    "frame in a border": bordered(framed(seven()), top=30, left=30),
    "white frame on black": 255 - framed(seven()),
    "sheet on a dark table": bordered(seven(), 70, 90, 110, 80, 60),
    "small": framed(seven(64), width=2, gap=3),
    "noise": np.clip(
        bordered(seven(), top=25, left=18) + np.random.default_rng(0).normal(0, 5, (225, 218, 3)), 0, 255
    ).astype(np.uint8),
    "turned a little": np.asarray(
        Image.fromarray(bordered(seven(), 70, 90, 110, 80, 60)).rotate(3, Image.Resampling.BICUBIC, fillcolor=(60,) * 3)
    ),
}


@pytest.mark.parametrize("name", AROUND)
def test_the_digit_is_read_inside_of_what_surrounds_it(name, reader, tmp_path):
    decoding.encode(AROUND[name], tmp_path / "a.png")
    [row] = reader.predict_files([tmp_path / "a.png"])
    assert row["label"] == "7" and row["score"] > 0.9, row


BLANK = {
    "white": np.full((60, 80, 3), 250.0),
    "black": np.zeros((28, 28, 3)),
    "one pixel": np.full((1, 1, 3), 77.0),
    "uneven light": np.full((120, 90, 3), 230.0) * np.linspace(1, 0.5, 90)[None, :, None],
    "noise": 200 + np.random.default_rng(1).normal(0, 6, (300, 200, 3)),
    "coloured paper": np.broadcast_to([240.0, 220.0, 120.0], (500, 400, 3)),
    "border around nothing": bordered(np.full((200, 200, 3), 245), 20, 20, 20, 20, 245),
}


@pytest.mark.parametrize("name", BLANK)
def test_what_shows_nothing_is_blank(name):
    assert pages.is_blank(np.clip(BLANK[name], 0, 255).astype(np.uint8))


def test_a_blank_page_is_an_error_row_and_no_digit(reader, tmp_path):
    decoding.encode(np.full((300, 200, 3), 240, np.uint8), tmp_path / "a.png")
    decoding.encode(seven(), tmp_path / "b.png")
    first, second = reader.predict_files([tmp_path / "a.png", tmp_path / "b.png"])
    assert first == {
        "file": str(tmp_path / "a.png"),
        "error": f"{tmp_path}/a.png shows no digit: the page is blank; give a picture of one",
    }
    assert second["label"] == "7"


def test_digits_are_no_frames():
    rows, columns = np.indices((200, 200))
    ring = np.abs(np.hypot((rows - 100) / 90, (columns - 100) / 70) - 1) < 0.12
    box = framed(np.full((200, 200, 3), 255, np.uint8), width=14)
    for digit in (np.where(ring[..., None], 20, 250).astype(np.uint8).repeat(3, 2), box, seven(), 255 - seven()):
        assert pages.inside(digit).shape == digit.shape and not pages.is_blank(digit)


def test_pictures_without_anything_around_are_read_as_they_are(convmedia_data):
    with np.load(convmedia_data / "mnist.npz") as mnist:
        written = [digit[..., None].repeat(3, 2) for digit in mnist["x_test"][::50]]
    photographed = [decoding.decode(file) for file in decoding.find([convmedia_data / "digits_in_the_wild"])]
    assert len(photographed) == 40
    for picture in written + photographed:
        assert pages.inside(picture).shape == picture.shape and not pages.is_blank(picture)


def test_pencil_on_a_large_page_is_seen():
    page = np.full((3000, 2000, 3), 240, np.uint8)
    page[1400:1600, 990:998] = 150
    soft = ndimage.gaussian_filter(page, (2, 2, 0))
    assert not pages.is_blank(soft)
