"""The network that is trained: the numbers of Keras's own layers in float32, and within bfloat16's rounding."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from convmedia.apps.training import mixed_precision
from convmedia.models.backbones import catalogue, finetuning
from convmedia.models.networks import stylization
from convmedia.models.networks.catalogue import DIGITS, PHOTOS, SOUNDS, SUPER_RESOLUTION


def batch(shape=(8, 9, 7, 5), seed=0):
    return np.random.default_rng(seed).normal(2.0, 3.0, shape).astype("float32")


def pair(**arguments):
    """Keras's batch normalisation and ours, with equal weights away from their start."""
    theirs, ours = layers.BatchNormalization(**arguments), mixed_precision.FusedBatchNormalization(**arguments)
    for layer in (theirs, ours):
        layer.build((None, None, None, 5))
    values = [np.random.default_rng(i).uniform(0.5, 2.0, 5).astype("float32") for i in range(len(theirs.weights))]
    theirs.set_weights(values)
    ours.set_weights(values)
    return theirs, ours


@pytest.mark.parametrize("arguments", [{}, {"momentum": 0.7, "epsilon": 0.1}, {"scale": False}, {"center": False}])
def test_fused_normalisation_trains_as_keras_does(arguments):
    theirs, ours = pair(**arguments)
    inputs, weight = tf.constant(batch()), tf.constant(batch(seed=1))
    results = []
    for layer in (theirs, ours):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
            total = tf.reduce_sum(outputs * weight)
        gradients = tape.gradient(total, [inputs, *(v.value for v in layer.trainable_variables)])
        results.append([outputs, *gradients, *layer.get_weights()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)


def test_in_inference_and_when_frozen_nothing_moves():
    theirs, ours = pair()
    before = ours.get_weights()
    np.testing.assert_allclose(ours(batch(), training=False), theirs(batch(), training=False), rtol=1e-5, atol=1e-5)
    ours.trainable = theirs.trainable = False
    inputs, weight, results = tf.constant(batch()), tf.constant(batch(seed=1)), []
    for layer in (theirs, ours):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
            total = tf.reduce_sum(outputs * weight)
        results.append([outputs, tape.gradient(total, inputs)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    for a, b in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_shapes_take_the_way_of_keras():
    ours, theirs = mixed_precision.FusedBatchNormalization(), layers.BatchNormalization()
    inputs = batch((6, 4))
    np.testing.assert_array_equal(ours(inputs, training=True), theirs(inputs, training=True))


def test_a_float32_twin_answers_as_its_network():
    network = DIGITS["convnet"]()
    copy = mixed_precision.twin(network, "float32")
    photos = np.random.default_rng(0).random((4, 28, 28, 1), dtype="float32")
    np.testing.assert_allclose(copy(photos, training=False), network(photos, training=False), rtol=1e-4, atol=1e-6)
    assert not set(map(id, copy.weights)) & set(map(id, network.weights))


def test_a_bfloat16_twin_answers_nearly_as_its_network_and_ends_in_float32():
    network = DIGITS["convnet"]()
    copy = mixed_precision.twin(network, "bfloat16")
    photos = np.random.default_rng(0).random((4, 28, 28, 1), dtype="float32")
    ours, exact = np.asarray(copy(photos, training=False)), np.asarray(network(photos, training=False))
    assert ours.dtype == np.float32
    assert copy.get_layer("output").compute_dtype == "float32"
    assert copy.get_layer("conv3").compute_dtype == "bfloat16"
    assert 0 < np.abs(ours - exact).max() < 0.02
    assert {weight.dtype for weight in copy.weights} <= {"float32", "uint32"}  # uint32: the state of dropout


def test_layers_of_a_nested_model_are_twins_too_and_chosen_dtypes_stay():
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Rescaling(2.0, dtype="float64", name="chosen"), layers.Conv2D(4, 3, name="c")]
    )
    inputs = keras.Input((8, 8, 3))
    network = keras.Model(inputs, layers.Dense(2, name="last")(layers.Flatten()(inner(inputs))))
    copy = mixed_precision.twin(network, "bfloat16")
    parts = {layer.name: layer for layer in copy._flatten_layers()}
    assert parts["c"].compute_dtype == "bfloat16"
    assert parts["chosen"].compute_dtype == "float64"
    assert parts["last"].compute_dtype == "float32"


def test_bare_operations_are_copied_too():
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(3, 1, name="c")(inputs)
    outputs = layers.Dense(2)(layers.Flatten()(keras.ops.relu(x + 0.5) * inputs))
    network = keras.Model(inputs, outputs)
    values = batch((2, 4, 4, 3))
    np.testing.assert_array_equal(mixed_precision.twin(network, "float32")(values), network(values))
    np.testing.assert_allclose(mixed_precision.twin(network, "bfloat16")(values), network(values), atol=1.0, rtol=0.1)


def test_a_frozen_layer_stays_frozen():
    network = DIGITS["lenet5"]()
    network.get_layer("c1").trainable = False
    copy = mixed_precision.twin(network, "bfloat16")
    assert [w.path for w in copy.trainable_weights] == [w.path for w in network.trainable_weights]


@pytest.mark.parametrize("wanted", ["float32", "bfloat16"])
def test_a_wish_goes_before_what_the_machine_has(wanted):
    assert mixed_precision.precision_here(wanted) == wanted


def test_the_machine_decides_otherwise(monkeypatch):
    monkeypatch.setattr(mixed_precision, "accelerated", lambda: False)
    for has, name in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(mixed_precision, "cpu_multiplies_bfloat16", lambda has=has: has)
        assert mixed_precision.precision_here() == name


def test_networks_of_depthwise_convolutions_stay_in_float32_on_a_cpu(monkeypatch):
    monkeypatch.setattr(mixed_precision, "cpu_multiplies_bfloat16", lambda: True)
    dense = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3)])
    depthwise = keras.Sequential([keras.Input((8, 8, 3)), keras.Sequential([layers.DepthwiseConv2D(3)])])
    for accelerated, expected in ((False, "float32"), (True, "bfloat16")):
        monkeypatch.setattr(mixed_precision, "accelerated", lambda has=accelerated: has)
        monkeypatch.setattr(mixed_precision, "gpu_multiplies_bfloat16", lambda: True)
        assert mixed_precision.precision_here("auto", dense) == "bfloat16"
        assert mixed_precision.precision_here("auto", depthwise) == expected
    assert mixed_precision.precision_here("bfloat16", depthwise) == "bfloat16"


