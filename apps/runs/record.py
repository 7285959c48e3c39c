"""What a run folder says of its training: `run.json`, read and checked."""

import fcntl
import json
from pathlib import Path
from typing import Any

from convmedia.data.storage import arrays
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown


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


def tested_on(model: str | None, data: str | None, bundled: str | None = None) -> str | None:
    """The set that a quantised file is measured on: --data, else what the run was trained on, where it is at hand.

    Args:
        bundled: what it is for the shipped weights.
    """
    from convmedia.apps.runs.record import trained_with
    from convmedia.data.sources import fetch

    if data or model is None:
        return data or bundled
    name = trained_with(model).get("data")
    at_hand = name and (Path(name).exists() or (name in fetch.SOURCES and fetch.locate(name) is not None))
    return name if at_hand else None
