"""Where labels and splits stand: class folders are tested in test_folders.py, flat names here."""

from pathlib import Path

import pytest

from convmedia.data.errors import InputError
from convmedia.data.layouts import layout


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def found(folder: Path) -> dict[str, tuple[str, str]]:
    """Split and label of each file, by its place."""
    files = layout(folder, {".jpg"}).files
    return {str(path.relative_to(folder)): (split, label) for split, label, path in files}


def test_the_name_before_the_first_dot_is_the_label(tmp_path: Path) -> None:
    make(tmp_path, "cat.0.jpg", "cat.1.jpg", "dog.12.jpg", "small dog.7.2.JPG", "Thumbs.db", "cat.2.txt", "cat.jpg")
    make(tmp_path, ".hidden.1.jpg")
    assert found(tmp_path) == {
        "cat.0.jpg": ("", "cat"),
        "cat.1.jpg": ("", "cat"),
        "dog.12.jpg": ("", "dog"),
        "small dog.7.2.JPG": ("", "small dog"),
    }
    read = layout(tmp_path, {".jpg"})
    assert read.labels == ("cat", "dog", "small dog") and not read.parts and not read.notes
    assert [path.name for path, _ in read.bad] == ["Thumbs.db", "cat.2.txt", "cat.jpg"]
    assert dict(read.bad)[tmp_path / "cat.jpg"] == f"{tmp_path}/cat.jpg tells no label; name it as in cat.0.jpg"


def test_class_folders_come_before_names(tmp_path: Path) -> None:
    make(tmp_path, "a/cat.0.jpg", "b/dog.0.jpg", "cat.1.jpg")
    assert found(tmp_path) == {"a/cat.0.jpg": ("", "a"), "b/dog.0.jpg": ("", "b")}
    assert layout(tmp_path, {".jpg"}).bad == [(tmp_path / "cat.1.jpg", "lies outside the class folders")]


def test_kaggles_archive_its_test_pictures_have_no_labels(tmp_path: Path) -> None:
    make(tmp_path, "train/cat.0.jpg", "train/dog.0.jpg", "test1/1.jpg", "test1/2.jpg", "sampleSubmission.csv")
    assert found(tmp_path) == {"train/cat.0.jpg": ("", "cat"), "train/dog.0.jpg": ("", "dog")}
    read = layout(tmp_path, {".jpg"})
    assert not read.parts
    assert read.notes == [f"{tmp_path}/test1 is left out: the names of its 2 files tell no label"]
    assert [path.name for path, _ in read.bad] == ["sampleSubmission.csv"]


def test_flat_train_and_test(tmp_path: Path) -> None:
    make(tmp_path, "train/cat.0.jpg", "train/dog.0.jpg", "test/cat.1.jpg", "test/dog.1.jpg")
    assert found(tmp_path)["test/dog.1.jpg"] == ("test", "dog")
    assert layout(tmp_path, {".jpg"}).parts == {"train", "test"}
    make(tmp_path, "val/cat.2.jpg")
    assert found(tmp_path)["val/cat.2.jpg"] == ("validation", "cat")


def test_flat_train_beside_a_test_of_class_folders(tmp_path: Path) -> None:
    make(tmp_path, "train/cat.0.jpg", "train/dog.0.jpg", "test/cat/1.jpg", "test/dog/1.jpg")
    assert found(tmp_path)["test/dog/1.jpg"] == ("test", "dog")
    assert layout(tmp_path, {".jpg"}).labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["cat.0.jpg", "cat.1.jpg"], "one class only (cat)"),
        (["IMG_1.jpg", "IMG_2.final.jpg"], "2 files and no class folders"),
        (["train/cat.0.jpg", "val/cat.1.jpg"], "holds train, val; give train, test"),
        (["train/1.jpg", "test/2.jpg"], "2 files and no class folders"),
        (["train/cat.0.jpg", "train/dog.0.jpg", "more/a/1.jpg"], "holds more, train; give train, test"),
    ],
)
def test_what_is_no_data_set(tmp_path: Path, names: list[str], words: str) -> None:
    with pytest.raises(InputError) as error:
        layout(make(tmp_path, *names), {".jpg"})
    assert words in str(error.value) and str(tmp_path) in str(error.value) and "\n" not in str(error.value)
