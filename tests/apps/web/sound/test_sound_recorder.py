"""A page records what the microphone hears, says why it cannot, and plays it."""

import numpy as np
import pytest

RECORDED = """
  const { start } = await import('/sound/recorder.js');
  const blocks = [];
  const recording = await start({ onBlock: (block) => blocks.push(block) });
  await new Promise((resolve) => setTimeout(resolve, 1800));
  const samples = await recording.stop();
  return { samples, again: (await recording.stop()) === samples, rate: recording.rate, state: recording.context.state,
    blocks };
"""
REFUSED = """
  const { start, NoMicrophone } = await import('/sound/recorder.js');
  Object.defineProperty(navigator, 'mediaDevices', { value: given.name === null ? undefined : {
    getUserMedia: async () => { throw new DOMException('', given.name); },
  } });
  try {
    await start({});
  } catch (error) {
    return [error instanceof NoMicrophone, error.message];
  }
"""


def test_the_microphone_is_recorded_whole_and_in_blocks(sound_page):
    """Chromium's microphone for tests beeps once a second."""
    found = sound_page.run(RECORDED)
    assert found["rate"] >= 8000
    assert 1.0 < len(found["samples"]) / found["rate"] < 4.0
    assert np.array_equal(found["samples"], np.concatenate(found["blocks"]))
    assert {len(block) for block in found["blocks"][:-1]} == {2048}
    assert 0.05 < np.abs(found["samples"]).max() <= 1
    assert np.abs(found["samples"]).mean() < 0.2 * np.abs(found["samples"]).max()
    assert found["again"]
    assert found["state"] == "closed"


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("NotAllowedError", "not allowed"),
        ("NotFoundError", "no microphone"),
        ("NotReadableError", "in use"),
        ("OddError", "OddError"),
        (None, "HTTPS"),
    ],
)
def test_why_there_is_no_microphone_is_said_in_plain_words(sound_page, name, word):
    known, message = sound_page.run(REFUSED, {"name": name})
    assert known
    assert word in message
    assert message.endswith(".")


def test_a_sound_is_played_as_long_as_it_is_or_until_it_is_stopped(sound_page):
    code = """
      const { play } = await import('/sound/recorder.js');
      const seconds = async (samples, stopped, part) => {
        const begun = performance.now();
        const playing = await play(samples, 8000, part);
        if (stopped) setTimeout(playing.stop, 100);
        await playing.ended;
        return (performance.now() - begun) / 1000;
      };
      const long = new Float32Array(8 * 8000).fill(0.1);
      return [await seconds(long.slice(0, 4000)), await seconds(long, true), await seconds(long, false, { from: 7.5 })];
    """
    whole, stopped, rest = sound_page.run(code)
    assert 0.4 < whole < 3
    assert stopped < 3
    assert 0.4 < rest < 3
