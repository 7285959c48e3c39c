"""Label sounds: spoken words, noises, music, from a waveform of any length.

convmedia audio train --data fsdd --out runs/fsdd
convmedia audio train --data esc10 --folds --out runs/esc10
convmedia audio predict seven.wav --model runs/fsdd
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from convmedia.apps.cli import entry, options
from convmedia.apps.cli import inputs as cli_inputs
from convmedia.apps.cli.application import application
from convmedia.apps.cli.backend import use_backend
from convmedia.apps.cli.choices import choice
from convmedia.apps.cli.early_checks import all_missing
from convmedia.apps.cli.inputs import given
from convmedia.apps.cli.options import (
    Backend,
    Engine,
    EngineChoice,
    EngineRuntime,
    EngineRuntimeChoice,
    FilesFrom,
    Fold,
    Folder,
    Group,
    Inputs,
    InputsOrList,
    Json,
    Model,
    Rows,
    Top,
    Workers,
)
from convmedia.apps.cli.task import Task
from convmedia.apps.cli.train_options import BatchSize, ClassWeights, Epochs, LabelOptions, SoundMonitorOption
from convmedia.apps.tasks.audio.train import figures_line, train_run
from convmedia.apps.verbs import predict as verbs_predict
from convmedia.apps.verbs import train
from convmedia.apps.verbs.export import add_export
from convmedia.data.augmentation import catalogue as recipes
from convmedia.models.networks.catalogue import SOUNDS

APP = "audio"
EXAMPLES = {
    "predict": ("samples/seven.wav", "recording.flac --model runs/sounds --every 1", "sounds/ --out answers.jsonl"),
    "train": ("--data my-sounds/ --out runs/sounds", "--data my-table.csv --out runs/tags"),
    "evaluate": ("--data fsdd", "--data my-sounds/ --model runs/sounds"),
    "export": ("--out exported/", "--quantize int8 --data fsdd"),
    "explain": ("samples/seven.wav --out pictures/", "sounds/ --model runs/sounds --out pictures/"),
}
command = application(APP, "Label sounds: spoken words, noises, music, from a waveform of any length.", EXAMPLES)


class Split(StrEnum):
    official = "official"
    speaker = "speaker"


class Encoding(StrEnum):
    s16le = "s16le"
    f32le = "f32le"


Data = Annotated[
    str,
    typer.Option(
        callback=options.data_given,
        help="A named set, a folder of class folders, or a table (CSV, TSV) with columns file, labels.",
    ),
]
SplitOption = Annotated[Split, typer.Option(help="speaker: hold each speaker of fsdd out in turn.")]


@dataclass(frozen=True, kw_only=True)
class Options(LabelOptions):
    """Train a network, measure its saved file on the test sounds, write the run folder.

    Sets of fewer than 800 sounds are gone through several times an epoch. Where a sound may have several labels there
    are no class weights: the threshold of each label is tuned instead.
    """

    data: Data = "fsdd"
    split: SplitOption = Split.official
    network: Annotated[str, choice(SOUNDS, "The network to train.")] = "compact"
    window: Annotated[
        float | None,
        typer.Option(min=0.05, max=60, help="Seconds that the network hears at once; default: by the set."),
    ] = None
    sample_rate: Annotated[
        int | None, typer.Option(min=1000, max=192_000, help="Hz; default: that of most files, at most 22,050.")
    ] = None
    augment: Annotated[
        str,
        choice(
            recipes.SOUNDS,
            "words: small shifts. noises: shifts in a circle, MixUp. auto: by the window.",
            also=("auto",),
        ),
    ] = "auto"
    epochs: Epochs = 60
    batch_size: BatchSize = 32
    class_weights: ClassWeights = None
    monitor: SoundMonitorOption = None


@command.command()
def evaluate(
    data: Data = "fsdd",
    model: Model = None,
    split: Annotated[Split | None, typer.Option(help="Default: as the model was trained.")] = None,
    fold: Fold = None,
    group: Group = None,
    as_json: Json = False,
    backend: Backend = None,
    engine_runtime: EngineRuntimeChoice = EngineRuntime.auto,
) -> None:
    """Measure a saved file on the test sounds."""
    if backend is not None:
        use_backend(backend)
    from convmedia.apps.runs.record import fold_of, group_of
    from convmedia.apps.tasks.audio import evaluate as audio_evaluate

    predictor = cli_inputs.answering(APP, model, str(engine_runtime))
    chosen = audio_evaluate.tested(predictor, data, split, fold or fold_of(model, data), group or group_of(model, data))
    metrics, _ = audio_evaluate.measure(predictor, chosen)
    audio_evaluate.print_figures(predictor, chosen, metrics, as_json)


@command.command()
def predict(
    inputs: InputsOrList = None,
    files_from: FilesFrom = None,
    model: Model = None,
    top: Top = None,
    every: Annotated[
        float | None, typer.Option(min=0, help="A line for each window, one of which starts every so many seconds.")
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Read raw PCM from standard input.")] = False,
    rate: Annotated[int | None, typer.Option(min=1, help="Hz of the stream; default: the model's.")] = None,
    channels: Annotated[int, typer.Option(min=1, max=64, help="Channels of the stream, sample by sample.")] = 1,
    encoding: Annotated[Encoding, typer.Option(help="Samples of the stream.")] = Encoding.s16le,
    as_json: Json = False,
    out: Rows = None,
    engine: EngineChoice = Engine.local,
    workers: Workers = None,
    engine_runtime: EngineRuntimeChoice = EngineRuntime.auto,
) -> int:
    """Say what each sound is, or what is heard on standard input."""
    from convmedia.data.audio import decoding
    from convmedia.data.storage.errors import InputError

    if stream == bool(inputs or files_from):
        raise InputError("give files or folders, or --stream and raw PCM on standard input: one of the two")
    if stream and out is not None:
        raise InputError("--stream prints its answers and --out is for files: leave one of them out")
    named = [] if stream else given(inputs, files_from)
    missing = all_missing(named, decoding.rate_of) if out is None and model is None else []
    if missing:
        return verbs_predict.printed(missing, as_json, verbs_predict.line_of)
    from convmedia.apps.batch.worker import Answering
    from convmedia.apps.tasks.audio import predict as audio_predict

    if stream:
        predictor = cli_inputs.answering(APP, model, str(engine_runtime))
        return audio_predict.predict_stream(predictor, top, every, as_json, rate, channels, str(encoding))
    answering = Answering(APP, model, top, every, str(engine_runtime))
    return audio_predict.predict_files(answering, named, as_json, out, engine, workers)


def examples(predictor, data: str | None, _):
    """Raw sounds to prove an export on."""
    from convmedia.apps.tasks.audio import export

    return export.examples(predictor, data)


def trial(predictor, model: str | None, data: str | None, _):
    """The right labels of a set's test sounds, to measure quantised files by."""
    from convmedia.apps.runs.record import tested_on
    from convmedia.apps.tasks.audio import export

    return export.trial(predictor, model, tested_on(model, data))


def evaluated(
    predictor, data: str, split: str | None = None, fold: str | None = None, group: str | None = None
) -> dict[str, Any]:
    """Figures of a predictor on the test sounds of a set."""
    from convmedia.apps.tasks.audio import evaluate as audio_evaluate

    return audio_evaluate.measure(predictor, audio_evaluate.tested(predictor, data, split, fold, group))[0]


TASK = Task(
    APP,
    Options,
    train_run,
    examples=examples,
    trial=trial,
    evaluate=evaluated,
    line=figures_line,
    input="sound",
    title="Sounds",
    teaches=True,
)
train.add_train(command, TASK)
add_export(command, TASK)


@command.command()
def explain(inputs: Inputs, out: Folder, model: Model = None) -> int:
    """Draw waveform, spectrogram and the network's Grad-CAM over it for each sound, and the filters it learned."""
    use_backend(None)
    from convmedia.apps.tasks.audio import explain as audio_explain

    return audio_explain.explain(cli_inputs.model_of(APP, model), inputs, out)


if __name__ == "__main__":
    entry.run(command)
