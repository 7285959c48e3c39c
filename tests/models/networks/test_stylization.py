import keras
import numpy as np
import pytest

from convmedia.models import load
from convmedia.models.answer import PICTURE
from convmedia.models.export.exporter import export
from convmedia.models.networks.stylization import EPSILON, CropLike, StyleNormalization, painter
from convmedia.models.saving.assembly import assemble
from convmedia.models.saving.files import save

RNG = np.random.default_rng(0)


def pictures(*size):
    return RNG.integers(0, 256, (*size, 3)).astype("float32")


def predictor(path, styles=1, filters=3):
    """An untrained painter whose styles differ, written and read again."""
    keras.utils.set_random_seed(1)
    network = painter(filters, blocks=1, styles=styles)
    for layer in network.layers:
        if isinstance(layer, StyleNormalization):
            layer.scale.assign(RNG.uniform(0.5, 1.5, layer.scale.shape))
            layer.offset.assign(RNG.uniform(-0.5, 0.5, layer.offset.shape))
    details = {"network": "painter", "styles": [f"style{place}" for place in range(styles)]}
    beside = {"style": styles} if styles > 1 else None
    save(assemble(network, app="style-transfer", labels=None, input=PICTURE, details=details, beside=beside), path)
    return load(path)


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return predictor(tmp_path_factory.mktemp("single") / "model.keras")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    return predictor(tmp_path_factory.mktemp("several") / "model.keras", styles=3)


def test_normalised_maps_have_the_styles_mean_and_spread():
    maps = RNG.normal(3, 2, (2, 7, 9, 4)).astype("float32")
    layer = StyleNormalization(2)
    weights = np.array([[1, 0], [0.25, 0.75]], "float32")
    layer.build([maps.shape, weights.shape])
    scale, offset = RNG.uniform(1, 2, (2, 4)), RNG.uniform(-1, 1, (2, 4))
    layer.set_weights([scale, offset])
    found = keras.ops.convert_to_numpy(layer([maps, weights]))
    np.testing.assert_allclose(found.mean((1, 2)), weights @ offset, atol=1e-5)
    spread = maps.std((1, 2)) / np.sqrt(maps.var((1, 2)) + EPSILON)
    np.testing.assert_allclose(found.std((1, 2)), (weights @ scale) * spread, rtol=1e-4)


def test_cropping_takes_the_other_pictures_size():
    picture = pictures(1, 8, 12)
    np.testing.assert_array_equal(CropLike()([picture, pictures(1, 5, 7)]), picture[:, :5, :7])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (5, 4), (17, 30), (64, 33)])
def test_the_answer_has_the_pictures_size_and_range(single, size):
    answer = single(pictures(2, *size))
    assert answer.shape == (2, *size, 3)
    assert np.isfinite(answer).all()
    assert 0 <= answer.min() <= answer.max() <= 255


def test_a_picture_is_painted_the_same_alone_and_in_a_batch(single):
    batch = pictures(3, 20, 24)
    np.testing.assert_allclose(single(batch)[1:2], single(batch[1:2]), atol=1e-3)


def test_enlargement_repeats_pixels():
    network = painter(2, blocks=1)
    maps = RNG.normal(size=(1, 3, 4, 8)).astype("float32")
    copies = network.get_layer("copies1")([maps] * 4)
    np.testing.assert_array_equal(network.get_layer("larger1")(copies), maps.repeat(2, axis=1).repeat(2, axis=2))


def test_styles_share_all_but_their_normalisation(several):
    one, two = painter(3, blocks=1), painter(3, blocks=1, styles=3)
    normalised = sum(layer.count_params() for layer in one.layers if isinstance(layer, StyleNormalization))
    assert two.count_params() == one.count_params() + 2 * normalised
    photo = pictures(1, 16, 16)
    answers = [several(photo, weights) for weights in np.eye(3, dtype="float32")[:, np.newaxis]]
    assert min(np.abs(answers[0] - other).max() for other in answers[1:]) > 1


def test_a_model_of_several_styles_asks_for_their_weights(several):
    with pytest.raises((TypeError, ValueError)):
        several(pictures(1, 8, 8))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("single", ["litert"]),
        ("several", ["saved-model", "onnx", "litert"]),
        pytest.param("single", ["saved-model", "onnx"], marks=pytest.mark.slow),
    ],
)
def test_exported_files_answer_as_keras_does(kind, names, tmp_path, request):
    examples = [pictures(*size).astype("uint8") for size in ((24, 32), (37, 21), (8, 8))]
    parity = export(request.getfixturevalue(kind), names, tmp_path, examples)
    assert {name: entry.get("refused") for name, entry in parity.items()} == dict.fromkeys(parity)
    assert max(entry["max_abs_diff"] for entry in parity.values()) < 1e-4


def test_the_default_network_is_small_enough_to_ship(tmp_path):
    details = {"network": "painter", "styles": ["one"]}
    save(assemble(painter(), app="style-transfer", labels=None, input=PICTURE, details=details), tmp_path / "m.keras")
    assert (tmp_path / "m.keras").stat().st_size < 8e6
