"""Kept files: found by their key, the least recently used go first."""

import os
from pathlib import Path

import pytest

from convmedia.data import caches


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path))
    return tmp_path


def test_a_key_has_one_place_of_its_own(cache: Path) -> None:
    place = caches.place("decoded", "a", ".npy")
    assert place == caches.place("decoded", "a", ".npy") and place.suffix == ".npy"
    assert place.parent == cache / "decoded"
    assert len({place, caches.place("decoded", "b", ".npy"), caches.place("scans", "a", ".npy")}) == 3
    assert caches.place("scans", os.fsdecode(b"/caf\xe9"), ".json").name.isascii()


def test_the_least_recently_used_go_first(cache: Path) -> None:
    for age, name in enumerate(("newest", "newer", "old", "oldest")):
        (cache / name).write_bytes(b"x" * 10)
        os.utime(cache / name, (1_000_000 - age, 1_000_000 - age))
    caches.used(cache / "oldest")
    caches.trim(cache, 29)
    assert sorted(path.name for path in cache.iterdir()) == ["newest", "oldest"]
    caches.trim(cache, 20)
    assert len(list(cache.iterdir())) == 2
    caches.used(cache / "gone")  # another process may have removed it
    caches.trim(cache, -1)
    assert not list(cache.iterdir())
