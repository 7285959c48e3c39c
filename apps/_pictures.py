"""What the applications that learn folders of photos share: augmentation, examples, measuring, the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.apps._classifiers import answers, figures, raw_examples, reduced, truth_in_labels_of
from convmedia.apps._commands import percent, progress, say, table, to_json
from convmedia.apps._runs import Run
from convmedia.apps._verbs import model_of
from convmedia.data import augmentation, images, pictures
from convmedia.data.errors import InputError
from convmedia.data.files import shown
from convmedia.models.predicting import Predictor


def loaded(data: str) -> pictures.Pictures:
    """The set that `--data` names; what was left out of it is said."""
    with progress("reading pictures") as update:
        found = pictures.load(data, update)
    for line in found.warnings:
        say(f"note: {line}")
    for path, reason in found.bad[:5]:
        say(f"left out: {shown(path)}: {reason}")
    if len(found.bad) > 5:
        say(f"left out: {len(found.bad)} files in all, named in the report")
    return found


class Files(Sequence):
    """Raw pictures of a split, decoded completely when they are read."""

    def __init__(self, split: pictures.Split):
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index):
        return images.decode(self.split.paths[index])


def sample_photos() -> list[np.ndarray]:
    """24 cuts of several sizes and sides from the two photos that scikit-learn carries, uint8 (height, width, 3)."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(0)
    cuts = []
    for photo in load_sample_images().images * 12:
        height, width = rng.integers(60, 400, 2)
        top, left = rng.integers(0, photo.shape[0] - height + 1), rng.integers(0, photo.shape[1] - width + 1)
        cuts.append(photo[top : top + height, left : left + width])
    return cuts


def decoded(split: pictures.Split, side: int, label: str, fast: bool = False) -> pictures.Decoded:
    """The pictures of a split at `side` x `side` px, with a bar."""
    with progress(label) as update:
        return pictures.Decoded(split, (side, side), fast=fast, progress=update)


def targets(truth: np.ndarray, classes: int) -> np.ndarray:
    """What a network is trained to answer: float32 (n, 1), the probability of the second of two labels, or one-hot."""
    return truth[:, None].astype("float32") if classes == 2 else np.eye(classes, dtype="float32")[truth]


def example_of(bank: pictures.Decoded, wanted: np.ndarray, recipe, mix=None, sides: Sequence[int] = ()):
    """(indices, seed) to augmented inputs 0..1 and targets, for tf.data.

    Args:
        wanted: the targets of every picture of the bank.
        recipe: (batch, seed) to batch, or None.
        mix: (batch, targets, seed) to both, or None.
        sides: px, of the squares that each epoch trains on; none for those of the bank.
    """
    import tensorflow as tf

    wanted, of_epoch = tf.constant(wanted), tf.constant(sides or [0], tf.int32)

    def example(indices, seed):
        batch, target = bank.gather(indices), tf.gather(wanted, indices)
        batch = recipe(batch, seed) if recipe else tf.cast(batch, tf.float32)
        if mix:
            batch, target = mix(batch, target, tf.random.experimental.stateless_fold_in(seed, 1 << 20))
        if sides:
            side = of_epoch[tf.minimum(augmentation.epoch_of(seed), len(sides) - 1)]
            batch = tf.image.resize(batch, [side, side], "area")
        return batch / 255.0, target

    return example


def measure(predictor: Predictor, data: pictures.Pictures) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of a saved file on the raw test pictures, fully decoded, and its answers."""
    truth = truth_in_labels_of(predictor, data.name, data.labels, data.test.truth)
    found = answers(predictor, Files(data.test), len(truth), "testing")
    return {"test": figures(found, truth)}, found


def evaluate(app: str, data: str, model: str | None, as_json: bool) -> None:
    """The `evaluate` verb: figures of a saved file on the test pictures of a set."""
    predictor = model_of(app, model)
    chosen = loaded(data).required("test")
    metrics, _ = measure(predictor, chosen)
    if as_json:
        print(to_json({"metrics": metrics, "data": facts_of(chosen), "model": predictor.digest}, indent=2))
        return
    rows = [[split, percent(f["accuracy"]), f"{f['loss']:.4f}", f["examples"]] for split, f in metrics.items()]
    print(table(["split", "accuracy", "loss", "pictures"], rows))


def facts_of(data: pictures.Pictures) -> dict[str, Any]:
    """What `run.json` says of the data."""
    return {
        "name": data.name,
        "train": len(data.train),
        "validation": len(data.validation),
        "test": len(data.test),
        "left_out": len(data.bad),
        "duplicates": len(data.duplicates),
        "digest": data.digest,
    }


def finish(run: Run, title: str, data: pictures.Pictures, history, input: dict[str, Any], monitor: str, extra=None):
    """Measure the saved file, keep examples for exports, write the report and complete `run.json`.

    Args:
        extra: adds an application's own figures to the report, called with it.
    """
    from convmedia.models import load
    from convmedia.models.exporting import write_examples

    predictor = load(run.folder, app=run.record["app"])
    write_examples(run.folder / "examples.npz", raw_examples(Files(data.train)))
    metrics, probabilities = measure(predictor, data)
    write_report(run, title, predictor, data, history, metrics, probabilities, monitor, extra)
    run.finish(history, input=input, metrics=metrics, data=facts_of(data))
    return run.record


def write_report(run: Run, title, predictor, data, history, metrics, probabilities, monitor, extra) -> None:
    """`report.html` of one training."""
    from convmedia.apps._figures import curves
    from convmedia.apps._report import Report, classification
    from convmedia.apps._training import best_epoch

    report = Report(title, f"{predictor.details['network']} trained on {data.name}, {len(data.train):,} pictures")
    report.headline(
        {
            "test": percent(metrics["test"]["accuracy"]),
            "epochs": len(history),
            "parameters": f"{predictor.model.count_params():,}",
        }
    )
    series = {name: [row[name] for row in history] for name in history[0] if name not in ("epoch", "seconds")}
    report.figure("Training", curves(series, best_epoch(history, monitor) + 1))
    if extra:
        extra(report)
    classification(
        report,
        probabilities,
        truth_in_labels_of(predictor, data.name, data.labels, data.test.truth),
        predictor.labels or [],
        pictures=lambda index: (reduced(Files(data.test)[index], 256), Path(data.test.paths[index]).name),
    )
    if data.warnings:
        report.text(" ".join(data.warnings), "To look at")
    report.problems("Files left out", data.bad)
    report.problems("Duplicates", [(path, f"the same content as {kept}") for path, kept in data.duplicates])
    report.facts("Arguments", run.arguments)
    report.facts("Data", facts_of(data))
    report.facts("Versions", run.record["versions"])
    report.write(run.folder / "report.html")


def recipe_of(name: str):
    """The augmentation recipe that `--augment` names, or None."""
    if name == "none":
        return None
    if name == "photos":
        return augmentation.photos()
    if name == "strong":
        shifts = {"width_shift_range": 0.15, "height_shift_range": 0.15, "shear_range": 0.0}
        return augmentation.photos(rotation_range=15.0, zoom_range=(0.6, 1.0), colour_jitter=0.3, **shifts)
    raise InputError(f"--augment is none, photos or strong; received {name}")
