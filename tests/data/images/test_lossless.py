"""Files of every kind against arrays known beforehand, and against readers other than the one under test."""

import errno
import io
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from convmedia.data.images import decoding
from convmedia.data.images.lossless import Original, read, suffix_for, write
from convmedia.data.storage.errors import InputError

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ARTIST, ORIENTATION, EXIF_FOLDER, GPS_FOLDER, INTEROP_FOLDER = 0x013B, 0x0112, 0x8769, 0x8825, 0xA005
EXIF_WIDTH, EXIF_HEIGHT, TAKEN = 0xA002, 0xA003, 0x9003
SUFFIXES = [".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"]


def noise(channels: int, dtype: type = np.uint16, height: int = 37, width: int = 53) -> np.ndarray:
    return np.random.default_rng(channels).integers(0, np.iinfo(dtype).max + 1, (height, width, channels), dtype)


def smooth(channels: int = 3) -> np.ndarray:
    y, x = np.mgrid[:40, :56]
    return np.stack([x * 4, y * 6, 255 - x * 4], axis=2)[..., :channels].astype(np.uint8)


def camera_exif(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[ARTIST], exif[ORIENTATION] = "Ann", orientation
    exif[EXIF_FOLDER] = {EXIF_WIDTH: 7, EXIF_HEIGHT: 5, TAKEN: "2020:01:02 03:04:05", INTEROP_FOLDER: {1: "R98"}}
    exif[GPS_FOLDER] = {1: "N"}
    return exif


def stored(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def png(samples: np.ndarray, bits: int = 16, **chunks: bytes) -> bytes:
    """A PNG from its bytes: no filter, chunks before the pixels as given."""
    height, width, channels = samples.shape

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = [samples[row].astype(">u2" if bits == 16 else "u1").tobytes() for row in range(height)]
    if bits < 8:
        every = np.unpackbits(samples[..., 0].astype(np.uint8)[..., None], axis=2)[..., -bits:].reshape(height, -1)
        rows = [np.packbits(row).tobytes() for row in every]
    header = struct.pack(">2I5B", width, height, bits, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    content += b"".join(chunk(name.encode(), given) for name, given in chunks.items())
    return content + chunk(b"IDAT", zlib.compress(b"\0" + b"\0".join(rows))) + chunk(b"IEND", b"")


def tiff(content: bytes, height: int, width: int, channels: int, bits: int = 16, **tags: Any) -> bytes:
    """A TIFF of one strip from its bytes; tags by number, as in `_274=6`."""
    folder = ImageFileDirectory_v2(prefix=b"II")
    known = {256: width, 257: height, 258: (bits,) * channels, 259: 1, 262: 2 if channels > 2 else 1}
    known |= {273: 0, 277: channels, 278: height, 279: len(content), 284: 1}
    for tag, value in (known | {int(name[1:]): value for name, value in tags.items()}).items():
        folder[tag] = value
    file = io.BytesIO()
    folder.save(file)
    return file.getvalue() + content


def deep_tiff(samples: np.ndarray, **tags: Any) -> bytes:
    return tiff(samples.astype("<u2").tobytes(), *samples.shape, **tags)


def at(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def samples_of(original: Original) -> np.ndarray:
    alpha = [] if original.alpha is None else [original.alpha[..., None]]
    return np.concatenate([original.colour, *alpha], axis=2)


def original_of(samples: np.ndarray, **more: Any) -> Original:
    """1 to 4 channels: grey, grey and alpha, RGB, RGB and alpha."""
    colours = samples.shape[2] - 1 + samples.shape[2] % 2
    return Original(samples[..., :colours], samples[..., -1] if samples.shape[2] % 2 == 0 else None, **more)


def assert_one_line(error: pytest.ExceptionInfo[InputError], *parts: str) -> None:
    text = str(error.value)
    assert "\n" not in text and "; " in text
    assert [part for part in parts if part not in text] == []


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF", ".bmp"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_eight_bits_come_back_in_the_mode_they_had(tmp_path: Path, mode: str, suffix: str) -> None:
    if suffix == ".bmp" and mode[-1] == "A":
        pytest.skip("no alpha in BMP")
    samples = noise(len(mode), np.uint8)
    source = at(tmp_path / "a", stored(Image.fromarray(samples.squeeze()), "PNG"))
    original = read(source)
    assert original.colour.shape == (37, 53, len(mode.rstrip("A")))
    assert (original.alpha is None, original.icc, original.exif) == (mode[-1] != "A", None, None)
    np.testing.assert_array_equal(samples_of(original), samples)
    write(original, tmp_path / "new" / f"b{suffix}")
    with Image.open(tmp_path / "new" / f"b{suffix}") as image:
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image), samples.squeeze())
    again = read(tmp_path / "new" / f"b{suffix}")
    np.testing.assert_array_equal(samples_of(again), samples)
    assert again.colour.dtype == np.uint8


@pytest.mark.parametrize(("suffix", "mode"), [(".jpg", "RGB"), (".jpeg", "L"), (".webp", "RGB"), (".webp", "RGBA")])
def test_lossy_formats_stay_near(tmp_path: Path, suffix: str, mode: str) -> None:
    alpha = np.linspace(0, 255, 40 * 56).astype(np.uint8).reshape(40, 56) if mode == "RGBA" else None
    write(Original(smooth(len(mode.rstrip("A"))), alpha), tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.mode == mode
    again = read(tmp_path / f"a{suffix}")
    visible = np.ones((40, 56), bool) if alpha is None else alpha > 200
    assert np.abs(again.colour.astype(int) - smooth(again.colour.shape[2]))[visible].mean() < 2
    if alpha is not None:
        assert again.alpha is not None
        np.testing.assert_array_equal(again.alpha, alpha)


def test_jpeg_is_written_in_quality_95_and_grey_webp_is_grey(tmp_path: Path) -> None:
    write(Original(smooth()), tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as ours, Image.open(io.BytesIO(stored(ours, "JPEG", quality=95))) as known:
        assert vars(ours)["quantization"] == vars(known)["quantization"]
    write(Original(smooth(1)), tmp_path / "a.webp")
    written = read(tmp_path / "a.webp").colour.astype(int)
    assert np.ptp(written, axis=2).max() <= 1
    assert np.abs(written - smooth(1)).mean() < 2


def test_a_palette_becomes_rgb_with_its_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 128, 0, 10, 20, 30])
    image.putdata([0, 1, 2])
    colours = [[[255, 0, 0], [0, 128, 0], [10, 20, 30]]]
    opaque = read(at(tmp_path / "a", stored(image)))
    np.testing.assert_array_equal(opaque.colour, colours)
    assert opaque.alpha is None
    for transparency, want in ((1, [[255, 0, 255]]), (bytes([9, 0, 200]), [[9, 0, 200]])):
        seen = read(at(tmp_path / "a", stored(image, transparency=transparency)))
        np.testing.assert_array_equal(seen.colour, colours)
        np.testing.assert_array_equal(seen.alpha, want)
        write(seen, tmp_path / "b.png")
        with Image.open(tmp_path / "b.png") as written:
            np.testing.assert_array_equal(np.asarray(written)[..., 3], want)
    np.testing.assert_array_equal(read(at(tmp_path / "a", stored(image, "GIF", transparency=1))).alpha, [[255, 0, 255]])


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit_becomes_grey(tmp_path: Path, kind: str) -> None:
    bits = noise(1, np.uint8) > 127
    original = read(at(tmp_path / "a", stored(Image.fromarray(bits[..., 0]), kind)))
    np.testing.assert_array_equal(original.colour, bits * np.uint8(255))
    write(original, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as written:
        assert written.mode == "L"


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_grey_becomes_alpha(tmp_path: Path, bits: int) -> None:
    most = 2**bits - 1
    values = np.array([[[0], [most], [most // 2]]])
    for key in {0, most // 2, most}:
        original = read(at(tmp_path / "a.png", png(values, bits, tRNS=struct.pack(">H", key))))
        full = 65535 if bits == 16 else 255
        np.testing.assert_array_equal(original.colour, values * (full // most))
        np.testing.assert_array_equal(original.alpha, np.where(values[..., 0] == key, 0, full))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_colour_becomes_alpha(tmp_path: Path, bits: int) -> None:
    samples = noise(3, np.uint16 if bits == 16 else np.uint8)
    key = struct.pack(">3H", *map(int, samples[3, 4]))
    original = read(at(tmp_path / "a.png", png(samples, bits, tRNS=key)))
    want = np.full((37, 53), 2**bits - 1)
    want[3, 4] = 0
    np.testing.assert_array_equal(original.alpha, want)
    np.testing.assert_array_equal(original.colour, samples)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb_without_its_profile(tmp_path: Path, kind: str) -> None:
    for ink, want in {(0, 0, 0, 0): (255, 255, 255), (0, 255, 255, 0): (255, 0, 0), (0, 0, 0, 255): (0, 0, 0)}.items():
        for profile in (None, ICC, b"no profile"):  # of RGB and broken: neither is one for these inks
            options: dict[str, Any] = {"icc_profile": profile} if profile else {}
            options |= {"quality": 100} if kind == "JPEG" else {}
            original = read(at(tmp_path / "a", stored(Image.new("CMYK", (16, 16), ink), kind, **options)))
            np.testing.assert_allclose(original.colour[8, 8], want, atol=3)
            assert (original.icc, original.colour.dtype) == (None, np.uint8)


def ink_profile() -> bytes:
    """A printer with white paper, black as its last ink, and the grey of L* = 50 as the others (ICC.1:2001, lut8)."""
    lookup = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    nodes = b"".join(bytes([255 if ink == 0 else 128 * (1 - ink % 2), 128, 128]) for ink in range(16))
    lookup += bytes(range(256)) * 4 + nodes + bytes(range(256)) * 3
    tables = struct.pack(">I4s2I", 1, b"A2B0", 128 + 16, len(lookup)) + lookup
    header = struct.pack(">2I4x4s4s4s", 128 + len(tables), 0, b"prtr", b"CMYK", b"Lab ")
    header = header[:8] + struct.pack(">I", 0x02400000) + header[12:] + bytes(12) + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return header.ljust(128, b"\0") + tables


def test_cmyk_goes_through_its_profile(tmp_path: Path) -> None:
    image = Image.new("CMYK", (3, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 255))
    original = read(at(tmp_path / "a.tif", stored(image, "TIFF", icc_profile=ink_profile())))
    np.testing.assert_allclose(original.colour, [[[119] * 3, [255] * 3, [0] * 3]], atol=2)  # plainly: 0, 255, 255
    assert original.icc is None


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_of_png_come_back(tmp_path: Path, channels: int) -> None:
    import tensorflow as tf

    samples = noise(channels)
    original = read(at(tmp_path / "a.png", png(samples)))
    np.testing.assert_array_equal(samples_of(original), samples)
    assert original.colour.dtype == np.uint16
    write(original, tmp_path / "b.png")
    decoded = tf.io.decode_png((tmp_path / "b.png").read_bytes(), dtype=tf.uint16).numpy()
    np.testing.assert_array_equal(decoded, samples)
    np.testing.assert_array_equal(samples_of(read(tmp_path / "b.png")), samples)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_of_tiff_come_back(tmp_path: Path, channels: int) -> None:
    samples = noise(channels)
    if channels == 1:
        (tmp_path / "a.tif").write_bytes(stored(Image.fromarray(samples[..., 0]), "TIFF"))
    else:
        bgr = samples[..., [2, 1, 0, 3][:channels]]
        cv2.imwrite(str(tmp_path / "a.tif"), bgr)
    original = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(samples_of(original), samples)
    assert original.colour.dtype == np.uint16
    write(original, tmp_path / "b.tiff")
    decoded = cv2.imread(str(tmp_path / "b.tiff"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decoded, bgr if channels > 1 else samples[..., 0])
    with Image.open(tmp_path / "b.tiff") as image:
        assert (image.mode, vars(image)["tag_v2"].get(338)) == {
            1: ("I;16", None),
            3: ("RGB", None),
            4: ("RGBA", (2,)),
        }[channels]
        if channels > 1:
            np.testing.assert_array_equal(np.asarray(image), samples >> 8)
    np.testing.assert_array_equal(samples_of(read(tmp_path / "b.tiff")), samples)


def test_what_is_written_in_many_strips_is_whole(tmp_path: Path) -> None:
    samples = noise(3, height=700, width=900)  # 3.8 MB
    for suffix in (".png", ".tif"):
        write(Original(samples), tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / f"a{suffix}"), -1)[..., ::-1], samples)
    with Image.open(tmp_path / "a.tif") as image:
        assert len(vars(image)["tag_v2"][273]) == 4


def test_odd_tiffs_of_sixteen_bits(tmp_path: Path) -> None:
    grey, colours, file = noise(1), noise(4), tmp_path / "a.tif"
    white_is_zero = read(at(file, deep_tiff(grey, _262=0)))
    np.testing.assert_array_equal(white_is_zero.colour, 65535 - grey)
    np.testing.assert_array_equal(decoding.decode(file)[..., :1], np.round((65535 - grey) / 257))
    unspecified = read(at(file, deep_tiff(colours, _338=0)))
    np.testing.assert_array_equal(unspecified.colour, colours[..., :3])
    assert unspecified.alpha is None
    # alpha multiplied into the colour: 65535 * 100 / 1000 is 6553.5; more colour than alpha is as much as fits
    multiplied = np.array([[[100, 200, 300, 1000], [0, 0, 0, 0], [9, 7, 65535, 65535], [2, 1, 0, 1]]])
    original = read(at(file, deep_tiff(multiplied, _338=1)))
    np.testing.assert_array_equal(
        original.colour, [[[6554, 13107, 19661], [0, 0, 0], [9, 7, 65535], [65535, 65535, 0]]]
    )
    np.testing.assert_array_equal(original.alpha, multiplied[..., 3])
    planes = tiff(np.moveaxis(colours[..., :3], 2, 0).astype("<u2").tobytes(), 37, 53, 3, _284=2)
    with pytest.raises(InputError) as error:
        read(at(file, planes))
    assert_one_line(error, "a.tif stores 16-bit colour in a way that is not read", "PNG")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiffs_of_sixteen_bits_are_upright(tmp_path: Path, orientation: int) -> None:
    samples = noise(3)
    file = at(tmp_path / "a.tif", deep_tiff(samples, _274=orientation))
    image = Image.fromarray((samples >> 8).astype(np.uint8))
    image.getexif()[ORIENTATION] = orientation
    np.testing.assert_array_equal(read(file).colour >> 8, np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("compression", [1, 5, 8, 32773])  # none, LZW, Deflate, PackBits
def test_compressed_tiffs_of_sixteen_bits_are_read(tmp_path: Path, compression: int) -> None:
    samples, file = noise(3), tmp_path / "a.tif"
    cv2.imwrite(str(file), samples[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    np.testing.assert_array_equal(read(file).colour, samples)


def test_sixteen_bit_colours_other_than_rgb_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read(at(tmp_path / "a.tif", deep_tiff(noise(3), _262=6)))  # YCbCr
    assert_one_line(error, "a.tif")


def test_twelve_bits_fill_sixteen(tmp_path: Path) -> None:
    # 0x000, 0xFFF and 0x800, 0x001 in three bytes each
    file = at(tmp_path / "a.tif", tiff(b"\x00\x0f\xff\x80\x00\x01", 1, 4, 1, 12))
    np.testing.assert_array_equal(read(file).colour[0, :, 0], [0, 65535, 0x8008, 0x0010])


def test_colours_that_are_not_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read(at(tmp_path / "a.tif", stored(Image.new("LAB", (4, 4)), "TIFF")))
    assert_one_line(error, "a.tif", "LAB", "save it as RGB")
    with pytest.raises(InputError, match="no known white"):
        read(at(tmp_path / "a.tif", stored(Image.fromarray(np.array([[0.5, 1.0]], np.float32)), "TIFF")))


def test_tags_that_are_not_known_are_passed_over_in_silence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    read(at(tmp_path / "a.tif", deep_tiff(noise(3), _65000="a tag of one's own")))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_profile_and_exif_survive(tmp_path: Path, kind: str, suffix: str) -> None:
    source = stored(Image.fromarray(smooth()), kind, exif=camera_exif().tobytes(), icc_profile=ICC)
    original = read(at(tmp_path / "a", source))
    assert original.colour.shape == (56, 40, 3)
    larger = replace(original, colour=original.colour.repeat(2, 0).repeat(2, 1))
    write(larger, tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as image:
        assert (image.size, image.info["icc_profile"]) == ((80, 112), ICC)
        exif = image.getexif()
        assert (exif[ARTIST], exif[ORIENTATION], exif.get_ifd(GPS_FOLDER)[1]) == ("Ann", 1, "N")
        inside = exif.get_ifd(EXIF_FOLDER)
        assert (inside[EXIF_WIDTH], inside[EXIF_HEIGHT], inside[TAKEN]) == (80, 112, "2020:01:02 03:04:05")
        if kind != "TIFF":  # in which Pillow writes a pointer into nowhere
            assert exif.get_ifd(INTEROP_FOLDER) == {1: "R98"}
    again = read(tmp_path / f"b{suffix}")
    assert (again.colour.shape, again.icc) == ((112, 80, 3), ICC)
    assert np.abs(again.colour.astype(int) - larger.colour).mean() < 4


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_profile_and_exif_survive_in_sixteen_bits(tmp_path: Path, channels: int, suffix: str) -> None:
    if (channels, suffix) == (2, ".tif"):
        pytest.skip("no 16-bit grey with alpha in TIFF")
    given = original_of(noise(channels), icc=ICC, exif=camera_exif(6).tobytes())
    write(given, tmp_path / f"a{suffix}")  # whose own tag says that it lies on its side
    turned = read(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(samples_of(turned), np.rot90(noise(channels), -1))
    write(turned, tmp_path / f"b{suffix}")
    again = read(tmp_path / f"b{suffix}")
    np.testing.assert_array_equal(samples_of(again), np.rot90(noise(channels), -1))
    with Image.open(tmp_path / f"b{suffix}") as image:
        exif = image.getexif()
        assert (image.info["icc_profile"], exif[ARTIST], exif[ORIENTATION]) == (ICC, "Ann", 1)
        assert exif.get_ifd(EXIF_FOLDER)[EXIF_WIDTH] == 37
        assert exif.get_ifd(INTEROP_FOLDER) == {1: "R98"}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "deep PNG", "deep TIFF", "grey TIFF", "packed TIFF"])
def test_orientation_is_applied_once(tmp_path: Path, kind: str, orientation: int) -> None:
    upright = noise(1 if kind == "grey TIFF" else 3, np.uint8 if kind in ("PNG", "WEBP", "TIFF") else np.uint16)
    # how a camera held that way stores the upright scene; rows and columns as Exif 2.3 tells them
    store = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    pixels, exif = np.ascontiguousarray(store(upright)), camera_exif(orientation)
    if kind == "deep PNG":
        content = png(pixels, eXIf=exif.tobytes()[6:])
    elif kind in ("deep TIFF", "grey TIFF"):
        content = deep_tiff(pixels, _274=orientation, _315="Ann")
    elif kind == "packed TIFF":
        content = tiff(zlib.compress(pixels.tobytes()), *pixels.shape, _259=8, _274=orientation, _315="Ann")
    else:
        options = {
            "WEBP": {"lossless": True},
        }.get(kind, {})
        content = stored(Image.fromarray(pixels), kind, exif=exif.tobytes(), **options)
    original = read(at(tmp_path / "a", content))
    np.testing.assert_array_equal(original.colour, upright)
    for suffix in (".png", ".tif"):
        write(original, tmp_path / f"b{suffix}")
        again = read(tmp_path / f"b{suffix}")
        np.testing.assert_array_equal(again.colour, upright)
        assert again.exif is not None
        kept = Image.Exif()
        kept.load(again.exif)
        assert (kept[ARTIST], kept[ORIENTATION]) == ("Ann", 1)


def test_of_a_tiff_only_what_describes_it_is_kept(tmp_path: Path) -> None:
    for content in (deep_tiff(noise(3), _315="Ann", _305="Scanner"), deep_tiff(noise(3), _315="Ann", _34675=ICC)):
        original = read(at(tmp_path / "a.tif", content))
        kept = Image.Exif()
        assert original.exif is not None
        kept.load(original.exif)
        assert set(kept) - {305} == {ARTIST}
    assert original.icc == ICC
    assert read(at(tmp_path / "a.tif", deep_tiff(noise(3)))).exif is None


def test_broken_exif_does_not_cost_the_picture(tmp_path: Path) -> None:
    content = stored(Image.fromarray(smooth()), "JPEG", exif=b"Exif\0\0MM\0*" + b"\xff" * 40)
    original = read(at(tmp_path / "a.jpg", content))
    assert (original.colour.shape, original.exif) == ((40, 56, 3), None)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_one_pixel(tmp_path: Path, channels: int, dtype: type) -> None:
    samples = noise(channels, dtype, 1, 1)
    for suffix in SUFFIXES:
        written = tmp_path / f"a{suffix_for(original_of(samples), suffix)}"
        write(original_of(samples), written)
        again = read(written)
        assert (again.colour.shape[:2], again.colour.dtype) == ((1, 1), dtype)
        if written.suffix in (".png", ".tif", ".tiff", ".bmp"):
            np.testing.assert_array_equal(samples_of(again), samples)


def whole_files() -> dict[str, bytes]:
    shallow, deep = Image.fromarray(noise(3, np.uint8)), noise(3)
    files = {f"a.{kind}": stored(shallow, kind) for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")}
    return files | {"deep.png": png(deep), "deep.tif": deep_tiff(deep), "grey.png": png(deep[..., :1])}


@pytest.mark.parametrize("name", whole_files())
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_cut_files_are_refused_by_name(tmp_path: Path, name: str, kept: float) -> None:
    whole = whole_files()[name]
    with pytest.raises(InputError) as error:
        read(at(tmp_path / name, whole[: int(len(whole) * kept)]))
    assert_one_line(error, name, "complete")


@pytest.mark.parametrize("name", whole_files())
def test_altered_bytes_give_a_picture_or_an_input_error(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(7)
    whole = np.frombuffer(whole_files()[name], np.uint8)
    for index in range(40):
        bad = whole.copy()
        bad[random.integers(0, len(bad) if index % 2 else 200, 6)] = random.integers(0, 256, 6)
        try:
            assert read(at(tmp_path / name, bad.tobytes())).colour.dtype in (np.uint8, np.uint16)
        except InputError as error:
            assert "\n" not in str(error)
    assert capfd.readouterr() == ("", "")


def test_wrong_files_are_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "random.png").write_bytes(noise(3).tobytes())
    faults = {"missing.png": "does not exist", "empty.png": "empty", "random.png": "known format", "": "a folder"}
    for name, reason in faults.items():
        with pytest.raises(InputError) as error:
            read(tmp_path / name)
        assert_one_line(error, name, reason)


@pytest.mark.parametrize("bits", [8, 16])
def test_too_large_a_file_is_refused_from_its_header(tmp_path: Path, bits: int) -> None:
    content = png(np.zeros((1, 1, 3)), bits)
    header = b"IHDR" + struct.pack(">2I", 25_001, 10_000) + content[24:29]
    file = at(tmp_path / "bomb.png", content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])
    before = time.perf_counter()
    with pytest.raises(InputError) as error:
        read(file)
    assert_one_line(error, "bomb.png is too large", "250,010,000", "250,000,000")
    assert time.perf_counter() - before < 0.5


def hollow(height: int, width: int, channels: int = 3, dtype: type = np.uint8) -> Original:
    """A picture of that size in no memory."""
    return Original(np.broadcast_to(dtype(0), (height, width, channels)))


def test_suffix_for_is_the_one_given_where_it_holds_everything() -> None:
    def kept(original: Original) -> list[str]:
        return [suffix for suffix in SUFFIXES if suffix_for(original, suffix) == suffix]

    shallow = Original(smooth())
    assert kept(shallow) == SUFFIXES
    assert kept(original_of(noise(4, np.uint8))) == [".png", ".webp", ".tif", ".tiff"]
    assert kept(original_of(noise(3))) == kept(original_of(noise(4))) == [".png", ".tif", ".tiff"]
    assert kept(original_of(noise(2))) == [".png"]
    described = [".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"]
    assert kept(replace(shallow, icc=ICC)) == kept(replace(shallow, exif=camera_exif().tobytes())) == described
    assert kept(replace(shallow, exif=bytes(65_001))) == [".png", ".webp", ".tif", ".tiff"]
    assert kept(hollow(5, 16_383)) == SUFFIXES
    assert kept(hollow(5, 16_384)) == [suffix for suffix in SUFFIXES if suffix != ".webp"]
    assert kept(hollow(65_501, 5)) == [".png", ".tif", ".tiff", ".bmp"]
    assert kept(hollow(40_000, 40_000)) == [".png", ".jpg", ".jpeg"]  # 4.8 GB
    assert suffix_for(shallow, ".JPG") == ".JPG"
    assert [suffix_for(shallow, suffix) for suffix in (".gif", "", ".heic")] == [".png"] * 3


def test_the_longest_sides_can_be_written(tmp_path: Path) -> None:
    for suffix, longest in ((".webp", 16_383), (".jpg", 65_500)):
        write(hollow(1, longest), tmp_path / f"a{suffix}")
        assert decoding.size(tmp_path / f"a{suffix}") == (1, longest)


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    refused = {
        "a.jpg": (original_of(noise(4, np.uint8)), "alpha"),
        "a.bmp": (original_of(noise(3)), "16 bits"),
        "b.bmp": (Original(smooth(), icc=ICC), "colour profile"),
        "a.webp": (hollow(1, 16_384), "16,383 px"),
        "a.tif": (original_of(noise(2)), "alpha"),
    }
    for name, (original, lost) in refused.items():
        with pytest.raises(InputError) as error:
            write(original, tmp_path / "new" / name)
        assert_one_line(error, name, lost, "end it in .png")
    with pytest.raises(InputError, match=r"a\.gif names no picture format; .*\.webp"):
        write(Original(smooth()), tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []


def test_an_original_is_a_picture() -> None:
    colour = noise(3)
    for wrong in (colour.astype(np.float32), colour[..., :2], colour[..., 0], colour.astype(np.int16)):
        with pytest.raises(ValueError, match="received"):
            Original(wrong)
    for wrong in (colour[..., 0].astype(np.uint8), colour[1:, :, 0], colour[..., :1]):
        with pytest.raises(ValueError, match="alpha is uint16"):
            Original(colour, wrong)


WRITE_TO_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from convmedia.data.images.lossless import Original, write

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
for path in map(Path, sys.argv[1:]):
    dtype = np.uint16 if path.stem == "deep" else np.uint8
    samples = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (300, 300, 3), dtype)
    try:
        write(Original(samples), path)
    except OSError as error:
        print(error.errno)
"""


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    names = ["deep.png", "deep.tif", *(f"a{suffix}" for suffix in SUFFIXES)]
    (tmp_path / "deep.tif").write_bytes(b"before")
    command = [sys.executable, "-c", WRITE_TO_A_FULL_DISK, *(str(tmp_path / name) for name in names)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert done.stdout.split() == [str(errno.EFBIG)] * len(names)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("deep.tif", b"before")]


def test_imagecodecs_is_loaded_for_colour_of_sixteen_bits_only(tmp_path: Path) -> None:
    write(Original(smooth(), icc=ICC), tmp_path / "a.tif")
    write(Original(noise(1)), tmp_path / "b.png")
    write(Original(noise(3)), tmp_path / "c.png")
    script = (
        "import sys; from convmedia.data.images.lossless import read\n"
        "heavy = ('imagecodecs', 'tensorflow', 'keras')\n"
        "for name in sys.argv[1:]: read(name); print(*(one in sys.modules for one in heavy))"
    )
    command = [sys.executable, "-c", script, *(str(tmp_path / name) for name in ("a.tif", "b.png", "c.png"))]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert done.stdout.splitlines() == ["False False False"] * 2 + ["True False False"]
