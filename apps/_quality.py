"""Measuring enlarged pictures as the papers do: PSNR and SSIM of luma against the original, beside bicubic."""

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.apps._commands import counted, progress, table, to_json
from convmedia.apps._twin import precision_here
from convmedia.apps._upscaling import at_precision, in_eight_bits
from convmedia.data import images, originals, resample, sources
from convmedia.data.errors import InputError
from convmedia.data.files import shown
from convmedia.models import metrics
from convmedia.models.predicting import Predictor
from convmedia.models.super_resolution import NETWORKS
from convmedia.models.tiling import whole_picture

FIGURES = ("psnr", "ssim", "bicubic_psnr", "bicubic_ssim")
Enlarger = Callable[[np.ndarray], np.ndarray]


def picture_sets(data: str) -> dict[str, list[Path]]:
    """The files of a folder, or of named sets and folders joined by +; sets are downloaded if need be.

    Raises:
        InputError: unknown name, a set of something else than plain pictures, no picture.
    """
    names = [data] if Path(data).is_dir() else data.split("+")
    return {name: images.find([name if Path(name).is_dir() else fetched(name)]) for name in names}


def fetched(name: str) -> Path:
    if sources.source(name).kind != "pictures":
        known = ", ".join(row.name for row in sources.SOURCES.values() if row.kind == "pictures")
        raise InputError(f"{name} is no set of pictures to enlarge: give one of {known}, or a folder")
    with progress(f"fetching {name}") as update:
        return sources.fetch(name, update)


def measured(predictor: Predictor, files: list[Path], scale: int, ensemble: bool) -> tuple[dict, list[dict[str, Any]]]:
    """Means over the pictures of a set, and a row for each picture; one that cannot be used has an error.

    Raises:
        InputError: none can be used.
    """
    rows = list(counted(rows_of(predictor, files, scale, ensemble), len(files), "measuring"))
    good = [row for row in rows if "error" not in row]
    if not good:
        raise InputError(f"no picture can be measured; {shown(files[0])}: {rows[0]['error']}")
    return {name: float(np.mean([row[name] for row in good])) for name in FIGURES}, rows


def rows_of(predictor: Predictor, files: list[Path], scale: int, ensemble: bool) -> Iterator[dict[str, Any]]:
    """{"file", "psnr", "ssim", "bicubic_psnr", "bicubic_ssim", "seconds"} of each original picture, or its error."""

    def enlarger(picture: np.ndarray) -> np.ndarray:
        return whole_picture(predictor, picture, scale)

    kind = NETWORKS[predictor.details["network"]].kind
    for file in files:
        try:
            colour = originals.read(file).colour
            if min(colour.shape[:2]) < metrics.WINDOW + 2 * scale:
                raise InputError(f"{shown(file)} is too small to be measured: {colour.shape[1]}x{colour.shape[0]} px")
        except InputError as error:
            yield {"file": str(file), "error": str(error)}
            continue
        cut = resample.modcrop(in_eight_bits(colour), scale)
        yield {"file": str(file), **compared(averaged(enlarger) if ensemble else enlarger, cut, kind, scale)}


