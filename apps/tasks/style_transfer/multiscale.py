"""Stylizing one picture by descent: what is read and checked, coarse to fine, what is kept on the way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.apps.tasks.style_transfer.minimizers import METHODS, NotANumber, Seen
from convmedia.apps.tasks.style_transfer.pictures import fitted, in_rgb, resized
from convmedia.data.images import decoding, lossless
from convmedia.data.images.lossless import Original
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.data.transforms import colour_transfer
from convmedia.models.losses.style_losses import Extractor
from convmedia.models.losses.style_objective import Guide, Objective

Watch = Callable[["Moment"], None]
"""Told after each evaluation."""


@dataclass(frozen=True)
class Wanted:
    """What a picture is to become.

    Attributes:
        original: the content as its file holds it.
        content: float32 (height, width, 3), RGB, 0..255: its colour at the size of the result.
        paintings: float32 (height, width, 3) each, of any sizes.
        blend: a weight for each painting.
        masks: float32 (height, width) of the content, 0..1; none, one for all paintings, or one for each.
        start: where the descent begins, as the content; None is noise.
    """

    original: Original
    content: np.ndarray
    paintings: list[np.ndarray]
    blend: list[float]
    masks: list[np.ndarray]
    start: np.ndarray | None


@dataclass(frozen=True)
class Moment:
    """One evaluation.

    Attributes:
        step: counted from 1 over all scales; of `steps`.
        size: (height, width) of the scale, px.
        left: evaluations times pixels that are still to come.
        picture: gives the best picture so far at the result's size: float32 (height, width, 3), 0..255.
    """

    step: int
    size: tuple[int, int]
    losses: Any
    left: int
    picture: Callable[[], np.ndarray]


def read(
    content: Path,
    styles: Sequence[Path],
    masks: Sequence[Path],
    start: str,
    blend: Sequence[float],
    size: int,
    told: Callable[[Path, str], None] = lambda path, remark: None,
) -> Wanted:
    """Read all that a picture is made of.

    Args:
        told: called with a file and each remark about what is done to it.

    Raises:
        InputError: a file that cannot be read, a mask of another size than the content, a wrong number of masks or
            weights.
    """
    if masks and len(masks) not in (1, len(styles)):
        raise InputError(f"give --mask once, or once for each of the {len(styles)} styles; received {len(masks)}")

    def decoded(path: Path) -> np.ndarray:
        return decoding.decode(path, told=partial(told, path)).astype(np.float32)

    original = lossless.read(content)
    for remark in original.notes:
        told(content, remark)
    if len(found := decoding.frames(content)) > 1:
        told(content, f"has {len(found)} frames or pages; the first one is painted")
    drawn = [_mask(path, content, original.colour.shape[:2]) for path in masks]
    paintings = [decoded(path) for path in styles]
    begun = decoded(Path(start)) if start not in ("content", "noise") else None
    colour = in_rgb(original)
    height, width = fitted(colour.shape[:2], size)
    scaled = partial(resized, size=(height, width))
    first = None if start == "noise" else scaled(colour if begun is None else begun)
    return Wanted(original, scaled(colour), paintings, list(blend), [scaled(mask) for mask in drawn], first)


def _mask(path: Path, content: Path, size: tuple[int, int]) -> np.ndarray:
    mask = decoding.decode(path)
    if mask.shape[:2] != size:
        (height, width), (rows, columns) = size, mask.shape[:2]
        raise InputError(
            f"the mask {shown(path)} is {columns}x{rows} px, {shown(content)} is {width}x{height}: make them one size"
        )
    return colour_transfer.luma(mask.astype(np.float32))[..., 0] / 255.0


def sizes_of(wanted: Wanted, seen: Extractor, scales: int, longest: int) -> list[tuple[int, int]]:
    """(height, width) of the content at each scale, each twice the one before; those that are too small are left out.

    Raises:
        InputError: content or style is too small for the network at any scale.
    """
    for picture, what in [(wanted.content, "the content"), *((one, "a style picture") for one in wanted.paintings)]:
        if min(fitted(picture.shape[:2], longest)) < seen.least_px:
            height, width = picture.shape[:2]
            raise InputError(
                f"{what} of {width}x{height} px is too small: the deepest layer looks at {seen.least_px} px and more; "
                "give a larger picture or shallower layers"
            )
    size = wanted.content.shape[:2]
    least = max(seen.least_px, 32)
    factors = [2**step for step in range(scales - 1, 0, -1) if min(size) // 2**step >= least]
    return [*((size[0] // factor, size[1] // factor) for factor in factors), size]


def shares(steps: int, scales: int) -> list[int]:
    """Evaluations of each scale: the same for all, what is left over for the last."""
    every = max(1, steps // scales)
    return [every] * (scales - 1) + [max(1, steps - every * (scales - 1))]


def stylized(
    wanted: Wanted,
    seen: Extractor,
    *,
    weights: dict[str, float],
    method: str,
    steps: int,
    scales: int,
    style_scale: float,
    colour: str,
    tile_px: int,
    seed: int,
    watch: Watch,
) -> tuple[np.ndarray, bool]:
    """Descend at each scale, coarse to fine.

    Args:
        weights: content_weight, style_weight and tv_weight, as `Objective` takes them.
        colour: "style", "luminance", "covariance" or "histogram".
        style_scale: longer side of the paintings over that of the content.

    Returns:
        float32 (height, width, 3), 0..255, and whether it ended well: False after a loss that is no number.
    """
    rng = np.random.default_rng(seed)
    sizes = sizes_of(wanted, seen, scales, 0)
    counts = shares(steps, len(sizes))
    work = [count * size[0] * size[1] for count, size in zip(counts, sizes, strict=True)]
    full = wanted.content.shape[:2]
    now = rng.uniform(0, 255, (*sizes[0], 3)).astype(np.float32) if wanted.start is None else wanted.start
    done = 0
    for place, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        scene = Scene(wanted, size, style_scale, colour)
        now = resized(now, size)

        def after(step, losses, best, scene=scene, size=size, place=place, done=done):
            left = sum(work[place:]) - step * size[0] * size[1]
            watch(Moment(done + step, size, losses, left, lambda: resized(scene.shown(best), full)))

        goal, start = scene.goal(seen, weights, tile_px), scene.variables(now)
        values, well = descended(goal, start, method, count, after)
        now = scene.shown(values)
        if not well:
            return resized(now, full), False
        done += count
    return now, True


def descended(goal, start: np.ndarray, method: str, count: int, after) -> tuple[np.ndarray, bool]:
    """The best values of at most `count` evaluations, and whether all losses were numbers."""
    counter = Seen(goal, count, lambda losses, best: after(count - counter.left, losses, best))
    well = True
    try:
        METHODS[method](counter, start)
    except NotANumber:
        well = False
    best = counter.picture
    return (start if best is None else best), well


class Scene:
    """What is descended at one scale: which values are free, and the picture that they make.

    With "luminance" the luma alone is free and the photo keeps its chroma; outside all masks the photo stays.
    """

    def __init__(self, wanted: Wanted, size: tuple[int, int], style_scale: float, colour: str):
        self.colour = colour
        self.content = resized(wanted.content, size)
        self.masks = [np.clip(resized(mask, size), 0.0, 1.0) for mask in wanted.masks]
        self.blend = wanted.blend
        factor = max(size) / max(wanted.content.shape[:2])
        longest = style_scale * max(wanted.content.shape[:2])
        wide = [fitted(one.shape[:2], round(min(longest, max(one.shape[:2])) * factor)) for one in wanted.paintings]
        self.paintings = [
            self._recoloured(resized(one, small)) for one, small in zip(wanted.paintings, wide, strict=True)
        ]
        self.acts = np.clip(sum(self.masks), 0.0, 1.0)[..., np.newaxis] if self.masks else None

    def _recoloured(self, painting: np.ndarray) -> np.ndarray:
        if self.colour == "luminance":
            return colour_transfer.with_spread_of(colour_transfer.luma(painting), colour_transfer.luma(self.content))
        if self.colour == "covariance":
            return colour_transfer.with_covariance_of(painting, self.content)
        return colour_transfer.with_histogram_of(painting, self.content) if self.colour == "histogram" else painting

    def variables(self, picture: np.ndarray) -> np.ndarray:
        """What is free, of a picture: (height, width, 1 or 3)."""
        return colour_transfer.luma(picture) if self.colour == "luminance" else picture

    def shown(self, values: np.ndarray) -> np.ndarray:
        """The picture of some values, float32 (height, width, 3), 0..255."""
        if self.colour == "luminance":
            return colour_transfer.with_luma(self.content, self._within(values, colour_transfer.luma(self.content)))
        return self._within(values, self.content)

    def _within(self, values: np.ndarray, photo: np.ndarray) -> np.ndarray:
        """Values where a mask acts, the photo elsewhere."""
        return values if self.acts is None else photo + self.acts * (values - photo)

    def goal(self, seen: Extractor, weights: dict[str, float], tile_px: int):
        """The function to descend."""
        photo = self.variables(self.content)
        objective = Objective(seen, photo, self._guides(), tile_px=tile_px, **weights)
        if self.acts is None:
            return objective
        acts = self.acts

        def masked(values: np.ndarray):
            losses, gradient = objective(self._within(values, photo).astype(np.float32))
            return losses, gradient * acts

        return masked

    def _guides(self) -> list[Guide]:
        pairs = list(zip(self.paintings, self.blend, strict=True))
        if len(self.masks) < 2:
            return [Guide(pairs, mask) for mask in self.masks or [None]]
        most = max(self.blend)
        return [Guide([pair], mask, pair[1] / most) for pair, mask in zip(pairs, self.masks, strict=True)]
