"""The recipes for sounds: same seed, same batch; what is no sound stays none; rates and ratios as said."""

import numpy as np
import pytest
import tensorflow as tf

from convmedia.data.augmentation import sound_recipes
from convmedia.data.augmentation.stateless_random import step_seed
from convmedia.data.storage.errors import InputError

RANDOM = np.random.default_rng(0)
STILL = {"shift": 0.0, "speed": 0.0, "gain_db": 0.0, "noise_share": 0.0}


def batch(number=64, size=1000):
    heard = RANDOM.integers(1, size + 1, number).astype("int32")
    windows = RANDOM.uniform(-0.5, 0.5, (number, size)) * (np.arange(size) < heard[:, None])
    return tf.constant(windows, tf.float32), tf.constant(heard)


def test_the_recipes_are_where_all_are():
    assert sound_recipes.waveforms is sound_recipes.waveforms
    assert sound_recipes.spectrograms is sound_recipes.spectrograms


@pytest.mark.parametrize("rolled", [False, True])
def test_a_seed_gives_one_batch_and_another_one_another(rolled):
    given, recipe = batch(), tf.function(sound_recipes.waveforms(rolled=rolled))
    first, again, other = (recipe(given, step_seed(3, 1, step)) for step in (5, 5, 6))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_nothing_drawn_changes_nothing():
    windows, heard = batch()
    moved, left = sound_recipes.waveforms(**STILL)((windows, heard), step_seed(1, 0, 0))
    np.testing.assert_allclose(moved, windows, atol=1e-7)
    assert np.array_equal(left, heard)


@pytest.mark.parametrize("rolled", [False, True])
def test_what_is_no_sound_stays_silent(rolled):
    size = 1000
    recipe = sound_recipes.waveforms(shift=0.5, speed=0.3, noise_share=1.0, rolled=rolled)
    windows, heard = recipe(batch(size=size), step_seed(1, 2, 3))
    outside = np.arange(size) >= np.asarray(heard)[:, None]
    assert not np.asarray(windows)[outside].any()
    assert np.asarray(heard).min() >= 1
    assert np.asarray(heard).max() <= size
    assert np.isfinite(windows).all()


def test_noise_has_the_ratio_that_is_asked_for():
    windows, heard = batch(200, 4000)
    recipe = sound_recipes.waveforms(**{**STILL, "noise_share": 1.0}, noise_db=(20.0, 20.0))
    noise = np.asarray(recipe((windows, heard), step_seed(1, 0, 0))[0] - windows)
    signal = np.sqrt((np.asarray(windows) ** 2).sum(1))
    long = np.asarray(heard) > 1000
    ratios = 20 * np.log10(signal / np.sqrt((noise**2).sum(1)))
    np.testing.assert_allclose(ratios[long], 20.0, atol=0.5)


def test_speed_changes_the_pitch_and_the_length():
    times = np.arange(8000) / 8000
    tone = tf.constant(np.sin(2 * np.pi * 400 * times)[None] * (np.arange(8000) < 4000), tf.float32)
    windows, heard = sound_recipes.moved(tone, tf.constant([4000]), tf.constant([[1.25]]), tf.constant([[0.0]]), False)
    assert heard.numpy().tolist() == [3200]
    spectrum = np.abs(np.fft.rfft(windows.numpy()[0, :3200]))
    assert spectrum.argmax() * 8000 / 3200 == pytest.approx(500, abs=3)


def test_a_shift_moves_samples_and_a_roll_keeps_all():
    windows = tf.constant([[1.0, 2, 3, 4, 0, 0, 0, 0]])
    rate = tf.constant([[1.0]])
    right, heard = sound_recipes.moved(windows, tf.constant([4]), rate, tf.constant([[0.25]]), False)
    assert (right.numpy().tolist(), heard.numpy().tolist()) == ([[0, 0, 1, 2, 3, 4, 0, 0]], [6])
    left, heard = sound_recipes.moved(windows, tf.constant([4]), rate, tf.constant([[-0.25]]), False)
    assert (left.numpy().tolist(), heard.numpy().tolist()) == ([[3, 4, 0, 0, 0, 0, 0, 0]], [2])
    rolled, heard = sound_recipes.moved(windows, tf.constant([4]), rate, tf.constant([[0.5]]), True)
    assert (rolled.numpy().tolist(), heard.numpy().tolist()) == ([[3, 4, 1, 2, 0, 0, 0, 0]], [4])


def spectra(number=32, frames=50, bands=20):
    heard = RANDOM.integers(10, frames + 1, number)
    mask = (np.arange(frames) < heard[:, None])[..., None] * np.ones(bands)
    values = mask * RANDOM.normal(1.0, 0.1, (number, frames, bands))
    return tf.constant(np.stack([values, mask], -1), tf.float32), tf.one_hot(RANDOM.integers(0, 5, number), 5)


def test_masks_cover_the_share_that_is_said():
    given, targets = spectra(500)
    recipe = tf.function(sound_recipes.spectrograms(time=0.2, bands=0.0, masks=1))
    result, same = recipe(given, targets, step_seed(1, 1, 1))
    heard = given.numpy()[..., 0, 1].sum(1)
    covered = heard - (result.numpy()[:, :, 0, 0] != 0).sum(1)
    assert (covered <= 0.2 * heard + 1).all()
    assert covered.mean() == pytest.approx(0.1 * heard.mean(), rel=0.2)
    assert np.array_equal(result[..., 1], given[..., 1])
    assert np.array_equal(same, targets)


def test_mixup_mixes_targets_and_sounds_by_one_share():
    given, targets = spectra()
    result, mixed = sound_recipes.spectrograms(time=0, bands=0, masks=0, mixup=0.5)(given, targets, step_seed(2, 0, 0))
    np.testing.assert_allclose(np.sum(mixed, 1), 1, atol=1e-5)
    assert set(np.unique(result[..., 1])) == {0.0, 1.0}
    assert (np.asarray(result[..., 1]) >= np.asarray(given[..., 1])).all()
    assert ((np.asarray(mixed) > 0.01).sum(1) == 2).any()


@pytest.mark.parametrize(
    ("recipe", "changes", "said"),
    [
        (sound_recipes.waveforms, {"shift": 2.0}, "0..1; received 2.0"),
        (sound_recipes.waveforms, {"noise_db": (30.0, 10.0)}, "least and the greatest"),
        (sound_recipes.spectrograms, {"bands": 1.5}, "0..1"),
        (sound_recipes.spectrograms, {"mixup": -1.0}, "0 or more"),
    ],
)
def test_what_makes_no_sense_is_said(recipe, changes, said):
    with pytest.raises(InputError, match=said):
        recipe(**changes)
