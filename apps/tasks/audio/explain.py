"""Pictures of sounds: spectrograms for a report, and what `explain` draws."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convmedia.apps.classification.initial_weights import first_filters
from convmedia.apps.console.progress import counted
from convmedia.apps.console.terminal import note, percent, tell
from convmedia.apps.reporting.charts import BLUE, bare_axes, save_figure
from convmedia.apps.reporting.feature_maps import filter_sheet
from convmedia.data.audio import decoding, silence
from convmedia.data.audio.mel import Spectrum
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import fitting, shown
from convmedia.models.analysis import grad_cam
from convmedia.models.inference.predictor import Predictor
from convmedia.models.inference.sound_predictor import Listener, cut
from convmedia.models.networks.catalogue import SOUNDS

LONGEST_SECONDS = 60.0
"""Of a longer sound, what is explained lies in its first minute."""


def spectrogram_picture(predictor: Predictor, samples: np.ndarray) -> np.ndarray:
    """What the network sees of a sound's first window: uint8 (bands, frames, 3), low frequencies below."""
    seen = grad_cam.prepared(predictor.model, samples)[..., 0].T[::-1]
    scaled = np.clip((seen + 2.5) / 5.0, 0.0, 1.0)  # two and a half deviations either way
    picture = 255 * matplotlib.colormaps["magma"](scaled)[..., :3]
    return np.rint(picture).astype(np.uint8)


def explain(predictor: Predictor, inputs: list[str], out: Path) -> int:
    """The filters once, and for each sound a sheet; 1 if any file failed."""
    files = decoding.find(inputs, note)
    before = filters_before(predictor)
    tell(str(save_figure(filter_sheet(grad_cam.filters(predictor.model), before), out / "filters.png")))
    failed = 0
    for number, file in enumerate(counted(files, len(files), "drawing")):
        try:
            figure = sheet(predictor, file)
            with fitting(file):
                drawn = save_figure(figure, out / f"{number:04}-{file.stem}.png")
        except InputError as error:
            failed += 1
            tell(f"{shown(file)}\terror: {error}")
            continue
        tell(shown(drawn))
    return int(failed > 0)


def filters_before(predictor: Predictor) -> np.ndarray:
    """The first convolution's filters before training, made again from the seed."""
    inner = predictor.model.get_layer(predictor.details["network"])
    frames, bands = inner.input_shape[1:3]
    several = predictor.details.get("thresholds") is not None
    build = SOUNDS[predictor.details["network"]]
    return first_filters(predictor, lambda labels: build(frames, bands, labels, several))


def sheet(predictor: Predictor, file: Path) -> Figure:
    """Waveform, spectrogram, and Grad-CAM over it, of the window that speaks most clearly for the sound's label."""
    listener = Listener(predictor)
    start, samples, label, score = clearest(listener, file)
    heat, _ = grad_cam.grad_cam(predictor.model, samples, (predictor.labels or []).index(label))
    seen, heard = np.moveaxis(grad_cam.prepared(predictor.model, samples), -1, 0)
    heat = heat * heard  # what the network makes of the filling is left out of its pooling, too
    figure = Figure(figsize=(9.0, 7.5), layout="constrained")
    wave, plain, heated = figure.subplots(3, 1, height_ratios=(1, 2, 2))
    figure.suptitle(f"{shown(file.name)}: {label} {percent(score)}", x=0.01, ha="left", fontsize=12, parse_math=False)
    times = start + np.arange(len(samples)) / listener.sample_rate
    bare_axes(wave).plot(times, samples, color=BLUE, linewidth=0.6)
    spectrum = predictor.model.get_layer("log_mel").spectrum
    for axes, title in ((plain, "log-mel spectrogram, standardised"), (heated, f"Grad-CAM for {label}")):
        spectrogram(bare_axes(axes), seen, spectrum, start, cmap="magma", vmin=-2.5, vmax=2.5)
        axes.set_title(title, loc="left", fontsize=10, parse_math=False)
    spectrogram(heated, heat, spectrum, start, cmap="viridis", vmin=0.0, vmax=1.0, alpha=0.25 + 0.6 * heat.T)
    wave.set(ylabel="waveform", xlim=(start, start + listener.size / listener.sample_rate))
    for axes in (plain, heated):
        axes.set(xlim=wave.get_xlim(), xlabel="", ylabel="Hz, on the mel scale")
    heated.set_xlabel("seconds")
    return figure


def spectrogram(axes: Axes, values: np.ndarray, spectrum: Spectrum, start: float, **options: Any) -> None:
    """Draw values (frames, bands) of a spectrum over seconds and Hz; the first frame's centre is at `start` seconds."""
    from librosa import display

    times = start + np.arange(len(values)) * spectrum.hop_samples / spectrum.sample_rate
    display.specshow(
        values.T,
        x_coords=times,
        x_axis="s",
        y_axis="mel",
        sr=spectrum.sample_rate,
        fmin=spectrum.min_hz,
        fmax=spectrum.highest_hz,
        htk=spectrum.htk,
        ax=axes,
        **options,
    )


def clearest(listener: Listener, file: Path) -> tuple[float, np.ndarray, str, float]:
    """Of a sound's windows the one with the greatest score for the sound's label.

    Returns:
        Its start in seconds, its samples (of the last window those that are sound), the label and the sound's score.
    """
    blocks, taken = [], 0
    for block in decoding.blocks(file, listener.sample_rate):
        blocks.append(block)
        taken += len(block)
        if taken >= LONGEST_SECONDS * listener.sample_rate:
            break
    windows = [window for window in cut(blocks, listener.size, hop=listener.hop) if window is not None]
    heard = np.array([window.heard for window in windows], np.int32)
    scores = listener.scores(np.stack([window.samples for window in windows]), heard)
    parts = [window.samples[: window.heard] for window in windows]
    counted = silence.MeanByEnergy(listener.size)
    for part, row in zip(parts, scores, strict=True):
        counted.add(part, row)
    mean = counted.result()
    if not any(silence.audible(part, listener.sample_rate) for part in parts):
        raise InputError(f"{shown(file)} is silent; give a sound in which something is to be heard")
    best = int(mean.argmax())
    having_a_say = np.array([silence.energy(part) > counted.threshold for part in parts])
    chosen = windows[int((scores[:, best] * having_a_say).argmax())]
    label = (listener.predictor.labels or [])[best]
    return chosen.start / listener.sample_rate, chosen.samples[: chosen.heard], label, float(mean[best])
