"""Training networks that enlarge pictures: patches, schedule, the files of each scale, the report."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from convmedia.apps import _training
from convmedia.apps._commands import progress, say
from convmedia.apps._pictures import sample_photos
from convmedia.apps._quality import FIGURES, compared, picture_sets
from convmedia.apps._runs import Run, open_part
from convmedia.data import augmentation, images, patches, resample
from convmedia.data.errors import InputError
from convmedia.data.files import shown
from convmedia.models import load, metrics, shipped
from convmedia.models.answer import PICTURE
from convmedia.models.exporting import write_examples
from convmedia.models.predicting import Predictor
from convmedia.models.saving import MODEL_FILE, assemble, save
from convmedia.models.super_resolution import NETWORKS, SCALES, whole
from convmedia.models.tiling import whole_picture

APP = "super-resolution"
DEFAULT = "carn-m"  # of the shipped networks
VALIDATION_PX = 144  # side of what is cut out of the middle of each held-out picture


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Attributes:
        size_px: side of the high-resolution patches, a multiple of 2, 3 and 4; for networks of RGB times scale / 2.
        context_px: how much wider inputs are than targets, so that no padding is seen.
        rate: greatest learning rate.
        loss: of pixels in 0..1.
        clip: most of the gradient's norm, or None.
    """

    size_px: int
    rate: float
    loss: str
    context_px: int = 0
    clip: float | None = None


TRAININGS = {
    "srcnn": Training(72, 1e-3, "mean_squared_error", context_px=12),
    "srcnn-9-1-5": Training(72, 1e-3, "mean_squared_error", context_px=12),
    # Clipping is what lets it learn fast (Kim et al. 2016, section 3.2).
    "vdsr": Training(48, 5e-4, "mean_squared_error", clip=0.1),
    "carn": Training(96, 1e-3, "mean_absolute_error"),
    "carn-m": Training(96, 1e-3, "mean_absolute_error"),
}


def train_run(run: Run) -> dict[str, Any]:
    """From a run's arguments to its complete folder; what is wrong with them is said before anything is written."""
    options = run.arguments
    scales = [int(scale) for scale in options["scale"]]
    row, training = NETWORKS[options["network"]], TRAININGS[options["network"]]
    grey = row.kind == "luma"
    with progress("reading pictures") as update:
        data = patches.load(
            [file for files in picture_sets(options["data"]).values() for file in files], 48, grey, update
        )
    for path, reason in data.bad[:5]:
        say(f"left out: {path.name}: {reason}")
    groups = [scales] if row.every_scale else [[scale] for scale in scales]
    with run.begin(data_digest=data.digest):
        if len(groups) == 1:
            return trained(run, data, scales, training, options["weights"])
        return in_parts(run, data, groups, training)


def in_parts(run: Run, data: patches.HighResolution, groups: list[list[int]], training: Training) -> dict[str, Any]:
    """One training for each scale in folders of their own; each starts from what the one before has learned."""
    weights = run.arguments["weights"]
    figures: dict[str, Any] = {}
    for (scale,) in groups:
        part = open_part(run, f"x{scale}", {**run.arguments, "scale": [str(scale)]})
        if not part.complete:
            say(f"training for scale {scale}")
            with part.begin(data_digest=data.digest):
                trained(part, data, [scale], training, weights)
        shutil.copyfile(part.model_file, run.folder / f"model_x{scale}.keras")
        figures |= part.record["metrics"]
        weights = str(part.model_file)
    run.finish(input=PICTURE, metrics=figures, data=facts(run.arguments["data"], data))
    return run.record


