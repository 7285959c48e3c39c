"""Training networks that enlarge pictures: patches, schedule, the files of each scale, the report."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from convmedia.apps.batch.picture_sets import picture_sets
from convmedia.apps.classification.photo_pipeline import sample_photos
from convmedia.apps.console.progress import progress, said_if_long
from convmedia.apps.console.terminal import say, say_left_out
from convmedia.apps.runs.opening import open_part
from convmedia.apps.runs.run_folder import Run
from convmedia.apps.tasks.super_resolution.evaluate import FIGURES, compared, written
from convmedia.apps.tasks.super_resolution.model_choice import APP
from convmedia.apps.tasks.super_resolution.recipes import TRAININGS, Training, recipe, validation
from convmedia.apps.training import trainer, warm_start
from convmedia.apps.training.checkpoints import kept_epoch
from convmedia.data.augmentation.stateless_random import in_pipeline
from convmedia.data.datasets import patches
from convmedia.data.datasets.benchmark_pictures import BENCHMARKS
from convmedia.data.datasets.patches import middle
from convmedia.data.images import decoding
from convmedia.data.sources import fetch
from convmedia.data.storage.errors import InputError
from convmedia.data.transforms import bicubic
from convmedia.models import load
from convmedia.models.answer import PICTURE
from convmedia.models.export.examples import write_examples
from convmedia.models.inference.predictor import Predictor
from convmedia.models.inference.tiling import whole_picture
from convmedia.models.networks.catalogue import SUPER_RESOLUTION
from convmedia.models.networks.super_resolution import whole
from convmedia.models.saving.assembly import assemble


def train_run(run: Run) -> dict[str, Any]:
    """From a run's arguments to its complete folder; what is wrong with them is said before anything is written."""
    options = run.arguments
    scales = [int(scale) for scale in options["scale"]]
    row, training = SUPER_RESOLUTION[options["network"]], TRAININGS[options["network"]]
    grey = row.kind != "rgb"
    sets = picture_sets(options["data"])
    for name in sets:
        if name in BENCHMARKS and not Path(name).is_dir():
            raise InputError(
                f"--data {name}: networks are measured on it; train on T91+BSD200 or on pictures of your own"
            )
    with progress("reading pictures") as update:
        data = patches.load([file for files in sets.values() for file in files], 48, grey, update)
    say_left_out(data.bad)
    groups = [scales] if row.every_scale else [[scale] for scale in scales]
    with run.begin(data_digest=data.digest):
        if len(groups) == 1:
            return trained(run, data, scales, training, options["weights"])
        return in_parts(run, data, groups, training)


def in_parts(run: Run, data: patches.HighResolution, groups: list[list[int]], training: Training) -> dict[str, Any]:
    """One training for each scale in folders of their own; each starts from what the one before has learned."""
    weights = run.arguments["weights"]
    figures: dict[str, Any] = {}
    histories: dict[str, tuple[list[dict[str, float]], int | None]] = {}
    for (scale,) in groups:
        part = open_part(run, f"x{scale}", {**run.arguments, "scale": [str(scale)]})
        if not part.complete:
            say(f"training for scale {scale}")
            with part.begin(data_digest=data.digest):
                trained(part, data, [scale], training, weights)
        shutil.copyfile(part.model_file, run.folder / f"model_x{scale}.keras")
        shutil.copyfile(part.folder / "examples.npz", run.folder / "examples.npz")
        figures |= part.record["metrics"]
        histories[f"Training for scale {scale}"] = part.load_state()[1], kept_epoch(part)
        weights = str(part.model_file)
    run.finish(input=PICTURE, metrics=figures, data=data.facts(run.arguments["data"]))
    write_report(run, data, histories, {scale: run.folder / f"model_x{scale}.keras" for (scale,) in groups})
    return run.record


