"""The `convmedia` command: six applications, `data` and `inspect`."""

from importlib import metadata
from typing import Annotated

import typer

from convmedia.apps import _data, _inspect, audio, cats_vs_dogs, mnist, style_transfer, super_resolution, transfer
from convmedia.apps._commands import application, run

command = application("convmedia", "Convolutional media applications: raw input in, a verified file out.")


def show_version(wanted: bool) -> None:
    if wanted:
        print(f"convmedia {metadata.version('convmedia')}")
        raise typer.Exit


@command.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


for module in (mnist, cats_vs_dogs, transfer, style_transfer, super_resolution, audio, _data):
    command.add_typer(module.command)
command.command("inspect")(_inspect.inspect)


def main() -> None:
    """Entry point of the `convmedia` script."""
    run(command)


if __name__ == "__main__":
    main()
