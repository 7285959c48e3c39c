"""Affine resampling of batches, against SciPy and NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from convmedia.data.transforms import affine
from convmedia.data.transforms.affine import FILL_MODES, flipped, moved, resampled, sheared, slid, turned, zoomed

NUMBER, HEIGHT, WIDTH = 6, 31, 44


def noise(dtype="float32", shape=(NUMBER, HEIGHT, WIDTH, 3)):
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


def some(low, high):
    return np.random.default_rng(int(1000 * (high - low))).uniform(low, high, NUMBER)


def everything():
    """Far turns, shifts, shears and changes of size, so that much lies outside."""
    return (
        turned(some(-180, 180))
        @ moved(some(-20, 20), some(-15, 15))
        @ sheared(some(-40, 40))
        @ zoomed(some(0.5, 2), some(0.4, 1.9))
    )


def scipys(pictures, matrix, fill_mode, cval):
    """The same by `scipy.ndimage.affine_transform`, which counts rows first and from the corner."""
    rows_first = np.asarray(matrix)[:, [1, 0, 2]][:, :, [1, 0, 2]]
    middle = (np.array(pictures.shape[1:3]) - 1) / 2

    def channel(plane, m):
        offset = middle - m[:2, :2] @ middle + m[:2, 2]
        return ndimage.affine_transform(plane, m[:2, :2], offset, order=1, mode=fill_mode, cval=cval)

    planes = [[channel(p[..., c], m) for c in range(p.shape[2])] for p, m in zip(pictures, rows_first, strict=True)]
    return np.stack(planes).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_batch_is_read_as_scipy_reads_it(dtype, fill_mode):
    pictures, matrix = noise(dtype), everything()
    read = resampled(tf.constant(pictures), matrix, fill_mode, 37.5)
    expected = scipys(pictures.astype("float64"), matrix, fill_mode, 37.5)
    assert read.dtype == tf.float32
    np.testing.assert_allclose(read, expected, atol=1e-3)


@pytest.mark.parametrize(
    "fill_mode, shape", [*((mode, (2, 1, 7, 3)) for mode in FILL_MODES), ("wrap", (2, 150, 151, 4))]
)
def test_the_neutral_matrix_changes_no_bit(fill_mode, shape):
    pictures = np.random.default_rng(2).uniform(0, 255, shape).astype("float32")
    neutral = np.tile(np.eye(3), (2, 1, 1))
    assert np.array_equal(resampled(tf.constant(pictures), tf.constant(neutral), fill_mode), pictures)


def test_quarter_turns_and_mirrors_are_numpys():
    pictures = noise(shape=(4, 20, 20, 3))
    turns = resampled(tf.constant(pictures), turned([0.0, 90.0, 180.0, 270.0])).numpy()
    for times, (before, after) in enumerate(zip(pictures, turns, strict=True)):
        np.testing.assert_allclose(after, np.rot90(before, times), atol=1e-3)
    mirrored = resampled(tf.constant(pictures), flipped([False, True, False, True], [False, False, True, True])).numpy()
    expected = [pictures[0], pictures[1][:, ::-1], pictures[2][::-1], pictures[3][::-1, ::-1]]
    assert np.array_equal(mirrored, np.stack(expected))


def test_a_shift_reads_further_right_and_down():
    pictures = noise(shape=(1, 8, 9, 3))
    shifted = resampled(tf.constant(pictures), moved([2.0], [3.0]), "constant", 7.0).numpy()
    assert np.array_equal(shifted[:, :5, :7], pictures[:, 3:, 2:])
    assert np.all(shifted[:, 5:] == 7) and np.all(shifted[:, :, 7:] == 7)


def test_a_factor_of_two_shows_every_second_pixel():
    pictures = noise(shape=(1, 9, 13, 1))
    smaller = resampled(tf.constant(pictures), zoomed([2.0], [2.0])).numpy()
    assert np.array_equal(smaller[:, 2:7, 3:10], pictures[:, ::2, ::2])


def test_matrices_compose_in_the_order_in_which_they_are_done():
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    shift = np.array([[1, 0, 5], [0, 1, -2], [0, 0, 1]])
    product = turned([np.degrees(np.arctan2(0.8, 0.6))]) @ moved([5.0], [-2.0])
    np.testing.assert_allclose(product[0], turn @ shift, atol=1e-7)
    np.testing.assert_allclose(slid([0.25], [0.0])[0], [[1, 0.25, 0], [0, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(sheared([30.0])[0], [[1, -0.5, 0], [0, np.sqrt(0.75), 0], [0, 0, 1]], atol=1e-7)


def test_pipelines_of_unknown_batch_size_read_the_same():
    pictures, matrix = noise("uint8"), everything()
    whole = resampled(tf.constant(pictures), matrix).numpy()
    batches = tf.data.Dataset.from_tensor_slices((pictures, matrix)).batch(4).map(resampled, num_parallel_calls=2)
    assert batches.element_spec.shape[1:] == whole.shape[1:]
    assert np.array_equal(np.concatenate(list(batches.as_numpy_iterator())), whole)


def test_positions_between_pixels_are_read_as_scipy_reads_them():
    pictures, rng = noise(), np.random.default_rng(3)
    y, x = (rng.uniform(-5, length + 5, (NUMBER, HEIGHT, WIDTH)) for length in (HEIGHT, WIDTH))
    read = affine.read_bilinear(tf.constant(pictures), tf.constant(y, tf.float32), tf.constant(x, tf.float32)).numpy()
    for n in range(NUMBER):
        for c in range(3):
            expected = ndimage.map_coordinates(pictures[n, ..., c], [y[n], x[n]], order=1, mode="nearest")
            np.testing.assert_allclose(read[n, ..., c], expected, atol=0.01)
