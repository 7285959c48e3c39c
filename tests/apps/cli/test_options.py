"""Every command, option, default and bound is as `commands.json` lists them: what users typed keeps its meaning."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from convmedia.apps.__main__ import command
from convmedia.apps.cli.application import subcommands

LIST = Path(__file__).with_name("commands.json")


def facts(parameter: Any) -> dict[str, Any]:
    """What of an option a user sees: its names, default, bounds."""
    taken = getattr(parameter.type, "func", None)
    default = None if parameter.required else parameter.default
    return {
        "names": [*parameter.opts, *parameter.secondary_opts],
        "default": json.loads(json.dumps(default, default=str)),
        "choices": list(getattr(parameter.type, "choices", None) or getattr(taken, "names", [])),
        "required": parameter.required,
        "several": parameter.multiple if hasattr(parameter, "multiple") else parameter.nargs == -1,
        "least": getattr(parameter.type, "min", None),
        "most": getattr(parameter.type, "max", None),
        "type": parameter.type.name,
    }


def commands(found: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The words of each command that does something, and the command."""
    below = subcommands(found)
    for name, one in below.items():
        yield from commands(one, (*words, name))
    if not below:
        yield " ".join(words), found


COMMANDS = dict(commands(typer.main.get_command(command)))
LISTED = json.loads(LIST.read_text("utf-8"))


def test_the_list_has_every_command():
    assert sorted(COMMANDS) == sorted(LISTED)


@pytest.mark.parametrize("words", sorted(LISTED))
def test_a_command_takes_what_it_took(words):
    found = {parameter.name: facts(parameter) for parameter in COMMANDS[words].params}
    assert found == LISTED[words]


if __name__ == "__main__":  # a new option: look at the difference before it is committed
    table = {words: {one.name: facts(one) for one in found.params} for words, found in sorted(COMMANDS.items())}
    LIST.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", "utf-8")
