"""Each application trained on the other backends, and by two processes together."""

import csv
import json
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
from PIL import Image

from convmedia.apps.tasks.mnist import pipeline
from convmedia.data.datasets import digits
from convmedia.models import load

pytestmark = pytest.mark.slow
needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed")
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")

# Trainings one after the other in one process; with a place in the environment together with the others of it. The last
# state of each is left in a folder. Arguments: the backend, that folder, a line for each training.
TRAININGS = """
import contextlib, os, shlex, shutil, sys
from dataclasses import replace
from pathlib import Path
from convmedia.apps.cli.backend import use_backend
from convmedia.apps.cli.entry import exit_code
# Processes that train together go on in a child of theirs, which comes here again.
use_backend(sys.argv[1], distribute="KERAS_DISTRIBUTION_PROCESS_ID" in os.environ)
from convmedia.apps.classification import report as classification_report
from convmedia.apps.tasks.audio import pipeline as audio_pipeline, report as audio_report
from convmedia.apps.training import distributed
from convmedia.apps.runs import run_folder
from convmedia.apps.tasks.style_transfer import train as style_train
from convmedia.apps.tasks.super_resolution import train as super_train
from convmedia.apps.tasks.transfer import train as transfer_train
from convmedia.apps import audio, cats_vs_dogs, mnist, style_transfer, super_resolution, transfer

states, lines = Path(sys.argv[2]), sys.argv[3:]
states.mkdir()
complete = run_folder.Run.finish

def finish(run, *arguments, **changes):
    if (run.folder / "checkpoint").exists():
        shutil.copy(run.folder / "checkpoint" / "state.npz", states / f"{len(list(states.iterdir()))}.npz")
    complete(run, *arguments, **changes)

run_folder.Run.finish = finish
audio_pipeline.EPOCH_EXAMPLES = 1
style_train.RECIPE = replace(style_train.RECIPE, rate=1e-4)  # Adam makes steps of this size of differences of rounding
together = distributed.place() is not None
if sys.argv[1] == "jax":  # trained only: measuring and reporting are the same in one process and in two

    def finished(run, *_, **options):
        run.finish(metrics={"test": {"accuracy": 0.0}})
        return run.record

    audio_report.finish = transfer_train.finish = classification_report.finish = finished
    super_train.measured = lambda *_: {"psnr": 0.0, "bicubic_psnr": 0.0}
    super_train.write_report = style_train.write_report = lambda *_: None
with distributed.joined(together):
    distributed.joined = lambda distribute: contextlib.nullcontext()
    for line in lines:
        name, *options = shlex.split(line)
        apps = (audio, cats_vs_dogs, mnist, style_transfer, super_resolution, transfer)
        [app] = [one for one in apps if one.APP == name]
        code = exit_code(app.command, ["train", *options, *(["--distribute"] if together else [])])
        if code:
            sys.exit(code)
"""


def picture(seed, height=96, width=96):
    """Waves of a few directions with noise, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(y * rng.uniform(0.05, 0.6) + x * rng.uniform(0.05, 0.6) + phase) for phase in rng.uniform(0, 6, 3)]
    return (128 + 80 * np.stack(waves, -1) + rng.normal(0, 8, (height, width, 3))).clip(0, 255).astype("uint8")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """`labelled`, pictures in class folders; `loose`, pictures; `sounds` in class folders; `painting.png`."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(2)
    for folder in ("labelled/light", "labelled/dark", "loose", "sounds/high", "sounds/low"):
        (root / folder).mkdir(parents=True)
    for number in range(20):
        for label in ("light", "dark"):
            shade = picture(2 * number + (label == "dark")) // 2 + (40 if label == "light" else 30)
            Image.fromarray(shade).save(root / "labelled" / label / f"{number}.png")
        for label, hertz in (("high", 1500), ("low", 300)):
            tone = np.sin(np.arange(3000) * 2 * np.pi * rng.uniform(hertz, 1.2 * hertz) / 8000)
            samples = 0.3 * tone + rng.normal(0, 0.02, 3000)
            soundfile.write(root / "sounds" / label / f"{number}.wav", samples, 8000)
    for number in range(8):
        Image.fromarray(picture(100 + number, 150, 160)).save(root / "loose" / f"{number}.png")
    Image.fromarray(picture(7)).save(root / "painting.png")
    return root


