"""Exported files: written beside, proved to answer as Keras does in their own runtime, only then given their name."""

import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from convmedia.data.storage import extras
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import locked, replacing, shown
from convmedia.models.analysis.layer_tree import every_layer
from convmedia.models.export import comparison, conversion, quality_loss
from convmedia.models.export.evidence import Evidence, Measured, at_size
from convmedia.models.export.parity import Asked, answered
from convmedia.models.export.quality_loss import LOSS_TOLERANCE, Trial
from convmedia.models.formats.formats import FORMATS, WEB, Format, Refused
from convmedia.models.inference.predictor import Predictor

HELD_BACK = 3  # of the examples every such one measures quantised files, where there is nothing else to measure them on
PARITY_FILE = "parity.json"
AUGMENTING = {"AugMix", "CutMix", "MixUp", "RandAugment", "Solarization"}  # beside everything called Random...


def export(
    predictor: Predictor,
    formats: Iterable[str],
    out: str | Path,
    examples: Iterable[np.ndarray],
    *,
    tolerance: float | None = None,
    timeout_seconds: float = 600,
    trial: Trial | Callable[[Sequence[np.ndarray]], Trial] | None = None,
    loss_tolerance: float | None = None,
    told: Callable[[str], None] | None = None,
    size: tuple[int, ...] | None = None,
) -> dict[str, dict[str, Any]]:
    """Export a model and prove each file in a child process with the format's own runtime.

    A file is given its name only when it takes and gives what is promised, says of itself what is meant, and its
    answers, on the examples, on what `probes` draws and on encoded files, differ from the Keras answers by at most
    `tolerance` and repeat. Those of a quantised file may differ; it is calibrated on examples and measured by `trial`,
    and must lose no more than `loss_tolerance`. A refused one is removed, with any older file of its name; the other
    formats go on. Needs the TensorFlow backend.

    Args:
        predictor: the trained model.
        formats: keys of `FORMATS`.
        out: folder; made where missing.
        examples: raw inputs, uint8 (height, width, 3) or float32 (samples,), sizes may differ.
        tolerance: largest difference of an answer, in fractions of the scale that its kind has (of probabilities 1,
            of pictures 255); None for the kind's own.
        timeout_seconds: longest time that one step of a format's verification may take.
        trial: what quantised files are measured by, or what gives it, called with examples that are held back from
            calibration; None measures likeness to Keras on such examples.
        loss_tolerance: points or dB, in the trial's unit; None for that of `trials.LOSS_TOLERANCE`.
        told: called with each step before it is begun: "answers", what measures quantised files, each format.
        size: of raw inputs, (height, width) or (samples,), where the files are to take this one alone, in batches of
            any number; None for all sizes. Examples are brought to it, as `probes.fitted` does, before anything
            answers them, and eight of them are answered in one call.

    Returns:
        The content of `parity.json`, which is written to `out`: per format {"max_abs_diff", "same_top1" (fraction; None
        without labels), "bytes", "seconds_per_example", "seconds_at_1" and "seconds_at_32" (for each example of such a
        batch), "peak_bytes" (of the process that answered them), "model_sha256" (of the model file)}, of a fixed size
        "seconds_at_8" in place of the former and "input_shape" (without the batch), or
        {"refused": reason}; of a SavedModel that takes files also "max_abs_diff_bytes", of `serve_bytes` on encoded
        inputs, of pictures beyond their rounding; of a quantised file also "numbers" (which are stored how), "metric",
        "measured_on", "before" (None where that is without bounds), "after".
        Beside each share NAME there are "NAME_right" of "NAME_examples" and its 95 % interval "NAME_interval".
        Formats exported earlier from the same model file, and still there, stay in it.

    Raises:
        InputError: unknown format, missing optional dependency, another backend, no examples, `out` is a file or
            holds a folder that no export made under a name to be written, or another export writes to it. Nothing was
            done then.
        OSError: no space left, no permission.
    """
    names, told = list(dict.fromkeys(formats)), told or (lambda step: None)
    examples = list(examples)
    _check(names, examples, predictor.input["kind"])
    out = Path(out)
    _check_folder(out, names)
    out.mkdir(parents=True, exist_ok=True)
    busy = f"{shown(out)} is in use by another export: wait for it or give another --out"
    with locked(out, busy), tempfile.TemporaryDirectory(prefix=".export-", dir=out) as folder:
        parity = {name: entry for name, entry in _earlier(out, predictor).items() if name not in names}
        told("answers")
        evidence = _or_refused(functools.partial(_evidence, predictor, examples, Path(folder), size))
        measured: Measured | Refused | None = None
        if isinstance(evidence, Evidence) and any(FORMATS[name].quantised for name in names):
            told("measure")
            measured = _or_refused(functools.partial(_measured, evidence, examples, trial, loss_tolerance))
        for name in names:
            told(name)
            kind = FORMATS[name]
            path = Path(folder) / kind.file
            _write_parity(out, parity)  # without this format: a kill from here on leaves nothing stated that is not so
            needed = (evidence, measured) if kind.quantised else (evidence, None)
            entry = next((one for one in needed if isinstance(one, Refused)), None)
            if entry is None:
                prove = functools.partial(proved, tolerance=tolerance, timeout_seconds=timeout_seconds)
                entry = _or_refused(functools.partial(prove, kind, path, *needed))
            _settle(path, out / kind.file, keep=not isinstance(entry, Refused))
            parity[name] = {"refused": str(entry)} if isinstance(entry, Refused) else entry
        _write_parity(out, parity)
    return parity


