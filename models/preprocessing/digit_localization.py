"""Find the ink: from a picture of a handwritten digit, of any size, colour and polarity, to what MNIST looks like.

Every step is continuous in the pixels (soft thresholds, mass quantiles, grey-scale morphology): a difference in the
last bit between two runtimes stays a difference in the last bits of the result.
"""

from functools import partial

import keras
import numpy as np
from keras import ops

from convmedia.models.preprocessing.resize import (
    broadcast_batch,
    padded_size,
    picture_size,
    resample,
    sampling_matrix,
    whole_axis,
)

COARSE = 64  # px, grid on which the ink is looked for
FINE = 64  # px, grid on which the ink's surroundings are cut out of the full picture
EPSILON = 1e-6

# Maps of one channel are treated with their columns as channels: every runtime pools and multiplies these together,
# and is eight times as fast as with maps whose last axis has one value. Of many pictures at once, whose number is known
# when the layer is traced, the pictures are the channels where maxima follow on maxima: nothing has to be turned then,
# which TensorFlow computes twice as fast and JAX seven times as slowly.
MANY = 200

max_pool = partial(ops.max_pool, strides=1, padding="same", data_format="channels_last")


def turned(maps):
    """Rows and columns exchanged, (batch, h, w) to (batch, w, h)."""
    return ops.transpose(maps, (0, 2, 1))


def maximum_of_rows(maps, size):
    """Greatest value in a window of `size` rows around each pixel, (batch, h, w) in and out."""
    return ops.squeeze(max_pool(ops.expand_dims(maps, 2), (size, 1)), 2)


def maximum_filter(maps, height, width):
    """Greatest value in a height x width window around each pixel, (batch, h, w, 1) in and out."""
    flat = ops.squeeze(maps, -1)
    flat = maximum_of_rows(flat, height) if height > 1 else flat
    flat = turned(maximum_of_rows(turned(flat), width)) if width > 1 else flat
    return ops.expand_dims(flat, -1)


def minimum_filter(maps, height, width):
    """Least value in a height x width window around each pixel."""
    return -maximum_filter(-maps, height, width)


def opening(maps, height, width):
    """Grey-scale opening: what is light and narrower than the window disappears."""
    return maximum_filter(minimum_filter(maps, height, width), height, width)


def gaussian(maps, sigma):
    """Gaussian blur of (batch, h, w, 1) with standard deviation `sigma` px, zeros beyond the border."""
    flat = blurred_along(turned(blurred_along(ops.squeeze(maps, -1), sigma)), sigma)
    return ops.expand_dims(turned(flat), -1)


def blurred_along(maps, sigma):
    """Gaussian blur of each row of (batch, h, w): a product with a matrix of w x w, which is faster than a convolution
    where w is as small as here."""
    width = maps.shape[2]
    radius = int(np.ceil(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    away = np.abs(np.arange(width)[:, None] - np.arange(width)[None, :])
    matrix = np.where(away <= radius, np.exp(-0.5 * (away / sigma) ** 2) / taps.sum(), 0.0).astype("float32")
    # Each picture is multiplied by itself, so that its numbers do not depend on what comes with it.
    return ops.matmul(maps, broadcast_batch(ops.convert_to_tensor(matrix[np.newaxis]), ops.expand_dims(maps, -1)))


def spatial(reduce, maps):
    """Reduce over height and width, dimensions kept.

    One after the other: runtimes that add thousands of numbers in a row lose two more digits than those that do not.
    """
    return reduce(reduce(maps, axis=2, keepdims=True), axis=1, keepdims=True)


def surface_residual(maps):
    """What a plane (uneven light) does not explain, per channel: (batch, n, n, channels) in and out.

    A plane and no higher order: a parabola would explain a thick digit in the middle.
    """
    n, channels = maps.shape[1], maps.shape[3]
    y, x = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n), indexing="ij")
    basis = np.stack([np.ones_like(x), x, y], -1).reshape(n * n, 3)
    basis = np.linalg.qr(basis)[0].astype("float32")
    flat = ops.reshape(ops.transpose(maps, (0, 3, 1, 2)), (-1, n * n))
    surface = ops.matmul(ops.matmul(flat, ops.convert_to_tensor(basis)), ops.convert_to_tensor(basis.T.copy()))
    residual = ops.reshape(flat - surface, (-1, channels, n, n))
    return ops.transpose(residual, (0, 2, 3, 1))


