"""The options that mean the same in every command."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from convmedia.apps.cli.choices import choice
from convmedia.apps.cli.early_checks import (
    data_given,
    engine_given,
    group_given,
    model_given,
    to_write_in,
)
from convmedia.apps.cli.fixed_sizes import LEAST_SECONDS, MOST_SECONDS, pixels
from convmedia.apps.cli.row_formats import rows_file
from convmedia.models.formats.formats import exportable, quantisations
from convmedia.models.servers.servers import SERVERS


class Arithmetic(StrEnum):
    auto = "auto"
    bfloat16 = "bfloat16"
    float32 = "float32"


class Engine(StrEnum):
    local = "local"
    ray = "ray"


class EngineRuntime(StrEnum):
    auto = "auto"
    keras = "keras"
    litert = "litert"
    onnx = "onnx"


Data = Annotated[
    str,
    typer.Option(
        callback=data_given, help="A named set (`convmedia data list`), a folder of class folders or a table."
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        callback=group_given,
        help="A regular expression: files with the same match in their path below the data folder (of a parenthesised "
        "part, if there is one) belong together and stay in one split.",
    ),
]
Fold = Annotated[
    str | None, typer.Option(help="Test on this fold only: one of the set's own (a speaker), else 1 to 5.")
]
Target = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Numbers instead of labels: the column of a table that has one for each file."),
]
Backend = Annotated[str | None, typer.Option(help="Keras backend: tensorflow (default), jax or torch.")]
Model = Annotated[
    str | None,
    typer.Option(
        callback=model_given,
        help="A run folder, a .keras file or, to be asked, an exported .onnx or .tflite; without it the shipped "
        "weights, where there are any.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output and nothing else.")]
Inputs = Annotated[list[str], typer.Argument(metavar="FILES_OR_FOLDERS...", help="Files, or folders of them.")]
InputsOrList = Annotated[
    list[str] | None, typer.Argument(metavar="FILES_OR_FOLDERS...", help="Files, or folders of them.")
]
Frames = Annotated[
    bool,
    typer.Option(
        "--frames",
        help="Make every frame or page of a file, not only the first: in a file of the same kind (GIF, APNG, WebP, "
        "TIFF) with durations and loop, else in numbered ones.",
    ),
]
FilesFrom = Annotated[
    Path | None, typer.Option(help="A text file that names files or folders, one a line; - is standard input.")
]
EngineChoice = Annotated[
    Engine,
    typer.Option("--engine", callback=engine_given, help="This process, or the actors of a Ray cluster (extra ray)."),
]
EngineRuntimeChoice = Annotated[
    EngineRuntime,
    typer.Option(
        "--engine-runtime",
        help="What computes: Keras, or a file that `export` proved to answer alike. auto: such a file where one is at "
        "hand, which starts at once, else Keras, as on a machine with a GPU or with --backend.",
    ),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Ray actors; default one for every two CPUs.")]
Top = Annotated[int | None, typer.Option(min=1, help="How many labels to give for each file.")]
Rows = Annotated[
    Path | None,
    typer.Option(
        "--out",
        callback=rows_file,
        help="Append rows to this .jsonl, .csv or .parquet file; files already in it are skipped.",
    ),
]
Formats = Annotated[
    list[str],
    choice(
        exportable,
        "Repeat it for several; web is a page for browsers. Default: all others that can be written here.",
        "--format",
    ),
]
ExportOut = Annotated[
    Path | None,
    typer.Option(
        "--out", callback=to_write_in, help="Default: RUN/export, or APPLICATION-export for the shipped weights."
    ),
]
Quantize = Annotated[
    list[str],
    choice(
        quantisations,
        "Smaller files, too: of LiteRT both, of ONNX int8. Repeat it for both.",
        "--quantize",
    ),
]
FixedSize = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="HxW",
        callback=pixels,
        help="Files for pictures of this height and width alone, px, in batches of any number: for LiteRT in browsers "
        "and on GPUs, and servers that batch. Default: every size.",
    ),
]
FixedSeconds = Annotated[
    float | None,
    typer.Option(
        "--seconds",
        min=LEAST_SECONDS,
        max=MOST_SECONDS,
        help="Files for sounds of this length alone, in batches of any number: for LiteRT in browsers and on GPUs, and "
        "servers that batch. Default: every length.",
    ),
]
Teach = Annotated[
    bool,
    typer.Option("--teach", help="With --format web: a page that learns classes from your examples, in the browser."),
]
Servers = Annotated[
    list[str],
    choice(
        SERVERS,
        "Also the folder that this server loads, with labels, a first request and how it batches. Repeat it for "
        "several; writes what they need where no --format is given.",
        "--for",
    ),
]
MayLose = Annotated[
    float | None,
    typer.Option(
        "--tolerance",
        min=0,
        help="What a quantised file may lose: points of accuracy (default 0.5), dB of PSNR (0.1), of numbers percent "
        "of their deviation (1).",
    ),
]
Examples = Annotated[
    str | None,
    typer.Option(
        "--data",
        callback=data_given,
        help="Examples to verify with, where the model has none beside it; default: bundled ones. Quantised files are "
        "measured on its test split.",
    ),
]
Folder = Annotated[Path, typer.Option("--out", callback=to_write_in, help="The folder to write to.")]
