"""What a trained file of sounds is worth: its figures, its thresholds, its report, examples for its exports."""

from functools import partial
from typing import Any

import numpy as np

from convmedia.apps import _classifiers
from convmedia.apps._commands import percent, progress, said_if_long, table, tell, to_json
from convmedia.apps._device import device
from convmedia.apps._runs import Run, fold_of, group_of
from convmedia.apps._shares import doubts, with_counts, with_interval
from convmedia.data import clips, sounds
from convmedia.data.errors import InputError
from convmedia.data.labelled import Split, truth_in
from convmedia.models.listening import Listener, scores_of
from convmedia.models.metrics import wilson_interval
from convmedia.models.predicting import Predictor
from convmedia.models.trials import Trial, accuracy

EXAMPLES, EXAMPLE_SAMPLES = 200, 4_000_000  # most raw sounds kept for exports, and samples of all of them together
SHOWN_SECONDS = 10.0  # of a sound in the report
MISTAKES = 12
CERTAINTY = "Certainty is the mean probability that the right label is given; it chooses the epoch, as accuracy jumps."


def measure(predictor: Predictor, data: sounds.Sounds) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of a saved file on the test sounds as they are, and its answers to them, float64 (n, labels)."""
    found = answers(predictor, data.test, "testing")
    if predictor.details.get("thresholds") is None:
        labels = predictor.labels or []
        return {"test": _classifiers.figures(found, truth_in(labels, data), labels)}, found
    return {"test": tagging(found, several_in(predictor, data), predictor.details["thresholds"])}, found


def answers(predictor: Predictor, split: Split, label: str) -> np.ndarray:
    """Scores of a split's files, in order."""
    with progress(label) as update:
        return scores_of(predictor, split.paths, lambda done: update(done, len(split)))


def several_in(predictor: Predictor, data: sounds.Sounds) -> np.ndarray:
    """The truth of the test split as uint8 (n, labels) of the model, also where the set gives each sound one label.

    Raises:
        InputError: the set has a label that the model does not know.
    """
    labels, truth = predictor.labels or [], data.test.truth
    unknown = sorted(set(data.labels) - set(labels))
    if unknown:
        raise InputError(f"{data.name} has the label {unknown[0]!r}, the model knows {', '.join(labels)}")
    marks = truth if truth.ndim == 2 else np.eye(len(data.labels), dtype=np.uint8)[truth]
    found = np.zeros((len(truth), len(labels)), np.uint8)
    found[:, [labels.index(label) for label in data.labels]] = marks
    return found


def tagging(scores: np.ndarray, truth: np.ndarray, thresholds: list[float]) -> dict[str, Any]:
    """Mean average precision over the labels that have examples, F1 over all answers at the thresholds, and how many
    sounds have exactly the right labels."""
    chosen = scores >= np.asarray(thresholds)
    right = float((chosen & (truth > 0)).sum())
    exact = (chosen == (truth > 0)).all(axis=1)
    return {
        "mean_average_precision": float(np.nanmean(average_precisions(scores, truth))),
        "f1": 2 * right / max(float(chosen.sum() + truth.sum()), 1.0),
        "exact": float(exact.mean()),
        "exact_interval": list(wilson_interval(int(exact.sum()), len(truth))),
        "examples": len(truth),
    }


