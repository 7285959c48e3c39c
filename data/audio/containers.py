"""What the headers of WAV, RF64, W64, AIFF and AU say of a file's length and of its samples' bits.

libsndfile reads what is there of a file that is cut, without a word, and takes a length of 0, which programs that
write to a pipe leave behind, for no samples.
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

PCM, EXTENSIBLE = 0x0001, 0xFFFE  # wFormatTag
MOST_64 = 2**63 - 1
OGG_PAGE_BYTES = 65_307  # the greatest size of a page (RFC 3533, section 6)


class Header(NamedTuple):
    """What is known of a file before it is decoded.

    Attributes:
        complete: whether as much is there as the header says.
        overlay: (place, bytes) to be read in place of the file's own, where its header does not know the length.
        bits: (used, stored) bits of a sample, where fewer are used than stored.
    """

    complete: bool = True
    overlay: tuple[tuple[int, bytes], ...] = ()
    bits: tuple[int, int] | None = None


class Chunk(NamedTuple):
    name: bytes
    start: int
    length: int


def header(content: BinaryIO, size: int) -> Header:
    """Look at a file of `size` bytes, open for reading; formats that are not known here are taken to be complete."""
    head = content.read(12)
    if head[:4] == b"OggS":
        return Header(_ends_ogg(content, size))
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:] == b"WAVE":
        return _wave(content, size, head[:4])
    if head[:4] == b"riff":
        return Header(all(one.start + one.length <= size or _unknown(one.length) for one in _w64(content)))
    if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        found = [one for one in _chunks(content, ">") if one.name == b"SSND"]
        return Header(all(one.start + one.length <= size or _unknown(one.length) for one in found))
    if head[:4] == b".snd":
        start, length = struct.unpack(">II", head[4:])
        return Header(start + length <= size or _unknown(length))
    return Header()


class Overlaid(io.FileIO):
    """A file some of whose bytes read as others."""

    def __init__(self, path, overlay: tuple[tuple[int, bytes], ...]):
        super().__init__(path)
        self.overlay = overlay

    def readinto(self, buffer) -> int:
        """As `io.FileIO.readinto`."""
        at = self.tell()
        found = bytearray(len(memoryview(buffer).cast("B")))
        number = super().readinto(found) or 0
        for place, others in self.overlay:
            for offset, value in enumerate(others, place - at):
                if 0 <= offset < number:
                    found[offset] = value
        memoryview(buffer).cast("B")[:number] = found[:number]
        return number


def _wave(content: BinaryIO, size: int, kind: bytes) -> Header:
    """RIFF and RF64 (EBU Tech 3306: the 64-bit lengths stand in the chunk ds64)."""
    order = ">" if kind == b"RIFX" else "<"
    wide, bits = None, None
    for name, start, length in _chunks(content, order):
        if name == b"ds64" and length >= 16:
            content.seek(start + 8)
            wide = start + 8, int.from_bytes(content.read(8), "little")
        elif name == b"fmt ":
            bits = _bits(content.read(min(length, 40)), order)
        elif name == b"data":
            left = size - start
            if wide and length == 0xFFFFFFFF:
                place, told = wide
                if (told == 0 and left > 0) or told > MOST_64:
                    return Header(True, ((place, left.to_bytes(8, "little")),), bits)
                return Header(told <= left or _unknown(told), (), bits)
            if length == 0 and left > 0 and not _are_chunks(content, start, size, order):
                whole = struct.pack(f"{order}I", min(left, 0xFFFFFFFF))
                return Header(True, ((start - 4, whole),), bits)
            return Header(length <= left or _unknown(length), (), bits)
    return Header(bits=bits)


def _unknown(length: int) -> bool:
    """Whether a length is what programs write that do not know it: sox 0x7FFFF000, arecord 0x80000000, FFmpeg
    0xFFFFFFFF and 2^63 - 1, all of them less what a header or whole samples take."""
    return 0x7FFF0000 <= length <= 0x8000FFFF or 0xFFFF0000 <= length <= 0xFFFFFFFF or length >= MOST_64 - 0xFFFF


def _chunks(content: BinaryIO, order: str) -> Iterator[Chunk]:
    """Chunks from where the file stands, which is moved to the start of each."""
    while len(front := content.read(8)) == 8:
        name, length = struct.unpack(f"{order}4sI", front)
        start = content.tell()
        yield Chunk(name, start, length)
        content.seek(start + length + length % 2)


def _w64(content: BinaryIO) -> Iterator[Chunk]:
    """The data chunk of Sony Wave64: 16 bytes of name, 8 of a length that counts these 24."""
    content.seek(40)
    while len(front := content.read(24)) == 24:
        length, start = int.from_bytes(front[16:], "little"), content.tell()
        if front[:4] == b"data" or length < 24 or length > MOST_64:
            yield Chunk(front[:4], start, max(length - 24, 0))
            return
        content.seek(start - 24 + length + -length % 8)


def _are_chunks(content: BinaryIO, start: int, size: int, order: str) -> bool:
    """Whether everything from `start` on is chunks, the last of which ends where the file does: no samples."""
    content.seek(start)
    end = start
    for name, begins, length in _chunks(content, order):
        if not name.isascii() or not name.decode("ascii").isprintable() or begins + length > size:
            return False
        end = begins + length + length % 2
    return size <= end <= size + 1


def _bits(form: bytes, order: str) -> tuple[int, int] | None:
    """Used and stored bits of a sample, of a fmt chunk of integers that says that not all are used."""
    if len(form) < 16:
        return None
    tag, channels, _, _, frame, used = struct.unpack(f"{order}HHIIHH", form[:16])
    if tag == EXTENSIBLE and len(form) >= 26:
        tag, used = struct.unpack(f"{order}H", form[24:26])[0], struct.unpack(f"{order}H", form[18:20])[0] or used
    stored = 8 * frame // max(channels, 1)
    return (used, stored) if tag == PCM and 0 < used < stored <= 32 else None


def _ends_ogg(content: BinaryIO, size: int) -> bool:
    """Whether an Ogg file ends with its last page."""
    content.seek(max(size - OGG_PAGE_BYTES, 0))
    tail = content.read()
    page = tail.rfind(b"OggS")
    return page >= 0 and len(tail) > page + 5 and bool(tail[page + 5] & 4)