def trained(run: Run, data: patches.HighResolution, scales: list[int], training: Training, weights: str):
    """Fit one network, measure its files on the held-out pictures, report: the run's record."""
    options = run.arguments
    row = NETWORKS[options["network"]]
    keras.utils.set_random_seed(options["seed"])
    network = row.build(scales[0])
    if weights != "none":
        _training.start_from(network, load(weights, app=APP))
    files = model_files(run, scales)
    models = {
        path: assemble(
            whole(network, scale),
            app=APP,
            labels=None,
            input=PICTURE,
            details={"network": options["network"], "scale": scale, "seed": options["seed"]},
        )
        for scale, path in files.items()
    }

    def keep() -> None:
        for path, model in models.items():
            save(model, path)

    bank = patches.Patches(data.train, [recipe(training, row.kind, scale) for scale in scales])
    number = min(len(bank), options["limit"] or len(bank))
    steps = max(number // options["batch_size"], 1)
    rate = _training.warm_cosine(training.rate, options["epochs"] * steps, min(steps, 200))
    history = _training.fit(
        network,
        run,
        number,
        example_of(bank),
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        seed=options["seed"],
        precision=options["precision"],
        validation=_training.held_out(*validation(data, row.kind, scales), batch_size=4),
        keep=keep,
        monitor="val_psnr",
        patience=options["patience"],
        optimizer=keras.optimizers.Adam(rate, global_clipnorm=training.clip),
        loss=on_centre(keras.losses.get(training.loss)),
        metrics=[keras.metrics.MeanMetricWrapper(on_centre(decibels), name="psnr")],
    )
    figures = {f"x{scale}": measured(load(path, app=APP), data, row.kind, scale) for scale, path in files.items()}
    write_examples(run.folder / "examples.npz", [small_cut(images.decode(path)) for path in data.train_files[:12]])
    run.finish(history, input=PICTURE, metrics=figures, data=facts(options["data"], data))
    write_report(run, data, history, files)
    return run.record


def measured(predictor: Predictor, data: patches.HighResolution, kind: str, scale: int) -> dict[str, float]:
    """Mean figures of a saved file on the held-out pictures."""

    def enlarger(picture: np.ndarray) -> np.ndarray:
        return whole_picture(predictor, picture, scale)

    rows = [compared(enlarger, resample.modcrop(picture, scale), kind, scale) for picture in data.validation]
    return {name: float(np.mean([row[name] for row in rows])) for name in FIGURES}


def small_cut(picture: np.ndarray, side_px: int = 64) -> np.ndarray:
    """The middle of a picture, at most `side_px` a side."""
    top, left = (max(0, size - side_px) // 2 for size in picture.shape[:2])
    return picture[top : top + side_px, left : left + side_px]


def examples(data: str | None) -> list[np.ndarray]:
    """Raw pictures to verify an export with: cuts of a set, or without one of the photos that scikit-learn carries."""
    if data:
        files = [file for found in picture_sets(data).values() for file in found]
        return [small_cut(images.decode(file)) for file in files[:12]]
    return [small_cut(picture, side_px=40 + 3 * number) for number, picture in enumerate(sample_photos()[:12])]


def chosen(model: str | None, network: str | None, scale: int | None) -> tuple[Predictor, int]:
    """The model that the options name, and its scale.

    Raises:
        InputError: no such model; it is of another scale or network than the options say.
    """
    if model is None:
        factor = scale or SCALES[0]
        return shipped(f"{network or DEFAULT}_x{factor}"), factor
    several = sorted(Path(model).glob("model_x*.keras")) if Path(model).is_dir() else []
    if several and not (Path(model) / MODEL_FILE).exists():
        at_hand = [int(path.stem.removeprefix("model_x")) for path in several]
        factor = scale or at_hand[0]
        if factor not in at_hand:
            raise InputError(f"{shown(model)} has no model of scale {factor}, only of {', '.join(map(str, at_hand))}")
        predictor = load(Path(model) / f"model_x{factor}.keras", app=APP)
    else:
        predictor = load(model, app=APP)
    details = predictor.details
    for option, wanted in (("scale", scale), ("network", network)):
        if wanted is not None and details[option] != wanted:
            raise InputError(f"--{option} {wanted}: {shown(model)} is of {option} {details[option]}; leave it out")
    return predictor, details["scale"]


def write_report(run: Run, data: patches.HighResolution, history: list[dict[str, float]], files: dict[int, Path]):
    """`report.html`: figures, curves, and held-out pictures enlarged."""
    from convmedia.apps._figures import curves
    from convmedia.apps._report import Report

    options, figures = run.arguments, run.record["metrics"]
    report = Report(
        "Super-resolution", f"{options['network']} trained on {options['data']}, {len(data.train)} pictures"
    )
    report.headline({f"{name}: PSNR, dB": f"{row['psnr']:.2f}" for name, row in figures.items()})
    rows = [
        [name, *(f"{row[figure]:.{2 if 'psnr' in figure else 4}f}" for figure in FIGURES)]
        for name, row in figures.items()
    ]
    report.table("Held-out pictures", ["scale", "PSNR, dB", "SSIM", "bicubic PSNR, dB", "bicubic SSIM"], rows)
    series = {name: [row[name] for row in history] for name in history[0] if name not in ("epoch", "seconds")}
    report.figure("Training", curves(series, _training.best_epoch(history, "val_psnr") + 1))
    for scale, path in files.items():
        shown_pictures = [drawn(load(path, app=APP), file, scale) for file in data.validation_files[:3]]
        report.pictures(f"Enlarged {scale} times: original, bicubic, network", shown_pictures)
    report.problems("Files left out", data.bad)
    report.facts("Arguments", run.arguments)
    report.facts("Data", run.record["data"])
    report.facts("Versions", run.record["versions"])
    report.write(run.folder / "report.html")


def drawn(predictor: Predictor, file: Path, scale: int) -> tuple[np.ndarray, str]:
    """The middle of a picture beside its two enlargements from a picture that was shrunk, with its name."""
    original = resample.modcrop(images.decode(file), scale)
    small = resample.imresize(original, 1 / scale, border="symmetric")
    answer = whole_picture(predictor, small, scale)
    three = [original, resample.imresize(small, scale), np.clip(np.round(answer), 0, 255).astype(np.uint8)]
    return np.concatenate([small_cut(picture, 120) for picture in three], axis=1), file.name


def model_files(run: Run, scales: Sequence[int]) -> dict[int, Path]:
    """Where the file of each scale goes."""
    if len(scales) == 1:
        return {scales[0]: run.model_file}
    return {scale: run.folder / f"model_x{scale}.keras" for scale in scales}


def facts(name: str, data: patches.HighResolution) -> dict[str, Any]:
    """What `run.json` says of the data."""
    counts = {"train": len(data.train), "validation": len(data.validation), "left_out": len(data.bad)}
    return {"name": name, **counts, "digest": data.digest}


def recipe(training: Training, kind: str, scale: int) -> augmentation.patches:
    """The recipe of one scale. Networks of RGB see as many small pixels at every scale."""
    if kind == "luma":
        return augmentation.patches(scale, training.size_px, enlarged=True, context_px=training.context_px)
    return augmentation.patches(scale, training.size_px // 2 * scale, enlarged=False)


def example_of(bank: patches.Patches):
    """(indices, seed) to inputs and targets, for tf.data."""
    import tensorflow as tf

    def example(indices, seed):
        inputs, targets = tf.numpy_function(bank, [indices, seed], [tf.float32, tf.float32], stateful=False)
        for tensor in (inputs, targets):
            tensor.set_shape((None, None, None, bank.channels))
        return inputs, targets

    return example


def validation(data: patches.HighResolution, kind: str, scales: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The middle of each held-out picture as inputs and targets, float32 0..1, for each scale."""
    pairs = [pair(picture, kind, scale) for scale in scales for picture in data.validation]
    inputs, targets = (np.stack(part).astype(np.float32) / 255 for part in zip(*pairs, strict=True))
    return inputs, targets


def pair(picture: np.ndarray, kind: str, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """What a network gets and what it should answer, 0..255, of the middle of one picture."""
    picture = patches.at_least(picture, VALIDATION_PX + scale)
    picture = resample.modcrop(picture, scale)
    top, left = ((size - VALIDATION_PX) // 2 // scale * scale for size in picture.shape[:2])
    target = picture[top : top + VALIDATION_PX, left : left + VALIDATION_PX]
    if kind == "luma":
        small = resample.imresize(picture.astype(np.float64), 1 / scale, border="symmetric")
        enlarged = resample.imresize(small, scale, border="symmetric")
        return enlarged[top : top + VALIDATION_PX, left : left + VALIDATION_PX], target
    small = resample.imresize(picture, 1 / scale, border="symmetric")
    top, left, side = top // scale, left // scale, VALIDATION_PX // scale
    return small[top : top + side, left : left + side], target


def on_centre(measure):
    """A loss or metric between targets and the middle of wider answers."""

    def measured(truth, answer):
        cut = (ops.shape(answer)[1] - ops.shape(truth)[1]) // 2
        size = ops.shape(truth)
        return measure(truth, answer[:, cut : cut + size[1], cut : cut + size[2]])

    return measured


def decibels(truth, answer):
    """PSNR of the luma of each example, (batch,); for following a training: not rounded, at most 80 dB."""
    error = ops.square(metrics.luma(255.0 * truth) - metrics.luma(255.0 * answer)) / 255.0**2
    return -10.0 * ops.log10(ops.mean(error, axis=(1, 2, 3)) + 1e-8)
