"""Exported files with smaller numbers: float16 constants, or the network in 8 bits, calibrated on examples.

Only what a network has learned is quantised, and what passes its answers on from one kernel to the next: preparation,
normalisation over a picture, masks and the last scores stay in float32. A Fourier transform in 8 bits would hear noise.
Which operators of a file those are is told by their kernels and not by their names, which converters change.
"""

import logging
import tempfile
import warnings
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from convmedia.models import keras_internals
from convmedia.models.formats import flatbuffer
from convmedia.models.formats.weight_rounding import Batches, Kernel, kernels

LEAST_VALUES = 1024  # of a constant that is stored as float16: smaller ones would gain nothing
SAME = 1e-3  # of a kernel's greatest value
LITERT_KERNELS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
LITERT_PASSING = {
    *("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "EXPAND_DIMS", "MAX_POOL_2D", "PAD", "RELU", "RESHAPE", "SLICE"),
    *("SPLIT", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE"),
}
ONNX_KERNELS = {"Conv", "Gemm", "MatMul"}
ONNX_PASSING = {
    *("Add", "AveragePool", "Clip", "Concat", "MaxPool", "Pad", "Relu", "Reshape", "Slice", "Split", "Squeeze"),
    *("Transpose", "Unsqueeze"),
}
ONNX_FOLDED = {"Clip", "Relu"}  # into the range of the kernel before them


@dataclass(frozen=True)
class Node:
    """An operator of a graph.

    Attributes:
        kind: as its format calls it.
        kernel: float32 (outputs, inputs of one), where it multiplies with a constant.
        inputs, outputs: what it takes and gives of float32 that is computed, by name or number.
    """

    kind: str
    kernel: np.ndarray | None
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]


def chosen_kernels(model: keras.Model) -> list[Kernel]:
    """The kernels of a model that are quantised: all, or all but the outermost two, by the kind of its answer."""
    found = kernels(model)
    return found if model.layers[-1].kind.outer_kernels else found[1:-1]


def network_of(
    nodes: Sequence[Node], learned: Iterable[np.ndarray], passing: Set[str], joined: Set[str] = frozenset()
) -> set[int]:
    """Places of the operators to quantise: learned kernels, and what leads from one of them to the next.

    Args:
        nodes: in an order in which they can be computed.
        learned: kernels, float32 (outputs, inputs of one); a file may hold them times a factor for each output.
        passing: kinds that may lie between two of them.
        joined: kinds that also belong to the kernel before them, such as an activation.
    """
    prints = [_fingerprint(rows) for rows in learned]
    kernel = {place for place, node in enumerate(nodes) if node.kernel is not None and _known(node.kernel, prints)}
    wanted: set[Any] = set()  # what leads to a learned kernel
    for place in reversed(range(len(nodes))):
        if place in kernel or wanted.intersection(nodes[place].outputs):
            wanted.update(nodes[place].inputs)
    made: set[Any] = set()  # in 8 bits
    chosen = set()
    for place, node in enumerate(nodes):
        leads = node.kind in joined or (node.kind in passing and not wanted.isdisjoint(node.outputs))
        if place in kernel or (leads and node.inputs and made.issuperset(node.inputs)):
            chosen.add(place)
            made.update(node.outputs)
    return chosen


def _fingerprint(rows: np.ndarray) -> np.ndarray:
    """What of a kernel is the same in every layout and times a factor of each output."""
    ordered = np.sort(rows, axis=1)
    greatest = np.abs(ordered).max(axis=1, keepdims=True)
    return ordered / np.where(greatest > 0, greatest, 1.0)


def _known(rows: np.ndarray, prints: list[np.ndarray]) -> bool:
    found = _fingerprint(rows)
    used = np.abs(found).any(axis=1)  # a normalisation may have put out an output
    for known in prints:
        if known.shape == found.shape:
            apart = [np.abs(found - known), np.abs(found + known[:, ::-1])]  # a factor may be negative
            if np.minimum(*(each.max(axis=1) for each in apart))[used].max(initial=0.0) < SAME:
                return True
    return False


def litert_float16(content: bytes) -> bytes:
    """A float32 LiteRT file with its large constants in float16; they are widened when it is loaded or run."""
    model = flatbuffer.read(content)
    _store_as_float16(model)
    flatbuffer.shrunk(model)
    return flatbuffer.packed(model)


def litert_int8(content: bytes, batches: Batches, learned: Sequence[np.ndarray]) -> bytes:
    """A float32 LiteRT file with its network in 8 bits, per output of each kernel, and ranges seen in examples.

    What stays in float32 arithmetic has its large constants stored as float16. Inputs and outputs are as they were.

    Args:
        content: the file.
        batches: what goes into it.
        learned: kernels to quantise, as of `network_of`.

    Raises:
        ValueError: none of them is in the file.
    """
    model = flatbuffer.read(content)
    [graph] = model.subgraphs
    nodes = _litert_nodes(model, graph)
    chosen = network_of(nodes, learned, LITERT_PASSING)
    if not chosen:
        raise ValueError("no learned kernel was found to quantise")
    for number, tensor in enumerate(graph.tensors):  # one name each, by which operators are left out
        if number not in [*graph.inputs, *graph.outputs]:
            tensor.name = f"t{number}".encode()
    inside = {tensor for place in chosen for tensor in (*nodes[place].inputs, *nodes[place].outputs)}
    _set_ranges(graph, _ranges(flatbuffer.packed(model), batches, inside))
    left_out = [
        graph.tensors[tensor].name.decode()
        for place, operator in enumerate(graph.operators)
        if place not in chosen
        for tensor in operator.outputs
    ]
    quantised = flatbuffer.read(keras_internals.quantized_litert(flatbuffer.packed(model), left_out))
    _store_as_float16(quantised)
    flatbuffer.shrunk(quantised)
    return flatbuffer.packed(quantised)


def _litert_nodes(model: Any, graph: Any) -> list[Node]:
    from ai_edge_litert import schema_py_generated as schema

    kinds = flatbuffer.kinds(model)

    def floats(places: Iterable[int]) -> tuple[int, ...]:
        tensors = [(int(place), graph.tensors[place]) for place in places if place >= 0]
        computed = [(place, tensor) for place, tensor in tensors if tensor.type == schema.TensorType.FLOAT32]
        return tuple(place for place, tensor in computed if flatbuffer.constant(model, tensor) is None)

    def kernel(kind: str, operator: Any) -> np.ndarray | None:
        values = flatbuffer.constant(model, graph.tensors[operator.inputs[1]]) if kind in LITERT_KERNELS else None
        if values is None or kind != "DEPTHWISE_CONV_2D":
            return None if values is None else values.reshape(len(values), -1)
        return values.reshape(-1, values.shape[-1]).T

    named = [(kinds[operator.opcodeIndex], operator) for operator in graph.operators]
    return [Node(kind, kernel(kind, each), floats(each.inputs), floats(each.outputs)) for kind, each in named]


def _ranges(content: bytes, batches: Batches, tensors: Iterable[int]) -> dict[int, tuple[float, float]]:
    """Least and greatest value of each tensor, over batches of any sizes."""
    from ai_edge_litert.interpreter import Interpreter

    from convmedia.models.formats.runtimes import fed

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that keeping every tensor takes memory
        interpreter = Interpreter(model_content=content, experimental_preserve_all_tensors=True)
    found = {tensor: (np.inf, -np.inf) for tensor in tensors}
    run = fed(interpreter)
    for batch in batches():
        run(*batch)
        for tensor, (least, greatest) in found.items():
            values = interpreter.get_tensor(tensor)
            found[tensor] = min(least, float(values.min())), max(greatest, float(values.max()))
    return found


def _set_ranges(graph: Any, ranges: dict[int, tuple[float, float]]) -> None:
    from ai_edge_litert import schema_py_generated as schema

    for tensor, (least, greatest) in ranges.items():
        parameters = schema.QuantizationParametersT()
        parameters.min, parameters.max = [least], [greatest]
        graph.tensors[tensor].quantization = parameters


def _store_as_float16(model: Any) -> None:
    """Put a DEQUANTIZE of float16 in place of each large float32 constant, as TensorFlow's float16 files have it."""
    from ai_edge_litert import schema_py_generated as schema

    [graph] = model.subgraphs
    stored: dict[int, int] = {}  # buffers
    widening = []
    for place, tensor in enumerate(list(graph.tensors)):
        values = flatbuffer.constant(model, tensor)
        if values is None or values.size < LEAST_VALUES or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        if tensor.buffer not in stored:
            stored[tensor.buffer] = flatbuffer.add_buffer(model, values.astype(np.float16).tobytes())
        half = schema.TensorT()
        half.name, half.shape, half.type = tensor.name + b"_half", tensor.shape, schema.TensorType.FLOAT16
        half.buffer, tensor.buffer = stored[tensor.buffer], 0
        graph.tensors.append(half)
        operator = schema.OperatorT()
        operator.opcodeIndex = _dequantize(model)
        operator.inputs, operator.outputs = [len(graph.tensors) - 1], [place]
        widening.append(operator)
    graph.operators[:0] = widening


def _dequantize(model: Any, version: int = 3) -> int:
    """Index of the operator code of DEQUANTIZE, of a version that takes float16."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = flatbuffer.kinds(model)
    if "DEQUANTIZE" not in kinds:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
        model.operatorCodes.append(code)
        kinds.append("DEQUANTIZE")
    place = kinds.index("DEQUANTIZE")
    model.operatorCodes[place].version = max(version, model.operatorCodes[place].version)
    return place


def onnx_int8(source: Path, target: Path, batches: Batches, learned: Sequence[np.ndarray]) -> None:
    """Write an ONNX file with its network in 8 bits: static QDQ, kernels per output, ranges seen in examples.

    Args:
        source: the float32 file.
        batches, learned: as of `litert_int8`.

    Raises:
        ValueError: no learned kernel is in the file.
    """
    from onnxruntime import quantization

    folded = _folded(source)
    graph = folded.graph
    chosen = network_of(_onnx_nodes(graph), learned, ONNX_PASSING, ONNX_FOLDED)
    if not chosen:
        raise ValueError("no learned kernel was found to quantise")
    names = {len(entry.type.tensor_type.shape.dim): entry.name for entry in graph.input}
    given = ({names[array.ndim]: array for array in batch} for batch in batches())

    class Reader(quantization.CalibrationDataReader):
        def get_next(self):
            return next(given, None)

    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)  # its advice to prepare the file, as `_folded` has done
    try:
        quantization.quantize_static(
            folded,
            target,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            nodes_to_quantize=[graph.node[place].name for place in sorted(chosen)],
        )
    finally:
        logging.disable(disabled)


def _folded(source: Path) -> Any:
    """An ONNX file with what follows a convolution, such as a normalisation, put into its kernel.

    TensorFlow's converter leaves that of a depthwise one beside it. Two maps of 8 bits would be made for one then, the
    first with a range for channels whose sizes the normalisation had yet to make alike.
    """
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        model = onnx.load(options.optimized_model_filepath)
    used = {node.domain for node in model.graph.node}
    for opset in [opset for opset in model.opset_import if opset.domain not in used]:
        model.opset_import.remove(opset)
    return onnx.shape_inference.infer_shapes(model)


def _onnx_nodes(graph: Any) -> list[Node]:
    from onnx import numpy_helper

    constants = {entry.name: entry for entry in graph.initializer}

    def kernel(node: Any) -> np.ndarray | None:
        if node.op_type not in ONNX_KERNELS or node.input[1] not in constants:
            return None
        values = numpy_helper.to_array(constants[node.input[1]])
        across = node.op_type == "MatMul" or (
            node.op_type == "Gemm" and not any(each.name == "transB" and each.i for each in node.attribute)
        )
        return values.reshape(-1, values.shape[-1]).T if across else values.reshape(len(values), -1)

    def computed(node: Any) -> tuple[str, ...]:
        # Of a Reshape, a Slice and their like only the first input is a map; the others are sizes.
        taken = node.input if node.op_type in ("Add", "Concat") else node.input[:1]
        return tuple(name for name in taken if name)

    return [Node(node.op_type, kernel(node), computed(node), tuple(node.output)) for node in graph.node]
