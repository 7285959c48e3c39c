"""What a frozen backbone answers to every picture: computed once, kept in the user's cache."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
from keras import ops

from convmedia.apps.console.progress import progress
from convmedia.apps.training import distributed
from convmedia.apps.training.mixed_precision import twin
from convmedia.data.datasets.photos import EDITION, Decoded, Split
from convmedia.data.storage import arrays, cache
from convmedia.data.storage.files import replacing
from convmedia.models.backbones import catalogue
from convmedia.models.inference.predictor import in_inference

BATCH = 32
CACHE_BYTES = 4 << 30  # of all features together


def of(
    frozen: keras.Model, backbone: str, split: Split, side: int, bank: Callable[[], Decoded], mirrored: bool = False
) -> np.ndarray:
    """Features of the pictures of a split: float32 (n, size), from the cache where they are in it; of several
    processes each computes its part.

    They depend on the pictures' content and size, the preparation, and the weights, and on nothing else.

    Args:
        frozen: pictures as `backbones.as_input` gives them to (batch, size).
        backbone: its name.
        bank: gives the decoded pictures, and is asked only where the cache has no features.
        mirrored: of the pictures' mirror images instead.
    """
    key = [EDITION, keras.__version__, side, mirrored, digest(frozen), backbone, *split.digests]
    path = cache.place("features", "\n".join(map(str, key)), ".npz")
    found = read(path, (len(split), frozen.output_shape[-1]))
    if not distributed.everyone(found is not None) or found is None:
        found = distributed.shared_out(len(split), partial(computed, frozen, backbone, bank(), mirrored))
        keep(path, found)
    return found


def read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """Features from the cache; None where they are not there, or the file is cut or altered."""
    try:
        found = arrays.read(path)["features"]
        cache.used(path)
    except arrays.DAMAGED:
        return None
    return found if (found.shape, found.dtype) == (shape, np.float32) else None


def computed(frozen, backbone: str, bank: Decoded, mirrored: bool, places: np.ndarray) -> np.ndarray:
    """The features of the pictures at `places`, batch by batch, with a bar."""
    answer = in_inference(twin(frozen, "float32"))
    found = np.empty((len(places), frozen.output_shape[-1]), "float32")
    with progress("features") as update:
        for start in range(0, len(places), BATCH):
            batch = bank.batch(places[start : start + BATCH]).astype("float32")
            batch = np.ascontiguousarray(batch[:, :, ::-1]) if mirrored else batch  # PyTorch takes no reversed views
            found[start : start + BATCH] = ops.convert_to_numpy(answer(catalogue.as_input(backbone, batch)))
            update(min(start + BATCH, len(places)), len(places))
    return found


def keep(path: Path, found: np.ndarray) -> None:
    """Write features to the cache; where that has no room, only time is lost."""
    try:
        with replacing(path) as beside, beside.open("wb") as file:
            np.savez(file, features=found)
        cache.trim(path.parent, CACHE_BYTES)
    except OSError:
        return


def digest(network: keras.Model) -> str:
    """SHA-256 over the weights of a network, and over what its layers are."""
    sum = hashlib.sha256(network.to_json().encode())
    for weight in network.get_weights():
        sum.update(np.ascontiguousarray(weight).tobytes())
    return sum.hexdigest()
