"""What travels inside an exported file beside the numbers: labels, input, digest of its model; and its operators.

One JSON text under the name `convmedia` in each format: `assets.extra/convmedia.json` of a SavedModel, a metadata
property of an ONNX file, a metadata buffer of a LiteRT file. Clients read it without this package.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from convmedia.data import extras
from convmedia.data.errors import InputError, in_one_line
from convmedia.data.files import shown
from convmedia.models import flatbuffer, keras_internals

NAME = "convmedia"
EXTRA = Path("assets.extra", "convmedia.json")


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


def read_saved_model(path: Path) -> tuple[Counter[str], str | None]:
    """Operators of the graph and its functions, and the description."""
    operators: Counter[str] = Counter()
    for graph in keras_internals.saved_model_graphs((path / "saved_model.pb").read_bytes()):
        operators.update(node.op for node in graph.node)
        operators.update(node.op for function in graph.library.function for node in function.node_def)
    extra = path / EXTRA
    return operators, extra.read_text(encoding="utf-8") if extra.is_file() else None


def read_onnx(path: Path) -> tuple[Counter[str], str | None]:
    """Operators of the graph, of graphs within it and of functions, and the description."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    operators: Counter[str] = Counter()
    waiting = [model.graph.node, *(function.node for function in model.functions)]
    while waiting:
        for node in waiting.pop():
            operators[node.op_type] += 1
            waiting += [attribute.g.node for attribute in node.attribute if attribute.HasField("g")]
    return operators, next((entry.value for entry in model.metadata_props if entry.key == NAME), None)


def read_litert(path: Path) -> tuple[Counter[str], str | None]:
    """Operators of every subgraph, custom ones by their own names, and the description."""
    from ai_edge_litert import schema_py_generated as schema

    content = path.read_bytes()
    if not schema.Model.ModelBufferHasIdentifier(content, 0):
        raise ValueError("no LiteRT file")
    model = flatbuffer.read(content)
    kinds = flatbuffer.kinds(model)
    operators = Counter(kinds[operator.opcodeIndex] for graph in model.subgraphs for operator in graph.operators)
    for entry in model.metadata or []:
        if entry.name in (NAME, NAME.encode()):
            return operators, bytes(model.buffers[entry.buffer].data).decode()
    return operators, None


READERS = {"saved-model": read_saved_model, "onnx": read_onnx, "litert": read_litert}
NEEDS = {"onnx": "onnx", "litert": "ai_edge_litert"}


def exported(path: str | Path) -> dict[str, Any] | None:
    """What is known of an exported file; None where the path names none.

    Returns:
        {"format", "bytes", "operators": {name: how often, the most frequent first}, "description": what the file says
        of itself, or None}.

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
        extras.require(shown(path), found, NEEDS[found])
    try:
        operators, text = READERS[found](path)
        description = None if text is None else json.loads(text)
    except Exception as error:  # three parsers of untrusted bytes let out what they like
        raise InputError(f"{shown(path)} cannot be read as {found} ({in_one_line(error)}).") from error
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    return {"format": found, "bytes": size, "operators": dict(operators.most_common()), "description": description}
