"""Tables that give a picture several labels, or a number."""

import numpy as np
import pytest
from PIL import Image

from convmedia.data.datasets import photos
from convmedia.data.storage.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A hundred pictures of noise."""
    root = tmp_path_factory.mktemp("noise")
    for number in range(100):
        pixels = np.random.default_rng(number).integers(0, 256, (12, 12, 3), np.uint8)
        Image.fromarray(pixels).save(root / f"{number:02}.png")
    return root


def table(folder, rows, name="t.csv", header="file,cells"):
    (folder / name).write_text("\n".join([header, *rows]) + "\n")
    return str(folder / name)


def test_numbers_are_in_the_order_of_the_files_and_every_range_is_in_every_split(folder):
    values = {f"{number:02}.png": float(number**2) for number in range(100)}
    found = photos.load(table(folder, [f"{name},{value}" for name, value in values.items()]), target="cells")
    assert found.labels == ("cells",)
    for split in (found.train, found.validation, found.test):
        assert split.truth.dtype == np.float64
        assert [values[path.name] for path in split.paths] == split.truth.tolist()
        assert set(np.digitize(split.truth, [400, 1600, 3600, 6400])) == {0, 1, 2, 3, 4}
    assert sum(map(len, (found.train, found.validation, found.test))) == 100
    assert found.warnings == ()


def test_told_splits_count(folder):
    parts = ["train"] * 80 + ["test"] * 20
    rows = [f"{number:02}.png,{number},{part}" for number, part in enumerate(parts)]
    found = photos.load(table(folder, rows, header="file,cells,split"), target="cells")
    assert sorted(found.test.truth) == list(range(80, 100))
    assert len(found.validation) > 0


def test_a_limit_is_spread_over_the_numbers(folder):
    rows = [f"{number:02}.png,{number}" for number in range(100)]
    whole = photos.load(table(folder, rows), target="cells")
    few = whole.limited(8, seed=3)
    order = np.sort(whole.train.truth)
    ranks = np.searchsorted(order, np.sort(few.train.truth))
    assert len(few.train) == 8
    assert np.diff(ranks).tolist() == pytest.approx([len(order) / 8] * 7, abs=1)
    assert whole.limited(8, seed=3).train.paths == few.train.paths


def test_two_numbers_of_one_content_are_both_left_out(folder):
    (folder / "copy.png").write_bytes((folder / "07.png").read_bytes())
    rows = [f"{number:02}.png,{number}" for number in range(100)] + ["copy.png,7.5"]
    found = photos.load(table(folder, rows), target="cells")
    assert {path.name: reason for path, reason in found.bad}.keys() == {"07.png", "copy.png"}
    assert all(reason.endswith("which has another number") for _, reason in found.bad)


@pytest.mark.parametrize("values", [[0] * 95 + [1] * 5, [1] * 95 + [0] * 5, [1, 2] * 50])
def test_few_different_numbers_are_ranges_of_their_own(folder, values):
    rows = [f"{number:02}.png,{value}" for number, value in enumerate(values)]
    found = photos.load(table(folder, rows), target="cells")
    for split in (found.train, found.validation, found.test):
        assert set(split.truth) == set(values)


def test_equal_numbers_and_folders_are_refused(folder):
    same = table(folder, [f"{number:02}.png,4" for number in range(9)])
    with pytest.raises(InputError, match=r"has 4 in every row of the column cells: there is nothing to learn"):
        photos.load(same, target="cells")
    with pytest.raises(InputError, match=r"--target cells is for a table with a column of numbers; received"):
        photos.load(str(folder), target="cells")


def test_other_numbers_are_another_set(folder):
    rows = [f"{number:02}.png,{number}" for number in range(100)]
    one, same = (photos.load(table(folder, rows, name), target="cells").digest for name in ("a.csv", "b.csv"))
    other = photos.load(table(folder, [*rows[:-1], "99.png,98.5"]), target="cells").digest
    assert (one == same, one == other) == (True, False)


def test_several_labels_are_read_where_they_are_wanted(folder):
    labels = ["sea;sun", "sea", "sun"]
    rows = [f"{number:02}.png,{labels[number % 3]}" for number in range(60)]
    path = table(folder, rows, header="file,labels")
    found = photos.load(path, several=True)
    assert found.several
    assert found.labels == ("sea", "sun")
    wanted = {f"{number:02}.png": [[1, 1], [1, 0], [0, 1]][number % 3] for number in range(60)}
    assert [wanted[one.name] for one in found.train.paths] == found.train.truth.tolist()
    with pytest.raises(InputError, match=r"several labels \(sea, sun\); a picture has one"):
        photos.load(path)
