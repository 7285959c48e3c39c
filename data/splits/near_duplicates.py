"""Near duplicates: files that hold the same picture or sound in another format, size, rate, loudness or quality.

Two steps: fingerprints, which a scan keeps, tell the few pairs that may be; their files are then compared closely.

Pictures: any format and JPEG quality, any size, also squashed to a square; a grey copy of a photo counts. Cuts, mirror
images and turned ones do not. Sounds: any format, rate and loudness; another take or a part of a sound does not count.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter

from convmedia.data.audio import decoding
from convmedia.data.audio import fingerprints as audio_fingerprints
from convmedia.data.images import decoding as images_decoding
from convmedia.data.images import fingerprints
from convmedia.data.transforms.colour import LUMA

CLOSE_PX = 64
"""Pictures are compared closely at so many pixels a side."""

CLOSE_SECONDS = 30.0
"""Sounds are compared closely in their first seconds."""

_ROWS, _COLUMNS = 512, 8192  # of one matrix product: 16 MB


@dataclass(frozen=True)
class Likeness:
    """How files of one kind are compared.

    Attributes:
        vectors: unit vectors of fingerprints, and what encoding may change in each.
        difference: 1 - r² up to which the correlation r of two vectors makes files worth comparing closely.
        plausible: whether two fingerprints may be of the same, beside that.
        detail: what of a file is compared closely.
        same: whether two of those are of the same picture or sound.
    """

    vectors: Callable[[Sequence[bytes]], tuple[np.ndarray, np.ndarray]]
    difference: float
    plausible: Callable[[bytes, bytes], bool]
    detail: Callable[[Any], np.ndarray]
    same: Callable[[np.ndarray, np.ndarray], bool]


def candidates(likeness: Likeness, marks: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Pairs (i, j) of fingerprints that may be of the same, i < j; fingerprints that are empty are of no pair.

    Of 100,000 fingerprints 10^10 products would be needed; sorted along their principal axis, those too far apart on
    it are left out. Memory stays at some megabytes.
    """
    present = np.array([i for i, mark in enumerate(marks) if mark], int)
    if len(present) < 2:
        return
    units, slack = likeness.vectors([marks[i] for i in present.tolist()])
    along = units @ _principal_axis(units)
    order = np.argsort(along, kind="stable")
    units, slack, along, present = units[order], slack[order], along[order], present[order]
    least = np.sqrt(max(0.0, 1 - likeness.difference - float(slack.max()) ** 2))
    reach = np.sqrt(2 - 2 * least) + 1e-3  # the greatest distance of two unit vectors with that product
    for first in range(0, len(units), _ROWS):
        rows = slice(first, first + _ROWS)
        end = int(np.searchsorted(along, along[rows][-1] + reach))
        for left in range(first, end, _COLUMNS):
            columns = slice(left, min(left + _COLUMNS, end))
            products = units[rows] @ units[columns].T
            allowed = likeness.difference + slack[rows, None] * slack[columns]
            i, j = np.nonzero((products > 0) & (1 - products**2 <= allowed))
            ahead = first + i < left + j
            found = zip(present[first + i[ahead]].tolist(), present[left + j[ahead]].tolist(), strict=True)
            for one, other in found:
                if likeness.plausible(marks[one], marks[other]):
                    yield min(one, other), max(one, other)


def _principal_axis(units: np.ndarray) -> np.ndarray:
    """The direction in which vectors (n, d) reach farthest, (d,): by power iteration, near enough for sorting."""
    axis = units[0]
    for _ in range(10):
        axis = units.T @ (units @ axis)
        axis /= np.linalg.norm(axis)
    return axis


