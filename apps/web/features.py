"""Files of features for pages that learn: made once, proved, kept in the cache."""

from pathlib import Path

import numpy as np

from convmedia.apps.cli.backend import use_backend
from convmedia.apps.console.progress import said_if_long
from convmedia.data import samples
from convmedia.data.storage import extras
from convmedia.data.storage.cache import place, used
from convmedia.data.storage.files import digest, replacing
from convmedia.models.backbones.rows import row_of
from convmedia.models.saving.archive import Archive
from convmedia.models.saving.places import WEIGHTS

KIND, EDITION = "page-features", 1
"""Folder of the cache; to be raised when the same network gives another file."""

NETWORK = "efficientnet-lite0"
SOUNDS = WEIGHTS / "audio.keras"
WHAT = "A page that learns"


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
    extras.require(WHAT, "onnx", "tf2onnx", "onnx", "onnxruntime")
    use_backend(None)
    with said_if_long("writing the network of features"):
        from convmedia.data.images.decoding import decode
        from convmedia.models.export import feature_file

        examples = [decode(file)[None] for file in sorted(samples.FOLDER.glob("*.jpg"))]
        kept.parent.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as beside:
            feature_file.write(feature_file.of_backbone(network), beside, examples)
    return kept


def sounds() -> Path:
    """The network of `convmedia audio` as ONNX, its head open: waveforms, float32 (batch, samples), to `output_0`,
    float32 (batch, labels), the mean over windows, and to `features`, float32 (windows, size).

    Raises:
        InputError: what writes the file is not installed.
        ValueError: the file does not answer as the network does.
    """
    kept = place(KIND, f"{EDITION}\n{SOUNDS.name}\n{digest(SOUNDS)}", ".onnx")
    if kept.is_file():
        used(kept)
        return kept
    extras.require(WHAT, "onnx", "onnx", "onnxruntime")
    from convmedia.data.audio import decoding
    from convmedia.models.export import open_head

    spoken = decoding.read(samples.FOLDER / "seven.wav", Archive(SOUNDS).answer.input_description["sample_rate"])
    kept.parent.mkdir(parents=True, exist_ok=True)
    with replacing(kept) as beside:
        open_head.write(SOUNDS.with_suffix(".onnx"), beside, [spoken[None], np.tile(spoken, 7)[None]])
    return kept
