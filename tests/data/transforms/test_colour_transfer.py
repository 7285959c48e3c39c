import numpy as np

from convmedia.data.transforms import colour_transfer

RNG = np.random.default_rng(0)


def colours(height, width, low=0, high=255):
    return RNG.uniform(low, high, (height, width, 3)).astype("float32")


def chroma(picture):
    """Cb and Cr of JPEG."""
    red, green, blue = np.moveaxis(picture, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.stack([0.564 * (blue - luma), 0.713 * (red - luma)])


def test_another_luma_leaves_chroma():
    photo, wanted = colours(20, 30), RNG.uniform(-50, 300, (20, 30, 1)).astype("float32")
    answer = colour_transfer.with_luma(photo, wanted)
    np.testing.assert_allclose(chroma(answer), chroma(photo), atol=1e-3)
    assert answer.min() >= 0
    assert answer.max() <= 255
    possible = np.abs(colour_transfer.luma(answer) - wanted) < 1e-3
    at_an_end = (answer.min(axis=2) < 1e-3) | (answer.max(axis=2) > 255 - 1e-3)
    assert (possible[..., 0] | at_an_end).all()
    np.testing.assert_allclose(colour_transfer.with_luma(photo, colour_transfer.luma(photo)), photo, atol=1e-3)


def test_rounding_leaves_chroma_to_one():
    photo = np.round(colours(40, 40))
    answer = np.round(colour_transfer.with_luma(photo, RNG.uniform(0, 255, (40, 40, 1)).astype("float32")))
    assert np.abs(chroma(answer) - chroma(photo)).max() <= 1


def test_mean_and_spread_are_the_models():
    values = colour_transfer.with_spread_of(colours(20, 30, 100, 120), colours(15, 10))
    model = colours(9, 9)
    values = colour_transfer.with_spread_of(values, model)
    np.testing.assert_allclose(values.mean((0, 1)), model.mean((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(values.std((0, 1)), model.std((0, 1)), rtol=1e-4)


def test_covariance_is_the_models():
    photo = colours(30, 30, 60, 190) @ np.array([[0.8, 0.1, 0.1], [0.1, 0.9, 0], [0.3, 0, 0.7]], "float32")
    answer = colour_transfer.with_covariance_of(colours(20, 40, 100, 150), photo)
    np.testing.assert_allclose(np.cov(answer.reshape(-1, 3).T), np.cov(photo.reshape(-1, 3).T), rtol=0.05, atol=20)
    np.testing.assert_allclose(colour_transfer.with_covariance_of(photo, photo), photo, atol=0.01)
    flat = np.full((4, 4, 3), 90.0, "float32")
    np.testing.assert_allclose(colour_transfer.with_covariance_of(flat, photo)[0, 0], photo.mean((0, 1)), atol=0.01)


def test_histogram_is_the_models():
    painting, photo = colours(25, 31), colours(17, 40, 50, 80)
    answer = colour_transfer.with_histogram_of(painting, photo)
    for channel in range(3):
        np.testing.assert_allclose(
            np.quantile(answer[..., channel], [0.1, 0.5, 0.9]),
            np.quantile(photo[..., channel], [0.1, 0.5, 0.9]),
            atol=1,
        )
        order = np.argsort(painting[..., channel], axis=None)
        assert (np.diff(answer[..., channel].ravel()[order]) >= 0).all()
    np.testing.assert_allclose(colour_transfer.with_histogram_of(photo, photo), photo, atol=1e-3)
