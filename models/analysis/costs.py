"""What any functional network costs and how far it looks, strides, dense layers and branches included."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras

from convmedia.models.keras_internals import calls
from convmedia.models.networks.photos import BothWays
from convmedia.models.networks.stylization import StyleNormalization
from convmedia.models.preprocessing.upsampling import REACH, DepthToSpace, Enlarge

CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
POOLS = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
EVERYWHERE = (
    *(keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D, keras.layers.Flatten, keras.layers.Dense),
    *(keras.layers.GlobalAveragePooling1D, keras.layers.GlobalMaxPooling1D, keras.layers.Reshape),
)
"""Layers from which on a value has no place."""


def multiply_adds(network: keras.Model, *shape: int) -> int:
    """Multiply-add operations of convolutions and dense layers for one input of a shape without the batch, as papers
    count: without biases, normalisations, sums and filters that are not learned. Where a network looks at a picture
    both ways, for both.

    Raises:
        ValueError: a layer with a matrix of weights whose operations are not known.
    """
    every = list(_calls_at(network, (1, *shape)))
    ways = 2 if any(isinstance(call.operation, BothWays) for call in every) else 1
    return ways * sum(map(_of_call, every))


def _calls_at(network: keras.Model, shape: tuple[int, ...]) -> Iterator[Any]:
    """All calls of layers for an input of a shape, within models too."""
    given = keras.Input(batch_shape=shape, dtype=network.inputs[0].dtype)
    fixed = keras.models.clone_model(network, input_tensors=given)
    for call in calls(fixed):
        if isinstance(call.operation, keras.Model):
            yield from _calls_at(call.operation, tuple(call.input_tensors[0].shape))
        else:
            yield call


def _of_call(call: Any) -> int:
    layer, output = call.operation, call.output_tensors[0].shape
    matrices = [weight for weight in getattr(layer, "trainable_weights", []) if len(weight.shape) > 1]
    if isinstance(layer, CONVOLUTIONS):
        return math.prod(output[1:-1]) * sum(math.prod(weight.shape) for weight in matrices)
    if isinstance(layer, keras.layers.Dense):
        return math.prod(output[1:-1]) * math.prod(layer.kernel.shape)
    if matrices and not isinstance(layer, StyleNormalization):
        raise ValueError(f"the operations of a {type(layer).__name__} are not known: layer {layer.name}")
    return 0


@dataclass(frozen=True)
class Field:
    """What a value of a map depends on, along one axis.

    Attributes:
        size: px of the network's input.
        step: px from one value to the next.
    """

    size: float = 1.0
    step: float = 1.0


def receptive_field(network: keras.Model) -> tuple[int, ...]:
    """Sides of the greatest part of the input that one value of a map depends on, px, rounded up: of the last maps
    before they are pooled or flattened. What weighs whole maps (squeeze and excitation) is left out.
    """
    sizes = [tuple(math.ceil(field.size) for field in fields) for fields in _fields(network, None) if fields]
    return max(sizes, key=math.prod)


def _fields(network: keras.Model, start: tuple[Field, ...] | None) -> Iterator[tuple[Field, ...] | None]:
    """The fields of the output of each call, in order; None where a value has no place."""
    axes = len(network.inputs[0].shape) - 2
    places: dict[int, tuple[Field, ...] | None] = {id(tensor): start or (Field(),) * axes for tensor in network.inputs}
    for call in calls(network):
        given = [found for tensor in call.input_tensors if (found := places[id(tensor)]) is not None]
        fields = tuple(_widest(axis) for axis in zip(*given, strict=True)) if given else None
        if isinstance(call.operation, keras.Model):
            for fields in _fields(call.operation, fields):  # noqa: B020 - the last one is the model's own
                yield fields
        else:
            fields = _after(call.operation, fields)
            yield fields
        places |= {id(tensor): fields for tensor in call.output_tensors}


def _widest(fields: tuple[Field, ...]) -> Field:
    return Field(max(field.size for field in fields), min(field.step for field in fields))


def _after(layer: Any, fields: tuple[Field, ...] | None) -> tuple[Field, ...] | None:
    if fields is None or isinstance(layer, EVERYWHERE):
        return None
    if isinstance(layer, DepthToSpace):
        return tuple(replace(field, step=field.step / layer.scale) for field in fields)
    if isinstance(layer, Enlarge):
        return tuple(Field(field.size + 2 * REACH * field.step, field.step / layer.scale) for field in fields)
    if isinstance(layer, keras.layers.UpSampling2D):
        return tuple(replace(field, step=field.step / n) for field, n in zip(fields, layer.size, strict=True))
    if not isinstance(layer, (*CONVOLUTIONS, *POOLS)):
        return fields
    sides = layer.pool_size if isinstance(layer, POOLS) else layer.kernel_size
    holes = getattr(layer, "dilation_rate", (1,) * len(sides))
    return tuple(
        Field(field.size + (side - 1) * hole * field.step, field.step * stride)
        for field, side, hole, stride in zip(fields, sides, holes, layer.strides, strict=True)
    )