def contrast_axis(residual):
    """Unit vector in RGB along which ink and paper differ most: (batch, n, n, 3) to (batch, 3, 1).

    The first principal axis, by repeated squaring of the covariance. A little of the luma axis is added, so that it
    is defined for a picture of one colour.
    """
    n = residual.shape[1]
    flat = ops.reshape(residual, (-1, n * n, 3))
    covariance = ops.matmul(ops.transpose(flat, (0, 2, 1)), flat) / (n * n)
    covariance = covariance + ops.ones((1, 3, 3), "float32") * 1e-3
    for _ in range(4):
        covariance = covariance / ops.sum(ops.abs(covariance), axis=(1, 2), keepdims=True)
        covariance = ops.matmul(covariance, covariance)
    start = ops.reshape(
        ops.convert_to_tensor([0.35, 0.55, 0.25], "float32"), (1, 3, 1)
    )  # on no axis of symmetry of the colour cube
    axis = ops.matmul(covariance, start * ops.ones_like(covariance[:, :, :1]))
    return axis / (ops.sqrt(ops.sum(axis * axis, axis=1, keepdims=True)) + 1e-30)


def project(maps, axis):
    """Component of (batch, h, w, 3) along (batch, 3, 1): (batch, h, w, 1)."""
    return ops.sum(maps * ops.reshape(axis, (-1, 1, 1, 3)), axis=-1, keepdims=True)


def polarity(maps):
    """+1 where ink is light on dark, -1 where dark on light, between the two only where that is undecided.

    Ink is the minority (third moment) and rarely lies on the border (mean against border). (batch, n, n, 1) of the
    flattened picture to (batch, 1, 1, 1).
    """
    n = maps.shape[1]
    ring = np.ones((1, n, n, 1), "float32")
    ring[:, 2:-2, 2:-2] = 0
    centred = maps - spatial(ops.mean, maps)
    spread = ops.sqrt(spatial(ops.mean, centred * centred)) + EPSILON
    skewness = spatial(ops.mean, (centred / spread) ** 3)
    border = spatial(ops.sum, centred / spread * ops.convert_to_tensor(ring)) / float(ring.sum())
    return ops.clip(20.0 * (ops.clip(skewness, -2.0, 2.0) - 2.0 * border), -1.0, 1.0)


def ruled_lines(ink):
    """Thin lines that cross the whole picture from side to side, tilted by up to about 3 degrees."""
    n = ink.shape[1]
    long = opening(maximum_filter(ink, 3, 1), 1, int(0.85 * n) | 1)
    return ops.relu(long - opening(long, 7, 1))


def levels(strength, floor):
    """Mean strength of paper and of ink, by two-means with soft membership: two (batch, 1, 1, 1).

    Args:
        strength: (batch, n, n, 1), 0 for paper.
        floor: least distance between the two, in units of `strength`; a blank picture then has no ink.
    """
    ink = spatial(ops.max, gaussian(strength, 0.8))
    paper = spatial(ops.mean, strength)
    for _ in range(4):
        distance = ops.maximum(ink - paper, floor)
        share = ops.sigmoid(12.0 * (strength - 0.5 * (ink + paper)) / distance)
        ink = spatial(ops.sum, strength * share) / (spatial(ops.sum, share) + EPSILON)
        paper = spatial(ops.sum, strength * (1.0 - share)) / (spatial(ops.sum, 1.0 - share) + EPSILON)
    return paper, paper + ops.maximum(ink - paper, floor)


def soft_ink(strength, floor):
    """Ink between 0 and 1: linear between a fifth and four fifths of the way from paper to ink."""
    paper, ink = levels(strength, floor)
    return ops.clip(((strength - paper) / (ink - paper) - 0.2) / 0.6, 0.0, 1.0)


def main_object(ink, steps=48):
    """The ink that hangs together with the densest place near the middle: grey-scale reconstruction by dilation.

    Gaps of up to 5 px of the grid are bridged. (batch, n, n, 1) in and out, 0..1.
    """
    n = ink.shape[1]
    away = np.linspace(-1, 1, n) ** 2
    central = np.exp(-0.7 * (away[:, None] + away[None, :])).reshape(1, n, n, 1).astype("float32")
    density = gaussian(ink, n / 10.0) * ops.convert_to_tensor(central)
    near = ops.clip(4.0 * density / (spatial(ops.max, density) + EPSILON) - 2.6, 0.0, 1.0)
    mask = ops.squeeze(maximum_filter(ink, 5, 5), -1)
    grown = reconstructed(mask * ops.squeeze(near, -1), mask, steps)
    return ink * ops.clip(2.0 * ops.expand_dims(grown, -1), 0.0, 1.0)


