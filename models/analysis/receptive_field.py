"""How far a fully convolutional network looks, and what it costs: both read off its graph."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import keras

from convmedia.models.keras_internals import calls
from convmedia.models.preprocessing.upsampling import REACH, DepthToSpace, Enlarge


@dataclass(frozen=True)
class Place:
    """What one value of a tensor depends on.

    Attributes:
        radius: pixels of the network's input on each side.
        resolution: values along an axis for each pixel of the input.
    """

    radius: Fraction = Fraction(0)
    resolution: Fraction = Fraction(1)


def reach_px(model: keras.Model) -> int:
    """Pixels of the input on each side of a place that the answer there depends on; rounded up.

    Raises:
        ValueError: a layer with weights that is no convolution of stride and dilation 1.
    """
    return math.ceil(max(place.radius for _, place in passes(model)))


def mult_adds(model: keras.Model, height: int, width: int) -> int:
    """Multiply-add operations of the convolutions for one input of height x width px, without biases, as papers count.

    Raises:
        ValueError: as `reach_px`.
    """
    convolutions = [(layer, place) for layer, place in passes(model) if isinstance(layer, keras.layers.Conv2D)]
    return sum(
        math.prod(layer.kernel.shape) * math.ceil(height * place.resolution) * math.ceil(width * place.resolution)
        for layer, place in convolutions
    )


def passes(model: keras.Model, start: Place | None = None) -> Iterator[tuple[keras.Operation, Place]]:
    """Each layer of a functional model, once for each call, in order, with the place of its output; also within models.

    Args:
        start: place of the model's inputs.
    """
    places = {id(tensor): start or Place() for tensor in model.inputs}
    for call in calls(model):
        given = [places[id(tensor)] for tensor in call.input_tensors]
        place = Place(max(one.radius for one in given), max(one.resolution for one in given))
        if isinstance(call.operation, keras.Model):
            for layer, place in passes(call.operation, place):  # noqa: B020 - the last one is the model's own
                yield layer, place
        else:
            place = after(call.operation, place)
            yield call.operation, place
        places |= {id(tensor): place for tensor in call.output_tensors}


def after(layer: keras.Operation, place: Place) -> Place:
    """The place of a layer's output, from that of its input."""
    radius, resolution = place.radius, place.resolution
    if isinstance(layer, Enlarge):
        return Place(radius + REACH / resolution, resolution * layer.scale)
    if isinstance(layer, DepthToSpace):
        return Place(radius, resolution * layer.scale)
    if isinstance(layer, keras.layers.Conv2D) and {*layer.strides, *layer.dilation_rate} == {1}:
        return Place(radius + max(layer.kernel_size) // 2 / resolution, resolution)
    if getattr(layer, "weights", None):
        raise ValueError(f"How far a {type(layer).__name__} looks is not known: layer {layer.name}")
    return place
