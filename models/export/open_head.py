"""An ONNX file of a classifier of sounds into which another head can be put, as a page does that learns classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.models.formats import onnx_external
from convmedia.models.kind import TOLERANCE

FEATURES = "features"
"""Name of the further output, float32 (windows, size)."""

HEAD = "head_weights", "head_bias"
"""Names of the head: initializers, float32 (size, labels) and (labels,)."""


def write(source: Path, path: Path, inputs: Sequence[np.ndarray]) -> None:
    """Write a classifier's file with an open head: of any number of labels, and with what the last layer is given as a
    further output, a row for each window of a sound.

    Args:
        source: a proved ONNX file that ends in a dense layer, softmax and a mean over windows.
        path: of the file. Its first output is that of `source`; nothing is said inside of what it is.
        inputs: batches that it is tried on.

    Raises:
        ValueError: the file ends otherwise, or the new one answers otherwise.
    """
    import onnx as package
    from onnx import TensorProto, helper, numpy_helper

    model = package.load_from_string(onnx_external.whole(source))
    graph = model.graph
    made = {name: node for node in graph.node for name in node.output}
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}

    def number_of(name: str) -> np.ndarray:
        turn = made.get(name)
        return held[name] if turn is None else held[turn.input[0]].transpose(list(turn.attribute[0].ints))

    product, add, softmax = _scoring(graph, made)
    head = [number_of(product.input[1]), number_of(add.input[1])]
    labels = head[1].size
    reshapes = [node for node in graph.node if node.op_type == "Reshape" and softmax.output[0] in node.input]
    if len(reshapes) != 1:
        raise ValueError("the file does not end in a mean over windows")
    shape = made[reshapes[0].input[1]]
    sizes = made[shape.input[0]] if shape.op_type == "Cast" else shape
    if sizes.op_type != "Concat" or held[sizes.input[-1]].tolist() != [labels]:
        raise ValueError("the file does not end in a mean over windows")
    kind = helper.np_dtype_to_tensor_dtype(held[sizes.input[-1]].dtype)
    sizes.input[-1] = "labels"
    place = list(graph.node).index(product)
    nodes = [
        helper.make_node("Identity", [product.input[0]], [FEATURES]),
        helper.make_node("Gemm", [product.input[0], *HEAD], [softmax.input[0]]),
    ]
    count = [
        helper.make_node("Shape", [HEAD[1]], ["labels_int64"]),
        helper.make_node("Cast", ["labels_int64"], ["labels"], to=kind),
    ]
    kept = [node for node in graph.node if node not in (product, add)]
    del graph.node[:]
    graph.node.extend([*count, *kept[:place], *nodes, *kept[place:]])
    taken = {name for node in graph.node for name in node.input}
    needed = [tensor for tensor in graph.initializer if tensor.name in taken]
    del graph.initializer[:]
    graph.initializer.extend(needed)
    graph.initializer.extend(numpy_helper.from_array(array, name) for array, name in zip(head, HEAD, strict=True))
    graph.output[0].type.tensor_type.shape.dim[-1].dim_param = "labels"
    graph.output.append(helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["windows", head[0].shape[0]]))
    del graph.value_info[:], model.metadata_props[:]
    package.checker.check_model(model, full_check=True)
    package.save(model, path)
    _require_equal(source, path, inputs)


def _scoring(graph: Any, made: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Product, sum and softmax of the layer that scores labels.

    Raises:
        ValueError: there is none.
    """
    for softmax in reversed([node for node in graph.node if node.op_type == "Softmax"]):
        add = made[softmax.input[0]]
        product = made.get(add.input[0])
        if product is not None and (add.op_type, product.op_type) == ("Add", "MatMul"):
            return product, add, softmax
    raise ValueError("the file does not end in a dense layer and softmax")


def _require_equal(source: Path, path: Path, inputs: Sequence[np.ndarray]) -> None:
    import onnxruntime

    providers = ["CPUExecutionProvider"]
    one, other = (onnxruntime.InferenceSession(str(file), providers=providers) for file in (source, path))
    given = one.get_inputs()[0].name
    for batch in inputs:
        expected = one.run(None, {given: batch})[0]
        found = other.run(None, {given: batch})[0]
        if not np.abs(found - expected).max() <= TOLERANCE / 100:
            raise ValueError(f"{path.name} answers otherwise than {source.name}")
