"""Around a page is cut off in a browser what a command cuts off, and what is blank to one is blank to the other."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from convmedia.data.images import decoding, pages
from convmedia.data.samples import __file__ as samples

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")


def drawings() -> dict[str, np.ndarray]:
    """Borders, frames, sheets, light that falls off, noise and nothing, some of each at the limit of what counts."""
    random = np.random.default_rng(4)
    found = {}
    for number in range(60):
        height, width = random.integers(20, 700, 2)
        paper, ink, table = random.integers(120, 256), random.integers(0, 120), random.integers(0, 256)
        image = Image.new("RGB", (int(width), int(height)), (int(paper),) * 3)
        draw = ImageDraw.Draw(image)
        short = min(width, height)
        line = max(1, int(short * random.choice([0.01, 0.03, 0.08])))
        kind = number % 6
        left, top, right, bottom = (int(side * random.uniform(0.02, 0.3)) for side in (width, height, width, height))
        box = (left, top, max(left + 2, int(width) - right), max(top + 2, int(height) - bottom))
        if kind in (0, 5):  # a frame
            draw.rectangle(box, outline=(int(ink), int(ink), 90), width=line)
        if kind == 1:  # a sheet on a table
            draw.rectangle((0, 0, int(width), int(height)), fill=(int(table), 60, 60))
            draw.rectangle(box, fill=(int(paper),) * 3)
        if kind in (2, 5):  # a scanner's border
            for at_edge in range(int(short * random.uniform(0.01, 0.4))):
                draw.line((at_edge, 0, at_edge, int(height)), fill=(10, 10, 10))
        if kind != 4:
            middle, size = (width / 2, height / 2), short * random.uniform(0.05, 0.2)
            round_box = (middle[0] - size, middle[1] - size, middle[0] + size, middle[1] + size)
            draw.ellipse(round_box, outline=(int(ink),) * 3, width=line)
        pixels = np.asarray(image).astype(np.float64)
        pixels += random.uniform(0, 60) * np.linspace(-1, 1, width)[None, :, None] * (number % 4 == 0)
        pixels += random.normal(0, random.choice([0.5, 3, 12]), pixels.shape) * (number % 3 == 0)
        found[f"drawn{number}.png"] = np.clip(pixels, 0, 255).astype(np.uint8)
    for number in range(20):  # marks that are about as strong as noise and contrast allow
        pixels = 200 + random.normal(0, number % 5, (90 + number, 60, 3))
        pixels[30:40, 30:33] -= number * 1.5
        found[f"faint{number}.png"] = pixels.round().astype(np.uint8)
    for height, width in ((1, 1), (1, 40), (40, 1), (3, 3), (28, 28), (257, 256)):
        pixels = np.full((height, width, 3), 255, np.uint8)
        pixels[height // 3 : height // 2 + 1, width // 3 : width // 2 + 1] = 20
        found[f"small{height}x{width}.png"] = pixels
    return found


def same(folder: Path, asked) -> tuple[int, int, int]:
    """Assert that both do the same with each file of a folder; how many there were, were cut, and are blank."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    cut = blank = 0
    for name, answer in zip(names, asked("inside", names), strict=True):
        picture = decoding.decode(folder / name)
        expected = pages.inside(picture)
        assert answer["data"].shape == expected.shape, name
        assert (answer["data"] == expected).all(), name
        assert answer["blank"] == pages.is_blank(picture), name
        cut += expected.shape != picture.shape
        blank += answer["blank"]
    return len(names), cut, blank


def test_drawn_borders_frames_and_sheets_are_cut_off_where_a_command_cuts_them_off(folder, asked):
    for name, pixels in drawings().items():
        Image.fromarray(pixels).save(folder / name)
    number, cut, blank = same(folder, asked)
    assert number == 86
    assert 15 < cut < number - 15, "the drawings show both"
    assert 5 < blank < number - 15, "the drawings show both"


def test_the_samples_are_cut_as_a_command_cuts_them(folder, asked):
    for path in Path(samples).parent.iterdir():
        if path.suffix in SUFFIXES:
            (folder / path.name).write_bytes(path.read_bytes())
    assert same(folder, asked)[0] == 6


@pytest.mark.skipif("CONVMEDIA_DATA" not in os.environ, reason="photographs of digits are not at hand")
def test_photographs_of_digits_are_cut_as_a_command_cuts_them(folder, asked):
    for path in (Path(os.environ["CONVMEDIA_DATA"]) / "digits_in_the_wild").rglob("*"):
        if path.suffix.lower() in SUFFIXES:
            (folder / f"{path.parent.name}_{path.name}").write_bytes(path.read_bytes())
    assert same(folder, asked)[0] > 30
