"""What a classifier of pictures looked at, drawn."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from convmedia.apps.reporting.charts import save_figure
from convmedia.data.images import decoding
from convmedia.data.images.views import reduced, resized
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import fitting
from convmedia.models.inference.predictor import Predictor


def explained(
    predictor: Predictor, files: list[Path], out: Path, before: np.ndarray | None
) -> Iterator[tuple[Path, list[Path] | str]]:
    """Draw the first filters once, and each picture's maps and Grad-CAM: (file, paths written or what was wrong).

    Args:
        before: the filters before training, or None where they are not known.
    """
    from convmedia.apps.reporting.feature_maps import filter_sheet
    from convmedia.models.analysis.grad_cam import filters

    sheet = save_figure(filter_sheet(filters(predictor.model), before), out / "filters.png")
    for number, file in enumerate(files):
        try:
            with fitting(file):
                written = explain_picture(predictor, decoding.decode(file), out, f"{number:04}-{Path(file).stem}")
        except InputError as error:
            yield file, str(error)
            continue
        yield file, [sheet, *written] if number == 0 else written


def explain_picture(predictor: Predictor, picture: np.ndarray, out: Path, stem: str) -> list[Path]:
    """Maps of each layer; and where the network looked, beside what it was given."""
    from convmedia.apps.reporting.feature_maps import activation_sheet, overlay
    from convmedia.models.analysis import grad_cam

    picture = reduced(picture, 1024)
    maps = save_figure(activation_sheet(grad_cam.activations(predictor.model, picture)), out / f"{stem}-maps.png")
    heat, _ = grad_cam.grad_cam(predictor.model, picture)
    shown = looked_at(predictor, picture, heat.shape)
    side = (shown.shape[1], shown.shape[0])
    cam = out / f"{stem}-grad-cam.png"
    decoding.encode(np.concatenate([shown, overlay(shown, resized(heat.astype("float32"), side))], axis=1), cam)
    return [maps, cam]


def looked_at(predictor: Predictor, picture: np.ndarray, size: tuple[int, ...], least_px: int = 280) -> np.ndarray:
    """What the network sees, to lay heat of `size` over: enlarged so that its pixels show where it is small.

    Of a network that squashes photos to a square this is the photo, squashed; of one that cuts something out, the cut.
    """
    from convmedia.apps.reporting.feature_maps import stretched
    from convmedia.models.analysis import grad_cam

    if predictor.details.get("preparation") == "ink":
        seen = stretched(grad_cam.prepared(predictor.model, picture))
    else:
        seen = resized(picture, (size[1], size[0]))
    factor = -(-least_px // max(seen.shape[:2]))
    return seen.repeat(factor, 0).repeat(factor, 1)
