"""What `apps/mnist.py` does behind its commands: prepared examples, measuring, the report, the inversion experiment."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convmedia.apps.classification.evaluation import CHUNK, answers, figures
from convmedia.apps.classification.initial_weights import first_filters
from convmedia.apps.console.progress import counted
from convmedia.data.augmentation import digit_recipe, stateless_random
from convmedia.data.datasets.digits import Digits, Split, photograph, styled, without_digit
from convmedia.data.folders.labelled import truth_in
from convmedia.data.storage import arrays
from convmedia.data.storage.files import replacing
from convmedia.data.storage.parallel import in_order
from convmedia.data.transforms import colour
from convmedia.models.inference.file_predictor import FilePredictor

if TYPE_CHECKING:
    from convmedia.models.inference.predictor import Predictor

PHOTO_SHARE = 0.08  # of the training examples are drawn from pictures as a phone takes them
NOTHING_SHARE = 0.015  # and this many show no digit; they teach the network to be unsure
AHEAD = 2  # parts that are photographed while the one before is prepared


class PreparedDigits:
    """Examples as the inner network sees them: prepared once, uint8 (n, 28, 28, 1), targets float32 (n, labels).

    `regular` are visited once an epoch; some of them give way to `photos` and to `nothing`, drawn anew each time.
    Where there are photos, validation is on the held-out digits and on as many photographs of the same digits: what
    chooses the epoch is like what the network is for.
    """

    PARTS = ("regular", "photos", "nothing", "held")

    def __init__(self, parts: dict[str, np.ndarray], augment: bool):
        self.parts, self.augment = parts, augment
        self.regular = parts["regular"]

    @classmethod
    def of(
        cls, data: Digits, preparation: str, *, invert: bool, augment: bool, epochs: int, seed: int
    ) -> "PreparedDigits":
        """Prepare a set. `invert` adds each picture as 255 - pixel where the preparation keeps polarity; there are as
        many photos as `epochs` show, at most half as many as examples."""
        prepare = preparer(preparation)
        classes = len(data.labels)
        parts = {}
        parts["regular"], parts["regular_targets"] = prepared(prepare, data.train, classes, "preparing")
        if preparation == "resize" and invert:
            parts["regular"] = np.concatenate([parts["regular"], colour.inverted(parts["regular"])])
            parts["regular_targets"] = np.concatenate([parts["regular_targets"]] * 2)
        photographed = augment and preparation == "ink"
        if photographed:
            regular = (parts["regular"], parts["regular_targets"])
            shown = min(epochs * PHOTO_SHARE, 0.5)
            photos, photo_targets, nothing = photographs(prepare, *regular, data.labels, shown, seed)
        else:
            photos, photo_targets, nothing = empty(classes)
        parts |= {"photos": photos, "photos_targets": photo_targets, "nothing": nothing}
        parts["nothing_targets"] = np.full((len(nothing), classes), 1 / classes, "float32")
        parts["held"], parts["held_targets"] = prepared(prepare, data.validation, classes, "preparing validation")
        if photographed:
            parts["held"] = with_photographs(prepare, parts["held"], parts["held_targets"], data.labels, seed)
        elif preparation == "resize" and invert:
            parts["held"] = np.concatenate([parts["held"], colour.inverted(parts["held"])])
        parts["held_targets"] = np.concatenate(
            [parts["held_targets"]] * (len(parts["held"]) // len(parts["held_targets"]))
        )
        return cls(parts, augment)

    @classmethod
    def read(cls, path: Path, augment: bool) -> "PreparedDigits | None":
        """What `write` wrote; None where the file was cut or altered: they are prepared anew."""
        names = [f"{part}{of}" for part in cls.PARTS for of in ("", "_targets")]
        try:
            found = arrays.read(path)
            return cls({name: found[name] for name in names}, augment)
        except arrays.DAMAGED:
            return None

    def write(self, path: Path) -> None:
        """Keep the arrays in an .npz, beside and renamed."""
        with replacing(path) as beside, beside.open("wb") as file:
            np.savez(file, allow_pickle=False, **self.parts)

    @property
    def validation(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Inputs 0..1 and targets of the held-out examples, always the same ones."""
        return (self.parts["held"] / np.float32(255), self.parts["held_targets"])

    @property
    def example(self):
        """(indices, seed) to augmented inputs 0..1 and targets, for tf.data."""
        import tensorflow as tf

        bank = tf.constant(np.concatenate([self.parts[part] for part in self.PARTS[:3]]))
        targets = tf.constant(np.concatenate([self.parts[f"{part}_targets"] for part in self.PARTS[:3]]))
        number, photos, nothing = (len(self.parts[part]) for part in self.PARTS[:3])
        recipe = digit_recipe.digits() if self.augment else None

        def example(indices, seed):
            draw = stateless_random.draws(tf.random.experimental.stateless_fold_in(seed, 1 << 20))
            chance = draw(tf.shape(indices), 0.0, 1.0)
            place = draw(tf.shape(indices), 0.0, 1.0)
            if photos:
                photo = number + tf.cast(place * photos, tf.int32)
                blank = number + photos + tf.cast(place * nothing, tf.int32)
                indices = tf.where(chance < PHOTO_SHARE, photo, indices)
                indices = tf.where(chance > 1 - NOTHING_SHARE, blank, indices)
            pictures = tf.cast(tf.gather(bank, indices), tf.float32)
            return (recipe(pictures, seed) if recipe else pictures) / 255.0, tf.gather(targets, indices)

        return example


