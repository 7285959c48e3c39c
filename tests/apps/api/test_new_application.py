"""A new application is a face, its training and a row of `APPLICATIONS`: everything shared works for it as it is."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convmedia
from convmedia.apps import __main__ as main
from convmedia.apps.cli.entry import exit_code
from convmedia.models.saving.files import load

TOY = Path(__file__).parent / "toy"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Forty dark and forty light pictures of 12x10 px."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label, level in (("dark", 60), ("light", 190)):
        (folder / label).mkdir()
        for number in range(40):
            pixels = np.clip(rng.normal(level, 25, (10, 12, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture(scope="module", autouse=True)
def toy():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOY)
        patch.setattr(main, "APPLICATIONS", [*main.APPLICATIONS, main.Row("toy", "toy", "Tell dark from light.")])
        yield
    for name in ("toy", "toy_training"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def run(toy, photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "toy"
    assert exit_code(main.command, ["toy", "train", "--data", str(photos), "--out", str(out), "--epochs", "12"]) == 0
    return out


def test_it_is_listed_and_has_help_with_examples(capsys):
    assert exit_code(main.command, ["--help"]) == 0
    assert "Tell dark from light." in capsys.readouterr().out
    assert exit_code(main.command, ["toy", "train", "--help"]) == 0
    page = capsys.readouterr().out
    assert "convmedia toy train --data photos/ --out runs/toy" in page
    options = "--data --out --epochs --batch-size --limit --seed --resume --overwrite --folds"
    assert [option for option in options.split() if option not in page] == []


def test_its_run_folder_is_that_of_every_application(run):
    record = json.loads((run / "run.json").read_text())
    assert (record["app"], record["status"], record["kind"]) == ("toy", "complete", "probabilities")
    assert record["labels"] == ["dark", "light"]
    assert record["metrics"]["test"]["accuracy"] == 1.0
    assert {"model.keras", "history.csv", "report.html", "examples.npz", "checkpoint"} <= {
        p.name for p in run.iterdir()
    }
    assert load(run).app == "toy"


def test_it_refuses_what_others_refuse_in_the_same_words(run, photos, capsys):
    assert exit_code(main.command, ["toy", "train", "--data", str(photos), "--out", str(run)]) == 2
    assert "continue with --resume, replace it with --overwrite" in capsys.readouterr().err
    assert exit_code(main.command, ["toy", "train", "--data", "nowhere/", "--out", "x"]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert exit_code(main.command, ["toy", "predict", "x.png"]) == 2
    assert "No weights are shipped for 'toy'" in capsys.readouterr().err


def test_it_goes_on_where_it_was(run, capsys):
    before = (run / "model.keras").read_bytes()
    assert exit_code(main.command, ["toy", "train", "--out", str(run), "--resume"]) == 0
    assert "is complete" in capsys.readouterr().err
    assert (run / "model.keras").read_bytes() == before


def test_it_predicts_measures_and_explains(run, photos, tmp_path, capsys):
    files = [str(photos / "dark/0.png"), str(photos / "light/0.png"), "missing.png"]
    assert exit_code(main.command, ["toy", "predict", *files, "--model", str(run), "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [row.get("label") for row in rows] == ["dark", "light", None]
    assert "does not exist" in rows[2]["error"]
    assert exit_code(main.command, ["toy", "evaluate", "--data", str(photos), "--model", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["test"]["accuracy"] == 1.0
    assert exit_code(main.command, ["toy", "explain", files[0], "--model", str(run), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "0000-0-grad-cam.png").exists()


def test_its_exports_are_proved(run, tmp_path, capsys):
    command = ["toy", "export", "--model", str(run), "--format", "onnx", "--out", str(tmp_path), "--json"]
    assert exit_code(main.command, command) == 0
    parity = json.loads(capsys.readouterr().out)
    assert parity["onnx"]["max_abs_diff"] < 1e-4


def test_it_is_there_from_python(photos, tmp_path):
    seen = []
    trained = convmedia.train("toy", data=photos, out=tmp_path / "run", epochs=1, progress=seen.append)
    assert trained.metrics["test"]["examples"] > 5
    assert trained.report.exists()
    assert seen[-1].what
    model = trained.load()
    dark = np.full((9, 9, 3), 30, np.uint8)
    assert model.predict(dark)["top"][0]["label"] in ("dark", "light")
    assert model.embed([dark, 255 - dark]).shape == (2, 4)
    assert convmedia.evaluate(model, photos) == {"test": trained.metrics["test"]}
