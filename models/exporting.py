"""Exported files: written beside, proved to answer as Keras does in their own runtime, only then given their name."""

import contextlib
import functools
import importlib.util
import itertools
import json
import os
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from convmedia.data.errors import InputError
from convmedia.data.files import replacing, shown
from convmedia.models import proving, serving, trials
from convmedia.models.formats import FORMATS, Format, Refused
from convmedia.models.predicting import Predictor, every_layer, in_batches
from convmedia.models.proving import first_line
from convmedia.models.rounding import Batches
from convmedia.models.trials import LOSS_TOLERANCE, Trial
from convmedia.models.verifying import read_arrays, write_arrays

EXAMPLE_LIMIT = 200
TOLERANCE = 1e-4  # of an answer scaled to 0..1
EXAMPLE_BATCH = 32
VARIED = 3  # examples that are also tried in other sizes
ENLARGED_VALUES = 200_000  # examples above this are only cut
PARITY_FILE = "parity.json"
BATCHES, EXPECTED = "batches.npz", "expected.npz"
ENCODED, EXPECTED_OF_ENCODED = "encoded.npz", "expected-of-encoded.npz"
TRIED, EXPECTED_OF_TRIED = "tried.npz", "expected-of-tried.npz"
ENCODED_LIMIT = 12
AUGMENTING = {"AugMix", "CutMix", "MixUp", "RandAugment", "Solarization"}  # beside everything called Random...


def write_examples(path: str | Path, arrays: Sequence[np.ndarray]) -> None:
    """Write raw inputs to an .npz, beside and renamed: uint8 (height, width, 3) each, or float32 (samples,).

    Sizes may differ. Keys are the positions 00000, 00001, ...

    Raises:
        ValueError: more than `EXAMPLE_LIMIT`.
    """
    if len(arrays) > EXAMPLE_LIMIT:
        raise ValueError(f"At most {EXAMPLE_LIMIT} examples are kept. Received: {len(arrays)}")
    with replacing(path) as beside:
        write_arrays(beside, arrays, zipfile.ZIP_DEFLATED)


def read_examples(path: str | Path) -> list[np.ndarray]:
    """What `write_examples` wrote, in order.

    Raises:
        InputError: missing, damaged, or no such file.
    """
    try:
        return list(read_arrays(path))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{shown(path)} holds no readable examples ({first_line(str(error))}); give --data."
        ) from error


