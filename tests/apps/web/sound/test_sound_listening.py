"""A page answers sounds as `convmedia.models.inference.sound_predictor` does: the same windows, scores and silence."""

import base64
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from convmedia.data.audio import decoding, silence
from convmedia.models.inference.sound_predictor import Listener, cut
from convmedia.models.saving import engines

RATE = 8000
SEVEN = soundfile.read(Path(decoding.__file__).parents[1] / "samples" / "seven.wav", dtype="float32")[0]
NOISE = np.random.default_rng(5).standard_normal(12 * RATE).astype(np.float32)
QUIET = 1e-3 * NOISE[: 2 * RATE]

SOUNDS = {
    "a word": SEVEN,
    "a word, words in a quiet room, and a word cut off": np.concatenate(
        [SEVEN, QUIET, 0.3 * SEVEN[::-1], QUIET, SEVEN, SEVEN[::2], QUIET[:99], SEVEN[:3001]]
    ),
    "one sample": SEVEN[2000:2001],
    "exactly a window": np.tile(SEVEN, 2)[:RATE],
    "one sample more": np.tile(SEVEN, 2)[: RATE + 1],
    "loud noise": 0.1 * NOISE[: 30 * RATE // 4],
    "two words at the ends": np.concatenate([SEVEN, np.zeros(3 * RATE, np.float32), 0.5 * SEVEN]),
    "faint noise": 1e-3 * NOISE,
    "nothing": np.zeros(RATE, np.float32),
    "an offset": np.full(3 * RATE, 0.25, np.float32),
}


@pytest.fixture(scope="module")
def listener() -> Listener:
    """Of the shipped model, without Keras."""
    predictor = engines.exported("audio", "audio")
    assert predictor is not None
    return Listener(predictor)


@pytest.fixture
def hearing(sound_page, listener):
    """A page whose `window.answer` is this machine's model; gives what it says of a sound."""

    def answer(windows: list[str]) -> list[list[float]]:
        cuts = [np.frombuffer(base64.b64decode(one), "<f4") for one in windows]
        return [listener.predictor(one[np.newaxis])[0].tolist() for one in cuts]

    sound_page.page.expose_function("answered", answer)
    predictor = listener.predictor
    facts = {"labels": predictor.labels, "input": predictor.input, "hop_samples": listener.hop, "details": {}}

    def hear(samples: np.ndarray, every: float | None = None, live: int | None = None, **more) -> dict:
        code = """
          const { Listener } = await import('/sound/listening.js');
          const answer = (windows) => window.answered(windows.map((one) => pack(one).floats));
          const listener = new Listener(given.facts, answer);
          const { samples, every } = given;
          const shares = [];
          if (!given.live) {
            const found = await listener.hear(samples, { every, onProgress: (share) => shares.push(share) });
            return { ...found, named: listener.named(found.scores), shares };
          }
          const live = listener.live({ every });
          const told = [];
          for (let at = 0; at < samples.length; at += given.live) {
            told.push(live.feed(samples.slice(at, at + given.live)));
          }
          return { told: await Promise.all(told), ...(await live.end()) };
        """
        given = {"facts": facts | more, "samples": samples, "every": every, "live": live}
        return sound_page.run(code, given)

    return hear


def native(listener: Listener, samples: np.ndarray, every: float | None = None) -> dict:
    """The row of `predict`, and scores in the order of the labels."""
    sound = next(done for done, _ in listener.heard([("it", [samples])], listener.step(every)) if done)
    row = listener.row(sound, 10, every is not None)
    scores = {one["label"]: one["score"] for one in row.get("top", [])}
    return row | {"scores": [scores[label] for label in listener.predictor.labels if scores]}


@pytest.mark.parametrize("every", [None, 0.2, 0.75])
def test_scores_and_windows_are_those_of_the_package(hearing, listener, every):
    answered = 0
    for name, samples in SOUNDS.items():
        found, expected = hearing(samples, every), native(listener, samples, every)
        if "error" in expected:
            assert f"it {found['error']}" == expected["error"], name
            continue
        answered += 1
        np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-6, err_msg=name)
        assert found["named"][0]["label"] == expected["label"]
        assert found["shares"] == sorted(found["shares"])
        assert found["shares"][-1] == 1
        listed = [(one["start"], one["end"], heard(one["scores"], listener)) for one in found["windows"]]
        assert listed == [(one["start"], one["end"], one["label"]) for one in expected.get("windows", [])], name
    assert answered >= 6


def heard(scores, listener):
    return None if scores is None else listener.predictor.labels[int(np.argmax(scores))]


