"""What every command shares: options that mean the same everywhere, exit codes, one-line errors, progress."""

import errno
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from convmedia.data.errors import InputError

Data = Annotated[str, typer.Option(help="A named set (see `convmedia data list`) or a folder of class folders.")]
Out = Annotated[Path, typer.Option(help="The run folder to write.")]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over the training examples.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Examples a step.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Train on at most this many examples.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Everything random follows from it.")]
Patience = Annotated[
    int | None, typer.Option(min=1, help="Stop early after this many epochs without a better validation figure.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in --out, with its recorded arguments.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")]
Backend = Annotated[str | None, typer.Option(help="Keras backend: tensorflow (default), jax or torch.")]
Model = Annotated[
    str | None, typer.Option(help="A run folder or a .keras file; without it the shipped weights, where there are any.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output and nothing else.")]
Inputs = Annotated[list[str], typer.Argument(metavar="FILES_OR_FOLDERS...", help="Files, or folders of them.")]
Top = Annotated[int | None, typer.Option(min=1, help="How many labels to give for each file.")]
Rows = Annotated[
    Path | None, typer.Option("--out", help="Append rows to this JSON Lines file; files already in it are skipped.")
]
Folder = Annotated[Path, typer.Option("--out", help="The folder to write to.")]

BACKENDS = ("tensorflow", "jax", "torch")


def application(name: str, help: str) -> typer.Typer:
    """An empty command with the look that all share: plain help, no shell completion to install."""
    return typer.Typer(name=name, help=help, rich_markup_mode=None, add_completion=False, no_args_is_help=True)


def run(command: typer.Typer, arguments: list[str] | None = None) -> None:
    """Run a command and leave with its exit code: 0, 1 partly failed, 2 the user's or machine's fault, 130.

    Anything else is a bug and shows its traceback.
    """
    sys.exit(exit_code(command, arguments))


