"""Getting a file over HTTP so that broken connections and kills cost only what was under way, and unpacking it.

A download grows in `NAME.part` beside its place and is renamed when its size and checksum are right; a later call
goes on where the last one stopped.
"""

import gzip
import hashlib
import http.client
import lzma
import re
import shutil
import stat
import struct
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from convmedia.data.storage.errors import InputError, in_one_line
from convmedia.data.storage.files import alone, digest, shown

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and the bytes in all (None where the server does not tell)."""

TIMEOUT_SECONDS = 30.0
ATTEMPTS = 5
"""Tries in a row that bring no new byte before a download is given up."""

_CHUNK_BYTES = 1 << 16
_USER_AGENT = "convmedia (Python urllib)"
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class Unreachable(ConnectionError):
    """The server could not be reached, refused, or broke off too often."""


class _Broken(Exception):
    """The connection ended early; what came so far is kept."""


class _NoConnection(_Broken):
    """The connection was never made: no network, no such host, a closed port."""


@dataclass(frozen=True)
class Expected:
    """What is published about a file: exact size in bytes and hexadecimal checksums, each None where it is not."""

    size: int | None = None
    sha256: str | None = None
    md5: str | None = None


def download(
    url: str, path: Path, expected: Expected, progress: Progress | None = None, *, pause_seconds: float = 1.0
) -> str:
    """Fetch `url` to `path`, resuming what an earlier call left, and give the SHA-256 of what came.

    Raises:
        InputError: the server's file has another size or checksum than `expected`; or another process is at it.
        Unreachable: no connection, a refusal (404 and the like), or `ATTEMPTS` in a row without a new byte.
        OSError: as writing raises it (disk full, no permission).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("ab") as file:
        alone(file.fileno(), f"another process is downloading {shown(path)}; wait until it is done")
        transfer = _Transfer(url, part, file, expected, progress)
        try:
            transfer.complete(pause_seconds)
            received = transfer.verified()
        finally:
            if file.tell() == 0:
                part.unlink()
        part.replace(path)
    transfer.note.unlink(missing_ok=True)
    return received


