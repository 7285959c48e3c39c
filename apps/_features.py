"""What a frozen backbone answers to every picture: computed once, kept in the user's cache."""

import hashlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from convmedia.apps._commands import progress
from convmedia.data import caches
from convmedia.data.files import replacing
from convmedia.data.pictures import EDITION, Decoded, Split

BATCH = 32
CACHE_BYTES = 4 << 30  # of all features together


def of(
    frozen: keras.Model, preparation, split: Split, side: int, bank: Callable[[], Decoded], mirrored: bool = False
) -> np.ndarray:
    """Features of the pictures of a split: float32 (n, size), from the cache where they are in it.

    They depend on the pictures' content and size, the preparation, and the weights, and on nothing else.

    Args:
        frozen: prepared pictures to (batch, size).
        preparation: layers from RGB 0..255 of `side` x `side` px to prepared pictures.
        bank: gives the decoded pictures, and is asked only where the cache has no features.
        mirrored: of the pictures' mirror images instead.
    """
    key = [EDITION, keras.__version__, side, mirrored, digest(frozen), *split.digests]
    key += [str(layer.get_config()) for layer in preparation]
    path = caches.place("features", "\n".join(map(str, key)), ".npy")
    try:
        found = np.load(path, allow_pickle=False)
        caches.used(path)
        if found.shape == (len(split), frozen.output_shape[-1]):
            return found
    except (OSError, ValueError, EOFError):  # not there, or half a file: made anew
        pass
    found = computed(frozen, preparation, bank(), mirrored)
    keep(path, found)
    return found


def computed(frozen, preparation, bank: Decoded, mirrored: bool) -> np.ndarray:
    """The features, batch by batch, with a bar."""

    @tf.function(input_signature=[tf.TensorSpec([None, *bank.size, 3], tf.float32)], autograph=False)
    def answer(batch):
        batch = tf.reverse(batch, [2]) if mirrored else batch
        for layer in preparation:
            batch = layer(batch)
        return frozen(batch, training=False)

    found = np.empty((len(bank), frozen.output_shape[-1]), "float32")
    with progress("features") as update:
        for start in range(0, len(bank), BATCH):
            places = np.arange(start, min(start + BATCH, len(bank)))
            found[places] = answer(bank.batch(places).astype("float32"))
            update(places[-1] + 1, len(bank))
    return found


def keep(path, found: np.ndarray) -> None:
    """Write features to the cache; where that has no room, only time is lost."""
    try:
        with replacing(path) as beside, beside.open("wb") as file:
            np.save(file, found)
        caches.trim(path.parent, CACHE_BYTES)
    except OSError:
        return


def digest(network: keras.Model) -> str:
    """SHA-256 over the weights of a network, and over what its layers are."""
    sum = hashlib.sha256(network.to_json().encode())
    for weight in network.get_weights():
        sum.update(np.ascontiguousarray(weight).tobytes())
    return sum.hexdigest()
