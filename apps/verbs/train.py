"""The `train` verb."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from convmedia.apps.cli.backend import load_pipelines, use_backend
from convmedia.apps.cli.task import Task
from convmedia.apps.cli.train_options import verb
from convmedia.apps.console.terminal import note, say, tell
from convmedia.apps.reporting.shares import doubts
from convmedia.apps.runs.given import Given, given_in
from convmedia.apps.verbs import seeds

if TYPE_CHECKING:
    from convmedia.apps.runs.run_folder import Run


def add_train(
    command: typer.Typer, task: Task, in_place_of_train: Callable[[Given], int | None] = lambda given: None
) -> None:
    """Add `train`, which takes the application's options.

    Args:
        in_place_of_train: does something else and gives an exit code, or gives None for a training.
    """

    def body(context: typer.Context) -> int | None:
        given = given_in(context)
        use_backend(given.values["backend"], given.values["distribute"])
        code = in_place_of_train(given)
        if code is not None:
            return code
        run, trained = train(task, given)
        if trained:
            print_trained(given.out, run.record["metrics"], seeds.line if seeds.wanted(run.arguments) else task.line)
        return None

    command.command("train")(verb(task.options, body))


def train(task: Task, given: Given) -> "tuple[Run, bool]":
    """Make a run complete.

    Returns:
        The run, and whether this process trained it and is the one to say so, of several that train together.
    """
    load_pipelines()
    from convmedia.apps.runs.opening import open_run
    from convmedia.apps.training import distributed

    opened = partial(open_run, task.name, given)
    with distributed.joined(given.values["distribute"]), distributed.everywhere(opened) as run:
        if run.complete:
            at = run.record.get("diverged")
            more = f"it diverged in epoch {at['epoch']} and goes no further" if at else "more --epochs continue it"
            say(f"{given.out} is complete; {more}")
            return run, False
        if seeds.wanted(run.arguments):
            seeds.each(run, task.train)
        else:
            task.train(run)
        return run, distributed.rank() == 0


def print_trained(out: Path, metrics: dict[str, Any], line: Callable[[str, dict[str, Any]], str] | None) -> None:
    """The figures of a complete run, and where it is.

    Args:
        line: says the figures of one split; None for those of a classifier.
    """
    from convmedia.apps.classification.evaluation import accuracy_line

    width = max(map(len, metrics))
    for name, figures in metrics.items():
        tell(f"{name:{width}}  {(line or accuracy_line)(name, figures)}")
    for doubt in doubts(metrics):
        note(doubt)
    tell(f"run {out}, report {out / 'report.html'}")
