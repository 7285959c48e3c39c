"""The SavedModel that is exported: one endpoint takes tensors, the other one files as they lie on a disk.

`serve` takes what the other formats take. `serve_bytes` takes the bytes of encoded files, so that a client of
TensorFlow Serving sends a picture or a sound as it is: JPEG and PNG of 8 bits, upright by their Exif orientation and
transparent ones composited as `predict` does; WAV of 16 bits at the model's sample rate. Other files are refused.
"""

import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from convmedia.data.images import decoding
from convmedia.models.answer import Answer
from convmedia.models.formats.picture_decoding import decoded_picture

BYTES = "serve_bytes"
TURNED = 6  # Exif's orientation of files that an export is tried on: rows are columns and turned round
RATE_REFUSED = "the sample rate of a sound is not the model's"


def write(model: keras.Model, path: Path, signature: list) -> None:
    """Write the folder.

    Args:
        model: an assembled one that labels or gives pictures; another one gets `serve` alone.
        signature: of `serve`, as `keras.Model.export` takes it.
    """
    archive = keras.export.ExportArchive()
    archive.track_and_add_endpoint("serve", model, signature)
    if takes_files(model):
        add_bytes(archive, model)
    archive.write_out(path, verbose=False)


def takes_files(model: keras.Model) -> bool:
    """Whether its SavedModel has `serve_bytes`: every kind of answer says what that gives."""
    return isinstance(model.layers[-1], Answer)


def add_bytes(archive: Any, model: keras.Model) -> None:
    """Add `serve_bytes` to an archive that has `serve`."""
    import tensorflow as tf

    others = [tf.TensorSpec([None, *tensor.shape[1:]], tf.float32, tensor.name) for tensor in model.inputs[1:]]
    archive.add_endpoint(BYTES, endpoint(model), [tf.TensorSpec([None], tf.string, "file_bytes"), *others])


def endpoint(model: keras.Model) -> Callable[..., dict[str, Any]]:
    """Encoded files, a string each, and further inputs of the model to its answers.

    Returns:
        Function of (n,) strings to what the kind of answer serves: {"scores": float32 (n, labels), "labels": strings
        (n, labels)}, the labels once for each file, because TensorFlow Serving wants as many rows of each output; of
        models that give pictures {"picture_bytes": (n,) strings, PNG}.
    """
    import tensorflow as tf

    description = model.layers[-1]
    kind = description.kind
    names = [name for name in kind.served if name != "labels"]
    types = tuple(tf.as_dtype(kind.served[name]) for name in names)
    given_as = types if len(types) > 1 else types[0]
    rate = description.input_description.get("sample_rate")

    def answer(given):
        content, *others = given
        raw = decoded_picture(content) if rate is None else decoded_sound(content, rate)
        batch = [raw[tf.newaxis], *(other[tf.newaxis] for other in others)]
        answered = tf.nest.flatten(model(batch if others else batch[0], training=False))
        return kind.as_served([tensor[0] for tensor in answered])

    def serve_bytes(file_bytes, *others):
        answers = tf.nest.flatten(tf.map_fn(answer, [file_bytes, *others], fn_output_signature=given_as))
        served = dict(zip(names, answers, strict=True))
        if "labels" in kind.served:
            served["labels"] = tf.tile([description.labels], [tf.size(file_bytes), 1])
        return served

    return serve_bytes


def decoded_sound(content, sample_rate: int):
    """Bytes of a WAV of 16 bits to float32 (samples,), -1..1, the mean of its channels."""
    import tensorflow as tf

    samples, rate = tf.audio.decode_wav(content)
    same = tf.debugging.assert_equal(rate, int(sample_rate), f"{RATE_REFUSED}, {int(sample_rate)} Hz")
    with tf.control_dependencies([same]):
        return tf.reduce_mean(samples, axis=-1)


FILES = {
    "image": ("PNG", "JPEG", "grey PNG", "grey JPEG", "transparent PNG", "turned PNG", "turned JPEG"),
    "sound": ("WAV", "stereo WAV"),
}
"""Kinds of files that `serve_bytes` takes, by the model's kind of input."""


def encoded(example: np.ndarray, sample_rate: float | None, kind: str | None = None) -> tuple[bytes, np.ndarray]:
    """A raw example as a file that `serve_bytes` takes, and what is in that file, as the model takes it.

    Args:
        example: uint8 (height, width, 3), or float32 (samples,) of a sound.
        sample_rate: Hz, of sounds.
        kind: of `FILES`; None for the first one of them.
    """
    if sample_rate is None:
        return _encoded_picture(example, kind or "PNG")
    return _encoded_sound(example, int(sample_rate), kind or "WAV")


def _encoded_picture(picture: np.ndarray, kind: str) -> tuple[bytes, np.ndarray]:
    """What is in the file is read by Pillow, as `predict` reads files."""
    content = io.BytesIO()
    *how, suffix = kind.split()
    options: dict[str, Any] = {"compress_level": 1} if suffix == "PNG" else {"quality": 90}
    image = Image.fromarray(picture).convert("L" if "grey" in how else "RGB")
    if "turned" in how:
        exif = Image.Exif()
        exif[0x0112] = TURNED
        options["exif"] = exif
    if "transparent" in how:
        rows, columns = np.indices(picture.shape[:2])
        image.putalpha(Image.fromarray((37 * rows + 91 * columns).astype(np.uint8)))
    image.save(content, suffix, **options)
    return content.getvalue(), decoding.decode(content.getvalue())


def _encoded_sound(samples: np.ndarray, sample_rate: int, kind: str) -> tuple[bytes, np.ndarray]:
    """The second channel of stereo is another sound."""
    channels = [samples, 0.5 * samples[::-1]] if kind.startswith("stereo") else [samples]
    values = np.round(np.clip(np.stack(channels, axis=1), -1.0, 1.0 - 2.0**-15) * 2.0**15).astype("<i2")
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((len(channels), 2, sample_rate, len(samples), "NONE", "not compressed"))
        file.writeframes(values.tobytes())
    return content.getvalue(), (values.astype(np.float32) / 2.0**15).mean(axis=1, dtype=np.float32)