def preparer(preparation: str) -> "Predictor":
    """A predictor that answers with the prepared picture, (n, 28, 28, 1) 0..1, and no network behind it."""
    import keras

    from convmedia.models.answer import PICTURE
    from convmedia.models.inference.predictor import Predictor
    from convmedia.models.networks.digits import PREPARATIONS, SIDE
    from convmedia.models.saving.assembly import assemble

    nothing = keras.Sequential([keras.Input((SIDE, SIDE, 1)), keras.layers.Identity()])
    layers = PREPARATIONS[preparation]()
    return Predictor(assemble(nothing, preparation=layers, app="mnist", labels=None, input=PICTURE, details={}))


def to_bytes(prepared_pictures: np.ndarray) -> np.ndarray:
    """0..1 to uint8."""
    return np.round(prepared_pictures * 255).astype("uint8")


def prepared(prepare: FilePredictor, split: Split, classes: int, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Prepared pictures and one-hot targets of a split."""
    if not len(split):
        return empty(classes)[:2]
    return to_bytes(answers(prepare, split.pictures, len(split), label)), np.eye(classes, dtype="float32")[split.truth]


def empty(classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """No pictures, no targets, no pictures."""
    return np.zeros((0, 28, 28, 1), "uint8"), np.zeros((0, classes), "float32"), np.zeros((0, 28, 28, 1), "uint8")


def photographs(prepare: FilePredictor, regular: np.ndarray, targets: np.ndarray, labels, share: float, seed: int):
    """A share of the prepared examples as a phone would take them, and a twentieth as many pictures without a digit.

    Returns:
        (pictures, targets, pictures without a digit), prepared as the examples are.
    """
    chosen = np.random.default_rng([seed, 1]).permutation(len(regular))[: max(int(share * len(regular)), 1)]
    pictures: list[np.ndarray] = []
    nothing: list[np.ndarray] = []

    def drawn(numbered):
        number, part = numbered
        rng = np.random.default_rng([seed, 1, number + 1])
        size, taken = photographed_at_once(regular, targets, part, labels, rng)
        return taken, np.stack([without_digit(size, rng) for _ in range(max(len(part) // 20, 1))])

    parts = chunks(chosen)
    for taken, blank in counted(in_order(drawn, enumerate(parts), AHEAD), len(parts), "photographing"):
        pictures.append(to_bytes(prepare(taken)))
        nothing.append(to_bytes(prepare(blank)))
    return np.concatenate(pictures), targets[chosen], np.concatenate(nothing)


def with_photographs(prepare: FilePredictor, held: np.ndarray, targets: np.ndarray, labels, seed: int) -> np.ndarray:
    """Prepared pictures, and behind them a photograph of each, prepared as they are: uint8 (2n, 28, 28, 1)."""

    def drawn(numbered):
        number, part = numbered
        return photographed_at_once(held, targets, part, labels, np.random.default_rng([seed, 2, number]))[1]

    parts = chunks(np.arange(len(held)))
    taken = counted(in_order(drawn, enumerate(parts), AHEAD), len(parts), "photographing validation")
    return np.concatenate([held, *(to_bytes(prepare(pictures)) for pictures in taken)])


def chunks(places: np.ndarray) -> list[np.ndarray]:
    """The places in parts, of which each is photographed at one size."""
    return [places[start : start + CHUNK] for start in range(0, len(places), CHUNK)]


def photographed_at_once(pictures: np.ndarray, targets: np.ndarray, places: np.ndarray, labels, rng):
    """Some of the prepared pictures as a phone would take them, at a size that is drawn: (height, width), and uint8
    (n, height, width, 3)."""
    size = (int(rng.integers(40, 129)), int(rng.integers(40, 129)))
    written = [styled(pictures[place, ..., 0], labels[targets[place].argmax()], rng) for place in places]
    return size, np.stack([photograph(digit, size, rng) for digit in written])


def measure(predictor: FilePredictor, data: Digits) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of a saved file on raw test pictures and on their inversions; and its answers to the former."""
    labels = predictor.labels or []
    truth = truth_in(labels, data)
    straight = answers(predictor, data.test.pictures, len(truth), "testing")
    inverse = answers(predictor, map(colour.inverted, data.test.pictures), len(truth), "testing inverted")
    return {"test": figures(straight, truth, labels), "inverted": figures(inverse, truth, labels)}, straight


def filters_drawn(report, predictor: "Predictor") -> None:
    """The first filters before and after training, in the report, where the network has any."""
    from convmedia.apps.reporting.feature_maps import filter_sheet
    from convmedia.models.analysis.grad_cam import filters, has_filters

    if has_filters(predictor.model):
        report.figure("First filters", filter_sheet(filters(predictor.model), first_filters(predictor)))
