"""Strict JSON of anything that commands say."""

import codecs
import json
import math
import re
import sys
from pathlib import Path
from typing import Any


def finite(value: Any) -> Any:
    """The same document with NaN and infinities as None, NumPy scalars as Python's."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


UNPRINTED = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def to_json(document: Any, indent: int | None = None) -> str:
    """Strict JSON: no NaN, no Infinity; letters as they are where standard output takes them. Bytes of file names that
    are not UTF-8 are escaped, as are signs that end lines or steer terminals."""
    ascii_only = codecs.lookup(sys.stdout.encoding or "utf-8").name != "utf-8"
    text = json.dumps(finite(document), allow_nan=False, ensure_ascii=ascii_only, indent=indent)
    return UNPRINTED.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
