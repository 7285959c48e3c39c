"""Headers of sound files: lengths that a pipe does not know, files that are cut, bits to spare."""

import struct

import numpy as np
import pytest
import soundfile

from convmedia.data.audio import containers, decoding
from convmedia.data.storage.errors import InputError

VALUES = np.round(8000 * np.sin(np.arange(4000) / 5)).astype("<i2")


def wav(samples=VALUES, data=None, riff=None, bits=16, stored=16, channels=1, extensible=None):
    """Bytes of a WAV; `data` and `riff` are lengths told in place of the right ones, `extensible` the valid bits."""
    content = samples.tobytes()
    frame = channels * stored // 8
    form = struct.pack("<HHIIHH", 0xFFFE if extensible else 1, channels, 8000, 8000 * frame, frame, bits)
    if extensible:
        guid = b"\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
        form += struct.pack("<HHI", 22, extensible, 0) + guid
    parts = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data"
    parts += struct.pack("<I", len(content) if data is None else data) + content
    return b"RIFF" + struct.pack("<I", len(parts) if riff is None else riff) + parts


def written(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("riff", "data"),
    [
        (0, 0),
        (36, 0),
        (0x7FFFF024, 0x7FFFF000),
        (0x7FFFFFFF, 0x7FFFFFDB),
        (0x7FFFFFFF, 0x7FFFFFFF),
        (0x80000024, 0x80000000),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFDB),
    ],
)
@pytest.mark.parametrize("odd", [0, 1])
def test_a_wav_from_a_pipe_is_read_to_its_end(tmp_path, riff, data, odd):
    path = written(tmp_path / "piped.wav", wav(data=data, riff=riff) + bytes(odd))
    assert np.array_equal(decoding.read(path, 8000), VALUES / np.float32(32768))


@pytest.mark.parametrize("length", [0, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("kind", ["RF64", "W64"])
def test_long_kinds_of_wav_from_a_pipe_are_read_to_their_end(tmp_path, kind, length):
    path = tmp_path / f"piped.{kind.lower()}"
    soundfile.write(path, VALUES, 8000, format=kind, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    at = content.index(b"ds64") + 8 if kind == "RF64" else 16
    content[at : at + 8] = length.to_bytes(8, "little")
    at = at + 8 if kind == "RF64" else content.index(b"data") + 16
    content[at : at + 8] = length.to_bytes(8, "little")
    assert np.array_equal(decoding.read(written(path, content), 8000), VALUES / np.float32(32768))


@pytest.mark.parametrize("kind", ["WAV", "RF64", "W64", "AIFF", "AU"])
def test_a_file_that_is_cut_is_named(tmp_path, kind):
    path = tmp_path / f"cut.{kind.lower()}"
    soundfile.write(path, VALUES, 8000, format=kind, subtype="PCM_16")
    assert len(decoding.read(path, 8000)) == 4000
    written(path, path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"cut\.\w+ is cut"):
        decoding.read(path, 8000)


def test_a_length_of_0_before_other_chunks_means_no_samples(tmp_path):
    content = wav(samples=VALUES[:0]) + b"LIST" + struct.pack("<I", 4) + b"INFO"
    with pytest.raises(InputError, match="holds no samples"):
        decoding.read(written(tmp_path / "header.wav", content), 8000)


@pytest.mark.parametrize(("used", "stored"), [(10, 16), (12, 16), (14, 16), (24, 32)])
@pytest.mark.parametrize("extensible", [False, True])
def test_bits_in_a_larger_container_have_the_same_level_wherever_they_lie(tmp_path, used, stored, extensible):
    whole = np.round(2.0 ** (used - 1) * 0.4 * np.sin(np.arange(4000) / 5)).astype(np.int64)
    expected = whole / 2.0 ** (used - 1)
    for place, factor in (("high", 2 ** (stored - used)), ("low", 1)):
        samples = (whole * factor).astype(f"<i{stored // 8}")
        kind = {"extensible": used, "bits": stored} if extensible else {"bits": used}
        path = written(tmp_path / f"{place}.wav", wav(samples, stored=stored, **kind))
        with path.open("rb") as content:
            assert containers.header(content, path.stat().st_size).bits == (used, stored)
        told = []
        np.testing.assert_allclose(np.concatenate(list(decoding.blocks(path, 8000, told.append))), expected, atol=1e-6)
        assert [f"low {used} of {stored} bits" in str(fact) for fact in told[1:]] == ([True] if place == "low" else [])