def _check(names: list[str], examples: list[np.ndarray], kind: str) -> None:
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise InputError(f"No export format {', '.join(unknown) or 'given'}; the formats are {', '.join(FORMATS)}.")
    for name in names:
        extras.require(f"Export to {name}", FORMATS[name].extra or "", *FORMATS[name].modules)
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Export needs the TensorFlow backend, not {keras.backend.backend()}; set KERAS_BACKEND=tensorflow."
        )
    if not examples:
        raise InputError("An export is proved on examples and there are none; give --data.")
    rank, dtype = (3, "uint8") if kind == "image" else (1, "float32")
    wrong = [example for example in examples if (example.ndim, example.dtype) != (rank, dtype)]
    if wrong:
        raise InputError(f"Examples are {dtype} of rank {rank}. Received: {wrong[0].dtype} {wrong[0].shape}")


def _check_folder(out: Path, names: list[str]) -> None:
    """Older exports are replaced; a folder that only has the name of one is somebody's own."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{shown(out)} is a file; give a folder to export to.")
    for final in (out / FORMATS[name].file for name in names):
        if final.is_dir() and any(final.iterdir()) and not (final / "saved_model.pb").is_file():
            raise InputError(f"The folder {shown(final)} is no exported model; give another --out.")


def _earlier(out: Path, predictor: Predictor) -> dict[str, dict[str, Any]]:
    """What an earlier call proved about files of the same model that are still there."""
    try:
        parity = json.loads((out / PARITY_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    if predictor.digest is None or not isinstance(parity, dict):
        return {}
    parity = {name: entry for name, entry in parity.items() if isinstance(entry, dict)}
    return {
        name: parity[name]
        for name, file in {**{name: kind.file for name, kind in FORMATS.items()}, WEB: WEB}.items()
        if parity.get(name, {}).get("model_sha256") == predictor.digest and (out / file).exists()
    }


def _write_parity(out: Path, parity: dict[str, dict[str, Any]]) -> None:
    with replacing(out / PARITY_FILE) as beside:
        beside.write_text(json.dumps(parity, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _or_refused(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except Refused as refusal:
        return refusal


def _settle(beside: Path, final: Path, keep: bool) -> None:
    """Give a proved file its name; an older one goes in any case, because nobody proved it for this model."""
    if final.is_dir():
        shutil.rmtree(final)
    else:
        final.unlink(missing_ok=True)
    if keep:
        beside.rename(final)


def _evidence(predictor: Predictor, examples: list[np.ndarray], folder: Path, size: tuple[int, ...] | None) -> Evidence:
    """Raises Refused where the model itself augments, or as `Evidence`."""
    _refuse_augmentation(predictor.model)
    return Evidence(predictor, examples, folder, size)


def _refuse_augmentation(model: keras.Model) -> None:
    # By name and not by numbers: at inference most of them are the identity, and the file would pass.
    for layer in every_layer(model):
        names = [kind.__name__ for kind in type(layer).__mro__]
        if any(name in AUGMENTING or name.startswith("Random") for name in names):
            raise Refused(f"augmentation inside the file: layer {layer.name!r} is {type(layer).__name__}")


def _measured(
    evidence: Evidence,
    examples: Sequence[np.ndarray],
    trial: Trial | Callable[[Sequence[np.ndarray]], Trial] | None,
    loss_tolerance: float | None,
) -> Measured:
    calibrating = examples
    if isinstance(trial, Trial) and evidence.size is not None:
        trial = None if trial.number is None else trial.at(evidence.size)
    if not isinstance(trial, Trial):
        calibrating, measuring = held_back(examples)
        like_keras = functools.partial(quality_loss.likeness, evidence.predictor)
        trial = (trial or like_keras)(measuring)
        if evidence.size is not None:
            # A picture that was resized has no truth that an enlarged one could be compared with.
            fitting = like_keras(at_size(measuring, evidence.size))
            trial = fitting if trial.number is None else trial.at(evidence.size)
    may_lose = LOSS_TOLERANCE[trial.unit] if loss_tolerance is None else loss_tolerance
    return evidence.measured(trial, may_lose, calibrating)


def held_back(examples: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Examples that calibrate, and every third one, which measures; equal ones are counted once.

    A single one measures: what is measured on the examples that calibrated it says nothing of others.
    """
    different = list({(example.shape, example.tobytes()): example for example in examples}.values())
    if len(different) == 1:
        return [], different
    return [one for place, one in enumerate(different) if place % HELD_BACK != 1], different[1::HELD_BACK]


