"""Training patches: the recipe degrades as MATLAB does, and everything follows from the seed."""

import numpy as np
import pytest
from PIL import Image

from convmedia.data.augmentation import patch_recipe, window_recipe
from convmedia.data.augmentation.stateless_random import part_of_batch
from convmedia.data.datasets import patches
from convmedia.data.storage.errors import InputError
from convmedia.data.transforms.bicubic import imresize, luma

SEED = np.array([3, 5], np.int32)


def picture(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def eight_ways(window):
    for quarter in range(4):
        turned = np.rot90(window, quarter)
        yield from (turned, turned[:, ::-1])


def middle(window, side):
    cut = (window.shape[0] - side) // 2
    return window[cut : cut + side, cut : cut + side]


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("context", [0, 12])
def test_enlarged_inputs_are_what_imresize_gives(scale, context):
    recipe = patch_recipe.patches(scale, 24, enlarged=True, context_px=context)
    window = picture(recipe.window_px, recipe.window_px, 1)
    inputs, targets = recipe(window[np.newaxis], SEED)
    assert (inputs.shape, targets.shape) == ((1, 24 + 2 * context, 24 + 2 * context, 1), (1, 24, 24, 1))
    found = 0
    for way in eight_ways(window):
        if np.allclose(middle(way, 24) / 255, targets[0], atol=1e-6):
            small = imresize(way.astype(np.float64), 1 / scale, border="symmetric")
            expected = middle(imresize(small, scale, border="symmetric"), 24 + 2 * context)
            np.testing.assert_allclose(inputs[0], expected / 255, atol=1e-5)
            found += 1
    assert found == 1


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_small_inputs_are_the_whole_numbers_that_files_hold(scale):
    recipe = patch_recipe.patches(scale, 12 * scale, enlarged=False)
    window = picture(recipe.window_px, recipe.window_px)
    inputs, targets = recipe(window[np.newaxis], SEED)
    assert inputs.shape == (1, 12, 12, 3)
    for way in eight_ways(window):
        if np.allclose(middle(way, 12 * scale) / 255, targets[0], atol=1e-6):
            in_float = imresize(way.astype(np.float64), 1 / scale, border="symmetric")
            expected = middle(np.round(np.clip(in_float, 0, 255)), 12)
            assert np.mean(np.abs(inputs[0] * 255 - expected) > 0.01) < 0.01  # a half may be rounded either way
            break
    else:
        pytest.fail("the target is no flip or turn of the window's middle")


def test_small_inputs_are_not_rounded_where_that_is_asked_for():
    recipe = patch_recipe.patches(3, 36, enlarged=False, rounded=False)
    window = picture(recipe.window_px, recipe.window_px, 1)
    inputs, targets = recipe(window[np.newaxis], SEED)
    [way] = [one for one in eight_ways(window) if np.allclose(middle(one, 36) / 255, targets[0], atol=1e-6)]
    expected = middle(imresize(way.astype(np.float64), 1 / 3, border="symmetric"), 12)
    np.testing.assert_allclose(inputs[0] * 255, expected, atol=1e-4)


def test_a_wider_window_is_shrunk_first():
    recipe = patch_recipe.patches(2, 24, enlarged=True)
    window = picture(recipe.window_px * 5 // 4, recipe.window_px * 5 // 4, 1)
    _, targets = recipe(window[np.newaxis], SEED)
    size = (recipe.window_px, recipe.window_px)
    shrunk = [middle(imresize(way.astype(np.float64), size, border="symmetric"), 24) for way in eight_ways(window)]
    assert min(np.abs(targets[0] * 255 - one).max() for one in shrunk) < 1e-2


def test_every_flip_and_turn_comes_alike_often():
    recipe = patch_recipe.patches(2, 4, enlarged=False)
    window = picture(recipe.window_px, recipe.window_px)
    _, targets = recipe(np.repeat(window[np.newaxis], 4000, axis=0), SEED)
    counts = [
        np.sum(np.abs(targets - middle(way, 4) / np.float32(255)).max(axis=(1, 2, 3)) < 1e-6)
        for way in eight_ways(window)
    ]
    assert sum(counts) == 4000
    assert min(counts) > 500 - 5 * np.sqrt(4000 / 8)


@pytest.mark.parametrize(
    "arguments", [(3, 25, True), (3, 24, True, 4), (2, 24, False, 2)], ids=["size", "context", "small"]
)
def test_sizes_that_do_not_fit_the_scale_are_refused(arguments):
    with pytest.raises(ValueError, match="multiples of the scale"):
        patch_recipe.patches(*arguments)


def test_batches_follow_from_their_seed_and_come_from_the_pictures():
    recipes = [patch_recipe.patches(scale, 24, enlarged=True) for scale in (2, 3)]
    plain = [np.full((90 + 20 * level, 130, 1), 10 * level, np.uint8) for level in range(1, 6)]
    bank = patches.Patches(plain, recipes)
    assert len(bank) == sum(p.size for p in bank_pictures(bank, plain)) // 24**2
    first, again, other = bank(np.arange(8), SEED), bank(np.arange(8), SEED), bank(np.arange(8), SEED + 1)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    inputs, targets = bank(np.arange(len(bank)), SEED)
    np.testing.assert_allclose(inputs, targets, atol=1e-5)  # without texture there is nothing to lose
    levels = np.round(targets[:, 0, 0, 0] * 25.5)
    assert set(levels) == {1, 2, 3, 4, 5}
    assert np.ptp(targets, axis=(1, 2, 3)).max() < 1e-5  # no window reaches into another picture
    assert other[1].shape == first[1].shape


@pytest.mark.parametrize("kind", ["enlarged", "small", "windows"])
def test_parts_of_a_batch_are_those_of_the_whole(kind):
    recipe, shrinks = {
        "enlarged": (patch_recipe.patches(2, 24, enlarged=True), (1.0, 0.7)),
        "small": (patch_recipe.patches(3, 24, enlarged=False), (1.0, 0.7)),
        "windows": (window_recipe.windows(24), (1.0, 0.5)),
    }[kind]
    bank = patches.Patches([picture(90, 80), picture(100, 120, seed=1)], [recipe], shrinks)
    indices = np.arange(6) * 2 % len(bank)
    whole = bank(indices, SEED)
    parts = []
    for index in range(3):
        with part_of_batch(index, 3):
            parts.append(bank(indices[2 * index : 2 * index + 2], SEED))
    if kind == "windows":
        whole, parts = (whole,), [(part,) for part in parts]
    for values, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate(pieces), values)


def bank_pictures(bank, pictures):
    """Pictures narrower than the widest window are mirrored at their ends."""
    widest = max(int(np.ceil(recipe.window_px / min(bank.shrinks))) for recipe in bank.recipes)
    return [patches.at_least(picture, widest) for picture in pictures]


def test_small_pictures_are_mirrored_at_their_ends():
    small = picture(5, 40, 1)
    larger = patches.at_least(small, 12)
    assert larger.shape == (12, 40, 1)
    np.testing.assert_array_equal(larger[:10], np.concatenate([small, small[::-1]]))


@pytest.fixture
def folder(tmp_path):
    for number in range(40):
        Image.fromarray(picture(60, 70, seed=number)).save(tmp_path / f"{number}.png")
    Image.fromarray(picture(60, 70, seed=0)).save(tmp_path / "copy.png")
    Image.fromarray(picture(20, 70, seed=99)).save(tmp_path / "narrow.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "1.png").read_bytes()[:300])
    (tmp_path / "empty.png").write_bytes(b"")
    return tmp_path


def loaded(folder, grey=False):
    return patches.load(sorted(folder.glob("*.png")), 48, grey, lambda done, total: None)


def test_bad_files_are_named_and_copies_count_once(folder):
    data = loaded(folder)
    assert (len(data.train), len(data.validation)) == (38, 2)
    assert [path.name for path, _ in data.bad] == ["cut.png", "empty.png", "narrow.png"]
    assert "smaller than 48 px" in data.bad[2][1]


def test_who_is_held_out_follows_from_content_and_not_from_names(folder):
    before = loaded(folder)
    for file in list(folder.glob("*.png")):
        file.rename(folder / f"other-{file.name}")
    after = loaded(folder)
    assert before.digest == after.digest
    for one, other in zip(before.validation, after.validation, strict=True):
        np.testing.assert_array_equal(one, other)


def test_luma_is_matlabs(folder):
    colour, grey = loaded(folder), loaded(folder, grey=True)
    assert colour.validation_files == grey.validation_files
    np.testing.assert_array_equal(luma(colour.validation[0]), grey.validation[0][..., 0])


def test_one_picture_is_not_enough(folder):
    with pytest.raises(InputError, match="two different pictures of 48 px or more"):
        patches.load([folder / "1.png", folder / "cut.png"], 48, False, lambda done, total: None)
