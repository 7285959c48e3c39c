"""What is wrong with the options of painting and shows without Keras: said before seconds go by while it is loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convmedia.apps.cli.early_checks import to_write_in
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown

ANIMATIONS = (".gif", ".webp")
CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions in each block of the networks whose features are compared."""


def blend_given(blend: str | None) -> str | None:
    """The value of `--blend`. Raises InputError: no list of numbers from 0 up with one above 0."""
    if blend is not None:
        shares(blend, blend.count(",") + 1)
    return blend


def shares(blend: str | None, styles: int) -> list[float]:
    """The weight of each style, adding to 1.

    Raises:
        InputError: no such list of numbers, not one for each style, or all of them 0.
    """
    if blend is None:
        return [1.0 / styles] * styles
    try:
        given = [float(part) for part in blend.split(",")]
    except ValueError as error:
        raise InputError(f"--blend {blend}: give a number for each style, such as 0.7,0.3") from error
    if len(given) != styles or not 0 < sum(given) < float("inf") or min(given) < 0:
        raise InputError(f"--blend {blend}: give {styles} numbers from 0 up, not all 0, such as 0.7,0.3")
    return [value / sum(given) for value in given]


def checked(options: dict[str, Any]) -> None:
    """What can be said of the options of `stylize` before more than the heads of files is read.

    Raises:
        InputError: a file that is missing or no picture; a wrong number of masks or weights; a layer that the network
            lacks; the result would replace a picture that was given, or is of no format that is written; another kind
            of animation.
    """
    out, styles, masks, start = (options[name] for name in ("out", "styles", "mask", "start"))
    shares(options["blend"], len(styles))
    if masks and len(masks) not in (1, len(styles)):
        raise InputError(f"give --mask once, or once for each of the {len(styles)} styles; received {len(masks)}")
    pictures = [options["content"], *styles, *masks, *([Path(start)] if start not in ("content", "noise") else [])]
    weights = options["weights"]
    if weights != "imagenet" and not Path(weights).is_file():
        raise InputError(f"there is no weights file {shown(weights)}; give a file, or --weights imagenet")
    require_layers(str(options["network"]), [*options["content_layer"], *options["style_layer"]])
    require_writable(out, options["animation"], pictures)
    require_pictures(pictures)


def require_pictures(paths: Sequence[Path]) -> None:
    """Raises InputError: a file is missing, or its head is none of a picture."""
    from convmedia.data.images import decoding

    for path in paths:
        decoding.size(path)


def require_writable(out: Path, animation: Path | None, given: Sequence[Path]) -> None:
    """Raises InputError: a result would replace a picture that was given, or cannot be written under its name."""
    for target in [out, *([animation] if animation else [])]:
        if any(path.exists() and target.exists() and path.samefile(target) for path in given):
            raise InputError(f"{shown(target)} is a picture that was given: write to another name")
        if target.is_dir():
            raise InputError(f"{shown(target)} is a folder: give the name of a picture in it")
        to_write_in(target.parent)
    if animation and animation.suffix.lower() not in ANIMATIONS:
        raise InputError(f"--animation {shown(animation)}: end it in {' or '.join(ANIMATIONS)}")
    from convmedia.data.images import lossless

    if out.suffix.lower() not in lossless.SUFFIXES:
        raise cannot_hold(out)


def cannot_hold(out: Path) -> InputError:
    """The error of a name whose format is not written, or does not hold what a picture brings."""
    return InputError(
        f"--out {shown(out)}: no format that is written, or it cannot hold the content's size, alpha, depth, "
        "profile and Exif; end it in .png"
    )


def keras_name(layer: str) -> str:
    """A layer of VGG as Keras calls it, `block1_conv1`, of that or of the paper's name, `conv1_1`."""
    return f"block{layer[4:].replace('_', '_conv')}" if layer.startswith("conv") else layer


def require_layers(network: str, layers: Sequence[str]) -> None:
    """Raises InputError: a layer that "vgg16" or "vgg19" lacks."""
    counts = CONVOLUTIONS[network]
    every = [f"block{block}_conv{n}" for block, count in enumerate(counts, 1) for n in range(1, count + 1)]
    unknown = [name for name in map(keras_name, layers) if name not in every]
    if unknown:
        raise InputError(f"{network} has no layer {', '.join(unknown)}; its layers are {', '.join(every)}")
