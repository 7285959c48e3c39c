"""What every command shares: options that mean the same everywhere, exit codes, one-line errors, progress."""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from convmedia.apps._application import application
from convmedia.apps._complaints import MACHINE, interruption, of_argument
from convmedia.apps._early import (
    data_given,
    engine_given,
    group_given,
    model_given,
    to_begin,
    to_write_in,
    weights_given,
)
from convmedia.apps._json import finite, to_json  # noqa: F401  what commands say, too
from convmedia.apps._progress import counted, progress, said_if_long  # noqa: F401
from convmedia.apps._row_formats import rows_file
from convmedia.apps._supervision import supervised
from convmedia.apps._terminal import complain, in_utf8, say, table, tell
from convmedia.data import extras
from convmedia.data.errors import InputError
from convmedia.data.files import shown
from convmedia.data.text import listed


class Arithmetic(StrEnum):
    auto = "auto"
    bfloat16 = "bfloat16"
    float32 = "float32"


class Engine(StrEnum):
    local = "local"
    ray = "ray"


class Format(StrEnum):
    saved_model = "saved-model"
    onnx = "onnx"
    litert = "litert"


class Monitor(StrEnum):
    accuracy = "accuracy"
    balanced_accuracy = "balanced-accuracy"
    macro_f1 = "macro-f1"
    loss = "loss"


class SoundMonitor(StrEnum):
    accuracy = "accuracy"
    balanced_accuracy = "balanced-accuracy"
    macro_f1 = "macro-f1"
    loss = "loss"
    certainty = "certainty"
    average_precision = "average-precision"


class Smaller(StrEnum):
    float16 = "float16"
    int8 = "int8"