def export(
    predictor: Predictor,
    formats: Iterable[str],
    out: str | Path,
    examples: Iterable[np.ndarray],
    *,
    tolerance: float = TOLERANCE,
    timeout_seconds: float = 600,
    trial: Trial | None = None,
    loss_tolerance: float | None = None,
) -> dict[str, dict[str, Any]]:
    """Export a model and prove each file in a child process with the format's own runtime.

    A file is given its name only when its answers, on the examples and on cut and enlarged ones in batches, differ
    from the Keras answers by at most `tolerance` and repeat. Those of a quantised file may differ; it is calibrated on
    the examples and measured by `trial`, and must lose no more than `loss_tolerance`. A refused one is removed, with
    any older file of its name; the other formats go on. Needs the TensorFlow backend.

    Args:
        predictor: the trained model.
        formats: keys of `FORMATS`.
        out: folder; made where missing.
        examples: raw inputs, uint8 (height, width, 3) or float32 (samples,), sizes may differ.
        tolerance: largest difference of an answer scaled to 0..1 (pictures: divided by 255).
        timeout_seconds: longest time that one step of a format's verification may take.
        trial: what quantised files are measured by; None measures likeness to Keras on the examples.
        loss_tolerance: points or dB, in the trial's unit; None for that of `trials.LOSS_TOLERANCE`.

    Returns:
        The content of `parity.json`, which is written to `out`: per format {"max_abs_diff", "same_top1" (fraction; None
        without labels), "bytes", "seconds_per_example", "seconds_at_1" and "seconds_at_32" (for each example of such a
        batch), "peak_bytes" (of the process that answered them), "model_sha256" (of the model file)} or
        {"refused": reason}; of the SavedModel of a classifier also "max_abs_diff_bytes", of `serve_bytes` on encoded
        examples; of a quantised file also "numbers" (which are stored how), "metric", "measured_on", "before" (None
        where that is without bounds), "after".
        Formats exported earlier from the same model file, and still there, stay in it.

    Raises:
        InputError: unknown format, missing optional dependency, another backend, no examples, `out` is a file or
            holds a folder that no export made under a name to be written. Nothing was done then.
        OSError: no space left, no permission.
    """
    names = list(dict.fromkeys(formats))
    examples = list(examples)
    _check(names, examples, predictor.input["kind"])
    out = Path(out)
    _check_folder(out, names)
    out.mkdir(parents=True, exist_ok=True)
    parity = {name: entry for name, entry in _earlier(out, predictor).items() if name not in names}
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out) as folder:
        beside = Path(folder)
        limits = {"tolerance": tolerance, "timeout_seconds": timeout_seconds}
        whole = _or_refused(functools.partial(_write_evidence, predictor, examples, beside))
        if "refused" not in whole and any(FORMATS[name].quantised for name in names):
            trial = trial or trials.likeness(predictor, examples)
            whole |= {"trial": trial, "before": _write_trial(predictor, trial, beside)}
            whole["may_lose"] = LOSS_TOLERANCE[trial.unit] if loss_tolerance is None else loss_tolerance
        for name in names:
            kind = FORMATS[name]
            _write_parity(out, parity)  # without this format: a kill from here on leaves nothing stated that is not so
            entry = whole
            if "refused" not in whole:
                entry = _or_refused(functools.partial(_prove, kind, predictor, beside, whole, **limits))
            _settle(beside / kind.file, out / kind.file, keep="refused" not in entry)
            parity[name] = entry
        _write_parity(out, parity)
    return parity


def _check(names: list[str], examples: list[np.ndarray], kind: str) -> None:
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise InputError(f"No export format {', '.join(unknown) or 'given'}; the formats are {', '.join(FORMATS)}.")
    for name in names:
        missing = [module for module in FORMATS[name].modules if importlib.util.find_spec(module) is None]
        if missing:
            raise InputError(
                f"Export to {name} needs {', '.join(missing)}, not installed here; "
                f"run: pip install 'convmedia[{FORMATS[name].extra}]'"
            )
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Export needs the TensorFlow backend, not {keras.backend.backend()}; set KERAS_BACKEND=tensorflow."
        )
    if not examples:
        raise InputError("An export is proved on examples and there are none; give --data.")
    rank, dtype = (3, "uint8") if kind == "image" else (1, "float32")
    wrong = [example for example in examples if (example.ndim, example.dtype) != (rank, dtype)]
    if wrong:
        raise ValueError(f"Examples are {dtype} of rank {rank}. Received: {wrong[0].dtype} {wrong[0].shape}")


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
    return {
        name: parity[name]
        for name, kind in FORMATS.items()
        if parity.get(name, {}).get("model_sha256") == predictor.digest and (out / kind.file).exists()
    }


