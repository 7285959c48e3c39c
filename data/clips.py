"""Sound files: any rate and number of channels in, mono at the rate that a model takes out; what cannot be used.

    samples = read("seven.wav", 8000)           # float32 (samples,), -1..1
    for block in blocks("long.flac", 8000):     # the same in pieces, in flat memory
        ...

WAV, FLAC, Ogg, MP3 and whatever else libsndfile reads; channels are averaged, rates converted by soxr ("HQ", librosa's
default), which gives the same samples in pieces as in one.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from convmedia.data import fingerprints
from convmedia.data.errors import InputError, in_one_line
from convmedia.data.files import find as find_files
from convmedia.data.files import shown

EXTENSIONS = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64"})
BLOCK_SECONDS = 10.0

SILENT = 1e-4
"""A peak below this, -80 dB of full scale, is silence."""

CLIPPED_SHARE = 0.1
"""More samples than this in runs of three or more at full scale, and a recording is mostly clipping."""

HIGHEST_RATE = 1_000_000
"""Hz; a header that says more is taken for damaged."""


def read(path: str | Path, sample_rate: int) -> np.ndarray:
    """A whole file: float32 (samples,), at least one sample, mean of the channels, at `sample_rate` Hz.

    Raises:
        InputError: as of `blocks`.
    """
    return np.concatenate(list(blocks(path, sample_rate)))


def blocks(path: str | Path, sample_rate: int, told: Callable[[int], None] | None = None) -> Iterator[np.ndarray]:
    """A file in pieces of about ten seconds, one in memory at a time: float32 (samples,), which add up to `read`.

    Args:
        sample_rate: Hz, of what comes out.
        told: called with the file's own rate before the first piece.

    Raises:
        InputError: missing, not a sound file, without samples, cut, damaged, or with values that are no numbers. What
            only the end of a file shows is said when the end is reached.
    """
    with opened(path) as file:
        if told:
            told(file.samplerate)
        yield from resampled(_mono(file, path), file.samplerate, sample_rate)


def resampled(pieces: Iterable[np.ndarray], rate: int, sample_rate: int) -> Iterator[np.ndarray]:
    """Pieces of one mono sound, float32, from one rate to another; at least one sample comes out where one goes in."""
    if rate == sample_rate:
        yield from (piece for piece in pieces if len(piece))
        return
    import soxr

    converter = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
    first, given = np.zeros(0, np.float32), 0
    for piece in pieces:
        first = first if len(first) else piece[:1]
        out = converter.resample_chunk(piece)
        given += len(out)
        if len(out):
            yield out
    rest = converter.resample_chunk(np.zeros(0, np.float32), last=True)
    if len(rest) or not given:
        yield rest if len(rest) else first  # three samples at 192 kHz are less than one at 8 kHz


def check(path: str | Path) -> bytes:
    """Read a file for training completely, at its own rate; gives its fingerprint.

    Raises:
        InputError: as of `blocks`; silence; mostly clipping.
    """
    peak, samples, clipped = 0.0, 0, 0

    def measured(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        nonlocal peak, samples, clipped
        for piece in pieces:
            size = np.abs(piece)
            full = size >= 0.999
            clipped += int((full[:-2] & full[1:-1] & full[2:]).sum())
            peak, samples = max(peak, float(size.max(initial=0.0))), samples + len(piece)
            yield piece

    with opened(path) as file:
        pieces = resampled(measured(_mono(file, path)), file.samplerate, fingerprints.SOUND_RATE)
        mark = fingerprints.of_sound(pieces)
    if peak < SILENT:
        raise InputError(f"{shown(path)} is silent (its peak is {peak:.1e} of full scale); replace it")
    if clipped > CLIPPED_SHARE * samples:
        share = 100 * clipped / samples
        raise InputError(f"{shown(path)} is clipped: {share:.0f} % of it is at full scale; record it at a lower level")
    return mark


def rate_of(path: str | Path) -> int:
    """A file's own sample rate, Hz. Raises InputError as `blocks` does before the first piece."""
    with opened(path) as file:
        return file.samplerate


def find(paths: Iterable[str | Path]) -> list[Path]:
    """Expand files and folders into sound files, as `files.find` does. Raises InputError where there are none."""
    return find_files(paths, EXTENSIONS, "sound")


@contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """An open `soundfile.SoundFile` of a file that has samples and is as long as it says.

    Raises:
        InputError: otherwise.
    """
    import soundfile

    path, name = Path(path), shown(path)
    if path.is_dir():
        raise InputError(
            f"{name} is a folder without sound files; give files that end in {' '.join(sorted(EXTENSIONS))}"
        )
    try:
        size = path.stat().st_size
        with path.open("rb") as content:
            whole = size > 0 and _complete(content, size)
    except OSError as error:
        raise InputError(f"{name} cannot be read ({error.strerror}); check the path and its permissions") from error
    if size == 0:
        raise InputError(f"{name} is empty (0 bytes); replace it")
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless formats, asked for a rate
        reason = in_one_line(error).rpartition(": ")[2]
        raise InputError(f"{name} is no sound file ({reason}); give WAV, FLAC, Ogg or MP3") from error
    with file:
        if file.frames == 0:
            raise InputError(f"{name} holds no samples, only a header; replace it")
        if not 0 < file.samplerate <= HIGHEST_RATE:
            raise InputError(f"{name} says that its sample rate is {file.samplerate} Hz; replace it")
        if not whole:
            raise InputError(f"{name} is cut: it ends before its header says; replace it with a full copy")
        yield file


def _mono(file: Any, path: str | Path) -> Iterator[np.ndarray]:
    """The mean of a file's channels in pieces, float32, at its own rate."""
    import soundfile

    frames, wanted = max(int(BLOCK_SECONDS * file.samplerate), 1), file.frames
    while True:
        try:
            piece = file.read(frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise InputError(f"{shown(path)} is damaged ({in_one_line(error)}); replace it") from error
        if len(piece) == 0:
            break
        if not np.isfinite(piece).all():
            raise InputError(f"{shown(path)} holds values that are no numbers (NaN or infinity); replace it")
        wanted -= len(piece)
        yield piece[:, 0] if piece.shape[1] == 1 else piece.mean(axis=1, dtype=np.float32)
    # An MP3's length is an estimate, good to some frames of 1,152 samples.
    if wanted > (8_192 if file.format == "MP3" else 0):
        raise InputError(
            f"{shown(path)} is cut: {wanted:,} samples are missing at its end; replace it with a full copy"
        )


def _complete(content: BinaryIO, size: int) -> bool:
    """Whether a WAV is as long as its data chunk says, and an Ogg ends with its last page; others are taken to be.

    libsndfile reads what is there of both, without a word.
    """
    head = content.read(12)
    if head[:4] == b"OggS":
        content.seek(max(size - 65_307, 0))  # the greatest size of a page (RFC 3533, section 6)
        tail = content.read()
        page = tail.rfind(b"OggS")
        return page >= 0 and len(tail) > page + 5 and bool(tail[page + 5] & 4)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return True
    while len(chunk := content.read(8)) == 8:
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":  # written to a pipe, a header does not know the length
            return length in (0, 0xFFFFFFFF) or content.tell() + length <= size
        content.seek(length + length % 2, 1)
    return True
