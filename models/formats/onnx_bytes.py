"""Looking into ONNX files, and adding an output to one, without the `onnx` package: they are protocol buffers.

The numbers of fields are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. A message that stands twice
in a file is one message with the content of both, so what is written behind a file is added to it.
"""

from collections.abc import Iterator

GRAPH = 7  # of a model
NODE, OUTPUT = 1, 12  # of a graph
INPUT, OPERATOR = 1, 4  # of a node
NAME = 1  # of an output
_BYTES = 2  # wire type of what has a length
_FIXED = {1: 8, 5: 4}


def fields(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each field of a message that has a length, in order; numbers are passed over.

    Raises:
        ValueError: no such message.
    """
    return ((number, value) for number, value, _ in parts(content) if value is not None)


def parts(content: bytes) -> Iterator[tuple[int, bytes | None, bytes]]:
    """Number and content of each field of a message in order, and the field as it is written; numbers have no content.

    Raises:
        ValueError: no such message.
    """
    place = 0
    while place < len(content):
        begin, value = place, None
        key, place = _number(content, place)
        if key & 7 == _BYTES:
            size, place = _number(content, place)
            if place + size > len(content):
                raise ValueError("a field ends beyond the message")
            value = content[place : place + size]
            place += size
        elif key & 7 == 0:
            _, place = _number(content, place)
        elif key & 7 in _FIXED:
            place += _FIXED[key & 7]
        else:
            raise ValueError(f"a field of wire type {key & 7}")
        yield key >> 3, value, content[begin:place]


def number_of_nodes(content: bytes) -> int:
    """How many nodes a file's graph has.

    Raises:
        ValueError: no ONNX file.
    """
    return sum(inner == NODE for number, graph in fields(content) if number == GRAPH for inner, _ in fields(graph))


def first_input(content: bytes, operator: str) -> str | None:
    """Name of what goes first into the first node of an operator, as "Conv"; None where there is no such node.

    Raises:
        ValueError: no ONNX file.
    """
    for number, graph in fields(content):
        for inner, node in fields(graph) if number == GRAPH else ():
            if inner == NODE:
                given = list(fields(node))
                if (OPERATOR, operator.encode()) in given:
                    return next(value.decode() for number, value in given if number == INPUT)
    return None


def with_output(content: bytes, name: str) -> bytes:
    """A file that gives one tensor of its graph more, beside its own outputs."""
    return content + field(GRAPH, field(OUTPUT, field(NAME, name.encode())))


def field(number: int, content: bytes) -> bytes:
    """A field of a message, as it is written."""
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def _number(content: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if place >= len(content):
            raise ValueError("a number ends beyond the message")
        byte = content[place]
        number |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return number, place
