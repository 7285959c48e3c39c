"""The saved file: one `.keras` that takes raw input and gives the answer. Joining, writing, reading, loading it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
from keras import ops

from convmedia.data.storage import arrays
from convmedia.data.storage.errors import InputError, in_one_line
from convmedia.data.storage.files import replacing, shown
from convmedia.data.storage.model_files import require_archive
from convmedia.models.analysis.layer_tree import every_layer
from convmedia.models.answer import Answer
from convmedia.models.description import wrong_description
from convmedia.models.inference.predictor import Predictor
from convmedia.models.keras_internals import variables_within
from convmedia.models.networks.sounds import renewed
from convmedia.models.saving import safe_archive
from convmedia.models.saving.places import place, require_application, require_shipped, shipped_place


def save(model: keras.Model, path: str | Path, noted: Callable[[Path], None] = lambda beside: None) -> None:
    """Write an assembled model to `path` (suffix .keras), without optimizer, beside and renamed.

    Args:
        noted: called with the complete file before it gets its name.

    Raises:
        OSError: no space left, no permission.
    """
    with replacing(path) as beside, _uncompiled(model):
        model.save(beside)
        noted(beside)


@contextmanager
def _uncompiled(model: keras.Model) -> Iterator[None]:
    """Hide the optimizers of a model and of the models within it: Keras would write their state into the file."""
    compiled = [part for part in every_layer(model) if isinstance(part, keras.Model) and part.compiled]
    optimizers = [part.optimizer for part in compiled]
    for part in compiled:
        part.compiled, part.optimizer = False, None
    try:
        yield
    finally:
        for part, optimizer in zip(compiled, optimizers, strict=True):
            part.compiled, part.optimizer = True, optimizer


def read(path: str | Path) -> keras.Model:
    """Read a file that `save` wrote, with Keras's safe mode on.

    Raises:
        InputError: no such file, not a Keras file, damaged, altered (see `archives.check` and `wrong_description`), of
            other origin, or with weights that are NaN or infinite.
    """
    path = Path(path)
    require_archive(path)
    try:
        with variables_within(safe_archive.check(path)):
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except arrays.DAMAGED as error:
        raise InputError(f"{shown(path)} cannot be read as a Keras model ({in_one_line(error)}).") from error
    if not isinstance(model, keras.Model) or not isinstance(model.layers[-1], Answer):
        raise InputError(
            f"{shown(path)} is a Keras model that this program did not write (it has no answer layer); "
            "give the model.keras of a run."
        )
    reason = wrong_description(model.layers[-1], [tensor.shape for tensor in model.outputs])
    if reason:
        raise InputError(f"{shown(path)} was altered: {reason}; give the model.keras of a run.")
    _refuse_no_numbers(model, path)
    return renewed(model)


def _refuse_no_numbers(model: keras.Model, path: Path) -> None:
    for layer in every_layer(model):
        # Of a model within the model each layer follows by itself.
        weights = [] if isinstance(layer, keras.Model) else layer.weights
        if not all(np.isfinite(ops.convert_to_numpy(weight)).all() for weight in weights):
            raise InputError(
                f"{shown(path)} holds NaN or infinity in the weights of layer {layer.name!r}; "
                "train again, or give another model."
            )


def load(source: str | Path, app: str | None = None) -> Predictor:
    """Load what answers: `load("runs/digits")`, `load("model.keras")`, `load("mnist")`.

    Args:
        source: a run folder, a `.keras` file, or the name of shipped weights: an application ("mnist"), or one of its
            networks ("super-resolution/vdsr-x2"). A path that exists goes before a name; `shipped` takes names only.
        app: the application it must be of; None takes any.

    Raises:
        InputError: nothing there, nothing shipped, damaged, or of another application.
    """
    path = place(source)
    predictor = Predictor(read(path), path)
    if not Path(source).exists():
        require_shipped(predictor.app, str(source))
    require_application(predictor.app, source, app)
    return predictor


def shipped(name: str) -> Predictor:
    """Load weights that this package ships, `models/weights/<name>.keras`.

    Args:
        name: an application, or one of its networks: "super-resolution/vdsr-x2".

    Raises:
        InputError: none are shipped under that name.
    """
    path = shipped_place(name)
    predictor = Predictor(read(path), path)
    require_shipped(predictor.app, name)
    return predictor
