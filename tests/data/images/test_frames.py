"""Animations and files of several pages: counted, read frame by frame, written again with all that they were."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import putchunk

from convmedia.apps.batch.image_to_image import Made, made
from convmedia.apps.tasks.style_transfer import multiscale
from convmedia.data.images import apng, decoding, frames, lossless
from convmedia.data.images.lossless import Original

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
DURATIONS = [100, 200, 300]


def animation(path: Path, **options) -> Path:
    first, *others = [Image.new("RGB", (12, 8), colour) for colour in COLOURS]
    first.save(path, save_all=True, append_images=others, **options)
    return path


def pages(path: Path, preview: bool = False) -> Path:
    first, *others = [Image.new("RGB", (12, 8), colour) for colour in COLOURS]
    if preview:
        others[0].encoderinfo = {"tiffinfo": {254: 1}}
    first.save(path, save_all=True, append_images=others)
    return path


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_an_animation_is_made_frame_by_frame_and_keeps_durations_and_loop(tmp_path: Path, suffix: str) -> None:
    file = animation(tmp_path / f"a{suffix}", duration=DURATIONS, loop=3)

    def twice(file: Path, stem: Path, original: Original) -> Made:
        return Made(replace(original, colour=original.colour.repeat(2, 0).repeat(2, 1)), {})

    [row] = made([(file, tmp_path / "out")], twice, {}, every_frame=True)
    assert row["out"] == str(tmp_path / f"out{suffix}") and row["frames"] == 3 and "notes" not in row
    with Image.open(row["out"]) as result:
        assert result.size == (24, 16) and result.n_frames == 3
        for place, colour in enumerate(COLOURS):
            result.seek(place)
            assert np.abs(np.asarray(result.convert("RGB"))[5, 5].astype(int) - colour).max() < 8
            assert result.info["duration"] == DURATIONS[place] and result.info["loop"] == 3


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_of_which_only_the_first_frame_is_made_is_noted(tmp_path: Path, suffix: str) -> None:
    file = pages(tmp_path / "a.tif") if suffix == ".tif" else animation(tmp_path / f"a{suffix}", duration=100)
    [row] = made([(file, tmp_path / "out")], lambda file, stem, original: Made(original, {}), {})
    assert row["frames"] == 3 and row["notes"] == [
        "has 3 frames or pages, of which the first one is made; --frames makes all"
    ]
    with Image.open(row["out"]) as result:
        assert getattr(result, "n_frames", 1) == 1
    remarks: list[str] = []
    decoding.decode(file, told=remarks.append)
    assert remarks == ["has 3 frames or pages; the first one is read"]


@pytest.mark.parametrize("deep", [False, True])
def test_pages_of_a_tiff_stay_pages_of_any_size_and_depth(tmp_path: Path, deep: bool) -> None:
    rng = np.random.default_rng(0)
    dtype = np.uint16 if deep else np.uint8
    sizes = ((8, 12, 3), (5, 7, 3), (6, 6, 1))
    pictures = [Original(rng.integers(0, np.iinfo(dtype).max, size).astype(dtype)) for size in sizes]
    assert frames.holds(pictures, ".TIFF")
    frames.write(frames.Frames(pictures, 3), tmp_path / "a.tiff")
    read = frames.read(tmp_path / "a.tiff")
    assert read.count == 3
    for found, picture in zip(read.pictures, pictures, strict=True):
        np.testing.assert_array_equal(found.colour, picture.colour)


def test_a_preview_beside_a_page_does_not_count(tmp_path: Path) -> None:
    assert decoding.frames(pages(tmp_path / "a.tif")) == [0, 1, 2]
    assert decoding.frames(pages(tmp_path / "b.tif", preview=True)) == [0, 2]


def test_what_no_single_file_holds_is_numbered(tmp_path: Path) -> None:
    file = animation(tmp_path / "a.gif", duration=100)

    def deep(file: Path, stem: Path, original: Original) -> Made:
        return Made(replace(original, colour=original.colour.astype(np.uint16) * 257, alpha=None), {})

    [row] = made([(file, tmp_path / "out" / "a")], deep, {}, every_frame=True)
    assert row["out"] == str(tmp_path / "out/a_0001.png") and row["frames"] == 3
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [f"a_000{place}.png" for place in (1, 2, 3)]
    np.testing.assert_array_equal(lossless.read(tmp_path / "out/a_0002.png").colour[0, 0], [0, 65535, 0])


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_transparent_frames_do_not_lie_over_each_other(tmp_path: Path, suffix: str) -> None:
    pictures = []
    for place in range(3):
        alpha = np.zeros((8, 12), np.uint8)
        alpha[:, 4 * place : 4 * place + 4] = 255
        pictures.append(Original(np.full((8, 12, 3), COLOURS[place], np.uint8), alpha))
    frames.write(frames.Frames(pictures, 3, [100.0] * 3, 0), tmp_path / f"a{suffix}")
    read = frames.read(tmp_path / f"a{suffix}")
    assert read.count == 3 and list(read.durations) == [100.0] * 3
    for found, picture in zip(read.pictures, pictures, strict=True):
        np.testing.assert_array_equal(found.alpha, picture.alpha)


def apng_of_16_bits(path: Path, steps: list[tuple[np.ndarray, tuple[int, int], int, int]], first: bool = True) -> Path:
    """Frames uint16 (height, width, 3 or 4) at (left, top), each with how it is disposed of and blended.

    Args:
        first: whether the picture before the animation is a frame of it.
    """

    def packed(pixels: np.ndarray) -> bytes:
        rows = np.ascontiguousarray(pixels, ">u2").reshape(len(pixels), -1).view(np.uint8)
        return zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes())

    height, width, channels = steps[0][0].shape
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        putchunk(file, b"IHDR", struct.pack(">2I5B", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0))
        putchunk(file, b"acTL", struct.pack(">2I", len(steps), 0))
        if not first:
            putchunk(file, b"IDAT", packed(np.full((height, width, channels), 777, np.uint16)))
        number = 0
        for place, (pixels, (left, top), disposal, blending) in enumerate(steps):
            size = pixels.shape[1], pixels.shape[0]
            putchunk(file, b"fcTL", struct.pack(">5I2H2B", number, *size, left, top, 1, 10, disposal, blending))
            number += 1
            if place == 0 and first:
                putchunk(file, b"IDAT", packed(pixels))
            else:
                putchunk(file, b"fdAT", struct.pack(">I", number) + packed(pixels))
                number += 1
        putchunk(file, b"IEND", b"")
    return path


@pytest.mark.parametrize("channels", [3, 4])
def test_frames_of_16_bits_are_read_with_16_bits(tmp_path: Path, channels: int) -> None:
    rng = np.random.default_rng(channels)

    def drawn(height: int, width: int) -> np.ndarray:
        pixels = rng.integers(0, 65536, (height, width, channels)).astype(np.uint16)
        if channels == 4:  # Pillow lays what is half transparent over others in a way of its own
            pixels[..., 3] = np.where(pixels[..., 3] > 20_000, 65_535, 0)
        return pixels

    steps = [(drawn(8, 12), (0, 0), 0, 0), (drawn(3, 5), (2, 4), 2, 0), (drawn(4, 4), (1, 1), 1, 1),
             (drawn(2, 6), (5, 2), 0, 1), (drawn(8, 12), (0, 0), 0, 0)]  # fmt: skip
    file = apng_of_16_bits(tmp_path / "a.png", steps)
    found = frames.read(file)
    assert found.count == 5
    assert all(picture.colour.dtype == np.uint16 for picture in found.pictures)
    first, second, *_, last = [picture.colour for picture in found.pictures]
    np.testing.assert_array_equal(first, steps[0][0][..., :3])
    expected = steps[0][0][..., :3].copy()
    expected[4:7, 2:7] = steps[1][0][..., :3]
    np.testing.assert_array_equal(second, expected)
    np.testing.assert_array_equal(last, steps[4][0][..., :3])
    with Image.open(file) as by_pillow:  # of 8 bits
        for place, picture in enumerate(found.pictures):
            by_pillow.seek(place)
            eight = np.asarray(by_pillow.convert("RGBA")).astype(float)
            assert np.abs(picture.colour / 257 - eight[..., :3])[eight[..., 3] > 0].max() <= 1
            if picture.alpha is not None:
                np.testing.assert_array_equal(picture.alpha, eight[..., 3] * 257)


def test_half_transparent_frames_are_laid_over_others() -> None:
    below, pixels = (np.random.default_rng(seed).integers(0, 256, (9, 7, 4)).astype(np.uint8) for seed in (1, 2))
    expected = np.asarray(Image.alpha_composite(Image.fromarray(below), Image.fromarray(pixels))).astype(float)
    found = apng.over(pixels.astype(np.uint16) * 257, below.astype(np.uint16) * 257) / 257
    assert np.abs(found - expected)[expected[..., 3] > 16].max() <= 2


def test_a_picture_of_16_bits_before_its_animation_is_the_first(tmp_path: Path) -> None:
    pixels = np.full((4, 5, 3), 40_000, np.uint16)
    file = apng_of_16_bits(tmp_path / "a.png", [(pixels, (0, 0), 0, 0), (pixels + 9, (0, 0), 0, 0)], first=False)
    assert [picture.colour[0, 0, 0] for picture in frames.read(file).pictures] == [777, 40_000, 40_009]


def test_a_still_picture_and_a_cut_animation_say_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.gif")
    assert decoding.frames(tmp_path / "a.gif") == [0]
    assert frames.read(tmp_path / "a.gif").count == 1


def test_colours_for_printing_become_rgb_with_a_note(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    [row] = made([(tmp_path / "a.jpg", tmp_path / "out")], lambda file, stem, original: Made(original, {}), {})
    assert row["notes"] == ["its colours for printing, CMYK, become RGB"]
    with Image.open(row["out"]) as result:
        assert result.mode == "RGB" and result.getpixel((1, 1))[0] > 240


def test_what_stylize_does_to_its_files_is_told(tmp_path: Path) -> None:
    content, style = animation(tmp_path / "a.gif"), tmp_path / "b.tif"
    lossless.write(Original(np.tile(np.arange(0, 4000, 100, dtype=np.uint16)[:, None, None], (1, 12, 1))), style)
    remarks: list[tuple[Path, str]] = []
    multiscale.read(content, [style], [], "content", [1.0], 0, lambda *remark: remarks.append(remark))
    assert remarks == [
        (content, "has 3 frames or pages; the first one is painted"),
        (style, "its 16 bits hold 12: 4,095 is taken for white"),
    ]