Data = Annotated[
    str,
    typer.Option(
        callback=data_given, help="A named set (`convmedia data list`), a folder of class folders or a table."
    ),
]
Out = Annotated[Path, typer.Option(help="The run folder to write.")]
Group = Annotated[
    str | None,
    typer.Option(
        callback=group_given,
        help="A regular expression: files with the same match in their path below the data folder (of a parenthesised "
        "part, if there is one) belong together and stay in one split.",
    ),
]
Folds = Annotated[
    bool,
    typer.Option(
        "--folds",
        help="Train once for each fold: the set's own folds where it has some, else five stratified ones; mean and "
        "spread.",
    ),
]
Fold = Annotated[
    str | None, typer.Option(help="Test on this fold only: one of the set's own (a speaker), else 1 to 5.")
]
Epochs = Annotated[int, typer.Option(min=1, max=4096, help="Passes over the training examples.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Examples a step.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Train on at most this many examples.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Everything random follows from it.")]
Weights = Annotated[
    str,
    typer.Option(
        callback=weights_given, help="Start from a run folder, a .keras file or shipped weights by name: fine-tuning."
    ),
]
Patience = Annotated[
    int | None, typer.Option(min=1, help="Stop early after this many epochs without a better validation figure.")
]
MonitorOption = Annotated[
    Monitor, typer.Option("--monitor", help="The validation figure that chooses the epoch that is kept.")
]
SoundMonitorOption = Annotated[
    SoundMonitor | None,
    typer.Option(
        "--monitor",
        help="The validation figure that chooses the epoch that is kept; default certainty, the mean probability of "
        "the right label, or average-precision where a sound may have several labels.",
    ),
]
ClassWeights = Annotated[
    bool | None,
    typer.Option("--class-weights/--no-class-weights", help="Rare labels count as much as frequent ones."),
]
Precision = Annotated[
    Arithmetic,
    typer.Option(help="What the training multiplies in; auto: bfloat16 where the hardware does. Files use float32."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in --out, with its recorded arguments.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", callback=to_begin, help="Replace the run in --out.")]
Backend = Annotated[str | None, typer.Option(help="Keras backend: tensorflow (default), jax or torch.")]
Distribute = Annotated[
    bool,
    typer.Option("--distribute", help="Train with JAX on all devices, and on the machines that the environment names."),
]
Model = Annotated[
    str | None,
    typer.Option(
        callback=model_given,
        help="A run folder or a .keras file; without it the shipped weights, where there are any.",
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
    list[Format], typer.Option("--format", help="Repeat it for several; default all that can be written here.")
]
ExportOut = Annotated[
    Path | None,
    typer.Option(
        "--out", callback=to_write_in, help="Default: RUN/export, or APPLICATION-export for the shipped weights."
    ),
]
Quantize = Annotated[
    list[Smaller],
    typer.Option("--quantize", help="Smaller files, too: of LiteRT both, of ONNX int8. Repeat it for both."),
]
MayLose = Annotated[
    float | None,
    typer.Option(
        "--tolerance", min=0, help="What a quantised file may lose: points of accuracy (default 0.5), dB of PSNR (0.1)."
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

__all__ = [
    "application",
    "complain",
    "say",
    "table",
    "tell",
]  # beside what is defined here: every command prints with them

BACKENDS = ("tensorflow", "jax", "torch")


def run(command: typer.Typer, arguments: list[str] | None = None) -> None:
    """Run a command and leave with its exit code: 0, 1 partly failed, 2 the user's or machine's fault, 130.

    Anything else is a bug and shows its traceback.
    """
    in_utf8()
    sys.exit(exit_code(command, arguments))


def exit_code(command: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run a command; what the user can mend becomes one line on standard error and 2."""
    try:
        code = command(arguments, standalone_mode=False) or 0
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        if error.format_message() == "Missing command." and context:
            tell(context.get_help())
            return 0
        return complain(of_argument(error))
    except InputError as error:
        return complain(str(error))
    except (typer.Abort, KeyboardInterrupt) as error:
        if isinstance(error.__cause__, EOFError):  # a file that ends too early, which Typer takes for Ctrl-D
            raise error.__cause__ from None
        code = INTERRUPTED
    except (ImportError, SystemError) as error:
        if not interrupted(error):
            raise
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads the rest: no second complaint
        return 0
    except OSError as error:
        if error.errno not in MACHINE:
            raise
        where = f": {error.filename}" if error.filename else ""
        return complain(f"{error.strerror}{where}; {MACHINE[error.errno]}")
    if code == INTERRUPTED:  # Typer itself turns Ctrl-C into this code
        say(f"\n{interruption(arguments)}")
    return code


def interrupted(error: BaseException | None) -> bool:
    """Whether an error goes back to Ctrl-C: modules turn it into others where it comes while they are loaded."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


INTERRUPTED = 130


def use_backend(backend: str | None, distribute: bool = False) -> None:
    """Choose the Keras backend, with `distribute` JAX; to be called before Keras is imported. Quiets TensorFlow's
    start-up messages.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # such as on functions that are traced for several sizes
    if distribute and backend not in (None, "jax"):
        raise InputError(f"--distribute trains with JAX: leave --backend {backend} out")
    if distribute:
        supervised()  # before anything is loaded that the process which watches does not need
    backend = "jax" if distribute else backend
    name = backend or os.environ.get("KERAS_BACKEND") or "tensorflow"
    if name not in BACKENDS:
        raise InputError(f"the backend {name} is unknown: give one of {', '.join(BACKENDS)}")
    extras.require(f"--backend {name}", name, name)
    os.environ["KERAS_BACKEND"] = name
    with quiet_start():
        import keras

        keras.config.set_image_data_format("channels_last")  # whatever ~/.keras/keras.json says
        keras.config.set_floatx("float32")
    if backend not in (None, keras.backend.backend()):
        raise InputError(f"--backend {backend} comes too late, Keras is loaded: set KERAS_BACKEND={backend}")


def load_pipelines() -> None:
    """Load TensorFlow, which makes the training examples and is in what Keras loads with a seed, in silence.

    With another backend its share of a GPU would be idle.
    """
    with quiet_start():
        import keras
        import tensorflow as tf
    if keras.backend.backend() != "tensorflow":
        tf.config.set_visible_devices([], "GPU")


@contextmanager
def quiet_start() -> Iterator[None]:
    """Hold back what libraries print on file descriptor 2 as they are loaded; shown if loading fails.

    TensorFlow 2.21 writes six lines there before any of its log levels applies.
    """
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # an extension cannot be interrupted while it loads
    screen = os.dup(2)
    try:
        with (
            tempfile.TemporaryFile() as held,
            open(screen, "w", closefd=False) as shown_on,
            said_if_long("loading TensorFlow", shown_on),
        ):
            os.dup2(held.fileno(), 2)
            try:
                yield
            except BaseException:
                held.seek(0)
                os.write(screen, held.read())
                raise
    finally:
        os.dup2(screen, 2)
        os.close(screen)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def note(text: str) -> None:
    """A remark on what is done with what was given, on standard error."""
    say(f"note: {text}")


def say_left_out(bad: Sequence[tuple[Path, str]]) -> None:
    """Say which files cannot be used and why: the first five, and how many there are."""
    for path, reason in bad[:5]:
        say(f"left out: {shown(path)}: {reason.removeprefix(f'{shown(path)} ')}")
    if len(bad) > 5:
        say(f"left out: {len(bad)} files in all; `convmedia data check` with the same --data names each of them")


def given(inputs: list[str] | None, files_from: Path | None) -> list[str]:
    """Files and folders of the command line, then those that `--files-from` names.

    Raises:
        InputError: none, or the list cannot be read.
    """
    names = list(inputs or [])
    if files_from is not None:
        try:
            content = sys.stdin.buffer.read() if str(files_from) == "-" else files_from.read_bytes()
        except OSError as error:
            raise InputError(f"--files-from {shown(files_from)}: {error.strerror}") from error
        names += listed(content)
    if not names:
        raise InputError("no file is named: give files or folders, or --files-from LIST")
    return names


def percent(fraction: float) -> str:
    """0.9961 as "99.61 %"."""
    return f"{100 * fraction:.2f} %"
