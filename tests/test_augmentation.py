"""What the recipes do to a picture, against SciPy and against counted rates; and that a seed decides everything."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage, optimize

from convmedia.data import augmentation
from convmedia.data.augmentation import inverted, step_seed

NOTHING = {"rotation": 0, "zoom": 0, "shift": 0, "shear": 0, "elastic_px": 0, "pen": 0, "erase": 0}
SIDE, MIDDLE = 28, 13.5


def only(**ranges):
    """The recipe with all but these ranges at zero."""
    return augmentation.digits(**{**NOTHING, **ranges})


def seed(number=0, epoch=0, step=0):
    return step_seed(number, epoch, step)


def applied(recipe, batch, own=None):
    return recipe(tf.constant(batch), seed() if own is None else own).numpy()


def blob(rows=3.0, columns=3.0, middle=(MIDDLE, MIDDLE)):
    """A Gaussian spot that ends well before the border: (28, 28, 1), 0..200."""
    y, x = np.mgrid[:SIDE, :SIDE].astype("float32")
    return 200 * np.exp(-((y - middle[0]) ** 2) / (2 * rows**2) - (x - middle[1]) ** 2 / (2 * columns**2))[..., None]


def written():
    """A crude 4: light on dark, asymmetric, with a bright edge at the left so that the border's fate is seen."""
    digit = np.zeros((SIDE, SIDE, 1), "float32")
    digit[4:16, 7:10] = digit[13:16, 7:20] = 240
    digit[6:25, 15:18] = 180
    digit[:, :1] = 90
    return digit


def noise(number, dtype="float32"):
    return np.random.default_rng(0).integers(0, 256, (number, SIDE, SIDE, 1)).astype(dtype)


# Inversion


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
def test_inverting_twice_is_the_identity(dtype):
    pictures = np.arange(256).astype(dtype).reshape(2, 8, 16)
    once = inverted(pictures)
    assert once.dtype == dtype
    assert np.array_equal(once.ravel(), np.arange(255, -1, -1))
    assert np.array_equal(inverted(once), pictures)


def test_inverting_tensors():
    ramp = tf.range(256)
    assert np.array_equal(inverted(tf.cast(ramp, tf.float32)), np.arange(255, -1, -1))
    inside = next(iter(tf.data.Dataset.from_tensors(tf.cast(ramp, tf.uint8)).map(inverted)))
    assert inside.dtype == tf.uint8
    assert np.array_equal(inside, np.arange(255, -1, -1))


# Seeds


def test_every_step_has_a_seed_of_its_own():
    places = [(s, e, t) for s in (0, 1, 2**31 - 1) for e in (0, 1, 7, 2000) for t in (0, 1, 1000, 2**20 - 1)]
    assert len({tuple(seed(*place).numpy()) for place in places}) == len(places)


@pytest.mark.parametrize("large, small", [((0, 2048, 0), (0, 0, 1)), ((2**31, 0, 0), (0, 0, 0))], ids=["epoch", "seed"])
def test_large_seeds_and_epochs_do_not_repeat_small_ones(large, small):
    assert not np.array_equal(seed(*large), seed(*small))


def test_a_step_has_one_seed_inside_and_outside_of_pipelines():
    steps = tf.data.Dataset.range(50)
    inside = [one.numpy() for one in steps.map(lambda step: step_seed(3, tf.constant(2), step), num_parallel_calls=4)]
    assert np.array_equal(inside, [seed(3, 2, step).numpy() for step in range(50)])
    assert inside[0].dtype == np.int32


def test_one_seed_gives_one_batch_eagerly_and_in_parallel_pipelines():
    recipe, batches = augmentation.digits(), noise(24).reshape(6, 4, SIDE, SIDE, 1)

    def run():
        data = tf.data.Dataset.from_tensor_slices(batches).enumerate()
        mapped = data.map(lambda step, batch: recipe(batch, step_seed(1, 0, step)), num_parallel_calls=4)
        return np.stack([batch.numpy() for batch in mapped])

    first = run()
    assert np.array_equal(first, run())
    eager = [applied(recipe, batch, seed(1, 0, step)) for step, batch in enumerate(batches)]
    assert np.array_equal(first, eager)


def test_another_seed_epoch_or_step_gives_another_batch():
    recipe, batch = augmentation.digits(), noise(4)
    given = [applied(recipe, batch, seed(*place)) for place in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]]
    assert all(not np.array_equal(a, b) for i, a in enumerate(given) for b in given[:i])


