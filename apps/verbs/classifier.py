"""The verbs that applications share."""

from collections.abc import Callable
from typing import Any

import typer

from convmedia.apps.cli.early_checks import all_missing, required
from convmedia.apps.cli.inputs import given
from convmedia.apps.cli.options import (
    Engine,
    EngineChoice,
    EngineRuntime,
    EngineRuntimeChoice,
    FilesFrom,
    Folder,
    Inputs,
    InputsOrList,
    Json,
    Model,
    Rows,
    Top,
    Workers,
)
from convmedia.apps.cli.task import Task
from convmedia.apps.console.terminal import note
from convmedia.apps.runs.given import Given
from convmedia.apps.verbs.explain import explain
from convmedia.apps.verbs.export import add_export
from convmedia.apps.verbs.predict import line_of, predict, printed
from convmedia.apps.verbs.train import add_train


def add(
    command: typer.Typer,
    task: Task,
    before: Callable[[Any], Any] | None = None,
    in_place_of_train: Callable[[Given], int | None] = lambda given: None,
) -> None:
    """Add `train`, `predict`, `export` and `explain` to a classifier of pictures.

    Args:
        before: gives the first filters before training of a predictor, or None where they are not known; left out for
            networks of the catalogue, which are built again from the seed.
        in_place_of_train: as of `add_train`.
    """
    add_train(command, task, in_place_of_train)

    @command.command("predict")
    def predict_files(
        inputs: InputsOrList = None,
        files_from: FilesFrom = None,
        model: Model = None,
        top: Top = None,
        as_json: Json = False,
        out: Rows = None,
        engine: EngineChoice = Engine.local,
        workers: Workers = None,
        engine_runtime: EngineRuntimeChoice = EngineRuntime.auto,
    ) -> int:
        """Say what each picture shows."""
        from convmedia.data.images.decoding import decode, find

        required(task.name, model)
        named = given(inputs, files_from)
        missing = all_missing(named, decode) if out is None and model is None else []
        if missing:
            return printed(missing, as_json, line_of)
        from convmedia.apps.batch.worker import Answering

        answering = Answering(task.name, model, top, runtime=str(engine_runtime))
        files = find(named, note)
        return predict(answering, files, as_json, out, engine, workers)

    add_export(command, task)

    @command.command("explain")
    def explain_files(inputs: Inputs, out: Folder, model: Model = None) -> int:
        """Draw the first filters before and after training, each layer's maps and Grad-CAM for each picture."""
        from convmedia.apps.classification.initial_weights import first_filters

        return explain(task.name, inputs, out, model, before or first_filters)
