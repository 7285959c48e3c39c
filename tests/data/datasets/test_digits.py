"""Sets of digits: what is in which split, what folders give, and the pictures that are made of digits."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_digits

from convmedia.data.datasets import digits
from convmedia.data.storage.errors import InputError

LUMA = (0.299, 0.587, 0.114)


def written():
    """A crude 4, light on dark: uint8 (28, 28)."""
    digit = np.zeros((28, 28), "uint8")
    digit[5:16, 8:11] = digit[13:16, 8:21] = digit[5:24, 16:19] = 255
    return digit


def contents(*splits):
    """Pictures and labels as a sorted list: the same whatever the order."""
    return sorted(
        (picture.tobytes(), int(label))
        for split in splits
        for picture, label in zip(split.pictures, split.truth, strict=True)
    )


@pytest.fixture(scope="module")
def bundled():
    return digits.load("digits")


# Sets


def test_bundled_splits_are_scikit_learns_digits_each_once(bundled):
    everything = load_digits()
    assert everything.images.max() == 16
    pictures = (everything.images.astype(int) * 255 * 2 + 16) // 32  # to the nearest of 255
    expected = contents(digits.Split(pictures.astype("uint8"), everything.target))
    assert contents(bundled.train, bundled.validation, bundled.test) == expected
    assert [len(split) for split in (bundled.train, bundled.validation, bundled.test)] == [1257, 180, 360]
    assert bundled.labels == tuple("0123456789")
    assert np.abs(np.bincount(bundled.test.truth) - 36).max() <= 10


def test_splits_never_change(bundled):
    again = digits.load("digits")
    for split in ("train", "validation", "test"):
        one, other = getattr(bundled, split), getattr(again, split)
        assert np.array_equal(one.pictures, other.pictures)
        assert np.array_equal(one.truth, other.truth)
    assert again.digest == bundled.digest
    # Written down: metrics of different versions of this package are of the same test pictures.
    assert bundled.test.truth[:12].tolist() == [6, 6, 6, 2, 5, 6, 6, 2, 2, 1, 1, 9]


def test_limited_draws_some_training_examples_and_leaves_the_rest(bundled):
    some = bundled.limited(100, seed=1)
    assert len(some.train) == 100
    assert len(set(contents(some.train)) - set(contents(bundled.train))) == 0
    assert len(set(contents(some.train))) == 100
    assert contents(bundled.limited(100, seed=1).train) == contents(some.train)
    assert contents(bundled.limited(100, seed=2).train) != contents(some.train)
    assert some.test is bundled.test
    assert some.validation is bundled.validation


@pytest.mark.parametrize("limit", [None, 1257, 10**6])
def test_a_limit_that_does_not_limit_changes_nothing(bundled, limit):
    assert bundled.limited(limit, seed=1) is bundled


def test_mnist_is_complete_and_its_test_split_is_the_official_one(convmedia_data, monkeypatch):
    monkeypatch.setenv("CONVMEDIA_DATA", str(convmedia_data))
    mnist = digits.load("mnist")
    with np.load(convmedia_data / "mnist.npz") as file:
        official = {name: file[name] for name in file.files}
    assert [len(split) for split in (mnist.train, mnist.validation, mnist.test)] == [58_000, 2_000, 10_000]
    assert np.array_equal(mnist.test.pictures, official["x_test"])
    assert np.array_equal(mnist.test.truth, official["y_test"])
    both = contents(mnist.train, mnist.validation)
    assert both == contents(digits.Split(official["x_train"], official["y_train"]))
    assert np.abs(np.bincount(mnist.validation.truth, minlength=10) - np.bincount(official["y_train"]) / 30).max() < 50


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures `train|test / label /` of different sizes; the colour tells which, and one of them is cut off."""
    for split, count in (("train", 6), ("test", 2)):
        for label in ("3", "eight"):
            for number in range(count):
                path = tmp_path / "mine" / split / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                colour = (10 * number, 50 * (label == "3"), 99 * (split == "test"))
                Image.new("RGB", (30 + number, 20), colour).save(path)
    whole = (tmp_path / "mine/train/3/0.png").read_bytes()
    (tmp_path / "mine/train/3/cut.png").write_bytes(whole[: len(whole) // 2])
    return tmp_path / "mine"


def test_a_folder_gives_its_splits_and_names_what_it_left_out(folder):
    mine = digits.load(str(folder))
    assert mine.labels == ("3", "eight")
    assert [path.name for path, _ in mine.bad] == ["cut.png"]
    assert len(mine.test) == 4
    assert len(mine.train) + len(mine.validation) == 12
    for split in (mine.train, mine.validation, mine.test):
        for picture, label in zip(split.pictures, split.truth, strict=True):
            number = picture[0, 0, 0] // 10
            assert picture.shape == (20, 30 + number, 3)
            assert picture[0, 0].tolist() == [10 * number, 50 * (label == 0), 99 * (split is mine.test)]


def test_a_limited_folder_keeps_pictures_and_labels_together(folder):
    some = digits.load(str(folder)).limited(3, seed=0)
    assert len(some.train.pictures) == len(some.train) == 3
    assert [picture[0, 0, 1] for picture in some.train.pictures] == [50 * (label == 0) for label in some.train.truth]


def test_a_path_is_a_folder_even_where_a_set_has_its_name(folder, monkeypatch):
    folder.rename(folder.with_name("digits"))
    monkeypatch.chdir(folder.parent)
    assert digits.load("./digits").labels == ("3", "eight")


@pytest.mark.parametrize(
    "data, said",
    [
        ("mnits", "did you mean mnist"),
        ("Set5", "Set5 holds no digits: give mnist, digits or a folder"),
        ("no/such/folder", "no/such/folder"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_line(data, said):
    with pytest.raises(InputError) as error:
        digits.load(data)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


# Pictures made of digits


def elongated(rng):
    """A size of 32 to 200 px, often long and narrow."""
    narrow, long = int(rng.integers(32, 50)), int(rng.integers(150, 201))
    sizes = [(narrow, long), (long, narrow), tuple(int(side) for side in rng.integers(32, 201, 2))]
    return sizes[rng.integers(3)]


def test_photographs_of_any_size_show_their_digit():
    # The pen is drawn first: with the same generator it tells where the ink of a photograph is.
    found = []
    for number in range(300):
        size = elongated(np.random.default_rng([1, number]))
        photo = digits.photograph(written(), size, np.random.default_rng(number))
        ink = digits.pen(written(), size, np.random.default_rng(number))
        assert (photo.shape, photo.dtype) == ((*size, 3), np.uint8)
        luma = photo @ np.array(LUMA)
        contrast = np.median(luma[ink > 0.8]) - np.median(luma[ink < 0.2])
        found.append((abs(np.corrcoef(luma.ravel(), ink.ravel())[0, 1]), contrast))
    likeness, contrast = np.array(found).T
    assert np.median(likeness) > 0.8
    assert np.abs(contrast).min() > 15
    assert 0.2 < np.mean(contrast > 0) < 0.8  # both polarities


def test_one_seed_gives_one_photograph():
    def made(seed):
        rng = np.random.default_rng(seed)
        return [digits.photograph(written(), (50, 70), rng), digits.without_digit((50, 70), rng)]

    assert all(np.array_equal(a, b) for a, b in zip(made(5), made(5), strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(made(5), made(6), strict=True))


def test_the_pen_draws_the_digit_that_it_was_given():
    alike = []
    for number in range(100):
        ink = digits.pen(written(), (90, 90), np.random.default_rng(number))
        rows, columns = (np.flatnonzero((ink > 0.5).any(axis)) for axis in (1, 0))
        box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        shown = np.asarray(Image.fromarray(box).resize((13, 19), Image.Resampling.BILINEAR))
        alike.append(np.corrcoef(shown.ravel(), written()[5:24, 8:21].ravel())[0, 1])
    assert np.median(alike) > 0.7  # turned, stretched, thinner or thicker
    assert min(alike) > 0.35


def test_the_pen_draws_all_of_a_digit_that_is_not_in_the_middle():
    # As in MNIST, where the mass is centred: 1 digit of 4 has ink outside of the middle 22 px.
    digit = np.zeros((28, 28), "uint8")
    digit[5:23, 12:17] = 255
    digit[5:23, 0:2] = 255
    parts = []
    for number in range(20):
        columns = (digits.pen(digit, (150, 150), np.random.default_rng(number)) > 0.5).any(0)
        parts.append(np.sum(columns[1:] & ~columns[:-1]) + columns[0])
    assert np.mean(np.array(parts) == 2) > 0.8


def test_there_is_no_ink_where_no_digit_is():
    digit = np.zeros((28, 28), "uint8")
    assert max(digits.pen(digit, (60, 60), np.random.default_rng(number)).max() for number in range(30)) < 1e-3


def test_pictures_without_a_digit_are_of_any_size_and_of_several_kinds():
    spread = []
    for number in range(150):
        rng = np.random.default_rng(number)
        size = elongated(rng)
        picture = digits.without_digit(size, rng)
        assert (picture.shape, picture.dtype) == ((*size, 3), np.uint8)
        spread.append(picture.astype(float).std((0, 1)).max())
    assert np.quantile(spread, 0.1) < 12  # plain paper
    assert np.quantile(spread, 0.9) > 40  # blots


# Styles of writing


def strokes(label, seeds=range(200), digit=None):
    """The digits that a style changed: ((number, 28, 28) float, how many of all)."""
    digit = written() if digit is None else digit
    made = [digits.styled(digit, label, np.random.default_rng(seed)) for seed in seeds]
    assert {(one.shape, one.dtype) for one in made} == {((28, 28), np.dtype("uint8"))}
    changed = [one for one in made if not np.array_equal(one, digit)]
    return np.stack(changed).astype(float) if changed else np.zeros((0, 28, 28)), len(changed) / len(made)


@pytest.mark.parametrize("label", "0123456789")
def test_a_quarter_of_the_digits_with_another_style_get_it(label):
    share = strokes(label, range(1000))[1]
    expected = 0.25 if label in "0147" else 0
    assert abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / 1000)


def ring():
    y, x = np.mgrid[:28, :28] - 13.5
    return (np.abs(np.hypot(y, x) - 8) < 1.5).astype("uint8") * np.uint8(255)


def stem():
    digit = np.zeros((28, 28), "uint8")
    digit[4:24, 12:15] = 255
    return digit


def test_a_slash_runs_up_through_the_zero():
    added = (strokes("0", digit=ring())[0] - ring()).mean(0)
    assert added[12:16, 12:16].mean() > 100  # the hole
    assert added[16:20, 8:11].mean() > 3 * added[8:12, 8:11].mean()  # from lower left
    assert added[8:12, 17:20].mean() > 3 * added[16:20, 17:20].mean()  # to upper right


def test_a_one_gets_a_base_and_often_a_flag():
    added = strokes("1", digit=stem())[0] - stem()
    assert added.mean(0)[21:25].mean() > 5 * added.mean(0)[12:20].mean()
    flags = added[:, 5:11, 5:11].max((1, 2)) > 100
    assert 0.5 < flags.mean() < 0.9
    assert added[:, 5:11, 17:].max() < 60  # never to the right


def test_a_seven_is_crossed_in_the_middle():
    added = (strokes("7", digit=stem())[0] - stem()).mean(0)
    assert added[11:18, 8:12].mean() > 40
    assert added[11:18, 15:19].mean() > 40
    assert np.abs(added[:8]).mean() < 3
    assert np.abs(added[22:]).mean() < 3


def test_a_four_is_closed_and_written_anew():
    made = strokes("4")[0]
    assert np.all((made > 100).any(2).sum(1) >= 15)  # rows with ink
    assert np.abs(made - written()).mean((1, 2)).min() > 20
    # The page and one hole; a thick pen can fill a small one.
    assert np.mean([ndimage.label(np.pad(four < 60, 1, constant_values=True))[1] == 2 for four in made]) > 0.75


def test_a_digit_without_ink_has_no_style():
    faint = written() // 3
    assert all(np.array_equal(digits.styled(faint, "7", np.random.default_rng(seed)), faint) for seed in range(20))
