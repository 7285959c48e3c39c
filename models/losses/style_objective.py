"""How far a picture is from a content and from styles, and which way leads closer: the function that is descended.

    goal = Objective(seen, content, [Guide([(painting, 1.0)])], content_weight=1.0, style_weight=100.0)
    losses, gradient = goal(picture)

Targets are computed once. A picture larger than a tile goes tile by tile, with the Gram matrices of the whole: the
first pass adds them up, the second follows their gradient. Tiles overlap by as much as the network looks, so loss and
gradient are those of the whole picture but for rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from convmedia.models.inference.tiling import tiles
from convmedia.models.losses.style_losses import Extractor, content_loss, gram, gram_loss, stride, total_variation

Grams = dict[str, Any]
"""{layer: (1, filters, filters)}"""


@dataclass(frozen=True)
class Guide:
    """What acts on a part of the picture.

    Attributes:
        paintings: (float32 or uint8 (height, width, channels), RGB or grey, 0..255; weight), of any size.
        mask: float32 (height, width) of the content, 0..1, where they act; None is everywhere.
        weight: of the whole guide.
    """

    paintings: Sequence[tuple[np.ndarray, float]]
    mask: np.ndarray | None = None
    weight: float = 1.0


class Counted(NamedTuple):
    """How much each value counts: what a tile has for context, not at all.

    Attributes:
        pixels: float32 (1, height, width, 1).
        content: {layer: float32 (1, h, w, 1)}.
        grams: for each guide {layer: float32 (1, h, w, 1)}.
    """

    pixels: Any
    content: dict[str, Any]
    grams: list[dict[str, Any]]


class Tile(NamedTuple):
    """A part of a picture: rows and columns of what is looked at, and what counts of it."""

    around: tuple[slice, ...]
    counted: Counted


class Losses(NamedTuple):
    """Of a picture, each with its weight."""

    total: float
    content: float
    style: float
    variation: float


class Objective:
    """Loss and gradient of a picture (Gatys et al. 2016, equation 7), with total variation.

    Content is the mean over the values of the maps where the paper adds them up, and total variation over those of the
    picture: so weights mean the same at every size. Styles that share a guide are blended by their Gram matrices, which
    has the gradient of their weighted losses.

    Args:
        seen: what is looked at with.
        content: float32 (height, width, channels), RGB or grey, 0..255.
        guides: at least one.
        content_weight, style_weight, tv_weight: of the three losses.
        tile_px: greatest side of a picture that goes at once; larger ones go in tiles of half of it.
    """

    def __init__(
        self,
        seen: Extractor,
        content: np.ndarray,
        guides: Sequence[Guide],
        *,
        content_weight: float,
        style_weight: float,
        tv_weight: float = 0.0,
        tile_px: int = 1024,
    ):
        self.seen, self.shape = seen, content.shape
        self.tiles = cut(seen, content.shape[:2], [guide.mask for guide in guides], tile_px)
        self.targets = [
            _blended([(grams_of(seen, painting, tile_px), weight) for painting, weight in guide.paintings])
            for guide in guides
        ]
        reach = [1.0 if guide.mask is None else float(guide.mask.mean()) for guide in guides]
        self.shares = [style_weight * guide.weight * part for guide, part in zip(guides, reach, strict=True)]
        self.content_share = content_weight / len(seen.content_layers)
        self.tv_share = tv_weight / content.size
        self.maps = [self._content_of(content[tile.around]) for tile in self.tiles]
        self._whole, self._part = compiled(self._total), compiled(self._linear)

    def __call__(self, picture: np.ndarray) -> tuple[Losses, np.ndarray]:
        """Losses and the gradient of their sum, float32 of the picture's shape, of float (height, width, channels)."""
        picture = picture.astype(np.float32, copy=False)
        if len(self.tiles) == 1:
            terms, gradient = self._whole(picture[np.newaxis], self.tiles[0].counted, self.maps[0], self.targets)
            return _losses(*terms), gradient[0]
        return self._by_tiles(picture)

    def _by_tiles(self, picture: np.ndarray) -> tuple[Losses, np.ndarray]:
        grams = _summed(self.seen, picture, self.tiles)
        pairs = list(zip(self.shares, grams, self.targets, strict=True))
        style = sum(share * float(self._style(found, wanted)) for share, found, wanted in pairs)
        slopes = [self._slopes(share, found, wanted) for share, found, wanted in pairs]
        gradient = np.zeros_like(picture)
        other = np.zeros(2)
        for tile, maps in zip(self.tiles, self.maps, strict=True):
            terms, part = self._part(picture[tile.around][np.newaxis], tile.counted, maps, slopes)
            gradient[tile.around] += part[0]
            other += [float(term) for term in terms]
        return _losses(other[0], style, other[1]), gradient

    def _content_of(self, part: np.ndarray) -> dict[str, Any]:
        maps = _looked_at(self.seen, part[np.newaxis].astype(np.float32))
        return {layer: maps[layer] for layer in self.seen.content_layers}

    def _style(self, grams: Grams, targets: Grams):
        layers = self.seen.style_layers
        return sum(ops.sum(gram_loss(grams[layer], targets[layer])) for layer in layers) / len(layers)

    def _slopes(self, share: float, grams: Grams, targets: Grams) -> Grams:
        """Derivative of a guide's loss by its Gram matrices."""
        every = len(self.seen.style_layers)
        return {
            layer: share * (found - targets[layer]) / (2.0 * found.shape[-1] ** 2 * every)
            for layer, found in grams.items()
        }

    def _other(self, maps, picture, counted: Counted, targets):
        content = sum(
            content_loss(maps[layer], targets[layer], counted.content[layer]) for layer in self.seen.content_layers
        )
        variation = total_variation(picture, counted.pixels) if self.tv_share else 0.0 * ops.sum(picture)
        return self.content_share * content, self.tv_share * variation

    def _total(self, picture, counted: Counted, content, targets):
        maps = self.seen.model(_rgb(picture))
        content, variation = self._other(maps, picture, counted, content)
        style = sum(
            share * self._style(_weighted(self.seen, maps, weights), wanted)
            for share, weights, wanted in zip(self.shares, counted.grams, targets, strict=True)
        )
        return content + style + variation, (content, style, variation)

    def _linear(self, picture, counted: Counted, content, slopes):
        maps = self.seen.model(_rgb(picture))
        content, variation = self._other(maps, picture, counted, content)
        steps = [
            ops.sum(slope[layer] * found)
            for weights, slope in zip(counted.grams, slopes, strict=True)
            for layer, found in _weighted(self.seen, maps, weights).items()
        ]
        return content + variation + sum(steps), (content, variation)


