"""The recipe for learning a style: windows of photos, mirrored and recoloured by chance, shrunk to one size.

bank = Patches(pictures, [windows(256)], shrinks=(1.0, 0.7, 0.5))
pictures = bank(indices, seed)      # float32 (n, 256, 256, 3), 0..255
"""

import numpy as np

from convmedia.data.augmentation.stateless_random import generator, rows_of
from convmedia.data.transforms import bicubic
from convmedia.data.transforms.colour_transfer import luma


def windows(size_px: int, jitter: float = 0.3) -> "Windows":
    """Recipe for photos that are content only: nothing is learned of them but how to keep what they show.

    Half of the windows are mirrored; contrast, saturation and brightness change, each window by itself.

    Args:
        size_px: side of what comes out.
        jitter: greatest relative change of contrast and saturation, and of brightness in shares of 255.

    Returns:
        recipe(batch, seed): (n, side, side, 3) in [0, 255], uint8 or float32, with sides of at least its `window_px`
        (larger ones are shrunk to that), and a seed of two int32, to float32 (n, size_px, size_px, 3) in [0, 255].
        NumPy only.
    """
    return Windows(size_px, jitter)


class Windows:
    """What `windows` gives.

    Attributes:
        window_px: side of the windows that are not shrunk.
    """

    def __init__(self, size_px: int, jitter: float):
        self.size_px = self.window_px = size_px
        self.jitter = jitter

    def __call__(self, batch, seed):
        rng = generator(seed)
        mirrored = rows_of(rng.random, len(batch)) < 0.5
        pictures = np.stack([one[:, ::-1] if turn else one for one, turn in zip(batch, mirrored, strict=True)])
        # In float64: what a matrix product rounds away depends on the number of threads, and is gone in float32.
        pictures = np.moveaxis(pictures, 3, 1).astype(np.float64)
        side = pictures.shape[-1]
        if side > self.size_px:
            shrink = bicubic.matrix(side, self.size_px, self.size_px / side)
            pictures = shrink @ pictures @ shrink.T
        pictures = np.moveaxis(pictures, 1, 3).astype(np.float32)
        changes = rows_of(lambda size: rng.uniform(-self.jitter, self.jitter, (3, size)).T, len(batch))
        draw = changes.T[..., None, None, None].astype(np.float32)
        grey = luma(pictures)
        pictures = grey + (pictures - grey) * (1 + draw[0])
        mean = grey.mean(axis=(1, 2), keepdims=True)
        pictures = mean + (pictures - mean) * (1 + draw[1]) + 127.5 * draw[2]
        return np.ascontiguousarray(np.clip(pictures, 0, 255))
