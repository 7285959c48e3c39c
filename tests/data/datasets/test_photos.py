"""Sets of labelled pictures, and their pictures decoded at one size."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from convmedia.apps.verbs import data as verbs_data
from convmedia.data.datasets import digits, photos
from convmedia.data.datasets.photos import Decoded, Split
from convmedia.data.images import decoding
from convmedia.data.storage.errors import InputError

SIZE = (18, 24)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CONVMEDIA_CACHE", str(folder))
    return folder


def put(path: Path, seed: int, height: int = 30, width: int = 40, **options: object) -> Path:
    """A smooth picture of its own."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse.resize((width, height), Image.Resampling.BICUBIC).save(path, **options)
    return path


@pytest.fixture
def split(tmp_path: Path) -> Split:
    paths = tuple(put(tmp_path / f"photos/{seed}.jpg", seed) for seed in range(12))
    return Split(paths, np.arange(12) % 2, tuple(f"{11 - seed:064x}" for seed in range(12)))


def expected(split: Split, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Every picture of a split, by Pillow alone."""
    bilinear = Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.open(path).convert("RGB").resize(size[::-1], bilinear)) for path in split.paths])


# One picture


def test_read_agrees_with_the_resizing_inside_the_saved_file(convmedia_data: Path) -> None:
    from convmedia.models.preprocessing.resize import Resize

    layer = Resize(150, 160)
    for path in decoding.find([convmedia_data / "cats_vs_dogs/train"])[::100]:
        inside = np.asarray(layer(decoding.decode(path)[None].astype("float32")))[0]
        assert np.abs(photos.read(path, (150, 160)).astype("float32") - inside).mean() < 0.5  # 8 bits round by 0.25
        assert np.abs(photos.read(path, (150, 160), fast=True) - inside).mean() < 0.5  # too small to be reduced


def test_reduced_size_decoding_is_near_and_differs(convmedia_data: Path) -> None:
    means = []
    for path in decoding.find([convmedia_data / "cats_vs_dogs/train"])[::50]:
        full, fast = (photos.read(path, (64, 64), fast).astype(int) for fast in (False, True))
        means.append(np.abs(full - fast).mean())
    assert 0.3 < np.mean(means) < 2.5 and max(means) < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_reduced_size_decoding_turns_pictures_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = put(tmp_path / "a.jpg", 1, 240, 320, exif=exif, quality=95)
    fast = photos.read(path, (30, 50), fast=True)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).resize((50, 30), Image.Resampling.BILINEAR)
    assert fast.shape == (30, 50, 3) and fast.dtype == np.uint8
    assert np.abs(fast.astype(int) - np.asarray(upright)).mean() < 1


@pytest.mark.parametrize("fast", [False, True])
def test_what_is_no_jpeg_and_what_is_rotten(tmp_path: Path, fast: bool) -> None:
    png = put(tmp_path / "a.png", 1, 200, 200)
    np.testing.assert_array_equal(photos.read(png, (200, 200), fast), decoding.decode(png))
    grey = tmp_path / "grey.jpg"
    Image.new("L", (300, 200), 77).save(grey)
    assert (photos.read(grey, SIZE, fast) == 77).all()
    cut = put(tmp_path / "b.jpg", 1, 200, 200)
    cut.write_bytes(cut.read_bytes()[:-500])
    for bad in (cut, tmp_path / "missing.jpg"):
        with pytest.raises(InputError, match=bad.name):
            photos.read(bad, SIZE, fast)


# Sets


def test_a_folder_becomes_splits_with_labels_and_digests(tmp_path: Path) -> None:
    for seed in range(60):
        put(tmp_path / "pets" / ("cat", "dog")[seed % 2] / f"{seed}.png", seed, 6, 8)
    (tmp_path / "pets/cat/bad.png").write_text("no")
    shutil.copy(tmp_path / "pets/dog/1.png", tmp_path / "pets/dog/copy.png")
    shutil.move(tmp_path / "pets/dog/3.png", tmp_path / "pets/dog/3.jpg")
    found = photos.load(str(tmp_path / "pets")).required("train", "validation", "test")
    assert (found.name, found.labels) == (str(tmp_path / "pets"), ("cat", "dog"))
    every = [found.train, found.validation, found.test]
    assert sum(map(len, every)) == 60 and found.train.truth.dtype == np.int64
    for split in every:
        assert [found.labels[label] for label in split.truth] == [path.parent.name for path in split.paths]
        assert [sha256(path.read_bytes()).hexdigest() for path in split.paths] == list(split.digests)
    assert [path.name for path, _ in found.bad] == ["bad.png"]
    assert [path.name for path, _ in found.duplicates] == ["copy.png"]
    assert any("3.jpg is PNG" in line for line in found.warnings)


def test_the_shared_photos_under_name_and_folder(convmedia_data: Path) -> None:
    named = photos.load("dogs-vs-cats")
    folder = photos.load(str(convmedia_data / "cats_vs_dogs"))
    assert named.name == "dogs-vs-cats" and named.digest == folder.digest and named.train.paths == folder.train.paths
    assert [len(split) for split in (named.train, named.validation, named.test)] == [1802, 198, 600]
    assert {path.parts[-3] for path in named.train.paths + named.validation.paths} == {"train"}
    assert not set(named.train.digests) & set(named.validation.digests + named.test.digests)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "--data is empty"),
        ("fsdd", "fsdd holds no class folders of photos: give dogs-vs-cats or a folder"),
        ("digits", "digits holds no class folders"),
        ("dogs-vs-cat", "did you mean dogs-vs-cats"),
        ("./missing", "missing does not exist"),
    ],
)
def test_what_is_no_set_of_pictures(data: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        photos.load(data)
    assert words in str(error.value) and "\n" not in str(error.value)


def of(*counts: int) -> photos.Pictures:
    """A set with so many training pictures of each class, and no others."""
    truth = np.repeat(np.arange(len(counts)), counts)
    train = Split(tuple(Path(f"{i}.jpg") for i in range(len(truth))), truth, tuple(f"{i:064x}" for i in truth))
    none = Split((), np.zeros(0, np.int64), ())
    return photos.Pictures("pets", tuple("abcdef"[: len(counts)]), train, none, none, digest="")


def test_an_empty_split_is_refused_where_it_is_needed() -> None:
    assert of(3, 4).required("train").name == "pets"
    with pytest.raises(InputError, match="pets has no picture for test"):
        of(3, 4).required("train", "test")


@pytest.mark.parametrize(
    ("limit", "left"),
    [(50, {0: 30, 1: 15, 2: 5}), (10, {0: 6, 1: 3, 2: 1}), (3, {0: 1, 1: 1, 2: 1}), (100, {0: 60, 1: 30, 2: 10})],
)
def test_a_limit_keeps_the_shares_of_the_classes(limit: int, left: dict[int, int]) -> None:
    full = of(60, 30, 10)
    small = full.limited(limit, seed=1)
    assert Counter(small.train.truth.tolist()) == left
    assert [int(path.stem) for path in small.train.paths] == sorted(int(path.stem) for path in small.train.paths)
    chosen = [int(path.stem) for path in small.train.paths]
    assert small.train.truth.tolist() == full.train.truth[chosen].tolist()
    assert full.limited(limit, seed=1).train.paths == small.train.paths
    assert limit == 100 or full.limited(limit, seed=2).train.paths != small.train.paths
    assert full.limited(None, 1) is full


def test_a_limit_keeps_rare_classes() -> None:
    assert Counter(of(1000, 2).limited(10, seed=0).train.truth.tolist()) == {0: 9, 1: 1}


# Decoded


def test_pictures_in_memory_on_disk_and_in_files_are_the_same(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    right = expected(split)
    indices = np.array([7, 0, 11, 7])
    places = {"memory": Decoded(split, SIZE), "disk": Decoded(split, SIZE, memory_bytes=0)}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0))
    places["files"] = Decoded(split, (24, 18), memory_bytes=0)
    for place, decoded in places.items():
        assert (decoded.place, len(decoded)) == (place, 12)
        want = right if place != "files" else expected(split, (24, 18))
        np.testing.assert_array_equal(decoded.batch(indices), want[indices])
        np.testing.assert_array_equal(decoded.batch(range(12)), want)
        assert decoded.batch(indices[:0]).shape == (0, *want.shape[1:])
        np.testing.assert_array_equal(decoded.gather(tf.constant(indices)), want[indices])
        batches = tf.data.Dataset.range(12).batch(5).map(decoded.gather, num_parallel_calls=2)
        assert batches.element_spec == tf.TensorSpec((None, *want.shape[1:]), tf.uint8)
        np.testing.assert_array_equal(np.concatenate(list(batches)), want)
        np.testing.assert_array_equal(decoded.batch(indices), want[indices])  # also after `gather`


def test_every_picture_is_counted(split: Split) -> None:
    for memory_bytes in (1 << 30, 0):
        calls: list[tuple[int, ...]] = []
        Decoded(split, SIZE, memory_bytes=memory_bytes, progress=lambda *done, to=calls: to.append(done))
        assert calls == [(done, 12) for done in range(1, 13)]


def counting(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are decoded from now on."""
    decoded: list[Path] = []
    read = photos.read
    monkeypatch.setattr(photos, "read", lambda path, *rest: (decoded.append(path), read(path, *rest))[1])
    return decoded


def test_what_was_decoded_is_used_again_whatever_the_files_are_called(
    split: Split, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    right = expected(split)
    Decoded(split, SIZE, memory_bytes=0)
    (kept,) = (cache / "decoded").iterdir()
    assert np.load(kept, mmap_mode="r").shape == (12, *SIZE, 3)
    again = counting(monkeypatch)
    shuffled = np.random.default_rng(0).permutation(12)
    np.testing.assert_array_equal(
        Decoded(split.take(shuffled), SIZE, memory_bytes=0).batch(np.arange(12)), right[shuffled]
    )
    assert again == []
    for other in (split.take(range(11)), Split(split.paths, split.truth, ("f" * 64, *split.digests[1:]))):
        Decoded(other, SIZE, memory_bytes=0)
    Decoded(split, SIZE, fast=True, memory_bytes=0)
    Decoded(split, (18, 25), memory_bytes=0)
    assert len(again) == 11 + 12 + 12 + 12 and len(list((cache / "decoded").iterdir())) == 5


@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_a_damaged_cache_is_made_anew(split: Split, cache: Path, damage: str) -> None:
    Decoded(split, SIZE, memory_bytes=0)
    (kept,) = (cache / "decoded").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes({"empty": b"", "cut": whole[:-1], "text": b"hello" * 50}[damage])
    np.testing.assert_array_equal(Decoded(split, SIZE, memory_bytes=0).batch(np.arange(12)), expected(split))
    assert kept.read_bytes() == whole


@pytest.mark.parametrize("place", [200, -1], ids=["in a picture", "in its checksum"])
def test_a_flipped_bit_in_a_cache_is_noticed_and_the_file_made_anew(split: Split, cache: Path, place: int) -> None:
    opened = Decoded(split, SIZE, memory_bytes=0)
    (kept,) = (cache / "decoded").iterdir()
    whole = kept.read_bytes()
    altered = bytearray(whole)
    altered[place] ^= 4
    kept.write_bytes(altered)
    if place > 0:  # what is open has read its checksums
        np.testing.assert_array_equal(opened.batch(np.arange(12)), expected(split))
        kept.write_bytes(altered)
    later = Decoded(split, SIZE, memory_bytes=0)
    assert later.place == "disk"
    np.testing.assert_array_equal(later.batch(np.arange(12)), expected(split))
    assert not kept.exists()
    Decoded(split, SIZE, memory_bytes=0)
    assert kept.read_bytes() == whole


def test_an_interrupt_leaves_nothing_half_done(split: Split, cache: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Decoded(split, SIZE, memory_bytes=0, progress=stop)
    assert list((cache / "decoded").iterdir()) == []


def test_old_caches_give_way(split: Split, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "DISK_BYTES", 3 * 12 * 18 * 24 * 3)
    for width in (20, 21, 22, 23, 24):
        Decoded(split, (18, width), memory_bytes=0)
    kept = {np.load(path, mmap_mode="r").shape[2] for path in (cache / "decoded").iterdir()}
    assert kept == {22, 23, 24}
    assert Decoded(split, (60, 80), memory_bytes=0).place == "files"  # larger than all that may be kept
    assert len(list((cache / "decoded").iterdir())) == 3


@pytest.mark.parametrize("fault", ["disk full", "a file where the folder should be"])
def test_a_cache_that_cannot_be_written_means_decoding_on_the_way(
    split: Split, cache: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    if fault == "disk full":
        monkeypatch.setattr(os, "pwrite", lambda *_: 0)
    else:
        (cache / "decoded").touch()
    decoded = Decoded(split, SIZE, memory_bytes=0)
    assert decoded.place == "files"
    np.testing.assert_array_equal(decoded.batch(np.arange(12)), expected(split))


def test_a_file_that_went_bad_is_named(split: Split) -> None:
    split.paths[4].write_text("no")
    with pytest.raises(InputError, match=r"4\.jpg holds no picture"):
        Decoded(split, SIZE)


MEMORY = """
import os, sys
from pathlib import Path
import numpy as np, tensorflow as tf
from convmedia.data.datasets.photos import Decoded, Split

paths = tuple(sorted(Path(sys.argv[1]).iterdir())) * 60
split = Split(paths, np.zeros(len(paths), np.int64), tuple(f"{i:064x}" for i in range(len(paths))))
decoded = Decoded(split, (160, 160), memory_bytes=0)
assert decoded.place == "disk"

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

orders = np.concatenate([np.random.default_rng(epoch).permutation(len(paths)) for epoch in range(12)])
used = [resident()]
batches = tf.data.Dataset.from_tensor_slices(orders).batch(30).map(decoded.gather, num_parallel_calls=2)
for step, batch in enumerate(batches, 1):
    if step % (len(paths) // 30) == 0:
        used.append(resident())
print(decoded.bytes / 1e6, *used)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
def test_memory_stays_flat_over_epochs(split: Split) -> None:
    arguments = [sys.executable, "-c", MEMORY, str(split.paths[0].parent)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    on_disk, before, first, *later = map(float, done.stdout.split())
    assert on_disk == 12 * 60 * 160 * 160 * 3 / 1e6 and len(later) == 11  # 55 MB, read twelve times
    assert first - before < 0.75 * on_disk  # TensorFlow's threads and some batches
    assert max(later) - first < 0.2 * on_disk


def test_a_table_tells_labels_splits_and_groups_of_pictures(tmp_path):
    rows = ["file,label,split,group"]
    for number in range(24):
        name, label = f"{number}.png", "cat" if number % 2 else "dog"
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (6, 7, 3), np.uint8)).save(tmp_path / name)
        rows.append(f"{name},{label},{('train', 'test', 'train')[number % 3]},animal{number}")
    (tmp_path / "labels.csv").write_text("\n".join([*rows, "gone.png,cat,train,x"]))
    found = photos.load(str(tmp_path / "labels.csv"))
    assert found.labels == ("cat", "dog")
    assert [int(path.stem) % 3 for path in found.test.paths] == [1] * 8
    for split in (found.train, found.validation, found.test):
        assert [found.labels[place] for place in split.truth] == [
            "cat" if int(path.stem) % 2 else "dog" for path in split.paths
        ]
    assert len(found.groups) == 24 and [path.name for path, _ in found.bad] == ["gone.png"]
    assert digits.load(str(tmp_path / "labels.csv")).labels == ("cat", "dog")
    looked = verbs_data.looked_through(str(tmp_path / "labels.csv"), None, None)
    assert looked.counts["test"] == 8


def test_a_table_that_gives_a_picture_two_labels_is_refused(tmp_path):
    (tmp_path / "labels.csv").write_text("file,label\na.png,cat;dog\nb.png,cat\n")
    with pytest.raises(InputError, match=r"labels\.csv gives .*a\.png several labels \(cat, dog\)"):
        photos.load(str(tmp_path / "labels.csv"))
