"""Animations and files of several pages: counted, read frame by frame, written again with all that they were."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convmedia.apps import _stylizing
from convmedia.apps._making import Made, made
from convmedia.data import frames, images, originals
from convmedia.data.originals import Original

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
    images.decode(file, told=remarks.append)
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
    assert images.frames(pages(tmp_path / "a.tif")) == [0, 1, 2]
    assert images.frames(pages(tmp_path / "b.tif", preview=True)) == [0, 2]


def test_what_no_single_file_holds_is_numbered(tmp_path: Path) -> None:
    file = animation(tmp_path / "a.gif", duration=100)

    def deep(file: Path, stem: Path, original: Original) -> Made:
        return Made(replace(original, colour=original.colour.astype(np.uint16) * 257, alpha=None), {})

    [row] = made([(file, tmp_path / "out" / "a")], deep, {}, every_frame=True)
    assert row["out"] == str(tmp_path / "out/a_0001.png") and row["frames"] == 3
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [f"a_000{place}.png" for place in (1, 2, 3)]
    np.testing.assert_array_equal(originals.read(tmp_path / "out/a_0002.png").colour[0, 0], [0, 65535, 0])


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


def test_a_still_picture_and_a_cut_animation_say_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.gif")
    assert images.frames(tmp_path / "a.gif") == [0]
    assert frames.read(tmp_path / "a.gif").count == 1


def test_colours_for_printing_become_rgb_with_a_note(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    [row] = made([(tmp_path / "a.jpg", tmp_path / "out")], lambda file, stem, original: Made(original, {}), {})
    assert row["notes"] == ["its colours for printing, CMYK, become RGB"]
    with Image.open(row["out"]) as result:
        assert result.mode == "RGB" and result.getpixel((1, 1))[0] > 240


def test_what_stylize_does_to_its_files_is_told(tmp_path: Path) -> None:
    content, style = animation(tmp_path / "a.gif"), tmp_path / "b.tif"
    originals.write(Original(np.tile(np.arange(0, 4000, 100, dtype=np.uint16)[:, None, None], (1, 12, 1))), style)
    remarks: list[tuple[Path, str]] = []
    _stylizing.read(content, [style], [], "content", [1.0], 0, lambda *remark: remarks.append(remark))
    assert remarks == [
        (content, "has 3 frames or pages; the first one is painted"),
        (style, "its 16 bits hold 12: 4,095 is taken for white"),
    ]