def proved(
    kind: Format,
    path: Path,
    evidence: Evidence,
    measured: Measured | None = None,
    *,
    tolerance: float | None = None,
    timeout_seconds: float = 600,
) -> dict[str, Any]:
    """Write a file to a path and prove it, as `export` does.

    Args:
        measured: what a quantised one is calibrated on and measured by.

    Returns:
        What `parity.json` says of it.

    Raises:
        Refused: it is not to be kept.
    """
    tolerance = evidence.predictor.kind.tolerance if tolerance is None else tolerance
    conversion.convert(kind, evidence, path, measured.calibrating if measured else [])
    inputs = evidence.inputs
    runtimes = (kind.runtime, "entries" if kind.runtime == "saved-model" else kind.runtime)
    asked = {
        "plain": Asked(runtimes[0], evidence.plain.batches, inputs, str(evidence.many)),
        "probes": Asked(runtimes[1], evidence.probes.batches, inputs, "once"),
    }
    if kind.runtime == "saved-model" and evidence.takes_files:
        asked["encoded"] = Asked("serve-bytes", evidence.encoded.batches, inputs, "once")
    if measured:
        asked["tried"] = Asked(kind.runtime, evidence.tried.batches, inputs, "once")
        asked["mistaken"] = Asked(kind.runtime, evidence.mistaken.batches, inputs, "once")
    answered(path, list(asked.values()), timeout_seconds)
    answers = {name: one.answers for name, one in asked.items()}
    likeness = None if kind.quantised else tolerance
    entry = comparison.compared(answers["plain"], answers["probes"], evidence, runtimes, likeness)
    if measured:
        entry |= {"numbers": kind.numbers, **comparison.worth(answers["tried"], evidence, kind.runtime, measured)}
        comparison.refuse_mistaken(answers["mistaken"], evidence, kind.runtime)
    if "encoded" in asked:
        entry["max_abs_diff_bytes"] = comparison.bytes_compared(answers["encoded"], evidence, tolerance)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    entry["bytes"] = sum(file.stat().st_size for file in files)
    entry["model_sha256"] = evidence.predictor.digest
    if evidence.size is not None:
        entry["input_shape"] = conversion.raw_input(evidence)["shape"]
    return entry
