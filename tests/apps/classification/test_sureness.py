"""How sure classifiers are: the temperature against a formula and SciPy, "none of these" against its definition; and a
run whose files say both."""

import json

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.optimize import minimize
from scipy.special import expit, softmax

from convmedia.apps import transfer
from convmedia.apps.classification import sureness
from convmedia.apps.cli import entry
from convmedia.data import samples
from convmedia.data.storage.errors import InputError
from convmedia.models import load
from convmedia.models.analysis import grad_cam
from convmedia.models.export.exporter import export
from convmedia.models.networks.abstaining import NONE_OF_THESE, Abstain
from convmedia.models.saving.engines import exported


def drawn(number, labels, seed=0):
    """Logits, and truths drawn with the very probabilities that these logits mean."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (number, labels))
    chances = softmax(logits, 1).cumsum(1)
    return logits, (rng.random((number, 1)) > chances).sum(1).clip(0, labels - 1)


@pytest.mark.parametrize("labels", [2, 5])
@pytest.mark.parametrize("wrong", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_what_logits_were_multiplied_by(labels, wrong):
    logits, truth = drawn(20_000, labels)
    assert sureness.temperature(softmax(logits * wrong, 1), truth) == pytest.approx(wrong, rel=0.04)


def test_the_temperature_is_the_lowest_point_of_loss_and_prior():
    logits, truth = drawn(80, 3, seed=4)
    logits = 1.5 * logits

    def loss(exponent):
        scores = logits / np.exp(exponent[0])
        right = scores[np.arange(80), truth] - np.log(np.exp(scores).sum(1))
        return -right.mean() + exponent[0] ** 2 / (2 * 0.5**2) / 80

    expected = float(np.exp(minimize(loss, [0.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12}).x[0]))
    assert sureness.temperature(softmax(logits, 1), truth) == pytest.approx(expected, rel=1e-4)
    assert expected != pytest.approx(1.0, rel=0.05)


def test_a_temperature_stays_moderate_where_every_answer_is_right():
    found = np.full((30, 2), 0.03)
    found[:, 1] = 0.97
    assert 0.3 < sureness.temperature(found, np.ones(30, int)) < 1.0


def test_probabilities_at_a_temperature_are_those_of_divided_logits():
    logits = np.random.default_rng(1).normal(0, 2, (40, 4))
    at = sureness.at_temperature(softmax(logits, 1), 1.7)
    assert at == pytest.approx(softmax(logits / 1.7, 1), abs=1e-9)
    assert sureness.at_temperature(at, 1 / 1.7) == pytest.approx(softmax(logits, 1), abs=1e-9)


@pytest.mark.parametrize("units", [1, 2, 3])
def test_the_layer_shares_out_what_none_of_these_leaves(units):
    rng = np.random.default_rng(units)
    given = rng.random((7, 1)) if units == 1 else rng.dirichlet(np.ones(units), 7)
    none = rng.random((7, 1))
    answer = keras.ops.convert_to_numpy(Abstain()([given.astype("float32"), none.astype("float32")]))
    labels = np.concatenate([1 - given, given], 1) if units == 1 else given
    assert answer == pytest.approx(np.concatenate([labels * (1 - none), none], 1), abs=1e-6)
    assert answer.shape == Abstain().compute_output_shape([(7, units), (7, 1)])


def test_at_most_a_hundredth_is_beyond_the_threshold():
    rng = np.random.default_rng(3)
    logits, found = rng.normal(-4, 2, 1000), rng.dirichlet((5, 1, 1), 1000)
    none = expit(logits - sureness.threshold(logits, found, np.array([50.0])))
    abstained = none > found.max(1) * (1 - none)
    assert 0.008 <= abstained.mean() <= 0.01


@pytest.mark.parametrize(("number", "expected"), [(100, 1.0), (50, 2.0), (10, 2.8)])
def test_of_few_pictures_the_threshold_is_nearer_to_other_things(number, expected):
    logits = np.linspace(-3, 1, number)
    found = np.tile([1.0, 0.0], (number, 1))
    assert sureness.threshold(logits, found, np.full(9, 5.0)) == pytest.approx(expected, abs=0.03)
    assert sureness.threshold(logits, found, np.full(9, -5.0)) == pytest.approx(1.0, abs=0.03)


def test_other_things_are_told_apart_by_where_they_lie():
    rng = np.random.default_rng(5)
    scale = np.logspace(-0.5, 1, 6)
    inside, others = rng.normal(0, 1, (400, 6)) * scale, rng.normal(1.5, 1, (60, 6)) * scale
    kernel, bias = sureness.apart(inside, others)
    new_inside, new_others = rng.normal(0, 1, (500, 6)) * scale, rng.normal(1.5, 1, (500, 6)) * scale
    assert (new_inside @ kernel + bias < 0).mean() > 0.93  # the best line there is: Phi(1.5 * 6 ** 0.5 / 2) = 0.967
    assert (new_others @ kernel + bias > 0).mean() > 0.93
    assert (sureness.judged_by_the_rest(inside, others) > 0).mean() > 0.85


def test_the_bundled_pictures_are_256_different_ones():
    found = samples.other_things()
    assert len(found) == 256 == len({picture.tobytes() for picture in found})
    assert {(picture.shape, picture.dtype.name) for picture in found} == {((192, 192, 3), "uint8")}


def test_a_set_with_that_label_needs_no_other():
    assert sureness.labels_of({}, ("a", "b")) == ["a", "b"]
    assert sureness.labels_of({"none_of_these": "bundled"}, ("a", "b")) == ["a", "b", NONE_OF_THESE]
    with pytest.raises(InputError, match="leave the option out"):
        sureness.labels_of({"none_of_these": "bundled"}, ("a", NONE_OF_THESE))


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    """Grey lying and standing stripes in class folders, and coloured noise in a folder of its own."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(5)
    for label in ("lying", "standing"):
        (root / "set" / label).mkdir(parents=True)
        for index in range(40):
            wave = 128 + 12 * np.sin(np.arange(96) / rng.uniform(2.0, 5.0) + rng.uniform(0, 6))
            plane = np.tile(wave, (96, 1)) if label == "standing" else np.tile(wave[:, None], (1, 96))
            picture = plane[..., None] + rng.normal(0, 60, (*plane.shape, 3))
            Image.fromarray(picture.clip(0, 255).astype("uint8")).save(root / "set" / label / f"{index}.png")
    (root / "others").mkdir()
    for index in range(30):
        picture = rng.integers(0, 256, (6, 6, 3)).astype("uint8")
        Image.fromarray(picture).resize((96, 96), 0).save(root / "others" / f"{index}.png")
    (root / "others" / "torn.png").write_bytes(b"no picture")
    return root


