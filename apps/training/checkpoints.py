"""What a training keeps: which epoch is the best, the state that it continues from, when it stops early."""

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from convmedia.apps.console.terminal import say
from convmedia.apps.runs.run_folder import Run, versions
from convmedia.apps.training.averaging import Averages
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.data.storage.text import plural

Figures = dict[str, float]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Choice:
    """How the epoch whose weights are kept is chosen.

    Attributes:
        monitor: the figure that is compared, greater is better, of a loss or an error less; such as "val_accuracy".
        patience: stop after this many epochs without a better one.
        beat: figures of what was there before: an epoch that is not better is not kept.
        settled: after so many epochs only later ones are compared: with few validation examples, one of the first
            looks best by chance.
    """

    monitor: str
    patience: int | None = None
    beat: Figures | None = None
    settled: int = 0

    def best(self, history: Sequence[Figures]) -> int | None:
        """The epoch that is kept, counted from 1; 0 is what was there before; None: no figure is a number."""
        before = [self.beat] if self.beat else []
        rows = [*before, *history]
        if not any(math.isfinite(row[self.monitor]) for row in rows):
            return None
        return best_epoch(rows, self.monitor, self.settled) + 1 - len(before)

    def kept(self, history: Sequence[Figures]) -> dict[str, Any] | None:
        """What `run.json` says of that epoch: {"epoch", "monitor", "value"}."""
        best = self.best(history)
        if best is None:
            return None
        figures = history[best - 1] if best else self.beat or {}
        return {"epoch": best, "monitor": self.monitor, "value": figures[self.monitor]}

    def stopped(self, history: Sequence[Figures]) -> bool:
        """Whether early stopping ended this training."""
        return stopped(history, self.monitor, self.patience)


def monitored(name: str) -> str:
    """The figure of an epoch that `--monitor` names: "macro-f1" is "val_macro_f1"."""
    return "val_" + name.replace("-", "_")


LESS_IS_BETTER = ("loss", "error")
"""How figures end of which less is better."""


def best_epoch(history: Sequence[Figures], monitor: str, settled: int = 0) -> int:
    """Index of the best epoch: the greatest `monitor`, of a loss or an error the least; of equals the lower validation
    loss. What is no number is worse than all that is one.

    Args:
        settled: as of `Choice`.
    """
    first = settled if any(math.isfinite(row[monitor]) for row in history[settled:]) else 0
    sign = -1.0 if monitor.endswith(LESS_IS_BETTER) else 1.0
    order = [
        (comparable(sign * row[monitor]), comparable(-row.get("val_loss", 0.0)), -place)
        for place, row in enumerate(history)
    ]
    return max(range(first, len(history)), key=order.__getitem__)


def comparable(value: float) -> float:
    """The value, NaN as the least of all: it is neither greater nor less than a number."""
    return -math.inf if math.isnan(value) else value


def stopped(history: Sequence[Figures], monitor: str, patience: int | None) -> bool:
    """Whether early stopping ended this training."""
    return bool(patience and history and len(history) - 1 - best_epoch(history, monitor) >= patience)


def kept_epoch(run: Run) -> int | None:
    """The epoch whose weights a run keeps, counted from 1; 0: none of them was better than what was there before.
    None where it is not recorded."""
    return run.record.get("kept", {}).get("epoch")


def restore(network: keras.Model, run: Run, averages: Averages | None = None) -> list[Figures]:
    """Set weights, optimizer and averages to the last complete epoch; its history, empty before the first.

    Raises:
        InputError: the checkpoint is damaged, was written by other versions, or is of another network.
    """
    state, history, facts = run.load_checkpoint()
    variables = state_variables(network, averages)
    if state:
        check(run, network, averages, facts, {name: values.shape for name, values in state.items()})
    for name, variable in variables.items() if state else ():
        variable.assign(state[name])
    if history:
        run.write_history(history)  # a kill may have come between the state and the table
    return history


def check(run: Run, network: keras.Model, averages: Averages | None, facts: dict[str, Any], shapes: Shapes) -> None:
    """Refuse a checkpoint that other versions wrote, or that is of other variables. Older ones do not say their names.

    Raises:
        InputError: it is such a checkpoint.
    """
    here = facts_of(network, averages)
    before = facts.get("versions", {})
    for name, version in here["versions"].items():
        if before.get(name, version) != version:
            raise InputError(
                f"--resume: {shown(run.folder)} was trained with {name} {before[name]}, here is {version}: install "
                "that version, or start anew in another --out"
            )
    needed = {name: tuple(variable.shape) for name, variable in state_variables(network, averages).items()}
    if shapes != needed or facts.get("variables", here["variables"]) != here["variables"]:
        raise InputError(
            f"--resume: the checkpoint of {shown(run.folder)} is of another network or optimizer than its arguments "
            "make; put the right one back, or start anew in another --out"
        )


def facts_of(network: keras.Model, averages: Averages | None) -> dict[str, Any]:
    """What a checkpoint says of itself: versions, and the paths of all variables without the numbers that Keras adds
    to names which it has given before."""
    paths = [variable.path for variable in state_variables(network, averages).values()]
    found = {
        name: version for name, version in versions().items() if name in VERSIONS or name == keras.backend.backend()
    }
    return {"versions": found, "variables": [re.sub(r"_\d+", "", path) for path in paths]}


VERSIONS = ("convmedia", "keras")  # of which, and of the backend's, the numbers of a training depend


def state_variables(network: keras.Model, averages: Averages | None) -> dict[str, Any]:
    """Every variable that the next epoch depends on. Seed generators are set anew at each epoch's start."""
    return {
        **{f"weight{i}": variable for i, variable in enumerate(network.weights)},
        **{f"optimizer{i}": variable for i, variable in enumerate(network.optimizer.variables)},
        **(averages.variables() if averages else {}),
    }


class Checkpoints(keras.callbacks.Callback):
    """After each epoch: the best model, then the state to continue from; then whether to stop."""

    def __init__(
        self, run: Run, history: list[Figures], choice: Choice, keep: Callable[[], None], averages: Averages | None
    ):
        super().__init__()
        self.run, self.history, self.choice, self.keep, self.averages = run, history, choice, keep, averages

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        figures = {name: float(value) for name, value in (logs or {}).items()}
        seconds = round(time.perf_counter() - self.began, 3)
        self.history.append({"epoch": epoch + 1, **figures, "learning_rate": rate, "seconds": seconds})
        if self.choice.best(self.history) == len(self.history):
            self.keep()  # first: a kill between the two repeats this epoch and writes the same file again
        if self.averages:
            self.averages.put_back()
        variables = state_variables(self.model, self.averages)
        state = {name: keras.ops.convert_to_numpy(value) for name, value in variables.items()}
        self.run.save_state(state, self.history, facts_of(self.model, self.averages))
        if self.choice.stopped(self.history):
            say(f"stopping early: no better {self.choice.monitor} for {plural(self.choice.patience or 0, 'epoch')}")
            self.model.stop_training = True