def reconstructed(grown, mask, steps):
    """Grey-scale reconstruction by dilation: in each step `grown` spreads by a pixel and is cut to `mask`.

    (batch, n, n) in and out. Maxima are exact: both layouts give the same numbers, bit for bit.
    """
    if keras.backend.backend() == "tensorflow" and (grown.shape[0] or 1) >= MANY:
        grown, mask = (ops.expand_dims(ops.transpose(maps, (1, 2, 0)), 0) for maps in (grown, mask))
        for _ in range(steps):
            grown = ops.minimum(max_pool(grown, 3), mask)
        return ops.transpose(grown[0], (2, 0, 1))
    masks = (mask, turned(mask))
    for step in range(1, steps + 1):  # each turns the maps, so that both of its maxima are along rows
        grown = maximum_of_rows(turned(maximum_of_rows(grown, 3)), 3)
        grown = ops.minimum(grown, masks[step % 2])
    return turned(grown) if steps % 2 else grown


def quantile(profile, low, high):
    """Mean of the positions where the cumulated profile reaches each share of its sum between `low` and `high`.

    In samples, (batch, n) to (batch, 1). One share alone would jump where it is just the mass of a speck far from the
    rest; over a range the mean follows the speck's mass, and two runtimes that differ in the last bits stay together.
    """
    after = ops.cumsum(profile, axis=1)
    before = after - profile
    total = ops.sum(profile, axis=1, keepdims=True)

    def integral(share):
        """Of the position over shares from 0 to `share`, times `total`: each sample adds a trapezium."""
        left, right = ops.relu(share * total - before), ops.relu(share * total - after)
        reached = ops.clip((share * total - before) / (profile + EPSILON), 0.0, 1.0)
        return ops.sum(0.5 * (left + right) * reached, axis=1, keepdims=True)

    return (integral(high) - integral(low)) / ((high - low) * total)


def extent(profile):
    """First and last position of ink in samples (0 is the left edge of the first one): two (batch, 1)."""
    profile = profile + EPSILON * ops.ones_like(profile)  # a blank picture is its own object
    n = float(profile.shape[1])
    return quantile(profile, 0.002, 0.006), n - quantile(ops.flip(profile, axis=1), 0.002, 0.006)


def cut(centre, side, n):
    """Positions (batch, n) in samples that cover `side` around `centre` (edge coordinates), and their distance."""
    step = side / n
    offsets = (np.arange(n) + 0.5 - n / 2).astype("float32").reshape(1, n)
    return centre - 0.5 + step * ops.convert_to_tensor(offsets), step


def within(positions, size):
    """1 where a position lies inside a line of `size` samples, falling to 0 over one sample outside."""
    last = ops.cast(size, "float32") - 1.0
    return ops.clip(1.5 + positions, 0.0, 1.0) * ops.clip(last + 1.5 - positions, 0.0, 1.0)


