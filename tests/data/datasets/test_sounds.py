"""Sets of sounds: what a folder, a table and a named set say of labels, splits and folds."""

import numpy as np
import pytest
import soundfile

from convmedia.data.datasets import sounds
from convmedia.data.storage.errors import InputError


def written(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.3, 0.3, 800).astype("float32"), 8000)
    return path


def table(folder, lines, header="file,labels"):
    path = folder / "table.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


@pytest.fixture
def many(tmp_path):
    """24 files and the lines of a table that names them: every third has two labels."""
    lines = []
    for number in range(24):
        written(tmp_path / f"{number}.wav", number)
        labels = ("high", "low")[number % 2] + (";loud" if number % 3 == 0 else "")
        lines.append(f"{number}.wav,{labels}")
    return lines


def test_a_folder_of_class_folders(tmp_path):
    for number in range(30):
        written(tmp_path / "set" / ("a", "b")[number % 2] / f"{number}.wav", number)
    (tmp_path / "set" / "a" / "text.wav").write_text("no sound")
    found = sounds.load(str(tmp_path / "set"))
    assert found.labels == ("a", "b")
    assert len(found.train) + len(found.validation) + len(found.test) == 30
    assert min(len(found.train), len(found.validation), len(found.test)) >= 2
    assert [path.name for path, _ in found.bad] == ["text.wav"]
    assert not found.several
    for split in (found.train, found.validation, found.test):
        assert [found.labels[label] for label in split.truth] == [path.parent.name for path in split.paths]


def test_a_table_with_several_labels(tmp_path, many):
    found = sounds.load(table(tmp_path, many))
    assert found.labels == ("high", "loud", "low")
    assert found.several
    every = dict(zip(found.train.paths, found.train.truth.tolist(), strict=True))
    for path, marks in every.items():
        number = int(path.stem)
        assert marks == [int(number % 2 == 0), int(number % 3 == 0), int(number % 2 == 1)]


def test_a_table_tells_splits_and_folds(tmp_path, many):
    lines = [f"{line.split(';')[0]},{['train', 'validation', 'test'][n % 3]}" for n, line in enumerate(many)]
    found = sounds.load(table(tmp_path, lines, "filename,category,split"))
    assert [int(path.stem) for path in found.test.paths] == sorted(range(2, 24, 3), key=str)
    lines = [f"{line.split(';')[0]},{n % 4}" for n, line in enumerate(many)]
    path = table(tmp_path, lines, "filename,category,fold")
    assert sounds.folds(path) == ["0", "1", "2", "3"]
    found = sounds.load(path, fold="2")
    assert {int(path.stem) % 4 for path in found.test.paths} == {2}
    assert not {path.stem for path in found.train.paths} & {path.stem for path in found.test.paths}
    with pytest.raises(InputError, match="folds 0, 1, 2, 3; received 9"):
        sounds.load(path, fold="9")


def test_rows_without_a_label_and_missing_files_are_left_out(tmp_path, many):
    lines = [*many, "0.wav,", "nowhere.wav,high"]
    found = sounds.load(table(tmp_path, lines))
    reasons = {path.name: reason for path, reason in found.bad}
    assert "no label in row 26" in reasons["0.wav"]
    assert "nowhere.wav" in reasons["nowhere.wav"]


@pytest.mark.parametrize(
    ("header", "lines", "said"),
    [
        ("name,labels", ["0.wav,high"], "no column file; its columns are name, labels"),
        ("file,mood", ["0.wav,high"], "no column labels"),
        ("file,labels", [], "no row with a file and a label"),
        ("file,labels", ["0.wav,high", "1.wav,high"], r"one class only \(high\)"),
        ("file,labels", ["0.wav,high", "nowhere.wav,low"], "no usable file for training of low"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, many, header, lines, said):
    with pytest.raises(InputError, match=said):
        sounds.load(table(tmp_path, lines, header))


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        ("", {}, "--data is empty"),
        ("mnist", {}, "holds no sounds"),
        ("fsd", {}, "did you mean fsdd"),
        ("./nowhere", {}, "does not exist"),
        ("./nowhere.csv", {}, "there is no table"),
        ("esc10", {"split": "speaker"}, "--split speaker is for fsdd"),
    ],
)
def test_what_is_wrong_with_the_name_is_said(data, options, said):
    with pytest.raises(InputError, match=said):
        sounds.load(data, **options)


def test_one_class_is_not_enough(tmp_path):
    written(tmp_path / "only" / "a.wav", 1)
    with pytest.raises(InputError, match="one class only"):
        sounds.load(str(tmp_path))


def test_a_limit_keeps_the_shares_of_the_classes(tmp_path, many):
    found = sounds.load(table(tmp_path, [line.split(";")[0] for line in many]))
    limited = found.limited(6, seed=1)
    assert np.bincount(limited.train.truth).tolist() == [3, 3]
    assert found.limited(None, 1) is found
    assert limited.train.digests == found.limited(6, seed=1).train.digests


def test_the_official_split_of_fsdd(convmedia_data):
    found = sounds.load("fsdd")
    assert found.labels == tuple("0123456789")
    assert {int(path.stem.split("_")[2]) for path in found.test.paths} == set(range(5))
    assert (len(found.train), len(found.validation), len(found.test)) == (2520, 180, 300)


def test_speakers_of_fsdd_are_held_out(convmedia_data):
    speakers = sounds.folds("fsdd", "speaker")
    assert len(speakers) == 6
    found = sounds.load("fsdd", "speaker", fold="theo")
    assert {path.stem.split("_")[1] for path in found.test.paths} == {"theo"}
    assert {path.stem.split("_")[1] for path in (*found.train.paths, *found.validation.paths)} == {*speakers} - {"theo"}
    assert len(found.test) == 500


def test_folds_of_esc10_share_no_recording(convmedia_data):
    assert sounds.folds("esc10") == ["1", "2", "3", "4", "5"]
    found = sounds.load("esc10", fold="3")
    assert {path.name[0] for path in found.test.paths} == {"3"}
    assert len(found.test) == 80
    recordings = [{path.name.split("-")[1] for path in split.paths} for split in (found.train, found.validation)]
    assert not recordings[0] & recordings[1]
