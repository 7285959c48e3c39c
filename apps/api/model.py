"""A trained model from Python: ask it, look inside, export it."""

import io
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convmedia.apps.cli.backend import use_backend
from convmedia.apps.cli.inputs import AUTO, exported_for, require_keras
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.data.storage.model_files import require_layers

if TYPE_CHECKING:
    from PIL.Image import Image

    from convmedia.models.inference.file_predictor import FilePredictor
    from convmedia.models.inference.predictor import Predictor

Given = "str | os.PathLike[str] | bytes | np.ndarray | Image"


def load(source: "str | os.PathLike[str]", app: str | None = None, runtime: str = AUTO) -> "Model":
    """Load what answers.

    Args:
        source: a run folder, a `.keras` file, an exported `.onnx` or `.tflite` file, which only answers, or the name
            of weights that the package ships: an application ("mnist"), or one of its networks
            ("super-resolution/vdsr-x2").
        app: the application that it must be of; None takes any.
        runtime: what computes, as `--engine-runtime` has it: "auto" takes a file that `export` proved to answer as the
            model does, where one is at hand, else Keras; "keras"; "litert" or "onnx".

    Raises:
        InputError: nothing there, nothing shipped, damaged, or of another application; no such runtime, or no export
            for it.
    """
    given = source if isinstance(source, str) else Path(source)
    path = str(given) if Path(given).exists() else None
    exported = exported_for(given, app, runtime)
    if exported is not None:
        return Model(exported, path)
    require_keras(given)
    use_backend(None)
    from convmedia.models import load as read

    return Model(read(given, app), path)