@pytest.mark.parametrize("block", [128, 1111, 50_000])
def test_a_microphone_is_answered_as_its_recording(hearing, listener, block):
    samples = SOUNDS["a word, words in a quiet room, and a word cut off"]
    whole = hearing(samples, 0.5)
    found = hearing(samples, 0.5, live=block)
    np.testing.assert_array_equal(found["scores"], whole["scores"])
    assert [one["start"] for one in found["windows"]] == [one["start"] for one in whole["windows"]]
    ready = [one["start"] for told in found["told"] for one in told["windows"]]
    assert ready == [0.5 * number for number in range(len(ready))]
    assert len(samples) / RATE - 1.5 < ready[-1] <= len(samples) / RATE - 1
    running = [told["scores"] for told in found["told"] if told["scores"] is not None]
    assert int(np.argmax(running[0])) == int(np.argmax(native(listener, samples[:RATE])["scores"]))


def test_of_several_labels_those_above_their_thresholds_are_named(hearing):
    found = hearing(SEVEN, details={"thresholds": [0.9] * 7 + [0.5] + [0.0] * 2})
    order = sorted(range(10), key=lambda label: -found["scores"][label])
    assert [one["label"] for one in found["named"]] == [str(label) for label in order if label >= 7]


def test_an_answer_that_is_no_number_is_refused(hearing, listener, monkeypatch):
    monkeypatch.setattr(type(listener.predictor), "__call__", lambda self, batch: np.full((1, 10), np.inf, np.float32))
    assert "NaN or infinity" in hearing(SEVEN)["error"]


def test_real_files_are_answered_as_by_the_package(hearing, listener, sound_page, convmedia_data):
    """Spoken digits at 8 kHz, and Ogg files at 44.1 kHz of what is no digit, from the file to the scores."""
    folder = convmedia_data / "audio"
    digits = sorted((folder / "fsdd" / "recordings").glob("*.wav"))[::200]
    others = sorted((folder / "esc10" / "audio").glob("*.ogg"))[::40]
    assert (len(digits), len(others)) == (15, 10)
    apart = {"wav": 0.0, "ogg": 0.0}
    for file in [*digits, *others]:
        shutil.copy(file, sound_page.folder)
        found = hearing(sound_page.read(file.name)["samples"])
        expected = native(listener, decoding.read(file, RATE))
        assert ("error" in found) == ("error" in expected), file
        if "error" not in found:
            difference = np.abs(found["scores"] - expected["scores"]).max()
            apart[file.suffix[1:]] = max(difference, apart[file.suffix[1:]])
    print(apart)
    assert apart["wav"] < 1e-6
    assert apart["ogg"] < 1e-3


@pytest.mark.parametrize(("size", "hop", "every"), [(800, 400, 160), (801, 401, 900), (500, 500, 500), (7, 4, 3)])
def test_windows_are_cut_where_the_package_cuts_them(sound_page, size, hop, every):
    for length in (1, 6, 7, 8, 400, 799, 800, 801, 1200, 1201, 4567):
        if length / min(hop, every) > 300:
            continue
        samples = np.arange(1, length + 1, dtype=np.float32)
        code = """
          const { Cutter } = await import('/sound/listening.js');
          const cutter = new Cutter(given.size, given.hop, given.every);
          const found = [];
          for (let at = 0; at < given.samples.length; at += 777) {
            found.push(...cutter.take(given.samples.slice(at, at + 777)));
          }
          return [...found, ...cutter.rest()].map(({ start, samples, listed }) => [start, samples.length, listed]);
        """
        found = sound_page.run(code, {"samples": samples, "size": size, "hop": hop, "every": every})
        blocks = (samples[at : at + 777] for at in range(0, length, 777))
        assert found == [[one.start, one.heard, one.listed] for one in cut(blocks, size, every, hop=hop)]


def test_energy_loudness_and_steadiness_are_those_of_the_package(sound_page):
    quantities = """
      const silence = await import('/sound/silence.js');
      const { samples, rate } = given;
      return [silence.energy(samples), silence.loudestDb(samples, rate), silence.steady(samples, rate),
        silence.audible(samples, rate)];
    """
    for rate in (8000, 22_050, 44_100):
        for samples in SOUNDS.values():
            found = sound_page.run(quantities, {"samples": samples, "rate": rate})
            expected = [silence.energy(samples), silence.loudest_db(samples, rate)]
            np.testing.assert_allclose(found[:2], expected, rtol=1e-9, atol=1e-15)
            assert found[2:] == [silence.steady(samples, rate), silence.audible(samples, rate)]
