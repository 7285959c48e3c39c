"""Batches from a folder of class folders, for whoever comes from the old ImageDataGenerator.

train = flow_from_directory(
    "photos/train", target_size=(150, 150), class_mode="binary", rescale=1 / 255, rotation_range=40, zoom_range=0.2
)
model.fit(train, epochs=10)
"""

import math
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from PIL import Image, ImageOps

from convmedia.data.augmentation import photo_recipe, stateless_random
from convmedia.data.folders import file_checks
from convmedia.data.folders.flow_files import class_names, image_files, usable_files
from convmedia.data.images import decoding
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.data.storage.parallel import in_order

MODES = {"rgb": 3, "rgba": 4, "grayscale": 1}
CLASS_MODES = ("categorical", "binary", "sparse", "input", None)
INTERPOLATIONS = {method.name.lower(): method for method in Image.Resampling}

_STILL = {
    **dict.fromkeys(("rotation_range", "width_shift_range", "height_shift_range", "shear_range", "zoom_range"), 0.0),
    "horizontal_flip": False,
}


def flow_from_directory(
    directory: str | Path,
    target_size: tuple[int, int] = (256, 256),
    color_mode: str = "rgb",
    classes: list[str] | None = None,
    class_mode: str | None = "categorical",
    batch_size: int = 32,
    shuffle: bool = True,
    seed: int | None = None,
    save_to_dir: str | Path | None = None,
    save_prefix: str = "",
    save_format: str = "png",
    follow_links: bool = False,
    subset: str | None = None,
    interpolation: str = "bilinear",
    keep_aspect_ratio: bool = False,
    *,
    rescale: float | None = None,
    preprocessing_function: Callable[[np.ndarray], np.ndarray] | None = None,
    validation_split: float = 0.0,
    dtype: str | None = None,
    progress: file_checks.Progress | None = None,
    **augmentations: Any,
) -> "Flow":
    """`ImageDataGenerator(...).flow_from_directory(...)` of Keras before 3, in one call.

    Files, their order (shuffled with a `seed`, too), labels, shapes, types and attributes are the old generator's, and
    where no file is resized so are the pixels. What differs:

    - Files are resized with antialiasing: `interpolation` is "bilinear" if it is not given. Any name that is given
      means what it meant; the old default, which skips pixels, is "nearest".
    - A file that cannot be decoded or is cut is left out, with a warning that names it, and training goes on. Every
      file is read once for that when the flow is made; what was found is remembered until a file changes.
    - Pictures are as `images.decode` gives them: upright by their Exif orientation; transparent ones composited where
      the old one dropped alpha, unless `color_mode` is "rgba"; grey of 16 bits in 0..255. There is no PPM.
    - Augmentation is drawn from (seed, number of the batch). NumPy's global generator is never seeded; without a
      `seed` it decides the order, as it did.
    - What had to be fitted to the data, `featurewise_center` and its like, is a `Normalization` layer's work now.

    Args:
        directory: holds one folder per class; they are read to any depth.
        target_size: height and width, px.
        color_mode: "rgb", "rgba" or "grayscale".
        classes: names of the class folders in the order of the labels; all, sorted, if not given.
        class_mode: labels as "categorical" float (n, classes), "binary" or "sparse" float (n,), "input" the pictures
            themselves, or None for pictures alone.
        save_to_dir, save_prefix, save_format: where to write what was yielded, to look at.
        follow_links: enter linked folders below the class folders; a link to a folder around it is not followed.
        subset: "validation" for the first `validation_split` of each class's files, "training" for the others.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming", of Pillow.
        keep_aspect_ratio: cut the middle out instead of distorting.
        rescale: factor on the values, at the very end.
        preprocessing_function: called with each augmented picture, (height, width, channels), gives the same shape.
        dtype: of pictures and labels; Keras's `floatx` if not given.
        progress: called with files read and files in all, while they are looked through.
        augmentations: arguments of `augmentation.photos`, none of which is on if it is not given.

    Returns:
        A `keras.utils.PyDataset` for `fit`, `evaluate` and `predict`, and an endless iterator.

    Raises:
        InputError: no such folder, no usable picture, an argument of no known value.
    """
    reading = Reading(tuple(target_size), color_mode, interpolation, keep_aspect_ratio)
    _check(Path(directory), reading, class_mode, batch_size, subset, validation_split, augmentations)
    split = {"validation": (0.0, validation_split), "training": (validation_split, 1.0)}.get(subset or "", (0.0, 1.0))
    names = list(classes) if classes else class_names(Path(directory))
    found = [image_files(Path(directory, name), follow_links) for name in names]
    usable = usable_files(Path(directory), [file for files in found for file in files], progress)
    examples = []
    for label, files in enumerate(found):
        start, stop = (int(edge * len(files)) for edge in split)
        examples += [(file, label) for file in files[start:stop] if file in usable]
    if not examples:
        raise InputError(
            f"{shown(directory)} holds no usable picture in class folders{f' for {subset}' * bool(subset)}"
        )
    return Flow(
        os.fspath(directory),
        dict(zip(names, range(len(names)), strict=True)),
        examples,
        reading,
        class_mode=class_mode,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        saving=(save_to_dir, save_prefix, save_format),
        augmentations=augmentations,
        finish=(preprocessing_function, rescale),
        dtype=dtype or keras.config.floatx(),
    )


