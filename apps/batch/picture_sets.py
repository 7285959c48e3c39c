"""The picture files of folders and of named sets."""

from pathlib import Path

from convmedia.apps.console.progress import progress
from convmedia.apps.console.terminal import note
from convmedia.data.images import decoding
from convmedia.data.sources import fetch
from convmedia.data.sources.catalogue import require_kind


def picture_sets(data: str) -> dict[str, list[Path]]:
    """The files of a folder, or of named sets and folders joined by +; sets are downloaded if need be.

    Raises:
        InputError: unknown name, a set of something else than plain pictures, no picture.
    """
    names = [data] if Path(data).is_dir() else data.split("+")
    return {
        name: decoding.find([name], note) if Path(name).is_dir() else decoding.find([fetched(name)]) for name in names
    }


def fetched(name: str) -> Path:
    fetch.source(name)  # no such name: says which there are
    require_kind(name, "pictures")
    with progress(f"fetching {name}") as update:
        return fetch.fetch(name, update)
