"""Everything that is used of the private parts of Keras and TensorFlow; no other module touches them.

Each function says what it takes from where, and why nothing public will do. Checked by
`tests/models/kinds/test_keras_internals.py` against the installed versions: a new version that moves one of them fails
the test of that function.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras


def flattened_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """A layer and all layers within it, at any depth, each once; also within wrappers, whose layers no public
    attribute lists under one name.

    Of `keras.Layer._flatten_layers`.
    """
    return layer._flatten_layers()


def direct_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers that a model, a wrapper or another layer holds itself, in order.

    Of `keras.Layer._flatten_layers`.
    """
    return layer._flatten_layers(include_self=False, recursive=False)


def calls(network: keras.Model) -> list[Any]:
    """Every call of a layer or operation in a Sequential or functional network, from input to output.

    `layer.output` would not do: it belongs to the layer's first call, which may lie in another model that shares
    the layer, and a nested model's is its own.

    Of `keras.Model._nodes_by_depth`, of a Sequential model that of its `_functional`.

    Returns:
        Nodes with `operation`, `input_tensors` and `output_tensors`.
    """
    graph = getattr(network, "_functional", None) or network
    depths = sorted(graph._nodes_by_depth, reverse=True)
    return [call for depth in depths for call in graph._nodes_by_depth[depth] if not call.is_input]


@contextlib.contextmanager
def watched_inputs(
    layers: Sequence[keras.layers.Layer], look: Callable[[keras.layers.Layer, Any], None]
) -> Iterator[None]:
    """Show the inputs of each call of some layers to `look` within the block, wherever in a model they are.

    Keras has no hooks. Its `Layer.__call__` looks `call` up in the instance, where it is put past Keras's tracking of
    attributes.
    """

    def watched(layer, call):
        def looked_at(inputs, *arguments, **options):
            look(layer, inputs)
            return call(inputs, *arguments, **options)

        return looked_at

    for layer in layers:
        vars(layer)["call"] = watched(layer, layer.call)
    try:
        yield
    finally:
        for layer in layers:
            del vars(layer)["call"]


def variable_index(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    """The place, among the variables that an optimizer was built with, of the one that its `update_step` is given.

    On TensorFlow `update_step` is given TensorFlow's variable, which knows no layer.

    Of `keras.optimizers.Optimizer._get_variable_index`.
    """
    return optimizer._get_variable_index(variable)


class MatrixMuon(keras.optimizers.Muon):
    """Muon whose subclasses say which variables it updates, and as which matrices.

    Overrides `_should_use_adamw` and `_muon_update_step` of `keras.optimizers.Muon`, which knows dense layers only,
    and uses its `zeropower_via_newtonschulz5` and `lr_adjust`.
    """

    def updates(self, variable: Any) -> bool:
        """Whether Muon updates a variable, and not Adam."""
        raise NotImplementedError

    def matrix_shape(self, variable: Any) -> tuple[int, int]:
        """Rows and columns of the matrix that a variable is multiplied as; one of them may be -1."""
        raise NotImplementedError

    def _should_use_adamw(self, variable):
        return not self.updates(variable)

    def _muon_update_step(self, gradient, variable, lr, m):
        ops = keras.ops
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        ahead = ops.add(gradient, self.momentum * m) if self.nesterov else m
        matrix = ops.reshape(ahead, self.matrix_shape(variable))
        update = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(update, variable.shape))


def process_index(distribution: keras.distribution.DataParallel) -> int:
    """Which of the processes that train together this one is.

    Of `keras.distribution.DataParallel._process_id`; each backend has a public way of its own, Keras has none.
    """
    return distribution._process_id


def lay_out(variable: keras.Variable, layout: Any) -> None:
    """Move a variable that was made before a distribution to where the distribution wants it; its value stays.

    Sets `keras.Variable._layout`, which the constructor would have set.
    """
    variable._layout = layout
    variable.assign(keras.ops.convert_to_numpy(variable))


def saved_model_graphs(content: bytes) -> list[Any]:
    """The GraphDefs in the bytes of a `saved_model.pb`; TensorFlow's public loader would build and run them.

    Of `tensorflow.core.protobuf.saved_model_pb2`.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    return [meta.graph_def for meta in saved_model_pb2.SavedModel.FromString(content).meta_graphs]


def saved_model_inputs(content: bytes) -> list[tuple[str, Any, list[int]]]:
    """Name, dtype of NumPy and shape (-1 is any) of what the signature takes that servers call.

    Of `tensorflow.core.protobuf.saved_model_pb2`.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    [meta, *_] = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    inputs = meta.signature_def["serving_default"].inputs
    return [
        (name, tf.dtypes.as_dtype(one.dtype).as_numpy_dtype, [size.size for size in one.tensor_shape.dim])
        for name, one in inputs.items()
    ]


def converter_error() -> type[Exception]:
    """What `tf.lite.TFLiteConverter` raises when an operation has no counterpart; it has no public name.

    Of `tensorflow.lite.python.convert`.
    """
    from tensorflow.lite.python.convert import ConverterError

    return ConverterError


def quantized_litert(content: bytes, left_out: Sequence[str]) -> bytes:
    """A LiteRT file with float32 ranges of its tensors turned to int8, but for the tensors of the names `left_out`.

    TensorFlow's public converter sets ranges by itself and takes no names.

    Of `tensorflow.lite.python.convert.mlir_quantize`.
    """
    from tensorflow.lite.python.convert import mlir_quantize

    return mlir_quantize(content, denylisted_nodes=list(left_out))


@contextlib.contextmanager
def variables_within(most_bytes: int) -> Iterator[None]:
    """Within, variables of more than `most_bytes` together are not made: MemoryError before one takes memory.

    Nothing public sees the shapes of a configuration's variables before they are made.

    Of `keras.Variable._initialize_with_initializer` and `_shape`.
    """
    made = keras.Variable._initialize_with_initializer
    left = [most_bytes]

    def counted(self: Any, initializer: Any) -> None:
        left[0] -= math.prod(self._shape) * BYTES.get(str(self.dtype), 4)
        if left[0] < 0:
            raise MemoryError(f"its variables take more than {most_bytes:,} bytes")
        made(self, initializer)

    keras.Variable._initialize_with_initializer = counted
    try:
        yield
    finally:
        keras.Variable._initialize_with_initializer = made


BYTES = {"float64": 8, "int64": 8, "bfloat16": 2, "float16": 2, "int8": 1, "uint8": 1, "bool": 1}
