"""The run folder: what a training reads to continue and leaves behind, complete at every moment."""

import csv
import fcntl
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

from convmedia.apps._commands import to_json
from convmedia.data.errors import InputError
from convmedia.data.files import replacing

OURS = ("model.keras", "checkpoint", "history.csv", "report.html", "examples.npz", "export", "compare.json")
NOT_RECORDED = ("out", "resume", "overwrite", "backend", "distribute", "as_json", "inputs")


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
        self.folder.mkdir(parents=True, exist_ok=True)
        self.started = time.perf_counter()
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = f"{self.folder} is in use by another training: wait for it or give another --out"
                raise InputError(message) from None
            self.check(facts)
            self.write(**facts)  # first, so that a kill in what follows leaves a folder that is still ours
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

    def save_state(self, state: dict[str, np.ndarray], history: list[dict[str, float]]) -> None:
        """Write the checkpoint of the last complete epoch, one file with weights, optimizer and history."""
        with replacing(self.folder / "checkpoint" / "state.npz") as beside, beside.open("wb") as file:
            np.savez(file, allow_pickle=False, history=np.array(json.dumps(history)), **state)
        self.write_history(history)

    def load_state(self) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
        """Arrays and history of the last complete epoch; both empty before the first one."""
        path = self.folder / "checkpoint" / "state.npz"
        if not path.exists():
            return {}, []
        with np.load(path) as file:
            state = {name: file[name] for name in file.files}
        return state, json.loads(str(state.pop("history")))

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


def is_ours(folder: Path) -> bool:
    """Whether a folder is a run folder of this package."""
    return bool(recorded(folder))


def recorded(folder: Path) -> dict[str, Any] | None:
    """The content of `run.json`, or None where there is none of ours."""
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and {"app", "arguments", "status"} <= record.keys() else None


def trained_with(model: str | None) -> dict[str, Any]:
    """The arguments of the run that a model is of, {} where it is of none."""
    if model is None:
        return {}
    record = recorded(Path(model) if Path(model).is_dir() else Path(model).parent)
    return record["arguments"] if record else {}


def group_of(model: str | None, data: str) -> str | None:
    """`--group` of the run that a model is of, where it was trained on the same --data: its test split is meant."""
    arguments = trained_with(model)
    same = arguments.get("data") is not None and Path(arguments["data"]).absolute() == Path(data).absolute()
    return arguments.get("group") if same else None


def open_run(app: str, context, out: Path, resume: bool, overwrite: bool) -> Run:
    """The run folder of a `train` command, new, continued or replaced; nothing is written yet.

    Args:
        context: the command's Typer context; its parameters are the run's arguments.

    Raises:
        InputError: the folder exists and neither `resume` nor `overwrite` is given; it is not a run folder, or of
            another application; `resume` with other arguments than the recorded ones.
    """
    given = {name: value for name, value in context.params.items() if name not in NOT_RECORDED}
    if resume and overwrite:
        raise InputError("--resume and --overwrite exclude each other: give one of them")
    if resume:
        return resumed(app, context, out, given)
    refuse_existing(out, overwrite)
    return new_run(app, out, given)


def refuse_existing(out: Path, overwrite: bool = False) -> None:
    """Refuse an --out that is there and may not be begun anew."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file: give a folder")
    if out.is_dir() and not all(path.name == ".lock" or ".partial" in path.name for path in out.iterdir()):
        if not is_ours(out):
            raise InputError(f"{out} exists and is not a run folder, so it is left alone: give another --out")
        if in_use(out):
            raise InputError(f"{out} is in use by another training: wait for it or give another --out")
        if not overwrite:
            raise InputError(
                f"{out} exists: continue with --resume, replace it with --overwrite, or give another --out"
            )


def in_use(folder: Path) -> bool:
    """Whether a training holds the lock of a run folder."""
    try:
        with (folder / ".lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock, or not ours to read: `begin` says more
        return False
    return False


def new_run(app: str, folder: Path, arguments: dict[str, Any]) -> Run:
    """A run that `begin` will start anew in `folder`."""
    record = {"app": app, "status": "running", "arguments": arguments, "versions": versions()}
    return Run(folder, record, fresh=True)


def open_part(run: Run, name: str, arguments: dict[str, Any]) -> Run:
    """A run folder below another one, such as a fold: continued if it is there with the same arguments, else new."""
    folder = run.folder / name
    record = recorded(folder)
    if record is not None and to_json(record["arguments"]) == to_json(arguments):
        return Run(folder, record, fresh=False)
    return new_run(run.record["app"], folder, arguments)


def resumed(app, context, out, given) -> Run:
    """Continue with the recorded arguments; another value is refused, except more epochs."""
    record = recorded(out)
    if record is None:
        raise InputError(f"--resume: {out} is not a run folder; leave --resume out to start there")
    if record["app"] != app:
        raise InputError(f"--resume: {out} is a run of {record['app']}, not of {app}")
    arguments = dict(record["arguments"])
    for name, value in given.items():
        explicit = context.get_parameter_source(name).name == "COMMANDLINE"
        if not explicit or to_json(value) == to_json(arguments.get(name)):
            continue
        if name != "epochs" or value < arguments["epochs"]:
            option, kept = written(name, value), written(name, arguments.get(name))
            raise InputError(f"--resume: {option} differs from the recorded {kept}: leave it out, or use a new --out")
        arguments["epochs"], record["status"] = value, "running"
    return Run(out, {**record, "arguments": arguments}, fresh=False)


def written(name: str, value: Any) -> str:
    """An argument as it is given on the command line."""
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    return f"--{option} {value}" if value is not None else f"absence of --{option}"


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
