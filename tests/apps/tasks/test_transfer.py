"""`convmedia transfer` as a user meets it, on stripes and a backbone of random weights."""

import base64
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from PIL import Image

from convmedia.apps import transfer
from convmedia.apps.cli import entry as cli_entry
from convmedia.apps.console import terminal
from convmedia.apps.tasks.transfer import feature_cache, flips
from convmedia.data.datasets import photos
from convmedia.models import load
from convmedia.models.analysis.layer_tree import every_layer

AS_IT_IS = "efficientnet-b0"  # takes pixels as they are
QUICK = ["--backbone", "squeezenet", "--weights", "none", "--side", "64", "--precision", "float32", "--batch-size", "8"]


def run(capsys, *arguments):
    """Exit code, standard output and standard error of a command in this process."""
    code = cli_entry.exit_code(transfer.command, [str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty pictures of lying and of standing stripes, in class folders that do not tell splits."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(5)
    for label in ("lying", "standing"):
        (root / label).mkdir()
        for index in range(20):
            wave = 128 + 90 * np.sin(np.arange(96) / rng.uniform(2.0, 5.0) + rng.uniform(0, 6))
            plane = np.tile(wave, (80, 1)) if label == "standing" else np.tile(wave[:, None], (1, 80))
            picture = plane[..., None] + rng.normal(0, 10, (*plane.shape, 3))
            Image.fromarray(picture.clip(0, 255).astype("uint8")).save(root / label / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "stripes"
    arguments = ["train", "--data", str(folder), *QUICK, "--epochs", "2", "--out", str(out)]
    assert cli_entry.exit_code(transfer.command, arguments) == 0
    return out


def test_the_run_records_what_each_stage_gained(trained):
    record = json.loads((trained / "run.json").read_text())
    assert record["status"] == "complete"
    assert [stage["stage"] for stage in record["stages"]] == ["head on frozen features", "fine-tuning of fire9, fire8"]
    first, second = record["stages"]
    reached = [stage["val_balanced_accuracy"] for stage in (first, second)]
    assert record["kept"]["value"] == max(reached)
    assert (first["kept"], second["kept"]) == (record["kept"]["epoch"] == 0, record["kept"]["epoch"] > 0)
    assert "What each stage gained" in (trained / "report.html").read_text()


def rows_of(path):
    with (path / "history.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_each_stage_has_its_own_figures_where_fine_tuning_makes_it_worse(folder, tmp_path, capsys):
    arguments = ("--epochs", 3, "--rate", 0.5, "--monitor", "accuracy", "--out", tmp_path / "run")
    code, out, _ = run(capsys, "train", "--data", folder, *QUICK, *arguments)
    assert code == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    head, tuned = record["stages"]
    rows = rows_of(tmp_path / "run")
    best = max(rows, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert {name: tuned[name] for name in ("epoch", "val_accuracy", "val_loss")} == {
        name: best[name] for name in ("epoch", "val_accuracy", "val_loss")
    }
    assert tuned["val_accuracy"] < head["val_accuracy"]  # that is what the rate is for
    assert (head["kept"], tuned["kept"]) == (True, False)
    assert record["kept"] == {"epoch": 0, "monitor": "val_accuracy", "value": head["val_accuracy"]}
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    assert terminal.percent(tuned["val_accuracy"]) in lines["fine-tuning of fire9, fire8"]
    assert lines["head on frozen features"].endswith("yes")
    assert " at epoch " not in drawn(tmp_path / "run" / "report.html")


def drawn(report):
    """The text of the drawings of a report."""
    parts = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", report.read_text())
    return " ".join(base64.b64decode(part).decode() for part in parts)


def test_the_report_marks_the_epoch_that_was_kept(trained):
    kept = json.loads((trained / "run.json").read_text())["kept"]
    marks = set(re.findall(r" at epoch (\d+)", drawn(trained / "report.html")))
    assert marks == ({str(kept["epoch"])} if kept["epoch"] else set())


def test_fine_tuning_that_diverges_is_told_and_leaves_stage_one(folder, tmp_path, capsys):
    arguments = ("train", "--data", folder, *QUICK, "--epochs", 2, "--rate", 1e30, "--out", tmp_path / "run")
    code, out, err = run(capsys, *arguments)
    assert code == 0
    assert re.search(r"the training diverged at epoch 1, step \d+: its loss is (nan|inf)", err)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    head, tuned = record["stages"]
    assert (record["diverged"]["epoch"], record["kept"]["epoch"]) == (1, 0)
    assert (head["kept"], tuned["kept"], "val_accuracy" in tuned) == (True, False, False)
    assert "fine-tuning of fire9, fire8 (diverged)" in out
    weights = load(tmp_path / "run").model.get_weights()
    assert all(np.isfinite(weight).all() for weight in weights)
    _, _, err = run(capsys, *arguments, "--resume")
    assert "it diverged in epoch 1 and goes no further" in err


def test_stage_one_alone_is_a_whole_run(folder, tmp_path, capsys):
    code, out, _ = run(capsys, "train", "--data", folder, *QUICK, "--epochs", 0, "--out", tmp_path / "run")
    assert code == 0
    assert "fine-tuning" not in out
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "complete"


def decoded(folder):
    split = photos.load(str(folder)).train
    return split, photos.Decoded(split, (32, 32))


def test_features_come_from_the_cache_the_second_time(folder, monkeypatch):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None, None, 3))
    frozen = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs)))
    split, bank = decoded(folder)
    first = feature_cache.of(frozen, AS_IT_IS, split, 32, lambda: bank)
    batch = bank.batch(np.arange(len(bank))).astype("float32")
    np.testing.assert_allclose(first, frozen(batch), rtol=1e-5, atol=1e-3)
    mirrored = feature_cache.of(frozen, AS_IT_IS, split, 32, lambda: bank, mirrored=True)
    np.testing.assert_allclose(mirrored, frozen(batch[:, :, ::-1]), rtol=1e-5, atol=1e-3)
    monkeypatch.setattr(feature_cache, "computed", lambda *arguments: pytest.fail("computed again"))
    np.testing.assert_array_equal(
        feature_cache.of(frozen, AS_IT_IS, split, 32, lambda: pytest.fail("decoded again")), first
    )


