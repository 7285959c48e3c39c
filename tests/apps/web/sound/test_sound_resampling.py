"""A page converts sample rates as soxr does at quality "HQ", which the package takes."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from convmedia.data.audio import decoding
from convmedia.models.saving import engines

SEVEN = soundfile.read(Path(decoding.__file__).parents[1] / "samples" / "seven.wav", dtype="float32")[0]
RATES = [
    (48_000, 8000),
    (44_100, 8000),
    (44_100, 22_050),
    (16_000, 8000),
    (8000, 16_000),
    (11_025, 8000),
    (8000, 44_100),
]
RATES += [(44_100, 48_000), (96_000, 8000), (44_099, 8000), (7919, 8000)]
CODE = (
    "const { resample } = await import('/sound/resampling.js'); return resample(given.samples, given.from, given.to);"
)


@pytest.fixture
def resampled(sound_page):
    """The page's answer to (samples, from, to)."""
    return lambda samples, of, to: sound_page.run(CODE, {"samples": samples, "from": of, "to": to})


def package(samples: np.ndarray, of: int, to: int) -> np.ndarray:
    return np.concatenate(list(decoding.resampled([samples], of, to)))


def sweep(rate: int, seconds: float = 1.0) -> np.ndarray:
    """From 0 Hz to half of the rate, at half of full scale."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(np.pi * rate / 2 * time**2 / seconds)).astype(np.float32)


@pytest.mark.parametrize(("of", "to"), RATES)
def test_speech_and_sweeps_are_within_a_thousandth_of_what_soxr_gives(resampled, of, to):
    speech = soxr.resample(SEVEN, 8000, of).astype(np.float32)
    for samples, most in ((speech, 1e-4), (sweep(of), 1.2e-3)):
        found, expected = resampled(samples, of, to), package(samples, of, to)
        assert len(found) == len(expected)
        assert np.abs(found - expected).max() < most


@pytest.mark.parametrize(("of", "to"), RATES)
def test_what_the_lower_rate_holds_passes_and_the_rest_is_gone(resampled, of, to):
    lower = min(of, to)
    time = np.arange(of) / of
    for place in (0.05, 0.5, 0.9):
        found = resampled(np.sin(np.pi * lower * place * time, dtype=np.float64).astype(np.float32), of, to)
        exact = np.sin(np.pi * lower * place * np.arange(to) / to)
        assert np.abs(found - exact)[to // 4 : -to // 4].max() < 2e-5
    if of > to:
        for hertz in {to * 0.502, (of + to) / 4, 0.999 * of / 2}:
            gone = resampled(np.sin(2 * np.pi * hertz * time).astype(np.float32), of, to)
            assert np.abs(gone)[to // 4 : -to // 4].max() < 1e-5  # 100 dB


@pytest.mark.parametrize("length", [1, 2, 3, 7, 100, 1001])
def test_lengths_are_those_of_the_package(resampled, length):
    samples = np.linspace(-1, 1, length, dtype=np.float32)
    for of, to in ((48_000, 8000), (192_000, 8000), (44_100, 8000), (8000, 44_100), (11_025, 16_000), (8000, 8000)):
        found, expected = resampled(samples, of, to), package(samples, of, to)
        assert len(found) == len(expected)
        assert np.isfinite(found).all()


@pytest.mark.parametrize(("of", "to"), [(48_000, 8000), (44_100, 8000), (8000, 44_100), (44_099, 8000), (8000, 8000)])
@pytest.mark.parametrize("block", [128, 5000])
def test_blocks_of_a_microphone_add_up_to_the_whole(sound_page, of, to, block):
    code = """
      const { Converter, resample } = await import('/sound/resampling.js');
      const { samples, from, to, block } = given;
      const converter = new Converter(from, to);
      const found = [];
      let latest = 0;
      for (let at = 0; at < samples.length; at += block) {
        found.push(...converter.take(samples.slice(at, at + block)));
        latest = Math.max(latest, Math.min(at + block, samples.length) / from - found.length / to);
      }
      found.push(...converter.rest());
      return { found: Float32Array.from(found), whole: resample(samples, from, to), latest };
    """
    samples = np.random.default_rng(3).uniform(-1, 1, of // 2 + 77).astype(np.float32)
    answer = sound_page.run(code, {"samples": samples, "from": of, "to": to, "block": block})
    assert len(answer["found"]) == len(answer["whole"])
    assert np.abs(answer["found"] - answer["whole"]).max() < 1e-6
    assert answer["latest"] < 0.03  # seconds that what comes out is behind what went in


def test_a_minute_takes_seconds_at_most(sound_page):
    code = """
      const { resample } = await import('/sound/resampling.js');
      const start = performance.now();
      resample(new Float32Array(60 * 48000).fill(0.5), 48000, 8000);
      return performance.now() - start;
    """
    assert sound_page.run(code) < 10_000


def test_real_recordings_score_as_resampled_by_the_package(resampled, convmedia_data):
    """Recordings of a city and of animals at 44.1 kHz, asked of the shipped digits model."""
    predictor = engines.exported("audio", "audio")
    apart, moved = [], []
    for file in sorted((convmedia_data / "audio" / "esc10" / "audio").glob("*.ogg"))[:40:4]:
        samples, rate = soundfile.read(file, dtype="float32")
        found, expected = resampled(samples, rate, 8000), package(samples, rate, 8000)
        apart.append(np.abs(found - expected).max())
        moved.append(np.abs(predictor(found[None]) - predictor(expected[None])).max())
    print(f"apart {max(apart):.1e}, scores {max(moved):.1e}")
    assert max(apart) < 1e-2
    assert max(moved) < 1e-3