def _losses(content, style, variation) -> Losses:
    three = [float(value) for value in (content, style, variation)]
    return Losses(sum(three), *three)


def grams_of(seen: Extractor, picture: np.ndarray, tile_px: int = 1024) -> Grams:
    """`style.mean_gram` of each style layer over a whole picture, (height, width, channels) in 0..255, by tiles."""
    return _summed(seen, picture.astype(np.float32), cut(seen, picture.shape[:2], [None], tile_px))[0]


def _summed(seen: Extractor, picture: np.ndarray, parts: Sequence[Tile]) -> list[Grams]:
    """The Gram matrices of each guide, added over tiles."""
    totals: list[Grams] = []
    for tile in parts:
        maps = _looked_at(seen, picture[tile.around][np.newaxis])
        found = [_weighted(seen, maps, weights) for weights in tile.counted.grams]
        before = totals or [dict.fromkeys(grams, 0.0) for grams in found]
        totals = [{name: one[name] + two[name] for name in one} for one, two in zip(found, before, strict=True)]
    return totals


def _weighted(seen: Extractor, maps, weights) -> Grams:
    return {layer: gram(maps[layer], weights[layer]) for layer in seen.style_layers}


def _blended(grams: Sequence[tuple[Grams, float]]) -> Grams:
    total = sum(weight for _, weight in grams)
    return {layer: sum(found[layer] * (weight / total) for found, weight in grams) for layer in grams[0][0]}


def _looked_at(seen: Extractor, pictures: np.ndarray):
    if keras.backend.backend() == "torch":
        import torch

        with torch.no_grad():
            return seen.model(_rgb(ops.convert_to_tensor(pictures)))
    return seen.model(_rgb(ops.convert_to_tensor(pictures)))


def _rgb(pictures):
    return pictures if pictures.shape[-1] == 3 else ops.concatenate([pictures] * 3, axis=-1)


