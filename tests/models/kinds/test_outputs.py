"""Kinds of answers: what is compared on which scale, what is the same, what exported files of each kind must hold."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from convmedia.data.storage.errors import InputError
from convmedia.models import load
from convmedia.models.analysis.grad_cam import grad_cam
from convmedia.models.answer import PICTURE, Answer
from convmedia.models.export import exporter
from convmedia.models.export.exporter import export
from convmedia.models.formats import metadata
from convmedia.models.inference.predictor import Predictor
from convmedia.models.kind import Mismatch
from convmedia.models.outputs import KINDS, kind_named
from convmedia.models.saving.assembly import assemble
from convmedia.models.saving.files import save

LABELS = ["sky", "road", "tree"]
EXAMPLES = [np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8) for seed in range(6)]


def masks(gain: float = 1.0) -> keras.Model:
    """Probabilities of three labels for each pixel, by a convolution that 8 bits can hold."""
    keras.utils.set_random_seed(3)
    picture = keras.Input((None, None, 3))
    maps = layers.Conv2D(8, 3, padding="same", activation="relu")(picture)
    return keras.Model(picture, layers.Conv2D(3, 1, activation="softmax")(gain * maps), name="network")


def boxes() -> keras.Model:
    """Three boxes of fixed labels whose sides and scores follow from the colours of a picture; two of them count."""
    picture = keras.Input((None, None, 3))
    colours = layers.GlobalAveragePooling2D()(picture)
    sides, number = layers.Dense(18, name="sides"), layers.Dense(1, name="number")
    answers = [layers.Reshape((3, 6))(sides(colours)), layers.Reshape(())(number(colours))]
    kernel = np.random.default_rng(0).uniform(0, 0.3, (3, 3, 6))
    kernel[..., 2:4] += kernel[..., :2]
    kernel[..., 4], kernel[..., 5] = kernel[..., 4] / 255, 0
    sides.set_weights([kernel.reshape(3, 18), np.array([0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])])
    number.set_weights([np.zeros((3, 1)), np.array([2.0])])
    return keras.Model(picture, answers, name="network")


def predictor_of(network: keras.Model, kind: str, tmp_path) -> Predictor:
    model = assemble(network, app="toy", labels=LABELS, input=PICTURE, details={}, kind=kind)
    save(model, tmp_path / "model.keras")
    return load(tmp_path / "model.keras")


def test_a_file_that_is_older_than_the_names_has_the_kind_that_its_labels_tell():
    config = Answer("mnist", ["0", "1"], PICTURE).get_config()
    assert config.pop("kind") == "probabilities"
    assert Answer.from_config(config).kind.name == "probabilities"
    assert Answer.from_config({**config, "labels": None}).kind.name == "picture"
    with pytest.raises(ValueError, match=r"probabilities, picture, mask, boxes, quantity\. Received: 'smell'"):
        kind_named("smell", None)


@pytest.mark.parametrize(
    ("kind", "labels", "shapes", "reason"),
    [
        ("probabilities", ["a", "b"], [(None, 3)], "2 labels for 3 scores"),
        ("probabilities", None, [(None, 3)], "has labels"),
        ("picture", ["a"], [(None, None, None, 3)], "has no labels"),
        ("mask", ["a", "b"], [(None, None, None, 3)], "2 labels for 3 probabilities of a pixel"),
        ("mask", ["a", "b"], [(None, 2)], "other tensors"),
        ("boxes", ["a"], [(None, 100, 5), (None,)], "5 numbers and not 6"),
        ("boxes", ["a"], [(None, 100, 6)], "other tensors"),
        ("quantity", ["a", "b"], [(None, 1)], "one number with one name; it has 1 and 2"),
        ("quantity", ["a"], [(None, 2)], "one number with one name; it has 2 and 1"),
        ("quantity", None, [(None, 1)], "has labels"),
    ],
)
def test_tensors_that_are_no_answer_of_a_kind(kind, labels, shapes, reason):
    assert reason in KINDS[kind].wrong(labels, shapes)


def test_each_kind_is_compared_on_its_own_scale():
    apart = np.full((1, 2, 2, 3), 0.02, np.float32)
    assert KINDS["mask"].difference((apart,), (0 * apart,)) == pytest.approx(0.02)
    assert KINDS["picture"].difference((apart,), (0 * apart,)) == pytest.approx(0.02 / 255)
    pair = np.zeros((1, 1, 6), np.float32), np.ones(1, np.float32)
    moved = pair[0] + np.float32([0.01, 0, 0, 0, 0, 0]), pair[1]
    assert KINDS["boxes"].difference(moved, pair) == pytest.approx(1e-4)
    surer = pair[0] + np.float32([0, 0, 0, 0, 0.01, 0]), pair[1]
    assert KINDS["boxes"].difference(surer, pair) == pytest.approx(1e-2)
    assert KINDS["boxes"].difference((pair[0], pair[1] + 1), pair) == 1.0
    with pytest.raises(Mismatch, match="NaN"):
        KINDS["mask"].difference((np.nan * apart,), (apart,))


def test_numbers_are_compared_in_deviations():
    details = {"scale": {"mean": 100.0, "deviation": 20.0, "median": 90.0}}
    kind = kind_named("quantity", ["cells"], details)
    one, other = (np.array([[100.0], [50.0]], np.float32),), (np.array([[104.0], [50.0]], np.float32),)
    assert kind.difference(one, other) == pytest.approx(4 / 20)
    assert kind.likeness([one], [other]) == pytest.approx(1 - (4 / 20) / 2)
    assert kind.served_difference((np.float32([100, 50]),), [(a[None],) for a in other[0]], ["cells"]) == (
        pytest.approx(4 / 20)
    )
    assert kind.row((np.float32([12.5]),), ["cells"], (4, 2), None) == {"target": "cells", "value": 12.5}
    assert kind.gives(["cells"]) == "a number: cells"
    assert KINDS["quantity"].difference(one, other) == 4.0  # it stays what it was
    for odd in ({"deviation": 0}, {"deviation": "2"}, {"deviation": float("nan")}, 3):
        assert kind_named("quantity", ["cells"], {"scale": odd}).difference(one, other) == 4.0


def test_several_labels_are_those_from_their_thresholds_on():
    kind = kind_named("probabilities", LABELS, {"thresholds": [0.5, 0.2, 0.9]})
    scores = np.float32([[0.5, 0.3, 0.8], [0.1, 0.1, 0.8]])
    row = kind.row((scores[0],), LABELS, (4, 2), 1)
    assert [entry["label"] for entry in row["labels"]] == ["sky", "road"]
    assert [entry["label"] for entry in row["top"]] == ["tree"]
    assert kind.row((scores[1],), LABELS, (4, 2), 1)["labels"] == []
    moved = scores + np.float32([[0, 0, 0.15], [0, 0.05, 0]])  # the first one now has a tree, too
    assert kind.same((scores,), (moved,)).tolist() == [True, True, False, True, True, True]
    assert kind.likeness([(scores,)], [(moved,)]) == pytest.approx(5 / 6)
    for wrong in ([0.5], [0.5, 0.5, "1"], "abc", [0.5, 0.5, float("nan")]):
        odd = kind_named("probabilities", LABELS, {"thresholds": wrong})
        assert "thresholds are not 3 numbers" in odd.wrong(LABELS, [(None, 3)])


def counting(gain: float = 1.0) -> keras.Model:
    """A number of a picture, around 100 with a deviation of about 20."""
    keras.utils.set_random_seed(3)
    picture = keras.Input((None, None, 3))
    maps = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(picture))
    maps = layers.Conv2D(16, 3, padding="same", activation="relu")(maps)  # the outer kernels stay as they are
    number = layers.Dense(1)(gain * layers.GlobalAveragePooling2D()(maps))
    return keras.Model(picture, layers.Rescaling(20.0, 100.0)(number), name="network")


def test_a_number_goes_all_the_way(tmp_path):
    details = {"scale": {"mean": 100.0, "deviation": 20.0, "median": 90.0}}
    model = assemble(counting(), app="toy", labels=["cells"], input=PICTURE, details=details, kind="quantity")
    save(model, tmp_path / "model.keras")
    predictor = load(tmp_path / "model.keras")
    wanted = counting().predict(EXAMPLES[0][None].astype("float32"), verbose=0)[0, 0]
    assert predictor.row_of(EXAMPLES[0])["value"] == pytest.approx(float(wanted), rel=1e-6)
    parity = export(
        predictor, ["saved-model", "onnx", "litert", "onnx-int8", "litert-int8"], tmp_path / "out", EXAMPLES
    )
    for name, entry in parity.items():
        assert "refused" not in entry, (name, entry)
    assert parity["saved-model"]["max_abs_diff_bytes"] < 1e-4
    assert (parity["litert-int8"]["metric"], parity["litert-int8"]["after"] > 0.95) == ("likeness_to_keras", True)
    said = metadata.exported(tmp_path / "out/model.onnx")["description"]
    assert (said["kind"], said["details"]) == ("quantity", details)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "out/model.onnx"))
    [given] = session.run(None, {"image": np.stack(EXAMPLES)})
    np.testing.assert_allclose(given, predictor(np.stack(EXAMPLES)), atol=1e-3)


def test_the_heat_of_a_number_is_what_makes_it_greater(tmp_path):
    """Of a network that answers the mean of red, red places are hot."""
    picture = keras.Input((None, None, 3))
    maps = layers.Conv2D(1, 1, name="red")
    number = layers.Dense(1)
    network = keras.Model(picture, number(layers.GlobalAveragePooling2D()(maps(picture))), name="network")
    maps.set_weights([np.float32([1, 0, 0]).reshape(1, 1, 3, 1), np.zeros(1)])
    number.set_weights([np.ones((1, 1)), np.zeros(1)])
    model = assemble(network, app="toy", labels=["red"], input=PICTURE, details={}, kind="quantity")
    seen = np.zeros((8, 8, 3), np.uint8)
    seen[2, 5, 0] = 200
    heat, value = grad_cam(model, seen)
    assert np.unravel_index(heat.argmax(), heat.shape) == (2, 5)
    assert value == pytest.approx(200 / 64)


def test_boxes_are_the_same_where_label_and_place_agree():
    one = [[0, 0, 10, 10, 0.9, 1], [20, 20, 40, 40, 0.8, 2]]
    other = [[20, 20, 40, 38, 0.9, 2], [0, 0, 10, 10, 0.5, 0], [50, 50, 60, 60, 0.4, 1]]  # second: another label
    pad = np.zeros((1, 6))
    answer = np.array([np.concatenate([one, pad])]), np.array([2])
    expected = np.array([other]), np.array([3])
    assert KINDS["boxes"].same(answer, expected).tolist() == [True, False, False]
    nothing = np.zeros((1, 3, 6)), np.zeros(1)
    assert KINDS["boxes"].same(nothing, nothing).tolist() == [True]


def test_rows_of_a_mask_and_of_boxes(tmp_path):
    answer = np.zeros((2, 4, 3))
    answer[..., 0], answer[0, 0, 2] = 0.5, 0.9
    row = KINDS["mask"].row((answer,), LABELS, (4, 2), None)
    assert row == {"size": [4, 2], "areas": {"sky": 0.875, "road": 0.0, "tree": 0.125}, "mask": None, "objects": None}
    found = np.array([[1.0, 2.0, 3.0, 4.0, 0.5, 1.0], [0, 0, 1, 1, 0.25, 2], [0] * 6]), np.array(2.0)
    row = KINDS["boxes"].row(found, LABELS, (40, 30), None)
    assert row["boxes"] == [
        {"label": "road", "score": 0.5, "box": [1.0, 2.0, 3.0, 4.0]},
        {"label": "tree", "score": 0.25, "box": [0.0, 0.0, 1.0, 1.0]},
    ]
    assert row["size"] == [40, 30]


def test_a_mask_goes_all_the_way(tmp_path):
    predictor = predictor_of(masks(), "mask", tmp_path)
    assert (predictor.kind.name, predictor.describe()["kind"]) == ("mask", "mask")
    from PIL import Image

    Image.fromarray(EXAMPLES[0]).save(tmp_path / "photo.png")
    [row] = predictor.predict_files([tmp_path / "photo.png"])
    wanted = predictor(EXAMPLES[0][None])[0].argmax(-1)
    assert row["size"] == [32, 24]
    assert row["areas"]["road"] == pytest.approx((wanted == 1).mean())
    parity = export(predictor, ["saved-model", "onnx", "litert", "litert-int8"], tmp_path / "out", EXAMPLES)
    for name, entry in parity.items():
        assert "refused" not in entry, (name, entry)
    assert max(parity[name]["max_abs_diff"] for name in ("saved-model", "onnx", "litert")) < 1e-4
    assert parity["saved-model"]["max_abs_diff_bytes"] < 1e-4
    assert parity["onnx"]["same_top1"] == 1.0  # of the pixels
    assert (parity["litert-int8"]["metric"], parity["litert-int8"]["after"] > 0.995) == ("agreement", True)
    assert metadata.exported(tmp_path / "out/model.onnx")["description"]["kind"] == "mask"
    with pytest.raises(InputError, match="answers with a mask"):
        grad_cam(predictor.model, EXAMPLES[0])


def test_boxes_and_their_number_go_all_the_way(tmp_path):
    predictor = predictor_of(boxes(), "boxes", tmp_path)
    found, number = predictor.outputs(np.stack(EXAMPLES))
    assert (found.shape, number.shape) == ((6, 3, 6), (6,))
    parity = export(predictor, ["saved-model", "onnx", "litert"], tmp_path / "out", EXAMPLES)
    for name, entry in parity.items():
        assert "refused" not in entry, (name, entry)
        assert entry["same_top1"] == 1.0
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "out/model.onnx"))
    given = session.run(["output_0", "output_1"], {"image": np.stack(EXAMPLES)})
    np.testing.assert_allclose(given[0], found, atol=1e-3)
    np.testing.assert_array_equal(given[1], number)


def test_a_mask_that_is_two_hundredths_off_is_refused(tmp_path, monkeypatch):
    """Divided by 255, as pictures are, such a file would be within 1e-4."""
    predictor = predictor_of(masks(), "mask", tmp_path)
    from dataclasses import replace

    from convmedia.models.formats import writers

    def other(model, path):
        wrong = assemble(masks(1.03), app="toy", labels=LABELS, input=PICTURE, details={}, kind="mask")
        writers.write_onnx(wrong, path)

    monkeypatch.setitem(exporter.FORMATS, "onnx", replace(exporter.FORMATS["onnx"], write=other))
    parity = export(predictor, ["onnx"], tmp_path / "out", EXAMPLES)
    assert "differ from Keras by" in parity["onnx"]["refused"]
    assert json.loads((tmp_path / "out/parity.json").read_text()) == parity
