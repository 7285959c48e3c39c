"""The raw inputs that a run keeps, to verify and calibrate exports with. Read without Keras."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convmedia.data.storage import arrays
from convmedia.data.storage.errors import InputError, in_one_line
from convmedia.data.storage.files import replacing, shown
from convmedia.models.formats.runtimes import read_arrays, write_arrays

EXAMPLE_LIMIT = 200


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
        with zipfile.ZipFile(path) as archive:
            names = sorted(archive.namelist())
        found = list(read_arrays(path))
        kinds = {(example.ndim, str(example.dtype)) for example in found}
        if names != [f"{place:05}.npy" for place in range(len(names))] or kinds not in (
            {(3, "uint8")},
            {(1, "float32")},
        ):
            raise ValueError("it was altered")
    except arrays.DAMAGED as error:
        raise InputError(
            f"{shown(path)} holds no readable examples ({in_one_line(error, 100)}); give --data."
        ) from error
    return found
