"""`--seeds`: a run folder for each seed, mean and interval over them."""

import json

import numpy as np
import pytest
from scipy import stats

from convmedia.apps.runs import opening
from convmedia.apps.runs.record import recorded
from convmedia.apps.runs.run_folder import Run
from convmedia.apps.verbs import seeds

FIGURES = {4: (0.90, 10.0), 5: (0.94, 12.0), 6: (0.95, 17.0)}  # of each seed: accuracy, PSNR


@pytest.fixture
def trained():
    """The seeds that were trained, and what trains them; a seed that is in `fails` ends with an error."""
    found, fails = [], set()

    def train(run):
        seed = run.arguments["seed"]
        with run.begin():
            found.append(seed)
            if seed in fails:
                raise KeyboardInterrupt
            accuracy, psnr = FIGURES[seed]
            per_label = {"per_label": {"cat": 1}, "accuracy_interval": [0.1, 0.9]}
            run.finish(metrics={"test": {"accuracy": accuracy, "psnr": psnr, "examples": 50, **per_label}})

    return found, fails, train


def new(tmp_path):
    return opening.new_run("test", tmp_path / "run", {"seed": 4, "seeds": 3, "data": "photos", "network": "small"})


def test_mean_and_students_interval_of_each_figure(tmp_path, trained):
    found, _, train = trained
    record = seeds.each(new(tmp_path), train)
    assert found == [4, 5, 6]
    figures = record["metrics"]["test"]
    for name, values in zip(("accuracy", "psnr"), zip(*FIGURES.values(), strict=True), strict=True):
        result = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
        assert figures[name] == pytest.approx(np.mean(values))
        assert figures[f"{name}_between_seeds"] == pytest.approx([result.low, result.high])
    assert (figures["seeds"], figures["examples"], "per_label" in figures) == (3, 50, False)
    assert seeds.line("test", figures) == "mean of 3 seeds: accuracy 0.93 (0.8643 to 0.9957), psnr 13 (4.043 to 21.96)"
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "seed 4" in page and "0.93 (0.8643 to 0.9957)" in page


def test_each_seed_has_a_run_folder_of_its_own(tmp_path, trained):
    *_, train = trained
    seeds.each(new(tmp_path), train)
    for seed in FIGURES:
        arguments = json.loads((tmp_path / "run" / f"seed-{seed}" / "run.json").read_text())["arguments"]
        assert (arguments["seed"], arguments["seeds"]) == (seed, 1)
    assert not seeds.wanted({"seed": 1})
    assert not seeds.wanted({"seeds": 1})


def test_complete_seeds_are_kept_when_a_run_is_continued(tmp_path, trained):
    found, fails, train = trained
    fails.add(6)
    with pytest.raises(KeyboardInterrupt):
        seeds.each(new(tmp_path), train)
    fails.clear()
    record = seeds.each(Run(tmp_path / "run", recorded(tmp_path / "run"), False), train)
    assert found == [4, 5, 6, 6]
    assert record["status"] == "complete"
