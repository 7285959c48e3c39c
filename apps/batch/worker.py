"""Who answers many files: this process, or the actors of a Ray cluster. Their rows are equal."""

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from convmedia.apps.cli.backend import use_backend
from convmedia.apps.console.strict_json import to_json
from convmedia.data.storage import extras

TASK_FILES = 256
"""Files that an actor is given at once: a multiple of every batch, so that batches are the same as in one process."""

Row = dict[str, Any]
Told = Callable[[str, int | str], None]


@dataclass(frozen=True)
class Answering:
    """What answers files with a model; the same object in this process and in every actor.

    Attributes:
        app: the application.
        model: path of a run folder or .keras file, None for the shipped weights.
        top: how many labels a row names.
        every: seconds from one listed window of a sound to the next.
        runtime: as `--engine-runtime` has it.
    """

    app: str
    model: str | None
    top: int | None = None
    every: float | None = None
    runtime: str = "auto"

    @cached_property
    def predictor(self):
        from convmedia.apps.cli.inputs import answering

        return answering(self.app, self.model, self.runtime)

    @cached_property
    def listener(self):
        """Of a model of sounds; compiled once, however many lists of files it answers."""
        from convmedia.models.inference.sound_predictor import Listener

        return Listener(self.predictor)

    def rows(self, files: Sequence[str | Path], told: Told | None = None) -> Iterator[Row]:
        """As `Predictor.predict_rows` and `Listener.rows`."""
        if self.predictor.input["kind"] == "sound":
            return self.listener.rows(files, self.top, self.every, told)
        return self.predictor.predict_rows(files, self.top)


class Actor:
    """What answers or makes, in a process of Ray's, with its model loaded once.

    Args:
        kind: the class of the worker, "module:name".
        arguments: what it is made with.
        folder: what relative paths start from.
        backend: of Keras, None for the default one, which is loaded where it answers.
    """

    def __init__(self, kind: str, arguments: dict[str, Any], folder: str, backend: str | None):
        if backend is not None:
            use_backend(backend)
        os.chdir(folder)
        module, _, name = kind.partition(":")
        self.worker = getattr(import_module(module), name)(**arguments)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """JSON lists of what `rows` of the worker takes to JSON lists of their rows."""
        return {"rows": [to_json(list(self.worker.rows(*json.loads(task)))) for task in batch["tasks"]]}


def answered(answering: Answering, files: Sequence[Path], workers: int | None) -> Iterator[Row]:
    """Rows of an `Answering` in the order of the files, as `by_ray`."""
    names = list(map(str, files))
    parts = ([names[start : start + TASK_FILES]] for start in range(0, len(names), TASK_FILES))
    for rows in by_ray(answering, parts, workers):
        yield from rows


def by_ray(worker: Any, parts: Iterable[list], workers: int | None) -> Iterator[list[Row]]:
    """Lists of rows in the order of the parts, from as many actors as there are workers; every machine must see the
    files.

    Joins the cluster that RAY_ADDRESS names, or starts Ray on this machine.

    Args:
        worker: a dataclass whose `rows` takes what a part lists.
        workers: None is one for every two CPUs.

    Raises:
        InputError: Ray is not installed.
    """
    extras.require("--engine ray", "ray", "ray")
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    started = not ray.is_initialized()
    if started:
        ray.init(include_dashboard=False, log_to_driver=False, configure_logging=True, logging_level=logging.ERROR)
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        number = workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // 2)
        kind = f"{type(worker).__module__}:{type(worker).__qualname__}"
        tasks = ray.data.from_items([{"tasks": to_json(part)} for part in parts])
        answers = tasks.map_batches(
            Actor,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=number),
            fn_constructor_args=[kind, asdict(worker), str(Path.cwd()), os.environ.get("KERAS_BACKEND")],
        )
        for answer in answers.iter_rows():
            yield json.loads(answer["rows"])
    finally:
        if started:
            ray.shutdown()