def trained(run: Run, data: patches.HighResolution, scales: list[int], training: Training, weights: str):
    """Fit one network, measure its files on the held-out pictures, report: the run's record."""
    options = run.arguments
    row = SUPER_RESOLUTION[options["network"]]
    keras.utils.set_random_seed(options["seed"])
    network = row.build(scales[0])
    if weights != "none":
        warm_start.start_from(network, load(weights, app=APP))
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
            run.keep(model, path)

    bank = patches.Patches(data.train, [recipe(training, row.kind, scale) for scale in scales])
    number = min(len(bank), options["limit"] or len(bank))
    steps = max(number // options["batch_size"], 1)
    history = trainer.fit(
        network,
        run,
        number,
        example_of(bank),
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        seed=options["seed"],
        precision=options["precision"],
        validation=trainer.held_out(*validation(data, row.kind, scales), batch_size=4),
        keep=keep,
        monitor="val_psnr",
        patience=options["patience"],
        separable=True,
        **training.compiling(options["epochs"], steps),
    )
    figures = {f"x{scale}": measured(load(path, app=APP), data, row.kind, scale) for scale, path in files.items()}
    write_examples(run.folder / "examples.npz", [middle(decoding.decode(path), 64) for path in data.train_files[:12]])
    run.finish(history, input=PICTURE, metrics=figures, data=data.facts(options["data"]))
    write_report(run, data, {"Training": (history, kept_epoch(run))}, files)
    return run.record


def measured(predictor: Predictor, data: patches.HighResolution, kind: str, scale: int) -> dict[str, float]:
    """Mean figures of a saved file on the held-out pictures."""

    def enlarger(picture: np.ndarray) -> np.ndarray:
        return whole_picture(predictor, picture, scale)

    rows = [compared(enlarger, bicubic.modcrop(picture, scale), kind, scale) for picture in data.validation]
    return {name: float(np.mean([row[name] for row in rows])) for name in FIGURES}


def examples(data: str | None) -> list[np.ndarray]:
    """Raw pictures to verify an export with: cuts of a set, or without one of the photos that scikit-learn carries."""
    if data:
        files = [file for found in picture_sets(data).values() for file in found]
        return [middle(decoding.decode(file), 64) for file in files[:12]]
    return [middle(picture, 40 + 3 * number) for number, picture in enumerate(sample_photos()[:12])]


def at_hand() -> str | None:
    """The pictures that the shipped networks learned from, or None where they would have to be downloaded."""
    return "T91" if fetch.locate("T91") else None


@said_if_long("writing the report")
def write_report(
    run: Run,
    data: patches.HighResolution,
    histories: dict[str, tuple[list[dict[str, float]], int | None]],
    files: dict[int, Path],
) -> None:
    """`report.html`: figures, curves, and held-out pictures enlarged.

    Args:
        histories: of each training its figures and the epoch that was kept.
    """
    from convmedia.apps.reporting.charts import curves
    from convmedia.apps.reporting.html import Report

    options, metrics = run.arguments, run.record["metrics"]
    report = Report(
        "Super-resolution", f"{options['network']} trained on {options['data']}, {len(data.train)} pictures"
    )
    report.headline({f"{name}: PSNR, dB": f"{figures['psnr']:.2f}" for name, figures in metrics.items()})
    header = ["scale", "PSNR, dB", "SSIM", "bicubic PSNR, dB", "bicubic SSIM"]
    report.table("Held-out pictures", header, [[name, *written(figures)] for name, figures in metrics.items()])
    for title, (history, kept) in histories.items():
        series = {name: [row[name] for row in history] for name in history[0] if name not in ("epoch", "seconds")}
        report.figure(title, curves(series, kept))
    for scale, path in files.items():
        predictor = load(path, app=APP)
        items = [drawn(predictor, file, scale) for file in data.validation_files[:3]]
        report.pictures(f"Enlarged {scale} times: original, bicubic, {options['network']}", items, side_px=720)
    report.problems("Files left out", data.bad)
    report.facts("Arguments", options)
    report.facts("Data", run.record["data"])
    report.facts("Versions", run.record["versions"])
    report.write(run.folder / "report.html")


def drawn(predictor: Predictor, file: Path, scale: int) -> tuple[np.ndarray, str]:
    """The middle of a picture beside its two enlargements from a picture that was shrunk, with its name."""
    original = bicubic.modcrop(decoding.decode(file), scale)
    small = bicubic.imresize(original, 1 / scale, border="symmetric")
    answer = whole_picture(predictor, small, scale)
    three = [original, bicubic.imresize(small, scale), np.clip(np.round(answer), 0, 255).astype(np.uint8)]
    return np.concatenate([middle(picture, 120) for picture in three], axis=1), file.name


def model_files(run: Run, scales: Sequence[int]) -> dict[int, Path]:
    """Where the file of each scale goes."""
    if len(scales) == 1:
        return {scales[0]: run.model_file}
    return {scale: run.folder / f"model_x{scale}.keras" for scale in scales}


def example_of(bank: patches.Patches):
    """(indices, seed) to inputs and targets, for tf.data."""
    import tensorflow as tf

    def example(indices, seed):
        inputs, targets = in_pipeline(bank, indices, seed, [tf.float32, tf.float32])
        for tensor in (inputs, targets):
            tensor.set_shape((None, None, None, bank.channels))
        return inputs, targets

    return example