class Reading(NamedTuple):
    """How a file becomes a picture: arguments of `flow_from_directory`."""

    target_size: tuple[int, ...]
    color_mode: str
    interpolation: str
    keep_aspect_ratio: bool

    def picture(self, path: str) -> np.ndarray:
        """uint8 (*target_size, channels)."""
        image = self._fitted(self._opened(path))
        return np.asarray(image).reshape(*self.target_size, MODES[self.color_mode])

    def _opened(self, path: str) -> Image.Image:
        if self.color_mode == "rgba":
            with Image.open(path) as stored:
                return ImageOps.exif_transpose(stored).convert("RGBA")
        image = Image.fromarray(decoding.decode(path))
        return image.convert("L") if self.color_mode == "grayscale" else image

    def _fitted(self, image: Image.Image) -> Image.Image:
        (height, width), box = self.target_size, None
        if image.size == (width, height):
            return image
        if self.keep_aspect_ratio:
            across = min(image.width, image.height * width // height)
            down = min(image.height, image.width * height // width)
            left, top = (image.width - across) // 2, (image.height - down) // 2
            box = (left, top, left + across, top + down)
        return image.resize((width, height), INTERPOLATIONS[self.interpolation], box=box)


def _check(directory, reading, class_mode, batch_size, subset, validation_split, augmentations) -> None:
    """Refuse what cannot be meant, before any file is read."""
    if not directory.is_dir():
        raise InputError(f"{shown(directory)} is no folder; give the folder that holds one folder per class")
    for name, given, known in (
        ("color_mode", reading.color_mode, tuple(MODES)),
        ("class_mode", class_mode, CLASS_MODES),
        ("interpolation", reading.interpolation, tuple(INTERPOLATIONS)),
        ("subset", subset, ("training", "validation", None)),
    ):
        if given not in known:
            raise InputError(f"{name} is one of {', '.join(map(repr, known))}; received {given!r}")
    if len(reading.target_size) != 2 or min(*reading.target_size, batch_size) < 1:
        raise InputError(
            "target_size is a height and a width, batch_size a number, of at least 1; "
            f"received {reading.target_size} and {batch_size}"
        )
    if not 0 <= validation_split < 1 or (subset and not validation_split):
        raise InputError(
            f"validation_split is between 0 and 1, and needed with a subset; received {validation_split} and {subset!r}"
        )
    coloured = {"colour_jitter", "randaugment"} | ({"brightness_range"} if reading.color_mode == "rgba" else set())
    refused = sorted(coloured & set(augmentations)) if reading.color_mode != "rgb" else []
    if refused:
        raise InputError(f"{' and '.join(refused)} needs color_mode 'rgb'; received {reading.color_mode!r}")


class Flow(keras.utils.PyDataset):
    """Batches of pictures and labels; made by `flow_from_directory`.

    `flow[i]` is batch i of this epoch's order, `next(flow)` the next one of an endless row. Both count as seen.

    Attributes:
        samples, n: number of pictures.
        classes, labels: int32 (samples,), as indices.
        class_indices: index of each class name. num_classes: how many.
        filenames, filepaths: of the pictures, below the folder and as they open.
        image_shape: (height, width, channels).
        batch_size, shuffle, seed, class_mode, color_mode, target_size, interpolation, directory, dtype: as given.
        batch_index, total_batches_seen, index_array: where the iteration is.
    """

    def __init__(
        self,
        directory: str,
        class_indices: dict[str, int],
        examples: list[tuple[Path, int]],
        reading: Reading,
        *,
        class_mode: str | None,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        saving: tuple[str | Path | None, str, str],
        augmentations: dict[str, Any],
        finish: tuple[Callable | None, float | None],
        dtype: str,
    ):
        super().__init__()
        self.directory, self.class_indices, self.num_classes = directory, class_indices, len(class_indices)
        self.filenames = [os.fspath(path.relative_to(directory)) for path, _ in examples]
        # As the old one joined them: a leading ./ stays.
        self.filepaths = [os.path.join(directory, name) for name in self.filenames]  # noqa: PTH118
        self.classes = np.array([label for _, label in examples], "int32")
        self.samples = self.n = len(examples)
        self.reading, self.image_shape = reading, (*reading.target_size, MODES[reading.color_mode])
        self.target_size, self.color_mode, self.interpolation, self.keep_aspect_ratio = reading
        self.class_mode, self.batch_size, self.shuffle, self.seed = class_mode, batch_size, shuffle, seed
        self.save_to_dir, self.save_prefix, self.save_format = saving
        (self.preprocessing_function, self.rescale), self.dtype = finish, dtype
        self.recipe = photo_recipe.photos(**{**_STILL, **augmentations}) if augmentations else None
        self.batch_index = self.total_batches_seen = 0
        self.index_array: np.ndarray | None = None
        self.lock = threading.Lock()
        self.random: Any = np.random
        self.spent = _spent(augmentations)
        self.own_seed = _unconsumed() if seed is None else seed

    @property
    def labels(self) -> np.ndarray:
        return self.classes

    def __len__(self) -> int:
        return math.ceil(self.n / self.batch_size)

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} batches; received {index}")
        with self.lock:
            step = self._begin()
            order = self._order() if self.index_array is None else self.index_array
            indices = self._take(order, index)
        return self._batch(indices, step)

    def __iter__(self) -> "Flow":
        return self

    def __next__(self) -> Any:
        with self.lock:
            step = self._begin()
            order = self._order() if self.batch_index == 0 or self.index_array is None else self.index_array
            indices = self._take(order, self.batch_index)
            self.batch_index = (self.batch_index + 1) % len(self)
        return self._batch(indices, step)

    def next(self) -> Any:
        """The next batch, as of `next(flow)`."""
        return self.__next__()

    def reset(self) -> None:
        """Let `next` begin an epoch."""
        self.batch_index = 0

    def on_epoch_end(self) -> None:
        self._order()

    def _begin(self) -> int:
        """Count a batch; its number. The old generator seeded NumPy before each, here it is a generator of its own."""
        step = self.total_batches_seen
        if self.seed is not None:
            self.random = np.random.RandomState(self.seed + step)
        self.total_batches_seen += 1
        return step

    def _order(self) -> np.ndarray:
        self.index_array = order = self.random.permutation(self.n) if self.shuffle else np.arange(self.n)
        return order

    def _take(self, order: np.ndarray, index: int) -> np.ndarray:
        indices = order[index * self.batch_size : (index + 1) * self.batch_size]
        self.random.random_sample(self.spent * len(indices))
        return indices

    def _batch(self, indices: np.ndarray, step: int) -> Any:
        pictures = np.stack(list(in_order(self.reading.picture, [self.filepaths[index] for index in indices])))
        if self.recipe:
            pictures = np.asarray(self.recipe(pictures, stateless_random.step_seed(self.own_seed, 0, step)))
        batch = pictures.astype(self.dtype)
        if self.preprocessing_function:
            for place, picture in enumerate(batch):
                batch[place] = self.preprocessing_function(picture)
        if self.rescale:
            batch *= self.rescale
        if self.save_to_dir:
            self._save(indices, batch)
        if self.class_mode is None:
            return batch
        return batch, batch.copy() if self.class_mode == "input" else self._truth(indices)

    def _truth(self, indices: np.ndarray) -> np.ndarray:
        labels = self.classes[indices]
        return (np.eye(self.num_classes)[labels] if self.class_mode == "categorical" else labels).astype(self.dtype)

    def _save(self, indices: Iterable[int], batch: np.ndarray) -> None:
        for index, picture in zip(indices, batch, strict=True):
            name = f"{self.save_prefix}_{index}_{self.random.randint(10**7)}.{self.save_format}"
            keras.utils.array_to_img(picture, "channels_last").save(Path(str(self.save_to_dir), name))


def _spent(augmentations: dict[str, Any]) -> int:
    """How many numbers the old generator drew for a picture.

    They came from the generator that orders the files, so that the orders of later epochs depend on them. (Ranges of
    integers or choices took others.)
    """
    once = ("rotation_range", "height_shift_range", "width_shift_range", "shear_range", "channel_shift_range")
    drawn = sum(bool(augmentations.get(name)) for name in once)
    drawn += augmentations.get("brightness_range") is not None
    zoomed = tuple(np.ravel(augmentations.get("zoom_range", 0))) not in ((0,), (1, 1))
    return 2 + drawn + 2 * zoomed  # the two mirrors were drawn always


def _unconsumed() -> int:
    """A seed that follows from NumPy's global generator without drawing from it: the order of files stays as it was."""
    generator = np.random.RandomState()
    generator.set_state(np.random.get_state())
    return int(generator.randint(2**31))
