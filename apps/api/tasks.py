"""Applications by name, and their options as the commands take them."""

import difflib
import os
from dataclasses import fields
from importlib import import_module
from typing import Any, cast

import typer

from convmedia.apps.cli.application import subcommands
from convmedia.apps.cli.task import Task
from convmedia.apps.console.complaints import of_argument
from convmedia.apps.runs.given import Given, given_in
from convmedia.data.storage.errors import InputError


def task_of(app: str) -> Task:
    """What an application is.

    Raises:
        InputError: there is none of that name.
    """
    task: Task = face_of(app).TASK
    return task


def given_options(task: Task, options: dict[str, Any]) -> Given:
    """Options as the command of the application would take them.

    Raises:
        InputError: there is no such option, or it cannot have that value.
    """
    names = [field.name for field in fields(task.options)]
    for name in options:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            meant = f"; did you mean {near[0]}?" if near else f"; its options are {', '.join(names)}"
            raise InputError(f"training {task.name} has no option {name}{meant}")
    command = subcommands(typer.main.get_command(face_of(task.name).command))["train"]
    parameters = {parameter.name: parameter for parameter in command.params}
    arguments: list[str] = []
    positional: list[str] = []
    for name, value in options.items():
        parameter = parameters[name]
        values = value if isinstance(value, list | tuple) else [value]
        if parameter.param_type_name == "argument":
            positional += [os.fspath(one) for one in values]
        elif isinstance(value, bool):
            spelled = parameter.opts if value else parameter.secondary_opts
            arguments += spelled[:1]  # of a flag that has no opposite the absence is False
        elif value is not None:
            for one in values:
                arguments += [parameter.opts[-1], os.fspath(one) if isinstance(one, os.PathLike) else str(one)]
    try:
        context = command.make_context("train", [*arguments, "--", *positional])
    except typer.TyperException as error:
        raise InputError(of_argument(error)) from error
    return given_in(cast(typer.Context, context))


def face_of(app: str) -> Any:
    """The module with the command and the task of an application. Raises InputError as `task_of`."""
    from convmedia.apps.__main__ import APPLICATIONS

    modules = {row.name: row.module for row in APPLICATIONS}
    if app not in modules:
        raise InputError(f"there is no application {app!r}; the applications are {', '.join(modules)}")
    return import_module(modules[app])
