"""Vectors that are kept by content: what comes back is what was put in, whole, or nothing."""

import hashlib

import numpy as np
import pytest

from convmedia.data.storage.vectors import Kept

ONE, TWO, THREE = (hashlib.sha256(text).hexdigest() for text in (b"1", b"2", b"3"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path))


def test_what_is_added_comes_back():
    given = {ONE: np.array([1.5, -2, 3], np.float32), TWO: np.array([4, 5, 6], np.float32)}
    Kept("network", 3).add({ONE: given[ONE]})
    Kept("network", 3).add({TWO: given[TWO]})
    found = Kept("network", 3).read([ONE, TWO, THREE])
    assert found.keys() == given.keys()
    for name, vector in given.items():
        np.testing.assert_array_equal(found[name], vector)


def test_other_networks_and_sizes_have_vectors_of_their_own():
    Kept("network", 3).add({ONE: np.ones(3, np.float32)})
    assert Kept("other", 3).read([ONE]) == {}
    assert Kept("network", 4).read([ONE]) == {}


def test_half_a_row_is_cut_off_and_an_altered_one_is_left_out():
    kept = Kept("network", 2)
    kept.add({ONE: np.zeros(2, np.float32), TWO: np.ones(2, np.float32)})
    content = bytearray(kept.path.read_bytes())
    content[40] ^= 1  # in the vector of the first
    kept.path.write_bytes(bytes(content) + b"half")
    assert kept.read([ONE, TWO]).keys() == {TWO}
    kept.add({THREE: np.full(2, 3, np.float32)})
    found = kept.read([TWO, THREE])
    np.testing.assert_array_equal(found[THREE], [3, 3])
    np.testing.assert_array_equal(found[TWO], [1, 1])


def test_a_cache_that_cannot_be_written_is_none(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path / "file"))
    kept = Kept("network", 2)
    kept.add({ONE: np.zeros(2, np.float32)})
    assert kept.read([ONE]) == {}
