"""What reaches a terminal: no commands to it, in every locale."""

import os
import shutil

import pytest
from PIL import Image

from convmedia.apps.cli import entry
from convmedia.apps.cli.application import application
from convmedia.apps.console import terminal
from convmedia.apps.tasks.audio import predict
from convmedia.apps.verbs import predict as verbs_predict
from convmedia.data.storage.errors import InputError

EVIL = "\x1b[31mred\nnext\x9b2J"
SAFE = r"\x1b[31mred\nnext\x9b2J"
ROW = {"file": EVIL, "label": EVIL, "score": 0.5, "top": [{"label": EVIL, "score": 0.5}] * 3}


@pytest.mark.parametrize(
    "line",
    [
        verbs_predict.line_of(ROW),
        verbs_predict.line_of({"file": "a", "error": EVIL}),
        verbs_predict.line_of({"file": EVIL, "labels": [{"label": EVIL, "score": 0.5}]}),
        predict.lines_of({**ROW, "windows": [{"start": 0.0, "end": 1.0, "label": EVIL, "score": 0.5}]}),
        terminal.table(["label", "precision"], [[EVIL, 0.5]]),
    ],
)
def test_names_labels_and_messages_are_escaped(line, capsys):
    for speak in (terminal.tell, terminal.say):
        speak(line)
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert SAFE in text or r"\x1b[31mred" in text
        assert all(sign.isprintable() or sign in "\t\n" for sign in text)
    assert printed.out == printed.err


def test_errors_are_one_line_whatever_they_hold(capsys):
    command = application("failing", "Fails.")

    @command.command()
    def fail() -> None:
        raise InputError(f"no data set is named {EVIL}")

    for arguments in ([], [EVIL]):
        assert entry.exit_code(command, arguments) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and all(sign.isprintable() for sign in said[:-1])


ASCII_ONLY = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_an_ascii_only_locale_names_and_prints_every_file(run_command, tmp_path):
    folder = tmp_path / "B\u00e4ume"
    for label in ("\u00c4pfel", "B\u00fccher", "Kiwi"):
        (folder / label).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (40, 40), (number * 80, len(label) * 30, 9)).save(folder / label / f"\u00e9{number}.png")
    (folder / "\u00c4pfel" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"damaged")
    done = run_command("data", "check", folder, env=ASCII_ONLY)
    assert done.returncode == 1, done.stderr
    assert r"\xc4pfel" in done.stdout and r"B\xfccher" in done.stdout and "caf\\xe9.png" in done.stdout
    shutil.copytree(folder, tmp_path / "again")
    assert "Error" not in run_command("data", "check", tmp_path / "again", env=ASCII_ONLY).stderr
