"""What every command shares: exit codes, one-line errors, strict JSON, tables."""

import errno
import json
import os
import subprocess
import sys

import pytest
import typer
from typer.main import get_command

from convmedia.apps import __main__ as main
from convmedia.apps import _commands
from convmedia.data.errors import InputError


def failing(error):
    command = _commands.application("failing", "Fails.")

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
    assert _commands.exit_code(failing(error), ["fail"]) == code
    printed = capsys.readouterr()
    assert line in printed.err
    assert printed.err.strip().count("\n") == 0
    assert printed.out == ""


def test_a_bug_shows_its_traceback():
    with pytest.raises(ZeroDivisionError):
        _commands.exit_code(failing(ZeroDivisionError()), ["fail"])


def test_an_unexpected_operating_system_error_is_a_bug():
    with pytest.raises(OSError, match="Bad file descriptor"):
        _commands.exit_code(failing(OSError(errno.EBADF, "Bad file descriptor")), ["fail"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["nothing"], "No such command"), (["other", "--number", "0"], "--number"), (["other", "--no"], "No such option")],
)
def test_wrong_arguments_are_one_line_and_two(capsys, arguments, words):
    assert _commands.exit_code(failing(None), arguments) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert words in printed
    assert printed.count("\n") == 1


def test_json_has_no_nan_and_no_numpy():
    np = pytest.importorskip("numpy")
    document = {"nan": float("nan"), "list": [np.float32(0.5), float("inf")], "array": np.arange(2), 3: np.int64(4)}
    assert json.loads(_commands.to_json(document)) == {"nan": None, "list": [0.5, None], "array": [0, 1], "3": 4}


def test_table_puts_numbers_to_the_right():
    lines = _commands.table(["name", "count"], [["a", 1], ["longer", 100]]).splitlines()
    assert lines == ["name    count", "a           1", "longer    100"]


def test_quiet_start_shows_what_was_held_back_when_loading_fails(capfd):
    import os

    with _commands.quiet_start():
        os.write(2, b"noise\n")
    assert capfd.readouterr().err == ""
    with pytest.raises(ImportError), _commands.quiet_start():
        os.write(2, b"the reason\n")
        raise ImportError("broken")
    assert capfd.readouterr().err == "the reason\n"


@pytest.mark.parametrize("module", ["typer", "importlib.metadata"])
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
    command = _commands.application("some", "help")

    @command.command()
    def load() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("numpy._core.multiarray failed to import") from error

    assert _commands.exit_code(command, []) == 130
    assert capsys.readouterr().err.strip() == "interrupted; what was done is kept"


PATHS = ("out", "data", "model", "weights", "files_from", "content", "styles", "mask", "animation", "start")


@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_no_option_takes_what_is_neither_file_nor_folder(tmp_path, kind):
    path = tmp_path / "pipe" if kind == "pipe" else "/dev/full"
    if kind == "pipe":
        os.mkfifo(path)
    (tmp_path / "link").symlink_to(path)
    tried = 0
    for group in get_command(main.command).commands.values():
        for verb, command in getattr(group, "commands", {}).items():
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
        _commands.exit_code(failing(EOFError("no more")), ["fail"])


def test_every_training_is_continued_with_its_folder_alone(tmp_path):
    tried = []
    for name, group in get_command(main.command).commands.items():
        for verb, command in getattr(group, "commands", {}).items():
            if any(param.name == "resume" for param in command.params):
                command.make_context(verb, ["--out", str(tmp_path), "--resume"])
                tried.append((name, verb))
                if any(param.required and param.name != "out" for param in command.params):
                    with pytest.raises(typer.TyperException, match="Missing"):
                        command.make_context(verb, ["--out", str(tmp_path)])
    assert len(tried) == 7, tried
