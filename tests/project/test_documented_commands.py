"""The commands of README.md and docs/ hold what they say: the parser knows each, and an empty folder is enough."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
import typer
from PIL import Image
from sklearn.datasets import load_digits

from convmedia.apps import __main__ as main
from convmedia.apps.cli.application import subcommands
from convmedia.data import samples
from convmedia.data.sources import fetch
from convmedia.data.storage.errors import InputError

ROOT = Path(__file__).parents[2]
TEXTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]

SMALL_VGG = "--weights vgg.npz --content-layer block2_conv2 --style-layer block1_conv1"
# What a test adds, so that a training takes seconds: the last of two equal options counts.
SHORTER = {
    "mnist train": "--limit 60 --epochs 1",
    "mnist compare": "--data digits --epochs 1",
    "cats-vs-dogs train": "--limit 24 --epochs 1 --batch-size 8",
    "transfer train": "--weights none --side 64 --limit 24 --epochs 1 --batch-size 8",
    "super-resolution train": "--limit 16 --epochs 1 --batch-size 4",
    "style-transfer stylize": f"{SMALL_VGG} --steps 2 --size 64",
    "style-transfer train": f"{SMALL_VGG} --filters 4 --side 64 --epochs 1 --batch-size 2 --limit 4",
    "audio train": "--limit 16 --epochs 1 --batch-size 4",
}

RUN = """
import json, sys, traceback
from convmedia.apps import __main__ as main
from convmedia.apps.cli.entry import exit_code
for line in json.load(open(sys.argv[1])):
    sys.stdout.flush()
    try:
        code = exit_code(main.command, line)
    except Exception:
        code = traceback.format_exc()
    with open(sys.argv[2], "a") as file:
        file.write(json.dumps(code) + "\\n")
