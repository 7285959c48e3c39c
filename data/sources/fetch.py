"""The named data sets: where each comes from, how it is known to be right, where it is on this machine.

    folder = fetch("Set5")      # finds it, or downloads and checks it

A name is looked up in the folder that the environment variable CONVMEDIA_DATA names, then in the user's cache
(CONVMEDIA_CACHE overrides its place), then downloaded. Checksums are the published ones; of a file that has none the
first download's is recorded beside it.
"""

import csv
import difflib
import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from convmedia.data.images import decoding
from convmedia.data.sources.catalogue import BUNDLED, SOURCES, Source
from convmedia.data.sources.download import Expected, Progress, Unreachable, download, unpack
from convmedia.data.storage.arrays import DAMAGED
from convmedia.data.storage.cache import cache
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import digest, replacing, shown, tree

# SHA-256 of the four IDX files of yann.lecun.com/exdb/mnist, unpacked, by the array that holds the same bytes.
_MNIST_IDX = {
    "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def source(name: str) -> Source:
    """The row of a name. Raises InputError, with the nearest names, for an unknown one."""
    if name in SOURCES:
        return SOURCES[name]
    folded = {known.lower(): known for known in SOURCES}
    near = [folded[match] for match in difflib.get_close_matches(name.lower(), folded, n=2)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise InputError(
        f"no data set is named {shown(name)!r}, and there is no such file or folder; {hint}known: {', '.join(SOURCES)}"
    )


def locate(name: str) -> Path | None:
    """Where a set is on this machine, or None. Content is not looked at (`check` does); nothing is downloaded.

    `digits` is scikit-learn's own file; read it with `sklearn.datasets.load_digits`.

    Raises:
        InputError: no set has this name.
    """
    row = source(name)
    if name == BUNDLED:
        return _bundled()
    return next((root / row.local for root in _roots() if (root / row.local).exists()), None)


def fetch(name: str, progress: Progress | None = None) -> Path:
    """A set's file or folder, content checked: found here, or else downloaded into the cache.

    Args:
        progress: called with the bytes that are here and the bytes in all (or None) while downloading.

    Raises:
        InputError: unknown name; no network; wrong size, checksum or content.
        OSError: as writing raises it (disk full, no permission).
    """
    row = source(name)
    found = locate(name)
    if found is None:
        found = _downloaded(row, progress)
    check(name, found)
    return found


def check(name: str, path: Path) -> None:
    """Compare what is at `path` with what is known of the set: content of MNIST, numbers of files and pixels.

    Raises:
        InputError: says what was expected and what is there.
    """
    row = source(name)
    if name == "mnist":
        _check_mnist(path)
    elif row.files:
        inside = list(_counted(path, row.suffixes))
        if len(inside) not in row.files:
            _refuse(row, path, " or ".join(f"{count:,} files" for count in row.files), f"{len(inside):,} files")
        if row.pixels is not None:
            pixels = sum(height * width for height, width in map(decoding.size, inside))
            if pixels != row.pixels:
                _refuse(row, path, f"{row.pixels:,} pixels in all", f"{pixels:,}")


def rows() -> list[dict[str, str | None]]:
    """The table for people: name, kind, what, size, licence, homepage, sha256 (published or recorded), found."""
    table = []
    for row in SOURCES.values():
        found = locate(row.name)
        table.append(
            {
                "name": row.name,
                "kind": row.kind,
                "what": row.what,
                "size": _size(row),
                "licence": row.licence,
                "homepage": row.homepage,
                "sha256": row.sha256 or recorded(row.name),
                "found": shown(found) if found else None,
            }
        )
    return table


def recorded(name: str) -> str | None:
    """SHA-256 of the file that a set in the cache was downloaded as, or None."""
    note = _note(source(name))
    try:
        return str(json.loads(note.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):  # none, or cut or altered
        return None


def _size(row: Source) -> str:
    value, unit = (row.bytes / 1e9, "GB") if row.bytes >= 1e9 else (row.bytes / 1e6, "MB")
    return f"{'' if row.exact else 'about '}{value:.1f} {unit}"


def _roots() -> list[Path]:
    given = os.environ.get("CONVMEDIA_DATA")
    return [*([Path(given)] if given else []), cache()]


def _bundled() -> Path | None:
    """scikit-learn's file, found without importing scikit-learn, which takes a second."""
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    return path if path.exists() else None


def _counted(path: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Files with these suffixes, without folders that begin with an underscore (background noise and the like)."""
    for file in tree(path)[0]:
        inside = file.relative_to(path).parts[:-1]
        if file.suffix.lower() in suffixes and not any(part.startswith("_") for part in inside):
            yield file


def _check_mnist(path: Path) -> None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            received = {key: _idx_digest(arrays[key]) for key in _MNIST_IDX}
    except DAMAGED as error:
        reason = " ".join(str(error).split())
        _refuse(SOURCES["mnist"], path, f"arrays {' '.join(_MNIST_IDX)} in an npz file", f"another file ({reason})")
    for key, want in _MNIST_IDX.items():
        if received[key] != want:
            _refuse(SOURCES["mnist"], path, f"{key} with the SHA-256 {want} as an IDX file", received[key])


def _idx_digest(array: np.ndarray) -> str:
    """SHA-256 of a uint8 array as an IDX file: big-endian magic number 0x08 and rank, sizes, then the bytes."""
    header = np.array([0x0800 + array.ndim, *array.shape], ">i4").tobytes()
    return hashlib.sha256(header + array.tobytes()).hexdigest()


def _refuse(row: Source, path: Path, expected: str, received: str) -> None:
    raise InputError(
        f"{shown(path)} is not {row.name}: expected {expected}, received {received}; "
        "move it away to have the set downloaded, or give it as a folder"
    )


def _downloaded(row: Source, progress: Progress | None) -> Path:
    if not row.urls:
        raise InputError(f"{row.name} comes with scikit-learn, which is not installed; run: pip install scikit-learn")
    target = cache() / row.local
    file = cache() / "archives" / "-".join(row.urls[0].split("/")[-3:]) if row.members else target
    url, sha256 = _transferred(row, file, progress)
    if row.members:
        unpack(file, target, row.members, _keep_esc10 if row.name == "esc10" else None)
        # Two sets come from one archive: it stays until both are here.
        if not any(other.urls == row.urls and locate(other.name) is None for other in SOURCES.values()):
            file.unlink()
    with replacing(_note(row)) as beside:
        beside.write_text(
            json.dumps({"name": row.name, "url": url, "sha256": sha256}, indent=1) + "\n", encoding="utf-8"
        )
    return target


def _transferred(row: Source, file: Path, progress: Progress | None) -> tuple[str, str]:
    """Download from the first place that answers; gives it and the SHA-256 of what came.

    An archive that is still here for another set was checked when it came, and is used again.
    """
    if file.exists():
        return row.urls[0], digest(file)
    expected = Expected(row.bytes if row.exact else None, row.sha256, row.md5)
    reasons = []
    for url in row.urls:
        try:
            return url, download(url, file, expected, progress)
        except Unreachable as error:
            reasons.append(str(error))
    looked = " nor in ".join(shown(root / row.local) for root in _roots())
    given = "" if os.environ.get("CONVMEDIA_DATA") else " (CONVMEDIA_DATA is not set)"
    instead = f", or use the bundled set {BUNDLED}" if row.name == "mnist" else ""
    raise InputError(
        f"{row.name} is not in {looked}{given} and cannot be downloaded ({'; '.join(reasons)}); connect to the "
        f"network, or put it there from {row.homepage}{instead}"
    )


def _note(row: Source) -> Path:
    place = cache() / row.local
    return place.with_name(place.name + ".source.json")


def _keep_esc10(folder: Path) -> None:
    """Cut ESC-50 down to the clips that its table marks as ESC-10."""
    with (folder / "esc50.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    kept = [line for line in table if line["esc10"] == "True"]
    with (folder / "esc10.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(kept)
    (folder / "esc50.csv").unlink()
    (folder / "audio").rename(folder / "esc50")
    (folder / "audio").mkdir()
    for line in kept:
        (folder / "esc50" / line["filename"]).rename(folder / "audio" / line["filename"])
    shutil.rmtree(folder / "esc50")
