"""Near duplicates: how many copies are found, how many different files are taken for copies, what it costs.

python benchmarks/near_duplicates.py

Each set is looked through as it is, then together with a copy of every fortieth file in each of several formats, sizes
and rates. Sets are looked up in CONVMEDIA_DATA; those that are not there are named and left out.
"""

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr
from PIL import Image

from convmedia.data.audio import decoding
from convmedia.data.audio import fingerprints as audio_fingerprints
from convmedia.data.images import decoding as images_decoding
from convmedia.data.images import fingerprints
from convmedia.data.sources import fetch
from convmedia.data.splits import near_duplicates
from convmedia.data.splits.near_duplicates import PICTURES, SOUNDS, candidates

EVERY = 40  # files, between two that are copied


def main() -> None:
    for name in ("dogs-vs-cats", "BSD200", "T91"):
        if folder := fetch.locate(name):
            files = images_decoding.find([folder])
            of_pictures(name, files, lambda at, files=files: images_decoding.decode(files[at]))
        else:
            print(f"{name} is not on this machine")
    if file := fetch.locate("mnist"):
        digits = np.load(file)["x_train"][:2000]
        of_pictures("2,000 digits of MNIST", range(2000), lambda at: np.repeat(digits[at][..., None], 3, -1))
    for name in ("fsdd", "esc10"):
        if folder := fetch.locate(name):
            of_sounds(name, decoding.find([folder]))
        else:
            print(f"{name} is not on this machine")


def of_pictures(name: str, keys, picture: Callable[[int], np.ndarray]) -> None:
    """Print what is found in a set of pictures, and of copies of some."""
    marks = [fingerprints.thumbnail(picture(at)) for at in range(len(keys))]

    def close(at: int) -> np.ndarray:
        return near_duplicates.closely(picture(at))

    report(name, PICTURES, marks, close)
    for kind, copy in PICTURE_COPIES.items():
        chosen = range(0, len(marks), EVERY)
        copies = {at: copy(picture(at)) for at in chosen}
        found = sum(
            PICTURES.same(close(at), near_duplicates.closely(copied))
            for at, copied in copies.items()
            if list(candidates(PICTURES, [marks[at], fingerprints.thumbnail(copied)]))
        )
        print(f"    {kind}: {found} of {len(copies)} copies found")


def of_sounds(name: str, files: list[Path]) -> None:
    """Print what is found in a set of sounds, and of copies of some."""
    marks = [decoding.check(file) for file in files]
    report(name, SOUNDS, marks, lambda at: SOUNDS.detail(files[at]))
    for kind, copy in SOUND_COPIES.items():
        chosen = range(0, len(files), EVERY)
        found = 0
        for at in chosen:
            content = copy(*soundfile.read(files[at], dtype="float32"))
            mark = audio_fingerprints.of_sound([resampled(*content)])
            if list(candidates(SOUNDS, [marks[at], mark])):
                found += SOUNDS.same(SOUNDS.detail(files[at]), near_duplicates.of_waveform(resampled(*content)))
        print(f"    {kind}: {found} of {len(chosen)} copies found")


def report(name: str, likeness: near_duplicates.Likeness, marks: list[bytes], detail: Callable) -> None:
    """Print how many pairs a set has as it is."""
    start = time.process_time()
    pairs = list(candidates(likeness, marks))
    middle = time.process_time()
    near = [pair for pair in pairs if likeness.same(*(detail(at) for at in pair))]
    seconds = f"{middle - start:.2f} + {time.process_time() - middle:.2f} s of CPU"
    print(
        f"{name}: {len(marks):,} files, {len(pairs):,} pairs compared closely, {len(near)} near duplicates, {seconds}"
    )


def encoded(picture: np.ndarray, kind: str, **options) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(picture).save(content, kind, **options)
    return images_decoding.decode(content.getvalue())


def scaled(picture: np.ndarray, factor: float) -> np.ndarray:
    height, width = (max(1, round(side * factor)) for side in picture.shape[:2])
    return encoded(
        np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC)), "JPEG", quality=85
    )


PICTURE_COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    **{f"JPEG quality {q}": lambda picture, q=q: encoded(picture, "JPEG", quality=q) for q in (30, 50, 75, 95)},
    "WebP quality 60": lambda picture: encoded(picture, "WEBP", quality=60),
    **{f"{f} times the size": lambda picture, f=f: scaled(picture, f) for f in (0.5, 0.9, 1.4)},
    "grey": lambda picture: np.asarray(Image.fromarray(picture).convert("L").convert("RGB")),
}


def resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    return np.concatenate(list(decoding.resampled([samples], rate, audio_fingerprints.SOUND_RATE)))


def stored(kind: str, subtype: str) -> Callable[[np.ndarray, int], tuple[np.ndarray, int]]:
    def copy(samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
        content = io.BytesIO()
        soundfile.write(content, samples, rate, format=kind, subtype=subtype)
        content.seek(0)
        return soundfile.read(content, dtype="float32")

    return copy


SOUND_COPIES: dict[str, Callable[[np.ndarray, int], tuple[np.ndarray, int]]] = {
    "FLAC": stored("FLAC", "PCM_16"),
    "Ogg Vorbis": stored("OGG", "VORBIS"),
    "MP3": stored("MP3", "MPEG_LAYER_III"),
    "a tenth as loud": lambda samples, rate: (0.1 * samples, rate),
    "at 16,000 Hz": lambda samples, rate: (soxr.resample(samples, rate, 16_000), 16_000),
}


if __name__ == "__main__":
    main()
