"""The run folder: refused, continued, replaced; complete at every moment."""

import json
from typing import Annotated

import keras
import numpy as np
import pytest
import typer

from convmedia.apps.cli import application, entry, options, train_options
from convmedia.apps.runs import opening, run_folder
from convmedia.apps.runs import record as runs_record
from convmedia.apps.runs.given import given_in
from convmedia.data.storage.errors import InputError


@pytest.fixture
def opened(tmp_path):
    """Open a run as a `train` command does: opened("--epochs", "3")."""

    def open_with(*arguments):
        found = []
        command = application.application("test", "Test.")

        @command.command()
        def train(
            context: typer.Context,
            out: train_options.Out,
            data: options.Data = "digits",
            epochs: train_options.Epochs = 5,
            limit: train_options.Limit = None,
            resume: train_options.Resume = False,
            overwrite: train_options.Overwrite = False,
        ) -> None:
            found.append(opening.open_run("test", given_in(context)))

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
    closed(opening.open_part(run, "fold-1", {"epochs": 3}))
    assert not opening.open_part(run, "fold-1", {"epochs": 3}).fresh
    assert opening.open_part(run, "fold-1", {"epochs": 4}).fresh
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
    run = opening.new_run("mnist", tmp_path / "run", {})
    with run.begin(), pytest.raises(InputError, match="is in use by another training: wait for it"):
        runs_record.refuse_existing(run.folder)
    with pytest.raises(InputError, match="exists: continue with --resume, replace it with --overwrite"):
        runs_record.refuse_existing(run.folder)
    assert runs_record.refuse_existing(run.folder, overwrite=True) is None


def begun(opened, tmp_path):
    """A run folder with a checkpoint of one epoch."""
    run = closed(opened())
    run.save_state({"weight0": np.arange(24.0).reshape(4, 6)}, [{"epoch": 1, "loss": 0.5}], {"versions": {}})
    return tmp_path / "run" / "checkpoint" / "state.npz", run


def test_a_cut_or_altered_checkpoint_is_refused_in_one_line_wherever_the_damage_is(opened, tmp_path):
    path, run = begun(opened, tmp_path)
    whole, (state, history, facts) = path.read_bytes(), run.load_checkpoint()
    altered = [whole[:size] for size in range(0, len(whole), 7)]
    altered += [whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in (1, 128)]
    refused = 0
    for content in altered:
        path.write_bytes(content)
        try:
            read, rows, said = run.load_checkpoint()
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
        else:  # what no reader looks at, as the time of a member
            assert (rows, said, read.keys()) == (history, facts, state.keys())
            assert np.array_equal(read["weight0"], state["weight0"])
    assert refused > len(altered) // 2


def test_a_checkpoint_of_an_older_version_is_read(opened, tmp_path):
    path, run = begun(opened, tmp_path)
    np.savez(path, history=np.array(json.dumps([{"epoch": 1, "loss": 0.5}])), weight0=np.zeros(3))
    state, history, facts = run.load_checkpoint()
    assert (list(state), history, facts) == (["weight0"], [{"epoch": 1, "loss": 0.5}], {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda record: "[1, 2]", "cannot be read"),
        (lambda record: "", "cannot be read"),
        (lambda record: json.dumps(record)[:-9], "cannot be read"),
        (lambda record: json.dumps(record | {"arguments": 3}), "arguments"),
        (lambda record: json.dumps(record | {"status": "done"}), "status"),
        (lambda record: json.dumps(record | {"kept": 3}), "kept"),
        (lambda record: json.dumps(record | {"kept": {"epoch": "x"}}), "kept"),
        (lambda record: json.dumps(record | {"models": {"model.keras": 4}}), "model.keras"),
        (lambda record: json.dumps(record | {"arguments": record["arguments"] | {"data": 7}}), "data"),
        (lambda record: json.dumps(record | {"arguments": record["arguments"] | {"epochs": "7"}}), '"7" as --epochs'),
        (lambda record: json.dumps(record | {"arguments": record["arguments"] | {"limit": [1]}}), "--limit"),
    ],
)
def test_an_altered_record_is_refused_in_one_line(opened, tmp_path, change, said):
    closed(opened())
    path = tmp_path / "run" / "run.json"
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(InputError, match=r"run\.json") as error:
        opened("--resume")
    assert said in str(error.value) and "\n" not in str(error.value)


def tiny():
    from convmedia.models.answer import PICTURE
    from convmedia.models.saving.assembly import assemble

    network = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)])
    return assemble(network, app="test", labels=None, input=PICTURE, details={})


def test_a_run_whose_saved_file_was_exchanged_is_not_continued(opened, tmp_path):
    run, model = opened(), tiny()
    with run.begin():
        run.keep(model)
        run.save_state({}, [{"epoch": 1}])
    path = tmp_path / "run" / "model.keras"
    closed(opened("--resume"))
    first = path.read_bytes()
    path.write_bytes(first + b"x")
    with pytest.raises(InputError, match=r"model.keras is not the file that this run wrote"):
        closed(opened("--resume"))
    path.unlink()
    with pytest.raises(InputError, match=r"model.keras is gone"):
        closed(opened("--resume"))


@pytest.mark.parametrize("renamed", [False, True])
def test_a_kill_around_the_renaming_of_a_saved_file_leaves_a_run_that_goes_on(opened, tmp_path, monkeypatch, renamed):
    run, model = opened(), tiny()
    path, replace = tmp_path / "run" / "model.keras", run_folder.Path.replace
    with run.begin():
        run.keep(model)
        run.save_state({}, [{"epoch": 1}])
    for _ in range(2):
        run = opened("--resume")

        def killed(self, target):
            if target == path:
                if renamed:
                    replace(self, target)
                raise SystemExit(9)
            return replace(self, target)

        with monkeypatch.context() as patch, pytest.raises(SystemExit), run.begin():
            patch.setattr(run_folder.Path, "replace", killed)
            run.keep(model)
    closed(opened("--resume"))


@pytest.fixture
def needing():
    """The records of a command with options that have no default, run with arguments."""

    def open_with(*arguments):
        found = []
        command = application.application("test", "Test.")

        @command.command()
        def train(
            context: typer.Context,
            styles: Annotated[list[str], typer.Argument()],
            out: train_options.Out,
            data: options.Data,
            resume: train_options.Resume = False,
        ) -> None:
            found.append(opening.open_run("test", given_in(context)))

        code = entry.exit_code(command, list(map(str, arguments)))
        return code, found

    return open_with


def test_what_is_recorded_need_not_be_given_again(needing, tmp_path, capsys):
    assert needing("--out", tmp_path / "run", "a.png")[0] == 2
    assert "Missing option '--data'" in capsys.readouterr().err
    code, [run] = needing("--out", tmp_path / "run", "a.png", "--data", "digits")
    closed(run)
    code, [run] = needing("--out", tmp_path / "run", "--resume")
    assert (code, run.arguments) == (0, {"styles": ["a.png"], "data": "digits"})
    assert needing("--out", tmp_path / "run", "--resume", "--data", "mnist")[0] == 2
    assert needing("--out", tmp_path / "new", "a.png")[0] == 2
