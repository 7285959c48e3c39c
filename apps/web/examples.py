"""The stored examples of a page: files that it answers on the visitor's device, and what they were answered here."""

import math
import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.data.images import decoding
from convmedia.models.inference.sessions import Session

NUMBER = 12
LONGEST_PX = 640
LONGEST_MADE_PX = 64  # of pictures that are answered with pictures, which takes long
LONGEST_SAMPLES = 200_000


def variants(given: Sequence[np.ndarray], number: int = NUMBER) -> list[np.ndarray]:
    """So many raw inputs, made of a few: each as it is, then cut, made smaller, inverted, darker, turned and noisy;
    sounds quieter, cut, backwards, noisy and repeated."""
    changes = SOUNDS if given[0].ndim == 1 else PICTURES
    return [change(one) for change in changes for one in given][:number]


def spread(examples: Sequence[np.ndarray], longest_px: int = LONGEST_PX, number: int = NUMBER) -> list[np.ndarray]:
    """So many of the examples, from the first to the last, different ones; large ones are cut to their middle."""
    different = list({(one.shape, one.tobytes()): one for one in examples if one.size > 1}.values())
    places = np.unique(np.linspace(0, len(different) - 1, min(number, len(different))).astype(int))
    return [_cut(different[place], longest_px) for place in places]


def _noisy(example: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 0.05, example.shape)
    if example.ndim == 1:
        return np.clip(example + 0.1 * noise, -1, 1).astype(np.float32)
    return np.clip(example + 255 * noise, 0, 255).astype(np.uint8)


def _middle(example: np.ndarray) -> np.ndarray:
    within = tuple(slice(size // 5, max(size - size // 5, 1)) for size in example.shape[:2])
    return example[within] if example.ndim == 3 else example[within[0]]


PICTURES: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda one: one,
    lambda one: 255 - one,
    lambda one: one[::2, ::2],
    _middle,
    lambda one: one[:, ::-1],
    _noisy,
    lambda one: one // 2,
    lambda one: 255 - (255 - one) // 2,
    np.rot90,
    lambda one: one[: max(one.shape[0] // 2, 1)],
    lambda one: one[:, : max(one.shape[1] // 2, 1)],
    lambda one: np.repeat(one.mean(2, keepdims=True).astype(np.uint8), 3, 2),
]
SOUNDS: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda one: one,
    lambda one: one / 4,
    _noisy,
    _middle,
    lambda one: one[::-1],
    lambda one: one[: len(one) // 2 + 1],
    lambda one: one[len(one) // 2 :],
    lambda one: np.tile(one, 2),
    lambda one: np.concatenate([np.zeros_like(one), one]),
    lambda one: np.clip(2 * one, -1, 1),
    lambda one: np.tile(one, 5),
    lambda one: _noisy(np.tile(one, 3)),
]


def _cut(example: np.ndarray, longest_px: int) -> np.ndarray:
    if example.ndim == 1:
        return example[:LONGEST_SAMPLES]
    top, left = (max(0, side - longest_px) // 2 for side in example.shape[:2])
    return example[top : top + longest_px, left : left + longest_px]


def write(
    folder: Path, examples: Sequence[np.ndarray], session: Session, beside: Sequence[int], sample_rate: int | None
) -> list[dict[str, Any]]:
    """Write each example to a file, PNG or WAV, and what the model answers to what is read from that.

    Args:
        examples: uint8 (height, width, 3) or float32 (samples,).
        session: the page's model in its own runtime on this machine.
        beside: how many values each further input of the model takes; all of them are given alike.
        sample_rate: of sounds, Hz.

    Returns:
        Of each {"file", "answer"}: the numbers of an answer, or, of a picture that is answered with a picture, the name
        of the PNG of that, rounded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for place, example in enumerate(examples):
        file = folder / f"{place:02}.{'wav' if example.ndim == 1 else 'png'}"
        raw = _written(example, file, sample_rate)
        others = [np.full((1, values), 1 / values, np.float32) for values in beside]
        answer = session.run([raw.astype(session.takes)[np.newaxis], *others])[0][0]
        entry: dict[str, Any] = {"file": f"{folder.name}/{file.name}"}
        if answer.ndim == 3 and answer.shape[-1] == 3:
            made = folder / f"{place:02}.answer.png"
            decoding.encode(np.clip(np.round(answer), 0, 255).astype(np.uint8), made)
            entry["answer"] = f"{folder.name}/{made.name}"
        else:
            entry["answer"] = [float(value) for value in answer.ravel()]
        entries.append(entry)
    return entries


def _written(example: np.ndarray, file: Path, sample_rate: int | None) -> np.ndarray:
    """Write one file; gives what is in it, which of a sound has 16 bits."""
    if example.ndim == 3:
        decoding.encode(np.ascontiguousarray(example), file)
        return example
    whole = np.clip(np.round(example * 32768.0), -32768, 32767).astype("<i2")
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(math.ceil(sample_rate or 1))
        sound.writeframes(whole.tobytes())
    return whole.astype(np.float32) / np.float32(32768.0)
