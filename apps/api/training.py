"""Training and measuring from Python, with the options of the commands."""

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convmedia.apps.api.tasks import given_options, task_of
from convmedia.apps.cli.backend import use_backend
from convmedia.apps.console.progress import Progress, told_to
from convmedia.data.storage.errors import InputError

if TYPE_CHECKING:
    from convmedia.apps.api.model import Model

__all__ = ["Progress", "Trained", "evaluate", "task_of", "train"]


class Trained:
    """A complete run.

    Attributes:
        folder: the run folder.
        record: the content of its `run.json`.
    """

    def __init__(self, folder: Path, record: dict[str, Any]):
        self.folder, self.record = folder, record

    def __repr__(self) -> str:
        return f"Trained({str(self.folder)!r})"

    @property
    def metrics(self) -> dict[str, Any]:
        """Figures by split: {"test": {"accuracy": ..., ...}, ...}."""
        metrics: dict[str, Any] = self.record["metrics"]
        return metrics

    @property
    def report(self) -> Path:
        """The page that shows them."""
        return self.folder / "report.html"

    def load(self) -> "Model":
        """The trained model."""
        from convmedia.apps.api.model import load

        return load(self.folder)


def train(
    app: str,
    *,
    out: str | os.PathLike[str],
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Trained:
    """Train an application's network, as `convmedia APP train` does.

    Args:
        app: an application: "mnist", "cats-vs-dogs", "transfer", "style-transfer", "super-resolution", "audio".
        out: the run folder.
        progress: called as the work goes on, in place of lines on standard error.
        options: those of the command with underscores for dashes, such as `batch_size=32`, `resume=True`; what is not
            given has the command's default.

    Raises:
        InputError: what is wrong with the options or the data, in the command's one line.
    """
    from convmedia.apps.verbs.train import train as trained

    task = task_of(app)
    given = given_options(task, {"out": os.fspath(out), **options})
    use_backend(given.values["backend"], given.values["distribute"])
    with told_to(progress):
        run, _ = trained(task, given)
    return Trained(run.folder, run.record)


def evaluate(model: "Model", data: str | os.PathLike[str], **options: Any) -> dict[str, Any]:
    """Measure a model on the test split of a set, as `convmedia APP evaluate` does.

    Args:
        data: a named set, a folder or a table.
        options: those of the command, such as `group`.

    Returns:
        Figures by split, or by set: {"test": {"accuracy": ..., ...}}.

    Raises:
        InputError: the set cannot be used, or the application measures nothing.
    """
    from convmedia.apps.runs.record import fold_of, group_of

    task = task_of(model.app)
    if task.evaluate is None:
        raise InputError(f"{model.app} has nothing to measure a model by")
    told = inspect.signature(task.evaluate).parameters
    # As the command does: a model of a run is tested on what that held out of the same data.
    recorded = {"group": group_of(model.source, os.fspath(data)), "fold": fold_of(model.source, os.fspath(data))}
    options = {**{name: value for name, value in recorded.items() if name in told}, **options}
    if wrong := [name for name in options if name not in told]:
        raise InputError(f"measuring {task.name} has no option {wrong[0]}; its options are {', '.join([*told][2:])}")
    return task.evaluate(model.predictor, os.fspath(data), **options)