def _write_parity(out: Path, parity: dict[str, dict[str, Any]]) -> None:
    with replacing(out / PARITY_FILE) as beside:
        beside.write_text(json.dumps(parity, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _or_refused(action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return action()
    except Refused as refusal:
        return {"refused": str(refusal)}


def _settle(beside: Path, final: Path, keep: bool) -> None:
    """Give a proved file its name; an older one goes in any case, because nobody proved it for this model."""
    if final.is_dir():
        shutil.rmtree(final)
    else:
        final.unlink(missing_ok=True)
    if keep:
        beside.rename(final)


def _write_evidence(predictor: Predictor, examples: list[np.ndarray], folder: Path) -> dict[str, Any]:
    """Write the batches and the Keras answers to them.

    Returns:
        {"examples": how many, "batches": how many batches they make, "inputs": of the model}; the varied ones follow.

    Raises:
        Refused: the model itself augments, fails, or answers NaN or infinity.
    """
    import tensorflow as tf

    _refuse_augmentation(predictor.model)
    batches = [np.stack(batch) for batch in in_batches(examples, lambda example: example, EXAMPLE_BATCH)]
    inputs = len(predictor.model.inputs)
    every = itertools.chain(batches, _varied(examples))
    write_arrays(folder / BATCHES, itertools.chain.from_iterable(map(_with_others(predictor.model), every)))
    try:
        with _full_precision():
            read = zip(*[read_arrays(folder / BATCHES)] * inputs, strict=True)
            write_arrays(folder / EXPECTED, (predictor(*batch) for batch in read))
    except (ValueError, tf.errors.OpError) as error:
        raise Refused(f"the model itself fails on an example: {first_line(str(error))}") from error
    if not all(np.isfinite(answer).all() for answer in read_arrays(folder / EXPECTED)):
        raise Refused("the model itself answers NaN or infinity")
    if predictor.labels is not None:
        files = [serving.encoded(one, predictor.input.get("sample_rate")) for one in examples[:ENCODED_LIMIT]]
        write_arrays(folder / ENCODED, (np.frombuffer(content, np.uint8) for content, _ in files))
        with _full_precision():
            write_arrays(folder / EXPECTED_OF_ENCODED, (predictor(raw[np.newaxis]) for _, raw in files))
    return {"examples": len(examples), "batches": len(batches), "inputs": inputs}


def _write_trial(predictor: Predictor, trial: Trial, folder: Path) -> float:
    """Write the trial's batches and the Keras answers to them; what these are worth."""
    write_arrays(folder / TRIED, itertools.chain.from_iterable(map(_with_others(predictor.model), trial.batches())))
    with _full_precision():
        read = zip(*[read_arrays(folder / TRIED)] * len(predictor.model.inputs), strict=True)
        write_arrays(folder / EXPECTED_OF_TRIED, (predictor(*batch) for batch in read))
    return trial.score(*(read_arrays(folder / EXPECTED_OF_TRIED) for _ in range(2)))


def _with_others(model: keras.Model) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A batch and, for each further input of the model, weights that add to 1, as float32 (batch, values)."""
    rng = np.random.default_rng(0)
    values = [tensor.shape[1] for tensor in model.inputs[1:]]
    return lambda batch: [batch, *(rng.dirichlet(np.ones(n), len(batch)).astype(np.float32) for n in values)]


def _refuse_augmentation(model: keras.Model) -> None:
    # By name and not by numbers: at inference most of them are the identity, and the file would pass.
    for layer in every_layer(model):
        names = [kind.__name__ for kind in type(layer).__mro__]
        if any(name in AUGMENTING or name.startswith("Random") for name in names):
            raise Refused(f"augmentation inside the file: layer {layer.name!r} is {type(layer).__name__}")


def _varied(examples: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Batches of two of other sizes: free height and width (or length) are proved, not believed."""
    for example in examples[:: -(-len(examples) // VARIED)]:
        shorter = tuple(slice(0, max(1, side * keep // 4)) for side, keep in zip(example.shape, (3, 2), strict=False))
        part = example[shorter]
        yield np.stack([part, part[::-1]])
        if example.size <= ENLARGED_VALUES:
            larger = np.repeat(example, 2, axis=0)
            larger = np.repeat(larger, 3, axis=1) if larger.ndim == 3 else larger
            yield np.stack([larger[::-1], larger])


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    """Keras answers without TensorFloat-32: it rounds to 10 bits on recent GPUs, and that would be the difference."""
    from tensorflow.config import experimental

    before = experimental.tensor_float_32_execution_enabled()
    experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        experimental.enable_tensor_float_32_execution(before)


def _prove(
    kind: Format,
    predictor: Predictor,
    folder: Path,
    whole: dict[str, Any],
    *,
    tolerance: float,
    timeout_seconds: float,
) -> dict[str, Any]:
    path = folder / kind.file
    labelled = predictor.labels is not None
    plain = proving.Asked(kind.runtime, folder / BATCHES, whole["inputs"], "timed")
    tried = proving.Asked(kind.runtime, folder / TRIED, whole["inputs"], "once")
    encoded = proving.Asked("serve-bytes", folder / ENCODED, 1, "twice")
    serving_bytes = kind.runtime == "saved-model" and labelled
    _convert(kind, predictor, path, functools.partial(_batches, folder, whole))
    wanted = [plain, *([tried] if kind.quantised else []), *([encoded] if serving_bytes else [])]
    proving.answered(path, wanted, timeout_seconds)
    likeness = None if kind.quantised else tolerance
    entry = proving.compared(plain.answers, folder / EXPECTED, whole, labelled, likeness)
    if kind.quantised:
        entry |= {"numbers": kind.numbers, **_worth(tried.answers, folder / EXPECTED_OF_TRIED, whole)}
    if serving_bytes:
        counts = {"examples": 1, "batches": 1}
        found = proving.compared(encoded.answers, folder / EXPECTED_OF_ENCODED, counts, True, tolerance)
        entry["max_abs_diff_bytes"] = found["max_abs_diff"]
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    entry["bytes"] = sum(file.stat().st_size for file in files)
    entry["model_sha256"] = predictor.digest
    return entry


def _batches(folder: Path, whole: dict[str, Any]) -> Iterator[tuple[np.ndarray, ...]]:
    """The batches of the examples as they are, without the varied ones."""
    read = zip(*[read_arrays(folder / BATCHES)] * whole["inputs"], strict=True)
    return itertools.islice(read, whole["batches"])


def _worth(answering: Path, expecting: Path, whole: dict[str, Any]) -> dict[str, Any]:
    """What a quantised file's answers to the trial are worth.

    Raises:
        Refused: too little.
    """
    trial, before = whole["trial"], whole["before"]
    after = trial.score(read_arrays(answering), read_arrays(expecting))
    lost = trial.lost(before, after)
    if not lost <= whole["may_lose"]:
        asked = f"{trial.asked:g} are asked" if trial.asked else f"{before:.6g} before, {lost:.3g} {trial.unit} lost"
        raise Refused(f"{trial.metric} {after:.6g}, {asked}, with {whole['may_lose']:g} allowed ({trial.data})")
    kept = None if trial.asked else before
    return {"metric": trial.metric, "measured_on": trial.data, "before": kept, "after": after}


def _convert(kind: Format, predictor: Predictor, path: Path, batches: Batches) -> None:
    import tensorflow as tf

    try:
        with _standard_output_to_error(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the converters' own, about their own insides
            kind.write(predictor.model, path, *([batches] if kind.calibrated else []))
            _describe(kind, path, json.dumps(description(predictor), allow_nan=False))
    except (ValueError, TypeError, KeyError, RuntimeError, tf.errors.OpError) as error:
        raise Refused(f"the converter failed: {first_line(str(error))}") from error


def _describe(kind: Format, path: Path, text: str) -> None:
    try:
        kind.describe(path, text)
    except Exception as error:  # what the parsers of the three formats let out on a file that is none
        raise Refused(f"the converter wrote no {kind.runtime} file: {first_line(str(error))}") from error


def description(predictor: Predictor) -> dict[str, Any]:
    """What an exported file says of itself: application, labels, raw input, details, digest of the model file."""
    facts = {"app": predictor.app, "labels": predictor.labels, "input": predictor.input}
    return {**facts, "details": predictor.details, "model_sha256": predictor.digest}


@contextlib.contextmanager
def _standard_output_to_error() -> Iterator[None]:
    """Converters print, some from C++; standard output belongs to the answer of `--json`."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
