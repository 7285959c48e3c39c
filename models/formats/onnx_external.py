"""ONNX files whose numbers stand in another file beside them, which ONNX calls external data.

Shipped weights lie in the package as a `.keras` file and as exports of it: the same numbers each time, in another
order. An ONNX file may name a place in another file instead of holding a number itself, so it need not hold them again.
https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from convmedia.models.formats import onnx_bytes

if TYPE_CHECKING:
    import numpy as np

INITIALIZER = 5  # of a graph
RAW_DATA, EXTERNAL_DATA, DATA_LOCATION = 9, 13, 14  # of a tensor
KEY, VALUE = 1, 2  # of an entry of its external data
SMALLEST_BYTES = 1024  # that are worth a place elsewhere
ALIGNED = 4  # bytes: numbers that are computed with where they stand must begin at a multiple


def shared(content: bytes, others: Sequence[Path]) -> bytes:
    """An ONNX file that takes its tensors from files beside it, wherever the same bytes stand there.

    A tensor whose axes come in another order there is turned round by a `Transpose` in the graph, which runtimes
    compute once, on loading.

    Args:
        content: an ONNX file that holds all of its tensors.
        others: files that will lie in the same folder.
    """
    import onnx

    model = onnx.load_from_string(content)
    held = {file.name: file.read_bytes() for file in others}
    turned = []
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        found = _place(array, held) if array.nbytes >= SMALLEST_BYTES else None
        if found is None:
            continue
        file, offset, axes = found
        name = tensor.name
        if axes != sorted(axes):
            tensor.name = f"{name}/as_stored"
            back = [axes.index(axis) for axis in range(array.ndim)]
            turned.append(onnx.helper.make_node("Transpose", [tensor.name], [name], f"{name}/in_order", perm=back))
            del tensor.dims[:]
            tensor.dims.extend(array.shape[axis] for axis in axes)
        onnx.external_data_helper.set_external_data(tensor, file, offset, array.nbytes)
        tensor.ClearField("raw_data")
    nodes = [*turned, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model.SerializeToString()


def _place(array: "np.ndarray", held: dict[str, bytes]) -> tuple[str, int, list[int]] | None:
    """File, place in it and order of the axes in which a tensor stands in files; None where it stands in none."""
    for axes in itertools.permutations(range(array.ndim)):
        wanted = array.transpose(axes).tobytes()
        for file, content in held.items():
            offset = content.find(wanted)
            if offset >= 0 and (offset % ALIGNED == 0 or axes != tuple(range(array.ndim))):
                return file, offset, list(axes)
    return None


def whole(file: Path) -> bytes:
    """An ONNX file with all of its tensors inside, whatever of them stands elsewhere; without the `onnx` package.

    Raises:
        ValueError: no ONNX file, or it names a place outside its folder.
        OSError: a file that it names cannot be read.
    """
    return b"".join(
        onnx_bytes.field(onnx_bytes.GRAPH, _graph_with_numbers(value, file.parent))
        if number == onnx_bytes.GRAPH and value is not None
        else as_is
        for number, value, as_is in onnx_bytes.parts(file.read_bytes())
    )


def _graph_with_numbers(graph: bytes, folder: Path) -> bytes:
    return b"".join(
        _with_numbers(value, folder) if number == INITIALIZER and value is not None else as_is
        for number, value, as_is in onnx_bytes.parts(graph)
    )


def _with_numbers(tensor: bytes, folder: Path) -> bytes:
    """A tensor as an initializer of its graph, its numbers inside."""
    entries, kept = {}, []
    for number, value, as_is in onnx_bytes.parts(tensor):
        if number == EXTERNAL_DATA and value is not None:
            entry = dict(onnx_bytes.fields(value))
            entries[entry[KEY].decode()] = entry[VALUE].decode()
        elif number != DATA_LOCATION:
            kept.append(as_is)
    if entries:
        place = entries["location"]
        if Path(place).name != place:
            raise ValueError(f"it takes numbers from {place!r}, outside its folder")
        with (folder / place).open("rb") as file:
            file.seek(int(entries.get("offset", 0)))
            numbers = file.read(int(entries["length"]))
        if len(numbers) != int(entries["length"]):
            raise ValueError(f"{place} ends before the numbers that it should hold")
        kept.append(onnx_bytes.field(RAW_DATA, numbers))
    return onnx_bytes.field(INITIALIZER, b"".join(kept))
