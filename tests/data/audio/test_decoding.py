"""Reading sound files: any rate and channels, in pieces as in one, and what cannot be used."""

import contextlib
import os
import shlex
import sys
import tracemalloc

import librosa
import numpy as np
import pytest
import soundfile

from convmedia.data.audio import decoding
from convmedia.data.storage.errors import InputError


def tone(samples=8000, hertz=440.0, rate=8000, peak=0.5):
    return (peak * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)).astype("float32")


def written(path, samples, rate=8000, **options):
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_every_format_is_read(tmp_path, suffix):
    path = written(tmp_path / f"tone.{suffix}", tone(16_000, rate=16_000), 16_000)
    samples = decoding.read(path, 16_000)
    assert samples.dtype == np.float32
    assert abs(len(samples) - 16_000) <= 2304
    decoding.check(path)
    spectrum = np.abs(np.fft.rfft(samples[:16_000] * np.hanning(len(samples[:16_000]))))
    assert abs(spectrum.argmax() * 16_000 / len(samples[:16_000]) - 440) < 2


def test_channels_are_averaged(tmp_path):
    path = written(tmp_path / "six.wav", np.stack([tone(peak=0.1 * n) for n in range(1, 7)], 1), subtype="FLOAT")
    np.testing.assert_allclose(decoding.read(path, 8000), tone(peak=0.35), atol=1e-6)


@pytest.mark.parametrize("rate", [44_100, 192_000, 11_025, 7999])
def test_rates_are_converted_as_librosa_does_in_pieces_as_in_one(tmp_path, rate):
    values = np.random.default_rng(0).uniform(-0.5, 0.5, 25 * rate).astype("float32")
    path = written(tmp_path / "noise.wav", values, rate, subtype="FLOAT")
    told = []
    pieces = list(decoding.blocks(path, 8000, told.append))
    expected = librosa.resample(values, orig_sr=rate, target_sr=8000)
    whole = np.concatenate(pieces)
    assert len(pieces) > 2
    assert abs(len(whole) - len(expected)) <= 1
    np.testing.assert_allclose(whole[: len(expected)], expected[: len(whole)], atol=1e-5)
    assert told == [rate]


@pytest.mark.parametrize("rate", [8000, 192_000])
@pytest.mark.parametrize("samples", [1, 3])
def test_a_few_samples_give_at_least_one(tmp_path, samples, rate):
    path = written(tmp_path / "short.wav", tone(4000, rate=rate)[100 : 100 + samples], rate, subtype="FLOAT")
    found = decoding.read(path, 8000)
    assert len(found) == (samples if rate == 8000 else 1)
    assert np.isfinite(found).all()


