"""`convmedia cats-vs-dogs` as a user meets it, on pictures of stripes: those that lie and those that stand."""

import json
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from PIL import Image

from convmedia.apps import cats_vs_dogs
from convmedia.apps.cli import entry as cli_entry
from convmedia.apps.console import terminal
from convmedia.models import load

SMALL = ["--network", "small", "--augment", "none", "--batch-size", "10", "--precision", "float32"]


def run(capsys, *arguments):
    """Exit code, standard output and standard error of a command in this process."""
    code = cli_entry.exit_code(cats_vs_dogs.command, [str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def stripes(label, seed):
    """A noisy picture of lying or standing stripes, of a size and colour of its own: uint8 (height, width, 3)."""
    rng = np.random.default_rng([seed, label == "standing"])
    height, width = rng.integers(80, 200, 2)
    wave = np.sin(np.arange(max(height, width)) / rng.uniform(2.0, 6.0) + rng.uniform(0, 6))
    plane = np.broadcast_to(wave[None, :width] if label == "standing" else wave[:height, None], (height, width))
    picture = 128 + plane[..., None] * rng.uniform(40, 90, 3) + rng.normal(0, 12, (height, width, 3))
    return picture.clip(0, 255).astype("uint8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    for split, number in (("train", 60), ("test", 20)):
        for label in ("lying", "standing"):
            (root / split / label).mkdir(parents=True)
            for index in range(number // 2):
                picture = stripes(label, index + (1000 if split == "test" else 0))
                Image.fromarray(picture).save(root / split / label / f"{index}.jpg", quality=92)
    (root / "train" / "lying" / "broken.jpg").write_bytes((root / "train" / "lying" / "3.jpg").read_bytes()[:900])
    return root


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "stripes"
    arguments = ["train", "--data", str(folder), *SMALL, "--epochs", "14", "--out", str(out)]
    assert cli_entry.exit_code(cats_vs_dogs.command, arguments) == 0
    return out


def test_a_run_folder_holds_what_the_contract_names(trained, folder):
    names = {path.name for path in trained.iterdir()}
    assert {"model.keras", "checkpoint", "run.json", "history.csv", "report.html", "examples.npz"} <= names
    record = json.loads((trained / "run.json").read_text())
    assert record["status"] == "complete"
    assert record["labels"] == ["lying", "standing"]
    assert record["data"]["left_out"] == 1
    assert record["data"]["train"] + record["data"]["validation"] == 60
    assert "broken.jpg" in (trained / "report.html").read_text()
    assert record["metrics"]["test"]["accuracy"] > 0.9


def test_evaluate_prints_the_figures_of_the_run(trained, folder, capsys):
    code, out, err = run(capsys, "evaluate", "--data", folder, "--model", trained, "--json")
    assert code == 0
    assert json.loads(out)["metrics"] == json.loads((trained / "run.json").read_text())["metrics"]
    assert "broken.jpg" in err


def test_evaluate_tells_what_chance_leaves_open_and_each_label(trained, folder, capsys):
    figures = json.loads((trained / "run.json").read_text())["metrics"]["test"]
    low, high = figures["accuracy_interval"]
    assert low < figures["accuracy"] < high or figures["accuracy"] == high == 1.0
    assert figures["balanced_accuracy"] == pytest.approx(figures["accuracy"])  # ten of each
    code, out, _ = run(capsys, "evaluate", "--data", folder, "--model", trained)
    assert code == 0
    right = round(20 * figures["accuracy"])
    assert f"({right} of 20, 95 % interval {100 * low:.1f} to {100 * high:.1f} %)" in out
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line}
    for label, row in figures["per_label"].items():
        assert rows[label][-1] == str(row["examples"]) == "10"
        assert terminal.percent(row["recall"]) in " ".join(rows[label])


def test_labels_that_the_test_split_lacks_are_named(trained, tmp_path, capsys):
    for split in ("train", "test"):
        for index in range(4):
            (tmp_path / split / "standing").mkdir(parents=True, exist_ok=True)
            Image.fromarray(stripes("standing", 70 + index + 10 * (split == "test"))).save(
                tmp_path / split / "standing" / f"{index}.png"
            )
    (tmp_path / "train" / "lying").mkdir()
    for index in range(4):
        Image.fromarray(stripes("lying", 70 + index)).save(tmp_path / "train" / "lying" / f"{index}.png")
    code, out, _ = run(capsys, "evaluate", "--data", tmp_path, "--model", trained)
    assert code == 0
    assert "leave out the labels without examples: lying" in out


def test_predict_names_files_in_the_order_given(trained, folder, tmp_path, capsys):
    empty = tmp_path / "empty.jpg"
    empty.write_bytes(b"")
    files = [folder / "test" / "standing" / "4.jpg", empty, folder / "test" / "lying" / "7.jpg"]
    code, out, _ = run(capsys, "predict", *files, "--model", trained, "--json")
    rows = json.loads(out)
    assert code == 1
    assert [row["file"] for row in rows] == [str(file) for file in files]
    assert rows[0]["label"] == "standing"
    assert rows[2]["label"] == "lying"
    assert "empty" in rows[1]["error"]
    assert sum(entry["score"] for entry in rows[0]["top"]) == pytest.approx(1.0, abs=1e-6)


def test_the_file_answers_as_the_network_on_what_the_input_path_reads(trained, folder):
    from convmedia.data.datasets import photos

    predictor = load(trained)
    file = folder / "test" / "standing" / "2.jpg"
    network = next(layer for layer in predictor.model.layers if isinstance(layer, keras.Model))
    inputs = photos.read(file, (150, 150))[None] / np.float32(255)
    standing = float(keras.ops.convert_to_numpy(network(inputs, training=False))[0, 0])
    row = predictor.predict_files([file])[0]
    scores = {entry["label"]: entry["score"] for entry in row["top"]}
    assert scores["standing"] == pytest.approx(standing, abs=5e-3)


def test_exports_are_verified(trained, capsys):
    code, out, _ = run(capsys, "export", "--model", trained, "--format", "onnx", "--format", "litert", "--json")
    assert code == 0
    parity = json.loads(out)
    assert all(parity[name]["max_abs_diff"] < 1e-4 for name in ("onnx", "litert"))


def test_explain_draws_the_photo_and_where_the_network_looked(trained, folder, tmp_path, capsys):
    file = folder / "test" / "lying" / "1.jpg"
    code, _, _ = run(capsys, "explain", file, "--model", trained, "--out", tmp_path / "explained")
    assert code == 0
    names = sorted(path.name for path in (tmp_path / "explained").iterdir())
    assert names == ["0000-1-grad-cam.png", "0000-1-maps.png", "filters.png"]
    pair = np.asarray(Image.open(tmp_path / "explained" / names[0])).astype(int)
    left, right = np.split(pair, 2, axis=1)
    squashed = Image.open(file).resize((150, 150), Image.Resampling.BILINEAR)
    assert np.abs(left[::2, ::2] - np.asarray(squashed)).mean() < 2
    assert not np.array_equal(left, right)


def test_three_labels_of_unequal_frequency_are_learned_too(folder, tmp_path, capsys):
    for label in ("lying", "standing", "plain"):
        (tmp_path / "three" / label).mkdir(parents=True)
        for index in range(9 if label == "lying" else 6):
            shade = np.full((90, 100, 3), 30 * index, "uint8")
            picture = shade if label == "plain" else stripes(label, 50 + index)
            Image.fromarray(picture).save(tmp_path / "three" / label / f"{index}.png")
    arguments = ("--data", tmp_path / "three", "--epochs", 1, "--batch-size", 4, "--augment", "randaugment")
    arguments += ("--mixup", 0.2, "--cutmix", 1, "--monitor", "macro-f1")
    code, _, _ = run(capsys, "train", *arguments, "--out", tmp_path / "run")
    assert code == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["kept"]["monitor"] == "val_macro_f1"
    assert record["arguments"]["class_weights"] is True
    assert "val_macro_f1" in (tmp_path / "run" / "history.csv").read_text().splitlines()[0]
    row = load(tmp_path / "run").predict_files([tmp_path / "three" / "plain" / "0.png"])[0]
    assert {entry["label"] for entry in row["top"]} == {"lying", "plain", "standing"}


@pytest.mark.slow
def test_a_run_killed_twice_ends_with_the_same_weights(folder, trained, tmp_path):
    command = [sys.executable, "-m", "convmedia.apps", "cats-vs-dogs", "train", "--data", str(folder), *SMALL]
    command += ["--epochs", "14", "--out", str(tmp_path / "run")]
    for kill in range(3):
        process = subprocess.Popen([*command, *(["--resume"] if kill else [])], stderr=subprocess.DEVNULL)
        table = tmp_path / "run" / "history.csv"
        before = table.read_text() if table.exists() else ""
        while kill < 2 and process.poll() is None and (not table.exists() or table.read_text() == before):
            time.sleep(0.01)
        if kill < 2:
            process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=300) == (-signal.SIGKILL if kill < 2 else 0)
    for a, b in zip(load(trained).model.weights, load(tmp_path / "run").model.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--data", "no-such-set", "--out", "x"], "no data set is named"),
        (["train", "--data", "mnist", "--out", "x"], "holds no class folders"),
        (["train", "--data", "/nowhere/at/all", "--out", "x"], "does not exist"),
        (["train", "--data", ".", "--limit", "0", "--out", "x"], "limit"),
        (["predict", "photo.jpg", "--model", "nothing"], "nothing"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert said in err.splitlines()[-1]
    assert not (tmp_path / "x").exists()
