"""Writing files so that a kill at any moment leaves the last complete one; finding and naming them."""

import hashlib
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from convmedia.data.errors import InputError

OF_SYSTEMS = {
    "__macosx": "macOS keeps what belongs to its own files there",
    "@eadir": "a Synology server keeps thumbnails there",
    "$recycle.bin": "Windows keeps deleted files there",
    "system volume information": "Windows keeps files of its own there",
    "lost+found": "the file system keeps files of its own there",
    "__pycache__": "Python keeps files of its own there",
}
"""Folders, in lower case, that no user made, and why they are not looked into."""

BESIDE = frozenset(
    [
        *(".txt", ".md", ".rst", ".html", ".htm", ".log", ".ini", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml"),
        *(".yml", ".toml", ".py", ".ipynb", ".sh", ".xmp", ".aae", ".db", ".partial", ".crdownload"),
    ]
)
"""Suffixes of what commonly lies beside pictures and sounds and is meant for other eyes."""

NAMED = 5
"""Most files that a line names."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; on success it is renamed to `path`, on failure removed.

    The parent folder is made where it is missing. The temporary name keeps the suffix, because writers choose the
    format by it, and carries process and thread, so that two writers of one file never share it.

    Raises:
        OSError: as the writer or the rename raises it (no space left, no permission).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = f"{os.getpid()}-{threading.get_ident()}"
    beside = path.with_name(f".{path.stem}.{writer}.partial{path.suffix}")
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def digest(path: str | Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shown(path: str | Path) -> str:
    r"""A path as text for one line of a message: bytes that are not UTF-8 and line breaks appear as `\xe9`, `\n`.

    File names are bytes; without this a strange one splits an error message or stops its printing.
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text)


def find(
    paths: Iterable[str | Path],
    extensions: Collection[str],
    what: str,
    refused: Collection[str] = (),
    told: Callable[[str], None] | None = None,
) -> list[Path]:
    """Expand files and folders into files, in the order given; a folder gives those with `extensions`, sorted by name.

    Folders are searched to any depth, without hidden entries; linked folders are followed and each is read once. A
    file is kept whatever its name, a missing one too, and so is a folder without such files among other inputs:
    reading them says what is wrong.

    Args:
        what: the kind of file in one word, for the message.
        refused: further extensions, of files that reading refuses with a reason that people should see.
        told: called with a line on what is left out of a folder: files of other suffixes, but for those `BESIDE`, and
            folders that cannot be read.

    Raises:
        InputError: there are only folders, and they hold none.
    """
    found: list[Path] = []
    empty: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        every, odd = tree(path)
        inside = [file for file in every if file.suffix.lower() in {*extensions, *refused}]
        empty.extend([path] if not inside else [])
        found.extend(inside or [path])
        others = [file for file in every if file.suffix.lower() not in {*extensions, *refused, *BESIDE}]
        if told:
            for line in [*_left_out(path, others, what), *(reason for _, reason in odd)]:
                told(line)
    if empty and len(found) == len(empty):
        kinds = " ".join(sorted(extensions))
        raise InputError(f"{shown(empty[0])} holds no {what}; give a folder with files that end in {kinds}")
    return found


def _left_out(folder: Path, files: list[Path], what: str) -> list[str]:
    """A line that counts and names files that are no such thing; none where there are none."""
    if not files:
        return []
    names = ", ".join(shown(file.relative_to(folder)) for file in files[:NAMED])
    more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
    count = "1 file is" if len(files) == 1 else f"{len(files):,} files are"
    return [f"{count} left out of {shown(folder)}, by the suffix no {what}: {names}{more}"]


def tree(folder: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """All files below a folder but hidden and systems' own ones, sorted; and what cannot be followed, with the reason.

    Linked folders are followed and each folder is read once. A link to a folder that it lies in, and a folder that
    may not be read, are told.
    """
    files: list[Path] = []
    odd: list[tuple[Path, str]] = []
    seen: set[tuple[int, int]] = set()
    parents = {*folder.absolute().parents, *folder.resolve().parents}
    ahead = [(folder, frozenset(map(_identity, parents)))]
    while ahead:
        here, above = ahead.pop()
        try:
            key = _identity(here)
            entries = sorted(os.scandir(here), key=lambda entry: entry.name, reverse=True) if key not in seen else []
        except OSError as error:
            odd.append((here, f"{shown(here)} cannot be read ({error.strerror}); check its permissions"))
            continue
        seen.add(key)
        if key in above:
            odd.append((here, f"{shown(here)} links to a folder that it lies in; the loop is not followed"))
            continue
        shown_entries = [entry for entry in entries if not (is_hidden(entry.name) or is_of_system(entry.name))]
        ahead += [(here / entry.name, above | {key}) for entry in shown_entries if _is_folder(entry)]
        files += [here / entry.name for entry in shown_entries if not _is_folder(entry)]
    return sorted(files), sorted(odd)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is not shown to people: .DS_Store, ._photo.jpg, .ipynb_checkpoints."""
    return name.startswith(".")


def is_of_system(name: str) -> bool:
    """Whether a folder of this name is one of a system's own."""
    return name.lower() in OF_SYSTEMS


def _identity(folder: Path) -> tuple[int, int]:
    """Device and inode: the same for all names of a folder."""
    found = folder.stat()
    return found.st_dev, found.st_ino


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: reading it says so
        return False
