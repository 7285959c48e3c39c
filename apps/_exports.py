"""The `export` verb that all applications share: which files, what they are measured by, what is said of them."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from convmedia.apps._commands import Format, Smaller, say, tell, to_json
from convmedia.apps._parity import print_parity
from convmedia.apps._progress import clock
from convmedia.data import extras
from convmedia.data.errors import InputError
from convmedia.data.text import plural


def with_smaller(formats: Sequence[Format], quantize: Sequence[Smaller]) -> list[str]:
    """Names of `exporting.FORMATS`: each format, and after it the quantised files that there are of it. Told without
    loading Keras.

    Args:
        formats: none for all that can be written here; which are left out is said.

    Raises:
        InputError: one of `quantize` is of none of the formats, or what writes a format is not installed.
    """
    for smaller in quantize:
        if formats and not any(smaller in SMALLER[one] for one in formats):
            raise InputError(f"--quantize {smaller} is for {smaller_of(smaller)}; received {', '.join(formats)}")
    if not formats:
        lacking = {one: extras.missing(extras.OF_FORMATS.get(one, ())) for one in Format}
        formats = [one for one in Format if not lacking[one]]
        for one in sorted(set(Format) - set(formats)):
            say(f"left out: {one} needs {', '.join(lacking[one])}; run: {extras.command(one)}")
        return with_smaller(formats, quantize)
    names = [*map(str, formats), *(f"{one}-{kind}" for one in formats for kind in quantize if kind in SMALLER[one])]
    for name, one in zip(names, map(format_of, names), strict=True):
        extras.require(f"export to {name}", one, *extras.OF_FORMATS.get(one, ()))
    return names


def format_of(name: str) -> Format:
    """The format that a name of `with_smaller` belongs to."""
    return next(one for one in Format if name == one or name.startswith(f"{one}-"))


def smaller_of(smaller: Smaller) -> str:
    """The formats that have such a file."""
    return " and ".join(f"--format {one}" for one in Format if smaller in SMALLER[one])


SMALLER: dict[Format, tuple[Smaller, ...]] = {
    Format.saved_model: (),
    Format.onnx: (Smaller.int8,),
    Format.litert: (Smaller.float16, Smaller.int8),
}
"""Quantised files that there are of each format, rows of `formats.FORMATS`."""


def tested_on(model: str | None, data: str | None, bundled: str | None = None) -> str | None:
    """The set that a quantised file is measured on: --data, else what the run was trained on, where it is at hand.

    Args:
        bundled: what it is for the shipped weights.
    """
    from convmedia.apps._runs import trained_with
    from convmedia.data import sources

    if data or model is None:
        return data or bundled
    name = trained_with(model).get("data")
    at_hand = name and (Path(name).exists() or (name in sources.SOURCES and sources.locate(name) is not None))
    return name if at_hand else None


def export_of(
    predictor,
    model: str | None,
    formats: list[str],
    out: Path | None,
    data,
    as_json: bool,
    *,
    trial: Callable[[Sequence], Any],
    loss_tolerance: float | None = None,
    **limits: float,
) -> int:
    """The `export` verb of every application: write, verify in a child process, say what was refused.

    Args:
        data: gives raw examples where the model has no `examples.npz` beside it.
        trial: gives what quantised files are measured by, called with the examples: a trial, or what gives one of
            examples that are held back from calibration; None measures likeness to Keras on such examples.
        loss_tolerance: what a quantised file may lose; None for what is usual of the trial's unit.
        limits: `tolerance`, where it is not what `exporting.export` has.
    """
    from convmedia.models.exporting import export as write
    from convmedia.models.exporting import read_examples
    from convmedia.models.formats import FORMATS

    run = None if model is None else Path(model) if Path(model).is_dir() else Path(model).parent
    kept = run / "examples.npz" if run else None
    examples = read_examples(kept) if kept and kept.exists() else data()
    measured = trial(examples) if any(FORMATS[name].quantised for name in formats) else None
    default = run / "export" if run and (run / "run.json").exists() else Path(f"{predictor.app}-export")
    say(f"exporting {', '.join(formats)} and verifying each on {plural(len(examples), 'example')} ...")
    how: dict[str, Any] = {"trial": measured, "loss_tolerance": loss_tolerance, "told": steps_said(formats), **limits}
    parity = write(predictor, formats, out or default, examples, **how)
    if as_json:
        tell(to_json(parity, indent=2))
    else:
        print_parity(parity, out or default)
    return int(any("refused" in figures for figures in parity.values()))


def steps_said(formats: Sequence[str]) -> Callable[[str], None]:
    """Says each step of an export as it is begun, and after the first format how long the others may take."""
    began: list[float] = []

    def told(step: str) -> None:
        if step not in formats:
            what = {"answers": "answers of the model itself", "measure": "what quantised files are measured by"}
            say(f"  {what[step]}")
            return
        done = len(began)
        began.append(time.perf_counter())
        left = (began[-1] - began[0]) / done * (len(formats) - done) if done else 0.0
        say(f"  {step}, {done + 1} of {len(formats)}" + (f", about {clock(left)} left" if done else ""))

    return told
