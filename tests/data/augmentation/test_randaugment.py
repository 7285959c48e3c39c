"""RandAugment: what is drawn, and that each name does what it says."""

import numpy as np
import pytest
import tensorflow as tf

from convmedia.data.augmentation.randaugment import COLOURS, MOVES, OPERATIONS, drawn_operations, recoloured, rewarped
from convmedia.data.augmentation.stateless_random import draws, step_seed
from convmedia.data.transforms import colour

SIZE = (20, 30)


def chosen(*names):
    """One picture's operations, as `drawn_operations` gives them."""
    return tf.constant([[OPERATIONS.index(name) for name in names]])


def picture():
    return np.random.default_rng(0).integers(20, 200, (1, *SIZE, 3)).astype("float32")


def test_operations_are_drawn_evenly_and_half_of_them_the_other_way():
    names, strength = (one.numpy() for one in drawn_operations(draws(step_seed(0, 0, 0)), 7000, 2, 12))
    assert names.shape == strength.shape == (7000, 2)
    expected = names.size / 14
    counts = np.bincount(names.ravel(), minlength=14)
    assert len(counts) == len(OPERATIONS) == 14
    assert np.abs(counts - expected).max() < 4.5 * np.sqrt(expected)
    np.testing.assert_allclose(np.abs(strength), 12 / 30)
    assert abs((strength > 0).mean() - 0.5) < 0.02
    assert abs(np.corrcoef(names[:, 0], names[:, 1])[0, 1]) < 0.05


@pytest.mark.parametrize(
    "name, expected",
    [
        ("slide_along", [[1, -0.15, 0], [0, 1, 0]]),
        ("slide_down", [[1, 0, 0], [-0.15, 1, 0]]),
        ("move_along", [[1, 0, -0.5 * 30 * 150 / 331], [0, 1, 0]]),
        ("move_down", [[1, 0, 0], [0, 1, -0.5 * 20 * 150 / 331]]),
        ("turn", [[np.cos(np.pi / 12), np.sin(np.pi / 12), 0], [-np.sin(np.pi / 12), np.cos(np.pi / 12), 0]]),
        ("nothing", [[1, 0, 0], [0, 1, 0]]),
        ("contrast", [[1, 0, 0], [0, 1, 0]]),
    ],
)
def test_moves_at_half_strength(name, expected):
    np.testing.assert_allclose(rewarped(chosen(name), tf.constant([[-0.5]]), *SIZE)[0, :2], expected, atol=1e-5)


def test_two_moves_are_done_one_after_the_other():
    first, second = (rewarped(chosen(name), tf.constant([[1.0]]), *SIZE) for name in ("turn", "move_down"))
    both = rewarped(chosen("turn", "move_down"), tf.constant([[1.0, 1.0]]), *SIZE)
    np.testing.assert_allclose(both, first @ second)
    assert not np.allclose(both, second @ first)


@pytest.mark.parametrize(
    "name, change",
    [
        ("brightness", lambda one: colour.brightness(one, 0.46)),
        ("saturation", lambda one: colour.saturation(one, 0.46)),
        ("contrast", lambda one: colour.contrast(one, 0.46)),
        ("sharpness", lambda one: colour.sharpness(one, 0.46)),
        ("posterize", lambda one: colour.posterize(one, 6.0)),
        ("solarize", lambda one: colour.solarize(one, 256 * 0.4)),
        ("autocontrast", colour.autocontrast),
        ("equalize", lambda one: colour.equalize(one[0])[None]),
        *[(name, tf.identity) for name in ("nothing", *MOVES)],
    ],
)
def test_changes_of_colour_at_strength_three_fifths(name, change):
    changed = recoloured(tf.constant(picture()), chosen(name), tf.constant([[-0.6]]))
    np.testing.assert_allclose(changed, change(tf.constant(picture())), atol=1e-3)
    assert (name in COLOURS) == bool(np.any(changed != picture()))


def test_two_changes_of_colour_are_done_in_their_order():
    given = tf.constant(picture()), chosen("solarize", "brightness"), tf.constant([[0.5, 0.5]])
    expected = np.clip(np.where(picture() < 128, picture(), 255 - picture()) * 1.45, 0, 255)
    np.testing.assert_allclose(recoloured(*given), expected, rtol=1e-5)


def test_pictures_of_a_batch_are_changed_by_themselves():
    batch = np.concatenate([picture()] * 3)
    names = tf.concat([chosen("nothing"), chosen("brightness"), chosen("turn")], 0)
    changed = recoloured(tf.constant(batch), names, tf.constant([[-0.5]] * 3)).numpy()
    np.testing.assert_allclose(changed, batch * np.float32([1, 0.55, 1]).reshape(3, 1, 1, 1), rtol=1e-5)
