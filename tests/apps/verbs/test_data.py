"""`convmedia data check`: what it prints, its exit code, its JSON."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from convmedia.apps.cli.entry import exit_code
from convmedia.apps.verbs.data import command


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """12 cats and 5 dogs in train, 2 each in test."""
    for split, cats, dogs in (("train", 12, 5), ("test", 2, 2)):
        for label, count in (("cat", cats), ("dog", dogs)):
            (tmp_path / "pets" / split / label).mkdir(parents=True)
            for number in range(count):
                rng = np.random.default_rng([ord(split[1]), ord(label[0]), number])
                picture = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
                picture.save(tmp_path / "pets" / split / label / f"{number}.png")
    return tmp_path / "pets"


def spoil(pets: Path) -> None:
    (pets / "train/cat/zero.png").touch()
    (pets / "train/dog/loop").symlink_to("..")
    shutil.copy(pets / "test/dog/1.png", pets / "train/dog/leaked.png")
    Path(os.fsdecode(os.fsencode(pets) + b"/train/cat/caf\xe9.png")).write_bytes(b"no picture")


def test_a_good_folder_is_counted_and_zero(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(command, ["check", str(pets)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "train", "validation", "test"]
    counts = {name: list(map(int, numbers)) for name, *numbers in map(str.split, lines[1:4])}
    assert sum(counts["cat"][:2]) == 12 and sum(counts["dog"][:2]) == 5
    assert [counts[name][2] for name in ("cat", "dog", "all")] == [2, 2, 4]
    assert counts["all"] == [cats + dogs for cats, dogs in zip(counts["cat"], counts["dog"], strict=True)]
    assert lines[4] == (
        "21 files in 2 classes, splits as the folder tells; left out: 0, duplicates: 0, near duplicates: 0, groups: 0"
    )
    assert re.fullmatch(r"warning\tdog has [34] files for training; give each class 10 or more", lines[-1])


def test_faults_are_named_once_each_and_one(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(pets)
    assert exit_code(command, ["check", str(pets)]) == 1
    printed = capsys.readouterr().out
    printed.encode()  # names that are not UTF-8 do not stop it
    lines = [line.split("\t") for line in printed.splitlines() if "\t" in line and not line.startswith("warning")]
    assert lines == [
        ["left out", f"{pets}/train/cat/caf\\xe9.png", lines[0][2]],
        ["left out", f"{pets}/train/cat/zero.png", "is empty (0 bytes); replace it with a complete copy"],
        ["left out", f"{pets}/train/dog/loop", "links to a folder that it lies in; the loop is not followed"],
        ["duplicate", f"{pets}/train/dog/leaked.png", f"of {pets}/test/dog/1.png"],
    ]
    assert lines[0][2].startswith("holds no picture of a known format")


def test_json_has_the_same_and_nothing_else(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(pets)
    assert exit_code(command, ["check", str(pets), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["labels"] == ["cat", "dog"] and found["splits_given"] is True
    assert found["counts"]["test"] == 4 and found["counts"]["bad"] == 3 and found["counts"]["duplicates"] == 1
    assert found["classes"]["cat"]["test"] == 2 and sum(found["classes"]["dog"].values()) == 7
    files = [row["file"] for row in found["bad"]]
    assert os.fsencode(files[0]) == os.fsencode(pets) + b"/train/cat/caf\xe9.png"  # exact, as a program needs it
    assert [Path(file).name for file in files[1:]] == ["zero.png", "loop"]
    assert found["duplicates"] == [
        {"file": f"{pets}/train/dog/leaked.png", "same_as": f"{pets}/test/dog/1.png"},
    ]
    assert any("give each class 10 or more" in line for line in found["warnings"])


@pytest.mark.parametrize(("name", "words"), [("missing", "does not exist"), ("pets/train/cat", "no class folders")])
def test_what_is_no_data_set_is_one_line_and_two(
    pets: Path, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    assert exit_code(command, ["check", str(pets.parent / name), "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and words in printed.err and printed.err.count("\n") == 1


def test_a_folder_of_sounds_is_read_as_sounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("beep", "hiss"):
        (tmp_path / label).mkdir()
        for number in range(12):
            noise = np.random.default_rng([ord(label[0]), number]).uniform(-0.3, 0.3, 800)
            soundfile.write(tmp_path / label / f"{number}.wav", noise, 8000)
    (tmp_path / "hiss" / "text.wav").write_text("no sound")
    assert exit_code(command, ["check", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split()[0] == "all" and sum(map(int, lines[3].split()[1:])) == 24
    assert [line.split("\t")[1].endswith("hiss/text.wav") for line in lines if line.startswith("left out\t")] == [True]


def test_tables_of_several_labels_and_of_numbers_are_looked_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["file,labels,cells"]
    for number in range(40):
        picture = np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{'a;b' if number % 2 else 'a'},{number}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    assert exit_code(command, ["check", str(tmp_path / "t.csv"), "--json"]) == 0
    counted = json.loads(capsys.readouterr().out)["classes"]
    assert [sum(counted[label].values()) for label in "ab"] == [40, 20]
    assert exit_code(command, ["check", str(tmp_path / "t.csv"), "--target", "cells", "--json"]) == 0
    ranges = json.loads(capsys.readouterr().out)["classes"]
    assert [sum(counts.values()) for counts in ranges.values()] == [8] * 5
    assert next(iter(ranges)) == "cells, range 1: 0 to 7"
