"""Reading sound files: any rate and channels, in pieces as in one, and what cannot be used."""

import tracemalloc

import librosa
import numpy as np
import pytest
import soundfile

from convmedia.data import clips
from convmedia.data.errors import InputError


def tone(samples=8000, hertz=440.0, rate=8000, peak=0.5):
    return (peak * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)).astype("float32")


def written(path, samples, rate=8000, **options):
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_every_format_is_read(tmp_path, suffix):
    path = written(tmp_path / f"tone.{suffix}", tone(16_000, rate=16_000), 16_000)
    samples = clips.read(path, 16_000)
    assert samples.dtype == np.float32
    assert abs(len(samples) - 16_000) <= 2304
    clips.check(path)
    spectrum = np.abs(np.fft.rfft(samples[:16_000] * np.hanning(len(samples[:16_000]))))
    assert abs(spectrum.argmax() * 16_000 / len(samples[:16_000]) - 440) < 2


def test_channels_are_averaged(tmp_path):
    path = written(tmp_path / "six.wav", np.stack([tone(peak=0.1 * n) for n in range(1, 7)], 1), subtype="FLOAT")
    np.testing.assert_allclose(clips.read(path, 8000), tone(peak=0.35), atol=1e-6)


@pytest.mark.parametrize("rate", [44_100, 192_000, 11_025, 7999])
def test_rates_are_converted_as_librosa_does_in_pieces_as_in_one(tmp_path, rate):
    values = np.random.default_rng(0).uniform(-0.5, 0.5, 25 * rate).astype("float32")
    path = written(tmp_path / "noise.wav", values, rate, subtype="FLOAT")
    told = []
    pieces = list(clips.blocks(path, 8000, told.append))
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
    found = clips.read(path, 8000)
    assert len(found) == (samples if rate == 8000 else 1)
    assert np.isfinite(found).all()


def test_a_long_file_is_read_in_flat_memory(tmp_path):
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 44_100, 2, subtype="PCM_16") as file:
        for _ in range(60):
            file.write(np.random.default_rng(1).uniform(-0.5, 0.5, (441_000, 2)).astype("float32"))
    tracemalloc.start()
    total = sum(len(block) for block in clips.blocks(path, 8000))
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
            clips.check(tmp_path / name)
        assert name in str(error.value)
        assert "\n" not in str(error.value)
        assert (tmp_path / name).read_bytes() == before


def test_missing_files_and_folders_are_said(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        clips.read(tmp_path / "nothing.wav", 8000)
    with pytest.raises(InputError, match="is a folder"):
        clips.read(tmp_path, 8000)
    with pytest.raises(InputError, match="holds no sound"):
        clips.find([tmp_path])


def test_a_header_from_a_pipe_does_not_know_the_length(tmp_path):
    path = written(tmp_path / "piped.wav", tone())
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = content[4:8] = b"\xff" * 4
    path.write_bytes(content)
    assert len(clips.read(path, 8000)) == 8000


def test_real_clips_can_be_used(convmedia_data):
    for folder, rate, seconds in (("fsdd/recordings", 8000, 0.1), ("esc10/audio", 44_100, 0.3)):
        for path in sorted((convmedia_data / "audio" / folder).iterdir())[::40]:
            clips.check(path)
            assert clips.rate_of(path) == rate, path
            assert len(clips.read(path, rate)) == soundfile.info(path).frames > seconds * rate, path
