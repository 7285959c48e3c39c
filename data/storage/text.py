"""Text files that people send: UTF-8 with or without a byte order mark, UTF-16 and UTF-32, any line ends."""

import codecs
import os
import re

MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, and what the text behind them is written in. That of UTF-32 begins with that of UTF-16."""

LINE_ENDS = re.compile(r"\r\n|\r|\n")


def encoding(content: bytes) -> str:
    """What a text is written in, by its byte order mark; without one by its zeros, which UTF-8 has none of."""
    marked = next((name for mark, name in MARKS if content.startswith(mark)), None)
    if marked:
        return marked
    start = content[:4096]
    first, second = start[0::2].count(0), start[1::2].count(0)
    if 3 * second > len(start) / 2 and not first:
        return "utf-16-le"
    return "utf-16-be" if 3 * first > len(start) / 2 and not second else "utf-8"


def decoded(content: bytes) -> str:
    """A file's content as text.

    Raises:
        UnicodeDecodeError: it is written in something else.
    """
    return content.decode(encoding(content))


def lines(text: str) -> list[str]:
    """Lines without their ends; other than `str.splitlines` only at line feeds and carriage returns."""
    return LINE_ENDS.split(text)


def listed(content: bytes) -> list[str]:
    """The files and folders that a list names, one a line; names that are not UTF-8 stay the bytes that they are.

    Where there is none of the name as it stands, there may be without the quotes around it, or with / for \\.
    """
    written = encoding(content)
    if not written.startswith("utf-8"):
        found = lines(content.decode(written, "replace"))
    else:
        found = [os.fsdecode(line) for line in content.removeprefix(codecs.BOM_UTF8).splitlines()]
    return [_there(line) for line in found if line.strip()]


def _there(line: str) -> str:
    bare = line.strip().removeprefix('"').removesuffix('"')
    spellings = (line, line.strip(), bare, bare.replace("\\", "/"))
    return next((one for one in spellings if os.path.lexists(one)), line)


def plural(number: int, noun: str) -> str:
    """1 file, 2 files."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
