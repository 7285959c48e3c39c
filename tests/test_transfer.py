"""`convmedia transfer` as a user meets it, on stripes and a backbone of random weights."""

import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from PIL import Image

from convmedia.apps import _commands, _features, _transfer, transfer
from convmedia.data import pictures
from convmedia.models import load

AS_IT_IS = "efficientnet-b0"  # takes pixels as they are
QUICK = ["--backbone", "squeezenet", "--weights", "none", "--side", "64", "--precision", "float32", "--batch-size", "8"]


def run(capsys, *arguments):
    """Exit code, standard output and standard error of a command in this process."""
    code = _commands.exit_code(transfer.command, [str(argument) for argument in arguments])
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
    assert _commands.exit_code(transfer.command, arguments) == 0
    return out


def test_the_run_records_what_each_stage_gained(trained):
    record = json.loads((trained / "run.json").read_text())
    assert record["status"] == "complete"
    assert [stage["stage"] for stage in record["stages"]] == ["head on frozen features", "fine-tuning of fire9, fire8"]
    first, second = (stage["val_accuracy"] for stage in record["stages"])
    assert second >= first
    assert "What each stage gained" in (trained / "report.html").read_text()


def test_stage_one_alone_is_a_whole_run(folder, tmp_path, capsys):
    code, out, _ = run(capsys, "train", "--data", folder, *QUICK, "--epochs", 0, "--out", tmp_path / "run")
    assert code == 0
    assert "fine-tuning" not in out
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "complete"


def decoded(folder):
    split = pictures.load(str(folder)).train
    return split, pictures.Decoded(split, (32, 32))


def test_features_come_from_the_cache_the_second_time(folder, monkeypatch):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None, None, 3))
    frozen = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs)))
    split, bank = decoded(folder)
    first = _features.of(frozen, AS_IT_IS, split, 32, lambda: bank)
    batch = bank.batch(np.arange(len(bank))).astype("float32")
    np.testing.assert_allclose(first, frozen(batch), rtol=1e-5, atol=1e-3)
    mirrored = _features.of(frozen, AS_IT_IS, split, 32, lambda: bank, mirrored=True)
    np.testing.assert_allclose(mirrored, frozen(batch[:, :, ::-1]), rtol=1e-5, atol=1e-3)
    monkeypatch.setattr(_features, "computed", lambda *arguments: pytest.fail("computed again"))
    np.testing.assert_array_equal(
        _features.of(frozen, AS_IT_IS, split, 32, lambda: pytest.fail("decoded again")), first
    )


def test_other_weights_have_other_features(folder):
    split, bank = decoded(folder)
    inputs = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(4, 3)
    frozen = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(layer(inputs)))
    first = _features.of(frozen, AS_IT_IS, split, 32, lambda: bank)
    layer.set_weights([2 * weight for weight in layer.get_weights()])
    np.testing.assert_allclose(_features.of(frozen, AS_IT_IS, split, 32, lambda: bank), 2 * first, rtol=1e-4, atol=1e-3)


def test_rare_labels_count_as_much_as_frequent_ones():
    truth = np.array([0] * 9 + [1] * 3 + [2] * 6)
    weights = _transfer.importance(truth)
    assert [weights[truth == label].sum() for label in range(3)] == pytest.approx([6, 6, 6])


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


def test_vgg16_runs_whole_without_weights(folder, tmp_path, capsys):
    arguments = ("--weights", "none", "--side", 32, "--epochs", 1, "--blocks", 1, "--batch-size", 16)
    code, out, err = run(capsys, "train", "--data", folder, *arguments, "--out", tmp_path / "run")
    assert code == 0, err
    assert "fine-tuning of block5" in out
    assert load(tmp_path / "run").model.count_params() == 14_714_688 + 2 * 512 + 513


def test_find_lr_draws_a_curve_and_no_run(folder, tmp_path, capsys):
    code, out, _ = run(capsys, "train", "--data", folder, *QUICK, "--find-lr", "--out", tmp_path / "run")
    assert code == 0
    assert "a good --rate is about" in out
    assert (tmp_path / "run-learning-rate.png").is_file()
    assert not (tmp_path / "run").exists()


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
