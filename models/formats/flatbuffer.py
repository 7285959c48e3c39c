"""LiteRT files as objects: read, changed, written."""

from typing import Any

import numpy as np


def read(content: bytes) -> Any:
    """A LiteRT file as the `ModelT` of its schema."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def packed(model: Any) -> bytes:
    """The file of a `ModelT`."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def kinds(model: Any) -> list[str]:
    """The operators of each operator code, such as CONV_2D; custom ones by their own names."""
    from ai_edge_litert import schema_py_generated as schema

    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    found = [
        code.customCode or names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes
    ]
    return [kind.decode() if isinstance(kind, bytes) else kind for kind in found]


def constant(model: Any, tensor: Any) -> np.ndarray | None:
    """The float32 values that a tensor holds in the file; None where it is computed, or of another type."""
    from ai_edge_litert import schema_py_generated as schema

    data = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT32 or data is None or not len(data):
        return None
    return np.asarray(data, np.uint8).view(np.float32).reshape(tensor.shape)


def add_buffer(model: Any, content: bytes) -> int:
    """Append a buffer; its index."""
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def without_free_sizes(content: bytes) -> bytes:
    """A LiteRT file whose inputs have one free size, the number of examples, as one that takes one example and says so
    of its answers, too. An interpreter can still be resized to several."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.invoke()  # sizes of answers are known then
    model = read(content)
    for entry in [*interpreter.get_input_details(), *interpreter.get_output_details()]:
        tensor = model.subgraphs[0].tensors[entry["index"]]
        tensor.shape, tensor.shapeSignature = interpreter.get_tensor(entry["index"]).shape, None
    return packed(model)


def shrunk(model: Any) -> None:
    """Share equal buffers; drop those that are not used, and the places for scales where there are none."""
    first: dict[bytes, int] = {b"": 0}
    kept = [model.buffers[0]]
    holders = [*(tensor for graph in model.subgraphs for tensor in graph.tensors), *(model.metadata or [])]
    for holder in holders:
        data = model.buffers[holder.buffer].data
        content = b"" if data is None else bytes(data)
        if content not in first:
            first[content] = len(kept)
            kept.append(model.buffers[holder.buffer])
        holder.buffer = first[content]
    model.buffers = kept
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors):
        if tensor.quantization is not None and tensor.quantization.scale is None:
            tensor.quantization = None
