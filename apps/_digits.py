"""What `apps/mnist.py` does behind its commands: prepared examples, measuring, the report, the inversion experiment."""

from pathlib import Path
from typing import Any

import numpy as np

from convmedia.apps._classifiers import CHUNK, answers, figures, first_filters, reduced
from convmedia.apps._commands import counted, percent, table, to_json
from convmedia.apps._runs import Run, write_text
from convmedia.apps._shares import counted as share_said
from convmedia.data import arrays, augmentation, images
from convmedia.data.digits import Digits, Split, photograph, styled, without_digit
from convmedia.data.files import replacing
from convmedia.data.labelled import truth_in
from convmedia.models.predicting import Predictor

PHOTO_SHARE = 0.08  # of the training examples are drawn from pictures as a phone takes them
NOTHING_SHARE = 0.015  # and this many show no digit; they teach the network to be unsure
ALL = slice(None)


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
    def of(cls, data: Digits, preparation: str, *, invert: bool, augment: bool, seed: int) -> "PreparedDigits":
        """Prepare a set. `invert` adds each picture as 255 - pixel where the preparation keeps polarity."""
        prepare = preparer(preparation)
        classes = len(data.labels)
        parts = {}
        parts["regular"], parts["regular_targets"] = prepared(prepare, data.train, classes, "preparing")
        if preparation == "resize" and invert:
            parts["regular"] = np.concatenate([parts["regular"], augmentation.inverted(parts["regular"])])
            parts["regular_targets"] = np.concatenate([parts["regular_targets"]] * 2)
        photographed = augment and preparation == "ink"
        if photographed:
            regular = (parts["regular"], parts["regular_targets"])
            photos, photo_targets, nothing = photographs(prepare, *regular, data.labels, seed)
        else:
            photos, photo_targets, nothing = empty(classes)
        parts |= {"photos": photos, "photos_targets": photo_targets, "nothing": nothing}
        parts["nothing_targets"] = np.full((len(nothing), classes), 1 / classes, "float32")
        parts["held"], parts["held_targets"] = prepared(prepare, data.validation, classes, "preparing validation")
        if photographed:
            parts["held"] = with_photographs(prepare, parts["held"], parts["held_targets"], data.labels, seed)
        elif preparation == "resize" and invert:
            parts["held"] = np.concatenate([parts["held"], augmentation.inverted(parts["held"])])
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
        recipe = augmentation.digits() if self.augment else None

        def example(indices, seed):
            draw = augmentation.draws(tf.random.experimental.stateless_fold_in(seed, 1 << 20))
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


def preparer(preparation: str) -> Predictor:
    """A predictor that answers with the prepared picture, (n, 28, 28, 1) 0..1, and no network behind it."""
    import keras

    from convmedia.models.answer import PICTURE
    from convmedia.models.digits import PREPARATIONS, SIDE
    from convmedia.models.saving import assemble

    nothing = keras.Sequential([keras.Input((SIDE, SIDE, 1)), keras.layers.Identity()])
    layers = PREPARATIONS[preparation]()
    return Predictor(assemble(nothing, preparation=layers, app="mnist", labels=None, input=PICTURE, details={}))


def to_bytes(prepared_pictures: np.ndarray) -> np.ndarray:
    """0..1 to uint8."""
    return np.round(prepared_pictures * 255).astype("uint8")


