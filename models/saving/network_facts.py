"""What is known of every network without building it: counted once by `docs/network_facts.py`."""

import json
import os
from pathlib import Path
from typing import Any

from convmedia.models.backbones.rows import BACKBONES, TF_KERNELS, cache_folder
from convmedia.models.saving.places import WEIGHTS

FACTS = WEIGHTS / "networks.json"
SHIPPED = {
    "mnist/convnet": "mnist.keras",
    "cats-vs-dogs/resnet": "cats-vs-dogs.keras",
    "audio/compact": "audio.keras",
    "style-transfer/painter": "style-transfer.keras",
}
"""Weights that come with the package, but for those that are called as their network is."""


def rows() -> list[dict[str, Any]]:
    """A row for each network: {"application", "name", "input": shape without the batch, "parameters",
    "multiply_adds", "receptive_field": px, "source", "licence", "weights": "package", "cache", "missing" or "none",
    "files": paths, "bytes": of the first file, or None}.
    """
    facts = json.loads(FACTS.read_text(encoding="utf-8"))
    found = []
    for key, row in facts.items():
        application, name = key.split("/")
        place, files = weights(application, name)
        size = files[0].stat().st_size if files else None
        found.append({"application": application, "name": name, **row, "weights": place, "files": files, "bytes": size})
    return found


def weights(application: str, name: str) -> tuple[str, list[Path]]:
    """Where the weights of a network are: in the "package", in Keras's "cache", "missing" there; or there are "none".

    Returns:
        That, and the files, which are there.
    """
    if application == "transfer":
        return _of_backbone(name)
    shipped = SHIPPED.get(f"{application}/{name}", f"{name}_x*.keras")
    files = sorted(WEIGHTS.glob(shipped))
    return ("package" if files else "none"), files


def _of_backbone(name: str) -> tuple[str, list[Path]]:
    row = BACKBONES[name]
    if row.shipped:
        return "package", [row.shipped]
    given = os.environ.get("CONVMEDIA_DATA")
    if name == "squeezenet" and given and (beside := sorted(Path(given, "backbones").glob(f"squeezenet*{TF_KERNELS}"))):
        return "cache", beside[:1]
    file = cache_folder() / row.file
    return ("cache", [file]) if file.is_file() else ("missing", [])