class Model:
    """A trained model. It takes what files hold, as the commands do, and prepares it as they do.

    Attributes:
        predictor: what it asks; calling that with a batch of arrays gives the tensors of the answer.
        source: the run folder or file that it came from; None for shipped weights.
    """

    def __init__(self, predictor: "FilePredictor", source: str | None = None):
        self.predictor, self.source = predictor, source

    def __repr__(self) -> str:
        return f"Model({self.app!r}, {self.source or 'shipped weights'!r})"

    @property
    def runtime(self) -> str:
        """What computes: "keras", "litert" or "onnx"."""
        return self.predictor.runtime

    @cached_property
    def _in_keras(self) -> "Predictor":
        """The model with its layers, which exported files do not have."""
        from convmedia.models.inference.predictor import Predictor

        if isinstance(self.predictor, Predictor):
            return self.predictor
        assert self.predictor.path is not None
        require_layers(self.predictor.path)
        require_keras(self.predictor.path)
        use_backend(None)
        from convmedia.models import load as read

        return read(self.predictor.path)

    @property
    def app(self) -> str:
        """The application, as its command has it."""
        return self.predictor.app

    @property
    def labels(self) -> list[str] | None:
        """The labels in the order of the scores, of a number its one name; None of a model that gives pictures."""
        return self.predictor.labels

    @property
    def description(self) -> dict[str, Any]:
        """What the file says of itself: "app", "kind" of answer, "labels", "input", "details"."""
        asked = self.predictor
        facts = {"app": asked.app, "kind": asked.kind.name, "labels": asked.labels, "input": asked.input}
        return {**facts, "details": asked.details}

    def predict(self, given: Any, top: int | None = None, sample_rate: int | None = None) -> Any:
        """Answer one picture or sound, or several.

        Args:
            given: a path, the bytes of a file, a PIL picture, an array, or a list of these. Pictures are (height,
                width), (height, width, 1, 3 or 4), uint8 or float in 0..255, which is rounded, or bool; sounds
                (samples,), float in -1..1 or int16. An array with one dimension more is several of them.
            top: how many labels a row names; None means five, or all where there are fewer.
            sample_rate: of an array of samples, Hz; None for the model's own.

        Returns:
            What `predict --json` says of a file, without its name: {"label", "score", "top": [{"label", "score"},
            ...]}, or what else the kind of answer has. Of a model that gives pictures: uint8 (height, width, 3). A
            list where several were given.

        Raises:
            InputError: it cannot be used, in one line.
        """
        if several(given, self.predictor.input["kind"]):
            return [self.predict(one, top, sample_rate) for one in given]
        if self.predictor.input["kind"] == "sound":
            return self._heard(given, top, sample_rate)
        picture = picture_of(given)
        if self.labels is None:
            return self._made(picture)
        row = self.predictor.row_of(picture, top)
        if "error" in row:
            raise InputError(row["error"])
        return {name: value for name, value in row.items() if name != "file"}

    def predict_files(
        self, files: "Iterable[str | os.PathLike[str]]", top: int | None = None, batch_size: int = 32
    ) -> list[dict[str, Any]]:
        """Rows of files in the order given, as `predict --json` has them: one that cannot be used has an "error"."""
        return self.predictor.predict_files(map(Path, files), top, batch_size)

    def embed(self, given: Any, sample_rate: int | None = None) -> np.ndarray:
        """The features of pictures or sounds before the layer that scores labels.

        Args:
            given, sample_rate: as of `predict`.

        Returns:
            float32 (features,), or (n, features) where several were given. Of a sound the mean over its windows.

        Raises:
            InputError: it cannot be used, or the model scores no labels.
        """
        if several(given, self.predictor.input["kind"]):
            return np.stack([self.embed(one, sample_rate) for one in given])
        if self.predictor.input["kind"] == "sound":
            return self._features(np.concatenate(list(self._blocks(given, sample_rate))))
        return self._features(self.predictor.on_page(picture_of(given)))

    def export(
        self,
        *formats: str,
        out: "str | os.PathLike[str] | None" = None,
        data: str | None = None,
        tolerance: float | None = None,
        size: tuple[int, int] | None = None,
        seconds: float | None = None,
        servers: Sequence[str] = (),
    ) -> dict[str, dict[str, Any]]:
        """Write files and prove each in its own runtime, in a child process, to answer as the model does.

        Args:
            formats: "saved-model", "onnx", "litert", "onnx-int8", "litert-float16", "litert-int8", or "web", a
                page for browsers; none for the first three, or for what `servers` need.
            out: the folder; None for `export` in the run folder, or APPLICATION-export for shipped weights.
            data: the set that gives examples where the model has none beside it, and on whose test split quantised
                files are measured.
            tolerance: what a quantised file may lose: points of accuracy, dB of PSNR; None for what is usual.
            size: height and width, px, of the only pictures that the files are to take; None for every size.
            seconds: of the only sounds that they are to take; None for every length.
            servers: "tf-serving", "triton", "kserve": the folders that these load are written, too.

        Returns:
            The content of `parity.json`: of each format its figures, or {"refused": why}.

        Raises:
            InputError: unknown format or server, a size that is none, missing packages, no examples.
        """
        from convmedia.apps.api.tasks import task_of
        from convmedia.apps.cli.fixed_sizes import Fixed
        from convmedia.apps.verbs.export import exported
        from convmedia.models.servers.servers import formats_of

        fixed = Fixed("x".join(map(str, size)) if size is not None else seconds)
        needed = formats_of(servers)
        names = list(dict.fromkeys([*formats, *needed])) or ["saved-model", "onnx", "litert"]
        folder = None if out is None else Path(out)
        task = task_of(self.app)
        return exported(task, self._in_keras, self.source, names, folder, data, tolerance, fixed, servers)[0]

    @cached_property
    def _features(self) -> Callable[[np.ndarray], np.ndarray]:
        from convmedia.models.analysis.embedding import embedder

        return embedder(self._in_keras.model)

    @cached_property
    def _listener(self) -> Any:
        from convmedia.models.inference.sound_predictor import Listener

        return Listener(self.predictor)

    def _made(self, picture: np.ndarray) -> np.ndarray:
        from convmedia.models.inference.tiling import whole_picture

        scale = self.predictor.details.get("scale")
        if scale is not None:
            answer = whole_picture(self.predictor, picture, int(scale))
        else:
            others = [np.full((1, n), 1.0 / n, np.float32) for n in self.predictor.beside]
            answer = self.predictor.finite(picture[np.newaxis], *others)[0]
        return np.clip(np.round(answer), 0, 255).astype(np.uint8)

    def _heard(self, given: Any, top: int | None, sample_rate: int | None) -> dict[str, Any]:
        name = shown(Path(given)) if isinstance(given, str | os.PathLike) else "the sound"
        [(sound, _)] = self._listener.heard([(name, self._blocks(given, sample_rate))])
        row = self._listener.row(sound, top, False)
        if "error" in row:
            raise InputError(row["error"])
        return {key: value for key, value in row.items() if key != "file"}

    def _blocks(self, given: Any, sample_rate: int | None) -> Iterable[np.ndarray]:
        """A sound in pieces, float32 (samples,) each, at the model's sample rate."""
        from convmedia.data.audio import decoding as audio_decoding

        rate = self._listener.sample_rate
        if isinstance(given, np.ndarray):
            own = sample_rate or rate
            samples = waveform_of(given)
            yield from [samples] if own == rate else audio_decoding.resampled([samples], own, rate)
        elif isinstance(given, bytes):
            with tempfile.NamedTemporaryFile(suffix=".sound") as file:
                file.write(given)
                file.flush()
                yield from audio_decoding.blocks(file.name, rate)
        else:
            yield from audio_decoding.blocks(given, rate)


