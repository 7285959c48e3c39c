"""Where labels and splits stand: class folders are tested in test_folders.py, flat names here."""

import unicodedata
from pathlib import Path

import pytest

from convmedia.data.splits.layouts import layout
from convmedia.data.splits.split_names import splits
from convmedia.data.storage.errors import InputError


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
        (["train/cat.0.jpg", "val/cat.1.jpg"], "one class only (cat)"),
        (["test/cat.0.jpg", "val/cat.1.jpg"], "holds test, val; give train, test"),
        (["train/1.jpg", "test/2.jpg"], "2 files and no class folders"),
        (["train/cat.0.jpg", "train/dog.0.jpg", "more/a/1.jpg"], "holds more, train; give train, test"),
    ],
)
def test_what_is_no_data_set(tmp_path: Path, names: list[str], words: str) -> None:
    with pytest.raises(InputError) as error:
        layout(make(tmp_path, *names), {".jpg"})
    assert words in str(error.value) and str(tmp_path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "names",
    [
        "Train Val Test",
        "TRAIN VALID TESTING",
        "Training Validation Testing",
        "training_set validation-set test_set",
        "trainset valset testset",
        "seg_train seg_val seg_test",
        "train_images dev_images eval_images",
        "TrainSet ValSet TestSet",
        "train2017 val2017 test2017",
        "pets-train pets-dev pets-holdout",
        "1_train 2_val 3_test",
        "Train.Data Valid.Data Hold-Out.Data",
    ],
)
def test_folders_of_splits_are_no_labels_however_they_are_spelt(tmp_path: Path, names: str) -> None:
    places = dict(zip(names.split(), ("train", "validation", "test"), strict=True))
    assert splits(places) == places
    make(tmp_path, *(f"{name}/{label}/{name}{label}.jpg" for name in places for label in ("cat", "dog")))
    read = layout(tmp_path, {".jpg"})
    assert read.labels == ("cat", "dog") and read.parts == {"train", "validation", "test"}
    assert {(split, path.parts[-3]) for split, _, path in read.files} == {
        (split, name) for name, split in places.items()
    }


@pytest.mark.parametrize(
    "names", ["train_station test_tube", "valid_ticket void", "protest contest", "trained raw", "station"]
)
def test_names_that_only_sound_like_splits_are_labels(names: str) -> None:
    assert splits(names.split()) == {}


def test_valid_beside_invalid_is_a_label(tmp_path: Path) -> None:
    make(tmp_path, "valid/1.jpg", "invalid/2.jpg")
    assert layout(tmp_path, {".jpg"}).labels == ("invalid", "valid")


@pytest.mark.parametrize(
    "names",
    [
        ["Train/1.jpg", "Test/2.jpg"],
        ["train/cat/1.jpg", "training/cat/2.jpg", "test/cat/3.jpg"],
        ["cat_train/1.jpg", "cat_test/2.jpg", "dog_train/3.jpg", "dog_test/4.jpg"],
        ["training/1.jpg", "cat/2.jpg", "dog/3.jpg"],
        ["Val/cat/1.jpg", "cat/2.jpg", "dog/3.jpg"],
        ["cat/train/1.jpg", "cat/test/2.jpg", "dog/3.jpg"],
    ],
)
def test_a_splits_name_never_becomes_a_label(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(InputError) as error:
        layout(make(tmp_path, *names), {".jpg"})
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_splits_inside_of_the_classes(tmp_path: Path) -> None:
    make(tmp_path, "cat/Train/1.jpg", "cat/Test/more/2.jpg", "dog/Train/3.jpg", "dog/Test/4.jpg")
    read = layout(tmp_path, {".jpg"})
    assert (
        found(tmp_path)["cat/Test/more/2.jpg"] == ("test", "cat") and found(tmp_path)["dog/Train/3.jpg"][0] == "train"
    )
    assert read.parts == {"train", "test"} and not read.notes


def test_folders_around_the_classes_are_entered_with_a_note(tmp_path: Path) -> None:
    make(tmp_path, "PetImages/Cat/1.jpg", "PetImages/Dog/2.jpg", "__MACOSX/PetImages/Cat/1.jpg", ".git/x/1.jpg")
    assert found(tmp_path) == {"PetImages/Cat/1.jpg": ("", "Cat"), "PetImages/Dog/2.jpg": ("", "Dog")}
    entered, system = layout(tmp_path, {".jpg"}).notes
    assert entered.startswith(f"{tmp_path}/PetImages is taken") and system.startswith(
        f"{tmp_path}/__MACOSX is left out"
    )


def test_each_split_may_be_wrapped_and_pictures_without_labels_lie_beside(tmp_path: Path) -> None:
    make(tmp_path, *(f"seg_{s}/seg_{s}/{label}/{s}.jpg" for s in ("train", "test") for label in ("sea", "street")))
    make(tmp_path, "seg_pred/seg_pred/1.jpg")
    read = layout(tmp_path, {".jpg"})
    assert read.labels == ("sea", "street") and read.parts == {"train", "test"}
    assert read.notes == [f"{tmp_path}/seg_pred/seg_pred is left out: the names of its 1 files tell no label"]


def test_classes_that_hold_only_folders_are_told(tmp_path: Path) -> None:
    make(tmp_path, "animals/cat/1.jpg", "animals/dog/2.jpg", "vehicles/car/3.jpg", "vehicles/bus/4.jpg")
    read = layout(tmp_path, {".jpg"})
    assert read.labels == ("animals", "vehicles")
    assert "animals, vehicles hold folders (cat, dog, bus, car)" in read.notes[0]


def test_one_name_in_two_forms_of_unicode_is_one_label(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "señal") for form in ("NFC", "NFD"))
    make(tmp_path, f"train/{composed}/1.jpg", f"test/{apart}/2.jpg", "train/otro/3.jpg", "test/otro/4.jpg")
    assert layout(tmp_path, {".jpg"}).labels == ("otro", composed)
    assert found(tmp_path)[f"test/{apart}/2.jpg"] == ("test", composed)


def test_a_label_that_is_decomposed_throughout_stays_as_older_runs_recorded_it(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "señal")
    make(tmp_path, f"{apart}/1.jpg", "otro/2.jpg")
    assert layout(tmp_path, {".jpg"}).labels == ("otro", apart)
