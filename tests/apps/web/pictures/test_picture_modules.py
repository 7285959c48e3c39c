"""The page's pictures are those that a command decodes: a model answers both alike."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convmedia.data.images import decoding

ORIENTATION = 0x0112
MOST_PIXELS = 3000  # the pictures below are averaged over squares of 4x4


def alpha_of(image: Image.Image, alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([np.asarray(image), alpha]))


def ramp(image: Image.Image) -> np.ndarray:
    """Every opacity, from left to right."""
    return np.linspace(0, 255, image.width).astype(np.uint8)[None].repeat(image.height, 0)


def turned(turn: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    return exif


def part(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(samples: np.ndarray, depth: int, kind: int, extra: bytes = b"", interlaced: bool = False) -> bytes:
    """A PNG of integers (height, width, channels) as they are, whatever Pillow can write."""
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    lines = b""
    for left, top, along, down in passes:
        some = samples[top::down, left::along]
        for line in some if some.size else ():
            bits = (line.reshape(-1, 1) >> np.arange(depth)[::-1]) & 1
            lines += b"\0" + np.packbits(bits.astype(np.uint8)).tobytes()
    height, width = samples.shape[:2]
    packed = zlib.compress(lines)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    pixels = part(b"IDAT", packed[:30]) + part(b"IDAT", b"") + part(b"IDAT", packed[30:])
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + extra + pixels + part(b"IEND", b"")


def opaque_files(folder: Path, cat: Image.Image):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (67, 83, 3), dtype=np.uint8))
    for subsampling in (0, 1, 2):
        for progressive in (False, True):
            options = {"quality": 80, "subsampling": subsampling, "progressive": progressive}
            cat.save(folder / f"cat{subsampling}{progressive}.jpg", **options)
            noise.save(folder / f"noise{subsampling}{progressive}.jpg", **options)
    cat.convert("L").save(folder / "grey.jpg")
    cat.convert("CMYK").save(folder / "cmyk.jpg")
    for turn in range(1, 9):
        cat.save(folder / f"turned{turn}.jpg", exif=turned(turn))
        cat.save(folder / f"turned{turn}.png", exif=turned(turn))
    cat.save(folder / "turned6.webp", exif=turned(6))
    for suffix in ("png", "bmp", "gif", "webp"):
        cat.save(folder / f"colour.{suffix}")
        cat.convert("L").save(folder / f"grey.{suffix}")
    cat.convert("1").save(folder / "two.png")
    cat.convert("1").save(folder / "two.bmp")
    for colours, bits in ((2, 1), (4, 2), (16, 4), (200, 8)):
        cat.quantize(colours).save(folder / f"palette{bits}.png", bits=bits)
    cat.save(folder / "lossless.webp", lossless=True)
    cat.save(folder / "halved.avif")
    cat.save(folder / "whole.avif", subsampling="4:4:4")
    for turn in (3, 6):
        xmp = f'<rdf:Description xmlns:rdf="rdf" tiff:Orientation="{turn}"/>'.encode()
        cat.save(folder / f"xmp{turn}.jpg", xmp=xmp)
        cat.save(folder / f"xmp{turn}.webp", xmp=xmp)
        cat.save(folder / f"both{turn}.jpg", xmp=xmp, exif=turned(8))
    for name, image in (("small_first.gif", cat), ("grey_first.gif", cat.convert("L"))):
        image.save(folder / name)
        content = (folder / name).read_bytes()  # the frame keeps its sides where the picture is made larger
        (folder / name).write_bytes(content[:6] + struct.pack("<HH", 240, 150) + content[10:])
    frames = [cat.rotate(90), cat.rotate(180)]
    for suffix in ("gif", "webp", "png"):
        cat.save(folder / f"moving.{suffix}", save_all=True, append_images=frames)
    cat.save(folder / "apart.png", save_all=True, append_images=frames, default_image=True)


def transparent_files(folder: Path, cat: Image.Image):
    noise = np.random.default_rng(1).integers(0, 256, ramp(cat).shape, dtype=np.uint8)
    white = Image.new("RGB", cat.size, (240, 250, 235))
    for name, image in (
        ("ramp", alpha_of(cat, ramp(cat))),
        ("noise", alpha_of(cat, noise)),
        ("white", alpha_of(white, noise)),
    ):
        image.save(folder / f"{name}.png")
        image.save(folder / f"{name}.webp")
        image.save(folder / f"{name}_exact.webp", lossless=True, exact=True)
        image.save(folder / f"{name}.avif")
    alpha_of(cat, 255 * (noise > 128).astype(np.uint8)).save(folder / "holes.gif")
    alpha_of(white, 255 * (noise > 128).astype(np.uint8)).save(folder / "white_holes.gif")
    alpha_of(cat, 0 * noise).save(folder / "nothing.png")
    alpha_of(cat, noise).convert("LA").save(folder / "grey.png")
    cat.quantize(16).save(folder / "palette.png", transparency=bytes(range(0, 256, 16)))
    cat.quantize(16).save(folder / "one_of_palette.png", transparency=3)
    cat.save(folder / "key.png", transparency=cat.getpixel((7, 5)))
    cat.convert("L").save(folder / "grey_key.png", transparency=120)
    alpha_of(cat, noise).resize((2300, 2100)).save(folder / "of_tiles.webp", lossless=True, method=0, quality=0)


def unusual_png(folder: Path):
    random = np.random.default_rng(2)
    for depth in (1, 2, 4):
        grey = random.integers(0, 2**depth, (31, 45, 1))
        for key in (None, 0, 1, 3):
            extra = b"" if key is None else part(b"tRNS", struct.pack(">H", key))
            (folder / f"grey{depth}_{key}.png").write_bytes(png(grey, depth, 0, extra))
    for kind, channels in ((0, 1), (2, 3), (4, 2), (6, 4)):
        for depth in (8, 16):
            woven = png(random.integers(0, 2**depth, (31, 45, channels)), depth, kind, interlaced=True)
            (folder / f"woven{kind}_{depth}.png").write_bytes(woven)
        for bits in (6, 8, 10, 12, 14, 16):
            values = random.integers(0, 2**bits, (31, 45, channels))
            values[0, 0] = 2**bits - 1
            key = part(b"tRNS", struct.pack(">" + "H" * channels, *values[4, 5])) if kind in (0, 2) else b""
            for name, extra in (("plain", b""), ("said", part(b"sBIT", bytes([12] * channels))), ("key", key)):
                (folder / f"{name}{kind}_{bits}.png").write_bytes(png(values, 16, kind, extra))
    (folder / "tiny.png").write_bytes(png(random.integers(0, 256, (2, 3, 3)), 8, 2, interlaced=True))


def same(folder: Path, asked, in_worker: bool, most_pixels: int | None = None) -> int:
    """Assert that each file of a folder gives the pixels and remarks that a command gets; their number."""
    names = sorted(
        path.name for path in folder.iterdir() if path.suffix[1:] in ("jpg", "png", "gif", "bmp", "webp", "avif")
    )
    answers = asked("decoded", names, in_worker, **({"mostPixels": most_pixels} if most_pixels else {}))
    for name, answer in zip(names, answers, strict=True):
        assert "error" not in answer, answer
        remarks: list[str] = []
        expected = decoding.decode(folder / name, most_pixels=most_pixels, told=remarks.append)
        assert answer["data"].shape == expected.shape, name
        assert np.abs(answer["data"].astype(int) - expected).max() == 0, name
        assert answer["notes"] == remarks, name
    return len(names)


@pytest.mark.parametrize(("in_worker", "most_pixels"), [(False, None), (True, MOST_PIXELS)])
def test_opaque_pictures_have_the_pixels_that_pillow_gives(folder, asked, cat, in_worker, most_pixels):
    opaque_files(folder, cat)
    assert same(folder, asked, in_worker, most_pixels) > 40


@pytest.mark.parametrize(("in_worker", "most_pixels"), [(False, MOST_PIXELS), (True, None)])
def test_transparent_pictures_are_laid_over_white_or_black_without_a_difference(
    folder, asked, cat, in_worker, most_pixels
):
    transparent_files(folder, cat)
    assert same(folder, asked, in_worker, most_pixels) > 15


def test_pngs_of_each_depth_and_kind_of_colour_are_read_as_stored(folder, asked):
    unusual_png(folder)
    assert same(folder, asked, in_worker=False) > 60


def test_an_average_over_squares_that_fit_is_their_rounded_mean(folder, asked):
    pixels = np.random.default_rng(3).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "noise.png")
    (answer,) = asked("decoded", ["noise.png"], mostPixels=600)
    means = pixels.reshape(20, 2, 30, 2, 3).mean(axis=(1, 3))
    assert answer["data"].shape == means.shape
    assert np.abs(answer["data"] - means).max() <= 0.5


def test_files_that_give_no_picture_are_refused_in_one_line_that_says_what_to_do(folder, asked, cat):
    for suffix in ("jpg", "png", "gif", "bmp", "webp", "avif"):
        cat.save(folder / f"whole.{suffix}")
        content = (folder / f"whole.{suffix}").read_bytes()
        (folder / f"cut.{suffix}").write_bytes(content[: len(content) // 2])
        (folder / f"begun.{suffix}").write_bytes(content[:24])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("This was never a picture. " * 20)
    cat.save(folder / "scan.tif")
    (folder / "huge.png").write_bytes(
        png(np.zeros((1, 1, 3), int), 8, 2).replace(struct.pack(">II", 1, 1), struct.pack(">II", 60000, 60000), 1)
    )
    (folder / "altered.png").write_bytes((folder / "whole.png").read_bytes().replace(b"IHDR\0\0\0", b"IHDR\0\0\1", 1))
    reasons = {
        **{f"cut.{suffix}": "is cut or damaged" for suffix in ("jpg", "png", "gif", "bmp", "webp")},
        **{f"begun.{suffix}": "is cut or damaged" for suffix in ("jpg", "png", "gif", "bmp", "webp")},
        "cut.avif": "is no picture that this browser reads: convert it to PNG or JPEG",
        "empty.png": "is empty (0 bytes); replace it with a complete copy",
        "text.png": "holds no picture of a known format",
        "scan.tif": "is no picture that this browser reads: convert it to PNG or JPEG",
        "huge.png": "is too large: 60000x60000 has 3,600,000,000 pixels, the limit is 100,000,000",
        "altered.png": "is cut or damaged (its part IHDR is altered)",
    }
    for in_worker in (False, True):
        answers = asked("decoded", list(reasons), in_worker)
        for (name, reason), answer in zip(reasons.items(), answers, strict=True):
            assert answer.get("error", "").startswith(f"{name} {reason}")
            assert "\n" not in answer["error"]


@pytest.mark.parametrize(("change", "said"), [("value ^ 1", "alters the pixels"), ("255", "hides pixels from pages")])
def test_a_browser_that_alters_or_hides_pixels_is_found_out(folder, asked, cat, change, said):
    cat.save(folder / "cat.jpg")
    cat.save(folder / "cat.png")
    with (folder / "answering.js").open("a") as answering:
        answering.write(f"""
