"""Sound files: any rate and number of channels in, mono at the rate that a model takes out; what cannot be used.

    samples = read("seven.wav", 8000)           # float32 (samples,), -1..1
    for block in blocks("long.flac", 8000):     # the same in pieces, in flat memory
        ...

WAV, FLAC, Ogg, MP3 and whatever else libsndfile reads; channels are averaged (`data.channels`), rates converted by soxr
("HQ", librosa's default), which gives the same samples in pieces as in one.
"""

import shlex
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from convmedia.data.audio import channels, containers, fingerprints
from convmedia.data.storage.errors import InputError, in_one_line
from convmedia.data.storage.files import find as find_files
from convmedia.data.storage.files import shown
from convmedia.data.storage.quiet import mute

EXTENSIONS = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64"})
TO_CONVERT = frozenset({".m4a", ".m4b", ".aac", ".wma", ".amr", ".3ga", ".ac3", ".ape", ".wv", ".mka", ".weba", ".ra"})
"""Sounds that libsndfile does not read; in a folder they are named and not passed over."""

BLOCK_SECONDS = 10.0

SILENT = 1e-4
"""A peak below this, -80 dB of full scale, is silence."""

CLIPPED_SHARE = 0.1
"""More samples than this in runs of three or more at full scale, and a recording is mostly clipping."""

LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000
"""Hz; a header that says less or more is taken for damaged. A second at 1 Hz would become one of 8,000 samples."""

Told = Callable[[int | str], None]


def read(path: str | Path, sample_rate: int) -> np.ndarray:
    """A whole file: float32 (samples,), at least one sample, mean of the channels, at `sample_rate` Hz.

    Raises:
        InputError: as of `blocks`.
    """
    return np.concatenate(list(blocks(path, sample_rate)))


def blocks(path: str | Path, sample_rate: int, told: Told | None = None) -> Iterator[np.ndarray]:
    """A file in pieces of about ten seconds, one in memory at a time: float32 (samples,), which add up to `read`.

    Args:
        sample_rate: Hz, of what comes out.
        told: called before the first piece with the file's own rate, and with each remark about what is done to it.

    Raises:
        InputError: missing, not a sound file, without samples, cut, damaged, or with values that are no numbers. What
            only the end of a file shows is said when the end is reached.
    """
    mixing = _mixing(path)
    with opened(path) as file:
        if told:
            for fact in (file.samplerate, *mixing.remarks):
                told(fact)
        yield from resampled(_mono(file, path, mixing), file.samplerate, sample_rate)


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

    mixing = _mixing(path)
    with opened(path) as file:
        pieces = resampled(measured(_mono(file, path, mixing)), file.samplerate, fingerprints.SOUND_RATE)
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


def find(paths: Iterable[str | Path], told: Callable[[str], None] | None = None) -> list[Path]:
    """Expand files and folders into sound files, as `files.find` does, those too that have to be converted first.

    Raises:
        InputError: there are only folders, and they hold none.
    """
    return find_files(paths, EXTENSIONS, "sound", TO_CONVERT, told)


@contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """An open `soundfile.SoundFile` of a file that has samples and is as long as it says.

    Raises:
        InputError: otherwise.
    """
    import soundfile

    path, name = Path(path), shown(path)
    header = _header(path)
    source: Any = containers.Overlaid(path, header.overlay) if header.overlay else path
    with source if header.overlay else nullcontext():
        try:
            with mute():
                file = soundfile.SoundFile(source)
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless formats, asked for a rate
            raise InputError(_no_sound(path, in_one_line(error).rpartition(": ")[2])) from error
        with file:
            # By the suffix alone libsndfile takes any content of .au for samples without a header.
            if file.format == "RAW" and path.suffix.lower() in EXTENSIONS:
                raise InputError(_no_sound(path, "Format not recognised"))
            if file.frames == 0:
                raise InputError(f"{name} holds no samples, only a header; replace it")
            if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
                allowed = f"{LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz are read"
                raise InputError(f"{name} says that its sample rate is {file.samplerate:,} Hz; {allowed}: replace it")
            if not header.complete:
                raise InputError(f"{name} is cut: it ends before its header says; replace it with a full copy")
            yield file


