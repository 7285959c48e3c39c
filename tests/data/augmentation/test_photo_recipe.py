"""What the recipes do to a picture, against SciPy, against the old generator that TensorFlow still carries, and against
counted rates; and that a seed decides everything."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage, optimize, stats
from tensorflow.keras.preprocessing.image import ImageDataGenerator

from convmedia.data.augmentation import digit_recipe, stateless_random
from convmedia.data.augmentation.mixing import mixed
from convmedia.data.augmentation.photo_recipe import photos
from convmedia.data.augmentation.stateless_random import step_seed
from convmedia.data.storage.errors import InputError
from convmedia.data.transforms.colour import inverted

NOTHING = {"rotation": 0, "zoom": 0, "shift": 0, "shear": 0, "elastic_px": 0, "pen": 0, "erase": 0}
SIDE, MIDDLE = 28, 13.5


def only(**ranges):
    """The recipe with all but these ranges at zero."""
    return digit_recipe.digits(**{**NOTHING, **ranges})


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
    recipe, batches = digit_recipe.digits(), noise(24).reshape(6, 4, SIDE, SIDE, 1)

    def run():
        data = tf.data.Dataset.from_tensor_slices(batches).enumerate()
        mapped = data.map(lambda step, batch: recipe(batch, step_seed(1, 0, step)), num_parallel_calls=4)
        return np.stack([batch.numpy() for batch in mapped])

    first = run()
    assert np.array_equal(first, run())
    eager = [applied(recipe, batch, seed(1, 0, step)) for step, batch in enumerate(batches)]
    assert np.array_equal(first, eager)


def test_another_seed_epoch_or_step_gives_another_batch():
    recipe, batch = digit_recipe.digits(), noise(4)
    given = [applied(recipe, batch, seed(*place)) for place in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]]
    assert all(not np.array_equal(a, b) for i, a in enumerate(given) for b in given[:i])


def test_pictures_of_a_batch_are_drawn_independently():
    given = applied(digit_recipe.digits(), np.stack([written()] * 8))
    assert len({picture.tobytes() for picture in given}) == 8


def test_draws_are_uniform_and_a_new_one_at_each_call():
    draw = stateless_random.draws(seed())
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
    given = applied(digit_recipe.digits(rotation=180, zoom=0.5, shift=0.5, elastic_px=4, pen=1, erase=0.5), batch)
    assert (given.shape, given.dtype) == (batch.shape, np.float32)
    assert given.min() >= 0
    assert given.max() <= 255 * (1 + 1e-6)  # four weights add to 1 within rounding


@pytest.mark.parametrize("value", [0, 90, 255])
def test_a_picture_of_one_value_stays_what_it_is(value):
    batch = np.full((50, SIDE, SIDE, 1), value, "float32")
    given = applied(digit_recipe.digits(rotation=90, zoom=0.4, shift=0.5, erase=0.5), batch)
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


# Photos

STILL = {
    "rotation_range": 0,
    "width_shift_range": 0,
    "height_shift_range": 0,
    "shear_range": 0,
    "zoom_range": 0,
    "horizontal_flip": False,
}
USUAL = {**dict.fromkeys(list(STILL)[1:], 0.2), "rotation_range": 40, "horizontal_flip": True}


def coloured_noise(number, height=20, width=20, dtype="float32"):
    return np.random.default_rng(0).integers(0, 256, (number, height, width, 3)).astype(dtype)


def parameters(recipe, number, height, width):
    """What the recipe draws for each picture of a batch, by the names of the old generator: dict of float64 (number,).

    Pictures whose pixels hold their own place tell where each pixel was read; the matrix is fitted to that and taken
    apart: turn, shift, shear and zoom, from left to right, then the mirror.
    """
    y, x = np.mgrid[:height, :width].astype("float32")
    middle = np.array([width - 1, height - 1]) / 2
    from_xy = applied(recipe, np.stack([np.stack([x, y], -1)] * number))
    rows = []
    for read in from_xy.astype("float64"):
        inside = np.all((read > 0.01) & (read < np.array([width, height]) - 1.01), axis=-1)
        to = np.stack([x[inside] - middle[0], y[inside] - middle[1], np.ones(inside.sum())], -1)
        matrix = np.linalg.lstsq(to, read[inside] - middle, rcond=None)[0].T
        mirror = 1 if matrix[0, 0] > 0 else -1
        turn = np.arctan2(mirror * matrix[1, 0], mirror * matrix[0, 0])
        slant = np.arctan2(matrix[1, 1], matrix[0, 1]) - np.pi / 2 - turn
        back = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        zooms = np.linalg.norm(matrix[:, :2], axis=0)
        rows.append([*np.degrees([turn, slant]), *zooms, *back @ matrix[:, 2], mirror < 0])
    return dict(zip(("theta", "shear", "zx", "zy", "tx", "ty", "flip_horizontal"), np.transpose(rows), strict=True))


@pytest.mark.filterwarnings("ignore:Please import `affine_transform`:DeprecationWarning")
def test_a_photo_is_the_one_that_the_old_generator_makes_by_the_same_parameters():
    recipe, batch = photos(), coloured_noise(24)
    drawn = parameters(recipe, 24, 20, 20)
    assert 0 < drawn["flip_horizontal"].sum() < 24
    old = ImageDataGenerator(fill_mode="nearest")
    for index, given in enumerate(applied(recipe, batch)):
        expected = old.apply_transform(batch[index], {name: values[index] for name, values in drawn.items()})
        np.testing.assert_allclose(given, expected, atol=0.05)


@pytest.mark.parametrize(
    "ranges",
    [
        {},
        {"rotation_range": 10, "shear_range": 25.0, "zoom_range": (0.7, 1.0), "horizontal_flip": False},
        {"width_shift_range": 3.5, "height_shift_range": 3.5, "rotation_range": 0},
        {"width_shift_range": 4, "height_shift_range": [-0.3, 0.1, 0.2], "zoom_range": 0},
    ],
    ids=["defaults", "others", "pixels", "integers and choices"],
)
def test_parameters_are_distributed_as_the_old_generators(ranges):
    number, side = 1500, 24
    ours = parameters(photos(**ranges), number, side, side)
    generator = ImageDataGenerator(**{**USUAL, **ranges})
    np.random.seed(1)
    drawn = [generator.get_random_transform((side, side, 3)) for _ in range(number)]
    # The old one calls the shift along the height tx, and then moves pictures by it along the width.
    theirs = {"tx": "ty", "ty": "tx"}
    for name, values in ours.items():
        expected = np.array([float(one[theirs.get(name, name)]) for one in drawn])
        # Fitted values are off by 1e-5, which tells equal ones apart.
        assert stats.ks_2samp(np.round(values, 3), np.round(expected, 3)).pvalue > 1e-3, name
        np.testing.assert_allclose(values.mean(), expected.mean(), atol=5 * expected.std() / np.sqrt(number) + 1e-4)
        np.testing.assert_allclose(values.std(), expected.std(), rtol=0.1, atol=1e-3)
    pairs = np.corrcoef([values for values in ours.values() if values.std() > 1e-3])
    assert np.abs(pairs - np.eye(len(pairs))).max() < 0.12


def test_shifts_of_oblong_photos_are_along_the_side_that_they_are_named_after():
    drawn = parameters(photos(**{**STILL, "width_shift_range": 0.2}), 400, 20, 50)
    assert uniform_within(drawn["tx"], 0.2 * 50)
    np.testing.assert_allclose(drawn["ty"], 0, atol=1e-4)
    drawn = parameters(photos(**{**STILL, "height_shift_range": 0.2}), 400, 20, 50)
    assert uniform_within(drawn["ty"], 0.2 * 20)
    np.testing.assert_allclose(drawn["tx"], 0, atol=1e-4)


def test_oblong_photos_turn_about_their_middle():
    drawn = parameters(photos(**{**STILL, "rotation_range": 60}), 50, 20, 50)
    assert np.abs(drawn["theta"]).max() > 40
    np.testing.assert_allclose([drawn["tx"], drawn["ty"]], 0, atol=1e-3)


def test_photos_are_mirrored_half_the_time_each_way():
    batch = np.stack([coloured_noise(1)[0]] * 800)
    given = applied(photos(**{**STILL, "horizontal_flip": True}, vertical_flip=True), batch)
    for ways in [np.s_[:], np.s_[:, ::-1], np.s_[::-1], np.s_[::-1, ::-1]]:
        count = sum(np.array_equal(one, batch[0][ways]) for one in given)
        assert abs(count - 200) < 5 * np.sqrt(150)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_photos_of_no_range_stay_what_they_are(dtype):
    given = applied(photos(**STILL), coloured_noise(3, 20, 31, dtype))
    assert given.dtype == np.float32
    assert np.array_equal(given, coloured_noise(3, 20, 31))


def test_bytes_and_floats_give_one_photo():
    given = [applied(photos(), coloured_noise(4, dtype=dtype)) for dtype in ("uint8", "float32")]
    assert np.array_equal(*given)


STRONG = {"colour_jitter": 0.4, "erase": 0.5, "randaugment": 2, "magnitude": 20, "brightness_range": (0.5, 1.5)}


def test_photos_of_one_seed_are_one_batch_eagerly_and_in_parallel_pipelines():
    recipe, batches = photos(**STRONG), coloured_noise(24, dtype="uint8").reshape(6, 4, 20, 20, 3)

    def run():
        data = tf.data.Dataset.from_tensor_slices(batches).enumerate()
        mapped = data.map(lambda step, batch: recipe(batch, step_seed(1, 0, step)), num_parallel_calls=2)
        return np.stack(list(mapped.as_numpy_iterator()))

    first = run()
    assert first.shape == batches.shape and first.min() >= 0 and first.max() <= 255
    assert len({one.tobytes() for one in first.reshape(24, -1)}) == 24
    assert np.array_equal(first, run())
    eager = [applied(recipe, batch, seed(1, 0, step)) for step, batch in enumerate(batches)]
    np.testing.assert_allclose(first, np.stack(eager), atol=1e-3)


def test_what_lies_outside_a_photo_is_as_asked():
    batch = np.full((20, 20, 20, 3), 90, "float32")
    given = applied(photos(fill_mode="constant", cval=200), batch)
    assert set(np.unique(given)) == {90, 200}


def test_brightness_is_drawn_from_its_range_as_by_the_old_generator():
    grey = np.full((1000, 4, 4, 3), 100, "float32")
    factors = applied(photos(**STILL, brightness_range=(0.4, 1.8)), grey)[:, 0, 0, 0] / 100
    assert uniform_within(factors - 1.1, 0.7)
    old = ImageDataGenerator().apply_transform(coloured_noise(1)[0], {"brightness": 1.8})
    ours = applied(photos(**STILL, brightness_range=(1.8, 1.8)), coloured_noise(1))[0]
    np.testing.assert_allclose(ours, old, atol=1)  # the old one rounds to bytes


def test_channels_are_shifted_as_by_the_old_generator():
    batch = np.stack([np.clip(coloured_noise(1)[0], 40, 190)] * 500)
    given = applied(photos(**STILL, channel_shift_range=50.0), batch)
    amounts = (given - batch)[np.abs(batch - 115) < 20].reshape(500, -1)
    assert uniform_within(amounts[:, 0], 50)
    for one, amount in zip(given[:5], amounts[:5, 0], strict=True):
        expected = ImageDataGenerator().apply_transform(batch[0], {"channel_shift_intensity": amount})
        np.testing.assert_allclose(one, expected, atol=1e-3)


def test_jitter_changes_brightness_contrast_and_saturation_within_its_range():
    one = np.full((6, 6, 3), 60, "float32")
    one[:, 3:] = [120, 60, 60]
    given = applied(photos(**STILL, colour_jitter=0.3), np.stack([one] * 800))
    before, after = (batch @ [0.299, 0.587, 0.114] for batch in (one, given))
    bright = after.mean((1, 2)) / before.mean()
    harsh = (after[:, 0, 5] - after[:, 0, 0]) / (before[0, 5] - before[0, 0]) / bright
    deep = (given[:, 0, 5, 0] - given[:, 0, 5, 1]) / 60 / bright / harsh
    assert all(uniform_within(factor - 1, 0.3) for factor in (bright, harsh, deep))


def test_erased_photos_show_a_rectangle_of_their_mean_colour():
    batch = coloured_noise(300, 24, 24)
    given = applied(photos(**STILL, erase=0.5), batch)
    changed = np.any(given != batch, axis=-1)
    assert abs(changed.any((1, 2)).mean() - 0.5) < 4 * np.sqrt(0.25 / 300)
    means = np.broadcast_to(batch.mean((1, 2), keepdims=True), batch.shape)
    np.testing.assert_allclose(given[changed], means[changed], rtol=1e-5)


def test_without_strength_randaugment_only_stretches_and_equalizes():
    batch = np.clip(coloured_noise(600), 30, 200)
    changed = np.any(applied(photos(**STILL, randaugment=1, magnitude=0), batch) != batch, axis=(1, 2, 3))
    share = 2 / 14
    assert abs(changed.mean() - share) < 4 * np.sqrt(share * (1 - share) / 600)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"fill_mode": "mirror"}, "nearest, constant, reflect, wrap; received 'mirror'"),
        ({"zoom_range": (1.2, 0.8)}, r"zoom_range .* received \(1.2, 0.8\)"),
        ({"zoom_range": (1, 2, 3)}, "zoom_range"),
        ({"brightness_range": 0.2}, "brightness_range .* received 0.2"),
        ({"magnitude": 31}, "0 to 30; received 31"),
    ],
)
def test_ranges_that_are_none_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        photos(**options)


# Mixtures


def mixture(number=200, side=12, **options):
    """Pictures of one value each, and of each result: the value in its pixels, and how much of which picture it is."""
    values = np.arange(number, dtype="float32")
    batch = np.broadcast_to(values[:, None, None, None], (number, side, side, 3))
    pictures, targets = mixed(**options)(tf.constant(batch), tf.eye(number), seed())
    return pictures.numpy(), targets.numpy()


@pytest.mark.parametrize("options", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}], ids=str)
def test_targets_weigh_pictures_as_the_pixels_do(options):
    pictures, targets = mixture(**options)
    np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-6)
    # Of pictures of one value, the mean over the pixels is the same weighted sum for both ways of mixing.
    np.testing.assert_allclose(pictures.mean((1, 2, 3)), targets @ np.arange(200), rtol=1e-4, atol=1e-3)
    others = targets - np.diag(np.diag(targets))
    assert np.all((others > 0).sum(0) <= 1) and np.all((others > 0).sum(1) <= 1)  # each is lent once
    assert (others > 0).sum() > 150


def test_mixup_is_the_weighted_sum_of_pictures():
    batch, targets = coloured_noise(60), tf.eye(60)
    pictures, weights = mixed(mixup=0.3)(tf.constant(batch), targets, seed())
    np.testing.assert_allclose(pictures, np.einsum("ij,jhwc->ihwc", weights, batch), atol=1e-3)


@pytest.mark.parametrize("concentration", [0.2, 1.0, 3.0])
def test_shares_of_mixup_are_beta_distributed(concentration):
    batch = tf.zeros([2000, 1, 1, 1])
    _, targets = mixed(mixup=concentration)(batch, tf.eye(2000), seed())
    share, kept = np.diag(targets), np.diag(targets) < 1
    assert kept.sum() > 1000 or concentration < 1
    assert stats.kstest(share, stats.beta(concentration, concentration).cdf).statistic < 1.95 / np.sqrt(2000)


def test_cutmix_pastes_one_rectangle_of_the_pictures_proportions():
    height, width = 20, 32
    values = np.arange(300, dtype="float32")
    batch = np.broadcast_to(values[:, None, None, None], (300, height, width, 3))
    pictures, targets = mixed(cutmix=1.0)(tf.constant(batch), tf.eye(300), seed())
    sides = []
    for index, picture in enumerate(pictures.numpy()[..., 0]):
        rows, columns = np.nonzero(picture != index)
        if len(rows):
            inside = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            assert np.all(inside == inside[0, 0])
            np.testing.assert_allclose(targets[index, int(inside[0, 0])], inside.size / (height * width), rtol=1e-5)
            if rows.min() > 0 and columns.min() > 0 and rows.max() < height - 1 and columns.max() < width - 1:
                sides.append(inside.shape)
    sides = np.array(sides)
    assert len(sides) > 30
    assert np.abs(sides[:, 0] / height - sides[:, 1] / width).max() <= 0.5 / height + 0.5 / width + 1e-6


def test_both_mixtures_share_the_pictures_evenly():
    pictures, _ = mixture(400, mixup=1.0, cutmix=1.0)
    blended = np.all(pictures == pictures[:, :1, :1], axis=(1, 2, 3)) & (pictures[:, 0, 0, 0] % 1 > 0)
    assert abs(blended.mean() - 0.5) < 0.12


def test_binary_targets_are_mixed_too_and_nothing_is_done_when_off():
    batch, targets = tf.constant(coloured_noise(8)), tf.constant(np.float32([0, 1] * 4)[:, None])
    _, shares = mixed(mixup=1.0)(batch, targets, seed())
    assert shares.shape == (8, 1) and np.all((shares >= 0) & (shares <= 1)) and np.any((shares > 0) & (shares < 1))
    same, as_were = mixed()(batch, targets, seed())
    assert np.array_equal(same, batch) and np.array_equal(as_were, targets)
    with pytest.raises(InputError, match=r"received -1 and 0.0"):
        mixed(mixup=-1)
