"""Decoding against values known beforehand, and against real faults."""

import io
import os
import struct
import subprocess
import sys
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convmedia.data.images import decoding, lossless
from convmedia.data.storage import extras
from convmedia.data.storage.errors import InputError

SUFFIX = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "GIF": ".gif", "WEBP": ".webp", "TIFF": ".tif"}


def noise(height: int = 40, width: int = 56) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def smooth(height: int = 40, width: int = 56) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 4, y * 6, 255 - x * 4], axis=2).astype(np.uint8)


def png(width: int, height: int, colours: int = 2) -> bytes:
    """A PNG whose header tells a size that its few bytes of pixels do not have."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def stored(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def one_line(error: pytest.ExceptionInfo[InputError], *parts: str) -> None:
    text = str(error.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".PNG", ".tiff"])
def test_lossless_formats_give_back_every_value(tmp_path: Path, suffix: str) -> None:
    picture = noise()
    decoding.encode(picture, tmp_path / "new" / f"a{suffix}")
    read = decoding.decode(tmp_path / "new" / f"a{suffix}")
    np.testing.assert_array_equal(read, picture)
    assert read.dtype == np.uint8 and read.flags.writeable and read.flags.c_contiguous


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_formats_stay_near(tmp_path: Path, suffix: str) -> None:
    decoding.encode(smooth(), tmp_path / f"a{suffix}")
    difference = decoding.decode(tmp_path / f"a{suffix}").astype(int) - smooth()
    assert np.abs(difference).mean() < 2


def test_gif_gives_its_first_frame() -> None:
    first, second = (Image.new("RGB", (9, 5), colour) for colour in ("red", "blue"))
    read = decoding.decode(stored(first, "GIF", save_all=True, append_images=[second]))
    np.testing.assert_array_equal(read, np.broadcast_to(np.array([255, 0, 0], np.uint8), (5, 9, 3)))


def test_grey_is_repeated_and_encoded_grey_comes_back(tmp_path: Path) -> None:
    grey = noise()[..., 0]
    decoding.encode(grey, tmp_path / "grey.png")
    with Image.open(tmp_path / "grey.png") as image:
        assert image.mode == "L"
    np.testing.assert_array_equal(decoding.decode(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, 2))


def test_one_bit_is_black_and_white() -> None:
    bits = noise()[..., 0] > 127
    read = decoding.decode(stored(Image.fromarray(bits)))
    np.testing.assert_array_equal(read, np.repeat(bits[..., None] * np.uint8(255), 3, 2))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind: str) -> None:
    values = np.array([[0, 257, 256 * 128 + 128], [300, 65535, 40000]], np.uint16)
    read = decoding.decode(stored(Image.fromarray(values), kind))[..., 0]
    np.testing.assert_array_equal(read, [[0, 1, 128], [1, 255, 156]])


def test_mode_i_in_sixteen_bit_range_is_scaled_and_beyond_it_refused() -> None:
    values = np.array([[0, 65535], [32896, 257]], np.int32)
    np.testing.assert_array_equal(
        decoding.decode(stored(Image.fromarray(values), "TIFF"))[..., 1], [[0, 255], [128, 1]]
    )
    with pytest.raises(InputError) as error:
        decoding.decode(stored(Image.fromarray(values + 10_000_000), "TIFF"))
    one_line(error, "8 or 16 bits")
    with pytest.raises(InputError, match="no known white"):
        decoding.decode(stored(Image.fromarray(np.array([[0.5, 1.0]], np.float32)), "TIFF"))


def test_sixteen_bit_grey_with_a_transparent_value() -> None:
    values = np.array([[0, 7, 65535]], np.uint16)
    image = Image.fromarray(values)
    assert image.mode == "I;16"
    plain = stored(image)
    content = b"\x00\x07"
    chunk = struct.pack(">I", 2) + b"tRNS" + content + struct.pack(">I", zlib.crc32(b"tRNS" + content))
    at = plain.index(b"IDAT") - 4
    read = decoding.decode(plain[:at] + chunk + plain[at:])
    np.testing.assert_array_equal(read[0, :, 0], [0, 255, 255])


def test_palette_gives_its_colours_and_its_transparency() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 128, 0, 10, 20, 30])
    image.putdata([0, 1, 2])
    np.testing.assert_array_equal(decoding.decode(stored(image)), [[[255, 0, 0], [0, 128, 0], [10, 20, 30]]])
    for transparency in (1, bytes([255, 0, 255])):
        read = decoding.decode(stored(image, transparency=transparency))
        np.testing.assert_array_equal(read, [[[255, 0, 0], [255, 255, 255], [10, 20, 30]]])
    np.testing.assert_array_equal(decoding.decode(stored(image, "GIF", transparency=1))[0, 1], [255, 255, 255])


def test_alpha_is_mixed_with_white() -> None:
    pixels = np.array([[[0, 0, 0, 255], [200, 100, 0, 128], [9, 9, 9, 0]]], np.uint8)
    # 200 * 128/255 + 255 * 127/255 = 227.4, and so on
    np.testing.assert_array_equal(
        decoding.decode(stored(Image.fromarray(pixels))), [[[0, 0, 0], [227, 177, 127], [255, 255, 255]]]
    )


@pytest.mark.parametrize(("ink", "ground"), [(255, 0), (201, 0), (199, 255), (0, 255)])
def test_a_light_drawing_on_nothing_gets_a_black_ground(ink: int, ground: int) -> None:
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[5:15, 9:11] = [ink, ink, ink, 255]
    for kind in ("PNG", "WEBP"):
        options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        read = decoding.decode(stored(Image.fromarray(pixels), kind, **options))
        assert (read[5:15, 9:11] == ink).all()
        assert (read[0] == ground).all()


def test_nothing_visible_is_white_and_grey_with_alpha_is_composited() -> None:
    assert (decoding.decode(stored(Image.new("RGBA", (4, 3)))) == 255).all()
    grey = Image.merge("LA", [Image.new("L", (2, 2), 40), Image.new("L", (2, 2), 0)])
    grey.putpixel((0, 0), (40, 255))
    np.testing.assert_array_equal(decoding.decode(stored(grey))[..., 0], [[40, 255], [255, 255]])


def test_cmyk_jpeg_has_the_right_polarity() -> None:
    for colour, want in {
        (0, 0, 0, 0): (255, 255, 255),
        (0, 255, 255, 0): (255, 0, 0),
        (0, 0, 0, 255): (0, 0, 0),
    }.items():
        read = decoding.decode(stored(Image.new("CMYK", (16, 16), colour), "JPEG", quality=100))
        np.testing.assert_allclose(read[8, 8], want, atol=3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_once(kind: str, orientation: int) -> None:
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:16, :16], upright[:16, 32:], upright[16:, :16] = [255, 0, 0], [0, 255, 0], [0, 0, 255]
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
    exif = Image.Exif()
    exif[0x0112] = orientation
    best: dict[str, dict[str, Any]] = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    read = decoding.decode(stored(Image.fromarray(store(upright).copy()), kind, exif=exif, **best.get(kind, {})))
    assert read.shape == upright.shape
    np.testing.assert_allclose(read.astype(int), upright, atol=8)


def test_broken_exif_does_not_cost_the_picture() -> None:
    plain = stored(Image.fromarray(smooth()), "JPEG", exif=b"Exif\0\0MM\0*" + b"\xff" * 40)
    assert decoding.decode(plain).shape == (40, 56, 3)


def test_one_pixel_and_size(tmp_path: Path) -> None:
    decoding.encode(np.array([[[1, 2, 3]]], np.uint8), tmp_path / "dot.png")
    np.testing.assert_array_equal(decoding.decode(tmp_path / "dot.png"), [[[1, 2, 3]]])
    decoding.encode(noise(), tmp_path / "a.bmp")
    assert decoding.size(tmp_path / "a.bmp") == (40, 56)


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (25_001, 10_000), (15_000, 16_700)])
def test_bomb_is_refused_from_its_header(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "bomb.png").write_bytes(png(width, height))
    before = time.perf_counter()
    with pytest.raises(InputError) as error:
        decoding.decode(tmp_path / "bomb.png")
    one_line(error, "bomb.png", f"{width * height:,}", "250,000,000")
    assert time.perf_counter() - before < 0.5


def test_a_real_bomb_costs_no_memory(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "real.png")
    script = (
        "import resource, sys\n"
        "from convmedia.data.images import decoding as images\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n images.decode(sys.argv[1])\nexcept images.InputError: pass\nelse: sys.exit('accepted')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "real.png")], capture_output=True, check=True)
    assert int(done.stdout) < 20_000  # KiB; the decoded picture has 390,000


def test_a_picture_of_200_megapixels_is_read_in_the_memory_that_its_decoder_takes(tmp_path: Path) -> None:
    width, height = 16_384, 12_288
    picture = Image.new("1", (width, height), 1)
    picture.paste(0, (0, 0, width // 2, height))
    picture.save(tmp_path / "telephone.png")
    script = (
        "import resource, sys\n"
        "from convmedia.data.images import decoding as images\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "read = images.decode(sys.argv[1], most_pixels=16_000_000)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, *read.shape, *read[5, ::1024, 1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "telephone.png")], capture_output=True, check=True
    )
    memory, *seen = map(int, done.stdout.split())
    assert seen == [3072, 4096, 3, 0, 0, 255, 255]  # squares of 4x4
    assert memory < 350_000  # KiB: a byte a pixel in Pillow, and the result; as RGB it has 604,000


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_strips_and_averages_are_those_of_the_whole_picture(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    channels = {"LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}.get(mode, 1)
    dtype = np.uint16 if mode == "I;16" else np.uint8
    values = np.random.default_rng(3).integers(0, np.iinfo(dtype).max, (45, 60, channels), dtype)
    if mode in ("1", "P"):
        image = Image.fromarray(values[..., 0]).convert(mode)
    else:
        image = Image.frombytes(mode, (60, 45), values.tobytes())
    content = stored(image, "TIFF" if mode == "CMYK" else "PNG")
    whole = decoding.decode(content)
    monkeypatch.setattr(decoding, "STRIP_PIXELS", 60 * 8)
    np.testing.assert_array_equal(decoding.decode(content), whole)
    means = whole.reshape(15, 3, 20, 3, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(decoding.decode(content, most_pixels=45 * 60 // 5), means, atol=0.6)  # rounded by Pillow


def test_a_profile_and_a_text_of_two_megabytes_do_not_make_a_picture_damaged() -> None:
    from PIL.PngImagePlugin import MAX_TEXT_CHUNK, PngInfo

    text = PngInfo()
    text.add_text("note", "a" * 2_000_000, zip=True)
    content = stored(Image.fromarray(noise()), pnginfo=text, icc_profile=bytes(2_000_000))
    np.testing.assert_array_equal(decoding.decode(content), noise())
    from PIL import PngImagePlugin

    assert PngImagePlugin.MAX_TEXT_CHUNK == MAX_TEXT_CHUNK == 1 << 20  # for others it is what it was


def test_lack_of_memory_is_an_input_error_that_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoding.encode(noise(), tmp_path / "a.png")

    def load(_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    with pytest.raises(InputError) as error:
        decoding.decode(tmp_path / "a.png")
    one_line(error, "a.png needs more memory", "56x40", "smaller")


def test_large_pictures_are_decoded_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from convmedia.data.images import opening

    sizes = {"a": 30, "b": 50, "c": 20, "d": 80, "e": 200, "f": 10}  # of 100
    for name, side in sizes.items():
        decoding.encode(noise(side, 10), tmp_path / f"{name}.png")
    monkeypatch.setattr(opening, "_room", opening._Room(1_000))
    now: list[str] = []
    together: list[list[str]] = []

    def read(name: str) -> None:
        with decoding.opened(tmp_path / f"{name}.png"):
            now.append(name)
            together.append(list(now))
            time.sleep(0.02)
            now.remove(name)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(read, list(sizes) * 4))
    assert all(sum(map(sizes.__getitem__, names)) <= 100 or names == ["e"] for names in together)
    assert len(together) == 24 and any(len(names) > 1 for names in together)


def test_between_our_limit_and_pillows_no_warning_gets_out() -> None:
    Image.init()
    assert Image.MAX_IMAGE_PIXELS is not None and Image.MAX_IMAGE_PIXELS < decoding.MAX_PIXELS
    filters = list(warnings.filters)
    with pytest.raises(InputError, match="cut or damaged"):  # passes both limits, then its pixels are missing
        decoding.decode(png(9_999, 9_500))
    assert list(warnings.filters) == filters


def test_warnings_stay_in_while_threads_decode() -> None:
    large, small = png(9_999, 9_500, colours=0), stored(Image.new("RGB", (64, 64)))
    filters = list(warnings.filters)

    def work(index: int) -> bool:
        try:
            decoding.decode(large if index % 2 else small)
        except InputError:
            return True
        return False

    with ThreadPoolExecutor(4) as pool:
        refused = list(pool.map(work, range(24)))
    assert sum(refused) == 12
    assert list(warnings.filters) == filters


@pytest.mark.parametrize("kind", SUFFIX)
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_cut_files_are_refused_by_name(tmp_path: Path, kind: str, kept: float) -> None:
    whole = stored(Image.fromarray(noise(200, 200)), kind)
    path = tmp_path / f"cut{SUFFIX[kind]}"
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputError) as error:
        decoding.decode(path)
    one_line(error, path.name, "complete")


def test_altered_bytes_give_a_picture_or_an_input_error() -> None:
    random = np.random.default_rng(7)
    for kind in SUFFIX:
        whole = np.frombuffer(stored(Image.fromarray(noise(12, 12)), kind), np.uint8)
        for _ in range(60):
            bad = whole.copy()
            bad[random.integers(0, len(bad), 6)] = random.integers(0, 256, 6)
            try:
                assert decoding.decode(bad.tobytes()).dtype == np.uint8
            except InputError as error:
                assert "\n" not in str(error)


def test_wrong_files_are_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture at all\n" * 50)
    (tmp_path / "icon.png").write_bytes(stored(Image.new("RGB", (16, 16)), "ICO"))
    (tmp_path / "script.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    os.mkfifo(tmp_path / "pipe.png")
    faults = {
        "missing.png": "does not exist",
        "empty.png": "empty",
        "text.png": "known format",
        "icon.png": "known format",
        "script.png": "known format",
        "pipe.png": "pipe",
        "text.png/below.png": "cannot be opened",
    }
    for name, reason in faults.items():
        with pytest.raises(InputError) as error:
            decoding.decode(tmp_path / name)
        one_line(error, name, reason, "; ")
    with pytest.raises(InputError) as error:
        decoding.decode(tmp_path)
    one_line(error, str(tmp_path), "folder")
    with pytest.raises(InputError, match="0 bytes"):
        decoding.decode(b"")
    with pytest.raises(InputError, match="no file name"):
        decoding.decode("a\0b.png")


def test_permission_denied(tmp_path: Path) -> None:
    decoding.encode(noise(), tmp_path / "locked.png")
    (tmp_path / "locked.png").chmod(0)
    script = (
        "import os, sys\nfrom convmedia.data.images import decoding as images\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "try:\n images.decode(sys.argv[1])\nexcept images.InputError as error: print(error)"
    )
    run = [sys.executable, "-c", script, str(tmp_path / "locked.png")]
    done = subprocess.run(run, capture_output=True, check=True, text=True)
    assert "locked.png cannot be opened (Permission denied)" in done.stdout


def test_strange_names_stay_on_one_line(tmp_path: Path) -> None:
    for name in (b"caf\xe9.png", b"two\nlines.png"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        decoding.encode(noise(), path)
        np.testing.assert_array_equal(decoding.decode(path), noise())
        path.write_bytes(b"no")
        with pytest.raises(InputError) as error:
            decoding.decode(path)
        one_line(error, "\\")
        str(error.value).encode("utf-8")


def test_encode_refuses_what_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.txt names no picture format"):
        decoding.encode(noise(), tmp_path / "a.txt")
    for wrong in (noise().astype(np.float32), np.zeros((3, 3, 4), np.uint8), np.zeros(5, np.uint8)):
        with pytest.raises(ValueError, match="received"):
            decoding.encode(wrong, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_jpeg_is_written_in_quality_95(tmp_path: Path) -> None:
    decoding.encode(smooth(), tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as ours, Image.open(io.BytesIO(stored(ours, "JPEG", quality=95))) as known:
        assert vars(ours)["quantization"] == vars(known)["quantization"]


def test_find_keeps_the_order_and_goes_into_folders(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.JPG", "b/deep/0.webp", "b/notes.txt", "b/.hidden.png", "b/.git/3.png", "a.bmp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b/loop").symlink_to(tmp_path / "b")
    (tmp_path / "b/gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "b/link.png").symlink_to(tmp_path / "a.bmp")
    given = [tmp_path / "missing.png", tmp_path / "b", str(tmp_path / "b/notes.txt"), tmp_path / "a.bmp"]
    found = [str(path.relative_to(tmp_path)) for path in decoding.find(given)]
    assert found == [
        *("missing.png", "b/1.JPG", "b/2.png", "b/deep/0.webp", "b/link.png"),
        *("b/notes.txt", "a.bmp"),
    ]
    (tmp_path / "c").mkdir()
    with pytest.raises(InputError) as error:
        decoding.find([tmp_path / "c"])
    one_line(error, "/c holds no picture", ".jpg")


def test_what_is_left_out_of_a_folder_is_counted_and_named_but_not_what_lies_beside(tmp_path: Path) -> None:
    beside = ("README.txt", "labels.csv", "Thumbs.db", "desktop.ini", ".DS_Store", "._a.jpg", "__MACOSX/a.jpg")
    for name in ("a.jpg", "b.JFIF", "c.jpe", "deep/noext", "d.psd", "e.mp4", *beside):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    lines: list[str] = []
    found = decoding.find([tmp_path], lines.append)
    assert [path.name for path in found] == ["a.jpg", "b.JFIF", "c.jpe"]
    assert lines == [f"3 files are left out of {tmp_path}, by the suffix no picture: d.psd, deep/noext, e.mp4"]
    for number in range(4):
        (tmp_path / f"more{number}.psd").touch()
    decoding.find([tmp_path], lines.append)
    assert lines[1].startswith("7 files are left out") and lines[1].endswith("more1.psd and 2 more")


@pytest.mark.parametrize("suffix", [".jfif", ".jpe"])
def test_other_suffixes_of_jpegs_are_read_written_and_kept(tmp_path: Path, suffix: str) -> None:
    decoding.encode(smooth(), tmp_path / f"a{suffix}")
    assert decoding.find([tmp_path]) == [tmp_path / f"a{suffix}"]
    original = lossless.read(tmp_path / f"a{suffix}")
    assert lossless.suffix_for(original, suffix) == suffix
    lossless.write(original, tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as ours:
        assert ours.format == "JPEG"


@pytest.mark.skipif("AVIF" not in decoding.FORMATS, reason="this Pillow is built without AVIF")
def test_avif_is_read(tmp_path: Path) -> None:
    Image.fromarray(smooth()).save(tmp_path / "a.avif", quality=100)
    assert decoding.find([tmp_path]) == [tmp_path / "a.avif"]
    assert np.abs(decoding.decode(tmp_path / "a.avif").astype(int) - smooth()).mean() < 4
    assert lossless.suffix_for(lossless.read(tmp_path / "a.avif"), ".avif") == ".png"


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.mark.skipif(decoding.WITH_HEIF, reason="pillow-heif is installed")
def test_heic_is_no_damaged_file_but_says_what_to_do(tmp_path: Path) -> None:
    for name in ("a.HEIC", "b.jpg"):
        (tmp_path / name).write_bytes(HEIC)
        with pytest.raises(InputError) as error:
            decoding.decode(tmp_path / name)
        one_line(error, f"{name} is HEIC", f"run: {extras.command('heif')}", "JPEG")
    assert [path.name for path in decoding.find([tmp_path])] == ["a.HEIC", "b.jpg"]


def test_heic_is_read_where_the_extra_is_installed(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.fromarray(smooth())).save(tmp_path / "a.heic", quality=95)
    assert decoding.find([tmp_path]) == [tmp_path / "a.heic"]
    assert np.abs(decoding.decode(tmp_path / "a.heic").astype(int) - smooth()).mean() < 4


def test_decoding_needs_no_tensorflow() -> None:
    script = (
        "import sys; import convmedia.data.images.decoding; "
        "print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout.strip() == b"[]"


def test_real_photos_equal_pillow() -> None:
    folder = os.environ.get("CONVMEDIA_DATA")
    if not folder:
        pytest.skip("CONVMEDIA_DATA is not set")
    compared = 0
    for path in decoding.find([Path(folder, "digits_in_the_wild")]):
        with Image.open(path) as image:
            if image.mode == "RGB" and image.getexif().get(0x0112, 1) == 1:
                np.testing.assert_array_equal(decoding.decode(path), np.asarray(image))
                compared += 1
    assert compared == 20


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_what_libtiff_says_of_a_damaged_file_is_in_the_error_alone(tmp_path, capfd, compression):
    path = tmp_path / "damaged.tif"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, compression=compression)
    content = bytearray(path.read_bytes())
    with Image.open(path) as image:
        [start, *_] = image.tag_v2[273]
    content[start + 200 : start + 600] = b"\xff\x00\xfe\x81" * 100
    path.write_bytes(content)
    try:
        decoding.decode(path)
    except InputError as error:
        assert "damaged.tif" in str(error)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "grey", "transparent"])
def test_resized_where_pillow_holds_it_gives_the_same_pixels(tmp_path: Path, kind: str, turn: int) -> None:
    picture = Image.fromarray(smooth(90, 70))
    if kind in ("grey", "transparent"):
        picture = picture.convert("L" if kind == "grey" else "RGBA")
        picture.putalpha(99) if kind == "transparent" else None
    path = tmp_path / f"one{SUFFIX.get(kind, '.png')}"
    exif = Image.Exif()
    exif[0x0112] = turn
    picture.save(path, **({} if kind == "GIF" else {"exif": exif}))
    for least in (None, (20, 30)):
        whole = Image.fromarray(decoding.decode(path, least=least))
        expected = np.asarray(whole.resize((30, 20), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(decoding.resized(path, (20, 30), least), expected)
