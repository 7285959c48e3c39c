"""Writing files so that a kill at any moment leaves the last complete one; finding and naming them."""

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from convmedia.data.storage.errors import InputError

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
LONGEST_SUFFIX = 32  # bytes, of the formats that writers choose by it


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; on success it is renamed to `path`, on failure removed.

    The parent folder is made where it is missing. The temporary name keeps the suffix, because writers choose the
    format by it, and is random, so that two writers of one file never share it. It is short: whatever name a folder
    can hold is written.

    Raises:
        OSError: as the writer or the rename raises it (no space left, no permission).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= LONGEST_SUFFIX else ""
    beside = path.with_name(f".{secrets.token_hex(8)}.partial{suffix}")
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def fitting(file: str | Path) -> Iterator[None]:
    """Turns a file system's refusal of a result's name, which is longer than that of its file, into an InputError."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        message = f"{shown(file)}: the name of its result is too long here; give the file a shorter name"
        raise InputError(message) from error


@contextmanager
def locked(path: str | Path, busy: str) -> Iterator[None]:
    """Hold a file or folder that is written to against other processes, by a lock file beside or in it.

    The kernel lets go when a process dies; the lock file goes at the end, and one that a kill left blocks nobody.

    Args:
        busy: what to say where another process holds it.

    Raises:
        InputError: another process holds it.
        OSError: no permission, no space.
    """
    path = Path(path).resolve()
    # Of a file: a short name, so that the lock of any file has one.
    name = ".lock" if path.is_dir() else f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.lock"
    lock = path / name if path.is_dir() else path.with_name(name)
    lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with lock.open("ab") as file:
            alone(file.fileno(), busy)
            if not _is_at(file.fileno(), lock):  # its last holder has just removed it
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def alone(descriptor: int, busy: str) -> None:
    """Lock an open file against other processes until it is closed. Raises InputError where one has it."""
    try:
        import fcntl
    except ImportError:  # Windows has no advisory locks
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(busy) from error


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file still has a name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


KINDS = {
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def special(path: str | Path) -> str | None:
    """What is at a path if it is neither a file nor a folder: "a device", "a pipe" or "a socket"."""
    try:
        return KINDS.get(stat.S_IFMT(Path(path).stat().st_mode))
    except (OSError, ValueError):  # nothing there, or no name that a file can have
        return None


def digest(path: str | Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shown(path: str | Path) -> str:
    r"""A path as text for one line of a message: bytes that are not UTF-8 and line breaks appear as `\xe9`, `\n`.

    File names are bytes; without this a strange one splits an error message or stops its printing.
    """
    if (text := os.fspath(path)).isprintable():
        return text
    try:
        encoded = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a pair, as JSON can hold it
        encoded = text.encode("utf-8", "surrogatepass")
    text = encoded.decode("utf-8", "backslashreplace")
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
