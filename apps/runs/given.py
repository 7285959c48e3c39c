"""What a training is started with, by a command line or by a call from Python."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer

NOT_RECORDED = ("out", "resume", "overwrite", "backend", "distribute", "as_json", "inputs")


@dataclass(frozen=True)
class Given:
    """What a training is started with.

    Attributes:
        values: of all options by name, defaults too.
        explicit: names of those that somebody gave.
        kinds: the type of each.
    """

    values: dict[str, Any]
    explicit: frozenset[str]
    kinds: dict[str, Any]

    @property
    def out(self) -> Path:
        return self.values["out"]

    @property
    def arguments(self) -> dict[str, Any]:
        """What `run.json` records."""
        return {name: value for name, value in self.values.items() if name not in NOT_RECORDED}


def given_in(context: typer.Context) -> Given:
    """What a command is called with."""
    parameters = inspect.signature(context.command.callback or (lambda: None)).parameters
    kinds = {name: parameter.annotation for name, parameter in parameters.items()}
    kinds = {name: get_args(kind)[0] if get_origin(kind) is Annotated else kind for name, kind in kinds.items()}
    sources = {name: context.get_parameter_source(name) for name in context.params}
    explicit = frozenset(name for name, source in sources.items() if source and source.name == "COMMANDLINE")
    return Given(context.params, explicit, kinds)
