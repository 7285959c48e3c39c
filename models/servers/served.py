"""What a server is given of a model: its file, and a request that it can answer."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from convmedia.models.export.evidence import cut
from convmedia.models.export.probes import EIGHT, fitted
from convmedia.models.inference.predictor import Predictor


class Served(NamedTuple):
    """What a server is to serve.

    Attributes:
        name: as requests name it: that of the application.
        file: the proved export.
        labels: names of the scores, in their order; None of models that give pictures.
        request: the arrays of one request by their names, (1, ...) each, the raw input first.
        example: that raw input without its batch.
        sample_rate: Hz, of sounds.
        many: how many examples may be answered in one call; None where their sizes may differ.
    """

    name: str
    file: Path
    labels: list[str] | None
    request: dict[str, np.ndarray]
    example: np.ndarray
    sample_rate: int | None
    many: int | None


def served(file: Path, predictor: Predictor, example: np.ndarray, size: tuple[int, ...] | None) -> Served:
    """What is served of a model: a proved export, and a request with an example, which is brought to the fixed size,
    or cut where every size is taken and it is large."""
    example = cut(example) if size is None else fitted(example, size)
    raw, *others = predictor.model.inputs
    request = {raw.name: example[np.newaxis]}
    request |= {one.name: np.full((1, one.shape[1]), 1.0 / one.shape[1], np.float32) for one in others}
    rate = predictor.input.get("sample_rate")
    many = None if size is None else EIGHT
    return Served(predictor.app, file, predictor.labels, request, example, rate, many)


def write_labels(path: Path, labels: Iterable[str]) -> None:
    """Labels as servers read them: one a line, in the order of the scores."""
    path.write_text("".join(f"{' '.join(label.split())}\n" for label in labels), encoding="utf-8")
