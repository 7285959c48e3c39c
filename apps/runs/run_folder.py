"""The run folder: what a training reads to continue and leaves behind, complete at every moment."""

import csv
import io
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.apps.console.strict_json import to_json
from convmedia.apps.runs.record import is_ours
from convmedia.data.storage import arrays
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import alone, digest, replacing, shown

OURS = ("model.keras", "checkpoint", "history.csv", "report.html", "examples.npz", "export", "compare.json")
STATE = Path("checkpoint") / "state.npz"


class Run:
    """One run folder. Nothing is written before `begin`, so that whatever is wrong with the data is said first.

    Attributes:
        folder: where it is.
        record: the content of `run.json`.
        arguments: what the training was started with; with `--resume`, what was recorded.
    """

    def __init__(self, folder: Path, record: dict[str, Any], fresh: bool):
        self.folder, self.record, self.fresh = folder, record, fresh

    @contextmanager
    def begin(self, **facts: Any) -> Iterator["Run"]:
        """Take the folder, lock it against a second training and write `run.json`; unlocked at the end.

        Args:
            facts: what must not differ when a run is continued, such as labels and the data's digest.

        Raises:
            InputError: in use by another training; continued with other facts than the recorded ones.
        """
        from convmedia.apps.runs.device import announce, device

        self.folder.mkdir(parents=True, exist_ok=True)
        self.started = time.perf_counter()
        with (self.folder / ".lock").open("w") as lock:
            busy = f"{shown(self.folder)} is in use by another training: wait for it or give another --out"
            alone(lock.fileno(), busy)
            self.check(facts)
            if not self.fresh:
                self.check_models()
            announce()
            # First, so that a kill in what follows leaves a folder that is still ours.
            self.write(**facts, device=device())
            for leftover in self.folder.rglob(".*.partial*"):
                remove(leftover)
            for name in OURS if self.fresh else ():
                remove(self.folder / name)
            for part in [path for path in self.folder.iterdir() if self.fresh and is_ours(path)]:
                shutil.rmtree(part)
            yield self

    def check(self, facts: dict[str, Any]) -> None:
        for name, value in facts.items():
            recorded_value = self.record.get(name, value)
            if not self.fresh and to_json(recorded_value) != to_json(value):
                raise InputError(
                    f"--resume: the {name} of {self.folder} is not what it was; start anew in another --out"
                )

    @property
    def arguments(self) -> dict[str, Any]:
        return self.record["arguments"]

    @property
    def model_file(self) -> Path:
        return self.folder / "model.keras"

    @property
    def complete(self) -> bool:
        return self.record["status"] == "complete"

    def write(self, **changes: Any) -> None:
        """Update `run.json`."""
        self.record.update(changes)
        write_text(self.folder / "run.json", to_json(self.record, indent=2) + "\n")

    def finish(self, history: Sequence[dict[str, float]] = (), **changes: Any) -> None:
        """Mark the run as complete, with the seconds of all epochs and of the process that completed it."""
        training = sum(row["seconds"] for row in history)
        seconds = {"training": round(training, 2), "last_process": round(time.perf_counter() - self.started, 2)}
        self.write(status="complete", seconds=seconds, **changes)

    def keep(self, model, path: Path | None = None) -> None:
        """Write the saved file of this run, or one of several. `run.json` knows its digest before the file is in place:
        the one that is there and the one that comes, as a kill may fall between the two."""
        from convmedia.models.saving.files import save

        path = path or self.model_file

        def noted(beside: Path) -> None:
            there = [digest(path)] if path.exists() else []
            models = {**self.record.get("models", {}), path.name: [*there, digest(beside)]}
            self.write(kind=model.layers[-1].kind.name, models=models)

        save(model, path, noted)

    def check_models(self) -> None:
        """Raises InputError where a saved file is not what this run wrote; those of older versions are not known."""
        for name, known in self.record.get("models", {}).items():
            path = self.folder / name
            if not path.exists() and (self.folder / STATE).exists():
                raise InputError(f"--resume: {shown(path)} is gone; put it back, or start anew in another --out")
            if path.exists() and digest(path) not in known:
                message = f"--resume: {shown(path)} is not the file that this run wrote; put that back, or start anew"
                raise InputError(f"{message} in another --out")

    def save_state(
        self, state: dict[str, np.ndarray], history: list[dict[str, float]], facts: dict[str, Any] | None = None
    ) -> None:
        """Write the checkpoint of the last complete epoch, one file with weights, optimizer and history.

        Args:
            facts: what must be the same where the training goes on: JSON values.
        """
        about = json.dumps({"history": history, "arrays": list(state), "facts": facts or {}})
        with replacing(self.folder / STATE) as beside, beside.open("wb") as file:
            np.savez(file, allow_pickle=False, history=np.array(about), **state)
        self.write_history(history)

    def load_state(self) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
        """Arrays and history of the last complete epoch; both empty before the first one."""
        return self.load_checkpoint()[:2]

    def load_checkpoint(self) -> tuple[dict[str, np.ndarray], list[dict[str, float]], dict[str, Any]]:
        """As `load_state`, and the facts; {} of checkpoints of older versions.

        Raises:
            InputError: the file is cut or altered.
        """
        path = self.folder / STATE
        if not path.exists():
            return {}, [], {}
        with arrays.undamaged(path, "put a copy of it back, or start anew in another --out"):
            state = arrays.read(path)
            about = json.loads(str(state.pop("history")))
            about = {"history": about, "arrays": list(state)} if isinstance(about, list) else about
            history, facts = about["history"], about.get("facts", {})
            if about["arrays"] != list(state):
                raise KeyError("some of its arrays are gone")
            numbers = (value for row in history for value in row.values())
            if not isinstance(facts, dict) or not all(isinstance(value, int | float) for value in numbers):
                raise TypeError("its history is none")
        return state, history, facts

    def write_history(self, history: list[dict[str, float]]) -> None:
        """`history.csv`: one row an epoch."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_text(self.folder / "history.csv", text.getvalue())


def write_text(path: Path, text: str) -> None:
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def remove(path: Path) -> None:
    """Delete a file or folder of ours, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """What the figures of a run depend on."""
    names = ("convmedia", "keras", "tensorflow", "jax", "torch", "numpy")
    found = {"python": sys.version.split()[0]}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