def cut(seen: Extractor, size: tuple[int, int], masks: Sequence[np.ndarray | None], tile_px: int) -> list[Tile]:
    """A picture's tiles, each with the weights of what counts in it, which add to 1 over all tiles.

    Tiles begin at multiples of the deepest stride, so that each place of a map is seen as in the whole picture.
    """
    step, reach = seen.deepest_stride, seen.reach_px
    # All that is kept of a large picture lies beside its tiles: they are smaller than a picture that goes at once.
    side = max(size) if max(size) <= tile_px else max(tile_px // 2 // step, 1) * step
    shrunk = [{layer: _guidance(mask, size, stride(layer)) for layer in seen.style_layers} for mask in masks]
    found = []
    for place in tiles(*size, side):
        around = tuple(
            slice(max(part.start - reach, 0), min(part.stop + reach, end))
            for part, end in zip(place, size, strict=True)
        )
        within = [_inside(place, around, size, stride(layer)) for layer in seen.layers]
        inside = dict(zip(seen.layers, within, strict=True))
        filters = {layer: seen.model.output[layer].shape[-1] for layer in seen.content_layers}
        content = {
            layer: _ready(inside[layer][1] / (filters[layer] * _places(size, layer))) for layer in seen.content_layers
        }
        grams = [
            {layer: _ready(inside[layer][1] * guide[layer][inside[layer][0]]) for layer in guide} for guide in shrunk
        ]
        found.append(Tile(around, Counted(_ready(_inside(place, around, size, 1)[1]), content, grams)))
    return found


def _places(size: tuple[int, int], layer: str) -> int:
    height, width = (side // stride(layer) for side in size)
    return height * width


def _guidance(mask: np.ndarray | None, size: tuple[int, int], step: int) -> np.ndarray:
    """Squared guidance map of one stride, adding to 1 (Gatys et al. 2017, section 3.1): float64 (h, w)."""
    height, width = (side // step for side in size)
    if mask is None:
        return np.full((height, width), 1.0 / (height * width))
    blocks = mask[: height * step, : width * step].reshape(height, step, width, step).mean(axis=(1, 3)) ** 2
    return blocks / max(blocks.sum(), 1e-12)


def _inside(place, around, size: tuple[int, int], step: int) -> tuple[tuple[slice, slice], np.ndarray]:
    """Rows and columns of a map that `around` gives, and 1 where they lie in `place`, 0 elsewhere: (h, w)."""
    rows, ones = [], []
    for part, outer, end in zip(place, around, size, strict=True):
        last = end // step
        rows.append(slice(outer.start // step, min(outer.stop // step, last)))
        positions = np.arange(rows[-1].start, rows[-1].stop)
        after = last if part.stop == end else part.stop // step
        ones.append((positions >= part.start // step) & (positions < after))
    return (rows[0], rows[1]), np.outer(*ones).astype(np.float64)


def _ready(weights: np.ndarray):
    return ops.convert_to_tensor(weights[np.newaxis, ..., np.newaxis], "float32")


def compiled(function: Callable) -> Callable:
    """(picture, ...) to a scalar and others becomes (float32 array, ...) to (those others, gradient by the picture).

    One compiled function on TensorFlow and JAX.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _with_tensorflow(function)
    if backend == "jax":
        import jax

        both = jax.jit(jax.value_and_grad(function, has_aux=True))

        def with_jax(picture, *others):
            (_, terms), gradient = both(picture, *others)
            return terms, np.asarray(gradient)

        return with_jax

    def with_torch(picture, *others):
        leaf = ops.convert_to_tensor(picture).detach().requires_grad_(True)
        total, terms = function(leaf, *others)
        total.backward()
        return [term.detach() for term in terms], ops.convert_to_numpy(leaf.grad)

    return with_torch


def _with_tensorflow(function: Callable) -> Callable:
    import tensorflow as tf

    def both(picture, *others):
        with tf.GradientTape() as tape:
            tape.watch(picture)
            total, terms = function(picture, *others)
        return terms, tape.gradient(total, picture)

    # Not XLA: on a CPU its convolutions do without oneDNN. A partial: TensorFlow counts traces by the code that is
    # traced, of all pictures and scales together, and warns of five.
    graph = tf.function(partial(both), autograph=False, jit_compile=False, reduce_retracing=True)

    def with_tensorflow(picture, *others):
        terms, gradient = graph(tf.constant(picture), *others)
        return terms, gradient.numpy()

    return with_tensorflow
