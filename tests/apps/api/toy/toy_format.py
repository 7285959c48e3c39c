"""An export format: ONNX with the author's name in it."""

from pathlib import Path

import keras

from convmedia.models.formats.writers import write_onnx


def write_signed(model: keras.Model, path: Path) -> None:
    """An ONNX file as `write_onnx` writes it, signed."""
    import onnx

    write_onnx(model, path)
    written = onnx.load(path)
    written.producer_name = "toy"
    onnx.save(written, path)