def average_precisions(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Average precision of each label, float64 (labels,); NaN for a label without examples."""
    from sklearn.metrics import average_precision_score

    columns = zip(truth.T, scores.T, strict=True)
    return np.array([average_precision_score(t, s) if t.any() else np.nan for t, s in columns])


def tuned(scores: np.ndarray, truth: np.ndarray) -> list[float]:
    """For each label the threshold with the best F1, half way between two scores; 0.5 for one without examples."""
    thresholds = []
    for column, marks in zip(scores.T, truth.T > 0, strict=True):
        order = np.argsort(-column, kind="stable")
        right = np.cumsum(marks[order])
        f1 = 2 * right / (np.arange(1, len(order) + 1) + max(marks.sum(), 1))
        ends = np.append(column[order][1:], 0.0)
        f1[column[order] == ends] = -1.0  # equal scores are not parted
        best = int(f1.argmax())
        thresholds.append(float((column[order][best] + ends[best]) / 2) if marks.any() else 0.5)
    return thresholds


@said_if_long("measuring the model and writing the report")
def finish(run: Run, data: sounds.Sounds, history: list[dict[str, float]]) -> dict[str, Any]:
    """Tune thresholds, measure the saved file, keep examples for exports, write the report, complete `run.json`."""
    from convmedia.models import load
    from convmedia.models.exporting import write_examples

    predictor = load(run.folder, app=run.record["app"])
    if data.several and predictor.details.get("thresholds") is None:
        predictor = with_thresholds(run, predictor, data)
    listener = Listener(predictor)
    write_examples(run.folder / "examples.npz", raw_examples(data.train, listener.sample_rate))
    metrics, scores = measure(predictor, data)
    write_report(run, predictor, data, history, metrics, scores)
    run.finish(history, input=predictor.input, metrics=metrics, data=data.facts)
    return run.record


def with_thresholds(run: Run, predictor: Predictor, data: sounds.Sounds) -> Predictor:
    """The same file, with the thresholds that the validation sounds ask for."""
    import keras

    from convmedia.models import load
    from convmedia.models.answer import Answer

    thresholds = tuned(answers(predictor, data.validation, "thresholds"), data.validation.truth)
    model = predictor.model
    details = {**predictor.details, "thresholds": thresholds}
    answer = Answer(predictor.app, predictor.labels, predictor.input, details, name="answer")
    run.keep(keras.Model(model.inputs, answer(model.layers[-1].input), name=model.name))
    return load(run.folder, app=predictor.app)


def raw_examples(split: Split, sample_rate: int) -> list[np.ndarray]:
    """Up to 200 sounds spread over a split, and not more than 4 million samples: float32 (samples,) each."""
    places = np.unique(np.linspace(0, len(split) - 1, min(EXAMPLES, len(split))).astype(int))
    chosen = [clips.read(split.paths[place], sample_rate) for place in places]
    kept = max(1, int(len(chosen) * min(1.0, EXAMPLE_SAMPLES / sum(map(len, chosen)))))
    return [samples[:EXAMPLE_SAMPLES] for samples in chosen[:: -(-len(chosen) // kept)]]


def examples(predictor: Predictor, data: str | None) -> list[np.ndarray]:
    """Raw sounds to verify an export with: of a set, or without one chords and noise of many lengths."""
    rate = Listener(predictor).sample_rate
    if data:
        return raw_examples(sounds.load(data).train, rate)
    rng = np.random.default_rng(0)
    made = []
    for number, seconds in enumerate(np.geomspace(1 / rate, 6.0, 24)):
        times = np.arange(max(int(seconds * rate), 1)) / rate
        tones = sum(np.sin(2 * np.pi * hertz * times) for hertz in rng.uniform(80, rate / 3, 3))
        sound = 0.2 * tones * np.exp(-times) + rng.normal(0, 0.01 * number, len(times))
        made.append(np.clip(sound, -1, 1).astype(np.float32))
    return made


def tested(
    predictor: Predictor, data: str, split: str | None = None, fold: str | None = None, group: str | None = None
) -> sounds.Sounds:
    """A set with the test sounds that a model never heard, where it was trained on the same set."""
    from convmedia.apps import _clips

    kept = predictor.details if data in ("fsdd", "esc10", "esc50") else {}
    options = {"data": data, "split": split or kept.get("split", "official"), "fold": fold or kept.get("fold")}
    return _clips.loaded({**options, "group": group}).required("test")


def trial(predictor: Predictor, model: str | None, data: str | None) -> Trial | None:
    """What quantised files are measured by: the right labels of a set's test sounds; None without them, and where a
    sound may have several labels."""
    if data is None or predictor.details.get("thresholds") is not None:
        return None
    chosen = tested(predictor, data, fold=fold_of(model, data), group=group_of(model, data))
    rate = Listener(predictor).sample_rate
    said = f"test split of {chosen.name}, {len(chosen.test):,} sounds"
    heard = partial(map, partial(clips.read, sample_rate=rate), chosen.test.paths)
    return accuracy(said, heard, truth_in(predictor.labels or [], chosen))


def print_figures(predictor: Predictor, data: sounds.Sounds, metrics: dict[str, Any], as_json: bool) -> None:
    """What `evaluate` prints."""
    if "accuracy" in metrics["test"]:
        _classifiers.print_figures(predictor, data, metrics, as_json)
        return
    if as_json:
        document = {"metrics": metrics, "data": data.facts, "model": predictor.digest, "device": device()}
        tell(to_json(document, indent=2))
        return
    header = ["split", *shares_said(metrics["test"]), "sounds"]
    tell(table(header, [["test", *shares_said(metrics["test"]).values(), metrics["test"]["examples"]]]))
    for line in doubts(metrics):
        tell(f"\n{line}")


def shares_said(figures: dict[str, Any]) -> dict[str, str]:
    """The figures of sounds with several labels in words."""
    exact = figures["exact"], figures["examples"]
    ends = figures.get("exact_interval")  # not in runs of before
    return {
        "mean average precision": percent(figures["mean_average_precision"]),
        "F1": percent(figures["f1"]),
        "exactly right": with_interval(*exact, ends) if ends else with_counts(*exact),
    }


def write_report(run: Run, predictor: Predictor, data: sounds.Sounds, history, metrics, scores: np.ndarray) -> None:
    """`report.html` of one training."""
    from convmedia.apps import _drawing
    from convmedia.apps._checkpoints import kept_epoch
    from convmedia.apps._figures import curves
    from convmedia.apps._report import Report, classification
    from convmedia.apps._sheets import filter_sheet
    from convmedia.models.audio import parameters
    from convmedia.models.explanation import filters

    report = Report("Sounds", f"{predictor.details['network']} trained on {data.name}, {len(data.train):,} sounds")
    learned = parameters(predictor.model.get_layer(predictor.details["network"]))
    numbers = shares_said(metrics["test"]) if data.several else _classifiers.headline(metrics)
    report.headline({**numbers, "epochs": len(history), "parameters": f"{learned:,}"})
    series = {name: [row[name] for row in history] for name in history[0] if name not in ("epoch", "seconds")}
    report.figure("Training", curves(series, kept_epoch(run)), "" if data.several else CERTAINTY)
    if data.several:
        tags(report, predictor, scores, several_in(predictor, data))
    else:
        truth = truth_in(predictor.labels or [], data)
        classification(report, scores, truth, predictor.labels or [])
        mistakes(report, predictor, data, scores, truth)
    report.figure("First filters", filter_sheet(filters(predictor.model), _drawing.filters_before(predictor)))
    look = [*doubts(metrics), *data.warnings]
    if look:
        report.text(" ".join(look), "To look at")
    report.problems("Files left out", data.bad)
    report.problems("Duplicates", data.copies)
    report.facts("Arguments", run.arguments)
    report.facts("Heard as", predictor.input)
    report.facts("Data", data.facts)
    report.facts("Versions", run.record["versions"])
    report.write(run.folder / "report.html")


def tags(report, predictor: Predictor, scores: np.ndarray, truth: np.ndarray) -> None:
    """A row for each label of a model for several labels."""
    columns = zip(
        predictor.labels or [],
        average_precisions(scores, truth),
        predictor.details["thresholds"],
        truth.sum(0),
        strict=True,
    )
    rows = [[label, float(precision), threshold, int(number)] for label, precision, threshold, number in columns]
    report.table("Labels", ("label", "average precision", "threshold", "sounds"), rows)


def mistakes(report, predictor: Predictor, data: sounds.Sounds, scores: np.ndarray, truth: np.ndarray) -> None:
    """The wrong answers given with most confidence: spectrograms, and the sounds to play."""
    from convmedia.apps._drawing import spectrogram_picture

    labels, answered, rate = predictor.labels or [], scores.argmax(1), Listener(predictor).sample_rate
    wrong = np.flatnonzero(answered != truth)
    worst = wrong[np.argsort(-scores[wrong].max(1), kind="stable")][:MISTAKES]
    pictures, played = [], []
    for index in worst:
        path = data.test.paths[index]
        samples = next(clips.blocks(path, rate))[: int(SHOWN_SECONDS * rate)]
        right, answer = labels[truth[index]], labels[answered[index]]
        caption = f"{right}, heard as {answer}\n{percent(scores[index].max())} sure\n{path.name}"
        pictures.append((spectrogram_picture(predictor, samples), caption))
        played.append((samples, caption))
    if pictures:
        report.pictures("Worst mistakes", pictures, zoom=2)
        report.sounds("Worst mistakes, to listen to", played, rate)