def closely(picture: np.ndarray) -> np.ndarray:
    """What of a picture, uint8 (height, width, 3), is compared closely: float32 (64, 64, 3)."""
    image = Image.fromarray(picture).resize((CLOSE_PX, CLOSE_PX), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(image, np.float32)


def same_picture(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two of `closely` show the same: luma, its detail, and colour where both have some.

    Measured on copies of photos (JPEG 30 to 95, WebP, 0.5 to 1.4 times the size): 1 - r² of luma up to 0.008, of detail
    up to 0.03; of digits of 28 px resized by 0.9 up to 0.05 and 0.17. Different photos: from 0.4 on.
    """
    first, second = one @ LUMA, other @ LUMA
    whole, colour = _alike(first, second, 0.06, 0.6), _same_colour(one, other)
    details = [(luma - uniform_filter(luma, 8))[8:-8, 8:-8] for luma in (first, second)]
    if min(detail.std() for detail in details) >= 2.0:
        return colour and whole and _alike(details[0], details[1], 0.28, 0.6)
    shapes = [luma - _shading(luma) for luma in (first, second)]
    if min(shape.std() for shape in shapes) >= 1.5:
        return colour and whole and _alike(shapes[0], shapes[1], 0.15, 0.6)
    return colour and _alike(first, second, 0.0, 0.5)  # two blank sheets under one lamp differ in their noise


def _shading(luma: np.ndarray) -> np.ndarray:
    """The quadratic surface that fits best: what uneven light makes of a blank sheet."""
    y, x = np.mgrid[-1 : 1 : CLOSE_PX * 1j, -1 : 1 : CLOSE_PX * 1j].reshape(2, -1)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    return (terms @ np.linalg.lstsq(terms, luma.ravel(), rcond=None)[0]).reshape(luma.shape)


def _alike(one: np.ndarray, other: np.ndarray, difference: float, noise: float) -> bool:
    """Whether two arrays agree up to a factor, an offset, a share of `difference`, and noise in levels of 255."""
    one, other = one - one.mean(), other - other.mean()
    product, spread = float((one * other).mean()), float(one.std() * other.std())
    return product > 0 and 1 - (product / spread) ** 2 <= difference + noise**2 / spread


def _same_colour(one: np.ndarray, other: np.ndarray, grey: float = 4.0, most: float = 10.0) -> bool:
    """Root mean squares of red and blue beside luma, in levels of 255: both little apart, or one of them grey."""
    chroma = [picture[..., [0, 2]] - (picture @ LUMA)[..., None] for picture in (one, other)]
    if min(np.sqrt((part**2).mean()) for part in chroma) < grey:
        return True
    return bool(np.sqrt(((chroma[0] - chroma[1]) ** 2).mean()) < most)


@lru_cache(4096)
def _of_picture(path: Path) -> np.ndarray:
    return closely(images_decoding.decode(path, least=(2 * CLOSE_PX, 2 * CLOSE_PX)))


@lru_cache(256)
def _of_sound(path: Path) -> np.ndarray:
    """The first 30 seconds of `of_waveform`."""
    wanted, found = int(CLOSE_SECONDS * audio_fingerprints.SOUND_RATE), []
    for block in decoding.blocks(path, audio_fingerprints.SOUND_RATE):
        found.append(block)
        if sum(map(len, found)) >= wanted:
            break
    return of_waveform(np.concatenate(found)[:wanted])


def of_waveform(samples: np.ndarray) -> np.ndarray:
    """What of a sound at 8 kHz, float32 (samples,), is compared closely: 500 to 2,800 Hz, where voices differ and
    encoders are exact."""
    spectrum = rfft(samples)
    hertz = np.linspace(0, audio_fingerprints.SOUND_RATE / 2, len(spectrum))
    spectrum[(hertz < 500) | (hertz > 2800)] = 0
    return irfft(spectrum, len(samples)).astype(np.float32)


def same_sound(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two waveforms agree where they are shifted to fit best, by a quarter of a second at most.

    Measured: copies (Ogg, MP3, other rates) correlate with 0.96 and more, takes of one word by one speaker up to 0.88.
    """
    size = next_fast_len(len(one) + len(other), real=True)
    found = irfft(rfft(one, size) * np.conj(rfft(other, size)), size)
    lag = audio_fingerprints.SOUND_RATE // 4
    best = max(found[: lag + 1].max(), found[-lag:].max())
    return bool(best > 0.93 * np.sqrt(float(one @ one) * float(other @ other)))


def _as_long(one: bytes, other: bytes) -> bool:
    """Encoders add or cut some hundredths of a second."""
    first, second = audio_fingerprints.seconds_of(one), audio_fingerprints.seconds_of(other)
    return abs(first - second) <= 0.03 + 0.01 * max(first, second)


PICTURES = Likeness(fingerprints.picture_vectors, 0.01, lambda one, other: True, _of_picture, same_picture)
SOUNDS = Likeness(audio_fingerprints.sound_vectors, 0.19, _as_long, _of_sound, same_sound)