def test_a_long_file_is_read_in_flat_memory(tmp_path):
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 44_100, 2, subtype="PCM_16") as file:
        for _ in range(60):
            file.write(np.random.default_rng(1).uniform(-0.5, 0.5, (441_000, 2)).astype("float32"))
    tracemalloc.start()
    total = sum(len(block) for block in decoding.blocks(path, 8000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert abs(total - 600 * 8000) <= 1
    assert peak < 40e6


def bad_files(folder):
    """(name, words of the reason) of files that are made here."""
    values = np.random.default_rng(2).uniform(-0.3, 0.3, 8000).astype("float32")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("this is no sound\n" * 50)
    written(folder / "header.wav", values[:0])
    written(folder / "silent.wav", 0 * values)
    written(folder / "clipped.wav", np.sign(tone(hertz=50)))
    written(folder / "nan.wav", np.where(np.arange(8000) == 5000, np.nan, values), subtype="FLOAT")
    written(folder / "infinite.wav", np.where(np.arange(8000) == 50, np.inf, values), subtype="FLOAT")
    for suffix in ("wav", "flac", "ogg"):
        path = written(folder / f"cut.{suffix}", np.tile(values, 4))
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    return {
        "empty.wav": "is empty",
        "text.wav": "no sound file",
        "header.wav": "holds no samples",
        "silent.wav": "is silent",
        "clipped.wav": "is clipped",
        "nan.wav": "no numbers",
        "infinite.wav": "no numbers",
        "cut.wav": "is cut",
        "cut.flac": "cut|damaged",
        "cut.ogg": "is cut",
    }


def test_what_cannot_be_used_is_said_and_left_as_it_is(tmp_path):
    for name, said in bad_files(tmp_path).items():
        before = (tmp_path / name).read_bytes()
        with pytest.raises(InputError, match=said) as error:
            decoding.check(tmp_path / name)
        assert name in str(error.value)
        assert "\n" not in str(error.value)
        assert (tmp_path / name).read_bytes() == before


def test_missing_files_and_folders_are_said(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        decoding.read(tmp_path / "nothing.wav", 8000)
    with pytest.raises(InputError, match="is a folder"):
        decoding.read(tmp_path, 8000)
    with pytest.raises(InputError, match="holds no sound"):
        decoding.find([tmp_path])


def test_a_header_from_a_pipe_does_not_know_the_length(tmp_path):
    path = written(tmp_path / "piped.wav", tone())
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = content[4:8] = b"\xff" * 4
    path.write_bytes(content)
    assert len(decoding.read(path, 8000)) == 8000


def test_real_clips_can_be_used(convmedia_data):
    for folder, rate, seconds in (("fsdd/recordings", 8000, 0.1), ("esc10/audio", 44_100, 0.3)):
        for path in sorted((convmedia_data / "audio" / folder).iterdir())[::40]:
            decoding.check(path)
            assert decoding.rate_of(path) == rate, path
            assert len(decoding.read(path, rate)) == soundfile.info(path).frames > seconds * rate, path


def opposite(values, kind):
    """Channels (samples, n) whose mean is silence, or nearly."""
    later = np.concatenate([values[:1], values[:-1]])
    return {
        "inverted": np.stack([values, -values], 1),
        "quieter": np.stack([values, -0.9 * values], 1),
        "louder": np.stack([0.7 * values, -values], 1),
        "delayed": np.stack([values, -later], 1),
        "three": np.stack([values, -0.5 * values, -0.5 * values], 1),
        "four": np.stack([values, -values, values, -values], 1),
        "late": np.concatenate([np.zeros((25 * 8000, 2), "float32"), np.stack([values, -values], 1)]),
    }[kind]


@pytest.mark.parametrize("kind", ["inverted", "quieter", "louder", "delayed", "three", "four", "late"])
def test_channels_of_opposite_sign_do_not_cancel(tmp_path, kind):
    values = tone(hertz=300.0)
    path = written(tmp_path / "opposite.wav", opposite(values, kind), subtype="FLOAT")
    told = []
    found = np.concatenate(list(decoding.blocks(path, 8000, told.append)))[-8000:]
    assert abs(np.corrcoef(found, values)[0, 1]) > 0.99
    assert np.abs(found).max() > 0.3
    assert [("opposite sign" in fact) for fact in told[1:]] == [True]
    decoding.check(path)


def test_channels_that_have_nothing_to_do_with_each_other_are_averaged_as_they_are(tmp_path):
    values = np.random.default_rng(3).uniform(-0.5, 0.5, (16_000, 5)).astype("float32")
    values[:, 1] -= 0.3 * values[:, 0]  # leans against another, as in wide stereo
    path = written(tmp_path / "wide.wav", values, subtype="FLOAT")
    told = []
    found = np.concatenate(list(decoding.blocks(path, 8000, told.append)))
    np.testing.assert_array_equal(found, values.mean(axis=1, dtype=np.float32))
    assert told == [8000]


def test_a_pipe_is_told_at_once_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", "/dev/null"):
        with pytest.raises(InputError, match="is a pipe or device"):
            decoding.read(path, 8000)


@pytest.mark.parametrize("rate", [1, 999])
def test_a_rate_that_no_sound_has_is_refused(tmp_path, rate):
    path = written(tmp_path / "slow.wav", tone(), rate)
    with pytest.raises(InputError, match=f"sample rate is {rate} Hz; 1,000 to 1,000,000 Hz are read"):
        decoding.read(path, 8000)


def test_formats_that_are_not_read_say_how_to_convert(tmp_path):
    (tmp_path / "a b.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(500))
    (tmp_path / "named.wav").write_bytes(b"#!AMR\n" + bytes(500))
    written(tmp_path / "good.wav", tone())
    assert [path.name for path in decoding.find([tmp_path])] == ["a b.m4a", "good.wav", "named.wav"]
    for name in ("a b.m4a", "named.wav"):
        with pytest.raises(InputError, match=r"convert it: ffmpeg -i ['/].*\.wav") as error:
            decoding.read(tmp_path / name, 8000)
        assert shlex.quote(str(tmp_path / name)) in str(error.value)


@pytest.mark.parametrize("content", [bytes(3000), b"hello\n" * 100, np.random.default_rng(5).bytes(3000)])
@pytest.mark.parametrize("suffix", ["mp3", "wav", "au", "flac"])
def test_a_file_that_is_there_is_not_said_to_be_missing(tmp_path, content, suffix):
    path = tmp_path / f"some.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is no sound file") as error:
        decoding.read(path, 8000)
    assert "exist" not in str(error.value)


def test_a_damaged_mp3_is_read_without_lines_that_do_not_name_it(tmp_path, capfd):
    path = written(tmp_path / "damaged.mp3", np.tile(tone(), 10))
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(500, len(content), 60):
        content[place] = rng.integers(256)
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        decoding.read(path, 8000)
    print("said by Python", file=sys.stderr)
    assert capfd.readouterr().err == "said by Python\n"
