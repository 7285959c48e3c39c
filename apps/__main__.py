"""The `convmedia` command: six applications, `data`, `inspect`, `networks` and `samples`."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end the process with a line and 130 within the block: nothing is begun while modules are loaded."""

    def leave(*_: object) -> None:
        os.write(2, b"interrupted\n")
        os._exit(130)

    asked = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not asked or before is not signal.default_int_handler:  # ignored, or somebody else's
        yield
        return
    signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


with interruptible():
    from collections.abc import Sequence
    from importlib import import_module
    from typing import NamedTuple

    import typer
    from typer.core import TyperGroup

    from convmedia.apps.cli.application import application, as_examples
    from convmedia.apps.cli.entry import run


class Row(NamedTuple):
    """What has a command of its own: its name, the module whose `command` it is, and its help in one line."""

    name: str
    module: str
    help: str


APPLICATIONS = [
    Row("mnist", "convmedia.apps.mnist", "Read handwritten digits, whether ink is dark or light."),
    Row(
        "cats-vs-dogs",
        "convmedia.apps.cats_vs_dogs",
        "Tell cats from dogs, or other photos, with a network trained from scratch.",
    ),
    Row(
        "transfer",
        "convmedia.apps.transfer",
        "Learn any folder of photos with a network that was trained on ImageNet.",
    ),
    Row("style-transfer", "convmedia.apps.style_transfer", "Paint pictures in the style of others."),
    Row("super-resolution", "convmedia.apps.super_resolution", "Enlarge pictures two, three or four times."),
    Row("audio", "convmedia.apps.audio", "Label sounds: spoken words, noises, music, from a waveform of any length."),
]
"""One row for each application."""

TOOLS = [
    Row("data", "convmedia.apps.verbs.data", "Named data sets, and folders of one's own."),
    Row("inspect", "convmedia.apps.verbs.inspect", "Show what a model takes and gives, its labels, figures and size."),
    Row("networks", "convmedia.apps.verbs.networks", "List every network: size, cost, source, where its weights are."),
    Row("samples", "convmedia.apps.verbs.samples", "Copy sample files to a folder to try the commands with."),
]
EXAMPLES = {
    "samples": ("samples", "some/folder"),
    "mnist": ("predict samples/seven.jpg",),
    "super-resolution": ("upscale samples/cat.jpg --out enlarged/",),
    "networks": ("", "--json"),
    "inspect": ("mnist", "runs/mnist --json", "exported/model.onnx"),
}


class Commands(TyperGroup):
    """The commands of the rows; of each the module is loaded when it is called."""

    def list_commands(self, ctx) -> list[str]:
        return [row.name for row in (*APPLICATIONS, *TOOLS)]

    def get_command(self, ctx, cmd_name):
        row = next((row for row in (*APPLICATIONS, *TOOLS) if row.name == cmd_name), None)
        if row is None:
            return None
        found = typer.main.get_command(import_module(row.module).command)
        if cmd_name in EXAMPLES and not isinstance(found, TyperGroup):
            found.epilog = as_examples(("convmedia", cmd_name, line) for line in EXAMPLES[cmd_name])
        return found

    def format_commands(self, ctx, formatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(row.name, row.help) for row in (*APPLICATIONS, *TOOLS)])


command = application(
    "convmedia",
    "Convolutional media applications: raw input in, a verified file out.",
    EXAMPLES,
    completion=True,
    group=Commands,
)


def show_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        print(f"convmedia {metadata.version('convmedia')}")
        raise typer.Exit


@command.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `convmedia` script."""
    run(command, None if arguments is None else list(arguments))


if __name__ == "__main__":
    main()
