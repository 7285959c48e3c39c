"""The end of a training on sounds: thresholds, figures, examples, `report.html`."""

from typing import Any

import numpy as np

from convmedia.apps.classification import evaluation, tagging
from convmedia.apps.console.progress import said_if_long
from convmedia.apps.console.terminal import percent
from convmedia.apps.runs.run_folder import Run
from convmedia.apps.tasks.audio.evaluate import answers, measure
from convmedia.apps.tasks.audio.export import raw_examples
from convmedia.data.audio import decoding
from convmedia.data.datasets import sounds
from convmedia.data.folders.labelled import truth_in
from convmedia.models.inference.predictor import Predictor
from convmedia.models.inference.sound_predictor import Listener

SHOWN_SECONDS = 10.0  # of a sound in the report


MISTAKES = 12


CERTAINTY = "Certainty is the mean probability that the right label is given; it chooses the epoch, as accuracy jumps."


@said_if_long("measuring the model and writing the report")
def finish(run: Run, data: sounds.Sounds, history: list[dict[str, float]]) -> dict[str, Any]:
    """Tune thresholds, measure the saved file, keep examples for exports, write the report, complete `run.json`."""
    from convmedia.models import load
    from convmedia.models.export.examples import write_examples

    predictor = load(run.folder, app=run.record["app"])
    if data.several and predictor.details.get("thresholds") is None:
        scores = answers(predictor, data.validation, "thresholds")
        predictor = tagging.with_thresholds(run, predictor, scores, data.validation.truth)
    listener = Listener(predictor)
    write_examples(run.folder / "examples.npz", raw_examples(data.train, listener.sample_rate))
    metrics, scores = measure(predictor, data)
    write_report(run, predictor, data, history, metrics, scores)
    run.finish(history, input=predictor.input, metrics=metrics, data=data.facts)
    return run.record


def write_report(run: Run, predictor: Predictor, data: sounds.Sounds, history, metrics, scores: np.ndarray) -> None:
    """`report.html` of one training."""
    from convmedia.apps.classification.report import write_end
    from convmedia.apps.reporting.charts import curves
    from convmedia.apps.reporting.classification import classification
    from convmedia.apps.reporting.feature_maps import filter_sheet
    from convmedia.apps.reporting.html import Report
    from convmedia.apps.tasks.audio import explain
    from convmedia.apps.training.checkpoints import kept_epoch
    from convmedia.models.analysis.grad_cam import filters, has_filters
    from convmedia.models.networks.sounds import parameters

    report = Report("Sounds", f"{predictor.details['network']} trained on {data.name}, {len(data.train):,} sounds")
    learned = parameters(predictor.model.get_layer(predictor.details["network"]))
    numbers = tagging.shares_said(metrics["test"]) if data.several else evaluation.headline(metrics)
    report.headline({**numbers, "epochs": len(history), "parameters": f"{learned:,}"})
    series = {name: [row[name] for row in history] for name in history[0] if name not in ("epoch", "seconds")}
    report.figure("Training", curves(series, kept_epoch(run)), "" if data.several else CERTAINTY)
    if data.several:
        tagging.tags(report, metrics["test"], data.noun)
    else:
        truth = truth_in(predictor.labels or [], data)
        classification(report, scores, truth, predictor.labels or [])
        mistakes(report, predictor, data, scores, truth)
    if has_filters(predictor.model):
        report.figure("First filters", filter_sheet(filters(predictor.model), explain.filters_before(predictor)))
    write_end(report, run, data, metrics, Heard_as=predictor.input)


def mistakes(report, predictor: Predictor, data: sounds.Sounds, scores: np.ndarray, truth: np.ndarray) -> None:
    """The wrong answers given with most confidence: spectrograms, and the sounds to play."""
    from convmedia.apps.tasks.audio.explain import spectrogram_picture

    labels, answered, rate = predictor.labels or [], scores.argmax(1), Listener(predictor).sample_rate
    wrong = np.flatnonzero(answered != truth)
    worst = wrong[np.argsort(-scores[wrong].max(1), kind="stable")][:MISTAKES]
    pictures, played = [], []
    for index in worst:
        path = data.test.paths[index]
        samples = next(decoding.blocks(path, rate))[: int(SHOWN_SECONDS * rate)]
        right, answer = labels[truth[index]], labels[answered[index]]
        caption = f"{right}, heard as {answer}\n{percent(scores[index].max())} sure\n{path.name}"
        pictures.append((spectrogram_picture(predictor, samples), caption))
        played.append((samples, caption))
    if pictures:
        report.pictures("Worst mistakes", pictures, zoom=2)
        report.sounds("Worst mistakes, to listen to", played, rate)