@dataclass(frozen=True)
class _Transfer:
    """A download under way: `file` is `part`, open for appending."""

    url: str
    part: Path
    file: IO[bytes]
    expected: Expected
    progress: Progress | None

    @property
    def note(self) -> Path:
        """Where the server's word on the file's version is kept, so that two versions are never joined."""
        return self.part.with_name(self.part.name + ".version")

    def complete(self, pause_seconds: float) -> None:
        """Connect until all is here."""
        fruitless, came = 0, False
        while True:
            before = self.file.tell()
            try:
                return self.receive()
            except _Broken as error:
                grew = self.file.tell() > before
                fruitless, came = (0 if grew else fruitless + 1), came or grew
                if isinstance(error, _NoConnection) and not came:
                    raise Unreachable(f"{self.url}: {error}") from error
                if fruitless == ATTEMPTS:
                    raise Unreachable(f"{self.url} broke off {ATTEMPTS} times in a row ({error})") from error
                time.sleep(pause_seconds * 2 ** max(fruitless - 1, 0))

    def receive(self) -> None:
        """One connection; returns when the file is complete."""
        have = self.file.tell()
        if have and have == self.expected.size:
            return
        with self.answer(have) as response:
            if have and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                have = self.restart()
            self.remember(response)
            length = response.headers.get("Content-Length", "")
            total = have + int(length) if length.isdigit() else self.expected.size
            self.check_size(total)
            for chunk in _chunks(response):
                self.file.write(chunk)
                have += len(chunk)
                if self.progress:
                    self.progress(have, total)
                if total is None or have > total:
                    self.check_size(have, at_most=True)
        if total is not None and have < total:
            raise _Broken(f"{have:,} of {total:,} bytes came")

    @contextmanager
    def answer(self, have: int) -> Iterator[http.client.HTTPResponse]:
        headers = {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"} | self.range(have)
        try:
            response = urllib.request.urlopen(
                urllib.request.Request(self.url, headers=headers), timeout=TIMEOUT_SECONDS
            )
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # what is here is longer than the server's file: not the beginning of it
                self.restart()
            elif error.code not in _PASSING:
                raise Unreachable(f"{self.url} answered {error.code} {error.reason}") from error
            raise _Broken(f"{error.code} {error.reason}") from error
        except urllib.error.URLError as error:
            raise _NoConnection(str(error.reason)) from error
        except (OSError, http.client.HTTPException) as error:
            raise _Broken(str(error) or type(error).__name__) from error
        with response:
            yield response

    def range(self, have: int) -> dict[str, str]:
        """Headers that ask for the rest, where it can be told that the rest belongs to what is here."""
        version = self.note.read_text(encoding="utf-8") if self.note.exists() else ""
        if not have or not (version or self.expected.sha256 or self.expected.md5):
            return {}
        return {"Range": f"bytes={have}-"} | ({"If-Range": version} if version else {})

    def remember(self, response: http.client.HTTPResponse) -> None:
        tag = response.headers.get("ETag", "")
        version = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
        self.note.write_text(version, encoding="utf-8")

    def restart(self) -> int:
        self.file.truncate(0)
        return self.file.seek(0)

    def check_size(self, size: int | None, at_most: bool = False) -> None:
        want = self.expected.size
        if want is None or size is None or size == want or (at_most and size < want):
            return
        self.restart()
        raise InputError(
            f"{self.url} has {size:,} bytes, expected {want:,}; it was changed there: take the set from its homepage"
        )

    def verified(self) -> str:
        """SHA-256 of the complete file; a wrong one is dropped, so that the next call starts anew."""
        self.file.flush()
        self.check_size(self.file.tell())
        sha256 = digest(self.part)
        with self.part.open("rb") as content:
            md5 = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        for kind, want, got in (("SHA-256", self.expected.sha256, sha256), ("MD5", self.expected.md5, md5)):
            if want is not None and want != got:
                self.restart()
                raise InputError(
                    f"{self.url} has the {kind} {got}, expected {want}; it was altered on its way or changed there: "
                    "try again, or take the set from its homepage"
                )
        return sha256


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read1(_CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _Broken(str(error) or type(error).__name__) from error
        if not chunk:
            return
        yield chunk


_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    FileExistsError,
    ValueError,
    struct.error,
)
_STRANGE = (RuntimeError, NotImplementedError)  # encrypted, or packed by a method that Python does not know
SWELLING = 100
"""Most times that the files of an archive may be larger than it: sounds and pictures do not pack well."""


def unpack(
    archive: Path,
    folder: Path,
    members: Sequence[tuple[str, str]],
    finish: Callable[[Path], None] | None = None,
) -> None:
    r"""Write the members of a zip or tar archive that are wanted to `folder`, all of them or none.

    Args:
        members: pairs of a pattern that a member's whole name must match and its place below `folder`, with groups,
            as `(r".*/Set5/([^/]+\.bmp)", r"\1")`. The first that matches counts; members without one are left out.
        finish: called with the complete folder before it gets its name.

    Raises:
        InputError: the archive is damaged, has a name that leads out of the folder, or a link among what is wanted.
    """
    beside = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    left = SWELLING * archive.stat().st_size
    try:
        for name, content in _contents(archive, members):
            target = beside / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with content, target.open("xb") as file:
                left = _copied(content, file, left, archive)
        if finish:
            finish(beside)
        beside.replace(folder)
    except InputError:
        raise
    except _STRANGE as error:
        message = f"{shown(archive)} cannot be unpacked ({in_one_line(error)}); take the set from its homepage"
        raise InputError(message) from error
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno and not isinstance(error, _DAMAGED):
            raise  # of the disk; bz2 has none
        message = f"{shown(archive)} is a damaged archive ({in_one_line(error)}); delete it and fetch it again"
        raise InputError(message) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _copied(content: IO[bytes], file: IO[bytes], left: int, archive: Path) -> int:
    """Copy a member; gives the bytes that others may still take. Raises InputError where there are none."""
    while chunk := content.read(_CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise InputError(f"{shown(archive)} unpacks to more than {SWELLING} times its size; do not use it")
        file.write(chunk)
    return left


def _contents(archive: Path, members: Sequence[tuple[str, str]]) -> Iterator[tuple[str, IO[bytes]]]:
    """(place, open content) of each wanted member."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as container:
            for info in container.infolist():
                linked = stat.S_ISLNK(info.external_attr >> 16)
                if not info.is_dir() and (place := _place(archive, info.filename, members, linked)):
                    yield place, container.open(info)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            linked = not member.isfile()
            if not member.isdir() and (place := _place(archive, member.name, members, linked)):
                content = tar.extractfile(member)
                assert content is not None  # a regular file always has content
                yield place, content
        # The checksum of a compressed tar stands at its very end, behind where the last member stops.
        while tar.fileobj is not None and tar.fileobj.read(_CHUNK_BYTES):
            pass


def _place(archive: Path, name: str, members: Sequence[tuple[str, str]], linked: bool) -> str | None:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name:
        raise InputError(
            f"{shown(archive)} holds the name {name[:100]!r}, which leads out of its folder; do not use it"
        )
    for pattern, place in members:
        found = re.fullmatch(pattern, name)
        if found and not pure.name.startswith("."):
            if linked:
                raise InputError(
                    f"{shown(archive)} holds a link or device where a file belongs, {name[:100]!r}; do not use it"
                )
            return found.expand(place)
    return None
