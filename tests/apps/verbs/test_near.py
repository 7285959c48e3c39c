"""`convmedia data check --near`: planted copies and wrong labels are listed, as lines, JSON and a page."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from scipy.ndimage import gaussian_filter

from convmedia.apps.cli.entry import exit_code
from convmedia.apps.verbs.data import command
from convmedia.data.images.decoding import find
from convmedia.data.sources import fetch
from convmedia.models.inference import features

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "planted_faults.py"


def picture(label: str, seed: int) -> Image.Image:
    """Clouds, or stripes of many directions."""
    rng = np.random.default_rng([len(label), seed])
    y, x = np.mgrid[:120, :160]
    if label == "clouds":
        plane = gaussian_filter(rng.normal(0, 1, (120, 160)), 9) + 0.4 * gaussian_filter(
            rng.normal(0, 1, (120, 160)), 3
        )
    else:
        turn, wide, bend = rng.uniform(0, np.pi), rng.uniform(3, 6), rng.uniform(10, 30)
        along = np.cos(turn) * x + np.sin(turn) * y
        plane = np.sin((along + 8 * np.sin((y + seed * 7) / bend) + 5 * np.sin((x - seed * 11) / 23)) / wide)
    tint = rng.uniform(0.6, 1.0, 3)
    return Image.fromarray(((128 + 60 * plane / plane.std())[..., None] * tint).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty pictures of each label, of which one of each is under the other one, and two altered copies."""
    root = tmp_path_factory.mktemp("planted")
    for label in ("clouds", "stripes"):
        (root / label).mkdir()
    for label, other in (("clouds", "stripes"), ("stripes", "clouds")):
        for seed in range(20):
            picture(label, seed).save(root / (other if seed == 3 else label) / f"{label}-{seed}.png")
    picture("clouds", 5).crop((20, 10, 140, 110)).save(root / "clouds" / "cut.jpg", quality=60)
    picture("stripes", 6).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(root / "stripes" / "mirrored.png")
    return root


def checked(folder, capsys, *arguments):
    code = exit_code(command, ["check", str(folder), *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_planted_copies_and_labels_are_listed(folder, tmp_path, capsys):
    code, out, _ = checked(folder, capsys, "--near", "--json", "--out", tmp_path / "near.html")
    assert code == 0
    near = json.loads(out)["near"]
    pairs = {frozenset(Path(row[name]).name for name in ("file", "like")): row for row in near["look_alikes"]}
    cut, mirrored = frozenset(["clouds-5.png", "cut.jpg"]), frozenset(["stripes-6.png", "mirrored.png"])
    assert {cut, mirrored} <= pairs.keys()
    assert pairs[cut]["how"].startswith("cut to 6") and pairs[mirrored]["how"] == "mirrored"
    assert pairs[mirrored]["likeness"] > 0.99 and pairs[cut]["labels"] == ["clouds", "clouds"]
    first = {Path(row["file"]).name: row for row in near["labels"][:2]}
    assert first.keys() == {"clouds-3.png", "stripes-3.png"}
    assert (first["clouds-3.png"]["label"], first["clouds-3.png"]["suggested"]) == ("stripes", "clouds")
    assert first["clouds-3.png"]["neighbours"]["clouds"] >= 6
    page = (tmp_path / "near.html").read_text("utf-8")
    assert page.count("<img") == 2 * (len(near["look_alikes"]) + len(near["labels"]))
    assert "clouds/cut.jpg" in page and "stripes/clouds-3.png" in page and "http" not in page.replace("http-equiv", "")


def test_lines_name_them_and_the_second_time_no_network_is_built(folder, capsys, monkeypatch):
    checked(folder, capsys, "--near")
    monkeypatch.setattr(features.Pretrained, "_network", property(lambda self: pytest.fail("built again")))
    code, out, _ = checked(folder, capsys, "--near")
    assert code == 0
    lines = [line.split("\t") for line in out.splitlines()]
    assert any(line[0] == "copy" and line[3].startswith("mirrored, likeness 1.00") for line in lines)
    assert [Path(line[1]).name for line in lines if line[0] == "label?"][:2] != []


def test_without_near_nothing_of_it_is_said(folder, capsys):
    code, out, _ = checked(folder, capsys, "--json")
    assert code == 0 and "near" not in json.loads(out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--out", "near.html"), "give --near, too"), (("--near", "--out", "near.png"), "ends in .html")],
)
def test_options_that_do_not_fit_are_one_line(folder, capsys, arguments, words):
    code, out, err = checked(folder, capsys, *arguments)
    assert (code, out) == (2, "") and words in err and err.count("\n") == 1


def test_sounds_are_refused_in_a_line(tmp_path, capsys):
    for label in ("beep", "hiss"):
        (tmp_path / label).mkdir()
        for number in range(12):
            noise = np.random.default_rng([ord(label[0]), number]).uniform(-0.3, 0.3, 800)
            soundfile.write(tmp_path / label / f"{number}.wav", noise, 8000)
    code, out, err = checked(tmp_path, capsys, "--near")
    assert (code, out) == (2, "") and "--near compares files of pictures" in err


def test_the_benchmark_plants_what_it_says(tmp_path):
    script = runpy.run_path(str(BENCHMARK))
    photos = {}
    for label in ("cat", "dog"):
        (tmp_path / "all" / label).mkdir(parents=True)
        for seed in range(40):
            picture(label, seed).save(tmp_path / "all" / label / f"{label}.{seed}.png")
        photos[label] = sorted((tmp_path / "all" / label).iterdir())
    planted = script["plant"](photos, tmp_path / "set", 1, number=60)
    assert len(planted["copies"]) == len(planted["wrong"]) == 20
    files = {path.relative_to(tmp_path / "set").as_posix() for path in (tmp_path / "set").rglob("*.*")}
    assert len(files) == 80 and files >= {*planted["copies"], *planted["copies"].values(), *planted["wrong"]}
    assert all(label not in Path(name).parts[0] for name, label in planted["wrong"].items())


@pytest.mark.slow  # a folder of 500 photos
def test_eighteen_of_twenty_faults_of_each_kind_are_among_the_first_forty(tmp_path, monkeypatch):
    place = fetch.locate("dogs-vs-cats")
    if place is None:
        pytest.skip("dogs-vs-cats is not on this machine")
    script = runpy.run_path(str(BENCHMARK))
    photos = {label: [file for file in find([place]) if file.parent.name == label] for label in ("cat", "dog")}
    photos = {label: script["half"](files, False) for label, files in photos.items()}
    found = script["counts"](photos, tmp_path, 11)
    assert all(int(found[name].split()[0]) >= 18 for name in ("copies", "wrong labels")), found
