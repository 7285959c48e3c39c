"""A page reads sound files as `convmedia.data.audio.decoding` does: the same samples, the same refusals."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from convmedia.data.audio import decoding
from convmedia.data.storage.errors import InputError

SEVEN, RATE = soundfile.read(Path(decoding.__file__).parents[1] / "samples" / "seven.wav")
STEREO = np.stack([SEVEN, 0.5 * np.roll(SEVEN, 3)], axis=1)

WAVES = [
    *((subtype, "WAV", {}) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")),
    ("PCM_16", "WAVEX", {}),
    ("PCM_24", "WAVEX", {}),
    ("PCM_16", "RF64", {}),
    ("PCM_24", "WAV", {"endian": "BIG"}),
    *((subtype, "AIFF", {}) for subtype in ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")),
    ("PCM_16", "AIFF", {"endian": "LITTLE"}),
    *((subtype, "AU", {}) for subtype in ("PCM_S8", "PCM_16", "PCM_24", "FLOAT", "ULAW", "ALAW")),
]


@pytest.mark.parametrize("channels", [1, 2])
def test_uncompressed_files_give_the_samples_of_libsndfile_bit_for_bit(sound_page, channels):
    for subtype, form, options in WAVES:
        file = sound_page.folder / f"some.{'aiff' if form == 'AIFF' else 'au' if form == 'AU' else 'wav'}"
        soundfile.write(file, SEVEN if channels == 1 else STEREO, RATE, subtype=subtype, format=form, **options)
        found = sound_page.read(file.name, RATE)
        expected = decoding.read(file, RATE)
        assert np.array_equal(found["samples"], expected), (subtype, form, options)
        assert (found["rate"], found["remarks"]) == (RATE, [])
        assert found["seconds"] == pytest.approx(len(expected) / RATE)


def test_every_code_of_mu_law_and_a_law_has_its_value(sound_page):
    codes = bytes(range(256)) * 8
    for tag in (6, 7):
        write_wave(sound_page.folder / "codes.wav", codes, tag=tag, bits=8)
        expected, _ = soundfile.read(sound_page.folder / "codes.wav", dtype="float32")
        assert np.array_equal(sound_page.read("codes.wav")["samples"], expected)


@pytest.mark.parametrize(
    ("name", "options", "most"),
    [
        ("16.flac", {"subtype": "PCM_16"}, 0),
        ("24.flac", {"subtype": "PCM_24"}, 0),
        ("8.flac", {"subtype": "PCM_S8"}, 0),
        ("some.ogg", {}, 1e-6),
        ("some.mp3", {}, 1e-4),
    ],
)
def test_compressed_files_are_decoded_at_their_own_rate_to_the_same_samples(sound_page, name, options, most):
    file = sound_page.folder / name
    for rate, content in ((8000, SEVEN), (44100, soxr.resample(STEREO, RATE, 44100))):
        soundfile.write(file, content, rate, **options)
        found = sound_page.read(name, rate)
        expected = decoding.read(file, rate)
        assert found["rate"] == rate
        assert len(found["samples"]) == len(expected)
        assert np.abs(found["samples"] - expected).max() <= most


def test_opus_is_decoded_at_48_khz_whatever_was_recorded(sound_page):
    content = soxr.resample(SEVEN, RATE, 48000)
    soundfile.write(sound_page.folder / "some.opus", content, 48000, format="OGG", subtype="OPUS")
    found = sound_page.read("some.opus", 48000)
    assert found["rate"] == 48000
    assert np.abs(found["samples"] - decoding.read(sound_page.folder / "some.opus", 48000)).max() < 1e-4


def test_a_file_at_another_rate_is_resampled_as_by_the_package(sound_page):
    soundfile.write(sound_page.folder / "studio.wav", soxr.resample(STEREO, RATE, 44100), 44100, subtype="PCM_24")
    found = sound_page.read("studio.wav", 8000)
    assert found["rate"] == 44100
    assert np.abs(found["samples"] - decoding.read(sound_page.folder / "studio.wav", 8000)).max() < 1e-4


def test_a_channel_with_the_opposite_sign_is_turned_over_and_said(sound_page):
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(SEVEN))
    for number, content in enumerate(([SEVEN, -SEVEN], [SEVEN, 0.3 * SEVEN, -0.9 * SEVEN], [noise, SEVEN])):
        file = sound_page.folder / f"{number}.wav"
        soundfile.write(file, np.stack(content, axis=1), RATE)
        told = []
        expected = np.concatenate(list(decoding.blocks(file, RATE, told.append)))
        found = sound_page.read(file.name, RATE)
        assert np.array_equal(found["samples"], expected)
        assert [found["rate"], *found["remarks"]] == told


def test_samples_in_the_low_bits_are_raised(sound_page):
    low = (SEVEN * 2**15).astype("<i4").tobytes()
    extension = struct.pack("<HHI", 22, 16, 4) + struct.pack("<H", 1) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
    write_wave(sound_page.folder / "low.wav", low, tag=0xFFFE, bits=32, extension=extension)
    found = sound_page.read("low.wav")
    assert "low 16 of 32 bits" in found["remarks"][0]
    assert np.array_equal(found["samples"], decoding.read(sound_page.folder / "low.wav", 8000))


def test_what_cannot_be_used_is_refused_in_the_words_of_the_package(sound_page):
    whole = (SEVEN * 2**15).astype("<i2").tobytes()
    folder = sound_page.folder
    (folder / "empty.wav").write_bytes(b"")
    write_wave(folder / "header.wav", b"")
    write_wave(folder / "cut.wav", whole[:1000], told=len(whole))
    write_wave(folder / "slow.wav", whole, rate=1)
    write_wave(folder / "fast.wav", whole, rate=48_000_000)
    write_wave(folder / "nan.wav", np.float32([0, np.nan, 0.5]).tobytes(), tag=3, bits=32)
    for file in sorted(folder.glob("*.wav")):
        found = sound_page.read(file.name)
        with pytest.raises(InputError) as refused:
            decoding.read(file, 8000)
        assert f"{file} {found['error']}" == str(refused.value)


@pytest.mark.parametrize(
    "name", ["cut.ogg", "cut.aiff", "cut.au", "cut.flac", "damaged.flac", "cut.mp3", "words.wav", "words.mp3"]
)
def test_what_the_package_refuses_is_refused(sound_page, name):
    file = sound_page.folder / name
    if name.startswith("words"):
        file.write_text("no sound at all " * 99, encoding="utf-8")
    else:
        soundfile.write(file, np.tile(SEVEN, 9), RATE)
        content = bytearray(file.read_bytes())
        if name == "damaged.flac":
            content[len(content) // 2] ^= 0x55
        file.write_bytes(content if name == "damaged.flac" else content[: len(content) // 2])
    with pytest.raises(InputError):
        decoding.read(file, RATE)
    assert sound_page.read(name)["error"].startswith(("is ", "holds "))


def test_headers_that_lie_are_taken_as_the_package_takes_them(sound_page):
    """A header's fields are set to extreme values one at a time: the same samples, or refused by both."""
    good = sound_page.folder / "good.wav"
    write_wave(good, (SEVEN[:800] * 2**15).astype("<i2").tobytes())
    content, fates = good.read_bytes(), []
    fields = {4: 4, 16: 4, 20: 2, 22: 2, 24: 4, 32: 2, 34: 2, 40: 4}  # place: bytes
    for place, size in fields.items():
        for value in (0, 1, 2, 3, 0x7F, 0xFF, 2 ** (8 * size - 1), 2 ** (8 * size) - 1):
            lie = content[:place] + value.to_bytes(size, "little") + content[place + size :]
            (sound_page.folder / "lie.wav").write_bytes(lie)
            found = sound_page.read("lie.wav")
            try:
                expected = decoding.read(sound_page.folder / "lie.wav", 8000)
            except InputError:
                expected = None
            same = "samples" in found and expected is not None and np.array_equal(found["samples"], expected)
            fates.append((place, value, "same" if same or (expected is None and "error" in found) else found))
    assert [fate for fate in fates if fate[2] != "same"] == []


def test_a_length_that_was_not_known_when_it_was_written_means_all_there_is(sound_page):
    whole = (SEVEN * 2**15).astype("<i2").tobytes()
    for told in (0, 0x7FFFF000, 0x80000000, 0xFFFFFFFF):
        write_wave(sound_page.folder / "pipe.wav", whole, told=told)
        assert np.array_equal(sound_page.read("pipe.wav")["samples"], SEVEN.astype(np.float32))


def write_wave(
    path: Path,
    content: bytes,
    tag: int = 1,
    bits: int = 16,
    rate: int = RATE,
    told: int | None = None,
    extension: bytes = b"",
) -> None:
    """A mono WAV file whose header says what it is given."""
    form = struct.pack("<HHIIHH", tag, 1, rate % 2**32, (rate * bits // 8) % 2**32, bits // 8, bits) + extension
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data"
    chunks += struct.pack("<I", len(content) if told is None else told) + content
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
