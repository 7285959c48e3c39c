"""Class folders: what is found, what is refused, and that splits follow content."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convmedia.data.folders import scan as folders_scan
from convmedia.data.folders.scan import SPLITS, Scan, scan
from convmedia.data.images import decoding
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import tree


def put(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)).save(path)
    return path


def fill(folder: Path, start: int, count: int) -> None:
    for seed in range(start, start + count):
        put(folder / f"{seed:04}.png", seed)


def where(found: Scan) -> dict[str, str]:
    return {example.digest: example.split for example in found.examples}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CONVMEDIA_CACHE", str(folder))
    return folder


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    fill(tmp_path / "pets/dog", 0, 30)
    fill(tmp_path / "pets/cat", 1000, 40)
    return tmp_path / "pets"


def test_labels_files_and_counts(pets: Path) -> None:
    found = scan(pets)
    assert found.labels == ("cat", "dog")
    assert sum(found.counts[split] for split in SPLITS) == 70
    for split in SPLITS:
        files, labels = found.files(split), found.labels_of(split)
        assert labels.dtype == np.int64 and len(labels) == len(files) == found.counts[split] > 0
        assert [found.labels[label] for label in labels] == [path.parent.name for path in files]
        assert files == sorted(files)
    assert not found.given and not found.bad and not found.duplicates
    with pytest.raises(ValueError, match="received 'valid'"):
        found.files("valid")


def test_split_is_the_stated_function_of_content(pets: Path) -> None:
    for example in scan(pets).examples:
        content = hashlib.sha256(example.path.read_bytes()).digest()
        assert example.digest == content.hex()
        fraction = int.from_bytes(content[:8], "big") / 2**64
        assert example.split == ("test" if fraction < 0.1 else "validation" if fraction < 0.2 else "train")


def test_adding_renaming_and_moving_change_no_split(pets: Path) -> None:
    before = scan(pets)
    for index, path in enumerate(sorted((pets / "cat").iterdir())):
        path.rename(path.parent / f"renamed-{99 - index}.png")
    same = scan(pets)
    assert where(same) == where(before) and same.digest == before.digest
    fill(pets / "dog" / "deeper", 5000, 60)
    after = scan(pets.rename(pets.parent / "moved"))
    assert len(after.examples) == 130
    assert where(before).items() <= where(after).items()
    assert after.digest != before.digest


@pytest.mark.parametrize("count", range(1, 9))
def test_small_classes_have_a_file_in_every_split_from_three_on(tmp_path: Path, count: int) -> None:
    for start in range(0, 200, 20):
        folder = tmp_path / str(start)
        fill(folder / "a", start, count)
        fill(folder / "b", start + 1000, count)
        found = scan(folder)
        for label in (0, 1):
            counts = Counter(example.split for example in found.examples if example.label == label)
            assert counts["train"] >= 1 and counts.total() == count
            if count >= 3:
                assert counts["test"] >= 1 and counts["validation"] >= 1


def test_shares_are_a_tenth_each(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        for index in range(1500):
            (tmp_path / label / f"{index}.png").write_text(f"{label}{index}")
    counts = scan(tmp_path, decode=lambda path: None).counts
    # 3,000 draws: standard deviation of each share is 0.0055
    assert abs(counts["test"] / 3000 - 0.1) < 0.02 and abs(counts["validation"] / 3000 - 0.1) < 0.02


def test_given_splits_are_kept_and_validation_is_taken_from_training(tmp_path: Path) -> None:
    for split, start in {"train": 0, "test": 100}.items():
        fill(tmp_path / split / "a", start, 20)
        fill(tmp_path / split / "b", start + 1000, 20)
    found = scan(tmp_path)
    assert found.given
    assert {path.parts[-3] for path in found.files("test")} == {"test"} and found.counts["test"] == 40
    assert {path.parts[-3] for path in found.files("train") + found.files("validation")} == {"train"}
    assert set(found.labels_of("validation")) == {0, 1} and 2 <= found.counts["validation"] <= 12
    fill(tmp_path / "val" / "a", 200, 3)
    fill(tmp_path / "val" / "b", 1200, 3)
    with_validation = scan(tmp_path)
    assert [with_validation.counts[split] for split in SPLITS] == [40, 6, 40]


def test_bad_files_are_named_skipped_and_left_alone(pets: Path) -> None:
    faults = {
        "cat/empty.png": (b"", "empty"),
        "cat/text.png": (b"hello, I am text", "known format"),
        "cat/cut.jpg": (b"", "damaged"),
        "dog/Thumbs.db": (b"x", "suffix '.db'"),
        "loose.png": (b"x", "outside the class folders"),
    }
    for name, (content, _) in faults.items():
        (pets / name).write_bytes(content)
    decoding.encode(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), pets / "cat/cut.jpg")
    cut = (pets / "cat/cut.jpg").read_bytes()
    (pets / "cat/cut.jpg").write_bytes(cut[: len(cut) // 2])
    os.mkfifo(pets / "dog/pipe.png")
    before = {path: path.stat() for path in tree(pets)[0]}
    found = scan(pets)
    reasons = {str(path.relative_to(pets)): reason for path, reason in found.bad}
    assert set(reasons) == {*faults, "dog/pipe.png"}
    for name, (_, reason) in faults.items():
        assert reason in reasons[name] and "\n" not in reasons[name]
    assert found.counts["bad"] == 6 and len(found.examples) == 70
    after = {path: path.stat() for path in tree(pets)[0]}
    assert {path: (s.st_size, s.st_mtime_ns) for path, s in after.items()} == {
        path: (s.st_size, s.st_mtime_ns) for path, s in before.items()
    }


def test_a_picture_under_another_pictures_suffix_is_good_and_named(pets: Path) -> None:
    shutil.move(pets / "cat/1000.png", pets / "cat/1000.jpg")
    for _ in ("read", "remembered"):
        found = scan(pets)
        assert len(found.examples) == 70 and not found.bad
        assert found.warnings == (f"{pets}/cat/1000.jpg is PNG, not JPEG as its suffix says; it is used",)


def damaged(folder: Path, number: int, whole: list[bytes]) -> set[Path]:
    """Damage of every kind, spread over the classes of a folder; the files that it made."""
    rng = np.random.default_rng(3)
    made = set()
    for index in range(number):
        content = whole[index % len(whole)]
        kind = index % 8
        cut = {0: 1, 1: 2, 2: 3}.get(kind, int(rng.integers(1, len(content))))
        suffix, rotten = ".jpg", content[:-cut]
        if kind == 5:
            rotten = rng.bytes(int(rng.integers(1, 5000)))
        elif kind == 6:
            suffix, rotten = (".jpg", b"a letter, not a picture") if index % 16 == 6 else (".txt", content)
        elif kind == 7:
            rotten = b""
        path = folder / ("cat", "dog")[index % 3 == 0] / f"rotten-{index}{suffix}"
        path.write_bytes(rotten)
        made.add(path)
    return made


def test_two_hundred_damaged_files_are_named_and_no_good_one_is_lost(tmp_path: Path) -> None:
    y, x = np.mgrid[:48, :64]
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
    for index in range(240):
        wave = 128 + 100 * np.sin(x / (3 + index / 20) + y / 7)[..., None] * [1, 0.5, -0.7]
        Image.fromarray(wave.astype(np.uint8)).save(tmp_path / ("cat", "dog")[index % 2] / f"{index}.jpg")
    good = set(tree(tmp_path)[0])
    bad = damaged(tmp_path, 200, [path.read_bytes() for path in sorted(good)])
    for _ in ("read", "remembered"):
        found = scan(tmp_path)
        assert {example.path for example in found.examples} == good
        assert {path for path, _ in found.bad} == bad and found.counts["bad"] == 200


def test_a_second_scan_reads_only_what_changed(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scan(pets)
    read = []

    def noted(path: Path) -> str:
        read.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(folders_scan.file_checks, "digest", noted)
    calls: list[tuple[int, int]] = []
    assert scan(pets, lambda done, total: calls.append((done, total))) == first and not read
    assert calls == [(done, 70) for done in range(1, 71)]
    new = put(pets / "cat/1001.png", 9000)
    (pets / "cat/1002.png").write_bytes(b"rotten")
    (pets / "cat/1003.png").unlink()
    second = scan(pets)
    assert read == [new]
    assert {e.path: e.digest for e in second.examples}[new] == hashlib.sha256(new.read_bytes()).hexdigest()
    assert [path.name for path, _ in second.bad] == ["1002.png"] and len(second.examples) == 68


def test_classes_with_a_handful_or_far_fewer_than_others_are_warned_of(tmp_path: Path) -> None:
    for label, count in {"many": 101, "ten": 10, "nine": 9}.items():
        fill(tmp_path / "train" / label, 1000 * count, count)
        fill(tmp_path / "validation" / label, 1000 * count + 500, 1)
        fill(tmp_path / "test" / label, 1000 * count + 600, 1)
    found = scan(tmp_path)
    assert found.classes == {
        label: {"train": n, "validation": 1, "test": 1} for label, n in (("many", 101), ("nine", 9), ("ten", 10))
    }
    assert found.warnings == (
        "nine has 9 files for training; give each class 10 or more",
        "many has 101 files for training, nine 9: more than 10 to 1",
    )
    for path in (tmp_path / "train/many").iterdir():
        if path.stem > f"{101_000 + 89:04}":
            path.unlink()
    assert len(scan(tmp_path).warnings) == 1  # 90 and 9


def test_flow_from_directory_is_here_and_loads_only_when_asked_for() -> None:
    script = "import sys; import convmedia.data.folders.scan; print('convmedia.data.folders.flow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "False"
    flow = pytest.importorskip("convmedia.data.folders.flow")
    assert folders_scan.flow_from_directory is flow.flow_from_directory
    with pytest.raises(AttributeError, match="no attribute 'flow_from_nowhere'"):
        folders_scan.flow_from_nowhere  # noqa: B018


def test_duplicates_are_kept_once_and_on_the_test_side(tmp_path: Path) -> None:
    for split, start in {"train": 0, "validation": 50, "test": 100}.items():
        fill(tmp_path / split / "a", start, 4)
        fill(tmp_path / split / "b", start + 1000, 4)
    leaked = tmp_path / "train/a/copy.png"
    shutil.copy(tmp_path / "test/a/0100.png", leaked)
    shutil.copy(tmp_path / "train/b/1000.png", tmp_path / "train/b/zz.png")
    found = scan(tmp_path)
    assert dict(found.duplicates) == {
        leaked: tmp_path / "test/a/0100.png",
        tmp_path / "train/b/zz.png": tmp_path / "train/b/1000.png",
    }
    assert leaked not in found.files("train") and found.counts["train"] == 8 and found.counts["test"] == 8


def test_one_content_under_two_labels_is_skipped_and_named(pets: Path) -> None:
    shutil.copy(pets / "cat/1003.png", pets / "dog/really.png")
    found = scan(pets)
    reasons = {str(path.relative_to(pets)): reason for path, reason in found.bad}
    assert set(reasons) == {"cat/1003.png", "dog/really.png"}
    assert "dog/really.png" in reasons["cat/1003.png"] and "another label" in reasons["cat/1003.png"]
    assert len(found.examples) == 69


def test_digest_tells_labels_splits_and_contents(tmp_path: Path) -> None:
    fill(tmp_path / "x/a", 0, 5)
    fill(tmp_path / "x/b", 1000, 5)
    shutil.copytree(tmp_path / "x", tmp_path / "y")
    one = scan(tmp_path / "x").digest
    assert scan(tmp_path / "y").digest == one
    (tmp_path / "y/b").rename(tmp_path / "y/c")
    assert scan(tmp_path / "y").digest != one
    (tmp_path / "y/c").rename(tmp_path / "y/b")
    put(tmp_path / "y/b/1000.png", 7777)
    assert scan(tmp_path / "y").digest != one


def test_links_that_loop_and_strange_names(pets: Path) -> None:
    (pets / "cat/loop").symlink_to(pets / "cat")
    (pets / "dog/all").symlink_to(pets)
    (pets / "cat/gone.png").symlink_to(pets / "nowhere")
    strange = Path(os.fsdecode(os.fsencode(pets) + b"/caf\xe9"))
    fill(strange, 3000, 3)
    put(Path(os.fsdecode(os.fsencode(strange) + b"/\xff\n.png")), 3100)
    found = scan(pets)
    assert found.labels == (r"caf\xe9", "cat", "dog")
    assert len(found.examples) == 74
    assert [path.name for path, _ in found.bad] == ["gone.png", "loop", "all"]
    assert "the loop is not followed" in dict(found.bad)[pets / "cat/loop"]
    named = [line.split(" has a name")[0] for line in found.warnings if "not UTF-8; it is used" in line]
    assert named == [f"{pets}/caf\\xe9", f"{pets}/caf\\xe9/\\xff\\n.png"]
    assert found.digest.encode()


def test_progress_counts_every_file(pets: Path) -> None:
    calls: list[tuple[int, int]] = []
    scan(pets, lambda done, total: calls.append((done, total)))
    assert calls == [(done, 70) for done in range(1, 71)]


def test_an_interrupt_ends_the_scan_at_once(pets: Path) -> None:
    read = []

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    def slow(path: Path) -> None:
        read.append(path)
        decoding.decode(path)

    for index in range(8):
        shutil.copytree(pets / "cat", pets / f"more{index}")
    with pytest.raises(KeyboardInterrupt):
        scan(pets, stop, decode=slow)
    assert len(read) < 390


def test_folders_that_are_no_data_set(tmp_path: Path) -> None:
    fill(tmp_path / "one/cat", 0, 2)
    fill(tmp_path / "flat", 0, 2)
    fill(tmp_path / "hole/cat", 0, 2)
    (tmp_path / "hole/dog").mkdir()
    fill(tmp_path / "rotten/cat", 0, 2)
    (tmp_path / "rotten/dog").mkdir()
    (tmp_path / "rotten/dog/a.png").touch()
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "half/train/cat", 0, 2)
    fill(tmp_path / "odd/train/cat", 0, 2)
    fill(tmp_path / "odd/test/cat", 5, 2)
    fill(tmp_path / "odd/extra/cat", 8, 2)
    for split in ("train", "test"):
        fill(tmp_path / "unseen" / split / "cat", 0, 2)
    fill(tmp_path / "unseen/test/dog", 10, 2)
    (tmp_path / "file").write_text("x")
    faults = {
        "missing": "does not exist",
        "file": "is a file",
        "empty": "is empty",
        "flat": "2 files and no class folders",
        "one": "one class only (cat)",
        "hole": "no usable file for training of dog",
        "rotten": "empty (0 bytes)",
        "half": "holds train; give train, test",
        "odd": "holds extra, test, train",
        "unseen": "training of cat, dog",
    }
    for name, reason in faults.items():
        with pytest.raises(InputError) as error:
            scan(tmp_path / name)
        assert reason in str(error.value) and name in str(error.value) and "\n" not in str(error.value)


def test_real_photos() -> None:
    folder = os.environ.get("CONVMEDIA_DATA")
    if not folder:
        pytest.skip("CONVMEDIA_DATA is not set")
    found = scan(Path(folder, "cats_vs_dogs"), decode=decoding.size)
    assert found.labels == ("cat", "dog") and found.given
    assert found.counts["test"] == 600 and found.counts["train"] + found.counts["validation"] == 2000
    assert 150 < found.counts["validation"] < 250 and found.counts["bad"] == 0


def test_without_a_test_split_one_is_taken_from_training_and_validation_stays(tmp_path: Path) -> None:
    for split, start in {"Training": 0, "Validation": 100}.items():
        fill(tmp_path / split / "a", start, 20)
        fill(tmp_path / split / "b", start + 1000, 20)
    found = scan(tmp_path)
    assert found.labels == ("a", "b") and found.given
    assert {path.parts[-3] for path in found.files("validation")} == {"Validation"} and found.counts["validation"] == 40
    assert {path.parts[-3] for path in found.files("train") + found.files("test")} == {"Training"}
    assert set(found.labels_of("test")) == {0, 1} and 2 <= found.counts["test"] <= 12
    assert f"{tmp_path} tells no test split; it is taken from training" in found.warnings
