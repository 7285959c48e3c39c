"""Every layer of a model, at any depth."""

from collections.abc import Iterator

import keras

from convmedia.models.keras_internals import direct_layers


def every_layer(model: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """The model and every layer in it in order, at any depth, also inside wrappers such as TimeDistributed."""
    yield model
    for layer in direct_layers(model):
        yield from every_layer(layer)
