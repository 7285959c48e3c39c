"""`convmedia samples`: files to try the commands with."""

from pathlib import Path
from typing import Annotated

import typer

from convmedia.apps.cli.application import application
from convmedia.apps.console.terminal import table, tell

command = application("samples", "Sample files.")


@command.command()
def samples(folder: Annotated[Path, typer.Argument(help="Where to copy them; made where missing.")]) -> None:
    """Copy sample files to a folder: digits, a photo and a spoken digit to try the commands with."""
    from convmedia.data import samples

    rows = [[str(path), samples.SAMPLES[path.name]] for path in samples.copy(folder)]
    tell(table(["file", "what"], rows))
    digit, photo, sound = (folder / name for name in ("seven.jpg", "cat.jpg", "seven.wav"))
    tell(f"\nconvmedia mnist predict {digit}\nconvmedia cats-vs-dogs predict {photo}\nconvmedia audio predict {sound}")