"""


class Documented(NamedTuple):
    """One line of a text: what stands before `convmedia`, and its arguments."""

    before: str
    arguments: tuple[str, ...]

    @property
    def verb(self) -> str:
        return " ".join(self.arguments[:2])


def documented() -> list[Documented]:
    lines = [line for text in TEXTS for line in re.findall(r"^    (.*convmedia .*)$", text.read_text("utf-8"), re.M)]
    pairs = [line.partition("convmedia ")[::2] for line in lines]
    return list(dict.fromkeys(Documented(before, tuple(shlex.split(rest, comments=True))) for before, rest in pairs))


LINES = documented()


def leaf(arguments):
    """The command that a line ends at, with what it leaves for it."""
    command, rest = typer.main.get_command(main.command), list(arguments)
    while below := subcommands(command):
        command = below[rest.pop(0)]
    return command, rest


@pytest.mark.parametrize("line", LINES, ids=lambda line: " ".join(line.arguments))
def test_the_parser_knows_every_documented_command(line):
    command, rest = leaf(line.arguments)
    # The user's own files are not here, which is said when the options themselves are right.
    with suppress(InputError), command.make_context(command.name, rest) as context:
        assert context.params


def pages(command=None, path=()):
    """{path of names: command} of every help page."""
    command = command or typer.main.get_command(main.command)
    found = {path: command}
    for name in command.list_commands(None) if hasattr(command, "commands") else ():
        found |= pages(command.get_command(None, name), (*path, name))
    return found


PAGES = pages()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: " ".join(path) or "convmedia")
def test_every_help_page_ends_with_two_examples_that_the_parser_knows(path):
    command = PAGES[path]
    text = command.get_help(command.context_class(command, info_name=" ".join(("convmedia", *path))))
    shown = text.partition("\n  Examples:\n")[2].splitlines()
    lines = [shlex.split(line) for line in shown if line]
    assert len(lines) >= 2
    assert [line[: 1 + len(path)] for line in lines] == [["convmedia", *path]] * len(lines)
    for line in lines:
        ended, rest = leaf(line[1:])
        with suppress(InputError), ended.make_context(ended.name, rest) as context:
            assert context.command is ended


@pytest.mark.parametrize("path", [(), ("mnist",), ("data",)], ids=" ".join)
def test_without_a_command_the_list_is_shown(run_command, path):
    bare, asked = run_command(*path), run_command(*path, "--help")
    assert (bare.returncode, bare.stdout, bare.stderr) == (0, asked.stdout, "")


def test_completion_is_installed_by_an_option_and_completes_names(run_command, tmp_path, site):
    listed = run_command("--help").stdout
    assert "--install-completion" in listed
    done = subprocess.run(
        [sys.executable, site / "bin" / "convmedia"],
        env={**os.environ, "PYTHONPATH": str(site), "_CONVMEDIA_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
        | {"COMP_WORDS": "convmedia super", "_TYPER_COMPLETE_ARGS": "convmedia super"},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["super-resolution"]


def test_the_texts_have_commands_of_every_application():
    assert {line.arguments[0] for line in LINES} >= {app.name for app in main.command.registered_groups if app.name}
    assert len(LINES) > 40


def photo(seed, height=96, width=128):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(y * rng.uniform(0.05, 0.6) + x * rng.uniform(0.05, 0.6) + phase) for phase in rng.uniform(0, 6, 3)]
    return (128 + 80 * np.stack(waves, -1) + rng.normal(0, 8, (height, width, 3))).clip(0, 255).astype("uint8")


def tone(seed, hertz, path, seconds=0.5):
    rng = np.random.default_rng(seed)
    times = np.arange(int(8000 * seconds)) / 8000
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = np.sin(times * 2 * np.pi * rng.uniform(hertz, 1.2 * hertz))
    soundfile.write(path, 0.3 * wave + rng.normal(0, 0.02, len(times)), 8000)


@pytest.fixture(scope="module")
def of_a_user(tmp_path_factory, small_vgg):
    """A folder with what the texts take a user to have: pictures, digits and sounds, nothing of this package."""
    folder = tmp_path_factory.mktemp("user")
    shutil.copy(small_vgg, folder / "vgg.npz")
    for number, name in enumerate(("photo.jpg", "painting.jpg", "one.jpg", "other.jpg")):
        Image.fromarray(photo(number)).save(folder / name)
    mask = np.zeros((96, 128), "uint8")
    mask[:40] = 255
    Image.fromarray(mask).save(folder / "sky.png")
    for number in range(24):
        path = folder / "photos" / ("cat", "dog")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(10 + number)).save(path)
    bundled = load_digits()
    for number, (levels, label) in enumerate(zip(bundled.images[:80], bundled.target[:80], strict=True)):
        for root in ("my-digits", "my-pictures")[: 1 + (number < 6)]:
            path = folder / root / str(label) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((levels * 15).astype("uint8")).resize((32, 32)).save(path)
    rows = ["file,labels"]
    for number in range(24):
        label, hertz = (("dog", 300), ("rain", 1500))[number % 2]
        tone(number, hertz, folder / "my-sounds" / label / f"{number}.wav")
        rows.append(f"my-sounds/{label}/{number}.wav,{label}{';loud' if number % 3 else ''}")
    (folder / "my-table.csv").write_text("\n".join(rows) + "\n")
    for number in range(3):
        tone(50 + number, 700, folder / "sounds" / f"{number}.wav")
    tone(60, 500, folder / "recording.flac", 3.0)
    (folder / "list.txt").write_text("photos/cat/0.jpg\nphotos/dog/1.jpg\n")
    return folder


def why_not(line):
    """Why a line is not run with the others, or None."""
    if "--distribute" in line.arguments:
        return "trains with JAX, or on two machines: test_distributed"
    if line.before.rstrip().endswith("|"):
        return "reads a microphone: test_listening"
    if "ray" in line.arguments and find_spec("ray") is None:
        return "ray is not installed"
    if any(name.endswith(".parquet") for name in line.arguments) and find_spec("pyarrow") is None:
        return "pyarrow is not installed"
    named = [name for value in line.arguments for name in value.split("+") if name in fetch.SOURCES]
    at_hand = {row["name"] for row in fetch.rows() if row["found"]}
    return None if at_hand.issuperset(named) else "its data is not at hand"


def bundled(words):
    """A line with the bundled digits in place of MNIST, whose 10,000 test pictures would all be measured."""
    return ["digits" if words[at - 1 : at + 1] == ("--data", "mnist") else word for at, word in enumerate(words)]


@pytest.mark.slow
def test_an_empty_folder_and_the_wheel_are_enough_for_every_documented_command(of_a_user, site, tmp_path):
    order = sorted((line for line in LINES if why_not(line) is None), key=lambda line: line.arguments[0] != "samples")
    assert len(order) > 35 or "CONVMEDIA_DATA" not in os.environ
    lines = [[*bundled(line.arguments), *SHORTER.get(line.verb, "").split()] for line in order]
    # a resumed run has its own arguments
    lines = [line[: line.index("--resume") + 1] if "--resume" in line else line for line in lines]
    given, codes = tmp_path / "lines.json", tmp_path / "codes.jsonl"
    given.write_text(json.dumps(lines))
    done = subprocess.run(
        [sys.executable, "-P", "-c", RUN, given, codes],
        cwd=of_a_user,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=False,
        capture_output=True,
        text=True,
        timeout=2400,
    )
    ended = [json.loads(code) for code in codes.read_text().splitlines()]
    failed = [(shlex.join(line), code) for line, code in zip(lines, ended, strict=False) if code != 0]
    assert failed == [], done.stderr[-6000:]
    assert len(ended) == len(lines), done.stderr[-3000:]


def test_samples_are_copied_once_and_never_over_another_file(run_command, tmp_path):
    for _ in range(2):
        done = run_command("samples", tmp_path / "some")
        assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "some").iterdir()} == set(samples.SAMPLES)
    here = {path.name for path in samples.FOLDER.iterdir()} - {"__init__.py", "__pycache__", samples.OTHER_THINGS.name}
    assert here == set(samples.SAMPLES)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "seven.jpg").write_bytes(b"mine")
    refused = run_command("samples", tmp_path / "other")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["seven.jpg"]
    assert (tmp_path / "other" / "seven.jpg").read_bytes() == b"mine"


def test_the_included_weights_read_the_sound_of_the_samples(run_command):
    """The picture of them is read in test_readme.py."""
    done = run_command("audio", "predict", samples.FOLDER / "seven.wav", "--json")
    assert json.loads(done.stdout)[0]["label"] == "7"
