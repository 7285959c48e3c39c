"""Labels of unequal frequency: weights of their examples, figures that choose the epoch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from convmedia.apps.training import class_balance, trainer


def test_rare_labels_count_as_much_as_frequent_ones():
    truth = np.array([0] * 9 + [1] * 3 + [2] * 6)
    weights = class_balance.class_weights(truth, 3)[truth]
    assert [weights[truth == label].sum() for label in range(3)] == pytest.approx([6, 6, 6])
    assert weights.mean() == pytest.approx(1.0)


def test_labels_without_examples_do_not_take_a_share():
    truth = np.array([0, 0, 0, 2])
    np.testing.assert_allclose(class_balance.class_weights(truth, 4), [4 / (2 * 3), 1, 4 / (2 * 1), 1])


def test_equal_labels_have_no_weights_at_all():
    def example(indices, seed):
        return indices, indices

    for weights in (
        class_balance.class_weights(np.arange(12) % 3, 3),
        class_balance.class_weights(np.array([0, 0, 1]), 2, False),
    ):
        assert weights is None
        assert class_balance.weighted(example, weights) is example


WEIGHTS = np.array([0.5, 2.0], "float32")


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([[1, 0], [0, 1], [0.3, 0.7]], [0.5, 2.0, 0.3 * 0.5 + 0.7 * 2.0]),
        ([[0], [1], [0.7]], [0.5, 2.0, 0.3 * 0.5 + 0.7 * 2.0]),
    ],
)
def test_what_is_mixed_has_a_weight_in_between(targets, expected):
    targets = tf.constant(targets, tf.float32)
    example = class_balance.weighted(lambda indices, seed: (indices, targets), WEIGHTS)
    inputs, same, weights = example(tf.range(3), tf.constant([1, 2]))
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert same is targets
    assert list(inputs) == [0, 1, 2]


@pytest.mark.parametrize("wanted", [True, False])
def test_with_weights_a_network_that_sees_nothing_takes_labels_for_equally_likely(wanted):
    truth = np.array([0] * 30 + [1] * 10)
    targets = tf.constant(truth[:, None], tf.float32)
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, activation="sigmoid")])
    network.compile(optimizer=keras.optimizers.Adam(0.1), loss="binary_crossentropy")

    def example(indices, seed):
        return tf.zeros([tf.size(indices), 1]), tf.gather(targets, indices)

    weighted = class_balance.weighted(example, class_balance.class_weights(truth, 2, wanted))
    batches, steps = trainer.stream(40, 40, weighted, seed=1, epochs=range(200))
    network.fit(batches, steps_per_epoch=200 * steps, shuffle=False, verbose=0)
    assert float(np.asarray(network(np.zeros((1, 1))))[0, 0]) == pytest.approx(0.5 if wanted else 0.25, abs=0.02)


def test_the_figure_that_chooses_is_measured_beside_accuracy():
    accuracy = keras.metrics.CategoricalAccuracy
    names = {
        monitor: [metric.name for metric in class_balance.watched(accuracy, 3, monitor)]
        for monitor in ("accuracy", "loss", "balanced-accuracy", "macro-f1")
    }
    assert names == {
        "accuracy": ["accuracy"],
        "loss": ["accuracy"],
        "balanced-accuracy": ["accuracy", "balanced_accuracy"],
        "macro-f1": ["accuracy", "macro_f1"],
    }


def test_weights_of_several_labels_are_bounded_and_balance_each_label():
    truth = np.zeros((100, 3))
    truth[:20, 0], truth[:50, 1], truth[:1, 2] = 1, 1, 1
    absent, present = class_balance.label_weights(truth)
    np.testing.assert_allclose(present, [100 / 40, 1.0, class_balance.MOST_WEIGHT])
    np.testing.assert_allclose(absent, [100 / 160, 1.0, 100 / 198], rtol=1e-6)
    assert present[0] * 20 == pytest.approx(absent[0] * 80)


def test_the_weighted_cross_entropy_of_several_labels_by_hand():
    truth, scores = np.float32([[1, 0], [0, 1]]), np.float32([[0.8, 0.3], [0.4, 0.5]])
    loss = class_balance.weighted_crossentropy(np.float32([[0.5, 2.0], [3.0, 1.0]]))
    wanted = [-(3 * np.log(0.8) + 2 * np.log(0.7)) / 2, -(0.5 * np.log(0.6) + np.log(0.5)) / 2]
    np.testing.assert_allclose(loss(truth, scores), wanted, rtol=1e-5)
    plain = class_balance.weighted_crossentropy(np.ones((2, 2), "float32"))
    np.testing.assert_allclose(plain(truth, scores), keras.losses.binary_crossentropy(truth, scores), rtol=1e-5)
