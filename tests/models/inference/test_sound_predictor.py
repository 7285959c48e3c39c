"""Windows of files and streams: the answers of the saved file, in flat memory, whatever comes beside them."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from convmedia.data.audio import decoding
from convmedia.models.inference.predictor import Predictor
from convmedia.models.inference.sound_predictor import BATCH, Listener, cut, scores_of
from convmedia.models.networks import sounds
from convmedia.models.saving import files as saving_files

LABELS = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def listener():
    import keras

    spectrum, size = sounds.heard_as("compact", 8000, 1.0)
    keras.utils.set_random_seed(4)
    network = sounds.compact(spectrum.frames(size), spectrum.bands, 10)
    moments = np.full(spectrum.bands, -40.0), np.full(spectrum.bands, 15.0)
    return Listener(Predictor(sounds.whole(network, spectrum, size, *moments, app="audio", labels=LABELS, details={})))


def sound(samples, seed=0):
    rng = np.random.default_rng([seed, samples])
    return (0.3 * rng.normal(size=samples) * np.abs(np.sin(np.arange(samples) / 5000))).clip(-1, 1).astype("float32")


def written(path, samples):
    soundfile.write(path, samples, 8000, subtype="FLOAT")
    return path


def blocks_of(values, size):
    return [values[start : start + size] for start in range(0, len(values), size)]


@pytest.mark.parametrize("block", [1, 3, 7, 100])
def test_windows_do_not_depend_on_the_blocks(block):
    values = np.arange(1, 24, dtype="float32")
    windows = list(cut(blocks_of(values, block), 5, every=2))
    answer = [window for window in windows if not window.listed]
    assert [(window.start, window.heard) for window in answer] == [(0, 5), (5, 5), (10, 5), (15, 5), (20, 3)]
    assert answer[-1].samples.tolist() == [21, 22, 23, 0, 0]
    listed = [window for window in windows if window.listed]
    assert [window.start for window in listed] == list(range(0, 20, 2))  # that of 18 reaches the end
    assert (listed[-1].start, listed[-1].heard) == (18, 5)


def test_windows_may_leave_gaps():
    listed = [window.start for window in cut([np.ones(20, "float32")], 3, every=8) if window.listed]
    assert listed == [0, 8, 16]


def test_files_of_any_length_get_the_answers_of_the_saved_file(listener, tmp_path):
    lengths = [1, 3, 500, 8000, 8001, 23_456, 95_000]
    files = [written(tmp_path / f"{number}.wav", sound(number)) for number in lengths]
    expected = [listener.predictor(sound(number)[None])[0] for number in lengths]
    np.testing.assert_allclose(scores_of(listener.predictor, files), expected, atol=1e-6)


def test_rows_are_in_order_with_errors_between_them(listener, tmp_path):
    files = [written(tmp_path / f"{number:03}.wav", sound(number + 500)) for number in range(0, 3000, 30)]
    (tmp_path / "004.wav").write_text("no sound")
    files.insert(4, tmp_path / "004.wav")
    rows = listener.predictor.predict_files(files, top=3)
    assert len(rows) == 101 > BATCH
    assert [row["file"] for row in rows] == [str(file) for file in files]
    assert [place for place, row in enumerate(rows) if "error" in row] == [4]
    assert rows[7]["label"] == rows[7]["top"][0]["label"]
    assert len(rows[7]["top"]) == 3


def test_a_row_for_each_window(listener, tmp_path):
    file = written(tmp_path / "long.wav", sound(20_000))
    row = next(listener.rows([file], every_seconds=1.0))
    assert [(window["start"], window["end"]) for window in row["windows"]] == [(0, 1), (1, 2), (2, 2.5)]
    scores = [listener.predictor(sound(20_000)[None, start : start + 8000])[0] for start in (0, 8000, 16_000)]
    # The last window is filled up in one of the two: float32 adds up in another order, by how much depends on the CPU.
    assert [window["score"] for window in row["windows"]] == pytest.approx([one.max() for one in scores], abs=5e-6)
    assert next(listener.rows([file]))["score"] == row["score"]


@pytest.mark.parametrize("live", [False, True])
def test_a_stream_gets_the_answers_of_the_file(listener, tmp_path, live):
    values = sound(50_021)
    file = written(tmp_path / "whole.wav", values)
    offline = next(listener.rows([file], every_seconds=0.5))
    heard = list(listener.heard([("-", blocks_of(values, 1234))], every=4000, live=live))
    (whole,) = [one for one, _ in heard if one is not None]
    online = listener.row(whole, None, windows=True)
    assert {**online, "file": str(file)} == offline
    assert [row for _, row in heard if row is not None] == online["windows"]


def test_a_live_window_is_answered_before_the_next_block_is_waited_for(listener):
    given = []

    def blocks():
        for block in blocks_of(sound(32_000), 8000):
            given.append(len(block))
            yield block

    counts = [len(given) for _, row in listener.heard([("-", blocks())], every=8000, live=True) if row is not None]
    assert counts == [1, 2, 3, 4]


def test_ten_hours_take_no_more_memory_than_ten_minutes(listener):
    def peak(blocks):
        silence = np.zeros(80_000, "float32")
        tracemalloc.start()
        for _ in cut((silence for _ in range(blocks)), listener.size):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(3600) < 1.1 * peak(60) < 5e6


def test_labels_above_their_thresholds_are_named(listener):
    tagger = Listener(listener.predictor)
    tagger.predictor.details["thresholds"] = [0.5] * 3 + [0.1] + [0.9] * 6
    named = tagger.named(np.array([0.6, 0.4, 0.7, 0.2, 0.8] + [0.0] * 5))
    del tagger.predictor.details["thresholds"]
    assert [entry["label"] for entry in named["labels"]] == ["2", "0", "3"]


@pytest.fixture(scope="module")
def shipped():
    return Listener(saving_files.shipped("audio"))


@pytest.mark.parametrize("centre", [0.5, 2.25, 3.0])
def test_a_word_is_found_in_the_noise_of_a_room(shipped, convmedia_data, tmp_path, centre):
    rng, files = np.random.default_rng(3), []
    for digit in range(10):
        spoken = decoding.read(convmedia_data / "audio" / "fsdd" / "recordings" / f"{digit}_jackson_0.wav", 8000)
        values = rng.normal(0, 1e-3, 40_000)
        start = round(8000 * centre) - len(spoken) // 2
        values[start : start + len(spoken)] += spoken
        files.append(written(tmp_path / f"{digit}.wav", values.astype("float32")))
    assert [row["label"] for row in shipped.rows(files)] == LABELS


def test_silence_gets_no_label(listener, tmp_path):
    noise = np.random.default_rng(1).normal(0, 1e-3, 30_000).astype("float32")
    files = [written(tmp_path / "zero.wav", 0 * noise), written(tmp_path / "room.wav", noise)]
    for row, words in zip(listener.rows(files), ("as good as 0", "at -59 dB"), strict=True):
        assert set(row) == {"file", "error"}
        assert "is silent" in row["error"]
        assert words in row["error"]


@pytest.mark.parametrize("live", [False, True])
def test_windows_without_sound_are_listed_without_a_label(listener, live):
    values = np.random.default_rng(1).normal(0, 1e-3, 32_000).astype("float32")
    values[8000:16_000] += sound(8000)
    heard = list(listener.heard([("-", blocks_of(values, 3000))], every=8000, live=live))
    assert [row["label"] is None for _, row in heard if row is not None] == [True, False, True, True]


def test_noise_before_a_loud_sound_is_listed_without_a_label(listener, tmp_path):
    """Noise that would be a sound by itself is none beside a word that follows it."""
    values = np.random.default_rng(1).normal(0, 10 ** (-42 / 20), 32_000).astype("float32")
    values[24_000:] += sound(8000)
    (row,) = listener.rows([written(tmp_path / "late.wav", values)], every_seconds=1)
    assert [window["label"] is None for window in row["windows"]] == [True, True, True, False]


def test_the_place_in_a_batch_changes_no_bit(listener):
    windows = np.stack([sound(8000, seed) for seed in range(BATCH)])
    heard = np.full(BATCH, 8000, np.int32)
    expected = listener.scores(windows, heard)
    for shift in (1, 5, 13):
        order = np.roll(np.arange(BATCH), shift)
        np.testing.assert_array_equal(listener.scores(windows[order], heard[order]), expected[order])