def test_pictures_of_a_batch_are_drawn_independently():
    given = applied(augmentation.digits(), np.stack([written()] * 8))
    assert len({picture.tobytes() for picture in given}) == 8


def test_draws_are_uniform_and_a_new_one_at_each_call():
    draw = augmentation.draws(seed())
    first, second = (draw([20_000], -2.0, 6.0).numpy() for _ in range(2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    counts = np.histogram(first, 8, (-2, 6))[0]
    assert counts.sum() == 20_000
    assert np.abs(counts - 2500).max() < 5 * np.sqrt(2500)


# Values


def test_ranges_of_zero_change_nothing():
    batch = noise(5)
    assert np.array_equal(applied(only(), batch), batch)


@pytest.mark.parametrize("height, width", [(28, 28), (20, 33)])
def test_everything_at_once_keeps_shape_type_and_range(height, width):
    batch = np.random.default_rng(1).choice(np.float32([0, 255]), (200, height, width, 1))
    given = applied(augmentation.digits(rotation=180, zoom=0.5, shift=0.5, elastic_px=4, pen=1, erase=0.5), batch)
    assert (given.shape, given.dtype) == (batch.shape, np.float32)
    assert given.min() >= 0
    assert given.max() <= 255 * (1 + 1e-6)  # four weights add to 1 within rounding


@pytest.mark.parametrize("value", [0, 90, 255])
def test_a_picture_of_one_value_stays_what_it_is(value):
    batch = np.full((50, SIDE, SIDE, 1), value, "float32")
    given = applied(augmentation.digits(rotation=90, zoom=0.4, shift=0.5, erase=0.5), batch)
    np.testing.assert_allclose(given, batch, rtol=1e-6)


def turned(picture, angle):
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return warped(picture, np.array([[cosine, -sine], [sine, cosine]]))


def slanted(picture, angle):
    return warped(picture, np.array([[1, 0], [np.tan(np.radians(angle)), 1]]))


def enlarged(picture, height, width):
    return warped(picture, np.diag([1 / height, 1 / width]))


def moved(picture, down, along):
    return warped(picture, np.eye(2), np.array([down, along]))


def warped(picture, matrix, offset=0.0):
    """SciPy's affine resampling about the middle, bilinear, edges repeated; (28, 28, 1) in and out."""
    centre = np.array([MIDDLE, MIDDLE])
    offset = centre - matrix @ centre + offset
    return ndimage.affine_transform(picture[..., 0], matrix, offset, order=1, mode="nearest")[..., None]


@pytest.mark.parametrize(
    "ranges, transform, neutral, most",
    [
        ({"rotation": 25}, turned, [0.0], 25),
        ({"shear": 20}, slanted, [0.0], 20),
        ({"zoom": 0.25}, enlarged, [1.0, 1.0], 0.25),
        ({"shift": 0.15}, moved, [0.0, 0.0], 0.15 * SIDE),
    ],
    ids=["rotation", "shear", "zoom", "shift"],
)
def test_each_movement_is_scipys_by_an_amount_within_its_range(ranges, transform, neutral, most):
    picture, amounts = written(), []
    for given in applied(only(**ranges), np.stack([picture] * 8)):

        def distance(amount, given=given):
            return np.abs(transform(picture, *amount) - given).mean()

        # Which amount was drawn is not known: it is searched, and then SciPy must give the same picture.
        grids = [slice(one - most, one + most * 1.001, most / 7) for one in neutral]
        near = np.atleast_1d(optimize.brute(distance, grids, finish=None))
        amount = np.atleast_1d(optimize.minimize(distance, near, method="Powell", options={"xtol": 1e-5}).x)
        np.testing.assert_allclose(transform(picture, *amount), given, atol=0.5)
        amounts.append(amount - neutral)
    assert np.abs(amounts).max() <= most * 1.001
    assert np.min(amounts) < 0 < np.max(amounts)
    assert len(np.unique(np.round(amounts, 3))) == np.size(amounts)


def uniform_within(values, most):
    """Whether values look drawn from -most..most: all of it, none outside, and little Kolmogorov-Smirnov distance."""
    values = np.sort(values)
    expected = (values / most + 1) / 2
    distance = np.abs(expected - (np.arange(len(values)) + 0.5) / len(values)).max()
    reached = 0.98 * most < np.abs(values).max() <= 1.01 * most
    return reached and distance < 1.95 / np.sqrt(len(values))  # 1 in 1,000 by chance


def test_shifts_are_spread_evenly_over_their_range():
    # Bilinear reading keeps the first moment: the centre of mass tells the shift exactly.
    batch = np.stack([blob()] * 1000)
    y, x = np.mgrid[:SIDE, :SIDE]
    given = applied(only(shift=0.1), batch)[..., 0]
    down, along = ((given * at).sum((1, 2)) / given.sum((1, 2)) - MIDDLE for at in (y, x))
    assert uniform_within(down, 0.1 * SIDE)
    assert uniform_within(along, 0.1 * SIDE)
    assert abs(np.corrcoef(down, along)[0, 1]) < 0.1


def test_angles_are_spread_evenly_over_their_range():
    given = applied(only(rotation=30), np.stack([blob(1.5, 4.5)] * 1000))[..., 0]
    y, x = np.mgrid[:SIDE, :SIDE] - MIDDLE
    over = {name: (given * product).sum((1, 2)) for name, product in (("xx", x * x), ("yy", y * y), ("xy", x * y))}
    angle = np.degrees(np.arctan2(2 * over["xy"], over["xx"] - over["yy"])) / 2
    assert uniform_within(angle, 30)


def test_slants_are_spread_evenly_over_their_range():
    # Rows only slide: the slope of their centres over the rows is the tangent, whatever the blob's width.
    given = applied(only(shear=20), np.stack([blob()] * 1000))[..., 0]
    y, x = np.mgrid[:SIDE, :SIDE] - MIDDLE
    slope = (given * x * y).sum((1, 2)) / (given * y * y).sum((1, 2))
    assert uniform_within(np.degrees(np.arctan(slope)), 20)


def test_elastic_distortion_is_smooth_and_within_its_range():
    # Of a ramp, a displaced pixel shows where it was read.
    ramp = np.broadcast_to(np.arange(SIDE, dtype="float32")[None, None, :, None], (300, SIDE, SIDE, 1))
    inside = slice(4, -4)
    displacement = (applied(only(elastic_px=3), ramp) - ramp)[:, :, inside, 0]
    assert 2.5 < np.abs(displacement).max() <= 3
    assert abs(displacement.mean()) < 0.1
    knot_distance = SIDE / 4
    for axis in (1, 2):
        assert np.abs(np.diff(displacement, axis=axis)).max() <= 2 * 3 / knot_distance + 1e-4


def test_the_pen_mixes_in_a_dilation_or_an_erosion():
    picture = written()
    grown = ndimage.grey_dilation(picture, (3, 3, 1), mode="nearest") - picture
    shrunk = picture - ndimage.grey_erosion(picture, (3, 3, 1), mode="nearest")
    amounts = []
    for given in applied(only(pen=0.5), np.stack([picture] * 400)):
        change = given - picture
        amount = change.sum() / (grown if change.sum() > 0 else shrunk).sum()
        np.testing.assert_allclose(change, amount * (grown if amount > 0 else shrunk), atol=1e-3)
        amounts.append(amount)
    assert uniform_within(np.array(amounts), 0.5)


@pytest.mark.parametrize("probability", [0, 0.15, 0.5, 1])
def test_as_many_pictures_are_erased_as_the_probability_says(probability):
    batch = noise(3000)
    batch[:, 0, 0] = 300  # the border colour is told from everything else
    changed = np.any(applied(only(erase=probability), batch) != batch, axis=(1, 2, 3))
    spread = np.sqrt(probability * (1 - probability) / 3000)
    assert abs(changed.mean() - probability) <= 4 * spread


def test_what_is_erased_is_a_rectangle_of_the_corners_colour():
    batch = noise(300)
    batch[:, 0, 0] = 300
    sizes = []
    for before, after in zip(batch[..., 0], applied(only(erase=1), batch)[..., 0], strict=True):
        rows, columns = np.nonzero(after != before)
        rectangle = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        if (rows.min(), columns.min()) != (0, 0):  # there the corner itself is covered, and does not change
            assert np.all(after[rectangle] == 300)
        sizes.append(after[rectangle].shape)
        if rows.min() > 0 and columns.min() > 0 and max(rows.max(), columns.max()) < SIDE - 1:
            assert min(sizes[-1]) >= SIDE // 8  # not cut by the border
    assert np.ceil(SIDE / 3) - 1 <= np.max(sizes) <= np.ceil(SIDE / 3)
