"""What exports of sound models are proved and measured on."""

from functools import partial

import numpy as np

from convmedia.apps.runs.record import fold_of, group_of
from convmedia.apps.tasks.audio.evaluate import tested
from convmedia.data.audio import decoding
from convmedia.data.datasets import sounds
from convmedia.data.folders.labelled import Split, truth_in
from convmedia.models.export.quality_loss import Trial, accuracy
from convmedia.models.inference.predictor import Predictor
from convmedia.models.inference.sound_predictor import Listener

EXAMPLES, EXAMPLE_SAMPLES = 200, 4_000_000  # most raw sounds kept for exports, and samples of all of them together


def raw_examples(split: Split, sample_rate: int) -> list[np.ndarray]:
    """Up to 200 sounds spread over a split, and not more than 4 million samples: float32 (samples,) each."""
    places = np.unique(np.linspace(0, len(split) - 1, min(EXAMPLES, len(split))).astype(int))
    chosen = [decoding.read(split.paths[place], sample_rate) for place in places]
    kept = max(1, int(len(chosen) * min(1.0, EXAMPLE_SAMPLES / sum(map(len, chosen)))))
    return [samples[:EXAMPLE_SAMPLES] for samples in chosen[:: -(-len(chosen) // kept)]]


def examples(predictor: Predictor, data: str | None) -> list[np.ndarray]:
    """Raw sounds to verify an export with: of a set, or without one chords and noise of many lengths."""
    rate = Listener(predictor).sample_rate
    if data:
        return raw_examples(sounds.load(data).train, rate)
    rng = np.random.default_rng(0)
    made = []
    for number, seconds in enumerate(np.geomspace(1 / rate, 6.0, 24)):
        times = np.arange(max(int(seconds * rate), 1)) / rate
        tones = sum(np.sin(2 * np.pi * hertz * times) for hertz in rng.uniform(80, rate / 3, 3))
        sound = 0.2 * tones * np.exp(-times) + rng.normal(0, 0.01 * number, len(times))
        made.append(np.clip(sound, -1, 1).astype(np.float32))
    return made


def trial(predictor: Predictor, model: str | None, data: str | None) -> Trial | None:
    """What quantised files are measured by: the right labels of a set's test sounds; None without them, and where a
    sound may have several labels."""
    if data is None or predictor.details.get("thresholds") is not None:
        return None
    chosen = tested(predictor, data, fold=fold_of(model, data), group=group_of(model, data))
    rate = Listener(predictor).sample_rate
    said = f"test split of {chosen.name}, {len(chosen.test):,} sounds"
    heard = partial(map, partial(decoding.read, sample_rate=rate), chosen.test.paths)
    return accuracy(said, heard, truth_in(predictor.labels or [], chosen))