@pytest.fixture(scope="module")
def lines(data, small_vgg):
    """A training of each application with layers of its own kind; that of super-resolution has two parts."""
    looking = f"--weights {small_vgg} --content-layer block2_conv2 --style-layer block1_conv1"
    return {
        "audio": f"audio --data {data}/sounds --augment noises --epochs 2 --batch-size 8",
        "transfer": f"transfer --data {data}/labelled --backbone squeezenet --weights none --side 64 --epochs 2 "
        "--batch-size 8 --rate 1e-4",
        "super-resolution": f"super-resolution --data {data}/loose --network srcnn --scale 2 --scale 3 --epochs 2 "
        "--batch-size 8 --limit 16",
        "style-transfer": f"style-transfer {data}/painting.png {data}/painting.png --data {data}/loose {looking} "
        "--filters 4 --side 64 --epochs 2 --batch-size 4 --limit 8",
    }


def arguments(root, backend, kind, rank, lines):
    """Of a process: runs go to folders in root/kind, states to root/kind-rank."""
    outs = [f"{line} --seed 3 --out {root}/{kind}/{name}" for name, line in lines.items()]
    return (backend, root / f"{kind}-{rank}", *outs)


def ended(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=400)
        assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def trained(start, start_pair, data, lines, tmp_path_factory):
    """The folder of all runs and states with JAX: of one process in `alone`, of two together in `shared`."""
    root = tmp_path_factory.mktemp("runs")
    one_more = {"cats-vs-dogs": f"cats-vs-dogs --data {data}/labelled --network small --epochs 2 --batch-size 8"}
    ended(start(TRAININGS, *arguments(root, "jax", "alone", 0, lines | one_more)))
    unknown = {"CONVMEDIA_CACHE": str(root / "cache")}  # where the features of the first training are not
    ended(*start_pair(TRAININGS, lambda rank: arguments(root, "jax", "shared", rank, lines), **unknown))
    return root


def histories(folder):
    """{path below a folder: the rows of that history}."""
    found = {}
    for path in sorted(folder.rglob("history.csv")):
        with path.open() as file:
            found[str(path.relative_to(folder))] = [
                {name: float(value) for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)
            ]
    return found


def states(folder):
    return [dict(np.load(path)) for path in sorted(folder.iterdir())]


@needs_jax
@pytest.mark.parametrize("name", ["audio", "transfer", "super-resolution", "style-transfer"])
def test_two_processes_have_the_loss_curve_of_one(trained, name):
    alone, shared = histories(trained / "alone" / name), histories(trained / "shared" / name)
    assert alone.keys() == shared.keys() != set()
    for path, rows in alone.items():
        assert len(rows) == len(shared[path]) == 2
        for one, other in zip(rows, shared[path], strict=True):
            assert other == pytest.approx(one, abs=1e-4), path


@needs_jax
def test_both_processes_end_with_the_same_weights(trained):
    first, second = states(trained / "shared-0"), states(trained / "shared-1")
    assert len(first) == len(second) == 5
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for name, values in one.items():
            assert name == "history" or np.array_equal(values, other[name]), name


@needs_torch
def test_pytorch_trains_every_application(start, data, lines, tmp_path):
    lines = lines | {
        "mnist": "mnist --data digits --limit 64 --preparation resize --network lenet5 --epochs 2 --batch-size 16",
        "cats-vs-dogs": f"cats-vs-dogs --data {data}/labelled --network small --epochs 2 --batch-size 8",
    }
    ended(start(TRAININGS, *arguments(tmp_path, "torch", "torch", 0, lines)))
    for name in lines:
        assert json.loads((tmp_path / "torch" / name / "run.json").read_text())["status"] == "complete"
    for path, rows in histories(tmp_path / "torch").items():
        assert len(rows) == 2, path
        assert np.isfinite([list(row.values()) for row in rows]).all(), path
    measured, _ = pipeline.measure(load(tmp_path / "torch" / "mnist"), digits.load("digits"))  # on this backend
    recorded = json.loads((tmp_path / "torch" / "mnist" / "run.json").read_text())["metrics"]
    assert measured["test"]["examples"] == recorded["test"]["examples"]
    for name in ("accuracy", "loss", "balanced_accuracy", "macro_f1", "accuracy_interval"):
        assert measured["test"][name] == pytest.approx(recorded["test"][name], abs=1e-5)