@keras.saving.register_keras_serializable("convmedia")
class FindInk(keras.layers.Layer):
    """Cut out the ink of a digit and normalise it as MNIST was made: light on dark, 20 px long, centred by mass.

    Input (batch, height, width, 3), float32 0..255, any size from 1x1 up; output (batch, `size`, `size`, 1) float32
    0..1, where 1 is ink. A picture without contrast gives zeros.

    Args:
        size: side of the output, px.
        digit_size: longer side of the digit in the output, px (MNIST: 20 of 28; LeCun et al. 1998, section III.A).
        min_contrast: least distance in RGB between ink and paper that counts as ink; for greys 1.7 times their
            difference, of 255.
        pen_px: standard deviation, in output px, of the blur that gives a thin pen the width of MNIST's.
    """

    def __init__(self, size=28, digit_size=20, min_contrast=14.0, pen_px=0.4, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.size, self.digit_size, self.min_contrast, self.pen_px = size, digit_size, min_contrast, pen_px

    def call(self, inputs):
        height, width = picture_size(inputs)
        padded_height, padded_width = padded_size(inputs)
        inputs = inputs - inputs[:, :1, :1]  # mostly paper; what follows asks for differences, and small ones are exact
        small = resample(
            inputs,
            broadcast_batch(whole_axis(height, COARSE, padded_height), inputs),
            broadcast_batch(whole_axis(width, COARSE, padded_width), inputs),
        )
        axis, sign, paper, found = self.locate(small)
        centre_y, centre_x, side = self.surroundings(found, height, width)
        rows, step = cut(centre_y, side, FINE)
        columns, _ = cut(centre_x, side, FINE)
        fine = resample(
            inputs,
            sampling_matrix(rows, height, step, padded_height),
            sampling_matrix(columns, width, step, padded_width),
        )
        visible = ops.expand_dims(within(rows, height), 2) * ops.expand_dims(within(columns, width), 1)
        coarse = ops.concatenate([paper, ops.clip(2.0 * maximum_filter(found, 3, 3), 0.0, 1.0)], -1)
        coarse = self.read_coarse(coarse, rows, columns, height, width)
        strength = ops.relu(sign * project(fine, axis) - coarse[..., :1]) * ops.expand_dims(visible, -1)
        ink = soft_ink(strength * coarse[..., 1:], self.min_contrast) * coarse[..., 1:]
        return self.normalise(ink)

    def locate(self, small):
        """Colour axis, polarity, paper level and found ink on the coarse grid."""
        axis = contrast_axis(surface_residual(small))
        level = project(small, axis)
        sign = polarity(surface_residual(level))
        level = sign * level
        # Divided by what the blur makes of ones: beyond the border it takes zeros, and the level there is not zero.
        smooth = gaussian(level, 0.6) / gaussian(ops.ones_like(level), 0.6)
        paper = opening(smooth, COARSE // 2 - 1, COARSE // 2 - 1)
        ink = soft_ink(ops.relu(level - paper), self.min_contrast)
        return axis, sign, paper, main_object(ops.relu(ink - ruled_lines(ink)))

    def surroundings(self, found, height, width):
        """Centre (edge coordinates, px) and side of the square to cut out of the full picture, each (batch, 1)."""
        scale_y = ops.cast(height, "float32") / COARSE
        scale_x = ops.cast(width, "float32") / COARSE
        top, bottom = extent(ops.sum(found, axis=(2, 3)))
        left, right = extent(ops.sum(found, axis=(1, 3)))
        side = ops.maximum((bottom - top) * scale_y, (right - left) * scale_x)
        return 0.5 * (top + bottom) * scale_y, 0.5 * (left + right) * scale_x, 1.3 * side + 1e-3

    def read_coarse(self, maps, rows, columns, height, width):
        """Maps of the coarse grid at full-picture positions: (batch, FINE, FINE, channels)."""
        to_y = COARSE / ops.cast(height, "float32")
        to_x = COARSE / ops.cast(width, "float32")
        rows = sampling_matrix((rows + 0.5) * to_y - 0.5, COARSE, 1.0)
        columns = sampling_matrix((columns + 0.5) * to_x - 0.5, COARSE, 1.0)
        return resample(maps, rows, columns)

    def normalise(self, ink):
        """Longer side to `digit_size`, centre of mass to the middle, pen of one width."""
        down, along = ops.sum(ink, axis=(2, 3)) + EPSILON, ops.sum(ink, axis=(1, 3)) + EPSILON
        top, bottom = extent(down)
        left, right = extent(along)
        at = ops.convert_to_tensor((np.arange(FINE) + 0.5).astype("float32").reshape(1, -1))
        centre_y = ops.sum(down * at, axis=1, keepdims=True) / ops.sum(down, axis=1, keepdims=True)
        centre_x = ops.sum(along * at, axis=1, keepdims=True) / ops.sum(along, axis=1, keepdims=True)
        side = ops.maximum(ops.maximum(bottom - top, right - left), 1.0) * (self.size / self.digit_size)
        rows, step = cut(centre_y, side, self.size)
        columns, _ = cut(centre_x, side, self.size)
        visible = ops.expand_dims(within(rows, FINE), 2) * ops.expand_dims(within(columns, FINE), 1)
        digit = resample(ink, sampling_matrix(rows, FINE, step), sampling_matrix(columns, FINE, step))
        return self.one_pen(digit * ops.expand_dims(visible, -1))

    def one_pen(self, digit):
        """Blur, then scale so that the ink-weighted mean is that of MNIST (0.8), at most tenfold."""
        blurred = gaussian(digit, self.pen_px)
        typical = spatial(ops.sum, blurred * blurred) / (spatial(ops.sum, blurred) + EPSILON)
        return ops.clip(blurred * 0.8 / ops.maximum(typical, 0.08), 0.0, 1.0)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.size, self.size, 1)

    def get_config(self):
        own = {name: getattr(self, name) for name in ("size", "digit_size", "min_contrast", "pen_px")}
        return {**super().get_config(), **own}