const read = OffscreenCanvasRenderingContext2D.prototype.getImageData;
OffscreenCanvasRenderingContext2D.prototype.getImageData = function (...box) {{
  const found = read.apply(this, box);
  found.data.forEach((value, at) => {{ found.data[at] = {change}; }});
  return found;
}};
""")
    photo, drawing = asked("decoded", ["cat.jpg", "cat.png"], in_worker=True)
    assert said in (photo.get("error") or photo["notes"][0])
    assert ("error" in photo) == (change == "255"), "what is altered a little is read"
    assert drawing["notes"] == []
    assert (drawing["data"] == np.asarray(cat)).all(), "a PNG needs no canvas"


def test_without_webgl_half_transparent_colours_are_rounded_and_that_is_said(folder, asked, cat):
    alpha_of(cat, ramp(cat)).save(folder / "ramp.webp", lossless=True, exact=True)
    alpha_of(cat, ramp(cat)).save(folder / "ramp.png")
    with (folder / "answering.js").open("a") as answering:
        answering.write("""
const context = OffscreenCanvas.prototype.getContext;
OffscreenCanvas.prototype.getContext = function (kind, options) {
  return kind === '2d' ? context.call(this, kind, options) : null;
};
""")
    rounded, exact = asked("decoded", ["ramp.webp", "ramp.png"], in_worker=True)
    expected = decoding.decode(folder / "ramp.png")
    difference = np.abs(rounded["data"].astype(int) - expected)
    assert difference.max() <= 1
    assert rounded["notes"] == ["half transparent colours are rounded: this browser has no WebGL"]
    assert (exact["data"] == expected).all()
    assert exact["notes"] == []
