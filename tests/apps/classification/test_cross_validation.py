"""`--folds` of the applications whose examples are pictures."""

import json

import numpy as np
import pytest
from PIL import Image

from convmedia.apps import cats_vs_dogs, mnist, transfer
from convmedia.apps.classification import cross_validation
from convmedia.apps.cli import entry
from convmedia.apps.tasks.cats_vs_dogs import train as cats_vs_dogs_train
from convmedia.apps.tasks.mnist import train as mnist_train
from convmedia.apps.tasks.transfer import train as transfer_train
from convmedia.data.datasets import photos as datasets_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Ten small pictures of each of two labels."""
    root = tmp_path_factory.mktemp("few")
    rng = np.random.default_rng(0)
    for label, least in (("dark", 0), ("light", 128)):
        (root / label).mkdir()
        for index in range(10):
            Image.fromarray(rng.integers(least, least + 128, (16, 16, 3), np.uint8)).save(root / label / f"{index}.png")
    return root


def train(module, *arguments):
    return entry.exit_code(module.command, ["train", *map(str, arguments)])


def test_cats_vs_dogs_trains_each_fold_and_a_killed_run_goes_on(photos, tmp_path, monkeypatch, capsys):
    out = tmp_path / "run"
    small = ("--network", "small", "--augment", "none", "--precision", "float32", "--epochs", 1, "--batch-size", 8)
    trained = cats_vs_dogs_train.train_one
    begun = []

    def killed_in_the_second(run):
        begun.append(run.arguments["fold"])
        if len(begun) == 2:
            raise KeyboardInterrupt
        return trained(run)

    monkeypatch.setattr(cats_vs_dogs_train, "train_one", killed_in_the_second)
    assert train(cats_vs_dogs, "--data", photos, *small, "--folds", "--out", out) == 130
    first = (out / "fold-1" / "model.keras").stat().st_mtime_ns
    assert train(cats_vs_dogs, "--out", out, "--resume") == 0
    assert begun == ["1", "2", "2", "3", "4", "5"]
    assert (out / "fold-1" / "model.keras").stat().st_mtime_ns == first
    record = json.loads((out / "run.json").read_text())
    parts = [json.loads((out / f"fold-{n}" / "run.json").read_text()) for n in range(1, 6)]
    accuracies = [part["metrics"]["test"]["accuracy"] for part in parts]
    assert record["status"] == "complete"
    assert record["metrics"]["test"]["accuracy"] == pytest.approx(np.mean(accuracies))
    assert record["metrics"]["test"]["accuracy_spread"] == pytest.approx(np.std(accuracies, ddof=1))
    assert record["metrics"]["test"]["examples"] == 20
    report = (out / "report.html").read_text()
    assert "Pictures, fold by fold" in report and "20 pictures" in report and "sounds" not in report
    assert "accuracy spread" in capsys.readouterr().out
    chosen = []
    monkeypatch.setattr(datasets_photos, "load", recording(chosen, datasets_photos.load))
    evaluate = ["evaluate", "--data", str(photos), "--model", str(out / "fold-3"), "--json"]
    assert entry.exit_code(cats_vs_dogs.command, evaluate) == 0  # on what that file never saw
    assert chosen[0].digest == parts[2]["data_digest"]


def recording(found, function):
    def call(*arguments, **options):
        found.append(function(*arguments, **options))
        return found[-1]

    return call


@pytest.mark.parametrize(("module", "where"), [(transfer, transfer_train), (mnist, mnist_train)])
def test_folds_reach_the_same_code_in_other_applications(module, where, photos, tmp_path, monkeypatch):
    seen = []

    def each(run, names, train_one, noun):
        seen.append((names, train_one, noun))
        run.record["metrics"] = {"test": {"accuracy": 0.5, "accuracy_spread": 0.1}}
        return {"metrics": {"test": {"accuracy": 0.5, "accuracy_spread": 0.1}}}

    monkeypatch.setattr(cross_validation, "each", each)
    assert train(module, "--data", photos, "--folds", "--out", tmp_path / "run") == 0
    assert seen == [(["1", "2", "3", "4", "5"], where.train_one, "picture")]


def test_runs_from_before_there_were_folds_are_single_trainings():
    assert not cross_validation.wanted({"data": "photos"})
    assert not cross_validation.wanted({"folds": True, "fold": "2"}) and cross_validation.wanted(
        {"folds": True, "fold": None}
    )
