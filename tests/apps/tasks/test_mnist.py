"""`convmedia mnist` as a user meets it: from training to answers, and every way to give it something wrong."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from convmedia.apps import mnist
from convmedia.apps.classification.initial_weights import first_filters
from convmedia.apps.cli import entry as cli_entry
from convmedia.apps.runs import opening


def run(capsys, *arguments):
    """Exit code, standard output and standard error of a command in this process."""
    code = cli_entry.exit_code(mnist.command, [str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    arguments = ["train", "--data", "digits", "--network", "lenet5", "--epochs", "14", "--batch-size", "32"]
    arguments += ["--out", str(folder)]
    assert cli_entry.exit_code(mnist.command, arguments) == 0
    return folder


@pytest.fixture(scope="module")
def seven(tmp_path_factory):
    """A thin dark seven on a light ground, off-centre."""
    picture = Image.new("RGB", (240, 180), (235, 230, 220))
    ImageDraw.Draw(picture).line([(120, 40), (175, 42), (140, 130)], fill=(20, 30, 90), width=7, joint="curve")
    path = tmp_path_factory.mktemp("pictures") / "seven.png"
    picture.save(path)
    return path


def test_a_run_folder_holds_what_the_contract_names(trained):
    names = {path.name for path in trained.iterdir()}
    assert {"model.keras", "checkpoint", "run.json", "history.csv", "report.html", "examples.npz"} <= names
    record = json.loads((trained / "run.json").read_text())
    assert record["status"] == "complete"
    assert record["input"] == {"kind": "image", "dtype": "float32", "shape": [None, None, 3]}
    assert record["labels"] == list("0123456789")
    assert record["data"]["train"] == 1257
    assert len((trained / "history.csv").read_text().splitlines()) == 15
    assert "http" not in (trained / "report.html").read_text().split("<body")[0].replace("http-equiv", "")


def test_it_learns_and_does_not_mind_inversion(trained):
    metrics = json.loads((trained / "run.json").read_text())["metrics"]
    assert metrics["test"]["accuracy"] > 0.9
    assert abs(metrics["test"]["accuracy"] - metrics["inverted"]["accuracy"]) < 0.03


def test_evaluate_prints_the_figures_of_the_run(trained, capsys):
    code, out, _ = run(capsys, "evaluate", "--data", "digits", "--model", trained, "--json")
    assert code == 0
    assert json.loads(out)["metrics"] == json.loads((trained / "run.json").read_text())["metrics"]


def test_predict_answers_in_the_order_given_and_names_bad_files(trained, seven, tmp_path, capsys):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    code, out, _ = run(capsys, "predict", seven, text, tmp_path / "missing.png", seven, "--model", trained, "--json")
    rows = json.loads(out)
    assert code == 1
    assert [row["file"] for row in rows] == [str(seven), str(text), str(tmp_path / "missing.png"), str(seven)]
    assert rows[0]["label"] == rows[3]["label"]
    assert rows[0]["score"] == pytest.approx(
        rows[3]["score"], abs=1e-6
    )  # its place in the batch may tell in the last bit
    assert rows[0]["label"] == rows[0]["top"][0]["label"] == "7"
    assert sum(entry["score"] for entry in rows[0]["top"]) <= 1 + 1e-6
    assert "text.png" in rows[1]["error"]
    assert "\n" not in rows[1]["error"]


def test_predict_appends_rows_and_does_not_repeat_them(trained, seven, tmp_path, capsys):
    rows = tmp_path / "rows.jsonl"
    for expected in ({"skipped": 0}, {"skipped": 1}):
        code, out, _ = run(capsys, "predict", seven, "--model", trained, "--out", rows, "--json")
        assert code == 0
        assert json.loads(out).items() >= expected.items()
    assert [json.loads(line)["label"] for line in rows.read_text().splitlines()] == ["7"]


def test_polarity_does_not_change_the_answer(trained, seven, tmp_path, capsys):
    inverted = tmp_path / "inverted.png"
    Image.fromarray(255 - np.asarray(Image.open(seven))).save(inverted)
    _, out, _ = run(capsys, "predict", seven, inverted, "--model", trained, "--json")
    dark, light = json.loads(out)
    assert dark["label"] == light["label"] == "7"
    assert dark["score"] == pytest.approx(light["score"], abs=1e-3)


def test_a_page_without_a_digit_is_an_error_and_no_digit(trained, tmp_path, capsys):
    Image.new("RGB", (80, 60), (250, 250, 250)).save(tmp_path / "blank.png")
    code, out, _ = run(capsys, "predict", tmp_path / "blank.png", "--model", trained, "--json")
    assert code == 1
    [row] = json.loads(out)
    assert row.keys() == {"file", "error"} and "blank.png shows no digit" in row["error"]


def test_explain_writes_filters_maps_and_grad_cam(seven, tmp_path, capsys):
    code, out, _ = run(capsys, "explain", seven, "--out", tmp_path / "explained")
    assert code == 0
    names = sorted(path.name for path in (tmp_path / "explained").iterdir())
    assert names == ["0000-seven-grad-cam.png", "0000-seven-maps.png", "filters.png"]
    assert all(str(tmp_path / "explained" / name) in out for name in names)
    cam = np.asarray(Image.open(tmp_path / "explained" / names[0])).astype(int)
    left, right = cam[:, :280], cam[:, 280:]
    assert (left.max(-1) == left.min(-1)).all()  # what the network sees is grey
    assert left.max() > 200
    assert right.shape == left.shape
    assert not np.array_equal(left, right)


@pytest.mark.slow
def test_the_filters_before_training_are_those_the_training_began_with(tmp_path, monkeypatch):
    """A training that does nothing leaves the initial filters in the file: those are the ones shown as "before"."""
    from convmedia.apps.training import trainer
    from convmedia.models import load
    from convmedia.models.analysis.grad_cam import filters

    def do_nothing(network, run, *arguments, keep, **options):
        keep()
        return [{"epoch": 1, "loss": 1.0, "val_accuracy": 0.1, "seconds": 0.0}]

    monkeypatch.setattr(trainer, "fit", do_nothing)
    arguments = ["train", "--data", "digits", "--limit", "20", "--no-augment", "--seed", "6"]
    assert cli_entry.exit_code(mnist.command, [*arguments, "--out", str(tmp_path / "run")]) == 0
    predictor = load(tmp_path / "run")
    assert np.array_equal(first_filters(predictor), filters(predictor.model))


@pytest.mark.slow
def test_fine_tuning_starts_from_what_was_learned(trained, tmp_path, capsys):
    options = ("--data", "digits", "--network", "lenet5", "--limit", 60, "--no-augment", "--epochs", 1)
    assert run(capsys, "train", *options, "--weights", trained, "--out", tmp_path / "tuned")[0] == 0
    assert run(capsys, "train", *options, "--out", tmp_path / "random")[0] == 0
    tuned, untrained = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("tuned", "random"))
    assert tuned["metrics"]["test"]["accuracy"] > 0.85 > untrained["metrics"]["test"]["accuracy"]
    other = ("--weights", trained, "--network", "convnet", "--out", tmp_path / "other")
    code, _, err = run(capsys, "train", *options, *other)
    assert code == 2
    assert "no layer" in err
    assert not (tmp_path / "other").exists()


def test_epochs_are_chosen_on_photographs_of_the_held_out_digits_too(monkeypatch):
    from convmedia.apps.tasks.mnist import pipeline
    from convmedia.data.datasets import digits

    def flat(digit, size, rng):
        """The digit large in the middle of a page, without anything that a camera adds."""
        page = Image.new("L", size[::-1])
        side = min(size) // 28 * 28
        page.paste(Image.fromarray(digit).resize((side, side)), ((size[1] - side) // 2, (size[0] - side) // 2))
        return np.repeat(np.asarray(page)[..., None], 3, -1)

    monkeypatch.setattr(pipeline, "photograph", flat)
    monkeypatch.setattr(pipeline, "styled", lambda digit, label, rng: digit)
    data = digits.load("digits").limited(40, 1)
    number = len(data.validation)
    made = pipeline.PreparedDigits.of(data, "ink", invert=True, augment=True, epochs=8, seed=1)
    inputs, targets = made.validation
    assert len(inputs) == len(targets) == 2 * number
    clean, photos = inputs[:number, ..., 0], inputs[number:, ..., 0]
    np.testing.assert_array_equal(targets[:number], targets[number:])
    assert (targets[:number].argmax(1) == data.validation.truth).all()
    errors = np.abs(clean[:, None] - photos[None]).mean((2, 3))
    assert (errors.argmin(1) == np.arange(number)).mean() > 0.9  # each is a photograph of its own digit
    plain = pipeline.PreparedDigits.of(data, "ink", invert=True, augment=False, epochs=8, seed=1).validation
    np.testing.assert_array_equal(plain[0][..., 0], clean)
    assert len(plain[0]) == number


def test_photographs_for_validation_follow_from_the_seed():
    from convmedia.apps.tasks.mnist import pipeline
    from convmedia.data.datasets import digits

    data = digits.load("digits").limited(20, 1)
    few = (data.validation.pictures[:12], np.eye(10, dtype="float32")[data.validation.truth[:12]])
    prepare = pipeline.preparer("ink")
    clean = pipeline.to_bytes(pipeline.answers(prepare, few[0], 12, "preparing"))
    first, again, other = (pipeline.with_photographs(prepare, clean, few[1], data.labels, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[:12], other[:12])
    assert (first[12:] != other[12:]).any(axis=(1, 2, 3)).all()


def test_there_are_as_many_photographs_as_the_epochs_show():
    from convmedia.apps.tasks.mnist import pipeline
    from convmedia.data.datasets import digits

    data = digits.load("digits").limited(100, 1)
    for epochs, share in ((1, 0.08), (3, 0.24), (7, 0.5), (100, 0.5)):
        made = pipeline.PreparedDigits.of(data, "ink", invert=True, augment=True, epochs=epochs, seed=1)
        assert len(made.parts["photos"]) == int(share * len(data.train))
        assert len(made.parts["nothing"]) >= 1


@pytest.mark.parametrize(
    ("fresh", "record", "weights", "name"),
    [
        (True, {}, "none", "muon"),
        (True, {}, "mnist", "adamw"),
        (False, {}, "none", "adamw"),  # of before it was recorded
        (False, {"optimizer": "muon"}, "none", "muon"),
    ],
)
def test_what_trains_is_recorded_and_stays(fresh, record, weights, name):
    from types import SimpleNamespace

    from convmedia.apps.classification import initial_weights
    from convmedia.apps.tasks.mnist import train

    arguments = {"weights": weights, "epochs": 10}
    run = SimpleNamespace(fresh=fresh, record=record, arguments=arguments)
    assert initial_weights.optimizer_name(run) == name
    run.record = {**record, "optimizer": name}
    chosen = train.compiling(run, 100)["optimizer"]
    assert name in type(chosen).__name__.lower()
    peak = {"muon": 4e-3, "adamw": 1e-3 if weights == "mnist" else 2e-3}[name]
    assert float(chosen._learning_rate(100)) == pytest.approx(peak, rel=0.01)


@pytest.mark.slow
def test_a_run_from_before_there_was_a_choice_continues_as_it_was(tmp_path, capsys):
    small = ("--data", "digits", "--network", "lenet5", "--limit", 60, "--no-augment", "--monitor", "accuracy")
    small += ("--no-class-weights",)
    run(capsys, "train", *small, "--epochs", 1, "--out", tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    for name in ("monitor", "class_weights"):
        del record["arguments"][name]
    del record["kept"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    code, _, err = run(capsys, "train", "--data", "digits", "--out", tmp_path / "run", "--resume", "--epochs", 2)
    assert code == 0, err
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["kept"]["monitor"] == "val_accuracy"
    assert "monitor" not in record["arguments"]
    header = (tmp_path / "run" / "history.csv").read_text().splitlines()[0]
    assert header == "epoch,accuracy,loss,val_accuracy,val_loss,learning_rate,seconds"


def picture(path, size):
    Image.new("L", size, 255).save(path)
    return path


def test_tiny_pictures_are_answered_where_they_show_something(trained, tmp_path, capsys):
    files = []
    for width, height in ((1, 1), (1, 50), (3, 2)):
        files.append(picture(tmp_path / f"{width}x{height}.png", (width, height)))
        with Image.open(files[-1]) as blank:
            blank.putpixel((0, 0), 0)
            blank.save(tmp_path / f"marked{width}x{height}.png")
        files.append(tmp_path / f"marked{width}x{height}.png")
    code, out, _ = run(capsys, "predict", *files, "--model", trained, "--json")
    rows = json.loads(out)
    assert code == 1
    blank = [row for row in rows if "error" in row]
    assert [Path(row["file"]).name for row in blank] == ["1x1.png", "marked1x1.png", "1x50.png", "3x2.png"]
    assert all("the page is blank" in row["error"] for row in blank)
    assert all(np.isfinite(row["score"]) for row in rows if row not in blank)


def truncated(path):
    Image.effect_noise((200, 200), 60).save(path, quality=90)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


BAD_FILES = {
    "empty": lambda folder: (folder / "empty.png").write_bytes(b"") or folder / "empty.png",
    "truncated": lambda folder: truncated(folder / "half.jpg"),
    "bomb": lambda folder: picture(folder / "huge.png", (20_000, 20_000)),
    "folder name": lambda folder: folder / "missing.jpg",
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_an_error_row_and_exit_1(trained, tmp_path, capsys, kind):
    path = BAD_FILES[kind](tmp_path)
    code, out, _ = run(capsys, "predict", path, "--model", trained, "--json")
    rows = json.loads(out)
    assert code == 1
    assert set(rows[0]) == {"file", "error"}
    assert path.name in rows[0]["error"]


def not_ours(tmp_path):
    import keras

    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    return tmp_path / "other.keras"


def test_wrong_arguments_are_one_line_and_exit_2(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CONVMEDIA_DATA", raising=False)
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").write_text("theirs")
    (tmp_path / "text.keras").write_text("no model")
    new = tmp_path / "new"
    cases = {
        ("train", "--data", "minst", "--out", new): "mnist",
        ("train", "--data", "Set5", "--out", new): "holds no digits",
        ("train", "--data", tmp_path / "nowhere", "--out", new): "nowhere",
        ("train", "--data", "digits", "--limit", 0, "--out", new): "--limit",
        ("train", "--data", "digits", "--epochs", "many", "--out", new): "--epochs",
        ("train", "--data", "digits", "--backend", "theano", "--out", new): "theano",
        ("train", "--data", "digits", "--distribute", "--backend", "torch", "--out", new): "--distribute",
        ("train", "--data", "digits", "--out", tmp_path / "theirs"): "not a run folder",
        ("train", "--data", "digits", "--out", tmp_path / "theirs", "--overwrite"): "not a run folder",
        ("train", "--data", "digits", "--out", new, "--resume"): "not a run folder",
        ("predict", "x.png", "--model", tmp_path / "no.keras"): "no.keras",
        ("predict", "x.png", "--model", tmp_path / "text.keras"): "no Keras file",
        ("predict", "x.png", "--model", not_ours(tmp_path)): "did not write",
        ("predict", "x.png", "--model", tmp_path / "theirs"): "model.keras",
        ("predict",): "no file is named",
        ("export", "--format", "onyx"): "onyx",
    }
    for arguments, words in cases.items():
        code, out, err = run(capsys, *arguments)
        assert (code, out) == (2, ""), (arguments, err)
        assert err.startswith("error: ")
        assert err.count("\n") == 1, err
        assert words in err, (words, err)
        assert not (new / "model.keras").exists()


def test_without_network_one_line_names_the_set_and_the_bundled_one(tmp_path, capsys, monkeypatch):
    from convmedia.data.sources import fetch

    closed = "http://127.0.0.1:9/mnist.npz"
    monkeypatch.delenv("CONVMEDIA_DATA", raising=False)
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path / "cache"))
    import dataclasses

    monkeypatch.setitem(fetch.SOURCES, "mnist", dataclasses.replace(fetch.SOURCES["mnist"], urls=(closed,)))
    code, _, err = run(capsys, "train", "--data", "mnist", "--out", tmp_path / "run")
    assert code == 2
    assert err.count("\n") == 1
    assert "mnist" in err
    assert str(tmp_path / "cache") in err
    assert "digits" in err


def test_a_failed_start_leaves_nothing_and_a_failed_overwrite_leaves_the_run(tmp_path, capsys):
    (tmp_path / "tiny" / "0").mkdir(parents=True)
    (tmp_path / "tiny" / "1").mkdir()
    for label in "01":
        picture(tmp_path / "tiny" / label / f"{label}.png", (20 + int(label), 20))
    for data, words in ((tmp_path / "nowhere", "nowhere"), (tmp_path / "tiny", "has no picture for"), ("", "empty")):
        code, _, err = run(capsys, "train", "--data", data, "--out", tmp_path / "run")
        assert (code, err.count("\n")) == (2, 1), err
        assert words in err
        assert not (tmp_path / "run").exists()
    small = ("train", "--data", "digits", "--limit", 20, "--no-augment", "--epochs", 1, "--out", tmp_path / "run")
    assert run(capsys, *small)[0] == 0
    model = (tmp_path / "run" / "model.keras").read_bytes()
    assert run(capsys, "train", "--data", tmp_path / "tiny", "--out", tmp_path / "run", "--overwrite")[0] == 2
    assert (tmp_path / "run" / "model.keras").read_bytes() == model


def test_names_that_are_not_utf8_are_answered(trained, seven, tmp_path, capsys):
    odd = os.fsencode(tmp_path) + b"/\xe9\xe2\x80\xa8.png"
    with open(odd, "wb") as file:  # noqa: PTH123
        file.write(seven.read_bytes())
    rows = tmp_path / "rows.jsonl"
    for expected in (0, 1):
        code, out, _ = run(capsys, "predict", os.fsdecode(odd), "--model", trained, "--out", rows, "--json")
        assert code == 0
        assert json.loads(out)["skipped"] == expected
    assert json.loads(rows.read_text())["file"] == os.fsdecode(odd)
    code, out, _ = run(capsys, "predict", os.fsdecode(odd), "--model", trained)
    out.encode("utf-8")
    assert "\t7\t" in out


def test_compare_continues_with_other_pictures_and_json(seven, tmp_path, capsys):
    options = ("--data", "digits", "--small", 60, "--epochs", 1, "--out", tmp_path / "compare")
    code, out, _ = run(capsys, "compare", seven, *options)
    assert code == 0
    assert [line.split("  ")[0] for line in out.splitlines()[1:5]] == [
        "small set",
        "full set",
        "full set, inverted too",
        "default preparation",
    ]
    model = (tmp_path / "compare" / "full-set" / "model.keras").stat()
    code, out, err = run(capsys, "compare", seven, seven, "--out", tmp_path / "compare", "--resume", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert [len(training["answers"]) for training in result["trainings"]] == [2] * 4
    assert (tmp_path / "compare" / "full-set" / "model.keras").stat().st_mtime == model.st_mtime


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path, capsys):
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", disk], check=False).returncode:
        pytest.skip("no permission to mount")
    try:
        arguments = ("train", "--data", "digits", "--limit", 100, "--epochs", 1, "--out", disk / "run")
        code, _, err = run(capsys, *arguments)
        assert code == 2
        assert "No space left on device" in err.splitlines()[-1]
        assert not (disk / "run" / "model.keras").exists()
        assert not list(disk.rglob("*.partial*"))
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(("small", "number"), [(5000, 3), (60, 4)])
def test_compare_trains_once_on_sets_that_are_equal(tmp_path, monkeypatch, capsys, small, number):
    monkeypatch.setattr(opening, "open_part", lambda *_: SimpleNamespace(complete=True))
    options = {"data": "digits", "network": "lenet5", "epochs": 1, "seed": 1, "small": small}
    names = [name for name, _ in mnist.trainings(SimpleNamespace(arguments=options, folder=tmp_path))]
    assert len(names) == number
    assert ("small set" in names) == (number == 4)
    assert ("--small 5000 is all of the" in capsys.readouterr().err) == (number == 3)
