"""The `stylize` verb: options checked, pictures read, descent, what is written."""

from pathlib import Path
from typing import Any

import keras

from convmedia.apps.batch.results import busy
from convmedia.apps.classification.photo_pipeline import sample_photos
from convmedia.apps.console.terminal import note
from convmedia.apps.tasks.style_transfer import multiscale
from convmedia.apps.tasks.style_transfer.multiscale import Wanted
from convmedia.apps.tasks.style_transfer.options import cannot_hold, shares
from convmedia.apps.tasks.style_transfer.pictures import as_original
from convmedia.apps.tasks.style_transfer.snapshots import Album
from convmedia.data.images import lossless
from convmedia.data.storage.files import locked, shown
from convmedia.models.losses import style_losses

WEIGHTS = ("content_weight", "style_weight", "tv_weight")
FRAMES = 8  # of an animation, where no picture would be kept on the way


def painted(options: dict[str, Any]) -> dict[str, Any]:
    """From the command's options to the row that it prints.

    Raises:
        InputError: as `checked`, `multiscale.read` and `extractor` raise it.
    """
    blend = shares(options["blend"], len(options["styles"]))
    keras.utils.set_random_seed(options["seed"])
    quiet()
    wanted = multiscale.read(
        *(options["content"], options["styles"], options["mask"], options["start"], blend, options["size"]),
        told=lambda path, remark: note(f"{shown(path)}: {remark}"),
    )
    fits(wanted, options["out"])
    seen = extractor(options)
    multiscale.sizes_of(wanted, seen, 1, 0)
    arguments = {name: value for name, value in options.items() if name not in ("as_json", "backend")}
    every = options["every"]
    if options["animation"] and every >= options["steps"]:  # nothing between first and last
        every = max(1, options["steps"] // FRAMES)
    album = Album(options["out"], wanted, every, options["steps"], arguments)
    # By the name of the folder of steps, which a result with another suffix shares.
    with locked(album.folder.with_name(f"{album.folder.name}.lock"), busy(album.out)):
        album.begin()
        picture, well = multiscale.stylized(
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


def extractor(options: dict[str, Any]) -> style_losses.Extractor:
    """What `--weights`, `--network` and the layers name; weights that need it are normalised over two photos."""
    return style_losses.extractor(
        options["weights"],
        network=str(options["network"]),
        content_layers=options["content_layer"],
        style_layers=options["style_layer"],
        pooling=str(options.get("pooling", "max")),
        photos=sample_photos()[:8],
    )


def fits(wanted: Wanted, out: Path) -> None:
    """Raises InputError where the file cannot hold the result."""
    result = as_original(wanted.original, wanted.content)
    if lossless.suffix_for(result, out.suffix) != out.suffix:
        raise cannot_hold(out)
