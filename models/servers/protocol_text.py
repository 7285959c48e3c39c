"""Messages of protocol buffers as servers take them: settings as text, requests as bytes."""

import json
from collections.abc import Iterable, Mapping
from typing import Any


class Name(str):
    """A value of an enumeration, which stands without quotes."""

    __slots__ = ()


def text(message: Mapping[str, Any], indent: str = "") -> str:
    """A message in the text format (protobuf.dev, Text Format Language Specification).

    Args:
        message: fields by name: numbers, strings, `Name`s, messages, or lists of one of these.
    """
    return "".join(line for name, value in message.items() for line in _lines(name, value, indent))


def _lines(name: str, value: Any, indent: str) -> Iterable[str]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, Mapping):
            yield f"{indent}{name} {{\n{text(one, indent + '  ')}{indent}}}\n"
        else:
            yield f"{indent}{name}: {one if isinstance(one, Name) else json.dumps(one)}\n"


def field(number: int, content: bytes) -> bytes:
    """A field of a message that holds bytes, a string or a message (protobuf.dev, Encoding)."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low = []
    while value > 127:
        low.append(value & 127 | 128)
        value >>= 7
    return bytes([*low, value])
