"""Measuring enlarged pictures as the papers do: PSNR and SSIM of luma against the original, beside bicubic."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.apps.batch.picture_sets import picture_sets
from convmedia.apps.console.progress import counted
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import table, tell
from convmedia.apps.runs.device import device_of
from convmedia.apps.tasks.super_resolution.model_choice import at_precision, computed_in
from convmedia.apps.tasks.super_resolution.upscale import in_eight_bits
from convmedia.data.datasets import patches
from convmedia.data.images import lossless
from convmedia.data.sources import fetch
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.data.transforms import bicubic as transforms_bicubic
from convmedia.models.export.quality_loss import Answers, Trial
from convmedia.models.formats.runtimes import peak_bytes
from convmedia.models.inference.file_predictor import FilePredictor
from convmedia.models.inference.tiling import whole_picture
from convmedia.models.losses import metrics
from convmedia.models.networks.catalogue import SUPER_RESOLUTION

FIGURES = ("psnr", "ssim", "bicubic_psnr", "bicubic_ssim")
Enlarger = Callable[[np.ndarray], np.ndarray]


def measured(
    predictor: FilePredictor, files: list[Path], scale: int, ensemble: bool
) -> tuple[dict, list[dict[str, Any]]]:
    """Means over the pictures of a set, and a row for each picture; one that cannot be used has an error.

    Raises:
        InputError: none can be used.
    """
    rows = list(counted(rows_of(predictor, files, scale, ensemble), len(files), "measuring"))
    good = [row for row in rows if "error" not in row]
    if not good:
        raise InputError(f"no picture can be measured; {shown(files[0])}: {rows[0]['error']}")
    return {name: float(np.mean([row[name] for row in good])) for name in FIGURES}, rows


def rows_of(predictor: FilePredictor, files: list[Path], scale: int, ensemble: bool) -> Iterator[dict[str, Any]]:
    """{"file", "psnr", "ssim", "bicubic_psnr", "bicubic_ssim", "seconds"} of each original picture, or its error."""

    def enlarger(picture: np.ndarray) -> np.ndarray:
        return whole_picture(predictor, picture, scale)

    kind = SUPER_RESOLUTION[predictor.details["network"]].kind
    for file in files:
        try:
            original = lossless.read(file)
            colour = original.colour
            if min(colour.shape[:2]) < metrics.WINDOW + 2 * scale:
                raise InputError(f"{shown(file)} is too small to be measured: {colour.shape[1]}x{colour.shape[0]} px")
            cut = transforms_bicubic.modcrop(in_eight_bits(colour, original.most), scale)
            figures = compared(averaged(enlarger) if ensemble else enlarger, cut, kind, scale)
        except InputError as error:
            yield {"file": str(file), "error": str(error)}
            continue
        yield {"file": str(file), **figures}


def compared(enlarger: Enlarger, original: np.ndarray, kind: str, scale: int) -> dict[str, float]:
    """Figures of one original, uint8 (height, width, 3 or 1 where it is grey), sides multiples of `scale`.

    It is shrunk by MATLAB's bicubic. Networks of luma get the luma shrunk without rounding (Dong et al. and Kim et al.
    in their own code), networks of RGB the shrunk picture in whole numbers, as the published low-resolution files are
    (Ahn et al.). A grey picture is its own luma.
    """
    luma = luma_of(original)
    small = transforms_bicubic.imresize(luma.astype(np.float64), 1 / scale, border="symmetric")
    bicubic = transforms_bicubic.imresize(small, scale, border="symmetric")
    start = time.perf_counter()
    answer = luma_answered(enlarger(shrunk(original, kind, scale)), original, kind)
    seconds = time.perf_counter() - start
    figures = {}
    for prefix, picture in (("", answer), ("bicubic_", bicubic)):
        wanted, found = (as_batch(plane) for plane in (luma, picture))
        figures[f"{prefix}psnr"] = float(metrics.psnr(wanted, found, scale)[0])
        figures[f"{prefix}ssim"] = float(metrics.ssim(wanted, found, scale)[0])
    return {**figures, "seconds": seconds}


def luma_of(original: np.ndarray) -> np.ndarray:
    """Luma (height, width) of an original picture; a grey one, (height, width, 1), is its own."""
    return original[..., 0] if original.shape[2] == 1 else transforms_bicubic.luma(original)


def shrunk(original: np.ndarray, kind: str, scale: int) -> np.ndarray:
    """What a network of a kind is given of an original: (height / scale, width / scale, 3), float64 or uint8."""
    if kind != "rgb":
        # A grey picture with just this luma: what the file makes of it has the network's luma.
        small = transforms_bicubic.imresize(luma_of(original).astype(np.float64), 1 / scale, border="symmetric")
        level = (small - transforms_bicubic.YCBCR_OFFSET[0]) * 255.0 / transforms_bicubic.YCBCR[0].sum()
        return np.repeat(level[..., np.newaxis], 3, axis=2)
    small = transforms_bicubic.imresize(original, 1 / scale, border="symmetric")
    return np.repeat(small, 3, axis=2) if original.shape[2] == 1 else small


def luma_answered(answer: np.ndarray, original: np.ndarray, kind: str) -> np.ndarray:
    """Luma (height, width) of what a network made of `shrunk`."""
    return answer.mean(axis=2) if kind == "rgb" and original.shape[2] == 1 else transforms_bicubic.luma(answer)


def as_batch(plane: np.ndarray) -> np.ndarray:
    """(height, width) as float32 (1, height, width, 1)."""
    return plane[np.newaxis, ..., np.newaxis].astype(np.float32)


def trial(
    predictor: FilePredictor, scale: int, data: str | None, examples: Sequence[np.ndarray]
) -> Trial | Callable[[Sequence[np.ndarray]], Trial]:
    """What quantised files are measured by: PSNR as in `compared`, of networks of luma too from pictures in whole
    numbers, which is what exported files take.

    Args:
        data: as of `picture_sets`; None takes Set5 where it is at hand, else what is given is called with examples that
            are held back from calibration, as originals.
        examples: middles of pictures that files are calibrated on; such a picture of `data` is left out.

    Raises:
        InputError: none is left.
    """
    data = data or ("Set5" if fetch.locate("Set5") else None)
    if data is None:
        return lambda held_back: psnr_of(predictor, scale, held_back, f"{len(held_back)} held-back examples, shrunk")
    found = (lossless.read(file) for files in picture_sets(data).values() for file in files)
    every = [in_eight_bits(one.colour, one.most) for one in found]
    kept = [colour for colour in every if not calibrates(colour, examples)]
    if not kept:
        raise InputError(f"all {len(every)} pictures of {data} calibrate the file; measure it on others with --data")
    said = f"{data}, {len(kept)} pictures"
    left_out = len(every) - len(kept)
    return psnr_of(predictor, scale, kept, said + (f" ({left_out} that calibrate left out)" if left_out else ""))


def calibrates(colour: np.ndarray, examples: Sequence[np.ndarray]) -> bool:
    """Whether the middle of a picture, uint8 (height, width, 3 or 1), is one of the examples."""
    rgb = np.broadcast_to(colour, (*colour.shape[:2], 3))
    return any(np.array_equal(patches.middle(rgb, max(example.shape[:2])), example) for example in examples)


def psnr_of(predictor: FilePredictor, scale: int, colours: Sequence[np.ndarray], said: str) -> Trial:
    """PSNR of luma, dB, on originals, uint8 (height, width, 3 or 1) each, shrunk and enlarged again."""
    kind = SUPER_RESOLUTION[predictor.details["network"]].kind
    cut = [transforms_bicubic.modcrop(colour, scale) for colour in colours]

    def inputs() -> Iterator[np.ndarray]:
        return (np.clip(np.round(shrunk(original, kind, scale)), 0, 255).astype(np.uint8) for original in cut)

    def score(answers: Answers, _: Answers) -> float:
        pairs = zip(cut, (picture for enlarged, *_ in answers for picture in enlarged), strict=True)
        planes = ((as_batch(luma_of(one)), as_batch(luma_answered(answer, one, kind))) for one, answer in pairs)
        return float(np.mean([float(metrics.psnr(wanted, found, scale)[0]) for wanted, found in planes]))

    return Trial("psnr", "dB", said, inputs, score)


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


def evaluated(
    predictor: FilePredictor,
    scale: int,
    data: str,
    ensemble: bool,
    precision: str,
    told: Callable[[str, list[dict[str, Any]], dict[str, float]], None] = lambda name, rows, mean: None,
) -> tuple[dict[str, dict[str, float]], list[dict[str, Any]]]:
    """Means of the figures for each set that `data` names, and the rows of all pictures.

    Args:
        told: called with each set's name, rows and means.
    """
    predictor = at_precision(predictor, scale, precision)
    means: dict[str, dict[str, float]] = {}
    every: list[dict[str, Any]] = []
    for name, files in picture_sets(data).items():
        means[name], rows = measured(predictor, files, scale, ensemble)
        every += rows
        told(name, rows, means[name])
    return means, every


def evaluate(predictor: FilePredictor, scale: int, data: str, ensemble: bool, precision: str, as_json: bool) -> int:
    """The `evaluate` verb: a table for each set that `data` names; 1 if a picture could not be measured."""
    network, used = predictor.details["network"], computed_in(predictor, precision)

    def told(name: str, rows: list[dict[str, Any]], mean: dict[str, float]) -> None:
        if not as_json:
            tell(f"{name}, {network} x{scale}{', ensemble' * ensemble}{', bfloat16' * (used == 'bfloat16')}")
            tell(quality_table(rows, mean))

    means, every = evaluated(predictor, scale, data, ensemble, precision, told)
    failed = [row for row in every if "error" in row]
    if as_json:
        facts = {"network": network, "scale": scale, "ensemble": ensemble, "precision": used}
        facts |= {"peak_bytes": peak_bytes(), "model": predictor.digest}
        facts |= {"runtime": predictor.runtime, "device": device_of(predictor.runtime)}
        tell(to_json({**facts, "metrics": means, "images": every}, indent=2))
        return int(bool(failed))
    for row in failed:
        tell(f"{shown(row['file'])}\terror: {row['error']}")
    seconds = sum(row.get("seconds", 0.0) for row in every)
    tell(f"{seconds:.1f} s in the network, {peak_bytes() / 1e6:,.0f} MB at most")
    return int(bool(failed))
