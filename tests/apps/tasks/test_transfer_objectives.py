"""`convmedia transfer` with tables of several labels and of numbers, on squares of light and a network of random
weights."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import convmedia
from convmedia.apps import transfer
from convmedia.apps.cli import entry
from convmedia.apps.tasks.transfer import quantity, ridge
from convmedia.apps.tasks.transfer import train as transfer_train
from convmedia.models.export.quality_loss import absolute_error, average_precision

QUICK = ["--backbone", "squeezenet", "--weights", "none", "--side", "48", "--precision", "float32", "--batch-size", "8"]
QUICK += ["--epochs", "0"]
LABELS = ("red", "green", "blue")


def run(capsys, *arguments):
    """Exit code, standard output and standard error of a command in this process."""
    code = entry.exit_code(transfer.command, [str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """120 pictures with a square in up to three channels; tables of the colours and of how light the pictures are."""
    root, rng = tmp_path_factory.mktemp("squares"), np.random.default_rng(0)
    rows = []
    for number in range(120):
        picture = np.full((48, 48, 3), 30.0) + rng.normal(0, 5, (48, 48, 3))
        marks = rng.random(3) < (0.6, 0.4, 0.3)
        marks[0] |= not marks.any()
        top, left = rng.integers(0, 24, 2)
        picture[top : top + 24, left : left + 24] += 180.0 * marks
        Image.fromarray(picture.clip(0, 255).astype("uint8")).save(root / f"{number:03}.png")
        names = ";".join(label for label, mark in zip(LABELS, marks, strict=True) if mark)
        rows.append([f"{number:03}.png", names, 1000 + 100 * int(marks.sum()) + int(top)])
    with (root / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "labels", "lumens"], *rows])
    return root


def trained_as(folder, out, *options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer_train, "HEAD_STEPS", 40)
        arguments = ["train", "--data", str(folder / "t.csv"), *QUICK, *options, "--out", str(out)]
        assert entry.exit_code(transfer.command, arguments) == 0
    return out


@pytest.fixture(scope="module")
def tagged(folder, tmp_path_factory):
    return trained_as(folder, tmp_path_factory.mktemp("runs") / "tagged", "--class-weights")


@pytest.fixture(scope="module")
def counted(folder, tmp_path_factory):
    return trained_as(folder, tmp_path_factory.mktemp("runs") / "counted", "--target", "lumens")


def test_files(folder, **reading):
    from convmedia.data.datasets import photos

    return photos.load(str(folder / "t.csv"), **reading).test


test_files.__test__ = False


def test_several_labels_are_measured_as_scikit_learn_does(tagged, folder, capsys):
    from sklearn.metrics import average_precision_score, f1_score

    record = json.loads((tagged / "run.json").read_text())
    assert (record["status"], record["labels"]) == ("complete", sorted(LABELS))
    test = test_files(folder, several=True)
    rows = convmedia.load(tagged).predict_files(test.paths, top=3)
    scores = [[{one["label"]: one["score"] for one in row["top"]}[label] for label in sorted(LABELS)] for row in rows]
    chosen = [[label in [one["label"] for one in row["labels"]] for label in sorted(LABELS)] for row in rows]
    figures = record["metrics"]["test"]
    wanted = average_precision_score(test.truth, scores)  # macro
    assert figures["mean_average_precision"] == pytest.approx(wanted, abs=1e-6)
    assert figures["f1"] == pytest.approx(f1_score(test.truth, chosen, average="micro"), abs=1e-9)
    by_label = f1_score(test.truth, chosen, average=None, zero_division=0)
    assert [row["f1"] for row in figures["per_label"].values()] == pytest.approx(by_label, abs=1e-9)
    low, high = figures["mean_average_precision_interval"]
    assert low <= figures["mean_average_precision"] <= high
    code, out, _ = run(capsys, "evaluate", "--data", folder / "t.csv", "--model", tagged, "--json")
    assert code == 0
    again = json.loads(out)["metrics"]["test"]
    for name in ("mean_average_precision", "mean_average_precision_interval", "f1", "macro_f1", "exact"):
        assert again[name] == pytest.approx(figures[name])
    report = (tagged / "report.html").read_text()
    assert "average precision" in report
    assert "What each stage gained" in report


def test_rows_name_the_labels(tagged, folder, tmp_path, capsys):
    code, out, _ = run(capsys, "predict", folder / "000.png", "--model", tagged, "--json")
    assert code == 0
    [row] = json.loads(out)
    assert list(row) == ["file", "labels", "top"]
    code, _, _ = run(capsys, "predict", folder / "000.png", "--model", tagged, "--out", tmp_path / "rows.csv")
    assert code == 0
    with (tmp_path / "rows.csv").open() as file:
        assert next(csv.DictReader(file))["labels"] == ";".join(one["label"] for one in row["labels"])


def test_the_saved_file_answers_in_the_unit_of_the_column(counted, folder, capsys):
    from scipy import stats

    record = json.loads((counted / "run.json").read_text())
    test = test_files(folder, target="lumens")
    model = convmedia.load(counted)
    answered = np.array([row["value"] for row in model.predict_files(test.paths)])
    errors = np.abs(answered - test.truth)
    figures = record["metrics"]["test"]
    assert figures["mean_absolute_error"] == pytest.approx(errors.mean(), rel=1e-5)
    from convmedia.data.datasets import photos

    truth = photos.load(str(folder / "t.csv"), target="lumens").train.truth
    assert figures["baseline_error"] == pytest.approx(np.abs(test.truth - np.median(truth)).mean())
    assert figures["mean_absolute_error"] < figures["baseline_error"]
    wanted = {"mean": truth.mean(), "deviation": truth.std(), "median": np.median(truth)}
    assert model.description["details"]["scale"] == pytest.approx(wanted)
    assert model.description["kind"] == "quantity"
    bootstrap = stats.bootstrap((errors,), np.mean, n_resamples=5000, method="percentile", rng=1).confidence_interval
    np.testing.assert_allclose(figures["mean_absolute_error_interval"], bootstrap, rtol=0.15)
    assert convmedia.evaluate(model, folder / "t.csv")["test"]["r2"] == pytest.approx(figures["r2"], rel=1e-4)
    code, out, _ = run(capsys, "evaluate", "--data", folder / "t.csv", "--model", counted)
    assert code == 0
    assert "always the median" in out
    report = (counted / "report.html").read_text()
    assert all(part in report for part in ("Answered and true", "Residuals", "Greatest errors"))


def test_rows_of_numbers(counted, folder, tmp_path, capsys):
    pq = pytest.importorskip("pyarrow.parquet")
    code, out, _ = run(capsys, "predict", folder / "000.png", "--model", counted, "--json")
    assert code == 0
    [row] = json.loads(out)
    assert (list(row), row["target"]) == (["file", "target", "value"], "lumens")
    for name in ("rows.csv", "rows.parquet"):
        assert run(capsys, "predict", folder / "000.png", "--model", counted, "--out", tmp_path / name)[0] == 0
    with (tmp_path / "rows.csv").open() as file:
        assert float(next(csv.DictReader(file))["value"]) == pytest.approx(row["value"])
    assert pq.read_table(tmp_path / "rows.parquet").to_pylist()[0]["value"] == pytest.approx(row["value"])
    code, out, _ = run(capsys, "predict", folder / "000.png", "--model", counted)
    assert out.split("\t")[1:] == ["lumens", f"{row['value']:.6g}\n"]


@pytest.mark.parametrize("name", ["tagged", "counted"])
def test_exports_are_proved_and_explained(name, request, folder, tmp_path, capsys):
    model = request.getfixturevalue(name)
    quantised = ("--format", "litert", "--quantize", "int8", "--tolerance", "100", "--for", "triton")
    code, out, err = run(capsys, "export", "--model", model, *quantised, "--json", "--out", tmp_path / "out")
    assert code == 0, err
    parity = json.loads(out)
    metric = {"tagged": "mean_average_precision", "counted": "mean_absolute_error"}[name]
    figures = json.loads((model / "run.json").read_text())["metrics"]["test"]
    assert parity["litert-int8"]["metric"] == metric
    assert parity["litert-int8"]["before"] == pytest.approx(figures[metric], rel=1e-4)
    assert max(parity[one]["max_abs_diff"] for one in ("onnx", "litert")) < 1e-4
    assert "lumens" in (tmp_path / "out/triton/transfer/labels.txt").read_text() or name == "tagged"
    code, _, _ = run(capsys, "explain", folder / "000.png", "--model", model, "--out", tmp_path / "explained")
    assert code == 0
    assert (tmp_path / "explained" / "0000-000-grad-cam.png").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--monitor", "accuracy"], "has several labels for a picture; give one of average-precision, loss"),
        (["--target", "lumens", "--monitor", "macro-f1"], "a number for each picture; give one of mean-absolute-error"),
        (["--target", "lumens", "--class-weights"], "has numbers and no labels; leave it out"),
        (["--target", "weight"], "has no column weight; its columns are file, labels, lumens"),
        (["--target", "labels"], "where a number is wanted"),
    ],
)
def test_what_does_not_fit_the_table_is_said_before_anything_is_written(options, said, folder, tmp_path, capsys):
    arguments = ("train", "--data", folder / "t.csv", *QUICK, *options, "--out", tmp_path / "run")
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert said in err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_a_model_for_one_label_is_not_measured_on_several(folder, tmp_path, capsys):
    rows = (folder / "t.csv").read_text().splitlines()
    single = [f"{folder}/{row.split(',')[0]},{row.split(',')[1].split(';')[0]}" for row in rows[1:]]
    (tmp_path / "one.csv").write_text("\n".join(["file,labels", *single]))
    arguments = ("train", "--data", tmp_path / "one.csv", *QUICK, "--out", tmp_path / "run")
    assert run(capsys, *arguments)[0] == 0
    code, _, err = run(capsys, "evaluate", "--data", folder / "t.csv", "--model", tmp_path / "run")
    assert code == 2
    assert "a picture has one" in err.splitlines()[-1]


def test_the_figures_of_numbers_by_hand():
    found = quantity.figures(np.array([1.0, 4.0, 6.0]), np.array([2.0, 4.0, 9.0]), median=4.0)
    assert found["mean_absolute_error"] == pytest.approx(4 / 3)
    assert found["baseline_error"] == pytest.approx(7 / 3)
    assert found["r2"] == pytest.approx(1 - 10 / (9 + 1 + 16))
    assert quantity.figures(np.ones(2), np.ones(2), 1.0)["r2"] is None


def test_what_a_quantised_file_loses():
    truth = np.array([10.0, 20.0])
    trial = absolute_error("two", lambda: iter(()), truth, deviation=50.0)
    before, after = (trial.score([(np.float32([[a], [b]]),)], []) for a, b in ((11, 19), (14, 18)))
    assert (before, after) == pytest.approx((1.0, 3.0))
    assert trial.lost(before, after) == pytest.approx(100 * 2 / 50)  # percent of the deviation
    tags = average_precision("two", lambda: iter(()), np.array([[1, 0], [0, 1]]))
    worse = tags.score([(np.float32([[0.9, 0.6], [0.1, 0.5]]),)], [])
    assert tags.lost(1.0, worse) == pytest.approx(100 * 0.25)


def test_the_head_of_numbers_is_the_ridge_regression_of_scikit_learn():
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(2)
    features = rng.normal(size=(60, 90)) * rng.uniform(0.5, 2.0, 90)
    targets = features @ rng.normal(size=90) * 0.1 + rng.normal(0, 0.5, 60) + 3
    kernels, offsets = ridge.of_strengths(features, targets, np.array([0.5, 40.0]))
    for place, strength in enumerate((0.5, 40.0)):
        wanted = Ridge(alpha=strength, solver="cholesky").fit(features, targets)
        np.testing.assert_allclose(kernels[:, place], wanted.coef_, rtol=1e-6, atol=1e-9)
        assert offsets[place] == pytest.approx(wanted.intercept_)


def test_numbers_that_features_do_not_tell_are_answered_with_their_mean():
    rng = np.random.default_rng(4)
    features, targets = rng.normal(size=(50, 80)), rng.normal(7, 1, 50)
    twice = np.concatenate([features, features + 1e-3 * rng.normal(size=features.shape)])
    kernel, _ = ridge.fitted(twice, np.tile(targets, 2), np.arange(100) % 50, seed=1)
    assert (features @ kernel).std() < 0.1  # a picture and its mirror image are left out together
    told, offset = ridge.fitted(features, features[:, 0] * 3 + 2, np.arange(50), seed=1)
    assert (told[0], offset) == (pytest.approx(3, abs=1.2), pytest.approx(2, abs=0.6))