def trained(stripes, out, *further):
    quick = ["--backbone", "efficientnet-lite0", "--side", "96", "--epochs", "0", "--out", str(out)]
    assert entry.exit_code(transfer.command, ["train", "--data", str(stripes / "set"), *quick, *further]) == 0
    return out


@pytest.fixture(scope="module")
def abstaining(stripes, tmp_path_factory):
    return trained(stripes, tmp_path_factory.mktemp("runs") / "a", "--none-of-these", str(stripes / "others"))


def test_a_run_abstains_and_its_exported_files_do(stripes, abstaining, tmp_path):
    record = json.loads((abstaining / "run.json").read_text())
    assert record["labels"] == ["lying", "standing", NONE_OF_THESE]
    assert record["none_of_these"]["pictures"] == 30  # and not the torn one
    assert record["metrics"]["test"]["abstained"] <= 0.25
    model = load(abstaining)
    files = sorted((stripes / "set").rglob("*.png"))[::6]
    rng = np.random.default_rng(99)
    noise = [np.asarray(Image.fromarray(rng.integers(0, 256, (6, 6, 3)).astype("uint8")).resize((96, 96), 0))]
    pictures = [np.asarray(Image.open(file)) for file in files] + noise * 2
    answers = model.finite(np.stack(pictures))
    assert answers.sum(1) == pytest.approx(1.0, abs=1e-5)
    assert answers[-1].argmax() == 2 and (answers[:-2].argmax(1) != 2).mean() > 0.7
    parity = export(model, ["onnx", "litert"], abstaining / "export", pictures)
    assert {name: one["same_top1"] for name, one in parity.items()} == {"onnx": 1.0, "litert": 1.0}
    for runtime in ("onnx", "litert"):
        file = exported(abstaining, runtime=runtime)
        assert file.finite(np.stack(pictures)) == pytest.approx(answers, abs=1e-4)


@pytest.mark.slow
def test_the_file_is_the_uncalibrated_one_at_the_temperature_that_the_run_names(stripes, tmp_path):
    plain = load(trained(stripes, tmp_path / "plain", "--no-calibrate"))
    run = trained(stripes, tmp_path / "calibrated")
    record, calibrated = json.loads((run / "run.json").read_text()), load(run)
    assert "temperature" not in plain.details
    fitted = record["calibration"]["temperature"]
    assert fitted == calibrated.details["temperature"] and abs(np.log(fitted)) > 0.02
    pictures = np.stack([np.asarray(Image.open(file)) for file in sorted((stripes / "set").rglob("*.png"))])
    before, after = plain.finite(pictures).astype("float64"), calibrated.finite(pictures)
    raised = before ** (1 / fitted)
    assert after == pytest.approx(raised / raised.sum(1, keepdims=True), abs=1e-4)
    report = (run / "report.html").read_text()
    assert "Calibration before" in report
    tested = record["calibration"]["test"]
    assert tested["after"]["loss"] == pytest.approx(record["metrics"]["test"]["loss"], abs=1e-4)


def test_what_speaks_for_none_of_these_is_explained(stripes, abstaining):
    model = load(abstaining).model
    picture = np.asarray(Image.open(stripes / "set" / "lying" / "0.png"))
    network, _ = grad_cam.inner_network(model)
    prepared = grad_cam.prepared(model, picture)[None]
    answer = keras.ops.convert_to_numpy(network(prepared))[0].astype("float64")
    logits = keras.Model(network.inputs[0], grad_cam._logits(network))(prepared)
    logits = keras.ops.convert_to_numpy(logits)[0].astype("float64")
    none = expit(logits[2])
    assert answer == pytest.approx([*(1 - none) * softmax(logits[:2] / 2), none], abs=1e-5)
    heats = [grad_cam.grad_cam(model, picture, label)[0] for label in range(3)]
    assert all(heat.max() == 1.0 for heat in heats)


def test_a_finished_run_that_is_continued_keeps_its_file(stripes, abstaining):
    pictures = np.stack([np.asarray(Image.open(file)) for file in sorted((stripes / "set").rglob("*.png"))])
    before = load(abstaining).finite(pictures)
    assert entry.exit_code(transfer.command, ["train", "--out", str(abstaining), "--resume"]) == 0
    assert load(abstaining).finite(pictures) == pytest.approx(before, abs=1e-4)


@pytest.mark.parametrize("given", ["nowhere", ""])
def test_what_is_no_folder_is_said_at_once(given, capsys, tmp_path):
    arguments = ["train", "--data", str(tmp_path), "--out", str(tmp_path / "r"), "--none-of-these", given]
    assert entry.exit_code(transfer.command, arguments) == 2
    assert "--none-of-these takes bundled, none, or a folder" in capsys.readouterr().err
