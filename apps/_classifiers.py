"""What the applications that label pictures share: measuring a saved file, examples for its exports, explaining it."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.apps._commands import progress
from convmedia.data import images
from convmedia.data.errors import InputError
from convmedia.data.files import replacing
from convmedia.models.predicting import Predictor, in_batches

CHUNK = 250  # most pictures of a batch


def answers(predictor: Predictor, pictures: Iterable[np.ndarray], number: int, label: str) -> np.ndarray:
    """What a predictor says to `number` raw pictures of any sizes, in order."""
    found: list[np.ndarray] = []
    with progress(label) as update:
        for batch in in_batches(pictures, lambda picture: picture, CHUNK):
            found.extend(predictor(np.stack(batch)))
            update(len(found), number)
    return np.stack(found)


def figures(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Accuracy as a fraction, cross-entropy in nats, number of examples."""
    right = probabilities[np.arange(len(truth)), truth]
    return {
        "accuracy": float((probabilities.argmax(1) == truth).mean()),
        "loss": float(-np.log(np.clip(right, 1e-7, 1.0)).mean()),
        "examples": len(truth),
    }


def truth_in_labels_of(predictor: Predictor, name: str, labels: Sequence[str], truth: np.ndarray) -> np.ndarray:
    """The truth of a set, counted in a model's labels.

    Raises:
        InputError: the set has a label that the model does not know.
    """
    known = predictor.labels or []
    unknown = sorted(set(labels) - set(known))
    if unknown:
        raise InputError(f"{name} has the label {unknown[0]!r}, the model knows {', '.join(known)}")
    return np.array([known.index(label) for label in labels])[truth]


def raw_examples(pictures: "Sequence[np.ndarray] | np.ndarray", most: int = 200) -> list[np.ndarray]:
    """Up to `most` raw pictures spread over a split, uint8 (height, width, 3): to verify and calibrate exports with."""
    places = np.unique(np.linspace(0, len(pictures) - 1, min(most, len(pictures))).astype(int))
    chosen = [pictures[place] for place in places]
    return [reduced(np.repeat(picture[..., None], 3, -1) if picture.ndim == 2 else picture) for picture in chosen]


def reduced(picture: np.ndarray, side_px: int = 512) -> np.ndarray:
    """The picture, or where a side is longer than `side_px` one of an integer fraction of its size."""
    from PIL import Image

    factor = -(-max(picture.shape[:2]) // side_px)
    return picture if factor == 1 else np.asarray(Image.fromarray(picture).reduce(factor))


def explained(
    predictor: Predictor, files: list[Path], out: Path, before: np.ndarray | None
) -> Iterator[tuple[Path, list[Path] | str]]:
    """Draw the first filters once, and each picture's maps and Grad-CAM: (file, paths written or what was wrong).

    Args:
        before: the filters before training, or None where they are not known.
    """
    from convmedia.apps._sheets import filter_sheet
    from convmedia.models.explanation import filters

    sheet = save_figure(filter_sheet(filters(predictor.model), before), out / "filters.png")
    for number, file in enumerate(files):
        try:
            written = explain_picture(predictor, images.decode(file), out, f"{number:04}-{Path(file).stem}")
        except InputError as error:
            yield file, str(error)
            continue
        yield file, [sheet, *written] if number == 0 else written


def explain_picture(predictor: Predictor, picture: np.ndarray, out: Path, stem: str) -> list[Path]:
    """Maps of each layer; and where the network looked, beside what it was given."""
    from convmedia.apps._sheets import activation_sheet, overlay
    from convmedia.models import explanation

    picture = reduced(picture, 1024)
    maps = save_figure(activation_sheet(explanation.activations(predictor.model, picture)), out / f"{stem}-maps.png")
    heat, _ = explanation.grad_cam(predictor.model, picture)
    shown = looked_at(predictor, picture, heat.shape)
    side = (shown.shape[1], shown.shape[0])
    cam = out / f"{stem}-grad-cam.png"
    images.encode(np.concatenate([shown, overlay(shown, resized(heat.astype("float32"), side))], axis=1), cam)
    return [maps, cam]


def looked_at(predictor: Predictor, picture: np.ndarray, size: tuple[int, ...], least_px: int = 280) -> np.ndarray:
    """What the network sees, to lay heat of `size` over: enlarged so that its pixels show where it is small.

    Of a network that squashes photos to a square this is the photo, squashed; of one that cuts something out, the cut.
    """
    from convmedia.apps._sheets import stretched
    from convmedia.models import explanation

    if predictor.details.get("preparation") == "ink":
        seen = stretched(explanation.prepared(predictor.model, picture))
    else:
        seen = resized(picture, (size[1], size[0]))
    factor = -(-least_px // max(seen.shape[:2]))
    return seen.repeat(factor, 0).repeat(factor, 1)


def resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture, uint8 (h, w, 3), or heat, float32 (h, w), at `size` (width, height), antialiased."""
    from PIL import Image

    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR)).clip(0, values.max())


def save_figure(figure, path: Path) -> Path:
    """Write a Matplotlib figure as PNG, beside and renamed."""
    with replacing(path) as beside:
        figure.savefig(beside, dpi=120)
    return path
