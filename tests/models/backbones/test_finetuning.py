"""Fine-tuning: blocks, what is frozen and stays so bit for bit, layer-wise steps, the head and its cached features."""

from functools import partial
from itertools import pairwise

import keras
import numpy as np
import pytest
from keras.src.applications.convnext import ConvNeXt
from keras.src.applications.efficientnet import EfficientNet

from convmedia.models.analysis import grad_cam, layer_tree
from convmedia.models.backbones import finetuning
from convmedia.models.backbones.catalogue import BACKBONES, backbone, preparation
from convmedia.models.backbones.finetuning import (
    LayerwiseAdam,
    features,
    head,
    joined,
    standardise,
    unfreeze,
    with_head,
)
from convmedia.models.saving import assembly, files

RANDOM = np.random.default_rng(0)
BatchNormalization = keras.layers.BatchNormalization


def pictures(number, side, channels=3):
    return RANDOM.normal(0, 1, (number, side, side, channels)).astype("float32")


@pytest.fixture
def squeezenet() -> keras.Model:
    keras.utils.set_random_seed(0)
    return backbone("squeezenet", "none")


EXPECTED = {
    "vgg16": [f"block{n}" for n in range(1, 6)],
    "squeezenet": ["conv1", *(f"fire{n}" for n in range(2, 10))],
    "resnet50": [f"conv{n}" for n in range(1, 6)],
    "inception-v3": [f"mixed{n}" for n in range(11)],
    "xception": [f"block{n}" for n in range(1, 15)],
    "mobilenet": ["conv1", *(f"conv_{n}" for n in range(1, 14))],
    "efficientnet-lite0": ["stem", *(f"stage{n}" for n in range(1, 8)), "top"],
    "mobilenet-v2": ["stem", *(f"stage{n}" for n in range(1, 8)), "top"],
    "keras-mobilenet-v2": ["Conv1", "expanded_conv", *(f"block_{n}" for n in range(1, 17)), "Conv_1"],
    "efficientnet-b0": ["stem", *(f"block{n}" for n in range(1, 8)), "top"],
    "convnext-tiny": [
        "stem",
        *(f"{name}_{n}" for n in range(3) for name in ("stage", "downsampling_block")),
        "stage_3",
    ],
}


SHALLOW = {  # the names of deep networks that are all alike but for repetition
    "efficientnet-b0": partial(EfficientNet, 0.1, 0.1, 224, name="efficientnetb0"),
    "convnext-tiny": partial(ConvNeXt, [1] * 4, [8] * 4, name="convnext_tiny"),
}


@pytest.fixture(scope="module", params=EXPECTED)
def network(request) -> keras.Model:
    with pytest.MonkeyPatch.context() as patch:
        if request.param in SHALLOW:
            patch.setattr(keras.applications, BACKBONES[request.param].builder, SHALLOW[request.param])
        return backbone(request.param, "none")


def test_blocks_go_from_the_bottom_to_the_top_and_hold_every_weight(network):
    blocks = finetuning.blocks(network)
    assert [name for name, _ in blocks] == EXPECTED[network.name]
    held = [layer for _, block in blocks for layer in block]
    assert sorted(map(id, held)) == sorted(id(layer) for layer in network.layers if layer.weights)
    depth = finetuning.by_depth(network)
    assert {depth[layer.name] for layer in blocks[-1][1]} == {0}
    assert {depth[layer.name] for layer in blocks[0][1]} == {len(blocks) - 1}
    for weight in network.weights:  # the optimizer finds the layer in a weight's path
        assert len({depth[part] for part in weight.path.split("/") if part in depth}) == 1, weight.path
    # Nothing in a block comes before anything in the block below: training one needs no gradient further down.
    place = {id(layer): number for number, layer in enumerate(network.layers)}
    for (_, below), (_, above) in pairwise(blocks):
        assert max(place[id(layer)] for layer in below) < min(place[id(layer)] for layer in above)


def test_unfreezing_takes_blocks_from_the_top_and_leaves_batch_normalisation(network):
    upper = finetuning.blocks(network)[-2:]
    assert unfreeze(network, 2) == [name for name, _ in reversed(upper)]
    expected = {id(weight) for _, block in upper for layer in block for weight in layer.trainable_weights}
    assert {id(weight) for weight in network.trainable_weights} == expected != set()
    norms = [layer for layer in layer_tree.every_layer(network) if isinstance(layer, BatchNormalization)]
    assert not any(layer.trainable for layer in norms)
    assert unfreeze(network, 0) == network.trainable_weights == []
    assert len(unfreeze(network, 99)) == len(finetuning.blocks(network))
    everything = sum(weight.numpy().size for weight in network.trainable_weights)
    assert everything == network.count_params() - sum(norm.count_params() for norm in norms)


