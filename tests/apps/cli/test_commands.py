"""What every command shares: exit codes, one-line errors, strict JSON, tables."""

import errno
import io
import json
import os
import subprocess
import sys

import pytest
import typer
from typer.main import get_command

from convmedia.apps import __main__ as main
from convmedia.apps import audio, mnist, transfer
from convmedia.apps.cli import application, backend, entry, inputs
from convmedia.apps.cli.application import subcommands
from convmedia.apps.console import strict_json, terminal
from convmedia.data.storage import text
from convmedia.data.storage.errors import InputError


def failing(error):
    command = application.application("failing", "Fails.")

    @command.command()
    def fail() -> None:
        raise error

    @command.command()
    def other(number: int = typer.Option(1, min=1)) -> None:
        pass

    return command


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("the file is empty:\n give another"), 2, "error: the file is empty: give another\n"),
        (OSError(errno.ENOSPC, "No space left on device", "/runs/a"), 2, "No space left on device: /runs/a; free"),
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), 2, "choose a place"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_an_exit_code(capsys, error, code, line):
    assert entry.exit_code(failing(error), ["fail"]) == code
    printed = capsys.readouterr()
    assert line in printed.err
    assert printed.err.strip().count("\n") == 0
    assert printed.out == ""


def test_a_bug_shows_its_traceback():
    with pytest.raises(ZeroDivisionError):
        entry.exit_code(failing(ZeroDivisionError()), ["fail"])


def test_an_unexpected_operating_system_error_is_a_bug():
    with pytest.raises(OSError, match="Bad file descriptor"):
        entry.exit_code(failing(OSError(errno.EBADF, "Bad file descriptor")), ["fail"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["nothing"], "No such command"), (["other", "--number", "0"], "--number"), (["other", "--no"], "No such option")],
)
def test_wrong_arguments_are_one_line_and_two(capsys, arguments, words):
    assert entry.exit_code(failing(None), arguments) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert words in printed
    assert printed.count("\n") == 1


def test_json_has_no_nan_and_no_numpy():
    np = pytest.importorskip("numpy")
    document = {"nan": float("nan"), "list": [np.float32(0.5), float("inf")], "array": np.arange(2), 3: np.int64(4)}
    assert json.loads(strict_json.to_json(document)) == {"nan": None, "list": [0.5, None], "array": [0, 1], "3": 4}


def test_table_puts_numbers_to_the_right():
    lines = terminal.table(["name", "count"], [["a", 1], ["longer", 100]]).splitlines()
    assert lines == ["name    count", "a           1", "longer    100"]


def test_quiet_start_shows_what_was_held_back_when_loading_fails(capfd):
    import os

    with backend.quiet_start():
        os.write(2, b"noise\n")
    assert capfd.readouterr().err == ""
    with pytest.raises(ImportError), backend.quiet_start():
        os.write(2, b"the reason\n")
        raise ImportError("broken")
    assert capfd.readouterr().err == "the reason\n"


