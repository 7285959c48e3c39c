"""The `convmedia` command: six applications, `data`, `inspect` and `samples`."""

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
    from importlib import metadata

    import typer

    from convmedia.apps import (
        _data,
        _inspect,
        _samples,
        audio,
        cats_vs_dogs,
        mnist,
        style_transfer,
        super_resolution,
        transfer,
    )
    from convmedia.apps._commands import application, run

EXAMPLES = {
    "samples": ("samples", "some/folder"),
    "mnist": ("predict samples/seven.jpg",),
    "super-resolution": ("upscale samples/cat.jpg --out enlarged/",),
    "inspect": ("mnist", "runs/mnist --json", "exported/model.onnx"),
}
command = application(
    "convmedia", "Convolutional media applications: raw input in, a verified file out.", EXAMPLES, completion=True
)


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
command.command("samples")(_samples.samples)


def main() -> None:
    """Entry point of the `convmedia` script."""
    run(command)


if __name__ == "__main__":
    main()