def several(given: Any, kind: str) -> bool:
    """Whether more than one picture or sound is given."""
    if isinstance(given, list | tuple):
        return True
    return isinstance(given, np.ndarray) and given.ndim == (4 if kind == "image" else 2)


def picture_of(given: Any) -> np.ndarray:
    """What `Model.predict` takes for a picture, as uint8 (height, width, 3).

    Raises:
        InputError: it is no picture.
    """
    from PIL import Image

    from convmedia.data.images import decoding

    if isinstance(given, Image.Image):
        return decoding.decode(as_png(given))
    if not isinstance(given, np.ndarray):
        return decoding.decode(given)
    values = given[..., 0] if given.ndim == 3 and given.shape[-1] == 1 else given
    grey, coloured = values.ndim == 2, values.ndim == 3 and values.shape[-1] in (3, 4)
    if not (grey or coloured) or not values.size:
        raise InputError(f"a picture is (height, width) or (height, width, 1, 3 or 4); received {given.shape}")
    if values.dtype == bool:
        values = values * np.uint8(255)
    if values.dtype != np.uint8:
        if not np.issubdtype(values.dtype, np.floating) or not np.isfinite(values).all():
            raise InputError(f"a picture is uint8, bool or finite float in 0..255; received {given.dtype}")
        values = np.clip(np.round(values), 0, 255).astype(np.uint8)
    if values.ndim == 3 and values.shape[-1] == 4:
        return decoding.decode(as_png(Image.fromarray(values)))
    return np.repeat(values[..., np.newaxis], 3, axis=2) if grey else np.ascontiguousarray(values)


def as_png(image: "Image") -> bytes:
    """A PIL picture as the content of a file, which is read as every other file."""
    content = io.BytesIO()
    kept = image if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") else image.convert("RGB")
    kept.save(content, "PNG", compress_level=1, exif=image.getexif())
    return content.getvalue()


def waveform_of(given: np.ndarray) -> np.ndarray:
    """Samples as float32 (samples,), -1..1.

    Raises:
        InputError: another shape or dtype, or NaN.
    """
    if given.ndim != 1 or not given.size:
        raise InputError(f"a sound is (samples,); received {given.shape}")
    if given.dtype == np.int16:
        return given.astype(np.float32) / np.float32(2**15)
    if not np.issubdtype(given.dtype, np.floating) or not np.isfinite(given).all():
        raise InputError(f"a sound is int16, or finite float in -1..1; received {given.dtype}")
    return given.astype(np.float32)