def _header(path: Path) -> containers.Header:
    """What a file's header says. Raises InputError: it is missing, empty, or no file but a folder, pipe or device."""
    name = shown(path)
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            endings = " ".join(sorted(EXTENSIONS))
            raise InputError(f"{name} is a folder without sound files; give files that end in {endings}")
        if not stat.S_ISREG(found.st_mode):  # opening a pipe waits for somebody who writes
            raise InputError(f"{name} is a pipe or device and no file; give a file, or raw PCM to --stream")
        with path.open("rb") as content:
            header = containers.header(content, found.st_size)
    except OSError as error:
        raise InputError(f"{name} cannot be read ({error.strerror}); check the path and its permissions") from error
    if found.st_size == 0:
        raise InputError(f"{name} is empty (0 bytes); replace it")
    return header


def _no_sound(path: Path, reason: str) -> str:
    """Why a file that is there cannot be opened; `reason` as libsndfile has it."""
    with path.open("rb") as content:
        head = content.read(12)
    compressed = (
        b"#!AMR",
        b"\x30\x26\xb2\x75",
        b"\x1a\x45\xdf\xa3",
        b"\xff\xf1",
        b"\xff\xf9",
        b"\x0b\x77",
        b"wvpk",
        b"MAC ",
    )
    if head[4:8] == b"ftyp" or head.startswith(compressed) or path.suffix.lower() in TO_CONVERT:
        command = f"ffmpeg -i {shlex.quote(shown(path))} {shlex.quote(shown(path.with_suffix('.wav')))}"
        return (
            f"{shown(path)} is compressed in a way that is not read (as M4A, AAC, WMA, AMR are); convert it: {command}"
        )
    if "does not exist" in reason:  # what libsndfile says of an MP3 that it cannot make out
        reason = "its content is that of no format known, or damaged at its beginning"
    return f"{shown(path)} is no sound file ({reason}); give WAV, FLAC, Ogg or MP3"


class Mixing(NamedTuple):
    """How a file's samples become mono.

    Attributes:
        signs: float32 (channels,), 1 or -1 each.
        gain: what all samples are multiplied by.
        remarks: what is unusual of that, for the user, without the file's name.
    """

    signs: np.ndarray
    gain: float = 1.0
    remarks: tuple[str, ...] = ()


def _mixing(path: str | Path) -> Mixing:
    """Decided from the whole file, read once for it where it has several channels or bits to spare."""
    bits = _header(Path(path)).bits
    with opened(path) as file:
        signs = np.ones(file.channels, np.float32)
        if file.channels == 1 and bits is None:
            return Mixing(signs)
        balance, low, most = channels.Balance(file.channels, file.samplerate), False, 0.0
        for piece in _pieces(file, path):
            balance.add(piece)
            if bits:  # float32 holds 24 bits: of 32 bits the lowest ones tell nothing here
                used = piece[np.abs(piece) < 2.0 ** (bits[0] - bits[1])].astype(np.float64) * 2.0 ** (bits[0] - 1)
                low, most = low or bool((used % 1).any()), max(most, float(np.abs(piece).max()))
    remarks, gain = [], 1.0
    # By the definition of WAV the used bits are the highest ones; some programs fill the lowest.
    if bits and low and most <= 2.0 ** (bits[0] - bits[1]):
        gain = 2.0 ** (bits[1] - bits[0])
        remarks.append(f"its samples lie in the low {bits[0]} of {bits[1]} bits; they are multiplied by {gain:g}")
    signs = balance.signs()
    if (signs < 0).any():
        remarks.append(channels.opposed(signs))
    return Mixing(signs, gain, tuple(remarks))


def _mono(file: Any, path: str | Path, mixing: Mixing) -> Iterator[np.ndarray]:
    """A file as mono pieces, float32, at its own rate."""
    for piece in _pieces(file, path):
        mono = channels.mixed(piece, mixing.signs)
        yield mono if mixing.gain == 1.0 else mono * np.float32(mixing.gain)


def _pieces(file: Any, path: str | Path) -> Iterator[np.ndarray]:
    """A file in pieces of float32 (samples, channels), at its own rate."""
    import soundfile

    frames, wanted = max(int(BLOCK_SECONDS * file.samplerate), 1), file.frames
    while True:
        try:
            with mute() if file.format == "MP3" else nullcontext():
                piece = file.read(frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise InputError(f"{shown(path)} is damaged ({in_one_line(error)}); replace it") from error
        if len(piece) == 0:
            break
        if not np.isfinite(piece).all():
            raise InputError(f"{shown(path)} holds values that are no numbers (NaN or infinity); replace it")
        wanted -= len(piece)
        yield piece
    # An MP3's length is an estimate, good to some frames of 1,152 samples.
    if wanted > (8_192 if file.format == "MP3" else 0):
        raise InputError(
            f"{shown(path)} is cut: {wanted:,} samples are missing at its end; replace it with a full copy"
        )
