"""Stratified folds: what they hold of each label, what stays together, and that they are the same each time."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from convmedia.data.datasets import digits
from convmedia.data.datasets import photos as datasets_photos
from convmedia.data.folders import scan as folders_scan
from convmedia.data.splits import stratifying
from convmedia.data.storage.errors import InputError

FOLDS = stratifying.FOLDS


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Train and test folders, 17 and 26 contents, with a near duplicate and a group of six."""
    root = tmp_path_factory.mktemp("folded")
    rng = np.random.default_rng(3)
    for label, number in (("cat", 17), ("dog", 26)):
        for index in range(number):
            folder = root / ("test" if index % 6 == 0 else "train") / label
            folder.mkdir(parents=True, exist_ok=True)
            small = Image.fromarray(rng.integers(0, 255, (6, 6, 3), np.uint8))
            small.resize((64, 64), Image.Resampling.BICUBIC).save(folder / f"{index}{'-anna' * (index < 3)}.png")
    original = root / "train" / "dog" / "7.png"
    Image.open(original).resize((60, 60)).save(root / "test" / "dog" / "nearly.png")
    (root / "test" / "dog" / "same.png").write_bytes((root / "train" / "dog" / "8.png").read_bytes())
    return root


@pytest.fixture(scope="module")
def found(photos):
    return {fold: folders_scan.scan(photos, fold=fold, group="(anna)") for fold in FOLDS}


def test_folds_are_disjoint_and_hold_everything(found):
    tested = Counter(path for scan in found.values() for path in scan.files("test"))
    assert set(tested.values()) == {1} and len(tested) == 17 + 26 + 1  # 43 contents and one that nearly equals another
    for scan in found.values():
        parts = [set(scan.files(split)) for split in ("train", "validation", "test")]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 44


def test_folds_keep_near_duplicates_and_groups_together(found):
    for scan in found.values():
        split = {one.path.name: one.split for one in scan.examples if one.label == 1}
        assert split["nearly.png"] == split["7.png"]
        assert sum(map(bool, scan.groups["anna"].values())) == 1
    assert sum(scan.groups["anna"]["test"] > 0 for scan in found.values()) == 1


def test_folds_hold_as_much_of_each_label(found):
    for label, largest in (("cat", 3), ("dog", 3)):  # the group holds three of each
        counts = [scan.classes[label]["test"] for scan in found.values()]
        assert max(counts) - min(counts) <= largest
        assert all(scan.classes[label]["validation"] >= 1 for scan in found.values())


def test_folds_are_the_same_in_two_calls_and_say_that_told_splits_are_pooled(photos, found):
    again = folders_scan.scan(photos, fold="2", group="(anna)")
    assert again.examples == found["2"].examples and again.digest == found["2"].digest
    assert again.digest != found["3"].digest
    assert sum("pooled" in line for line in again.warnings) == 1
    assert not any("pooled" in line for line in folders_scan.scan(photos, group="(anna)").warnings)


@pytest.mark.parametrize("parts", [5, 8])
def test_single_examples_are_spread_within_one_of_each_label(parts):
    clusters = [[(label,)] for label, number in enumerate((7, 23, 101)) for _ in range(number)]
    placed = stratifying.spread(clusters, parts)
    for label in range(3):
        counts = np.bincount(
            [part for part, ((of,),) in zip(placed, clusters, strict=True) if of == label], None, parts
        )
        assert counts.max() - counts.min() <= 1
    assert np.ptp(np.bincount(placed, minlength=parts)) <= 1


def test_examples_of_several_labels_are_spread_too():
    rng = np.random.default_rng(0)
    clusters = [[tuple(np.flatnonzero(marks))] for marks in rng.random((200, 4)) < (0.1, 0.3, 0.5, 0.7) if marks.any()]
    placed = stratifying.spread(clusters, 5)
    for label in range(4):
        counts = np.bincount([p for p, ((*of,),) in zip(placed, clusters, strict=True) if label in of], minlength=5)
        assert counts.max() - counts.min() <= 4


def test_a_label_that_is_too_rare_for_folds_is_named():
    with pytest.raises(InputError, match=r"owl has 2 examples .* 3 or more"):
        stratifying.splits([[(0,)]] * 9 + [[(1,)]] * 2, "1", ("cat", "owl"))


def test_a_table_has_its_own_folds_and_others_have_five(photos, tmp_path):
    lines = [f"{path},{path.parent.name},{'xyz'[i % 3]}" for i, path in enumerate(sorted(photos.rglob("*.png")))]
    (tmp_path / "own.csv").write_text("\n".join(["file,labels,fold", *lines]))
    assert datasets_photos.folds(str(tmp_path / "own.csv")) == ["x", "y", "z"]
    assert datasets_photos.folds(str(photos)) == [*FOLDS]
    with pytest.raises(InputError, match="folds x, y, z; received 1"):
        datasets_photos.load(str(tmp_path / "own.csv"), fold="1")
    own = datasets_photos.load(str(tmp_path / "own.csv"), fold="y")
    assert {lines[i].split(",")[0] for i in range(1, len(lines), 3)} >= set(map(str, own.test.paths))


def test_digits_in_memory_are_folded_too():
    sets = [digits.load("digits", fold=fold) for fold in FOLDS]
    counts = np.array([np.bincount(one.test.truth, minlength=10) for one in sets])
    assert counts.sum() == 1797 - len(sets[0].duplicates)
    assert np.ptp(counts, axis=0).max() <= 1
    tested = [picture.tobytes() for one in sets for picture in one.test.pictures]
    assert len(set(tested)) == len(tested)
