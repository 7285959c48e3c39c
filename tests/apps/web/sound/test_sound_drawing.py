"""A page shows sounds: where the picture is bright, what is written beside it, and how it puts it into words."""

from itertools import pairwise

import numpy as np
import pytest

RATE = 16_000
NOTHING = "\N{EN DASH}"
WINDOWS = [{"start": at / 2, "end": at / 2 + 1, "label": ("dog barking", None, "rain")[at % 3]} for at in range(5)]

# Draws on a canvas of a width, and tells the pixels inside the frame and each text with its place.
DRAWN = """
  const { draw, describe } = await import('/sound/spectrogram.js');
  document.body.style.margin = 0;
  const canvas = document.createElement('canvas');
  canvas.style.width = `${given.width}px`;
  document.body.append(canvas);
  const texts = [];
  const write = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
    const width = this.measureText(text).width;
    const left = x - width * { left: 0, center: 0.5, right: 1 }[this.textAlign];
    texts.push({ text, left, right: left + width, y, colour: this.fillStyle });
    write.call(this, text, x, y);
  };
  const { samples, rate, options } = given;
  const places = draw(canvas, samples, rate, options);
  draw(canvas, samples, rate, options);
  CanvasRenderingContext2D.prototype.fillText = write;
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  return {
    texts: texts.slice(0, texts.length / 2), pixels: Float32Array.from(pixels), size: [canvas.width, canvas.height],
    shown: [canvas.clientWidth, canvas.clientHeight],
    seconds: [0, given.width / 2, given.width].map(places.secondsAt),
    windows: Array.from({ length: given.width }, (_, x) => places.windowAt(x)),
    said: describe(samples, rate, options),
  };
"""


@pytest.fixture
def drawn(sound_page):
    """What is seen of a sound."""

    def show(samples: np.ndarray, width: int = 600, **options) -> dict:
        given = {"samples": samples.astype(np.float32), "rate": RATE, "width": width, "options": options}
        found = sound_page.run(DRAWN, given)
        columns, rows = found["size"]
        return found | {"pixels": found["pixels"].reshape(rows, columns, 4)[..., :3].mean(axis=-1)}

    return show


def burst(hertz: float, start: float, end: float, seconds: float = 3.0) -> np.ndarray:
    """A tone within silence."""
    time = np.arange(round(seconds * RATE)) / RATE
    return 0.5 * np.sin(2 * np.pi * hertz * time) * ((time >= start) & (time < end))


def mel(hertz: float) -> float:
    return 2595 * np.log10(1 + hertz / 700)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("hertz", [300, 1000, 5000])
def test_a_tone_is_seen_where_its_pitch_and_its_time_are(drawn, hertz, dark):
    found = drawn(burst(hertz, 1, 2), dark=dark)
    inside = found["pixels"][10:190, 58:588]  # 54 px of axis on the left, 8 on the right, 6 above, 18 below
    strong = inside if dark else 255 - inside
    row, column = np.median(np.argwhere(strong > 0.8 * strong.max()), axis=0)
    assert (row + 10 - 6) / 196 == pytest.approx(1 - mel(hertz) / mel(RATE / 2), abs=0.02)
    assert (column + 58 - 54) / 538 * 3 == pytest.approx(1.5, abs=0.05)
    assert strong[:, 10:150].max() < 0.3 * strong.max()  # before it begins


@pytest.mark.parametrize("width", [320, 1200])
@pytest.mark.parametrize("dark", [False, True])
def test_what_is_written_fits_and_does_not_overlap(drawn, width, dark):
    windows = [{**WINDOWS[at % 3], "start": at / 2, "end": at / 2 + 1} for at in range(39)]
    found = drawn(burst(440, 5, 6, 20), width, windows=windows, chosen=7, dark=dark)
    assert found["shown"] == [width, 220]
    for one in found["texts"]:
        assert one["left"] >= 0, one
        assert one["right"] <= width + 0.5, one
    for line in {one["y"] for one in found["texts"] if one["text"][-1] not in "z"}:
        row = sorted((one["left"], one["right"]) for one in found["texts"] if one["y"] == line)
        assert all(before[1] < after[0] for before, after in pairwise(row))
    labels = {one["text"]: one["colour"] for one in found["texts"]}
    assert {"0 s", "8 kHz", "1 kHz", NOTHING} <= set(labels)
    chosen = [one for one in found["texts"] if one["colour"] == ("#ffd166" if dark else "#b3261e")]
    assert [one["text"] for one in chosen] == [NOTHING]  # the eighth window says nothing


def test_places_tell_their_time_and_window(drawn):
    found = drawn(burst(440, 1, 2), windows=WINDOWS, chosen=1)
    assert found["seconds"] == pytest.approx([0, 3 * (300 - 54) / 538, 3])
    assert found["windows"][:54] == [-1] * 54
    for second, window in ((0.1, 0), (0.6, 1), (1.4, 2), (2.9, 4)):
        assert found["windows"][round(54 + second / 3 * 538)] == window


def test_sharp_screens_get_as_many_pixels_as_they_have(served, open_page, sound_page):
    sound_page.page = open_page(served(sound_page.folder) + "/index.html", device_scale_factor=2)
    given = {"samples": burst(440, 1, 2), "rate": RATE, "width": 300, "options": {"height": 100}}
    found = sound_page.run(DRAWN, given)
    assert (found["size"], found["shown"]) == ([600, 200], [300, 100])


def test_the_picture_is_put_into_words(drawn):
    said = drawn(burst(440, 1.5, 2.5), windows=WINDOWS)["said"]
    assert "3 s of sound at 16,000 Hz" in said
    assert "loudest from 1.5 s to 2.5 s, at -9 dB" in said  # 0.5 / sqrt(2)
    assert "5 windows, in their order: dog barking, nothing, rain, dog barking, nothing." in said
    assert "silent throughout" in drawn(np.zeros(RATE))["said"]


def test_the_shortest_sound_is_drawn(drawn):
    assert drawn(np.ones(1))["texts"]
