"""The `stylize` verb: options checked, pictures read, descent, what is written."""

from pathlib import Path
from typing import Any

import keras

from convmedia.apps import _stylizing
from convmedia.apps._album import Album
from convmedia.apps._painting_options import cannot_hold, shares
from convmedia.apps._pictures import sample_photos
from convmedia.apps._rows import busy
from convmedia.apps._stylizing import Wanted
from convmedia.apps._terminal import note
from convmedia.data import originals
from convmedia.data.files import locked, shown
from convmedia.models import style

WEIGHTS = ("content_weight", "style_weight", "tv_weight")
FRAMES = 8  # of an animation, where no picture would be kept on the way


def painted(options: dict[str, Any]) -> dict[str, Any]:
    """From the command's options to the row that it prints.

    Raises:
        InputError: as `checked`, `_stylizing.read` and `extractor` raise it.
    """
    blend = shares(options["blend"], len(options["styles"]))
    keras.utils.set_random_seed(options["seed"])
    quiet()
    wanted = _stylizing.read(
        *(options["content"], options["styles"], options["mask"], options["start"], blend, options["size"]),
        told=lambda path, remark: note(f"{shown(path)}: {remark}"),
    )
    fits(wanted, options["out"])
    seen = extractor(options)
    _stylizing.sizes_of(wanted, seen, 1, 0)
    arguments = {name: value for name, value in options.items() if name not in ("as_json", "backend")}
    every = options["every"]
    if options["animation"] and every >= options["steps"]:  # nothing between first and last
        every = max(1, options["steps"] // FRAMES)
    album = Album(options["out"], wanted, every, options["steps"], arguments)
    # By the name of the folder of steps, which a result with another suffix shares.
    with locked(album.folder.with_name(f"{album.folder.name}.lock"), busy(album.out)):
        album.begin()
        picture, well = _stylizing.stylized(
            wanted,
            seen,
            weights={name: options[name] for name in WEIGHTS},
            method=str(options["method"]),
            steps=options["steps"],
            scales=options["scales"],
            style_scale=options["style_scale"],
            colour=str(options["colour"]),
            tile_px=options["tile"],
            seed=options["seed"],
            watch=album,
        )
        return album.finish(picture, well, options["animation"])


def quiet() -> None:
    """TensorFlow warns of functions that are traced again, which each scale needs."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")


def extractor(options: dict[str, Any]) -> style.Extractor:
    """What `--weights`, `--network` and the layers name; weights that need it are normalised over two photos."""
    return style.extractor(
        options["weights"],
        network=str(options["network"]),
        content_layers=options["content_layer"],
        style_layers=options["style_layer"],
        pooling=str(options.get("pooling", "max")),
        photos=sample_photos()[:8],
    )


def fits(wanted: Wanted, out: Path) -> None:
    """Raises InputError where the file cannot hold the result."""
    result = _stylizing.as_original(wanted.original, wanted.content)
    if originals.suffix_for(result, out.suffix) != out.suffix:
        raise cannot_hold(out)
