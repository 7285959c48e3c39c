"""What every application must do, once for each row of `APPLICATIONS`."""

import csv
import json
import shlex

import numpy as np
import pytest
import soundfile
import typer
from PIL import Image

from convmedia.apps import __main__ as main
from convmedia.apps.api.tasks import face_of
from convmedia.apps.cli.application import subcommands
from convmedia.apps.cli.entry import exit_code
from convmedia.models import load

NAMES = [row.name for row in main.APPLICATIONS]
COMMANDS = subcommands(typer.main.get_command(main.command))
VERBS = {name: [*COMMANDS[name].commands] for name in NAMES}
ANSWERING = {name: next(verb for verb in VERBS[name] if verb in ("predict", "upscale", "apply")) for name in NAMES}
PAGES = [words for name in NAMES for words in ((name,), *((name, verb) for verb in VERBS[name]))]
SHIPPED = [name for name in NAMES if name != "transfer"]
every_application = pytest.mark.parametrize("name", NAMES)

# A short training of each; {} is the folder of `material`.
TRAININGS = {
    "mnist": "--data digits --preparation resize --network lenet5 --limit 64 --epochs 1",
    "cats-vs-dogs": "--data {}/labelled --network small --augment none --epochs 1",
    "transfer": "--data {}/labelled --backbone squeezenet --weights none --side 48 --epochs 1",
    "style-transfer": "{}/loose/0.png --data {}/loose --weights {}/vgg.npz --content-layer block2_conv2 "
    "--style-layer block1_conv1 --filters 4 --side 64 --epochs 1 --limit 4 --batch-size 4",
    "super-resolution": "--data {}/loose --network srcnn --scale 2 --epochs 1 --limit 16",
    "audio": "--data {}/sounds --epochs 1",
}


def convmedia(*arguments: object) -> int:
    return exit_code(main.command, list(map(str, arguments)))


@pytest.fixture(scope="module")
def material(tmp_path_factory, small_vgg):
    """`labelled` and `sounds` in class folders, `loose` pictures, `vgg.npz`, a broken picture and a broken sound."""
    root, rng = tmp_path_factory.mktemp("material"), np.random.default_rng(0)
    for folder in ("labelled/dark", "labelled/light", "loose", "sounds/low", "sounds/high"):
        (root / folder).mkdir(parents=True)
    for number in range(16):
        for label, level, hz in (("dark", 60, 300), ("light", 190, 1500)):
            pixels = rng.normal(level, 25, (60, 70, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / "labelled" / label / f"{number}.png")
            wave = 0.3 * np.sin(np.arange(3000) * 2 * np.pi * (hz + 9 * number) / 8000)
            soundfile.write(root / "sounds" / ("low" if hz == 300 else "high") / f"{number}.wav", wave, 8000)
    for number in range(6):
        picture = rng.integers(0, 256, (15, 16, 3), np.uint8)
        Image.fromarray(picture).resize((160, 150)).save(root / "loose" / f"{number}.png")
    (root / "vgg.npz").symlink_to(small_vgg)
    for name in ("broken.png", "broken.wav"):
        (root / name).write_bytes(b"neither a picture nor a sound")
    return root


def asked(name, material, tmp_path, *options):
    """The exit code for one readable and one broken file."""
    files = ("sounds/low/0.wav", "broken.wav") if name == "audio" else ("labelled/dark/0.png", "broken.png")
    out = () if ANSWERING[name] == "predict" else ("--out", tmp_path / "made")
    return convmedia(name, ANSWERING[name], *(material / file for file in files), *out, *options)


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_help_is_a_page_with_examples(capsys, words):
    assert convmedia(*words, "--help") == 0
    page = capsys.readouterr().out
    assert f" {' '.join(words)} " in page.partition("\n")[0]
    assert f"convmedia {words[0]}" in page.partition("Examples:")[2]


@every_application
def test_it_trains_and_exports_and_its_task_says_so(name):
    task = face_of(name).TASK
    assert task.name == name
    assert {"train", "export"} <= set(VERBS[name])


@every_application
def test_a_run_that_is_not_there_is_not_continued(capsys, tmp_path, name):
    assert convmedia(name, "train", "--out", tmp_path / "none", "--resume") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "none" in said
    assert said.count("\n") == 1


@every_application
def test_what_is_in_out_is_not_replaced_unasked(capsys, tmp_path, name):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.txt").write_text("three years")
    styles = (tmp_path / "style.png",) if name == "style-transfer" else ()
    assert convmedia(name, "train", *styles, "--out", tmp_path / "theirs") == 2
    assert convmedia(name, "train", *styles, "--out", tmp_path / "theirs", "--overwrite") == 2
    assert capsys.readouterr().err.count("error: ") == 2
    assert (tmp_path / "theirs" / "thesis.txt").read_text() == "three years"


@pytest.mark.parametrize("name", SHIPPED)
def test_of_two_files_one_broken_one_is_answered_and_one_named(capsys, material, tmp_path, name):
    assert asked(name, material, tmp_path, "--json") == 1
    printed = capsys.readouterr().out
    rows = json.loads(printed, parse_constant=pytest.fail)
    rows = rows if isinstance(rows, list) else rows.get("files", rows.get("rows"))
    assert [("error" in row) for row in rows] == [False, True]
    assert "broken" in rows[1]["file"]


@pytest.fixture(scope="module", params=NAMES)
def trained(request, material, tmp_path_factory):
    """Name and run folder of a short training of each application."""
    name, out = request.param, tmp_path_factory.mktemp("runs") / request.param
    options = TRAININGS[name].replace("{}", str(material))
    assert convmedia(name, "train", *shlex.split(options), "--seed", 3, "--out", out) == 0
    return name, out


@pytest.mark.slow
def test_a_run_folder_has_what_the_next_person_needs(trained):
    name, out = trained
    record = json.loads((out / "run.json").read_text())
    assert record["app"] == name
    assert record["arguments"]["seed"] == 3
    assert record["status"] == "complete"
    assert {"versions", "metrics", "input", "kind", "data_digest"} <= set(record)
    with (out / "history.csv").open() as file:
        assert len(list(csv.DictReader(file))) >= 1
    assert "<html" in (out / "report.html").read_text()[:500].lower()
    assert load(out).app == name


@pytest.mark.slow
def test_a_complete_run_is_not_trained_again(trained):
    name, out = trained
    before = {file.name: file.read_bytes() for file in out.glob("*.keras")}
    assert convmedia(name, "train", "--out", out, "--resume") == 0
    assert {file.name: file.read_bytes() for file in out.glob("*.keras")} == before


@pytest.mark.slow
def test_it_exports_a_file_that_is_proved_and_answers(capsys, trained, material, tmp_path):
    name, out = trained
    assert convmedia(name, "export", "--model", out, "--format", "onnx", "--out", tmp_path / "files", "--json") == 0
    parity = json.loads(capsys.readouterr().out)
    assert "refused" not in parity["onnx"]
    assert 0 <= parity["onnx"]["max_abs_diff"] < 0.01
    assert asked(name, material, tmp_path, "--model", out) == 1
