"""Pictures whose 16 bits hold fewer: which value is white, for classifiers and for what makes pictures of them."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from convmedia.apps.tasks.style_transfer.pictures import as_original, in_rgb
from convmedia.data.images import decoding, lossless
from convmedia.data.images.lossless import Original


def smooth(bits: int, channels: int) -> np.ndarray:
    """uint16 (12, 16, channels), 0 to 2^bits - 1."""
    rows, columns = np.indices((12, 16))
    values = np.stack([rows * (place + 1) + columns * (channels - place) for place in range(channels)], axis=2)
    return np.round(values * ((2**bits - 1) / values.max())).astype(np.uint16)


def with_sbit(path: Path, bits: int) -> None:
    """Put sBIT behind IHDR, for each of the channels of colour that there are."""
    content = path.read_bytes()
    body = b"sBIT" + bytes([bits]) * {0: 1, 2: 3}[content[25]]
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(content[:33] + chunk + content[33:])


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_bits_in_a_larger_container_are_as_light_as_in_eight(
    tmp_path: Path, suffix: str, channels: int, bits: int
) -> None:
    values = smooth(bits, channels)
    lossless.write(Original(values), tmp_path / f"a{suffix}")
    expected = np.round(values * (255 / (2**bits - 1)))
    notes: list[str] = []
    for source in (tmp_path / f"a{suffix}", (tmp_path / f"a{suffix}").read_bytes()):
        found = decoding.decode(source, told=notes.append)
        np.testing.assert_array_equal(found, np.broadcast_to(expected, (12, 16, 3)))
    assert notes == [f"its 16 bits hold {bits}: {2**bits - 1:,} is taken for white"] * 2
    np.testing.assert_array_equal(decoding.luma(tmp_path / f"a{suffix}", 4).max() > 120, True)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_what_is_made_of_them_stays_in_their_range_and_the_network_sees_255(
    tmp_path: Path, suffix: str, channels: int
) -> None:
    values = smooth(12, channels)
    lossless.write(Original(values), tmp_path / f"a{suffix}")
    original = lossless.read(tmp_path / f"a{suffix}")
    assert original.notes == ("its 16 bits hold 12: 4,095 is taken for white",) and original.most == 4095
    np.testing.assert_array_equal(original.colour, values)
    np.testing.assert_allclose(in_rgb(original), np.broadcast_to(values / (4095 / 255), (12, 16, 3)), rtol=1e-5)
    again = as_original(original, in_rgb(original) * 1.5)
    lossless.write(again, tmp_path / f"b{suffix}")
    found = lossless.read(tmp_path / f"b{suffix}").colour
    assert found.dtype == np.uint16 and found.max() == 4095
    values = np.broadcast_to(values, found.shape)  # painted grey has three channels
    np.testing.assert_allclose(found[values < 2000], values[values < 2000] * 1.5, atol=0.6)


@pytest.mark.parametrize("channels", [1, 3])
def test_all_sixteen_bits_are_no_fewer_and_black_stays_black(tmp_path: Path, channels: int) -> None:
    for name, values in (("full", smooth(16, channels)), ("black", np.full((12, 16, channels), 40, np.uint16))):
        lossless.write(Original(values), tmp_path / f"{name}.png")
        notes: list[str] = []
        found = decoding.decode(tmp_path / f"{name}.png", told=notes.append)
        assert notes == [] and found.max() == (255 if name == "full" else 0)
        assert lossless.read(tmp_path / f"{name}.png").notes == ()


@pytest.mark.parametrize("channels", [1, 3])
def test_png_says_its_bits(tmp_path: Path, channels: int) -> None:
    dark = smooth(10, channels)  # of 12 bits: a quarter of white
    lossless.write(Original(dark), tmp_path / "dark.png")
    with_sbit(tmp_path / "dark.png", 12)
    assert decoding.decode(tmp_path / "dark.png").max() == round(1023 * 255 / 4095)
    scaled = dark << 4  # as PNG wants it: the upper 12 of 16 bits
    lossless.write(Original(scaled), tmp_path / "scaled.png")
    with_sbit(tmp_path / "scaled.png", 12)
    assert decoding.decode(tmp_path / "scaled.png").max() in (63, 64)


def test_tiff_says_its_bits(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[281] = 4095
    Image.fromarray(smooth(10, 1)[..., 0]).save(tmp_path / "a.tif", tiffinfo=tags)
    assert decoding.decode(tmp_path / "a.tif").max() == round(1023 * 255 / 4095)


def test_turned_colour_of_twelve_bits_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    values = smooth(12, 3)
    lossless.write(replace(Original(values), exif=exif.tobytes()), tmp_path / "a.png")
    np.testing.assert_array_equal(decoding.decode(tmp_path / "a.png"), np.rot90(np.round(values * (255 / 4095)), -1))
