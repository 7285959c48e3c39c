"""`convmedia audio` as a user meets it, on sounds of two kinds: high tones and low ones."""

import io
import json
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import soundfile
from PIL import Image

from convmedia.apps import audio
from convmedia.apps.cli import entry as cli_entry
from convmedia.models import load

SMALL = ["--window", "0.3", "--batch-size", "8", "--precision", "float32"]
RATE = 8000


def run(capsys, *arguments):
    """Exit code, standard output and standard error of a command in this process."""
    code = cli_entry.exit_code(audio.command, [str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def tone(label, seed, seconds=None, rate=RATE):
    """A tone in noise: float32 (samples,), 0.2 to 0.5 s unless `seconds` says it."""
    rng = np.random.default_rng([seed, len(label)])
    times = np.arange(int((seconds or rng.uniform(0.2, 0.5)) * rate)) / rate
    hertz = rng.uniform(1800, 3000) if label == "high" else rng.uniform(200, 500)
    noise = rng.normal(0, 0.02, len(times))
    return (rng.uniform(0.1, 0.5) * np.sin(2 * np.pi * hertz * times) + noise).astype("float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("sounds")
    for split, number in (("train", 48), ("test", 16)):
        for index in range(number):
            label = ("high", "low")[index % 2]
            (root / split / label).mkdir(parents=True, exist_ok=True)
            samples = tone(label, index + (1000 if split == "test" else 0))
            soundfile.write(root / split / label / f"{index}.wav", samples, RATE)
    (root / "train" / "low" / "broken.wav").write_text("no sound")
    return root


@pytest.fixture(scope="module")
def small_epochs():
    """Few examples an epoch: what a test needs."""
    from convmedia.apps.tasks.audio import pipeline

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "EPOCH_EXAMPLES", 1)
        yield


@pytest.fixture(scope="module")
def trained(folder, small_epochs, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "tones"
    arguments = ["train", "--data", str(folder), *SMALL, "--epochs", "6", "--out", str(out)]
    assert cli_entry.exit_code(audio.command, arguments) == 0
    return out


@pytest.fixture
def wav(tmp_path):
    """Writes a sound file and gives its path."""

    def write(name, samples, rate=RATE, **options):
        soundfile.write(tmp_path / name, samples, rate, **options)
        return tmp_path / name

    return write


def test_a_run_folder_holds_what_the_contract_names(trained):
    names = {path.name for path in trained.iterdir()}
    assert {"model.keras", "checkpoint", "run.json", "history.csv", "report.html", "examples.npz"} <= names
    record = json.loads((trained / "run.json").read_text())
    assert record["status"] == "complete"
    assert record["labels"] == ["high", "low"]
    assert record["data"]["left_out"] == 1
    assert record["metrics"]["test"]["accuracy"] > 0.9
    assert record["input"]["kind"] == "sound"
    assert record["input"]["shape"] == [None]
    assert record["input"]["sample_rate"] == RATE
    assert record["input"] == load(trained).input
    assert "broken.wav" in (trained / "report.html").read_text()


def test_the_certainty_of_the_right_label_chooses_the_epoch_unless_it_is_said(trained):
    assert json.loads((trained / "run.json").read_text())["kept"]["monitor"] == "val_certainty"


def test_evaluate_prints_the_figures_of_the_run(trained, folder, capsys):
    code, out, err = run(capsys, "evaluate", "--data", folder, "--model", trained)
    assert code == 0
    assert " of 16, 95 % interval " in out
    assert [line.split()[-1] for line in out.splitlines() if line.startswith(("high", "low"))] == ["8", "8"]
    code, out, err = run(capsys, "evaluate", "--data", folder, "--model", trained, "--json")
    assert code == 0
    assert json.loads(out)["metrics"] == json.loads((trained / "run.json").read_text())["metrics"]
    assert "broken.wav" in err


def test_predict_names_files_in_the_order_given(trained, wav, tmp_path, capsys):
    files = [wav("a.wav", tone("low", 5)), tmp_path / "nothing.wav", wav("b.flac", tone("high", 6))]
    code, out, _ = run(capsys, "predict", *files, "--model", trained, "--json")
    rows = json.loads(out)
    assert code == 1
    assert [row["file"] for row in rows] == [str(file) for file in files]
    assert (rows[0]["label"], rows[2]["label"]) == ("low", "high")
    assert "No such file" in rows[1]["error"]
    assert set(rows[0]) == {"file", "label", "score", "top"}
    assert sum(entry["score"] for entry in rows[0]["top"]) == pytest.approx(1.0, abs=1e-6)


def test_every_window_is_listed(trained, wav, capsys):
    file = wav("both.wav", np.concatenate([tone("low", 1, 0.9), tone("high", 1, 0.9)]))
    code, out, _ = run(capsys, "predict", file, "--model", trained, "--every", "0.3", "--json")
    windows = json.loads(out)[0]["windows"]
    assert code == 0
    assert [window["label"] for window in windows] == ["low"] * 3 + ["high"] * 3
    assert [(window["start"], window["end"]) for window in windows][1] == (0.3, 0.6)
    _, out, _ = run(capsys, "predict", file, "--model", trained, "--every", "0.3")
    assert out.splitlines()[0].startswith(f"{file}\t0.00-0.30 s\tlow\t")
    assert len(out.splitlines()) == 7


@pytest.mark.parametrize(
    ("encoding", "channels", "rate"), [("s16le", 1, 8000), ("f32le", 2, 8000), ("s16le", 1, 22_050)]
)
def test_a_stream_is_answered_as_the_file(trained, wav, capsys, monkeypatch, encoding, channels, rate):
    samples = np.concatenate([tone(label, 3, 1.1, rate) for label in ("low", "high", "low")])
    kind, subtype = ("<i2", "PCM_16") if encoding == "s16le" else ("<f4", "FLOAT")
    values = np.rint(samples * 32767).astype(kind) if encoding == "s16le" else samples.astype(kind)
    values = np.repeat(values[:, None], channels, axis=1)
    file = wav("whole.wav", values, rate, subtype=subtype)
    shared = ("--model", trained, "--every", "0.25", "--json")
    offline = json.loads(run(capsys, "predict", file, *shared)[1])[0]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(values.tobytes())))
    options = ("--stream", "--rate", rate, "--channels", channels, "--encoding", encoding)
    code, out, _ = run(capsys, "predict", *options, *shared)
    assert code == 0
    assert {**json.loads(out)[0], "file": str(file)} == offline


def test_rows_go_to_a_file_and_go_on_there(trained, wav, tmp_path, capsys):
    files = [wav(f"{index}.wav", tone("high", index)) for index in range(3)]
    shared = ("--model", trained, "--out", tmp_path / "rows.jsonl", "--every", "0.2", "--json")
    run(capsys, "predict", files[0], *shared)
    _, out, _ = run(capsys, "predict", *files, *shared)
    assert json.loads(out) == {
        "out": str(tmp_path / "rows.jsonl"),
        "files": 3,
        "skipped": 1,
        "errors": 0,
        "runtime": "keras",
        "device": "CPU",
    }
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 3


def test_another_rate_is_resampled_and_said(trained, wav, capsys):
    file = wav("fast.wav", np.stack([tone("low", 8, 0.5, 192_000)] * 6, axis=1), 192_000)
    code, out, err = run(capsys, "predict", file, "--model", trained)
    assert code == 0
    assert "\tlow\t" in out
    assert "192000 Hz, the model takes 8000" in err


def test_the_shortest_sounds_are_answered_and_bad_ones_named(trained, wav, tmp_path, capsys):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("text")
    cut = wav("cut.wav", tone("low", 1))
    cut.write_bytes(cut.read_bytes()[:900])
    files = [wav("three.wav", tone("low", 1)[:3]), wav("header.wav", tone("low", 1)[:0])]
    files += [tmp_path / "empty.wav", tmp_path / "text.wav", cut]
    code, out, _ = run(capsys, "predict", *files, "--model", trained, "--json")
    rows = json.loads(out)
    assert code == 1
    assert 0 < rows[0]["score"] <= 1
    reasons = [row["error"] for row in rows[1:]]
    assert [said in reason for said, reason in zip(("no samples", "0 bytes", "no sound", "cut"), reasons, strict=True)]


def test_exports_are_verified(trained, capsys):
    code, out, _ = run(capsys, "export", "--model", trained, "--json")
    parity = json.loads(out)
    assert code == 0
    assert set(parity) == {"saved-model", "onnx", "litert"}
    assert all(figures["max_abs_diff"] < 1e-4 for figures in parity.values())


def test_explain_draws_a_sheet_for_each_sound(trained, wav, tmp_path, capsys):
    file = wav("long.wav", np.concatenate([tone("low", 1, 0.9), tone("high", 1, 0.1)]))
    code, _, _ = run(capsys, "explain", file, "--model", trained, "--out", tmp_path / "drawn")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["0000-long.png", "filters.png"]
    drawn = np.asarray(Image.open(tmp_path / "drawn" / "0000-long.png").convert("RGB"))
    assert drawn.std() > 20


def test_folds_give_mean_and_spread(small_epochs, tmp_path, capsys):
    lines = ["file,labels,fold"]
    for index in range(40):
        label = ("high", "low")[index % 2]
        soundfile.write(tmp_path / f"{index}.wav", tone(label, index), RATE)
        lines.append(f"{index}.wav,{label},{'ab'[index // 2 % 2]}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    arguments = ("--data", tmp_path / "table.csv", *SMALL, "--epochs", 2, "--folds", "--out", tmp_path / "run")
    code, _, _ = run(capsys, "train", *arguments)
    assert code == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    parts = [json.loads((tmp_path / "run" / f"fold-{n}" / "run.json").read_text()) for n in (1, 2)]
    accuracies = [part["metrics"]["test"]["accuracy"] for part in parts]
    assert record["metrics"]["test"]["accuracy"] == pytest.approx(np.mean(accuracies))
    assert record["metrics"]["test"]["accuracy_spread"] == pytest.approx(np.std(accuracies, ddof=1))
    assert record["metrics"]["test"]["examples"] == 40
    balanced = [part["metrics"]["test"]["balanced_accuracy"] for part in parts]
    assert record["metrics"]["test"]["balanced_accuracy"] == pytest.approx(np.mean(balanced))
    assert "per_label" not in record["metrics"]["test"]
    assert set(parts[0]["metrics"]["test"]["per_label"]) == {"high", "low"}
    assert [part["arguments"]["fold"] for part in parts] == ["a", "b"]
    assert (tmp_path / "run" / "report.html").exists()


def test_several_labels_are_learned_with_thresholds(small_epochs, tmp_path, capsys):
    lines = ["file,labels"]
    for index in range(60):
        both = index % 3 == 2
        labels = ["high", "low"] if both else [("high", "low")[index % 3]]
        soundfile.write(tmp_path / f"{index}.wav", sum(tone(label, index, 0.3) for label in labels) / 2, RATE)
        lines.append(f"{index}.wav,{';'.join(labels)}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    arguments = ("--data", tmp_path / "table.csv", *SMALL, "--epochs", 8, "--augment", "none")
    for option, said in ((("--class-weights",), "thresholds are tuned"), (("--monitor", "accuracy"), "several labels")):
        code, _, err = run(capsys, "train", *arguments, *option, "--out", tmp_path / "run")
        assert code == 2
        assert said in err.splitlines()[-1]
        assert not (tmp_path / "run").exists()
    code, _, _ = run(capsys, "train", *arguments, "--out", tmp_path / "run")
    assert code == 0
    metrics = json.loads((tmp_path / "run" / "run.json").read_text())["metrics"]["test"]
    assert metrics["mean_average_precision"] > 0.8
    assert set(metrics) == {
        *("mean_average_precision", "mean_average_precision_interval", "f1", "macro_f1", "per_label"),
        *("exact", "exact_interval", "examples"),
    }
    assert len(load(tmp_path / "run").details["thresholds"]) == 2
    _, out, _ = run(capsys, "predict", tmp_path / "2.wav", tmp_path / "0.wav", "--model", tmp_path / "run", "--json")
    rows = json.loads(out)
    assert set(rows[0]) == {"file", "labels", "top"}
    assert [len(row["top"]) for row in rows] == [2, 2]
    _, out, _ = run(capsys, "evaluate", "--data", tmp_path / "table.csv", "--model", tmp_path / "run", "--json")
    assert json.loads(out)["metrics"]["test"] == metrics


@pytest.mark.slow
def test_a_run_killed_twice_ends_with_the_same_weights(folder, tmp_path):
    weights = []
    for name, kills in (("whole", 0), ("killed", 2)):
        command = [sys.executable, "-m", "convmedia.apps", "audio", "train", "--data", str(folder), *SMALL]
        command += ["--epochs", "3", "--limit", "20", "--out", str(tmp_path / name)]
        for kill in range(kills + 1):
            process = subprocess.Popen([*command, *(["--resume"] if kill else [])], stderr=subprocess.DEVNULL)
            table = tmp_path / name / "history.csv"
            before = table.read_text() if table.exists() else ""
            while kill < kills and process.poll() is None and (not table.exists() or table.read_text() == before):
                time.sleep(0.01)
            if kill < kills:
                process.send_signal(signal.SIGKILL)
            assert process.wait(timeout=300) == (-signal.SIGKILL if kill < kills else 0)
        weights.append([keras.ops.convert_to_numpy(one) for one in load(tmp_path / name).model.weights])
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--data", "no-such-set", "--out", "x"], "no data set is named"),
        (["train", "--data", "mnist", "--out", "x"], "holds no sounds"),
        (["train", "--data", "/nowhere/at/all", "--out", "x"], "does not exist"),
        (["train", "--data", "/nowhere/table.csv", "--out", "x"], "there is no table"),
        (["train", "--data", "esc10", "--split", "speaker", "--out", "x"], "--split speaker is for fsdd"),
        (["predict"], "give files or folders, or --stream"),
        (["predict", "a.wav", "--stream"], "one of the two"),
        (["predict", "sound.wav", "--model", "nothing"], "nothing"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert said in err.splitlines()[-1]
    assert not (tmp_path / "x").exists()
