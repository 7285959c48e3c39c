"""Fingerprints of sounds: equal of copies that were encoded again."""

from collections.abc import Iterable, Sequence

import numpy as np

from convmedia.data.images.fingerprints import units

SOUND_RATE = 8000
"""Hz, at which sounds are compared."""

SLOTS, BANDS = 32, 12
"""Sounds: energies of so many equal parts of the time, in so many bands from 150 to 3,000 Hz; and seconds."""

LEAST_CHANGE_DB = 0.5
"""Standard deviation over time, below which a sound counts as steady."""

_WINDOW, _HOP = 256, 128  # samples at SOUND_RATE
_HANN = np.hanning(_WINDOW).astype(np.float32)
_EDGES_HZ = np.geomspace(150, 3000, BANDS + 1)
_FLOOR_DB, _STEPS_PER_DB = 35.0, 4
_OUTSIDE = 0.005  # of all energy, left out at each end


def of_sound(pieces: Iterable[np.ndarray]) -> bytes:
    """The fingerprint of a mono sound: how the energy of each band changes over the time that it is heard.

    Args:
        pieces: float32 (samples,) each, at `SOUND_RATE`.

    Returns:
        b"" of a sound that is steady or silent.
    """
    bands = _bands()
    rest, found = np.zeros(0, np.float32), []
    for piece in pieces:
        samples = np.concatenate([rest, piece])
        number = max((len(samples) - _WINDOW) // _HOP + 1, 0)
        if number:
            found.append(_energies(samples, number, bands))
        rest = samples[number * _HOP :]
    padded = np.concatenate([rest, np.zeros(max(_WINDOW - len(rest), 0), np.float32)])
    found.append(_energies(padded, 1, bands))
    energies = np.concatenate(found)
    slots, seconds = _in_slots(energies)
    if not slots.any():
        return b""
    decibels = 10 * np.log10(np.maximum(slots / slots.max(), 10 ** (-_FLOOR_DB / 10))) + _FLOOR_DB
    if (decibels - decibels.mean(axis=0)).std() < LEAST_CHANGE_DB:
        return b""
    return np.round(decibels * _STEPS_PER_DB).astype(np.uint8).tobytes() + np.array([seconds], "<f4").tobytes()


def seconds_of(fingerprint: bytes) -> float:
    """How long a sound with this fingerprint is heard."""
    return float(np.frombuffer(fingerprint, "<f4", offset=SLOTS * BANDS)[0])


def sound_vectors(fingerprints: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """As `picture_vectors`, of sounds: what each band does beside its mean; nothing more may change."""
    values = np.zeros((len(fingerprints), SLOTS, BANDS), np.float32)
    for row, content in zip(values, fingerprints, strict=True):
        if content:
            row[:] = np.frombuffer(content, np.uint8, SLOTS * BANDS).reshape(SLOTS, BANDS)
    values -= values.mean(axis=1, keepdims=True)
    return units(values.reshape(len(values), -1)), np.zeros(len(values), np.float32)


def _bands() -> np.ndarray:
    """Which frequencies of a window belong to which band: float32 (frequencies, bands)."""
    hertz = np.fft.rfftfreq(_WINDOW, 1 / SOUND_RATE)[:, None]
    width = SOUND_RATE / _WINDOW  # a band takes a share of the frequencies at its edges
    upper = np.clip((_EDGES_HZ[1:] - hertz) / width + 0.5, 0, 1)
    lower = np.clip((_EDGES_HZ[:-1] - hertz) / width + 0.5, 0, 1)
    return (upper - lower).astype(np.float32)


def _energies(samples: np.ndarray, number: int, bands: np.ndarray) -> np.ndarray:
    """Energy of each band in the first `number` windows: float32 (number, bands)."""
    from scipy.fft import rfft  # takes longer to load than a sound takes to be answered

    windows = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[: number * _HOP : _HOP]
    found = []
    for part in np.array_split(windows, -(-number // 4096)):
        spectrum = rfft(part * _HANN)
        found.append((spectrum.real**2 + spectrum.imag**2) @ bands)
    return np.concatenate(found)


def _in_slots(energies: np.ndarray) -> tuple[np.ndarray, float]:
    """Means over equal parts of the time: (windows, bands) to (SLOTS, BANDS); and the seconds of that time.

    It begins and ends where a small share of all energy lies before and behind: encoders add silence at both ends.
    """
    total = np.concatenate([np.zeros((1, BANDS)), np.cumsum(energies, axis=0, dtype=np.float64)])
    windows, loud = np.arange(len(total)), total.sum(axis=1)
    first, last = np.interp([_OUTSIDE * loud[-1], (1 - _OUTSIDE) * loud[-1]], loud, windows)
    edges = np.linspace(first, last, SLOTS + 1)
    at = np.stack([np.interp(edges, windows, column) for column in total.T], axis=1)
    return np.maximum(np.diff(at, axis=0), 0), (last - first) * _HOP / SOUND_RATE