def test_other_weights_have_other_features(folder):
    split, bank = decoded(folder)
    inputs = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(4, 3)
    frozen = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(layer(inputs)))
    first = feature_cache.of(frozen, AS_IT_IS, split, 32, lambda: bank)
    layer.set_weights([2 * weight for weight in layer.get_weights()])
    np.testing.assert_allclose(
        feature_cache.of(frozen, AS_IT_IS, split, 32, lambda: bank), 2 * first, rtol=1e-4, atol=1e-3
    )


def test_predict_export_and_explain(trained, folder, tmp_path, capsys):
    file = folder / "standing" / "4.png"
    code, out, _ = run(capsys, "predict", file, "--model", trained, "--json")
    assert code == 0
    assert sum(entry["score"] for entry in json.loads(out)[0]["top"]) == pytest.approx(1, abs=1e-6)
    code, out, _ = run(capsys, "export", "--model", trained, "--format", "onnx", "--format", "litert", "--json")
    assert code == 0
    assert all(figures["max_abs_diff"] < 1e-4 for figures in json.loads(out).values())
    code, _, _ = run(capsys, "explain", file, "--model", trained, "--out", tmp_path / "explained")
    assert code == 0
    assert (tmp_path / "explained" / "0000-4-grad-cam.png").is_file()


@pytest.mark.parametrize("better", [True, False])
def test_flips_are_in_the_file_where_validation_is_better(better, folder, tmp_path, capsys, monkeypatch):
    figures = iter([{"val_accuracy": 0.5}, {"val_accuracy": 0.75 if better else 0.25}])
    monkeypatch.setattr(flips, "validated", lambda *_: next(figures))
    arguments = ("--epochs", 0, "--monitor", "accuracy", "--flips", "--out", tmp_path / "run")
    code, out, err = run(capsys, "train", "--data", folder, *QUICK, *arguments)
    assert code == 0, err
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [stage["kept"] for stage in record["stages"]] == [not better, better]
    assert "test-time flips" in out
    predictor = load(tmp_path / "run")
    rng = np.random.default_rng(0)
    picture = rng.uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    mirrored = np.ascontiguousarray(picture[:, :, ::-1])
    assert np.allclose(predictor(picture), predictor(mirrored), atol=1e-6) == better
    if better:  # the head's answer to the mean of the features of both
        layers = {layer.name: layer for layer in every_layer(predictor.model)}
        backbone, standardise, scores = (layers[name] for name in ("squeezenet", "standardise", "scores"))
        both = np.concatenate([picture, mirrored])[..., ::-1] - np.array([103.939, 116.779, 123.68], "float32")
        mean = np.asarray(backbone(both)).mean(axis=(1, 2)).mean(axis=0)
        shift, spread = standardise.get_weights()
        kernel, bias = scores.get_weights()
        logit = (mean - shift) / np.sqrt(spread + 1e-12) @ kernel + bias
        np.testing.assert_allclose(predictor(picture)[0, 1], 1 / (1 + np.exp(-logit[0])), atol=1e-5)


