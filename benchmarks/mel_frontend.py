"""Log-mel spectra a second: the path of training and the layer of the saved file against loops over librosa and SciPy.

    python benchmarks/mel_frontend.py [MODEL]

All make the same spectra (the greatest difference is printed) of the same clips, in turns, on the two settings
that the default training uses: 8 kHz windows of 1 s and 22 kHz windows of 5 s. librosa takes clip after clip as they
are; ours take batches of windows that are filled up to one length, which is work that librosa does not have. SciPy's
pocketfft takes the same full windows as the path of training, and CPU seconds are compared. With MODEL, a run folder,
it also times `predict` on the 8 kHz clips, from files to rows.

The clips are those of `$CONVMEDIA_DATA/audio`, or noise of such lengths.
"""

import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

ROUNDS, BATCH = 9, 50
REST_SECONDS = 0.3  # OpenBLAS, which librosa uses, keeps a core busy for a while after its last product
SETTINGS = {"fsdd": (8000, 1.0, 500), "esc10": (22_050, 5.0, 60)}  # Hz, seconds of a window, clips


def clips_of(name: str, rate: int, seconds: float, number: int) -> list[np.ndarray]:
    """Clips of a set at one rate, cut to a window; noise where the set is not there."""
    from convmedia.data.audio import decoding

    folder = {"fsdd": "fsdd/recordings", "esc10": "esc10/audio"}[name]
    given = os.environ.get("CONVMEDIA_DATA")
    files = sorted(Path(given, "audio", folder).glob("*")) if given else []
    if files:
        read = (decoding.read(file, rate) for file in files[:: max(len(files) // number, 1)][:number])
        return [samples[: int(seconds * rate)] for samples in read]
    rng = np.random.default_rng(0)
    lengths = (rng.uniform(0.25, 0.6, number) if name == "fsdd" else np.full(number, 1.0)) * seconds * rate
    return [rng.uniform(-0.5, 0.5, int(length)).astype("float32") for length in lengths]


def librosas(sounds: list[np.ndarray], spectrum) -> Iterator[np.ndarray]:
    """(frames, bands) of each clip."""
    import librosa

    options = {"n_fft": spectrum.fft_samples, "hop_length": spectrum.hop_samples, "n_mels": spectrum.bands}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # clips shorter than a frame
        for samples in sounds:
            power = librosa.feature.melspectrogram(y=samples, sr=spectrum.sample_rate, **options)
            yield librosa.power_to_db(power, ref=np.max).T


def scipys(windows: list[np.ndarray], spectrum) -> list[np.ndarray]:
    """(frames, bands) of each window by SciPy's pocketfft, in single precision, with the same bank."""
    from scipy.fft import rfft

    from convmedia.data.audio.mel import LEAST_POWER, hann

    length, hop, shape = spectrum.fft_samples, spectrum.hop_samples, hann(spectrum.fft_samples)
    found = []
    for samples in windows:
        padded = np.pad(samples, (length // 2, length // 2))
        spectra = rfft(np.lib.stride_tricks.sliding_window_view(padded, length)[::hop] * shape)
        power = (spectra.real**2 + spectra.imag**2) @ spectrum.bank
        decibels = np.float32(10) * np.log10(np.maximum(power, np.float32(LEAST_POWER)))
        decibels = np.maximum(decibels, decibels.max() - np.float32(spectrum.top_db))
        found.append(decibels - decibels.max() if spectrum.relative else decibels)
    return found


def against_scipy(name: str) -> None:
    """CPU seconds of full windows: the path of training and a loop over SciPy, in turns."""
    from convmedia.models.networks.sounds import heard_as

    rate, window_seconds, number = SETTINGS[name]
    spectrum, size = heard_as("compact", rate, window_seconds)
    windows = np.random.default_rng(0).uniform(-0.5, 0.5, (min(number, BATCH), size)).astype("float32")
    ways: dict[str, Callable[[], object]] = {
        "scipy": lambda: np.stack(scipys(list(windows), spectrum)),
        "training": lambda: spectrum.decibels(windows).numpy(),
    }
    found = {way: np.asarray(work()) for way, work in ways.items()}
    apart = np.abs(found["scipy"] - found["training"]).max()
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, work in ways.items():
            start = time.process_time()
            work()
            seconds[way].append(time.process_time() - start)
    theirs, ours = (1000 * statistics.median(seconds[way]) / len(windows) for way in ways)
    print(
        f"{name}: training {ours:.2f} CPU ms a window, SciPy {theirs:.2f}, {theirs / ours:.2f} of SciPy's speed, "
        f"within {apart:.1g} dB",
        flush=True,
    )


def batches(sounds: list[np.ndarray], size: int) -> list[np.ndarray]:
    padded = [np.pad(samples, (0, size - len(samples))) for samples in sounds]
    return [np.stack(padded[start : start + BATCH]) for start in range(0, len(padded), BATCH)]


def seconds_of(work: Callable[[], object]) -> float:
    time.sleep(REST_SECONDS)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compared(name: str) -> None:
    """One setting: clips a second of each way, and how far they are apart."""
    import tensorflow as tf

    from convmedia.models.networks.sounds import heard_as
    from convmedia.models.preprocessing.mel_spectrogram import LogMel

    rate, window_seconds, number = SETTINGS[name]
    spectrum, size = heard_as("compact", rate, window_seconds)
    sounds = clips_of(name, rate, window_seconds, number)
    layer = LogMel(**spectrum.config)
    signature = [tf.TensorSpec([None, size], tf.float32)]
    paths = {"training (FFT)": tf.function(spectrum.decibels, signature), "saved file": tf.function(layer, signature)}
    given = batches(sounds, size)
    ways: dict[str, Callable[[], list]] = {"librosa loop": lambda: list(librosas(sounds, spectrum))}
    for way, path in paths.items():
        ways[way] = lambda path=path: [path(batch).numpy() for batch in given]
    found = {way: work() for way, work in ways.items()}  # also warms up
    theirs = found["librosa loop"]
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, work in ways.items():
            times[way].append(seconds_of(work))
    for way in ways:
        ratio = statistics.median(a / b for a, b in zip(times["librosa loop"], times[way], strict=True))
        rows = found[way] if way == "librosa loop" else np.concatenate(found[way])
        # Windows are longer than their clips: compared up to the clips' last frames.
        apart = [np.abs(row[: len(own) - 8] - own[:-8]).max() for row, own in zip(rows, theirs, strict=True)]
        speed = len(sounds) / statistics.median(times[way])
        print(f"{name}: {way}: {speed:.0f} clips/s, {ratio:.2f} of librosa's, within {max(apart):.4f} dB", flush=True)


def predicting(model: str) -> None:
    """`predict` from files to rows, of 8 kHz clips written to a folder: how many times faster than they last."""
    import soundfile

    from convmedia.models import load

    sounds = clips_of("fsdd", 8000, 10.0, 1500)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{number:05}.wav") for number in range(len(sounds))]
        for file, samples in zip(files, sounds, strict=True):
            soundfile.write(file, samples, 8000)
        predictor = load(model, app="audio")
        predictor.predict_files(files[:40])
        lasted = sum(map(len, sounds)) / 8000
        rates = [lasted / seconds_of(lambda: predictor.predict_files(files)) for _ in range(ROUNDS)]
    print(f"predict: {statistics.median(rates):.0f} times faster than the {len(files):,} clips last")


def main() -> None:
    for name in SETTINGS:
        against_scipy(name)
        compared(name)
    if len(sys.argv) > 1:
        predicting(sys.argv[1])


if __name__ == "__main__":
    main()
