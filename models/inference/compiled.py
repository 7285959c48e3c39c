"""Asking a network with JAX, which compiles a program for each shape: pictures and batches are padded to few shapes.

What a network answers stays as it is. Either it begins by bringing pictures to one size and is told which part is
padding (`layers.padded`); or it answers a picture with a picture, and each of its layers that sees neighbours is given
at the border what it would see without padding (`within_border`). Other networks are asked as they are.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache, partial
from typing import Any

import keras
import numpy as np
from keras import ops

from convmedia.models.answer import Answer
from convmedia.models.keras_internals import calls
from convmedia.models.networks.stylization import CropLike, StyleNormalization
from convmedia.models.networks.super_resolution import Luma, ReplacedLuma
from convmedia.models.preprocessing.digit_localization import FindInk
from convmedia.models.preprocessing.resize import Grey, Resize, padded
from convmedia.models.preprocessing.upsampling import DepthToSpace, Enlarge, RepeatEdges

STEP = 512
LEAST_PX = 64  # side that a smaller picture is padded to where a picture is answered
PROGRAMS = 24
"""Compiled ones that a model keeps in memory; the one that was used longest ago goes. Padding keeps pictures and
batches below it; what it bounds is networks whose answers padding would change, such as those of users."""

POINTWISE = (
    *(keras.layers.Rescaling, keras.layers.ReLU, keras.layers.Activation, keras.layers.Add),
    *(keras.layers.Concatenate, keras.layers.Subtract, Answer, Luma, ReplacedLuma),
)
Size = tuple[Any, Any]  # height and width, px


def with_jax(network: keras.Model) -> Callable[..., Any]:
    """`network(batch, *others)` in inference, for batches of any sizes."""
    import jax

    shrinks = brings_to_one_size(network)
    least = LEAST_PX if not shrinks and answers_a_picture(network) else 1
    bordered = least > 1
    variables = (network.trainable_variables, network.non_trainable_variables)

    def stateless(weights, states, size, batch, *others):
        if bordered:
            values = zip((*variables[0], *variables[1]), (*weights, *states), strict=True)
            with keras.StatelessScope(state_mapping=list(values)):
                return within_border(network, [(batch, size), *((other, None) for other in others)])[0]
        with padded(*size) if shrinks else nullcontext():
            return network.stateless_call(weights, states, [batch, *others] if others else batch, training=False)[0]

    @lru_cache(PROGRAMS)
    def program(shapes: tuple[tuple[int, ...], ...]) -> Callable[..., Any]:
        return jax.jit(partial(stateless))  # a function of its own: it goes with what was compiled for it

    def answer(batch, *others):
        number, size = batch.shape[0], batch.shape[1:3] if shrinks or bordered else ()
        arrays = [np.asarray(one) for one in (batch, *others)]
        more = (0, rounded_up(number) - number)
        given = [np.pad(one, [more, *[(0, 0)] * (one.ndim - 1)], "edge") for one in arrays]
        if size:
            sides = [(0, max(rounded_up(side), least) - side) for side in size]
            given[0] = np.pad(given[0], [(0, 0), *sides, (0, 0)])
        of_kinds = ([variable.value for variable in kind] for kind in variables)
        compiled = program(tuple(one.shape for one in given))
        answers = compiled(*of_kinds, tuple(map(np.int32, size)), *given)
        if not more[1] and not bordered:
            return answers
        # NumPy cuts: JAX would compile that, too.
        answers = keras.tree.map_structure(lambda tensor: np.asarray(tensor)[:number], answers)
        if not bordered:
            return answers
        scale = answers.shape[1] // given[0].shape[1]
        height, width = (side * scale for side in size)
        return answers[:, :height, :width]

    return answer


def brings_to_one_size(network: keras.Model) -> bool:
    """Whether nothing sees the size of the pictures before a layer that is told which of them is padding."""
    first = (layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer | Grey))
    if isinstance(network.layers[-1], Answer) and network.layers[-1].kind.located:
        return False  # places in the answer are told from the size
    return len(network.inputs) == 1 and isinstance(next(first, None), Resize | FindInk)


def rounded_up(number: int) -> int:
    """The next power of two, or above 512 the next of four steps between two of them: of a picture's side in px, or of
    a batch's length."""
    power = 1 << max(number - 1, 0).bit_length()
    step = power // 8 if number > STEP else power
    return -(-number // step) * step


def rounded_down(number: int) -> int:
    """The greatest number up to one that `rounded_up` leaves as it is."""
    power = 1 << max(number.bit_length() - 1, 0)
    step = power // 4 if number > STEP else power
    return number // step * step


def answers_a_picture(network: keras.Model) -> bool:
    """Whether `within_border` knows every layer of a network from pictures to pictures."""
    shape = network.outputs[0].shape
    if len(network.outputs) > 1 or len(shape) != 4 or len(network.inputs[0].shape) != 4:
        return False
    return all(map(_is_known, calls(network)))


def _is_known(call: Any) -> bool:
    layer = call.operation
    if isinstance(layer, keras.Model):
        return all(map(_is_known, calls(layer)))
    if isinstance(layer, keras.layers.Conv2D):
        strided = layer.padding == "same" and {*layer.strides} != {1}
        return layer.data_format == "channels_last" and {*layer.dilation_rate} == {1} and not strided
    if isinstance(layer, keras.layers.Concatenate):
        return layer.axis in (-1, 3)
    known = (*POINTWISE, Enlarge, RepeatEdges, DepthToSpace, StyleNormalization, CropLike)
    # A slice along channels has no class of its own.
    return isinstance(layer, known) or (type(layer).__name__ == "Split" and layer.axis in (-1, 3))


def within_border(network: keras.Model, pairs: list[tuple[Any, Size | None]]) -> tuple[Any, Size | None]:
    """What a network answers to pictures that were padded below and at the right.

    Args:
        network: one that `answers_a_picture`.
        pairs: what its inputs take, padded, each with the size without padding, which may be known only at run time;
            None of what is no picture.

    Returns:
        Its answer, and the size of what has a meaning of it, at the upper left.
    """
    found = {id(tensor): pair for tensor, pair in zip(network.inputs, pairs, strict=True)}
    for call in calls(network):
        given = [found[id(tensor)] for tensor in call.input_tensors]
        if isinstance(call.operation, keras.Model):
            answer, size = within_border(call.operation, given)
        else:
            size = next(size for _, size in given if size is not None)
            if isinstance(call.operation, keras.layers.Conv2D) and call.operation.padding == "same":
                given = [(black_outside(*given[0]), size)]
            values = zip(map(id, call.input_tensors), (value for value, _ in given), strict=True)
            arguments, options = call.arguments.fill_in(dict(values))
            with padded(*size):
                answer = call.operation(*arguments, **options)
            size = given[1][1] if isinstance(call.operation, CropLike) else size_after(call.operation, size)
        answers = answer if isinstance(answer, list | tuple) else [answer]
        found |= {id(tensor): (one, size) for tensor, one in zip(call.output_tensors, answers, strict=True)}
    return found[id(network.outputs[0])]


def black_outside(maps: Any, size: Size | None) -> Any:
    """Maps with zeros below and at the right of a size, as a convolution pads them."""
    if size is None:
        return maps
    rows, columns = (ops.arange(length) < end for length, end in zip(ops.shape(maps)[1:3], size, strict=True))
    inside = ops.reshape(rows, (1, -1, 1, 1)) & ops.reshape(columns, (1, 1, -1, 1))
    return ops.where(inside, maps, ops.zeros_like(maps))


def size_after(layer: keras.Operation, size: Size) -> Size:
    """The size of what a layer that `answers_a_picture` knows makes of maps of a size."""
    if isinstance(layer, Enlarge | DepthToSpace):
        return size[0] * layer.scale, size[1] * layer.scale
    if isinstance(layer, RepeatEdges):
        return size[0] + 2 * layer.px, size[1] + 2 * layer.px
    if isinstance(layer, keras.layers.Conv2D) and layer.padding == "valid":
        sides = zip(size, layer.kernel_size, layer.strides, strict=True)
        height, width = ((side - kernel) // stride + 1 for side, kernel, stride in sides)
        return height, width
    return size
