"""Keras and TensorFlow: which backend, loaded in silence."""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from convmedia.apps.console.progress import said_if_long
from convmedia.apps.console.supervision import supervised
from convmedia.data.storage import extras, memory
from convmedia.data.storage.errors import InputError

BACKENDS = ("tensorflow", "jax", "torch")


def use_backend(backend: str | None, distribute: bool = False) -> None:
    """Choose the Keras backend, with `distribute` JAX; to be called before Keras is imported. Quiets TensorFlow's
    start-up messages, and has it use memory again.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    memory.reused_by_tensorflow()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # such as on functions that are traced for several sizes
    if distribute and backend not in (None, "jax"):
        raise InputError(f"--distribute trains with JAX: leave --backend {backend} out")
    if distribute:
        supervised()  # before anything is loaded that the process which watches does not need
    backend = "jax" if distribute else backend
    name = backend or os.environ.get("KERAS_BACKEND") or "tensorflow"
    if name not in BACKENDS:
        raise InputError(f"the backend {name} is unknown: give one of {', '.join(BACKENDS)}")
    extras.require(f"--backend {name}", name, name)
    os.environ["KERAS_BACKEND"] = name
    with quiet_start():
        import keras

        keras.config.set_image_data_format("channels_last")  # whatever ~/.keras/keras.json says
        keras.config.set_floatx("float32")
    if backend not in (None, keras.backend.backend()):
        raise InputError(f"--backend {backend} comes too late, Keras is loaded: set KERAS_BACKEND={backend}")


def load_pipelines() -> None:
    """Load TensorFlow, which makes the training examples and is in what Keras loads with a seed, in silence.

    With another backend its share of a GPU would be idle.
    """
    with quiet_start():
        import keras
        import tensorflow as tf
    if keras.backend.backend() != "tensorflow":
        tf.config.set_visible_devices([], "GPU")


@contextmanager
def quiet_start() -> Iterator[None]:
    """Hold back what libraries print on file descriptor 2 as they are loaded; shown if loading fails.

    TensorFlow 2.21 writes six lines there before any of its log levels applies.
    """
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # an extension cannot be interrupted while it loads
    screen = os.dup(2)
    try:
        with (
            tempfile.TemporaryFile() as held,
            open(screen, "w", closefd=False) as shown_on,
            said_if_long("loading TensorFlow", shown_on),
        ):
            os.dup2(held.fileno(), 2)
            try:
                yield
            except BaseException:
                held.seek(0)
                os.write(screen, held.read())
                raise
    finally:
        os.dup2(screen, 2)
        os.close(screen)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