def test_block5_of_vgg16_has_half_of_its_weights():
    vgg16 = backbone("vgg16", "none")
    whole = with_head(vgg16, classes=2)
    assert unfreeze(vgg16, 1) == ["block5"]
    sizes = [weight.numpy().size for weight in vgg16.trainable_weights]
    assert sum(sizes) == 3 * (9 * 512 + 1) * 512 == 7_079_424
    assert sum(weight.numpy().size for weight in whole.trainable_weights) == 7_079_424 + 512 + 1
    unfreeze(vgg16, 0)
    assert sum(weight.numpy().size for weight in whole.trainable_weights) == 513


@pytest.mark.parametrize("name", ["mobilenet-v2", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_statistics_do_not_move_by_one_bit(name):
    network = backbone(name, "none")
    whole = with_head(network, classes=2, dropout=0.3)
    unfreeze(network, 1)
    norms = [layer for layer in network.layers if isinstance(layer, BatchNormalization)]
    before = [[value.copy() for value in norm.get_weights()] for norm in norms]
    trained = [weight.numpy().copy() for weight in network.trainable_weights]
    whole.compile(optimizer=LayerwiseAdam(1e-2), loss="binary_crossentropy", run_eagerly=True)  # tracing takes longer
    targets = np.array([[0.0], [1.0]] * 4, "float32")
    whole.fit(pictures(8, 32), targets, batch_size=4, epochs=1, verbose=0)
    assert len(norms) in (52, 53)
    for norm, values in zip(norms, before, strict=True):
        assert all(np.array_equal(*pair) for pair in zip(values, norm.get_weights(), strict=True)), norm.name
    moved = [not np.array_equal(*pair) for pair in zip(trained, network.trainable_weights, strict=True)]
    assert any(moved)


def small() -> keras.Model:
    """Two dense layers, `lower` in a network of its own, and `upper`: weights 0 and 1 are the lower one's."""
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, name="lower")], name="inner")
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(1, name="upper")(inner(inputs)))


def stepped(optimizer, steps, model=None) -> list[np.ndarray]:
    """The weights after `steps`, a range; the gradients of a step are the same whatever the weights are."""
    model = model or small()
    for step in steps:
        random = np.random.default_rng(step)
        gradients = [random.normal(size=weight.shape).astype("float32") for weight in model.trainable_weights]
        optimizer.apply([keras.ops.convert_to_tensor(one) for one in gradients], model.trainable_weights)
    return [value.copy() for value in model.get_weights()]


def equal(some: list[np.ndarray], others: list[np.ndarray]) -> list[bool]:
    return [np.array_equal(*pair) for pair in zip(some, others, strict=True)]


def test_without_factors_it_is_adam():
    assert all(equal(stepped(keras.optimizers.Adam(1e-2), range(3)), stepped(LayerwiseAdam(1e-2), range(3))))


@pytest.mark.parametrize(
    "scale",
    [lambda inner: inner, lambda inner: keras.optimizers.LossScaleOptimizer(inner, initial_scale=4.0)],
    ids=["plain", "loss scale"],
)
def test_a_lower_layer_moves_by_exactly_its_factor_in_the_first_step(scale):
    def moved(factors):
        model = small()
        model.set_weights([np.zeros_like(value) for value in model.get_weights()])  # so that no sum is rounded
        return stepped(scale(LayerwiseAdam(2.0**-7, factors)), range(1), model)

    base, slower = moved({}), moved({"lower": 0.25})
    np.testing.assert_allclose(np.abs(base[0]), 2.0**-7, rtol=1e-3)  # Adam's first step is the rate itself
    for number, factor in enumerate([0.25, 0.25, 1.0, 1.0]):
        np.testing.assert_array_equal(slower[number], base[number] * np.float32(factor))


def test_a_layer_rests_until_its_first_step():
    before = small().get_weights()
    for steps, rests in ((1, True), (2, True), (3, False)):
        after = stepped(LayerwiseAdam(1e-2, starts={"lower": 2}), range(steps))
        assert equal(before, after) == [rests, rests, False, False]


def test_decay_takes_its_share_of_kernels_alone():
    start, slow = small().get_weights(), {"lower": 0.5}
    free, decayed = (
        stepped(LayerwiseAdam(1e-2, slow), range(1)),
        stepped(LayerwiseAdam(1e-2, slow, decay=10.0), range(1)),
    )
    np.testing.assert_allclose(free[0] - decayed[0], start[0] * 10 * 0.5e-2, atol=1e-6)
    np.testing.assert_allclose(free[2] - decayed[2], start[2] * 10 * 1e-2, atol=1e-6)
    assert equal(free, decayed) == [False, True, False, True]


