"""Training a network that paints in one pass: windows of photos, perceptual loss, the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from convmedia.apps.batch.picture_sets import picture_sets
from convmedia.apps.console.progress import progress, said_if_long
from convmedia.apps.console.terminal import say_left_out
from convmedia.apps.runs.run_folder import Run
from convmedia.apps.tasks.style_transfer.pictures import fitted, resized
from convmedia.apps.tasks.style_transfer.stylize import WEIGHTS, extractor
from convmedia.apps.training import trainer
from convmedia.apps.training.checkpoints import kept_epoch
from convmedia.data.augmentation import window_recipe
from convmedia.data.augmentation.stateless_random import generator, in_pipeline, rows_of
from convmedia.data.datasets import patches
from convmedia.data.datasets.patches import middle
from convmedia.data.images import decoding
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import digest
from convmedia.models import load
from convmedia.models.answer import PICTURE
from convmedia.models.export.examples import write_examples
from convmedia.models.losses.optimizers import Recipe
from convmedia.models.losses.style_losses import Extractor, gram_loss, mean_gram
from convmedia.models.losses.style_objective import grams_of
from convmedia.models.networks.stylization import painter
from convmedia.models.saving.assembly import assemble

APP = "style-transfer"
RECIPE = Recipe(keras.optimizers.Adam, 2e-3, clip=1.0, most_warmup=100)
EPOCH = 400  # windows, where the photos are fewer
SHRINKS = (1.0, 0.75, 0.5)
LEAST_PX = 64  # smaller photos are left out
SHOWN = 6


def train_run(run: Run) -> dict[str, Any]:
    """From a run's arguments to its complete folder: the run's record.

    Raises:
        InputError: what is wrong with pictures or weights, before anything is written.
    """
    options = run.arguments
    paintings = [fitting(Path(path), options["style_size"]) for path in options["styles"]]
    with said_if_long("reading the weights of the feature network"):
        seen = extractor(options)
    check_size(options, seen)
    with progress("reading photos") as update:
        files = [file for found in picture_sets(options["data"]).values() for file in found]
        data = patches.load(files, LEAST_PX, False, update, benchmarks=False)
    say_left_out(data.bad)
    with run.begin(data_digest=data.digest, style_digests=[digest(path) for path in options["styles"]]):
        return trained(run, data, paintings, seen)


def fitting(path: Path, longer_px: int) -> np.ndarray:
    """A painting with its longer side at most so long, float32 (height, width, 3), 0..255."""
    painting = decoding.decode(path).astype(np.float32)
    return resized(painting, fitted(painting.shape[:2], longer_px))


def check_size(options: dict[str, Any], seen: Extractor) -> None:
    """Raises InputError where windows are too small to be looked at."""
    if options["side"] < seen.least_px:
        raise InputError(f"--side {options['side']}: the deepest layer looks at {seen.least_px} px and more")


def trained(run: Run, data: patches.HighResolution, paintings: Sequence[np.ndarray], seen: Extractor) -> dict[str, Any]:
    """Fit the network, save its best epoch, report."""
    options = run.arguments
    keras.utils.set_random_seed(options["seed"])
    styles = len(paintings)
    network = painter(styles=styles) if options["filters"] is None else painter(options["filters"], styles=styles)
    names = [Path(path).stem for path in options["styles"]]
    beside = {"style": styles} if styles > 1 else None
    details = {"network": "painter", "styles": names, "seed": options["seed"]}
    model = assemble(network, app=APP, labels=None, input=PICTURE, details=details, beside=beside)
    bank = patches.Patches(data.train, [window_recipe.windows(options["side"])], SHRINKS)
    number = options["limit"] or max(len(bank), EPOCH)
    steps = max(number // options["batch_size"], 1)
    inputs, targets = validation(data, options["side"], styles)
    history = trainer.fit(
        network,
        run,
        number,
        example_of(bank, styles),
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        seed=options["seed"],
        precision=options["precision"],
        validation=trainer.held_out(inputs, targets, batch_size=4),
        keep=lambda: run.keep(model),
        monitor="val_loss",
        separable=True,
        optimizer=RECIPE.optimizer(options["epochs"], steps),
        loss=Perceptual(seen, paintings, tuple(options[name] for name in WEIGHTS)),
    )
    write_examples(run.folder / "examples.npz", [middle(photo, 96) for photo in data.train[:12]])
    figures = {"validation": {"loss": run.record["kept"]["value"]}}
    run.finish(history, input=PICTURE, metrics=figures, data=data.facts(options["data"]))
    write_report(run, data, history, paintings)
    return run.record


class Perceptual(keras.losses.Loss):
    """Content, style and total variation of painted pictures (Johnson et al. 2016, section 3.2), for each example.

    Between truth (batch, height, width, 3) and answer of that shape, RGB, 0..255. With several styles the truth has a
    further channel for each, its weight everywhere. All three are means, so weights mean the same at every size.

    Args:
        shares: weights of the three.
    """

    def __init__(self, seen: Extractor, paintings: Sequence[np.ndarray], shares: tuple[float, float, float]):
        super().__init__(name="perceptual")
        self.seen, self.shares = seen, shares
        grams = [grams_of(seen, painting) for painting in paintings]
        self.targets = {layer: ops.concatenate([one[layer] for one in grams]) for layer in seen.style_layers}

    def call(self, y_true, y_pred):
        photo, weights = y_true[..., :3], y_true[:, 0, 0, 3:]
        wanted, maps = self.seen.model(photo), self.seen.model(y_pred)
        content = [0.5 * mean_square(maps[layer] - wanted[layer]) for layer in self.seen.content_layers]
        style = [gram_loss(mean_gram(maps[layer]), self.target(layer, weights)) for layer in self.seen.style_layers]
        down, across = y_pred[:, 1:] - y_pred[:, :-1], y_pred[:, :, 1:] - y_pred[:, :, :-1]
        terms = (sum(content) / len(content), sum(style) / len(style), mean_square(down) + mean_square(across))
        return sum(share * term for share, term in zip(self.shares, terms, strict=True))

    def target(self, layer: str, weights):
        """The Gram matrices that each example should have: (batch or 1, filters, filters)."""
        grams = self.targets[layer]
        if grams.shape[0] == 1:
            return grams
        flat = ops.matmul(weights, ops.reshape(grams, (grams.shape[0], -1)))
        return ops.reshape(flat, (-1, *grams.shape[1:]))


def mean_square(values):
    return ops.mean(ops.square(values), axis=(1, 2, 3))


def example_of(bank: patches.Patches, styles: int):
    """(indices, seed) to inputs and targets, for tf.data: one style for each window, by chance."""
    import tensorflow as tf

    def drawn(indices, seed):
        photos = bank(indices % len(bank), seed)
        rng = generator(seed, 2)  # windows and their places have the same seed
        chosen = rows_of(lambda size: rng.integers(styles, size=size), len(photos))
        return photos, np.eye(styles, dtype=np.float32)[chosen]

    def example(indices, seed):
        photos, weights = in_pipeline(drawn, indices, seed, [tf.float32, tf.float32])
        photos.set_shape((None, None, None, 3))
        weights.set_shape((None, styles))
        return with_style(photos, weights)

    return example


def with_style(photos, weights):
    """Inputs and targets of the network, tensors of tf.data: what `Perceptual` takes for truth."""
    import tensorflow as tf

    styles = weights.shape[-1]
    if styles == 1:
        return photos, photos
    planes = weights[:, None, None, :] * tf.ones_like(photos[..., :1])
    return (photos, weights), tf.concat([photos, planes], axis=-1)


def validation(data: patches.HighResolution, side: int, styles: int):
    """The middle of each held-out photo in each style, as arrays."""
    photos = np.stack([middle(patches.at_least(one, side), side) for one in data.validation]).astype(np.float32)
    photos, weights = np.repeat(photos, styles, axis=0), np.tile(np.eye(styles, dtype=np.float32), (len(photos), 1))
    if styles == 1:
        return photos, photos
    planes = np.broadcast_to(weights[:, None, None, :], (*photos.shape[:3], styles))
    return (photos, weights), np.concatenate([photos, planes], axis=-1)


@said_if_long("writing the report")
def write_report(run: Run, data: patches.HighResolution, history, paintings: Sequence[np.ndarray]) -> None:
    """`report.html`: curves, paintings, held-out and other photos painted."""
    from convmedia.apps.reporting.charts import curves
    from convmedia.apps.reporting.html import Report

    options, predictor = run.arguments, load(run.model_file, app=APP)
    report = Report("Style transfer", f"{', '.join(predictor.details['styles'])} learned on {len(data.train)} photos")
    report.headline({"validation loss": f"{run.record['kept']['value']:.4g}", "epochs": len(history)})
    names = predictor.details["styles"]
    report.pictures("Styles", [(as_bytes(one), name) for one, name in zip(paintings, names, strict=True)])
    photos = [resized(one.astype(np.float32), fitted(one.shape[:2], 384)) for one in [*data.validation, *data.train]]
    eye = np.eye(len(paintings), dtype=np.float32)
    for place, name in enumerate(names):
        weights = [eye[place : place + 1]] if len(paintings) > 1 else []
        answers = [predictor(photo[np.newaxis], *weights)[0] for photo in photos[:SHOWN]]
        items = [(as_bytes(np.concatenate(pair, 1)), "") for pair in zip(photos, answers, strict=False)]
        report.pictures(f"Photos painted as {name}; the first are held out", items, side_px=480)
    series = {name: [row[name] for row in history] for name in history[0] if name not in ("epoch", "seconds")}
    report.figure("Training", curves(series, kept_epoch(run)))
    report.problems("Files left out", data.bad)
    report.facts("Arguments", options)
    report.facts("Data", run.record["data"])
    report.facts("Versions", run.record["versions"])
    report.write(run.folder / "report.html")


def as_bytes(picture: np.ndarray) -> np.ndarray:
    """Float 0..255 as uint8."""
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)
