"""What exported files are tried on beside examples: inputs at which a wrong file answers otherwise than the model.

Examples are often grey, of one size and well exposed. A file with its channels in another order, of one size only or
with another preparation would answer them as the model does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

VARIED = 3  # examples that are also tried in other sizes
ENLARGED_VALUES = 200_000  # examples above this are only cut
EIGHT = 8  # examples that a file of a fixed size answers in one call
LARGE_SIZES = ((384, 512), (192, 256), (96, 128), (48, 64))  # height, width
LARGE_SECONDS = 0.5  # that the model may take for one picture of such a size


def varied(examples: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Batches of two of other sizes: free height and width (or length) are proved, not believed."""
    for example in examples[:: -(-len(examples) // VARIED)]:
        shorter = tuple(slice(0, max(1, side * keep // 4)) for side, keep in zip(example.shape, (3, 2), strict=False))
        part = example[shorter]
        yield np.stack([part, part[::-1]])
        if example.size <= ENLARGED_VALUES:
            larger = np.repeat(example, 2, axis=0)
            larger = np.repeat(larger, 3, axis=1) if larger.ndim == 3 else larger
            yield np.stack([larger[::-1], larger])


def drawn(input: Mapping[str, Any]) -> Iterator[np.ndarray]:
    """Batches for a kind of input, as `Answer` describes it: of `pictures` or of `sounds`."""
    return pictures() if input["kind"] == "image" else sounds(int(input["sample_rate"]), input.get("window_seconds"))


def pictures() -> Iterator[np.ndarray]:
    """uint8 (n, height, width, 3): coloured noise, saturated colours, gradients, pictures of few pixels, black and
    white; every batch holds pictures of which none equals another, or its mirror image."""
    rng = np.random.default_rng(0)
    yield rng.integers(0, 256, (3, 33, 47, 3), np.uint8)
    yield np.stack([coloured(24, 41), coloured(24, 41)[::-1, ::-1] ^ np.uint8(255)])
    yield gradients(48, 65)[np.newaxis]
    for size in ((2, 1, 1), (1, 1, 37), (1, 29, 1)):
        yield rng.integers(0, 256, (*size, 3), np.uint8)
    yield np.stack([np.zeros((16, 17, 3), np.uint8), np.full((16, 17, 3), 255, np.uint8)])


def coloured(height: int, width: int) -> np.ndarray:
    """Twelve fields of saturated colours, uint8 (height, width, 3), of which no two channels are equal."""
    values = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255)]
    values += [(200, 90, 10), (10, 120, 220), (90, 0, 160), (240, 160, 200), (30, 60, 0), (255, 128, 0)]
    fields = np.array(values, np.uint8).reshape(3, 4, 3)
    rows, columns = np.arange(height) * 3 // height, np.arange(width) * 4 // width
    return fields[rows][:, columns]


def gradients(height: int, width: int) -> np.ndarray:
    """All levels: red from left to right, green from top to bottom, blue from corner to corner; uint8."""
    down, along = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    return np.round(255 * np.stack([along, down, 1 - (down + along) / 2], axis=-1)).astype(np.uint8)


def large(seconds_per_pixel: float) -> np.ndarray:
    """A batch of one picture as large as can be answered in `LARGE_SECONDS`, fields of colours with noise, uint8."""
    fitting = [size for size in LARGE_SIZES if seconds_per_pixel * size[0] * size[1] <= LARGE_SECONDS]
    height, width = fitting[0] if fitting else LARGE_SIZES[-1]
    noise = np.random.default_rng(1).normal(0, 12, (height, width, 3))
    return np.clip(coloured(height, width) + noise, 0, 255).astype(np.uint8)[np.newaxis]


def sounds(sample_rate: int, window_seconds: float | None) -> Iterator[np.ndarray]:
    """float32 (n, samples), -1..1: noise, one sample, a whole window and one sample more, several windows that differ,
    silence, full scale."""
    window = round((window_seconds or 1.0) * sample_rate)
    rng = np.random.default_rng(0)
    times = np.arange(3 * window + window // 3) / sample_rate
    rising = np.sin(2 * np.pi * sample_rate * (0.02 + 0.03 * times / times[-1]) * times)
    steps = np.array([0.02, 0.6, 0.1, 0.9])[np.arange(len(times)) // window]
    noise = np.clip(rng.normal(0, 0.2, (3, len(times))), -1, 1)
    batches = [
        noise[:2, :window],
        np.array([[0.5]]),
        (0.5 * rising + 0.3 * noise[2])[np.newaxis, : window + 1],
        np.stack([steps * rising, noise[0] * steps[::-1]]),
        np.zeros((1, window // 3 + 1)),
        np.sign(rising)[np.newaxis, : window + window // 2],
        noise[1:, : max(window // 7, 1)],
    ]
    for batch in batches:
        yield np.clip(batch, -1, 1).astype(np.float32)


def fitted(example: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """An example brought to a fixed size: a picture resized, a sound cut or repeated.

    Args:
        example: uint8 (height, width, 3) or float32 (samples,).
        size: (height, width) or (samples,).
    """
    if example.shape[: len(size)] == tuple(size):
        return example
    if example.ndim == 1:
        return np.resize(example, size)
    height, width = size
    return np.asarray(Image.fromarray(example).resize((width, height), Image.Resampling.BILINEAR))


def eight(drawn: Sequence[np.ndarray]) -> np.ndarray:
    """A batch of eight of drawn batches of one size, repeated where they are fewer."""
    every = np.concatenate(drawn)
    return every[np.arange(EIGHT) % len(every)]


def mistaken(kind: str) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What a wrong file would have seen in place of a batch, by name: of pictures (n, height, width, 3), or sounds."""
    if kind == "image":
        return {
            "its channels reversed": lambda batch: batch[..., ::-1],
            "its rows reversed": lambda batch: batch[:, ::-1],
            "its columns reversed": lambda batch: batch[:, :, ::-1],
            "its levels inverted": lambda batch: 255 - batch,
        }
    return {"its samples reversed": lambda batch: batch[:, ::-1], "half of its level": lambda batch: batch * 0.5}