def exit_code(command: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run a command; what the user can mend becomes one line on standard error and 2."""
    try:
        code = command(arguments, standalone_mode=False) or 0
    except typer.TyperException as error:
        return complain(error.format_message() or "give a command; --help lists them")
    except InputError as error:
        return complain(str(error))
    except (typer.Abort, KeyboardInterrupt):
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
        say("\ninterrupted; what was done is kept")
    return code


INTERRUPTED = 130
MACHINE = {
    errno.ENOSPC: "free some space, then run it again (with --resume where the command has it)",
    errno.EDQUOT: "free some of your quota, then run it again (with --resume where the command has it)",
    errno.EACCES: "choose a place that may be read and written",
    errno.EPERM: "choose a place that may be read and written",
    errno.EROFS: "choose a place that may be written",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "give a file",
    errno.ENAMETOOLONG: "give a shorter name",
}


def complain(message: str) -> int:
    """One line on standard error, exit code 2."""
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return 2


def use_backend(backend: str | None) -> None:
    """Choose the Keras backend; to be called before Keras is imported. Quiets TensorFlow's start-up messages."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if backend is not None and backend not in BACKENDS:
        raise InputError(f"--backend {backend} is unknown: give one of {', '.join(BACKENDS)}")
    if backend is not None:
        os.environ["KERAS_BACKEND"] = backend
    with quiet_start():
        import keras
    if backend not in (None, keras.backend.backend()):
        raise InputError(f"--backend {backend} comes too late, Keras is loaded: set KERAS_BACKEND={backend}")


@contextmanager
def quiet_start() -> Iterator[None]:
    """Hold back what libraries print on file descriptor 2 as they are loaded; shown if loading fails.

    TensorFlow 2.21 writes six lines there before any of its log levels applies.
    """
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as held:
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


def finite(value: Any) -> Any:
    """The same document with NaN and infinities as None, NumPy scalars as Python's."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def to_json(document: Any, indent: int | None = None) -> str:
    """Strict JSON: no NaN, no Infinity."""
    return json.dumps(finite(document), allow_nan=False, ensure_ascii=False, indent=indent)


def say(text: str) -> None:
    """A line for the person at the terminal, on standard error."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar with time left on standard error; give it (done, total). Silent where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with typer.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def update(done: int, total: int | None) -> None:
            bar.length = max(total or done + 1, 1)
            bar.update(done - bar.pos)

        yield update


def counted(items: Iterable, total: int, label: str) -> Iterator:
    """The same items, with a bar on standard error."""
    with progress(label) as update:
        for done, item in enumerate(items, start=1):
            yield item
            update(done, total)


def table(header: list[str], rows: list[list[Any]]) -> str:
    """Plain text in columns; numbers to the right."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    right = [all(not isinstance(row[i], str) for row in rows) for i in range(len(header))]
    lines = [
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join(lines)


def percent(fraction: float) -> str:
    """0.9961 as "99.61 %"."""
    return f"{100 * fraction:.2f} %"


def predict(app: str, inputs: list[str], model: str | None, top: int | None, as_json: bool, out: Path | None) -> int:
    """The `predict` verb of every classifier: rows in the order given; 1 if any file failed."""
    use_backend(None)
    from convmedia.data.images import find

    predictor = model_of(app, model)
    files = find(inputs)
    if out is not None:
        return predict_to_file(predictor, files, top, as_json, out)
    rows = list(counted(predictor.predict_rows(files, top=top), len(files), "predicting"))
    if as_json:
        print(to_json(rows, indent=2))
    else:
        for row in rows:
            print(line_of(row))
    return int(any("error" in row for row in rows))


def line_of(row: dict[str, Any]) -> str:
    """One row of predictions for a person: file, label, probability, runners-up."""
    if "error" in row:
        return f"{row['file']}\terror: {row['error']}"
    others = ", ".join(f"{entry['label']} {percent(entry['score'])}" for entry in row["top"][1:3])
    return f"{row['file']}\t{row['label']}\t{percent(row['score'])}" + (f"\t({others})" if others else "")


def predict_to_file(predictor, files, top, as_json, out: Path) -> int:
    """Append rows to a JSON Lines file, leaving out the files that are already in it, and print a summary."""
    done = finished(out)
    left = [file for file in files if str(file) not in done]
    errors = 0
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", encoding="utf-8") as stream:
        for row in counted(predictor.predict_rows(left, top=top), len(left), "predicting"):
            errors += "error" in row
            stream.write(to_json(row) + "\n")
            stream.flush()
    summary = {"out": str(out), "files": len(files), "skipped": len(files) - len(left), "errors": errors}
    text = f"{len(left)} rows added to {out}, {summary['skipped']} were there, {errors} with an error"
    print(to_json(summary) if as_json else text)
    return int(errors > 0)


def finished(out: Path) -> set[str]:
    """Files that have a complete row in a JSON Lines file; half a last line, left by a kill, is cut off."""
    if not out.exists():
        return set()
    with out.open("rb+") as stream:
        content = stream.read()
        complete = content.rfind(b"\n") + 1
        stream.truncate(complete)
    try:
        return {json.loads(line)["file"] for line in content[:complete].decode("utf-8").splitlines()}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{out} holds something else than rows of predictions; give another --out") from error


def model_of(app: str, model: str | None):
    """The predictor that `--model` names, or the one that this package ships for the application."""
    from convmedia.models import load, shipped

    return shipped(app) if model is None else load(model, app=app)


def export(app: str, model: str | None, formats: list[str], out: Path | None, data, as_json: bool) -> int:
    """The `export` verb of every application: write, verify in a child process, say what was refused.

    Args:
        data: gives raw examples where the model has no `examples.npz` beside it.
    """
    use_backend(None)
    from convmedia.models.exporting import export as write
    from convmedia.models.exporting import read_examples

    predictor = model_of(app, model)
    folder = Path(model) if model and Path(model).is_dir() else None
    kept = folder / "examples.npz" if folder else None
    examples = read_examples(kept) if kept and kept.exists() else data()
    default = folder / "export" if folder else Path(f"{app}-export")
    say(f"exporting {', '.join(formats)} and verifying each on {len(examples)} examples ...")
    parity = write(predictor, formats, out or default, examples)
    if as_json:
        print(to_json(parity, indent=2))
    else:
        print_parity(parity, out or default)
    return int(any("refused" in figures for figures in parity.values()))


def print_parity(parity: dict[str, Any], out: Path) -> None:
    """The verified files and their figures as a table; refusals with their reason."""
    good = {name: figures for name, figures in parity.items() if "refused" not in figures}
    if good:
        header = ["format", "max difference", "same top label", "bytes", "ms each"]
        rows = [
            [
                name,
                f"{f['max_abs_diff']:.1e}",
                percent(f["same_top1"]),
                f["bytes"],
                f"{1e3 * f['seconds_per_example']:.2f}",
            ]
            for name, f in good.items()
        ]
        print(table(header, rows))
        print(f"written to {out}")
    for name, figures in parity.items():
        if "refused" in figures:
            print(f"{name} refused: {figures['refused']}")
