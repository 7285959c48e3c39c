"""Files of features for pages that learn: made once, proved, kept in the cache."""

from pathlib import Path

from convmedia.apps.cli.backend import use_backend
from convmedia.apps.console.progress import said_if_long
from convmedia.data.storage import extras
from convmedia.data.storage.cache import place, used
from convmedia.data.storage.files import digest, replacing
from convmedia.models.backbones.rows import row_of

KIND, EDITION = "page-features", 1
"""Folder of the cache; to be raised when the same network gives another file."""

NETWORK = "efficientnet-lite0"


def pictures(network: str = NETWORK) -> Path:
    """A backbone whose weights come with the package, as ONNX: raw pictures, uint8 (batch, height, width, 3), to
    `features`, float32 (batch, maps).

    Raises:
        InputError: what writes the file is not installed, or the file does not answer as Keras does.
    """
    row = row_of(network)
    assert row.shipped is not None
    kept = place(KIND, f"{EDITION}\n{network}\n{row.side}\n{digest(row.shipped)}", ".onnx")
    if kept.is_file():
        used(kept)
        return kept
    extras.require("A page that learns", "onnx", "tf2onnx", "onnx", "onnxruntime")
    use_backend(None)
    with said_if_long("writing the network of features"):
        from convmedia.data import samples
        from convmedia.data.images.decoding import decode
        from convmedia.models.export import feature_file

        examples = [decode(file)[None] for file in sorted(samples.FOLDER.glob("*.jpg"))]
        kept.parent.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as beside:
            feature_file.write(feature_file.of_backbone(network), beside, examples)
    return kept
