"""Sounds kept at one rate: cached, read as windows, the same from memory and from disk."""

import numpy as np
import soundfile
import tensorflow as tf

from convmedia.data.audio import decoding
from convmedia.data.datasets import waveform_cache
from convmedia.data.folders.labelled import Split
from convmedia.data.storage import cache
from convmedia.data.storage.files import digest


def split(folder, lengths=(500, 3000, 1), rate=16_000):
    paths = []
    for number, length in enumerate(lengths):
        values = np.random.default_rng(number).uniform(-0.4, 0.4, length).astype("float32")
        soundfile.write(folder / f"{number}.wav", values, rate, subtype="FLOAT")
        paths.append(folder / f"{number}.wav")
    return Split(tuple(paths), np.arange(len(paths)), tuple(map(digest, paths)))


def test_windows_are_cut_where_they_are_asked_for(tmp_path):
    bank = waveform_cache.Recordings(split(tmp_path), 16_000)
    windows, heard = bank.windows([1, 1, 0, 2], [0.0, 1.0, 0.5, 0.5], 1000)
    long = decoding.read(tmp_path / "1.wav", 16_000)
    assert np.array_equal(windows[0], long[:1000])
    assert np.array_equal(windows[1], long[-1000:])
    assert heard.tolist() == [1000, 1000, 500, 1]
    assert not windows[2, 500:].any()


def test_memory_disk_and_tensors_give_the_same(tmp_path):
    part = split(tmp_path)
    memory, disk = (waveform_cache.Recordings(part, 8000, memory_bytes=most) for most in (1 << 30, 0))
    assert disk.kept == [None] * 3
    arguments = ([0, 1, 2], [0.3, 0.3, 0.3], 700)
    for a, b in zip(memory.windows(*arguments), disk.windows(*arguments), strict=True):
        assert np.array_equal(a, b)
    read = tf.function(lambda at: memory.gather(at, tf.fill([3], 0.3), 700))
    for a, b in zip(read(tf.range(3)), memory.windows(*arguments), strict=True):
        assert np.array_equal(a.numpy(), b)


def test_a_file_is_decoded_once(tmp_path, monkeypatch):
    part = split(tmp_path, lengths=(555, 666))
    first = waveform_cache.Recordings(part, 8000)
    monkeypatch.setattr(decoding, "read", lambda *_: 1 / 0)
    again = waveform_cache.Recordings(part, 8000)
    assert np.array_equal(first.windows([0, 1], [0, 0], 300)[0], again.windows([0, 1], [0, 0], 300)[0])


def test_a_damaged_cache_file_is_made_anew(tmp_path):
    part = split(tmp_path, lengths=(777,))
    bank = waveform_cache.Recordings(part, 8000)
    kept = bank._place(0)
    assert kept.parent == cache.place("clips", "", ".npy").parent
    kept.write_bytes(kept.read_bytes()[:90])
    assert np.array_equal(waveform_cache.Recordings(part, 8000)[0], bank[0])


def test_durations_are_those_of_the_headers(tmp_path):
    seconds, rates = waveform_cache.durations(split(tmp_path).paths)
    assert seconds.tolist() == [500 / 16_000, 3000 / 16_000, 1 / 16_000]
    assert rates.tolist() == [16_000] * 3