def prepared(prepare: Predictor, split: Split, classes: int, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Prepared pictures and one-hot targets of a split."""
    if not len(split):
        return empty(classes)[:2]
    return to_bytes(answers(prepare, split.pictures, len(split), label)), np.eye(classes, dtype="float32")[split.truth]


def empty(classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """No pictures, no targets, no pictures."""
    return np.zeros((0, 28, 28, 1), "uint8"), np.zeros((0, classes), "float32"), np.zeros((0, 28, 28, 1), "uint8")


def photographs(prepare: Predictor, regular: np.ndarray, targets: np.ndarray, labels, seed: int):
    """Half of the prepared examples as a phone would take them, and a twentieth as many pictures without a digit.

    Returns:
        (pictures, targets, pictures without a digit), prepared as the examples are.
    """
    rng = np.random.default_rng([seed, 1])
    chosen = rng.permutation(len(regular))[: max(len(regular) // 2, 1)]
    pictures: list[np.ndarray] = []
    nothing: list[np.ndarray] = []
    for part in counted(chunks(chosen), -(-len(chosen) // CHUNK), "photographing"):
        size, taken = photographed_at_once(regular, targets, part, labels, rng)
        pictures.append(to_bytes(prepare(taken)))
        blank = [without_digit(size, rng) for _ in range(max(len(part) // 20, 1))]
        nothing.append(to_bytes(prepare(np.stack(blank))))
    return np.concatenate(pictures), targets[chosen], np.concatenate(nothing)


def with_photographs(prepare: Predictor, held: np.ndarray, targets: np.ndarray, labels, seed: int) -> np.ndarray:
    """Prepared pictures, and behind them a photograph of each, prepared as they are: uint8 (2n, 28, 28, 1)."""
    rng = np.random.default_rng([seed, 2])
    parts = counted(chunks(np.arange(len(held))), -(-len(held) // CHUNK), "photographing validation")
    taken = [to_bytes(prepare(photographed_at_once(held, targets, part, labels, rng)[1])) for part in parts]
    return np.concatenate([held, *taken])


def chunks(places: np.ndarray) -> list[np.ndarray]:
    """The places in parts, of which each is photographed at one size."""
    return [places[start : start + CHUNK] for start in range(0, len(places), CHUNK)]


def photographed_at_once(pictures: np.ndarray, targets: np.ndarray, places: np.ndarray, labels, rng):
    """Some of the prepared pictures as a phone would take them, at a size that is drawn: (height, width), and uint8
    (n, height, width, 3)."""
    size = (int(rng.integers(40, 129)), int(rng.integers(40, 129)))
    written = [styled(pictures[place, ..., 0], labels[targets[place].argmax()], rng) for place in places]
    return size, np.stack([photograph(digit, size, rng) for digit in written])


def measure(predictor: Predictor, data: Digits) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of a saved file on raw test pictures and on their inversions; and its answers to the former."""
    labels = predictor.labels or []
    truth = truth_in(labels, data)
    straight = answers(predictor, data.test.pictures, len(truth), "testing")
    inverse = answers(predictor, map(augmentation.inverted, data.test.pictures), len(truth), "testing inverted")
    return {"test": figures(straight, truth, labels), "inverted": figures(inverse, truth, labels)}, straight


def filters_drawn(report, predictor: Predictor) -> None:
    """The first filters before and after training, in the report."""
    from convmedia.apps._sheets import filter_sheet
    from convmedia.models.digits import NETWORKS
    from convmedia.models.explanation import filters

    report.figure("First filters", filter_sheet(filters(predictor.model), first_filters(NETWORKS, predictor)))


def compared(run: Run, parts: list[tuple[str, Run]], files: list[Path]) -> dict[str, Any]:
    """The inversion experiment's result: figures of each training and what it answers to each file."""
    from convmedia.models import load

    rows = []
    for name, part in parts:
        predictor = load(part.folder)
        rows.append(
            {
                "training": name,
                "run": str(part.folder),
                "examples": part.record["data"]["train"],
                "metrics": part.record["metrics"],
                "answers": predictor.predict_files(files, top=1),
            }
        )
    result = {"pictures": [str(file) for file in files], "trainings": rows}
    write_text(run.folder / "compare.json", to_json(result, indent=2) + "\n")
    comparison_report(run, result)
    accuracies = {row["training"]: {k: f["accuracy"] for k, f in row["metrics"].items()} for row in rows}
    run.finish(metrics=accuracies)
    return result


def comparison_rows(result: dict[str, Any], pictures: slice = ALL) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a training in each row; the two accuracies, then a picture in each column."""
    names = [Path(file).name for file in result["pictures"][pictures]]
    rows = []
    for training in result["trainings"]:
        answered = training["answers"][pictures]
        cells = ["error" if "error" in row else f"{row['label']} {percent(row['score'])}" for row in answered]
        splits = (training["metrics"][split] for split in ("test", "inverted"))
        accuracies = [share_said(one["accuracy"], one["examples"]) for one in splits]
        rows.append([training["training"], *accuracies, *cells])
    return ["training", "test", "inverted", *names], rows


def comparison_table(result: dict[str, Any], across: int = 6) -> str:
    """The result for a terminal, `across` pictures in a row."""
    starts = range(0, len(result["pictures"]), across)
    return "\n\n".join(table(*comparison_rows(result, slice(start, start + across))) for start in starts)


def comparison_report(run: Run, result: dict[str, Any]) -> None:
    """`report.html` of the inversion experiment."""
    from convmedia.apps._report import Report

    report = Report("The inversion experiment", "The same pictures read after several trainings")
    report.text(
        "A network that saw only light ink on dark ground is lost when the ink is dark. Trained on each picture and "
        "its inversion, 255 - pixel, it reads both; the default preparation finds the ink and needs neither."
    )
    header, rows = comparison_rows(result)
    report.table("Answers and accuracies", header, rows)
    good = [row["file"] for row in result["trainings"][0]["answers"] if "error" not in row]
    report.pictures("Pictures", [(reduced(images.decode(file)), Path(file).name) for file in good])
    report.facts("Arguments", run.arguments)
    report.write(run.folder / "report.html")
