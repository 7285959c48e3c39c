"""Operations and receptive fields, against hand counts and what papers print."""

import keras
import pytest
from keras import layers

from convmedia.models.analysis.costs import multiply_adds, receptive_field
from convmedia.models.analysis.receptive_field import mult_adds, reach_px
from convmedia.models.networks import photos, super_resolution
from convmedia.models.preprocessing.upsampling import Enlarge


def test_strides_dilation_pooling_and_dense_layers_by_hand():
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 5, 2, padding="same")(inputs)  # field 5, step 2
    x = layers.DepthwiseConv2D(3, padding="same")(x)  # 5 + 2 * 2 = 9
    x = layers.MaxPooling2D(2)(x)  # 9 + 2 = 11, step 4
    x = layers.Conv2D(4, 3, dilation_rate=2, padding="same")(x)  # 11 + 2 * 2 * 4 = 27
    outputs = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
    network = keras.Model(inputs, outputs)
    assert receptive_field(network) == (27, 27)
    sums = 16 * 12 * 5 * 5 * 3 * 8 + 16 * 12 * 3 * 3 * 8 + 8 * 6 * 3 * 3 * 8 * 4 + 4 * 10
    assert multiply_adds(network, 32, 24, 3) == sums


def test_branches_count_the_widest_and_excitation_is_left_out():
    inputs = keras.Input((None, None, 4))
    wide = layers.Conv2D(4, 7, padding="same")(inputs)
    both = layers.Add()([inputs, wide])
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(both)
    gate = layers.Conv2D(4, 1, activation="sigmoid")(pooled)
    network = keras.Model(inputs, layers.Conv2D(2, 3, padding="same")(layers.Multiply()([both, gate])))
    assert receptive_field(network) == (9, 9)
    assert multiply_adds(network, 10, 10, 4) == 100 * 49 * 16 + 16 + 100 * 9 * 8


def test_bicubic_enlargement_looks_two_pixels_to_each_side_and_makes_steps_smaller():
    inputs = keras.Input((None, None, 1))
    enlarged = Enlarge(3)(inputs)
    assert receptive_field(keras.Model(inputs, enlarged)) == (5, 5)
    network = keras.Model(inputs, layers.Conv2D(1, 7)(enlarged))
    assert receptive_field(network) == (7, 7)  # and six steps of a third of a pixel


def test_a_matrix_of_an_unknown_layer_is_refused():
    network = keras.Sequential([keras.Input((8, 3)), layers.LSTM(4)])
    with pytest.raises(ValueError, match="LSTM"):
        multiply_adds(network, 8, 3)


@pytest.mark.parametrize(
    ("network", "shape", "printed"),
    [  # Ahn, Kang, Sohn 2018, table 1: scale 2 to 1280 x 720
        (super_resolution.srcnn, (720, 1280, 1), 52.7e9),
        (super_resolution.vdsr, (720, 1280, 1), 612.6e9),
        (lambda: super_resolution.carn((2,)), (360, 640, 3), 222.8e9),
        (lambda: super_resolution.carn_m((2,)), (360, 640, 3), 91.2e9),
    ],
    ids=["srcnn", "vdsr", "carn", "carn-m"],
)
def test_they_are_what_papers_print_and_what_the_other_count_gives(network, shape, printed):
    built = network()
    assert multiply_adds(built, *shape) == pytest.approx(printed, rel=0.01)
    assert multiply_adds(built, *shape) == pytest.approx(mult_adds(built, *shape[:2]), rel=0.01)  # padded borders
    assert receptive_field(built)[0] == pytest.approx(2 * reach_px(built) + 1, abs=1)


def test_a_network_that_looks_both_ways_costs_twice():
    once, twice = photos.resnet(mirrored=False), photos.resnet(mirrored=True)
    assert multiply_adds(twice, 144, 144, 3) == 2 * multiply_adds(once, 144, 144, 3)
