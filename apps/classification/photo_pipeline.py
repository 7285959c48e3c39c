"""What the applications that learn folders of photos share: augmentation, examples, measuring, the report."""

from collections.abc import Sequence

import numpy as np

from convmedia.apps.classification.evaluation import measure, print_figures, raw_examples, say_problems
from convmedia.apps.cli.inputs import KERAS, answering
from convmedia.apps.console.progress import progress
from convmedia.apps.runs.record import fold_of, group_of
from convmedia.apps.training.distillation import Teacher
from convmedia.data.augmentation import stateless_random
from convmedia.data.augmentation.catalogue import PHOTOS
from convmedia.data.datasets import photos


def loaded(data: str, group: str | None = None, fold: str | None = None) -> photos.Pictures:
    """The set that `--data`, `--group` and `--fold` name; what was left out of it is said."""
    with progress("reading pictures") as update:
        found = photos.load(data, update, group, fold)
    say_problems(found)
    return found


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


def decoded(split: photos.Split, side: int, label: str, fast: bool = False) -> photos.Decoded:
    """The pictures of a split at `side` x `side` px, with a bar."""
    with progress(label) as update:
        return photos.Decoded(split, (side, side), fast=fast, progress=update)


def targets(truth: np.ndarray, classes: int) -> np.ndarray:
    """What a network is trained to answer: float32 (n, 1), the probability of the second of two labels, or one-hot."""
    return truth[:, None].astype("float32") if classes == 2 else np.eye(classes, dtype="float32")[truth]


def example_of(
    bank: photos.Decoded,
    wanted: np.ndarray,
    prepared,
    recipe,
    mix=None,
    sides: Sequence[int] = (),
    teacher: Teacher | None = None,
):
    """(indices, seed) to augmented inputs and targets, for tf.data.

    Args:
        wanted: the targets of every picture of the bank.
        prepared: from float32 pictures 0..255 to what the network takes.
        recipe: (batch, seed) to batch, or None.
        mix: (batch, targets, seed) to both, or None.
        sides: px, of the squares that each epoch trains on; none for those of the bank.
        teacher: whose answers to the augmented pictures are part of the targets.
    """
    import tensorflow as tf

    wanted, of_epoch = tf.constant(wanted), tf.constant(sides or [0], tf.int32)

    def example(indices, seed):
        batch, target = bank.gather(indices), tf.gather(wanted, indices)
        batch = recipe(batch, seed) if recipe else tf.cast(batch, tf.float32)
        if mix:
            batch, target = mix(batch, target, tf.random.experimental.stateless_fold_in(seed, 1 << 20))
        if teacher:
            target = teacher.pictures(batch, target)
        if sides:
            side = of_epoch[tf.minimum(stateless_random.epoch_of(seed), len(sides) - 1)]
            batch = tf.image.resize(batch, [side, side], "area")
        return prepared(batch), target

    return example


def held_out(bank: photos.Decoded, wanted: np.ndarray, prepared, batch_size: int = 100):
    """Validation batches of a bank, prepared when they are asked for, so that memory stays flat."""
    import tensorflow as tf

    from convmedia.apps.training.trainer import as_it_is, without_autotuner

    wanted = tf.constant(wanted)
    places = tf.data.Dataset.range(len(bank)).batch(batch_size)
    batches = places.map(as_it_is(lambda at: (prepared(tf.cast(bank.gather(at), tf.float32)), tf.gather(wanted, at))))
    return without_autotuner(batches.prefetch(2))


def evaluate(
    app: str,
    data: str,
    model: str | None,
    as_json: bool,
    group: str | None,
    fold: str | None = None,
    runtime: str = KERAS,
) -> None:
    """The `evaluate` verb: figures of a saved file on the test pictures of a set."""
    predictor = answering(app, model, runtime)
    chosen = loaded(data, group or group_of(model, data), fold or fold_of(model, data)).required("test")
    metrics, _ = measure(predictor, chosen)
    print_figures(predictor, chosen, metrics, as_json)


def examples(data: str | None) -> list[np.ndarray]:
    """Raw pictures to verify an export with: of a set, or without one `sample_photos`."""
    return raw_examples(loaded(data).train.pictures) if data else sample_photos()


def recipe_of(name: str):
    """The augmentation recipe that `--augment` names, or None."""
    make = PHOTOS[name]
    return make and make()
