"""Features of many picture files: what a pretrained network, or a trained model, makes of each, a vector a file.

    network = Pretrained("efficientnet-lite0")
    found = of_files(network, files)
    found.vectors, found.failed             # float32 (n, 1280); {index of a file: why it has none}

Keras is loaded when a file is met whose vector is not in the cache.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from convmedia.data.images import decoding
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import digest as digest_of
from convmedia.data.storage.parallel import in_order
from convmedia.data.storage.vectors import Kept
from convmedia.models.backbones.rows import row_of

if TYPE_CHECKING:
    import keras

BATCH = 32
EDITION = 1
"""To be raised when the same picture gets another vector."""


class Network(Protocol):
    """What gives features of pictures.

    Attributes:
        key: all that they depend on beside the file's content.
        size: numbers of a vector.
    """

    @property
    def key(self) -> str: ...

    @property
    def size(self) -> int: ...

    def read(self, path: Path) -> np.ndarray:
        """A picture as `features` takes it, uint8. Raises InputError as `images.decode`."""
        ...

    def features(self, pictures: list[np.ndarray]) -> np.ndarray:
        """float32 (n, size)."""
        ...


class Pretrained:
    """A backbone with its ImageNet weights: the mean of its last maps over all places.

    Args:
        name: a key of `BACKBONES`.
        loading: called before Keras is loaded, where that is needed.

    Raises:
        InputError: no such name; when it is built, as `catalogue.backbone`.
    """

    def __init__(self, name: str, loading: Callable[[], object] | None = None):
        self.name, self.row, self.loading = name, row_of(name), loading

    @cached_property
    def key(self) -> str:
        shipped = self.row.shipped
        weights = digest(self._network) if shipped is None else digest_of(shipped)
        return f"{EDITION}\n{self.name}\n{self.row.side}\n{weights}"

    @cached_property
    def size(self) -> int:
        return self.row.maps or self._network.output_shape[-1]

    def read(self, path: Path) -> np.ndarray:
        return decoding.resized(path, (self.row.side, self.row.side))

    def features(self, pictures: list[np.ndarray]) -> np.ndarray:
        answer = self._answer
        from keras import ops

        from convmedia.models.backbones.catalogue import as_input

        prepared = as_input(self.name, np.stack(pictures).astype("float32"))
        return ops.convert_to_numpy(answer(np.ascontiguousarray(prepared)))

    @cached_property
    def _network(self) -> "keras.Model":
        if self.loading:
            self.loading()
        import keras

        from convmedia.models.backbones.catalogue import backbone

        network = backbone(self.name)
        return keras.Model(network.input, keras.layers.GlobalAveragePooling2D()(network.output), name="features")

    @cached_property
    def _answer(self) -> Callable[..., Any]:
        network = self._network
        from convmedia.models.inference.predictor import in_inference

        return in_inference(network)


class Trained:
    """A trained classifier of pictures: what its last layer scores labels from.

    Args:
        model: takes raw pictures of any size, as its file does.
        file_digest: SHA-256 of that file.

    Raises:
        InputError: the model scores no labels.
    """

    def __init__(self, model: "keras.Model", file_digest: str):
        from convmedia.models.analysis.embedding import embedder

        self.embedded = embedder(model)
        self.key = f"{EDITION}\n{file_digest}"
        self.size = len(self.embedded(np.zeros((64, 64, 3), np.uint8)))

    def read(self, path: Path) -> np.ndarray:
        return decoding.decode(path)

    def features(self, pictures: list[np.ndarray]) -> np.ndarray:
        return np.stack([self.embedded(picture) for picture in pictures])


class Found(NamedTuple):
    """Features of files.

    Attributes:
        vectors: float32 (files, size); of files that failed zeros.
        failed: by index of the file, in one line.
    """

    vectors: np.ndarray
    failed: dict[int, str]


def of_files(network: Network, files: Sequence[Path], update: Callable[[int, int], None] | None = None) -> Found:
    """Features of picture files, each content once, from the cache where they are in it.

    Args:
        update: called with (files done, files in all).
    """
    failed: dict[int, str] = {}
    digests: list[str] = []
    for index, (digest_or_none, reason) in enumerate(in_order(_content, files)):
        digests.append(digest_or_none)
        if reason:
            failed[index] = reason
    kept = Kept(network.key, network.size)
    known = kept.read(set(digests))
    new = {content: files[index] for index, content in enumerate(digests) if content and content not in known}
    refused: dict[str, str] = {}
    for contents, pictures in _batches(network, new, refused):
        vectors = network.features(pictures)
        fresh = dict(zip(contents, vectors, strict=True))
        kept.add(fresh)
        known |= fresh
        if update:
            update(len(known) + len(refused), len(known.keys() | new.keys()))
    failed |= {index: refused[content] for index, content in enumerate(digests) if content in refused}
    vectors = np.zeros((len(files), network.size), np.float32)
    for index, content in enumerate(digests):
        if content in known:
            vectors[index] = known[content]
    return Found(vectors, failed)


def _content(file: Path) -> tuple[str, str]:
    """SHA-256 of a file's content, and "" or why it cannot be read."""
    try:
        return digest_of(file), ""
    except (OSError, ValueError):  # decoding has the words for it
        try:
            decoding.decode(file)
        except InputError as error:
            return "", str(error)
        raise


def _batches(network: Network, files: dict[str, Path], refused: dict[str, str]):
    """(contents, pictures) of up to `BATCH` files each; those that cannot be read go to `refused`, with the reason."""

    def read(item: tuple[str, Path]) -> tuple[str, np.ndarray | str]:
        try:
            return item[0], network.read(item[1])
        except InputError as error:
            return item[0], str(error)

    contents: list[str] = []
    pictures: list[np.ndarray] = []
    for content, picture in in_order(read, files.items(), 2 * BATCH):
        if isinstance(picture, str):
            refused[content] = picture
            continue
        contents.append(content)
        pictures.append(picture)
        if len(contents) == BATCH:
            yield contents, pictures
            contents, pictures = [], []
    if contents:
        yield contents, pictures


def digest(network: "keras.Model") -> str:
    """SHA-256 over the weights of a network, and over what its layers are."""
    found = hashlib.sha256(network.to_json().encode())
    for weight in network.get_weights():
        found.update(np.ascontiguousarray(weight).tobytes())
    return found.hexdigest()
