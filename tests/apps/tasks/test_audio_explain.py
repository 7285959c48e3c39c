"""Drawings of sounds: their axes are seconds and Hz."""

import numpy as np
from matplotlib.figure import Figure

from convmedia.apps.tasks.audio import explain
from convmedia.data.audio.mel import Spectrum


def test_a_tone_is_drawn_at_its_frequency_and_time():
    spectrum = Spectrum(8000, 512, 80, 40)
    waves = np.zeros((1, 8000), "float32")
    waves[0, 4000:4800] = np.sin(2 * np.pi * 1500.0 * np.arange(800) / 8000)
    axes = Figure().subplots()
    explain.spectrogram(axes, np.asarray(spectrum.decibels(waves))[0], spectrum, 3.0)
    [mesh] = axes.collections
    values, corners = mesh.get_array(), mesh.get_coordinates()
    band, frame = np.unravel_index(values.argmax(), values.shape)
    (left, low), (right, high) = corners[band, frame], corners[band + 1, frame + 1]
    assert 3.5 <= left < right <= 3.62
    assert low - 60 <= 1500.0 <= high + 60


def test_a_drawing_shows_transparency_place_by_place():
    spectrum = Spectrum(8000, 512, 80, 4)
    heat = np.eye(4)
    axes = Figure().subplots()
    explain.spectrogram(axes, heat, spectrum, 0.0, cmap="viridis", vmin=0.0, vmax=1.0, alpha=0.25 + 0.6 * heat.T)
    axes.figure.canvas.draw()
    alphas = axes.collections[0].get_facecolor().reshape(4, 4, 4)[..., 3]
    np.testing.assert_allclose(alphas, 0.25 + 0.6 * heat.T)
