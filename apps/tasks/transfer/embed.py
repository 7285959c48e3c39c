"""Features of picture files, written as one array or table."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.apps.cli.backend import use_backend
from convmedia.apps.cli.row_formats import PARQUET
from convmedia.apps.console.progress import progress
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import replacing, shown
from convmedia.data.storage.model_files import require_layers
from convmedia.models.inference import features


def network_of(backbone: str, model: str | None) -> features.Network:
    """What gives the features: a trained model, or a backbone with its ImageNet weights.

    Raises:
        InputError: as of `models.load`; a model that takes no pictures or scores no labels.
    """
    if model is None:
        return features.Pretrained(backbone, partial(use_backend, None))
    require_layers(model)
    use_backend(None)
    from convmedia.models import load

    predictor = load(model)
    if predictor.input["kind"] != "image":
        raise InputError(f"{shown(model)} takes a {predictor.input['kind']}; give a model that takes pictures")
    return features.Trained(predictor.model, str(predictor.digest))


def embed(network: features.Network, files: Sequence[Path], out: Path) -> dict[str, Any]:
    """Write a vector for each file that can be read, in the order given; a file that is named twice has two.

    Args:
        out: an .npz with `files`, (n,) text, and `features`, float32 (n, size); or .parquet with a row for each file.

    Returns:
        {"out", "files": written, "size": numbers of a vector, "errors": [{"file", "error"}, ...]}.
    """
    with progress("features") as update:
        found = features.of_files(network, files, update)
    kept = [index for index in range(len(files)) if index not in found.failed]
    names, vectors = [str(files[index]) for index in kept], found.vectors[kept]
    with replacing(out) as beside:
        if out.suffix.lower() == PARQUET:
            write_parquet(beside, names, vectors)
        else:
            with beside.open("wb") as file:
                np.savez(file, files=np.array(names, np.str_), features=vectors)
    errors = [{"file": str(files[index]), "error": reason} for index, reason in sorted(found.failed.items())]
    return {"out": str(out), "files": len(kept), "size": network.size, "errors": errors}


def write_parquet(path: Path, names: Sequence[str], vectors: np.ndarray) -> None:
    """Columns `file`, text, in which bytes that are not UTF-8 are escaped, and `features`, a list of float32."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), vectors.shape[1])
    pq.write_table(pa.table({"file": pa.array(map(shown, names), pa.string()), "features": values}), path)
