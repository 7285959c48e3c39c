"""What the applications that label pictures share: measuring a saved file, examples for its exports, explaining it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.apps._commands import percent, progress, said_if_long, say, say_left_out, table, tell, to_json
from convmedia.apps._device import device
from convmedia.apps._runs import Run
from convmedia.apps._shares import doubts, interval, with_counts, with_interval
from convmedia.data import images
from convmedia.data.errors import InputError
from convmedia.data.files import fitting, replacing
from convmedia.data.labelled import Labelled, truth_in
from convmedia.models.metrics import label_figures
from convmedia.models.predicting import Predictor, in_batches
from convmedia.models.trials import Trial, accuracy

CHUNK = 250  # most pictures of a batch
LISTED_LABELS = 20  # most labels that `evaluate` prints a row for


def answers(predictor: Predictor, pictures: Iterable[np.ndarray], number: int, label: str) -> np.ndarray:
    """What a predictor says to `number` raw pictures of any sizes, in order.

    Raises:
        InputError: an answer holds NaN or infinity.
    """
    found: list[np.ndarray] = []
    with progress(label) as update:
        for batch in in_batches(pictures, lambda picture: picture, CHUNK):
            found.extend(predictor.finite(np.stack(batch)))
            update(len(found), number)
    return np.stack(found)


def figures(probabilities: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Accuracy as a fraction, cross-entropy in nats, number of examples; and what `label_figures` gives."""
    right = probabilities[np.arange(len(truth)), truth]
    answered = probabilities.argmax(1)
    return {
        "accuracy": float((answered == truth).mean()),
        "loss": float(-np.log(np.clip(right, 1e-7, 1.0)).mean()),
        "examples": len(truth),
        **label_figures(truth, answered, labels),
    }


def accuracy_line(_: str, figures: dict[str, Any]) -> str:
    """The figures of one split, or of all folds together, for a person: accuracy alone where there is no more."""
    if "accuracy_interval" not in figures:
        return shares_line(figures)
    further = f"balanced accuracy {percent(figures['balanced_accuracy'])}, macro F1 {percent(figures['macro_f1'])}"
    return f"accuracy {accuracy_said(figures)}, {further}"


def shares_line(figures: dict[str, Any]) -> str:
    """All shares among figures: of several folds their means and spreads."""
    kept = {name: value for name, value in figures.items() if isinstance(value, int | float) and name != "examples"}
    shares = {name: value for name, value in kept.items() if not name.startswith("loss")}
    return ", ".join(f"{name.replace('_', ' ')} {percent(value)}" for name, value in shares.items())


def accuracy_said(figures: dict[str, Any]) -> str:
    """The accuracy and what it was counted from: "92.83 % (557 of 600, 95 % interval 90.5 to 94.6 %)"."""
    return with_interval(figures["accuracy"], figures["examples"], figures["accuracy_interval"])


def headline(metrics: dict[str, Any]) -> dict[str, str]:
    """The few numbers that a report begins with: each split's accuracy, and of the first split what else there is."""
    first = next(iter(metrics.values()))
    numbers = {}
    for split, one in metrics.items():
        numbers[split] = with_counts(one["accuracy"], one["examples"])
        numbers["95 % interval" if one is first else f"95 % interval, {split}"] = interval(one["accuracy_interval"])
    return {
        **numbers,
        "balanced accuracy": percent(first["balanced_accuracy"]),
        "macro F1": percent(first["macro_f1"]),
    }


def trial(
    predictor: Predictor,
    labelled: Callable[[str, str | None, str | None], Labelled],
    data: str | None,
    group: str | None,
    fold: str | None = None,
) -> Trial | None:
    """What quantised files are measured by: the right labels of a set's test split; None without one."""
    if data is None:
        return None
    chosen = labelled(data, group, fold).required("test")
    said = f"test split of {chosen.name}, {len(chosen.test):,} {chosen.noun}s"
    return accuracy(said, lambda: map(in_rgb, chosen.test.pictures), truth_in(predictor.labels or [], chosen))


def raw_examples(pictures: "Sequence[np.ndarray] | np.ndarray", most: int = 200) -> list[np.ndarray]:
    """Up to `most` raw pictures spread over a split, uint8 (height, width, 3): to verify and calibrate exports with."""
    places = np.unique(np.linspace(0, len(pictures) - 1, min(most, len(pictures))).astype(int))
    chosen = [pictures[place] for place in places]
    return [reduced(in_rgb(picture)) for picture in chosen]


