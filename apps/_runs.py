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
from enum import Enum
from importlib import metadata
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import numpy as np

from convmedia.apps._commands import to_json
from convmedia.apps._given import Given
from convmedia.data import arrays
from convmedia.data.errors import InputError
from convmedia.data.files import alone, digest, replacing, shown

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
        from convmedia.apps._device import announce, device

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
        from convmedia.models.saving import save

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


def is_ours(folder: Path) -> bool:
    """Whether a folder is a run folder of this package."""
    return bool(recorded(folder))


def recorded(folder: Path) -> dict[str, Any] | None:
    """The content of `run.json`, or None where there is none of ours."""
    try:
        return read_record(folder)
    except InputError:
        return None


RECORDED: dict[str, type] = {  # of what is read again: what it must be, where it is there
    "app": str,
    "kind": str,
    "arguments": dict,
    "status": str,
    "versions": dict,
    "models": dict,
    "kept": dict,
    "diverged": dict,
    "metrics": dict,
    "precision": str,
    "labels": list,
    "inputs": list,
}


def read_record(folder: Path) -> dict[str, Any]:
    """The content of `run.json`.

    Raises:
        InputError: there is none, or none of ours, or one that was cut or altered.
    """
    path = folder / "run.json"
    if not path.is_file():
        raise InputError(f"{shown(folder)} is not a run folder: it has no run.json")
    with arrays.undamaged(path, "put a copy of it back, or start anew in another --out"):
        record = json.loads(path.read_text(encoding="utf-8"))
        missing = sorted({"app", "arguments", "status"} - record.keys())
        wrong = missing or [name for name, kind in RECORDED.items() if not isinstance(record.get(name, kind()), kind)]
        wrong = wrong or wrong_inside(record)
        if wrong:
            raise ValueError(f"its {', '.join(wrong)} is not what a training writes")
    return record


def wrong_inside(record: dict[str, Any]) -> list[str]:
    """Names of what a record holds, of the right type, with something wrong in it."""
    wrong = [] if record["status"] in ("running", "complete") else ["status"]
    wrong += [
        name for name in ("data", "group", "fold") if not isinstance(record["arguments"].get(name, ""), str | None)
    ]
    wrong += [name for name, known in record.get("models", {}).items() if not isinstance(known, list)]
    return wrong + [name for name in ("kept", "diverged") if not isinstance(record.get(name, {}).get("epoch", 0), int)]


def trained_with(model: str | None) -> dict[str, Any]:
    """The arguments of the run that a model is of, {} where it is of none."""
    if model is None:
        return {}
    record = recorded(Path(model) if Path(model).is_dir() else Path(model).parent)
    return record["arguments"] if record else {}


def group_of(model: str | None, data: str) -> str | None:
    """`--group` of the run that a model is of, where it was trained on the same --data: its test split is meant."""
    return trained_on(model, data).get("group")


def fold_of(model: str | None, data: str) -> str | None:
    """Likewise `--fold`."""
    return trained_on(model, data).get("fold")


def trained_on(model: str | None, data: str) -> dict[str, Any]:
    """The arguments of the run that a model is of, {} where that had another --data."""
    arguments = trained_with(model)
    same = arguments.get("data") is not None and Path(arguments["data"]).absolute() == Path(data).absolute()
    return arguments if same else {}


def open_run(app: str, given: Given) -> Run:
    """The run folder `out` of a training, new, continued or replaced; nothing is written yet.

    Raises:
        InputError: the folder exists and neither `resume` nor `overwrite` is given; it is not a run folder, or of
            another application; `resume` with other arguments than the recorded ones.
    """
    if given.values.get("resume") and given.values.get("overwrite"):
        raise InputError("--resume and --overwrite exclude each other: give one of them")
    if given.values.get("resume"):
        return resumed(app, given)
    refuse_existing(given.out, bool(given.values.get("overwrite")))
    return new_run(app, given.out, given.arguments)


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


def resumed(app: str, given: Given) -> Run:
    """Continue with the recorded arguments; another value is refused, except more epochs."""
    out = given.out
    if not (out / "run.json").is_file():
        raise InputError(f"--resume: {shown(out)} is not a run folder; leave --resume out to start there")
    record = read_record(out)
    if record["app"] != app:
        raise InputError(f"--resume: {shown(out)} is a run of {record['app']}, not of {app}")
    arguments = dict(record["arguments"])
    check_arguments(out, arguments, given.kinds)
    for name, value in given.arguments.items():
        if name not in given.explicit or to_json(value) == to_json(arguments.get(name)):
            continue
        if name != "epochs" or value < arguments["epochs"]:
            option, kept = written(name, value), written(name, arguments.get(name))
            raise InputError(f"--resume: {option} differs from the recorded {kept}: leave it out, or use a new --out")
        arguments["epochs"], record["status"] = value, "running"
    return Run(out, {**record, "arguments": arguments}, fresh=False)


def check_arguments(out: Path, arguments: dict[str, Any], kinds: dict[str, Any]) -> None:
    """Raises InputError where a recorded argument cannot be one of the command's."""
    for name, value in arguments.items():
        if name in kinds and not fits(value, kinds[name]):
            option = name.replace("_", "-")
            raise InputError(
                f"{shown(out / 'run.json')} records {to_json(value)} as --{option}, which it cannot be; "
                "put a copy of it back, or start anew in another --out"
            )


def fits(value: Any, kind: Any) -> bool:
    """Whether a value that JSON holds can be an argument of a type."""
    if get_origin(kind) in (UnionType, Union):
        return any(fits(value, one) for one in get_args(kind))
    if get_origin(kind) is list:
        return isinstance(value, list) and all(fits(one, *get_args(kind)) for one in value)
    if issubclass(kind, Enum):
        return value in list(kind)
    if kind in (int, float):
        return isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    return isinstance(value, str if kind is Path else kind)


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
