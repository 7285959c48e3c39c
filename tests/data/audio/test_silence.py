"""What is to be heard in a sound, and what windows count: values by hand, noises, words."""

import numpy as np
import pytest

from convmedia.data.audio import silence


def noise(samples, db, power=0.0, seed=0):
    """White (0), pink (1) or brown (2) noise: float32, its root mean square in dB of full scale."""
    frequencies = np.fft.rfftfreq(samples)
    frequencies[0] = frequencies[1]
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=samples)) * frequencies ** (-power / 2)
    values = np.fft.irfft(spectrum, samples)
    return (values / values.std() * 10 ** (db / 20)).astype("float32")


def word(peak=0.3, samples=3200):
    times = np.arange(samples) / 8000
    return (peak * np.sin(2 * np.pi * 300 * times) * np.hanning(samples)).astype("float32")


def window(energy, size=100):
    """A window of this energy."""
    return np.tile([1.0, -1.0], size // 2).astype("float32") * np.float32((energy / size) ** 0.5)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_noise_of_a_quiet_room_is_nothing_to_be_heard(power):
    for seed in range(20):
        assert not silence.audible(noise(8000, -60, power, seed), 8000)
    assert silence.audible(noise(8000, -30, power), 8000)  # rain


def test_a_constant_is_silence():
    assert not silence.audible(np.full(8000, 0.5, "float32"), 8000)
    assert silence.energy(np.full(8000, 0.5, "float32")) == 0.0


@pytest.mark.parametrize("db", [0, -30, -50])
def test_a_word_is_heard_at_any_level(db):
    spoken = noise(8000, -60 + db, 1)
    spoken[2000:5200] += word() * np.float32(10 ** (db / 20))
    assert silence.audible(spoken, 8000)


def mean(*windows):
    """The mean of (energy, score) pairs."""
    found = silence.MeanByEnergy(100)
    for energy, score in windows:
        found.add(window(energy), np.array([score], np.float32))
    return float(found.result()[0])


def test_windows_count_by_their_energy_above_the_threshold():
    # The quietest one is 0.1, so 0.2 is asked: 0.8 and 0.3 are above.
    assert mean((0.1, 9.0), (0.5, 1.0), (1.0, 0.0)) == pytest.approx(0.3 / 1.1, rel=1e-5)


def test_windows_as_loud_as_the_others_count_alike():
    assert mean((1.0, 0.0), (1.0, 1.0), (1.0, 0.5)) == pytest.approx(0.5, rel=1e-6)


def test_a_thousand_quiet_windows_have_no_say():
    assert mean(*[(0.05, 1.0)] * 1000, (1.0, 0.25), *[(0.05, 1.0)] * 1000) == pytest.approx(0.25, rel=1e-6)


def test_silent_windows_count_by_their_length():
    assert mean((0.0, 1.0), (0.0, 0.5)) == pytest.approx(0.75)


def test_memory_stays_flat_and_sums_exact():
    found, rng = silence.MeanByEnergy(100), np.random.default_rng(1)
    energies, scores = 10 ** rng.uniform(-4, 0, 40_000), rng.uniform(0, 1, 40_000).astype("float32")
    for energy, score in zip(energies, scores, strict=True):
        found.add(window(energy), np.array([score]))
    asked = max(min(2 * energies.min(), 0.5 * energies.max()), 0.01 * energies.max())
    expected = np.average(scores, weights=np.maximum(energies - asked, 0))
    assert found.result()[0] == pytest.approx(expected, abs=1e-5)
    assert len(found.levels) <= 20_001
