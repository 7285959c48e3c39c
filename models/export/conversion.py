"""Writing an exported file, and what it says of itself."""

import functools
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.data.storage.errors import InputError
from convmedia.data.storage.quiet import silenced
from convmedia.models.export.evidence import Evidence
from convmedia.models.export.parity import first_line
from convmedia.models.formats import metadata
from convmedia.models.formats.formats import Format, Refused
from convmedia.models.inference.predictor import Predictor


def convert(kind: Format, evidence: Evidence, path: Path, calibrating: Sequence[np.ndarray]) -> None:
    """Write a file of a model, for the sizes of the evidence, with its description.

    Args:
        calibrating: examples, where the kind is calibrated.

    Raises:
        Refused: the converter fails, or what it wrote is no such file, or the description is not in it.
    """
    import tensorflow as tf

    given = []
    if kind.calibrated:
        if not calibrating:
            raise Refused("one example cannot both calibrate and measure a file in 8 bits; give --data with more")
        given = [functools.partial(evidence.batched, calibrating)]
    try:
        with silenced(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the converters' own, about their own insides
            fixed = {} if evidence.size is None else {"size": evidence.size}
            kind.write(evidence.predictor.model, path, *given, **fixed)
            _describe(kind, path, description(evidence.predictor) | {"input": raw_input(evidence)})
    except (ValueError, TypeError, KeyError, RuntimeError, tf.errors.OpError) as error:
        raise Refused(f"the converter failed: {first_line(str(error))}") from error


def _describe(kind: Format, path: Path, facts: dict[str, Any]) -> None:
    """Put the description into a file, and read it again from there."""
    try:
        kind.describe(path, json.dumps(facts, allow_nan=False))
    except Exception as error:  # what the parsers of the three formats let out on a file that is none
        raise Refused(f"the converter wrote no {kind.runtime} file: {first_line(str(error))}") from error
    try:
        found = metadata.exported(path)
    except InputError as error:
        raise Refused(f"the converter wrote no {kind.runtime} file: {first_line(str(error))}") from error
    if found is None or found["format"] != kind.runtime:
        raise Refused(f"the converter wrote no {kind.runtime} file")
    said = found["description"]
    if said is None:
        raise Refused("the file says nothing of itself: its description is missing")
    meant = json.loads(json.dumps(facts))
    wrong = [name for name in meant if not isinstance(said, dict) or said.get(name) != meant[name]]
    if wrong or said.keys() != meant.keys():
        raise Refused(f"the file says something else of itself than is meant: {', '.join(wrong) or 'too much'}")


def raw_input(evidence: Evidence) -> dict[str, Any]:
    """The description of the raw input, with the fixed size in its shape where there is one."""
    described, size = evidence.predictor.input, evidence.size or ()
    return described | {"shape": [*size, *described["shape"][len(size) :]]}


def description(predictor: Predictor) -> dict[str, Any]:
    """What an exported file says of itself: application, kind of answer, labels, raw input, details and digest."""
    facts = {"app": predictor.app, "kind": predictor.kind.name, "labels": predictor.labels, "input": predictor.input}
    return {**facts, "details": predictor.details, "model_sha256": predictor.digest}
