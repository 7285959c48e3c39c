"""The run folder: refused, continued, replaced; complete at every moment."""

import json

import numpy as np
import pytest
import typer

from convmedia.apps import _commands, _runs
from convmedia.data.errors import InputError


@pytest.fixture
def opened(tmp_path):
    """Open a run as a `train` command does: opened("--epochs", "3")."""

    def open_with(*arguments):
        found = []
        command = _commands.application("test", "Test.")

        @command.command()
        def train(
            context: typer.Context,
            out: _commands.Out,
            data: _commands.Data = "digits",
            epochs: _commands.Epochs = 5,
            limit: _commands.Limit = None,
            resume: _commands.Resume = False,
            overwrite: _commands.Overwrite = False,
        ) -> None:
            found.append(_runs.open_run("test", context, out, resume, overwrite))

        command(["--out", str(tmp_path / "run"), *arguments], standalone_mode=False)
        return found[0]

    return open_with


def closed(run, **facts):
    with run.begin(**facts):
        return run


def test_a_new_run_records_its_arguments(opened, tmp_path):
    closed(opened("--epochs", "7"))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["app"] == "test"
    assert record["status"] == "running"
    assert record["arguments"] == {"data": "digits", "epochs": 7, "limit": None}
    assert record["versions"]["keras"]


def test_an_existing_run_is_refused_and_left_as_it_is(opened, tmp_path):
    closed(opened())
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(InputError, match=r"--resume.*--overwrite"):
        opened("--epochs", "9")
    assert (tmp_path / "run" / "run.json").read_bytes() == before


@pytest.mark.parametrize("option", ["--overwrite", "--limit=3"])
def test_a_folder_that_is_not_ours_is_never_touched(opened, tmp_path, option):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not a run folder"):
        opened(option)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_overwrite_removes_our_files_and_keeps_the_users(opened, tmp_path):
    folder = tmp_path / "run"
    closed(opened())
    (folder / "model.keras").write_text("old")
    (folder / "export").mkdir()
    (folder / "notes.txt").write_text("mine")
    closed(opened("--overwrite"))
    assert {path.name for path in folder.iterdir()} == {"run.json", "notes.txt", ".lock"}


def test_nothing_is_touched_before_the_run_begins(opened, tmp_path):
    opened()
    assert not (tmp_path / "run").exists()
    closed(opened())
    (tmp_path / "run" / "model.keras").write_text("a night's work")
    opened("--overwrite")
    assert (tmp_path / "run" / "model.keras").read_text() == "a night's work"


def test_a_folder_that_a_kill_left_with_only_a_lock_is_free(opened, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").touch()
    (tmp_path / "run" / ".run.17.partial.json").touch()
    closed(opened())
    assert {path.name for path in (tmp_path / "run").iterdir()} == {".lock", "run.json"}


def test_resume_refuses_other_data(opened):
    closed(opened(), labels=["0", "1"], digest="abc")
    closed(opened("--resume"), labels=["0", "1"], digest="abc")
    with pytest.raises(InputError, match=r"digest .* is not what it was"):
        closed(opened("--resume"), labels=["0", "1"], digest="abd")
    closed(opened("--overwrite"), labels=["0"], digest="abd")


def test_partial_files_of_a_killed_process_are_swept(opened, tmp_path):
    closed(opened())
    left = tmp_path / "run" / "checkpoint" / ".state.12.partial.npz"
    left.parent.mkdir()
    left.write_bytes(b"half")
    closed(opened("--resume"))
    assert not left.exists()


def test_overwrite_removes_parts_too(opened, tmp_path):
    run = opened()
    closed(run)
    closed(_runs.open_part(run, "fold-1", {"epochs": 3}))
    assert not _runs.open_part(run, "fold-1", {"epochs": 3}).fresh
    assert _runs.open_part(run, "fold-1", {"epochs": 4}).fresh
    closed(opened("--overwrite"))
    assert not (tmp_path / "run" / "fold-1").exists()


def test_a_file_as_out_is_refused(opened, tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(InputError, match="is a file"):
        opened()


def test_resume_takes_the_recorded_arguments_and_more_epochs(opened):
    closed(opened("--epochs", "4", "--limit", "10"))
    assert opened("--resume").arguments == {"data": "digits", "epochs": 4, "limit": 10}
    assert closed(opened("--resume", "--epochs", "6")).arguments["epochs"] == 6


@pytest.mark.parametrize("changed", [("--epochs", "3"), ("--limit", "11"), ("--data", "mnist")])
def test_resume_refuses_another_value(opened, changed):
    closed(opened("--epochs", "4", "--limit", "10"))
    with pytest.raises(InputError, match=f"{changed[0]} {changed[1]} differs from the recorded"):
        opened("--resume", *changed)


def test_resume_of_nothing_is_refused(opened):
    with pytest.raises(InputError, match="not a run folder"):
        opened("--resume")


def test_a_run_in_use_is_refused(opened):
    with opened().begin(), pytest.raises(InputError, match="in use"):
        closed(opened("--resume"))
    closed(opened("--resume"))


def test_state_and_history_come_back_bit_for_bit(opened, tmp_path):
    run = closed(opened())
    history = [{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": 1e-17}]
    weights = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    run.save_state({"weight0": weights, "optimizer0": np.int64(7)}, history)
    state, read = run.load_state()
    assert np.array_equal(state["weight0"], weights)
    assert state["optimizer0"] == 7
    assert read == history
    assert (tmp_path / "run" / "history.csv").read_text() == "epoch,loss\n1,0.1\n2,1e-17\n"


def test_a_write_that_fails_leaves_the_last_state(opened, tmp_path):
    run = closed(opened())
    run.save_state({"weight0": np.zeros(3)}, [{"epoch": 1}])

    class Broken:
        def __array__(self, dtype=None, copy=None):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        run.save_state({"weight0": Broken()}, [{"epoch": 2}])
    assert run.load_state()[1] == [{"epoch": 1}]
    assert [path.name for path in (tmp_path / "run" / "checkpoint").iterdir()] == ["state.npz"]


def test_a_second_training_is_told_that_the_first_one_runs(tmp_path):
    run = _runs.new_run("mnist", tmp_path / "run", {})
    with run.begin(), pytest.raises(InputError, match="is in use by another training: wait for it"):
        _runs.refuse_existing(run.folder)
    with pytest.raises(InputError, match="exists: continue with --resume, replace it with --overwrite"):
        _runs.refuse_existing(run.folder)
    assert _runs.refuse_existing(run.folder, overwrite=True) is None
