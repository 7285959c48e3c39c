"""The `predict` verb for sounds: files in batches, long ones in flat memory, a stream as it comes."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from convmedia.apps.batch.worker import Answering
from convmedia.apps.cli.options import Engine
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import note, say, tell
from convmedia.apps.verbs import predict
from convmedia.data.audio import decoding
from convmedia.data.audio.channels import Balance, mixed, opposed
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.models.inference.sound_predictor import Listener

STREAM = "-"
STREAM_BYTES = 1 << 16


def predict_files(
    answering: Answering, inputs: list[str], as_json: bool, out: Path | None, engine: Engine, workers: int | None
) -> int:
    """Rows in the order given; 1 if any file failed."""
    listener, files = answering.listener, decoding.find(inputs, note)
    listener.step(answering.every)
    told = remarks(listener.sample_rate)
    return predict.predict(answering, files, as_json, out, engine, workers, told, lines_of)


def predict_stream(
    predictor, top, every: float | None, as_json: bool, rate: int | None, channels: int, encoding: str
) -> int:
    """Answer raw PCM from standard input: each window as soon as it is complete, the whole at the end."""
    listener = Listener(predictor)
    rate = rate or listener.sample_rate
    if not decoding.LOWEST_RATE <= rate <= decoding.HIGHEST_RATE:
        raise InputError(f"--rate {rate} is no sample rate of sounds; give {decoding.LOWEST_RATE:,} Hz or more")
    told = partial(remarks(listener.sample_rate), STREAM)
    told(rate)
    blocks = decoding.resampled(decoded(sys.stdin.buffer, rate, channels, encoding, told), rate, listener.sample_rate)
    heard = listener.heard([(STREAM, blocks)], listener.step(every), live=True, keep=as_json)
    for sound, window in heard:
        if window is not None and not as_json:
            tell(window_line(STREAM, window), flush=True)
        if sound is None:
            continue
        if not sound.samples and sound.error is None:
            raise InputError("standard input held no samples; pipe raw PCM into it, as ffmpeg -f s16le - does")
        row = listener.row(sound, top, windows=every is not None and as_json)
        tell(to_json([row], indent=2) if as_json else predict.line_of(row), flush=True)
        return int("error" in row)
    return 0


def decoded(
    stream: BinaryIO, rate: int, channels: int, encoding: str, told: Callable[[str], None]
) -> Iterator[np.ndarray]:
    """Raw PCM as mono float32 pieces, -1..1, as they arrive; half a sample at the end is left out.

    Which channels are turned over is decided by what came until then, as nothing else is known of a stream.

    Args:
        told: called once where channels are turned over, and with what is left out at the end.

    Raises:
        InputError: values that are no numbers.
    """
    kind = np.dtype("<i2" if encoding == "s16le" else "<f4")
    frame, rest, said = kind.itemsize * channels, b"", False
    balance = Balance(channels, rate)
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    while part := read(STREAM_BYTES):
        rest += part
        whole = len(rest) // frame * frame
        values = np.frombuffer(rest[:whole], kind).reshape(-1, channels).astype(np.float32)
        rest = rest[whole:]
        if kind == np.dtype("<i2"):
            values /= 32768.0
        elif not np.isfinite(values).all():
            raise InputError("standard input holds values that are no numbers; give the right --encoding")
        if not len(values):
            continue
        balance.add(values)
        signs = balance.signs()
        if not said and (signs < 0).any():
            told(opposed(signs))
            said = True
        yield mixed(values, signs)
    if rest:
        unit = f"a sample of {frame} bytes ({channels} x {encoding})"
        told(f"{len(rest)} bytes at its end are part of {unit} and left out; check --channels and --encoding")


def remarks(sample_rate: int) -> Callable[[str, int | str], None]:
    """Says what is done to sounds: each remark, and once for each rate unlike the model's that they are resampled."""
    said: set[int] = set()

    def told(name: str, rate: int | str) -> None:
        if isinstance(rate, str):
            say(f"note: {shown(name)}: {rate}")
        elif rate != sample_rate and rate not in said:
            said.add(rate)
            say(f"note: {shown(name)} has {rate} Hz, the model takes {sample_rate}: resampled (so is every {rate} Hz)")

    return told


def lines_of(row: dict[str, Any]) -> str:
    """A row for a person: its windows, if they are listed, and its own line."""
    return "\n".join([*(window_line(row["file"], window) for window in row.get("windows", [])), predict.line_of(row)])


def window_line(name: str, window: dict[str, Any]) -> str:
    """One window for a person: file, seconds, label and score."""
    if window.get("label", "") is None:
        return f"{shown(name)}\t{window['start']:.2f}-{window['end']:.2f} s\tsilence"
    answer = predict.line_of({"file": "", "top": [], **window})
    return f"{shown(name)}\t{window['start']:.2f}-{window['end']:.2f} s{answer}"