def test_training_goes_on_from_weights_and_optimizer_variables():
    schedule = keras.optimizers.schedules.CosineDecay(1e-2, 10)
    first, second = (LayerwiseAdam(schedule, {"lower": 0.3}, {"lower": 1}, decay=0.01) for _ in range(2))
    second = LayerwiseAdam.from_config(second.get_config())
    model, other = small(), small()
    stepped(first, range(2), model)
    second.build(other.trainable_weights)
    other.set_weights(model.get_weights())
    for variable, value in zip(second.variables, first.variables, strict=True):
        variable.assign(value)
    assert all(equal(stepped(first, range(2, 5), model), stepped(second, range(2, 5), other)))


def test_cached_features_and_head_are_the_joined_network(squeezenet):
    batch = pictures(3, 40)
    pooled = features(squeezenet)
    cached = keras.ops.convert_to_numpy(pooled(batch))
    np.testing.assert_allclose(cached, squeezenet(batch).numpy().mean((1, 2)), rtol=1e-4, atol=1e-6)
    top = head(512, classes=3, hidden=7, dropout=0.5)
    standardise(top, cached)
    whole = joined(pooled, top)
    np.testing.assert_allclose(whole(batch), top(cached), rtol=1e-4, atol=1e-6)
    top.get_layer("scores").set_weights([np.zeros((7, 3)), np.log([0.2, 0.3, 0.5])])  # weights are shared, not copied
    np.testing.assert_allclose(whole(batch), [[0.2, 0.3, 0.5]] * 3, rtol=1e-5)


def test_flattened_features_keep_the_places(squeezenet):
    batch = pictures(2, 48)
    flat = features(squeezenet, side=48)
    assert np.array_equal(flat(batch), squeezenet(batch).numpy().reshape(2, -1))
    assert with_head(squeezenet, 2, side=48, hidden=4).get_layer("hidden").kernel.shape == (flat.output_shape[1], 4)


def test_two_classes_are_one_sigmoid_unit_and_more_a_softmax():
    batch = RANDOM.normal(size=(5, 6)).astype("float32")
    two, three = head(6, 2)(batch).numpy(), head(6, 3)(batch).numpy()
    assert (two.shape, three.shape) == ((5, 1), (5, 3))
    assert two.min() > 0 and two.max() < 1
    np.testing.assert_allclose(three.sum(-1), 1, rtol=1e-6)


def test_standardised_features_have_mean_0_and_a_deviation_shrunk_to_the_mean_variance():
    cached = (RANDOM.normal(size=(400, 4)) * [0.01, 1, 30, 0] + [5, -2, 0, 3]).astype("float32")
    top = head(4, 2)
    standardise(top, cached)
    ours = top.get_layer("standardise")(cached, training=True).numpy()  # in training too: it is frozen
    np.testing.assert_allclose(ours.mean(0), 0, atol=1e-3)
    variance = cached.var(axis=0, dtype="float64")
    np.testing.assert_allclose(
        ours.std(0), np.sqrt(variance / ((variance + variance.mean()) / 2)), rtol=1e-3, atol=1e-6
    )
    assert np.isfinite(ours).all() and np.abs(ours[:, 3]).max() < 1e-3  # a map that is always the same
    assert [weight.path for weight in top.trainable_weights] == ["head/scores/kernel", "head/scores/bias"]


def test_l2_is_in_the_loss():
    top = head(4, 2, l2=0.1)
    assert float(sum(top.losses)) == pytest.approx(
        0.1 * float((top.get_layer("scores").kernel.numpy() ** 2).sum()), rel=1e-5
    )
    assert head(4, 2).losses == []


@pytest.fixture
def saved(squeezenet, tmp_path) -> tuple[keras.Model, keras.Model]:
    """A whole classifier as it is joined and as it comes back from its file."""
    model = assembly.assemble(
        with_head(squeezenet, 3, dropout=0.5),
        preparation=preparation("squeezenet", side=64),
        app="transfer",
        labels=["a", "b", "c"],
        input={"kind": "image", "dtype": "float32", "shape": [None, None, 3]},
        details={},
    )
    files.save(model, tmp_path / "model.keras")
    return model, files.read(tmp_path / "model.keras")


def test_a_saved_classifier_answers_the_same_and_can_be_explained(saved):
    model, loaded = saved
    picture = RANDOM.integers(0, 256, (70, 90, 3), dtype="uint8")
    batch = picture[None].astype("float32")
    assert np.array_equal(model(batch), loaded(batch))
    (heat, probability), (again, _) = (grad_cam.grad_cam(one, picture, 1) for one in (model, loaded))
    assert heat.shape == (64, 64)
    np.testing.assert_allclose(heat, again, atol=1e-6)
    assert probability == pytest.approx(float(model(batch)[0, 1]))
