"""Explanations against maps and heat that are worked out by hand."""

import keras
import numpy as np
import pytest
from keras import layers

from convmedia.data.storage.errors import InputError
from convmedia.models.analysis import grad_cam

PICTURE = np.array([[1.0, 2.0], [3.0, 4.0]])[..., None]
# The two maps of `network` are x and 5 - x. Label 0 weighs them 2 and 1, label 1 weighs them -1 and 1.
WEIGHTS = np.array([[2.0, -1.0], [1.0, 1.0]])
HEAT_0 = np.array([[6.0, 7.0], [8.0, 9.0]]) / 9  # 2x + (5 - x) = x + 5
HEAT_1 = np.array([[3.0, 1.0], [0.0, 0.0]]) / 3  # -x + (5 - x) = 5 - 2x, cut at 0


def network(weights=WEIGHTS, activation="softmax"):
    inner = keras.Sequential(
        [
            keras.Input((2, 2, 1)),
            layers.Conv2D(2, 1, name="conv"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(weights.shape[1], activation=activation, use_bias=False, name="output"),
        ],
        name="inner",
    )
    inner.get_layer("conv").set_weights([np.array([1.0, -1.0]).reshape(1, 1, 1, 2), np.array([0.0, 5.0])])
    inner.get_layer("output").set_weights([weights])
    return inner


def saved(inner, size=(2, 2)):
    """A model as a file holds it: preparation (here a tenth), network, [1 - p, p] for one unit, an identity."""
    raw = keras.Input((*size, 1))
    answer = inner(layers.Rescaling(0.1, name="tenth")(raw))
    if answer.shape[-1] == 1:
        answer = keras.ops.concatenate([1.0 - answer, answer], axis=-1)
    return keras.Model(raw, layers.Identity(name="answer")(answer))


def test_grad_cam_is_the_closed_form():
    for label, expected in ((0, HEAT_0), (1, HEAT_1)):
        heat, _ = grad_cam.grad_cam(network(), PICTURE, label)
        np.testing.assert_allclose(heat, expected, atol=1e-6)


def test_grad_cam_names_the_probability_of_the_most_probable_label():
    heat, probability = grad_cam.grad_cam(network(), PICTURE)
    np.testing.assert_allclose(heat, HEAT_0, atol=1e-6)
    assert probability == pytest.approx(1 / (1 + np.exp(-7.5)), rel=1e-5)  # logits: mean of x + 5, mean of 5 - 2x


def test_grad_cam_of_a_network_that_is_certain_does_not_vanish():
    heat, probability = grad_cam.grad_cam(network(100 * WEIGHTS), PICTURE, 0)
    assert probability == 1.0
    np.testing.assert_allclose(heat, HEAT_0, atol=1e-6)


def test_grad_cam_of_one_sigmoid_unit_explains_both_labels():
    model = saved(network(np.array([[-1.0], [1.0]]), "sigmoid"))
    _, low = grad_cam.grad_cam(model, 10 * PICTURE, 0)
    heat, high = grad_cam.grad_cam(model, 10 * PICTURE, 1)
    np.testing.assert_allclose(heat, HEAT_1, atol=1e-6)
    np.testing.assert_allclose(
        grad_cam.grad_cam(model, 10 * PICTURE, 0)[0], np.array([[0, 0], [1, 3]]) / 3, atol=1e-6
    )  # 2x - 5, cut at 0
    assert low + high == pytest.approx(1)


@pytest.mark.parametrize("closing", [layers.Softmax(), layers.Activation("softmax"), layers.Identity()])
def test_grad_cam_reaches_logits_behind_a_closing_layer(closing):
    inner = network(100 * WEIGHTS, "linear")
    inner.add(closing)
    np.testing.assert_allclose(grad_cam.grad_cam(inner, PICTURE, 1)[0], HEAT_1, atol=1e-6)


def test_grad_cam_is_taken_before_the_last_pooling_and_dropout():
    inner = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(2, kernel_initializer="ones", activation="softmax"),
        ]
    )
    picture = np.arange(1.0, 17.0).reshape(4, 4)
    np.testing.assert_allclose(grad_cam.grad_cam(inner, picture[..., None], 0)[0], picture / 16, atol=1e-6)


def test_grad_cam_is_enlarged_bilinearly_to_the_prepared_size():
    inner = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(1, 2, strides=2, use_bias=False, kernel_initializer="ones"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, kernel_initializer="ones", activation="softmax"),
        ]
    )
    enlarge = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])  # pixel centres, edges repeated
    heat, _ = grad_cam.grad_cam(inner, np.kron(PICTURE[..., 0], np.ones((2, 2)))[..., None], 1)
    np.testing.assert_allclose(heat, enlarge @ (PICTURE[..., 0] / 4) @ enlarge.T, atol=1e-6)


def test_nothing_that_speaks_for_a_label_is_no_heat():
    heat, _ = grad_cam.grad_cam(network(-np.ones((2, 2))), PICTURE, 0)
    np.testing.assert_array_equal(heat, np.zeros((2, 2)))


def test_prepared_is_what_the_inner_network_sees():
    np.testing.assert_allclose(grad_cam.prepared(saved(network()), PICTURE), PICTURE / 10, rtol=1e-6)
    np.testing.assert_array_equal(grad_cam.prepared(network(), PICTURE), PICTURE)


