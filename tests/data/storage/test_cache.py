"""Kept files: found by their key, the least recently used go first."""

import os
from pathlib import Path

import pytest

from convmedia.data.storage import cache as storage_cache


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path))
    return tmp_path


def test_a_key_has_one_place_of_its_own(cache: Path) -> None:
    place = storage_cache.place("decoded", "a", ".npy")
    assert place == storage_cache.place("decoded", "a", ".npy") and place.suffix == ".npy"
    assert place.parent == cache / "decoded"
    assert len({place, storage_cache.place("decoded", "b", ".npy"), storage_cache.place("scans", "a", ".npy")}) == 3
    assert storage_cache.place("scans", os.fsdecode(b"/caf\xe9"), ".json").name.isascii()


def test_the_least_recently_used_go_first(cache: Path) -> None:
    for age, name in enumerate(("newest", "newer", "old", "oldest")):
        (cache / name).write_bytes(b"x" * 10)
        os.utime(cache / name, (1_000_000 - age, 1_000_000 - age))
    storage_cache.used(cache / "oldest")
    storage_cache.trim(cache, 29)
    assert sorted(path.name for path in cache.iterdir()) == ["newest", "oldest"]
    storage_cache.trim(cache, 20)
    assert len(list(cache.iterdir())) == 2
    storage_cache.used(cache / "gone")  # another process may have removed it
    storage_cache.trim(cache, -1)
    assert not list(cache.iterdir())