@pytest.mark.slow
def test_a_run_whose_file_is_settled_keeps_what_flips_decided(folder, tmp_path, capsys, monkeypatch):
    figures = iter([{"val_accuracy": 0.5}, {"val_accuracy": 0.75}])
    monkeypatch.setattr(flips, "validated", lambda *_: next(figures))
    arguments = ("--epochs", 1, "--monitor", "accuracy", "--flips", "--none-of-these", "bundled")
    code, _, err = run(capsys, "train", "--data", folder, *QUICK, *arguments, "--out", tmp_path / "run")
    assert code == 0, err
    path = tmp_path / "run" / "run.json"
    record, file = json.loads(path.read_text()), (tmp_path / "run" / "model.keras").read_bytes()
    path.write_text(json.dumps({**record, "status": "running"}))  # as a kill before the report leaves it
    code, _, err = run(capsys, "train", "--out", tmp_path / "run", "--resume")
    assert code == 0, err
    assert [stage["kept"] for stage in json.loads(path.read_text())["stages"]][-1]
    assert (tmp_path / "run" / "model.keras").read_bytes() == file


@pytest.mark.slow  # 14.7 million weights are trained and written
def test_vgg16_runs_whole_without_weights(folder, tmp_path, capsys):
    arguments = ("--backbone", "vgg16", "--weights", "none", "--side", 32, "--epochs", 1, "--blocks", 1)
    arguments += ("--batch-size", 16)
    code, out, err = run(capsys, "train", "--data", folder, *arguments, "--out", tmp_path / "run")
    assert code == 0, err
    assert "fine-tuning of block5" in out
    assert load(tmp_path / "run").model.count_params() == 14_714_688 + 2 * 512 + 513


def test_find_lr_draws_a_curve_and_no_run(folder, tmp_path, capsys):
    code, out, _ = run(capsys, "train", "--data", folder, *QUICK, "--find-lr", "--out", tmp_path / "run")
    assert code == 0
    found = re.match(r"a good --rate is about (\S+);|no clear rate between 1e-07 and 1e\+00: ", out)
    assert found
    assert found[1] is None or 1e-7 <= float(found[1]) <= 1
    assert (tmp_path / "run-learning-rate.png").is_file()
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_killed_in_stage_two_ends_with_the_same_weights(folder, trained, tmp_path):
    command = [sys.executable, "-m", "convmedia.apps", "transfer", "train", "--data", str(folder), *QUICK]
    command += ["--epochs", "2", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "run" / "history.csv").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=300) == -signal.SIGKILL
    assert load(tmp_path / "run").app == "transfer"
    subprocess.run([*command, "--resume"], stderr=subprocess.DEVNULL, timeout=300, check=True)
    for a, b in zip(load(trained).model.weights, load(tmp_path / "run").model.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--backbone", "vgg17"], "vgg16"),
        (["--weights", "/nowhere/weights.h5"], "/nowhere/weights.h5"),
        (["--backbone", "xception", "--side", "40", "--weights", "none"], "71 px"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(arguments, said, folder, tmp_path, capsys):
    code, _, err = run(capsys, "train", "--data", folder, *arguments, "--out", tmp_path / "run")
    assert code == 2
    assert said in err.splitlines()[-1]
    assert not os.path.lexists(tmp_path / "run")


def test_no_weights_are_shipped_and_it_says_so(folder, capsys):
    code, _, err = run(capsys, "predict", folder)
    assert code == 2
    assert "No weights are shipped for 'transfer'" in err
