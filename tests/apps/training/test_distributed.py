"""Training in several processes: the numbers of one process, and one line where a process is lost."""

import csv
import re
import signal
import time
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

from convmedia.apps.training import distributed
from convmedia.data.storage.errors import InputError

needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed")

# The command without measuring and reporting at its end: each process leaves its last state where it is told to.
TRAIN = """
import shutil, sys
from convmedia.apps.cli.backend import use_backend
use_backend("jax")
from convmedia.apps import mnist
from convmedia.apps.classification import report
from convmedia.apps.cli.entry import run as run_command

def finish(run, *_):
    shutil.copy(run.folder / "checkpoint" / "state.npz", sys.argv[1])
    run.finish(metrics={"test": {"accuracy": 0.0}})
    return run.record

report.finish = finish
options = "train --data digits --limit 256 --batch-size 32 --preparation resize --network lenet5 --epochs 3"
run_command(mnist.command, [*options.split(), *sys.argv[2:]])
"""

# Steps without a training: a sum over all processes, again and again.
STEPS = """
import sys, time
import typer
from convmedia.apps.cli.backend import use_backend
from convmedia.apps.cli.entry import run

command = typer.Typer()

@command.command()
def steps():
    use_backend("jax")
    from convmedia.apps.training import distributed
    with distributed.joined(True):
        for step in range(1000):
            assert distributed.from_first(b"one" if distributed.rank() == 0 else b"") == b"one"
            print("step", flush=True)
            time.sleep(0.05)

run(command, [])
"""


@pytest.fixture(scope="module")
def alone(start, tmp_path_factory):
    """The training in one process, begun: its folder, which holds `run` and `state.npz`, and the process."""
    folder = tmp_path_factory.mktemp("alone")
    return folder, start(TRAIN, folder / "state.npz", "--backend", "jax", "--out", folder / "run")


def ended(process, seconds=200):
    """Exit code, standard output and standard error."""
    printed = process.communicate(timeout=seconds)
    return process.returncode, *printed


def errors_in(text):
    return [line for line in text.splitlines() if not re.match(r"epoch |training on |continuing after |loading ", line)]


def history(folder):
    with (folder / "history.csv").open() as file:
        return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def state(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files if name != "history"}


def assert_same_curve(one, other):
    assert len(one) == len(other) == 3
    for a, b in zip(one, other, strict=True):
        assert a == pytest.approx(b, abs=1e-4)


@needs_jax
@pytest.mark.slow
def test_two_processes_one_of_them_killed_and_resumed_train_as_one_does(alone, start_pair, tmp_path):
    shared, states = tmp_path / "shared", [tmp_path / "0.npz", tmp_path / "1.npz"]
    pair = start_pair(TRAIN, lambda rank: (states[rank], "--distribute", "--out", shared))
    while not (shared / "checkpoint" / "state.npz").exists() and pair[0].poll() is None:
        time.sleep(0.01)
    pair[1].send_signal(signal.SIGKILL)
    began = time.monotonic()
    code, _, err = ended(pair[0])
    assert (code, errors_in(err)) == (2, [f"error: {distributed.LOST}"])
    assert time.monotonic() - began < distributed.SILENT_SECONDS + 10
    assert ended(pair[1])[0] == -signal.SIGKILL
    assert 1 <= len(history(shared)) < 3

    resumed = start_pair(TRAIN, lambda rank: (states[rank], "--distribute", "--resume", "--out", shared))
    for process in resumed:
        code, _, err = ended(process)
        assert (code, errors_in(err)) == (0, []), err
        assert "continuing after epoch" in err
    whole, process = alone
    assert process.wait(200) == 0
    assert_same_curve(history(whole / "run"), history(shared))
    first, second, single = state(states[0]), state(states[1]), state(whole / "state.npz")
    assert first.keys() == second.keys() == single.keys()
    for name, values in first.items():
        assert np.array_equal(values, second[name]), name
        np.testing.assert_allclose(values, single[name], atol=1e-3)


@needs_jax
def test_all_devices_of_a_machine_train_as_one_does(alone, start, tmp_path):
    """Two processors stand in for accelerators."""
    flags = "--xla_force_host_platform_device_count=2"
    code, _, err = ended(start(TRAIN, tmp_path / "2.npz", "--distribute", "--out", tmp_path / "two", XLA_FLAGS=flags))
    assert code == 0, err
    assert "training on 2 devices, process 0 of 1" in err
    whole, process = alone
    assert process.wait(200) == 0
    assert_same_curve(history(whole / "run"), history(tmp_path / "two"))


@needs_jax
@pytest.mark.parametrize("lost, how", [(0, signal.SIGKILL), pytest.param(1, signal.SIGINT, marks=pytest.mark.slow)])
def test_when_a_process_ends_the_other_says_one_line(start_pair, lost, how):
    pair = start_pair(STEPS)
    for process in pair:
        assert process.stdout.readline() == "step\n"
    pair[lost].send_signal(how)
    code, _, err = ended(pair[1 - lost], distributed.SILENT_SECONDS + 10)
    assert (code, errors_in(err)) == (2, [f"error: {distributed.LOST}"])
    code, _, err = ended(pair[lost], 10)
    assert code == (130 if how == signal.SIGINT else -how), err


WRONG = {
    "no port": {distributed.ADDRESSES: "10.0.0.1", distributed.NUMBER: "2", distributed.RANK: "0"},
    "another number": {distributed.ADDRESSES: "a:1,b:1", distributed.NUMBER: "3", distributed.RANK: "0"},
    "no rank": {distributed.ADDRESSES: "a:1,b:1"},
    "rank too great": {distributed.ADDRESSES: "a:1", distributed.NUMBER: "2", distributed.RANK: "2"},
}


@pytest.mark.parametrize("kind", WRONG)
def test_an_environment_that_names_no_place_is_refused(kind, monkeypatch):
    for name in (distributed.ADDRESSES, distributed.NUMBER, distributed.RANK):
        monkeypatch.delenv(name, raising=False)
    assert distributed.place() is None
    for name, value in WRONG[kind].items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=distributed.RANK):
        distributed.place()


def test_the_number_of_processes_is_that_of_the_addresses(monkeypatch):
    monkeypatch.delenv(distributed.NUMBER, raising=False)
    monkeypatch.setenv(distributed.ADDRESSES, "one:4000,two:4000")
    monkeypatch.setenv(distributed.RANK, "1")
    assert distributed.place() == ("one:4000", 2, 1)


def test_a_batch_that_the_devices_cannot_share_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "_joined", [SimpleNamespace(num_model_replicas=4, num_processes=1, rank=0)])
    with pytest.raises(InputError, match="--batch-size 50"), distributed.scope(50, None, {}):
        pass


def test_a_run_reaches_another_process_with_its_files(tmp_path):
    from convmedia.apps.runs.run_folder import Run

    record = {"app": "mnist", "status": "running", "arguments": {"epochs": 3}}
    run = Run(tmp_path / "run", record, fresh=False)
    run.save_state({"weight0": np.arange(3.0)}, [{"epoch": 1, "loss": 0.5}])
    (run.folder / "report.html").write_text("stays")
    copy = distributed.unpacked(distributed.packed(run), tmp_path / "copy")
    assert (copy.record, copy.fresh) == (record, False)
    arrays, rows = copy.load_state()
    assert np.array_equal(arrays["weight0"], np.arange(3.0))
    assert rows == [{"epoch": 1, "loss": 0.5}]
    assert not (copy.folder / "report.html").exists()
