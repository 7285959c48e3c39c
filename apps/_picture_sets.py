"""The picture files of folders and of named sets."""

from pathlib import Path

from convmedia.apps._progress import progress
from convmedia.apps._terminal import note
from convmedia.data import images, sources
from convmedia.data.catalogue import require_kind


def picture_sets(data: str) -> dict[str, list[Path]]:
    """The files of a folder, or of named sets and folders joined by +; sets are downloaded if need be.

    Raises:
        InputError: unknown name, a set of something else than plain pictures, no picture.
    """
    names = [data] if Path(data).is_dir() else data.split("+")
    return {name: images.find([name], note) if Path(name).is_dir() else images.find([fetched(name)]) for name in names}


def fetched(name: str) -> Path:
    sources.source(name)  # no such name: says which there are
    require_kind(name, "pictures")
    with progress(f"fetching {name}") as update:
        return sources.fetch(name, update)