@pytest.mark.parametrize("module", ["typer", "convmedia.data.storage.files"])
def test_ctrl_c_while_modules_are_loaded_is_one_line(tmp_path, module):
    """A module that is imported sends the signal; what follows it is never reached."""
    file = tmp_path / f"{module.rpartition('.')[2]}.py"
    file.write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n")
    code = (
        f"import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location({module!r}, {str(file)!r})\n"
        f"class First:\n"
        f"    find_spec = staticmethod(lambda name, *_: spec if name == {module!r} else None)\n"
        f"sys.modules.pop({module!r}, None)\n"
        f"sys.meta_path.insert(0, First)\n"
        f"from convmedia.apps.__main__ import main\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_ctrl_c_that_a_module_turned_into_another_error_is_one_line(capsys):
    command = application.application("some", "help")

    @command.command()
    def load() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("numpy._core.multiarray failed to import") from error

    assert entry.exit_code(command, []) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


@pytest.mark.parametrize(
    "content",
    [
        b"a.png\nb c.png\n",
        b"\xef\xbb\xbfa.png\r\nb c.png\r\n\r\n",
        "a.png\r\nb c.png\r\n".encode("utf-16"),
        "a.png\r\nb c.png\r\n".encode("utf-16-le"),
        b'"a.png"\n b c.png \n',
        b".\\a.png\nb c.png",
    ],
)
def test_lists_of_files_are_read_however_they_are_written(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b c.png"):
        (tmp_path / name).touch()
    (tmp_path / "list.txt").write_bytes(content)
    found = inputs.given(None, tmp_path / "list.txt")
    assert [name.removeprefix("./") for name in found] == ["a.png", "b c.png"]


def test_names_that_are_not_utf8_stay_the_bytes_that_they_are(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"k\xe4se.png\n")
    assert [os.fsencode(name) for name in inputs.given(["x"], tmp_path / "list.txt")] == [b"x", b"k\xe4se.png"]


def test_json_keeps_letters_and_escapes_what_is_no_letter():
    name = os.fsdecode(b"K\xc3\xa4tzchen \xe9 \x1b\xe2\x80\xa8")
    text = strict_json.to_json({"file": name, "label": "\u732b"})
    assert text == '{"file": "K\u00e4tzchen \\udce9 \\u001b\\u2028", "label": "\u732b"}'
    assert json.loads(text.encode())["file"] == name


def test_json_is_ascii_where_standard_output_is(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert strict_json.to_json("\u00e4") == '"\\u00e4"'


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--epochs", "abc"], "--epochs abc: give a whole number"),
        (["--epochs", "1.5"], "--epochs 1.5: give a whole number"),
        (["--seed", "-1"], "--seed -1: give 0 or more"),
        (["--network", "foo"], "--network foo: is not one of 'convnet', 'lenet5'"),
        (["--data", "nope"], "no data set is named 'nope', and there is no such file or folder"),
        (["--data", "./nope"], "--data ./nope does not exist"),
        (["--weights", "nope"], "there are no weights nope"),
        (["--out", "."], ". exists and is not a run folder"),
    ],
)
def test_wrong_arguments_are_refused_in_words_before_keras_is_loaded(capsys, monkeypatch, tmp_path, arguments, said):
    (tmp_path / "theirs").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mnist, "use_backend", lambda *_: pytest.fail("Keras is loaded"))
    assert entry.exit_code(mnist.command, ["train", "--out", "x", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("app", [mnist, transfer, audio])
def test_missing_models_and_files_are_said_before_keras_is_loaded(capsys, monkeypatch, tmp_path, app):
    for module in (app, inputs):
        monkeypatch.setattr(module, "use_backend", lambda *_: pytest.fail("Keras is loaded"))
    assert entry.exit_code(app.command, ["predict", "x.png", "--model", "nope"]) == 2
    assert "there is no model nope" in capsys.readouterr().err
    code = entry.exit_code(app.command, ["predict", "x.wav", "--json"])
    printed = capsys.readouterr()
    if app is transfer:
        assert code == 2
        assert "No weights are shipped for 'transfer'; train first" in printed.err
        assert "mnist" not in printed.err
    else:
        assert code == 1
        [row] = json.loads(printed.out)
        assert row["file"] == "x.wav"
        assert "No such file" in row["error"] or "does not exist" in row["error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mnist", "train", "--out", "there"], "complete epochs are kept: the same command with --resume goes on"),
        (["mnist", "train", "--out", "new"], "nothing was written"),
        (["audio", "predict", "a.wav", "--out", "there"], "the same command goes on"),
        (["audio", "predict", "a.wav"], "interrupted"),
    ],
)
def test_what_is_said_after_ctrl_c_names_how_to_go_on(monkeypatch, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    assert said in entry.interruption(arguments)
    assert ("--resume" in entry.interruption(arguments)) == ("there" in arguments and "train" in arguments)


def test_one_is_said_in_the_singular():
    assert (text.plural(1, "picture"), text.plural(1200, "picture")) == ("1 picture", "1,200 pictures")


PATHS = ("out", "data", "model", "weights", "files_from", "content", "styles", "mask", "animation", "start")


@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_no_option_takes_what_is_neither_file_nor_folder(tmp_path, kind):
    path = tmp_path / "pipe" if kind == "pipe" else "/dev/full"
    if kind == "pipe":
        os.mkfifo(path)
    (tmp_path / "link").symlink_to(path)
    tried = 0
    for group in subcommands(get_command(main.command)).values():
        for verb, command in subcommands(group).items():
            for param in command.params:
                param.required = False
            for param in command.params if verb != "fetch" else ():
                if param.name in PATHS:
                    option = [param.opts[-1]] if param.opts[-1].startswith("-") else []
                    for value in (str(tmp_path / "link"), f"digits+{path}"):
                        with pytest.raises(InputError, match=f"is a {kind}, which cannot be used here"):
                            command.make_context(verb, [*option, value])
                    tried += 1
    assert tried > 40


def test_a_file_that_ends_too_early_is_not_taken_for_an_interruption():
    with pytest.raises(EOFError):
        entry.exit_code(failing(EOFError("no more")), ["fail"])


def test_every_training_is_continued_with_its_folder_alone(tmp_path):
    tried = []
    for name, group in subcommands(get_command(main.command)).items():
        for verb, command in subcommands(group).items():
            if any(param.name == "resume" for param in command.params):
                command.make_context(verb, ["--out", str(tmp_path), "--resume"])
                tried.append((name, verb))
                if any(param.required and param.name != "out" for param in command.params):
                    with pytest.raises(typer.TyperException, match="Missing"):
                        command.make_context(verb, ["--out", str(tmp_path)])
    assert len(tried) == 7, tried
