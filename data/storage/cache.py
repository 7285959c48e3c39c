"""Files that can be made again: kept in the user's cache folder, the least recently used thrown away first."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import platformdirs

from convmedia.data.storage import cache as storage_cache


def place(kind: str, key: str, suffix: str) -> Path:
    """Where the file of a key is kept: CACHE/KIND/HASH.SUFFIX. `key` says all that its content depends on."""
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return storage_cache.cache() / kind / (name + suffix)


def used(path: Path) -> None:
    """Note that a kept file was of use just now; where the cache may not be written its age stays."""
    with suppress(OSError):
        os.utime(path)


def trim(folder: Path, most_bytes: int) -> None:
    """Remove the least recently used files of a folder until it holds at most `most_bytes`.

    Files that another process writes to are the most recent, those of one that was killed grow old like the rest.
    """
    found = [(path, path.stat()) for path in folder.iterdir() if path.is_file()]
    total = 0
    for path, stat in sorted(found, key=lambda one: one[1].st_mtime_ns, reverse=True):
        total += stat.st_size
        if total > most_bytes:
            path.unlink(missing_ok=True)


def cache() -> Path:
    """The folder that downloads go to."""
    override = os.environ.get("CONVMEDIA_CACHE")
    return Path(override) if override else platformdirs.user_cache_path("convmedia")