def compared(enlarger: Enlarger, original: np.ndarray, kind: str, scale: int) -> dict[str, float]:
    """Figures of one original, uint8 (height, width, 3 or 1 where it is grey), sides multiples of `scale`.

    It is shrunk by MATLAB's bicubic. Networks of luma get the luma shrunk without rounding (Dong et al. and Kim et al.
    in their own code), networks of RGB the shrunk picture in whole numbers, as the published low-resolution files are
    (Ahn et al.). A grey picture is its own luma.
    """
    grey = original.shape[2] == 1
    luma = original[..., 0] if grey else resample.luma(original)
    small = resample.imresize(luma.astype(np.float64), 1 / scale, border="symmetric")
    bicubic = resample.imresize(small, scale, border="symmetric")
    start = time.perf_counter()
    if kind == "luma":
        # A grey picture with just this luma: what the file makes of it has the network's luma.
        level = (small - resample.YCBCR_OFFSET[0]) * 255.0 / resample.YCBCR[0].sum()
        answer = resample.luma(enlarger(np.repeat(level[..., np.newaxis], 3, axis=2)))
    else:
        shrunk = resample.imresize(original, 1 / scale, border="symmetric")
        answer = enlarger(np.repeat(shrunk, 3, axis=2) if grey else shrunk)
        answer = answer.mean(axis=2) if grey else resample.luma(answer)
    seconds = time.perf_counter() - start
    figures = {}
    for prefix, picture in (("", answer), ("bicubic_", bicubic)):
        wanted, found = (plane[np.newaxis, ..., np.newaxis].astype(np.float32) for plane in (luma, picture))
        figures[f"{prefix}psnr"] = float(metrics.psnr(wanted, found, scale)[0])
        figures[f"{prefix}ssim"] = float(metrics.ssim(wanted, found, scale)[0])
    return {**figures, "seconds": seconds}


def averaged(enlarger: Enlarger) -> Enlarger:
    """The mean of the answers to the eight flips and quarter turns (Timofte et al. 2016, "Seven ways", section 3.6)."""

    def enlarged(picture: np.ndarray) -> np.ndarray:
        answers = []
        for quarter in range(4):
            turned = np.rot90(picture, quarter)
            answers.append(np.rot90(enlarger(turned), -quarter))
            answers.append(np.rot90(enlarger(turned[:, ::-1])[:, ::-1], -quarter))
        return np.mean(answers, axis=0)

    return enlarged


def quality_table(rows: list[dict[str, Any]], mean: dict[str, float]) -> str:
    """A line for each picture, their mean, and bicubic beside."""

    good = [row for row in rows if "error" not in row]
    lines = [[Path(row["file"]).name, *written(row), f"{row['seconds']:.2f}"] for row in good]
    header = ["picture", "PSNR dB", "SSIM", "bicubic PSNR", "bicubic SSIM", "seconds"]
    return table(header, [*lines, ["mean", *written(mean), ""]])


def written(figures: dict[str, Any]) -> list[str]:
    """PSNR with two digits, SSIM with four, as the papers write them."""
    return [f"{figures[name]:.{2 if 'psnr' in name else 4}f}" for name in FIGURES]


def peak_bytes() -> int:
    """The most memory that this process has had, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def evaluate(predictor: Predictor, scale: int, data: str, ensemble: bool, precision: str, as_json: bool) -> int:
    """The `evaluate` verb: a table for each set that `data` names; 1 if a picture could not be measured."""
    predictor, precision = at_precision(predictor, scale, precision), precision_here(precision)
    means: dict[str, dict[str, float]] = {}
    every: list[dict[str, Any]] = []
    for name, files in picture_sets(data).items():
        mean, rows = measured(predictor, files, scale, ensemble)
        means[name] = mean
        every += rows
        if not as_json:
            said = ", ensemble" * ensemble + ", bfloat16" * (precision == "bfloat16")
            print(f"{name}, {predictor.details['network']} x{scale}{said}")
            print(quality_table(rows, mean))
    failed = [row for row in every if "error" in row]
    if as_json:
        facts = {"network": predictor.details["network"], "scale": scale, "ensemble": ensemble, "precision": precision}
        print(
            to_json(
                {**facts, "metrics": means, "images": every, "peak_bytes": peak_bytes(), "model": predictor.digest},
                indent=2,
            )
        )
        return int(bool(failed))
    for row in failed:
        print(f"{shown(row['file'])}\terror: {row['error']}")
    seconds = sum(row.get("seconds", 0.0) for row in every)
    print(f"{seconds:.1f} s in the network, {peak_bytes() / 1e6:,.0f} MB at most")
    return int(bool(failed))
