"""A run folder for a training: new, continued with its recorded arguments, or replaced."""

from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from convmedia.apps.console.strict_json import to_json
from convmedia.apps.runs.given import Given
from convmedia.apps.runs.record import read_record, recorded, refuse_existing
from convmedia.apps.runs.run_folder import Run, versions
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown


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
