"""The command of an application: what holds for the options of all of them as they are parsed."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import TyperPath

from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown, special

FILES = ("inputs",)  # of many files each has a row of its own, which says what is wrong with it


class Command(TyperCommand):
    """A verb. A path that an option names is a file or a folder, or there is nothing yet; and a run that is continued
    with --resume needs no option that it has recorded."""

    def parse_args(self, context, args: list[str]) -> list[str]:
        needed = [param for param in self.params if param.required and param.name != "out"]
        resumes = "--resume" in args and any(param.name == "resume" for param in self.params)
        for param in needed if resumes else ():
            param.required = False
        try:
            rest = super().parse_args(context, args)
        finally:
            for param in needed:
                param.required = True
        for param in self.params:
            value = context.params.get(param.name or "")
            if isinstance(value, float) and not isfinite(value):
                raise InputError(f"{param.opts[-1]} {value}: give a finite number")
            if param.name not in FILES:
                refuse_special(param.opts[-1], value)
            if isinstance(param.type, TyperPath) and value is not None:
                context.params[param.name] = (
                    [Path(one) for one in value] if isinstance(value, list | tuple) else Path(value)
                )
        return rest


def refuse_special(option: str, value: Any) -> None:
    """Refuse an option's value that is the path of a device, a pipe or a socket: reading and writing may never end.

    Raises:
        InputError: it is one.
    """
    given = value if isinstance(value, list | tuple) else (value,)
    parts = [{str(one), *str(one).split("+")} for one in given if isinstance(one, str | Path)]  # sets, joined by +
    for one in chain(*parts):
        if what := special(one):
            name = option if option.startswith("-") else option.upper()
            hint = "a list on standard input is --files-from -" if option == "--files-from" else "give a file or folder"
            raise InputError(f"{name} {shown(one)} is {what}, which cannot be used here: {hint}")


class Application(typer.Typer):
    """Verbs, each a `Command`."""

    def command(self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **options: Any):
        return super().command(name, cls=cls or Command, **options)


def application(
    name: str,
    help: str,
    examples: Mapping[str, Sequence[str]] | None = None,
    *,
    completion: bool = False,
    group: type[TyperGroup] | None = None,
) -> Application:
    """An empty command with the look that all share: plain help that ends with examples.

    Args:
        examples: of each command that it will have, what is typed after the command's name; its own help shows the
            first ones.
        completion: whether it has options that install completion for a shell.
        group: what finds its commands, where they are not those that are added to it.
    """
    given = examples or {}

    class WithExamples(TyperGroup):
        def get_command(self, ctx, cmd_name):
            found = super().get_command(ctx, cmd_name)
            if found is not None and cmd_name in given and not isinstance(found, TyperGroup):
                found.epilog = as_examples((name, cmd_name, line) for line in given[cmd_name])
            return found

    first = as_examples((name, verb, lines[0]) for verb, lines in list(given.items())[:3])
    return Application(
        name=name, help=help, cls=group or WithExamples, epilog=first, rich_markup_mode=None, add_completion=completion
    )


def as_examples(lines: Iterable[Sequence[str]]) -> str:
    """The end of a help page; the application, the command and the rest of each line are joined."""
    joined = [" ".join(filter(None, line)) for line in lines]
    whole = [line if line.startswith("convmedia") else f"convmedia {line}" for line in joined]
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in whole)])


def subcommands(command: Any) -> dict[str, Any]:
    """The commands of a group by name, all loaded; {} of a command that has none."""
    if not isinstance(command, TyperGroup):
        return {}
    context = typer.Context(command)
    return {name: command.get_command(context, name) for name in command.list_commands(context)}
