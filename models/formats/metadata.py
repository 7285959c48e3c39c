"""What travels inside an exported file beside the numbers: labels, input, digest of its model; and its operators.

One JSON text under the name `convmedia` in each format: `assets.extra/convmedia.json` of a SavedModel, a metadata
property of an ONNX file, a metadata buffer of a LiteRT file. Clients read it without this package.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from convmedia.data.storage import extras
from convmedia.data.storage.errors import InputError, in_one_line
from convmedia.data.storage.files import shown
from convmedia.models.description import NAME
from convmedia.models.formats import flatbuffer
from convmedia.models.inference import sessions

EXTRA = Path("assets.extra", "convmedia.json")


class Inside(NamedTuple):
    """What is in an exported file: how often each operator, the description, and what goes in as a runtime takes it,
    {"name", "dtype", "shape"} each, sizes that are free None. Of operators None where only the runtime is installed,
    which does not list them."""

    operators: Counter[str] | None
    text: str | None
    inputs: list[dict[str, Any]]


def write_saved_model(path: Path, text: str) -> None:
    """Put the description beside the graph, where a SavedModel keeps what its users add."""
    (path / EXTRA).parent.mkdir(exist_ok=True)
    (path / EXTRA).write_text(text, encoding="utf-8")


def write_onnx(path: Path, text: str) -> None:
    """Put the description into the metadata properties."""
    import onnx

    model = onnx.load(path)
    model.metadata_props.add(key=NAME, value=text)
    onnx.save(model, path)


def write_litert(path: Path, text: str) -> None:
    """Put the description into a metadata buffer."""
    from ai_edge_litert import schema_py_generated as schema

    model = flatbuffer.read(path.read_bytes())
    entry = schema.MetadataT()
    entry.name, entry.buffer = NAME, flatbuffer.add_buffer(model, text.encode())
    model.metadata = [*(model.metadata or []), entry]
    path.write_bytes(flatbuffer.packed(model))


def read_saved_model(path: Path) -> Inside:
    """Of the graph, its functions and the signature that servers call."""
    from convmedia.models import keras_internals

    operators: Counter[str] = Counter()
    content = (path / "saved_model.pb").read_bytes()
    for graph in keras_internals.saved_model_graphs(content):
        operators.update(node.op for node in graph.node)
        operators.update(node.op for function in graph.library.function for node in function.node_def)
    extra = path / EXTRA
    text = extra.read_text(encoding="utf-8") if extra.is_file() else None
    return Inside(operators, text, [_input(*one) for one in keras_internals.saved_model_inputs(content)])


def read_onnx(path: Path) -> Inside:
    """Of the graph, graphs within it and functions; what the runtime tells where the package onnx is missing."""
    if extras.missing(["onnx"]):
        session = sessions.onnx(path)
        return Inside(None, session.said(), [_input(*one) for one in session.inputs])
    import onnx

    model = onnx.load(path, load_external_data=False)
    operators: Counter[str] = Counter()
    waiting = [model.graph.node, *(function.node for function in model.functions)]
    while waiting:
        for node in waiting.pop():
            operators[node.op_type] += 1
            waiting += [attribute.g.node for attribute in node.attribute if attribute.HasField("g")]
    text = next((entry.value for entry in model.metadata_props if entry.key == NAME), None)
    constants, inputs = {tensor.name for tensor in model.graph.initializer}, []
    for entry in model.graph.input:
        if entry.name not in constants:
            kind = entry.type.tensor_type
            sizes = [size.dim_value or None for size in kind.shape.dim]
            inputs.append(_input(entry.name, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type), sizes))
    return Inside(operators, text, inputs)


def read_litert(path: Path) -> Inside:
    """Of every subgraph, custom operators by their own names; inputs as its signature names them."""
    from ai_edge_litert import schema_py_generated as schema

    content = path.read_bytes()
    if not schema.Model.ModelBufferHasIdentifier(content, 0):
        raise ValueError("no LiteRT file")
    model = flatbuffer.read(content)
    kinds = flatbuffer.kinds(model)
    operators = Counter(kinds[operator.opcodeIndex] for graph in model.subgraphs for operator in graph.operators)
    types = {number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
    names = {one.tensorIndex: one.name.decode() for sign in model.signatureDefs or [] for one in sign.inputs}
    inputs = []
    for index in model.subgraphs[0].inputs:
        tensor = model.subgraphs[0].tensors[index]
        shape = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
        inputs.append(_input(names.get(index, tensor.name.decode()), types[tensor.type], shape))
    held = [entry.buffer for entry in model.metadata or [] if entry.name in (NAME, NAME.encode())]
    return Inside(operators, bytes(model.buffers[held[0]].data).decode() if held else None, inputs)


def _input(name: str, dtype: Any, shape: Iterable[int | None]) -> dict[str, Any]:
    sizes = [None if size is None or size < 0 else int(size) for size in shape]
    return {"name": name, "dtype": str(np.dtype(dtype)), "shape": sizes}


READERS = {"saved-model": read_saved_model, "onnx": read_onnx, "litert": read_litert}
NEEDS = {"onnx": ("onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}
"""Of each format the modules of which one reads it."""


def exported(path: str | Path) -> dict[str, Any] | None:
    """What is known of an exported file; None where the path names none.

    Returns:
        {"format", "bytes", "inputs": [{"name", "dtype", "shape"}], "operators": {name: how often, the most frequent
        first} or None, where what lists them is not installed, "description": what the file says of itself, or None}.

    Raises:
        InputError: damaged, or the library that reads it is not installed.
    """
    path = Path(path)
    found = (
        "saved-model"
        if (path / "saved_model.pb").is_file()
        else {".onnx": "onnx", ".tflite": "litert"}.get(path.suffix)
    )
    if found is None or not path.exists():
        return None
    if found in NEEDS:
        reads = [module for module in NEEDS[found] if not extras.missing([module])]
        extras.require(shown(path), found, *(reads or NEEDS[found])[:1])
    try:
        inside = READERS[found](path)
        description = None if inside.text is None else json.loads(inside.text)
    except Exception as error:  # three parsers of untrusted bytes let out what they like
        raise InputError(f"{shown(path)} cannot be read as {found} ({in_one_line(error)}).") from error
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    return {
        "format": found,
        "bytes": size,
        "inputs": inside.inputs,
        "operators": None if inside.operators is None else dict(inside.operators.most_common()),
        "description": description,
    }
