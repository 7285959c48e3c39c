"""Damaged files in thousands: does every file get its row, without a traceback, and in how much memory?

python benchmarks/damaged_files.py                                   # 10,000 pictures, 3,000 sounds
python benchmarks/damaged_files.py --pictures 500 --sounds 0 --seed 7

Good files of every format that is read are damaged in ways that disks, networks and programs damage them: cut, bits
flipped, bytes put in, left out, doubled or overwritten, two files mixed, lengths and sizes in headers set to extremes.
`convmedia mnist predict` and `convmedia audio predict` answer folders of them, a process for each thousand. A file
that can still be read is answered, any other has a row with its error.
"""

import argparse
import io
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image, features

PART = 1000  # files of one process
EXTREME = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
Damage = Callable[[bytes, bytes, np.random.Generator], bytes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--sounds", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for app, number, whole in (("mnist", options.pictures, pictures()), ("audio", options.sounds, sounds())):
        if number:
            report(app, number, options.seed, whole)


def report(app: str, number: int, seed: int, whole: dict[str, bytes]) -> None:
    """Damage `number` files, answer them part by part, and print what came of them."""
    rng = np.random.default_rng(seed)
    found, codes, tracebacks, peak = Counter(), Counter(), 0, 0.0
    for start in range(0, number, PART):
        with tempfile.TemporaryDirectory() as folder:
            names = list(damaged_files(Path(folder) / "files", min(PART, number - start), start, whole, rng))
            code, rows, errors, megabytes = answered(app, Path(folder), names)
            answers = Counter(row["file"] for row in rows)
            found["rows"] += len(rows)
            found["lost"] += sum(answers[name] == 0 for name in names)
            found["twice"] += sum(count > 1 for count in answers.values())
            found["errors"] += sum("error" in row for row in rows)
            codes[code] += 1
            tracebacks += errors.count("Traceback")
            peak = max(peak, megabytes)
            if code not in (0, 1) or "Traceback" in errors:
                print(errors[-3000:], file=sys.stderr)
        print(f"{app}: {start + len(names):,} of {number:,}", file=sys.stderr, flush=True)
    print(
        f"{app} predict, seed {seed}: {number:,} damaged files of {len(whole)} kinds, {found['rows']:,} rows, "
        f"{found['lost']} lost, {found['twice']} twice, {found['errors']:,} of them errors; {tracebacks} tracebacks; "
        f"exit codes {dict(codes)}; {peak:,.0f} MB at most"
    )


def answered(app: str, folder: Path, names: list[str]) -> tuple[int, list[dict], str, float]:
    """Exit code, rows, standard error and greatest memory (MB) of a process that answers the files."""
    listed, out = folder / "list.txt", folder / "rows.jsonl"
    listed.write_text("\n".join(names) + "\n")
    command = [sys.executable, "-m", "convmedia.apps", app, "predict", "--files-from", listed, "--out", out]
    with (folder / "errors").open("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=os.environ)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = errors.read()
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    assert isinstance(used, resource.struct_rusage)
    return process.returncode, rows, said, used.ru_maxrss / 1024


def damaged_files(
    folder: Path, number: int, first: int, whole: dict[str, bytes], rng: np.random.Generator
) -> Iterator[str]:
    """Write damaged files, each kind in turn; gives their paths."""
    folder.mkdir(parents=True)
    kinds, contents = list(whole), list(whole.values())
    for place in range(first, first + number):
        at = place % len(kinds)
        content = contents[at]
        for _ in range(rng.integers(1, 4)):
            damage = DAMAGES[rng.integers(len(DAMAGES))]
            content = damage(content, contents[rng.integers(len(contents))], rng)
        path = folder / f"{place}-{kinds[at]}"
        path.write_bytes(content)
        yield str(path)


def cut(content: bytes, _: bytes, rng: np.random.Generator) -> bytes:
    return content[: rng.integers(len(content) + 1)]


def flipped(content: bytes, _: bytes, rng: np.random.Generator) -> bytes:
    values = np.frombuffer(content, np.uint8).copy()
    if len(values):
        places = rng.integers(len(values), size=rng.integers(1, 30))
        values[places] ^= (1 << rng.integers(8, size=len(places))).astype(np.uint8)
    return values.tobytes()


def overwritten(content: bytes, _: bytes, rng: np.random.Generator) -> bytes:
    start, length = rng.integers(len(content) + 1), rng.integers(1, 200)
    return content[:start] + rng.bytes(length) + content[start + length :]


def put_in(content: bytes, _: bytes, rng: np.random.Generator) -> bytes:
    start = rng.integers(len(content) + 1)
    return content[:start] + rng.bytes(rng.integers(1, 200)) + content[start:]


def left_out(content: bytes, _: bytes, rng: np.random.Generator) -> bytes:
    start = rng.integers(len(content) + 1)
    return content[:start] + content[start + rng.integers(1, 200) :]


def doubled(content: bytes, _: bytes, rng: np.random.Generator) -> bytes:
    start, end = sorted(rng.integers(len(content) + 1, size=2))
    return content[:end] + content[start:]


def mixed(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    return content[: rng.integers(len(content) + 1)] + other[rng.integers(len(other) + 1) :]


def extreme(content: bytes, _: bytes, rng: np.random.Generator) -> bytes:
    """A number of the first 128 bytes, of two or four, in either order of bytes, is as small or large as it can be."""
    kind = ("<H", ">H", "<I", ">I")[rng.integers(4)]
    size = struct.calcsize(kind)
    start = rng.integers(max(min(128, len(content)) - size, 0) + 1)
    number = EXTREME[rng.integers(len(EXTREME))] & (256**size - 1)
    return content[:start] + struct.pack(kind, number) + content[start + size :]


DAMAGES: list[Damage] = [cut, flipped, overwritten, put_in, left_out, doubled, mixed, extreme, extreme]


def pictures() -> dict[str, bytes]:
    """A picture of a digit, encoded in every way: file name to content."""
    rng = np.random.default_rng(1)
    levels = np.full((60, 44), 230.0)
    levels[8:14, 8:36] = levels[14:52, 28:35] = 40
    levels += rng.normal(0, 4, levels.shape)
    grey = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    colour, deep = grey.convert("RGB"), Image.fromarray((levels.clip(0, 255) * 257).astype(np.uint16))
    alpha = colour.convert("RGBA")
    exif = Image.Exif()
    exif[0x0112] = 6
    ways = [
        ("jpeg.jpg", colour, {"quality": 90, "exif": exif}),
        ("progressive.jpg", colour, {"progressive": True, "icc_profile": b"\0" * 3000}),
        ("grey.jpg", grey, {}),
        ("cmyk.jpg", colour.convert("CMYK"), {}),
        ("colour.png", colour, {}),
        ("alpha.png", alpha, {}),
        ("palette.png", colour.quantize(16), {"transparency": 0}),
        ("deep.png", deep, {}),
        ("animated.gif", grey, {"save_all": True, "append_images": [grey.rotate(90)]}),
        ("picture.bmp", colour, {}),
        ("lossy.webp", colour, {}),
        ("lossless.webp", alpha, {"lossless": True}),
        ("raw.tif", colour, {}),
        ("deflated.tif", alpha, {"compression": "tiff_deflate"}),
        ("lzw.tif", grey, {"compression": "tiff_lzw"}),
        ("deep.tif", deep, {}),
    ]
    if features.check("avif"):
        ways.append(("picture.avif", colour, {}))
    return {name: encoded(picture, name, options) for name, picture, options in ways}


def encoded(picture: Image.Image, name: str, options: dict) -> bytes:
    file = io.BytesIO()
    picture.save(file, Image.registered_extensions()[Path(name).suffix], **options)
    return file.getvalue()


def sounds() -> dict[str, bytes]:
    """A rising tone, encoded in every way: file name to content."""
    times = np.arange(6000) / 8000
    tone = 0.4 * np.sin(2 * np.pi * (300 + 200 * times) * times)
    ways = [("WAV", kind) for kind in ("PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM")]
    ways += [("WAVEX", "PCM_16"), ("RF64", "PCM_16"), ("W64", "PCM_16"), ("AIFF", "PCM_16"), ("FLAC", "PCM_16")]
    ways += [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
    suffixes = {"WAVEX": "wav", "RF64": "wav", "W64": "w64"}
    found = {}
    for container, kind in ways:
        file = io.BytesIO()
        stereo = np.stack([tone, 0.5 * tone], 1) if kind == "PCM_24" else tone
        soundfile.write(file, stereo, 16000 if kind == "OPUS" else 8000, kind, format=container)
        found[f"{container}-{kind}.{suffixes.get(container, container.lower())}".lower()] = file.getvalue()
    return found


if __name__ == "__main__":
    main()