def networks_of_every_application():
    """(name, a function that builds the network, the layers that compute in float32 in training)."""
    for name, build in DIGITS.items():
        yield name, build, ["output"]
    for name, build in PHOTOS.items():
        yield f"{name} of two", build, ["output"]
        yield f"{name} of three", partial(build, 3), ["output"]
    for name, build in SOUNDS.items():
        size = (41, 60) if name == "piczak" else (40, 40)
        last = ["frame_scores", "output"] if name == "speech" else ["output"]
        for several in (False, True):
            yield f"{name}{' of several' * several}", partial(build, *size, 4, several=several), last
    last_of = {"espcn": ["x2_bicubic", "sum"], "vdsr": ["sum"], "carn": ["restored"], "carn-m": ["restored"]}
    for name, row in SUPER_RESOLUTION.items():
        yield name, partial(row.build, 2), last_of.get(name, ["conv3"])
    for styles in (1, 2):
        yield f"painter of {styles}", partial(stylization.painter, 8, 2, styles=styles), ["out", "painted", "cropped"]
    for classes in (2, 3):
        yield f"transfer of {classes}", partial(transferred, classes), ["scores"]


def transferred(classes):
    return finetuning.with_head(catalogue.backbone("squeezenet", "none"), classes, dropout=0.5)


EVERY = {name: (build, last) for name, build, last in networks_of_every_application()}


@pytest.mark.parametrize("name", EVERY)
def test_scores_are_computed_in_float32_and_what_is_before_them_is_not(name):
    build, last = EVERY[name]
    copy = mixed_precision.twin(build(), "bfloat16")
    parts = [part for part in copy._flatten_layers() if not isinstance(part, keras.Model | layers.InputLayer)]
    assert [part.name for part in parts if part.compute_dtype == "float32"] == last


def test_a_gate_before_the_output_stays_in_bfloat16():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="values")(inputs)
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="gate")(x)
    network = keras.Model(inputs, layers.Multiply(name="gated")([x, gate]))
    copy = mixed_precision.twin(network, "bfloat16")
    assert copy.get_layer("gate").compute_dtype == copy.get_layer("values").compute_dtype == "bfloat16"
    assert mixed_precision.scoring_layer(network) is None


def test_scores_are_found_behind_dropout_in_nested_models_and_without_a_layer_of_their_own():
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(3, name="logits"), layers.Softmax(name="softmax")])
    inputs = keras.Input((6,))
    network = keras.Model(inputs, layers.Dropout(0.1, name="dropped")(inner(inputs)))
    copy = mixed_precision.twin(network, "bfloat16")
    parts = {part.name: part for part in copy._flatten_layers()}
    assert parts["softmax"].compute_dtype == parts["dropped"].compute_dtype == "float32"
    assert mixed_precision.scoring_layer(network).name == "logits"