def in_rgb(picture: np.ndarray) -> np.ndarray:
    """A picture with three channels, of one that is grey, (height, width), too."""
    return np.repeat(picture[..., None], 3, -1) if picture.ndim == 2 else picture


def reduced(picture: np.ndarray, side_px: int = 512) -> np.ndarray:
    """The picture, or where a side is longer than `side_px` one of an integer fraction of its size."""
    from PIL import Image

    factor = -(-max(picture.shape[:2]) // side_px)
    return picture if factor == 1 else np.asarray(Image.fromarray(picture).reduce(factor))


def say_problems(data: Labelled) -> None:
    """Say what is to be looked at in a set, and the first of the files that cannot be used."""
    for line in data.warnings:
        say(f"note: {line}")
    say_left_out(data.bad)


@said_if_long("building the network")
def first_network(networks: dict[str, Callable], run: Run, labels: Sequence[str]):
    """The inner network before training: random from the seed, or with what fits of `--weights`."""
    import keras

    from convmedia.apps import _training
    from convmedia.models import load

    options = run.arguments
    keras.utils.set_random_seed(options["seed"])
    network = networks[options["network"]](len(labels))
    if options["weights"] != "none":
        _training.start_from(network, load(options["weights"], app=run.record["app"]), labels)
    return network


def first_filters(networks: dict[str, Callable], predictor: Predictor) -> np.ndarray:
    """The first convolution's filters before training, made again from the seed."""
    import keras

    from convmedia.models.explanation import filters

    assert predictor.labels is not None
    keras.utils.set_random_seed(predictor.details["seed"])
    return filters(networks[predictor.details["network"]](len(predictor.labels)))


def measure(predictor: Predictor, data: Labelled) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of a saved file on the raw test pictures, and its answers to them."""
    found = answers(predictor, data.test.pictures, len(data.test), "testing")
    labels = predictor.labels or []
    return {"test": figures(found, truth_in(labels, data), labels)}, found


def print_figures(predictor: Predictor, data: Labelled, metrics: dict[str, Any], as_json: bool) -> None:
    """What `evaluate` prints: a row for each split; of the first split a row for each label, where they are few."""
    if as_json:
        document = {"metrics": metrics, "data": data.facts, "model": predictor.digest, "device": device()}
        tell(to_json(document, indent=2))
        return
    rows = [
        [split, accuracy_said(f), percent(f["balanced_accuracy"]), percent(f["macro_f1"]), f"{f['loss']:.4f}"]
        for split, f in metrics.items()
    ]
    tell(table(["split", "accuracy", "balanced accuracy", "macro F1", "loss"], rows))
    of_labels = next(iter(metrics.values()))["per_label"]
    if len(of_labels) <= LISTED_LABELS:
        tell()
        tell(table(["label", "precision", "recall", "F1", f"{data.noun}s"], label_rows(of_labels)))
    for line in (absent(of_labels), *doubts(metrics)):
        if line:
            tell(f"\n{line}")


def label_rows(of_labels: dict[str, dict[str, Any]]) -> list[list[Any]]:
    """A row for each label: precision, recall and F1 in percent, the first two with their counts; examples."""
    return [
        [
            label,
            with_counts(row["precision"], row["answered"]),
            with_counts(row["recall"], row["examples"]),
            "-" if row["f1"] is None else percent(row["f1"]),
            row["examples"],
        ]
        for label, row in of_labels.items()
    ]


def absent(of_labels: dict[str, dict[str, Any]]) -> str:
    """Says which labels have no examples; empty where all have some."""
    names = [label for label, row in of_labels.items() if not row["examples"]]
    without = f"balanced accuracy and macro F1 leave out the labels without examples: {', '.join(names)}"
    return without if names else ""


@said_if_long("measuring the model and writing the report")
def finish(
    run: Run,
    title: str,
    data: Labelled,
    history: list[dict[str, float]],
    measure: Callable[[Predictor, Any], tuple[dict[str, Any], np.ndarray]] = measure,
    extra: Callable[[Any, Predictor], None] | None = None,
) -> dict[str, Any]:
    """Measure the saved file, keep examples for exports, write the report and complete `run.json`.

    Args:
        measure: gives the figures of each split, and the answers to the test pictures.
        extra: adds an application's own part to the report, called with it and the loaded file.
    """
    from convmedia.models import load
    from convmedia.models.answer import PICTURE
    from convmedia.models.exporting import write_examples

    predictor = load(run.folder, app=run.record["app"])
    write_examples(run.folder / "examples.npz", raw_examples(data.train.pictures))
    metrics, probabilities = measure(predictor, data)
    write_report(run, title, predictor, data, history, metrics, probabilities, extra)
    run.finish(history, input=PICTURE, metrics=metrics, data=data.facts)
    return run.record


def write_report(run: Run, title, predictor, data: Labelled, history, metrics, probabilities, extra) -> None:
    """`report.html` of one training."""
    from convmedia.apps._checkpoints import kept_epoch
    from convmedia.apps._figures import curves
    from convmedia.apps._report import Report, classification

    def tested(index: int) -> tuple[np.ndarray, str]:
        paths = getattr(data.test.pictures, "paths", None)
        name = paths[index].name if paths else f"test picture {index}"
        return reduced(data.test.pictures[index], 256), name

    report = Report(title, f"{predictor.details['network']} trained on {data.name}, {len(data.train):,} pictures")
    parameters = f"{predictor.model.count_params():,}"
    report.headline({**headline(metrics), "epochs": len(history), "parameters": parameters})
    if len(history) > 1:
        series = {name: [row[name] for row in history] for name in history[0] if name not in ("epoch", "seconds")}
        report.figure("Training", curves(series, kept_epoch(run)))
    labels = predictor.labels or []
    classification(report, probabilities, truth_in(labels, data), labels, pictures=tested)
    if extra:
        extra(report, predictor)
    look = [*doubts(metrics), *data.warnings]
    if look:
        report.text(" ".join(look), "To look at")
    report.problems("Files left out", data.bad)
    report.problems("Duplicates", data.copies)
    report.facts("Arguments", run.arguments)
    report.facts("Data", data.facts)
    report.facts("Versions", run.record["versions"])
    report.write(run.folder / "report.html")


def explained(
    predictor: Predictor, files: list[Path], out: Path, before: np.ndarray | None
) -> Iterator[tuple[Path, list[Path] | str]]:
    """Draw the first filters once, and each picture's maps and Grad-CAM: (file, paths written or what was wrong).

    Args:
        before: the filters before training, or None where they are not known.
    """
    from convmedia.apps._sheets import filter_sheet
    from convmedia.models.explanation import filters

    sheet = save_figure(filter_sheet(filters(predictor.model), before), out / "filters.png")
    for number, file in enumerate(files):
        try:
            with fitting(file):
                written = explain_picture(predictor, images.decode(file), out, f"{number:04}-{Path(file).stem}")
        except InputError as error:
            yield file, str(error)
            continue
        yield file, [sheet, *written] if number == 0 else written


def explain_picture(predictor: Predictor, picture: np.ndarray, out: Path, stem: str) -> list[Path]:
    """Maps of each layer; and where the network looked, beside what it was given."""
    from convmedia.apps._sheets import activation_sheet, overlay
    from convmedia.models import explanation

    picture = reduced(picture, 1024)
    maps = save_figure(activation_sheet(explanation.activations(predictor.model, picture)), out / f"{stem}-maps.png")
    heat, _ = explanation.grad_cam(predictor.model, picture)
    shown = looked_at(predictor, picture, heat.shape)
    side = (shown.shape[1], shown.shape[0])
    cam = out / f"{stem}-grad-cam.png"
    images.encode(np.concatenate([shown, overlay(shown, resized(heat.astype("float32"), side))], axis=1), cam)
    return [maps, cam]


def looked_at(predictor: Predictor, picture: np.ndarray, size: tuple[int, ...], least_px: int = 280) -> np.ndarray:
    """What the network sees, to lay heat of `size` over: enlarged so that its pixels show where it is small.

    Of a network that squashes photos to a square this is the photo, squashed; of one that cuts something out, the cut.
    """
    from convmedia.apps._sheets import stretched
    from convmedia.models import explanation

    if predictor.details.get("preparation") == "ink":
        seen = stretched(explanation.prepared(predictor.model, picture))
    else:
        seen = resized(picture, (size[1], size[0]))
    factor = -(-least_px // max(seen.shape[:2]))
    return seen.repeat(factor, 0).repeat(factor, 1)


def resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture, uint8 (h, w, 3), or heat, float32 (h, w), at `size` (width, height), antialiased."""
    from PIL import Image

    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR)).clip(0, values.max())


def save_figure(figure, path: Path) -> Path:
    """Write a Matplotlib figure as PNG, beside and renamed."""
    with replacing(path) as beside:
        figure.savefig(beside, dpi=120)
    return path