def test_a_network_shared_with_another_model_is_explained_as_the_file_uses_it():
    inner = network()
    training = keras.Input((2, 2, 1))
    keras.Model(training, inner(layers.Rescaling(1000.0)(training)))
    np.testing.assert_allclose(grad_cam.prepared(saved(inner), PICTURE), PICTURE / 10, rtol=1e-6)
    np.testing.assert_allclose(grad_cam.grad_cam(saved(inner), 10 * PICTURE, 1)[0], HEAT_1, atol=1e-6)


def with_backbone():
    backbone = keras.Sequential(
        [
            keras.Input((2, 2, 1)),
            layers.Conv2D(2, 1, use_bias=False, name="conv"),
            layers.BatchNormalization(epsilon=0.0, name="norm"),
            layers.ReLU(name="relu"),
        ],
        name="backbone",
    )
    backbone.get_layer("conv").set_weights([np.array([1.0, -1.0]).reshape(1, 1, 1, 2)])
    # gamma, beta, mean, variance: the maps become x - 2 and 2 - x
    backbone.get_layer("norm").set_weights([np.ones(2), np.array([-1.0, 1.0]), np.array([1.0, -1.0]), np.ones(2)])
    raw = keras.Input((2, 2, 1))
    maps = layers.MaxPooling2D(2, name="pool")(backbone(raw))
    outputs = layers.Dense(2, activation="softmax", kernel_initializer="ones")(layers.Flatten()(maps))
    return keras.Model(raw, outputs, name="inner")


def test_activations_are_those_after_normalisation_and_relu_also_in_a_backbone():
    for model in (with_backbone(), saved(with_backbone())):
        picture = PICTURE if model.name == "inner" else 10 * PICTURE
        (first, maps), (second, pooled) = grad_cam.activations(model, picture)
        assert (first, second) == ("backbone/conv", "pool")
        np.testing.assert_allclose(maps, np.maximum(np.concatenate([PICTURE - 2, 2 - PICTURE], -1), 0), atol=1e-5)
        np.testing.assert_allclose(pooled, [[[2.0, 1.0]]], atol=1e-5)


def test_grad_cam_looks_at_the_maps_a_backbone_gives():
    heat, _ = grad_cam.grad_cam(saved(with_backbone()), 10 * PICTURE, 0)
    # Each map's one maximum is passed on by the pooling with weight 1, so both maps count equally: |x - 2|.
    np.testing.assert_allclose(heat, np.array([[1, 0], [1, 2]]) / 2, atol=1e-5)


def test_a_backbone_that_ends_in_numbers_is_not_taken_for_the_network():
    backbone = keras.Sequential(
        [keras.Input((2, 2, 1)), layers.Conv2D(2, 1, name="conv"), layers.GlobalMaxPooling2D()], name="backbone"
    )
    raw = keras.Input((2, 2, 1))
    bare = keras.Model(raw, layers.Dense(2, activation="softmax")(backbone(layers.Rescaling(0.1)(raw))))
    np.testing.assert_array_equal(grad_cam.prepared(bare, PICTURE), PICTURE)
    assert [name for name, _ in grad_cam.activations(bare, PICTURE)] == ["backbone/conv"]


def test_filters_are_the_first_convolution_one_per_output_channel():
    kernel = np.arange(2 * 3 * 4 * 5, dtype="float32").reshape(2, 3, 4, 5)
    convolution = layers.Conv2D(5, (2, 3))
    inner = keras.Sequential(
        [keras.Input((8, 8, 4)), layers.Rescaling(2.0), convolution, layers.Conv2D(1, 1), layers.Flatten()]
    )
    convolution.set_weights([kernel, np.zeros(5)])
    for layer in (convolution, inner, keras.Sequential([keras.Input((8, 8, 4)), inner])):
        found = grad_cam.filters(layer)
        assert found.shape == (5, 2, 3, 4)
        np.testing.assert_array_equal(found[3], kernel[..., 3])


def test_a_loaded_file_is_explained_as_before_it_was_saved(tmp_path):
    model = saved(with_backbone())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for label in (0, 1):
        heat, probability = grad_cam.grad_cam(model, 7 * PICTURE, label)
        again, same = grad_cam.grad_cam(loaded, 7 * PICTURE, label)
        np.testing.assert_array_equal(again, heat)
        assert same == probability
    assert [name for name, _ in grad_cam.activations(loaded, PICTURE)] == ["backbone/conv", "pool"]


def test_explaining_leaves_the_model_as_it_was():
    model = saved(with_backbone())
    before, config = [weight.copy() for weight in model.get_weights()], model.to_json()
    grad_cam.grad_cam(model, PICTURE)
    grad_cam.activations(model, PICTURE)
    assert model.to_json() == config
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("label", [-1, 2])
def test_an_unknown_label_is_refused(label):
    with pytest.raises(InputError, match=f"from 0 to 1; received {label}"):
        grad_cam.grad_cam(network(), PICTURE, label)


def test_a_network_without_convolutions_is_refused():
    dense = keras.Sequential([keras.Input((2, 2, 1)), layers.Flatten(), layers.Dense(2)], name="perceptron")
    with pytest.raises(InputError, match="'perceptron'"):
        grad_cam.grad_cam(dense, PICTURE)
    with pytest.raises(InputError, match="'perceptron'"):
        grad_cam.filters(dense)
    assert grad_cam.activations(dense, PICTURE) == []
