"""Enlarging picture files: everything the file holds stays, large ones go tile by tile."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from convmedia.apps._commands import progress
from convmedia.apps._twin import precision_here, twin
from convmedia.data import images, originals, resample
from convmedia.data.errors import InputError
from convmedia.data.files import shown
from convmedia.data.originals import Original
from convmedia.models.predicting import Predictor
from convmedia.models.saving import assemble
from convmedia.models.super_resolution import network_in, whole
from convmedia.models.tiling import enlarged, tiles

GAP_PX = 8  # between the two pictures of a comparison


def targets(inputs: Iterable[str], out: Path, scale: int) -> Iterator[tuple[Path, Path]]:
    """Each file with the stem of its result: folders keep their structure below `out`.

    Raises:
        InputError: a folder without pictures, where nothing else is given.
    """
    for file, place in ((file, place) for given in inputs for file, place in within(Path(given))):
        yield file, out / place.parent / f"{place.stem}_x{scale}"


def within(given: Path) -> list[tuple[Path, Path]]:
    """A file, or the files of a folder, with their place below it."""
    if not given.is_dir():
        return [(given, Path(given.name))]
    return [(file, file.relative_to(given)) for file in images.find([given])]


def upscaled(
    predictor: Predictor,
    inputs: Iterable[str],
    out: Path,
    scale: int,
    tile_px: int,
    compare: bool,
    precision: str,
    done: Mapping[str, dict[str, Any]] = MappingProxyType({}),
) -> Iterator[dict[str, Any]]:
    """Enlarge files one after the other: {"file", "out", "width", "height", "precision", "seconds"}, or {"file",
    "error"}. Pictures of 16 bits are computed in float32 whatever `precision` says.

    Args:
        done: rows of files that are to be left out.

    Raises:
        OSError: as writing raises it; what is under a final name is complete.
    """
    made = {Path(row["out"]) for row in done.values() if "out" in row}
    quick, precision = at_precision(predictor, scale, precision), precision_here(precision)
    for file, stem in targets(inputs, out, scale):
        if str(file) in done:
            continue
        try:
            start = time.perf_counter()
            original = originals.read(file)
            fine = original.colour.dtype == np.uint16
            with progress(shown(file.name)) as update:
                larger = upscale(predictor if fine else quick, original, scale, tile_px, update)
            # JPEG may not be able to hold the larger picture, and GIF is not written: the suffix may change.
            path = stem.with_name(stem.name + originals.suffix_for(larger, file.suffix))
            if path in made:
                raise InputError(f"{shown(file)} would replace {shown(path)}, made just now: give it another --out")
            originals.write(larger, path)
            made.add(path)
            if compare:
                images.encode(compared(original, larger, scale), stem.with_name(f"{stem.name}_compare.png"))
        except InputError as error:
            yield {"file": str(file), "error": str(error)}
            continue
        height, width = larger.colour.shape[:2]
        size = {"width": width, "height": height, "precision": "float32" if fine else precision}
        yield {"file": str(file), "out": str(path), **size, "seconds": round(time.perf_counter() - start, 3)}


def at_precision(predictor: Predictor, scale: int, wanted: str) -> Predictor:
    """The predictor, or where `wanted` means bfloat16 here one whose network multiplies in it, with the same weights.

    What is around the network, from pixels to its input and from its answer to pixels, stays in float32.
    """
    if precision_here(wanted) == "float32":
        return predictor
    network = whole(twin(network_in(predictor.model), "bfloat16"), scale)
    model = assemble(network, app=predictor.app, labels=None, input=predictor.input, details=predictor.details)
    return Predictor(model, predictor.path)


def upscale(
    predictor: Predictor,
    original: Original,
    scale: int,
    tile_px: int,
    update: Callable[[int, int | None], None] = lambda done, total: None,
) -> Original:
    """The picture `scale` times as large: colour by the network, alpha by bicubic, all else as it was."""
    colour = original.colour
    height, width, channels = colour.shape
    larger = np.empty((height * scale, width * scale, channels), colour.dtype)
    step = 257.0 if colour.dtype == np.uint16 else 1.0
    total = len(tiles(height, width, max(tile_px // scale, 1)))
    in_three = np.broadcast_to(colour, (height, width, 3))
    for done, (place, answer) in enumerate(enlarged(predictor, in_three, scale, tile_px, unit=step), start=1):
        part = answer.mean(axis=2, keepdims=True) if channels == 1 else answer
        larger[place] = np.clip(np.round(part * step), 0, np.iinfo(colour.dtype).max).astype(colour.dtype)
        update(done, total)
    alpha = None if original.alpha is None else resample.imresize(original.alpha, scale)
    return replace(original, colour=larger, alpha=alpha)


def compared(original: Original, larger: Original, scale: int) -> np.ndarray:
    """Bicubic at the left, the network at the right, uint8 RGB (height, 2 * width + gap, 3), without alpha."""
    pair = [in_eight_bits(resample.imresize(original.colour, scale)), in_eight_bits(larger.colour)]
    left, right = (np.broadcast_to(picture, (*picture.shape[:2], 3)) for picture in pair)
    return np.concatenate([left, np.full((left.shape[0], GAP_PX, 3), 255, np.uint8), right], axis=1)


def in_eight_bits(colour: np.ndarray) -> np.ndarray:
    """uint8 or uint16 as uint8."""
    return colour if colour.dtype == np.uint8 else np.round(colour / 257.0).astype(np.uint8)
