"""Reading the files of a folder once: which can be used, what is wrong with the others; remembered between scans."""

import base64
import hashlib
import json
import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from convmedia.data.storage import cache
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import digest, replacing, shown
from convmedia.data.storage.parallel import in_order

Decode = Callable[[Path], object]
"""Reads a file completely; what it gives in bytes is the file's fingerprint."""

Progress = Callable[[int, int], None]

EDITION = 3
"""To be raised when `examine` judges differently: what was remembered before is forgotten."""

MEMORY_BYTES = 200_000_000
"""What all remembered scans together may take on disk; 25,000 files take 13 MB."""

FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **{f".{name.lower()}": name for name in ("PNG", "BMP", "GIF", "WEBP", "AVIF")},
}
"""The format that a suffix promises, where it promises one."""

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
)
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"


class Content(NamedTuple):
    """What is in a usable file: SHA-256 of its bytes, the picture format that they tell, if any, and the fingerprint
    in base 64."""

    digest: str
    format: str | None
    mark: str = ""

    @property
    def fingerprint(self) -> bytes:
        return base64.b64decode(self.mark)


def read(
    folder: Path, files: list[Path], decode: Decode, extensions: Collection[str], progress: Progress | None = None
) -> Iterator[Content | str]:
    """What is in each file, in order, or in words why it cannot be used; read in parallel.

    A usable file that did not change since an earlier scan (same path, size, times and decoder) is not read again.

    Args:
        folder: the files lie below it; the earlier scan is remembered under its place.
        progress: called with files done and files in all.
    """

    def look(file: Path) -> Content | str:
        try:
            return examine(file, decode, extensions)
        except InputError as error:
            return str(error)
        except OSError as error:
            return f"{shown(file)} cannot be read ({error.strerror})"

    memory = Memory(folder, decode, extensions)
    states = [_state(file) for file in files]
    known = [memory.recall(file, state) for file, state in zip(files, states, strict=True)]
    looked = in_order(look, [file for file, content in zip(files, known, strict=True) if content is None])
    try:
        for done, (file, state, content) in enumerate(zip(files, states, known, strict=True), 1):
            found: Content | str = content or next(looked)
            if isinstance(found, Content):
                memory.keep(file, state, found)
            if progress:
                progress(done, len(files))
            yield found
        memory.forget_others()
    finally:
        looked.close()
        memory.write()


def examine(path: Path, decode: Decode, extensions: Collection[str]) -> Content:
    """Read one file completely.

    Raises:
        InputError: another suffix, refused by `decode`, or a JPEG or PNG that ends before its end marker.
        OSError: as reading raises it.
    """
    if not os.path.lexists(path):
        raise InputError(f"{shown(path)} does not exist")
    if path.suffix.lower() not in extensions:
        raise InputError(f"{shown(path)} has the suffix {shown(path.suffix)!r}, which is not read")
    mark = decode(path)
    with path.open("rb") as file:
        kind = _format(file.read(16))
    if not _complete(path, kind):
        raise InputError(f"{shown(path)} is cut: it ends without the end marker of {kind}; replace it with a full copy")
    return Content(digest(path), kind, base64.b64encode(mark).decode() if isinstance(mark, bytes) else "")


def _format(head: bytes) -> str | None:
    """The picture format that a file's first 16 bytes tell."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    return next((name for mark, name in _SIGNATURES if head.startswith(mark)), None)


def _complete(path: Path, kind: str | None) -> bool:
    """Whether a JPEG or PNG has its end marker.

    Decoders are content when all rows are there: Pillow 13 reads 6 % of JPEGs that lack their last two bytes, a PNG
    that lacks 16, and a JPEG whose second half was never written and is zeros.
    """
    if kind not in ("JPEG", "PNG"):
        return True
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 16, 0))
        tail = file.read()
        if tail.endswith(_JPEG_END if kind == "JPEG" else _PNG_END):
            return True
        file.seek(0)  # cameras and programs put things of their own behind the end
        content = file.read()
    if kind == "PNG":
        return _PNG_END in content
    return content.find(_JPEG_END, _first_scan(content)) >= 0


def _first_scan(content: bytes) -> int:
    """Where a JPEG's pixels begin (ISO 10918-1, B.1.1): behind the segments, one of which may hold a small JPEG."""
    at = 2
    while content[at : at + 1] == b"\xff" and content[at + 1 : at + 2] != b"\xda":
        filled = content[at + 1 : at + 2] == b"\xff"
        at += 1 if filled else 2 + max(int.from_bytes(content[at + 2 : at + 4], "big"), 2)
    return at


def _state(path: Path) -> list[int] | None:
    """Size, time of the last change and time of the last change of name or permission, in ns; None for no file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns] if stat.S_ISREG(found.st_mode) else None


class Memory:
    """What scans of one folder found out about its usable files; bad files are examined every time.

    A memory that is damaged, or of another version of the decoder, counts as none. Where the cache may not be
    written nothing is remembered.
    """

    def __init__(self, folder: Path, decode: Decode, extensions: Collection[str]):
        self.folder = folder
        name = f"{getattr(decode, '__module__', '')}.{getattr(decode, '__qualname__', '<')}"
        parts = (EDITION, metadata.version("pillow"), name, *sorted(extensions), folder.resolve())
        # A function without a name of its own cannot be told from others.
        self.file = None if "<" in name else cache.place("scans", "\n".join(map(str, parts)), ".json")
        self.known = self._read()
        self.kept: dict[str, list] = {}
        self.complete = False

    def recall(self, path: Path, state: list[int] | None) -> Content | None:
        """What is known of a file in this state."""
        row = self.known.get(self._name(path))
        return Content(*row[3:]) if row and row[:3] == state else None

    def keep(self, path: Path, state: list[int] | None, content: Content) -> None:
        """Remember what was found. `state` is that from before the file was read."""
        if state:
            self.kept[self._name(path)] = [*state, *content]

    def forget_others(self) -> None:
        """The scan is complete: what was not kept is not there any more."""
        self.complete = True

    def write(self) -> None:
        """Write what changed; an interrupted scan adds to what was known."""
        rows = self.kept if self.complete else self.known | self.kept
        if self.file is None or rows == self.known:
            return
        text = json.dumps(rows)
        with suppress(OSError):  # the next scan takes longer, and nothing else is lost
            with replacing(self.file) as beside:
                beside.write_text(f"{_checksum(text)}\n{text}", encoding="utf-8")
            cache.trim(self.file.parent, MEMORY_BYTES)

    def _read(self) -> dict[str, list]:
        if self.file is None:
            return {}
        try:
            checksum, _, text = self.file.read_text(encoding="utf-8").partition("\n")
        except (OSError, ValueError):
            return {}
        if checksum != _checksum(text):
            return {}
        cache.used(self.file)
        return json.loads(text)

    def _name(self, path: Path) -> str:
        return os.fspath(path.relative_to(self.folder))


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
