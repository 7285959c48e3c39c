import numpy as np
import pytest

from convmedia.models.losses import style_losses
from convmedia.models.losses.style_objective import Guide, Objective, grams_of

RNG = np.random.default_rng(0)
WEIGHTS = {"content_weight": 2.0, "style_weight": 30.0, "tv_weight": 1e-3}


@pytest.fixture(scope="module")
def seen(small_vgg):
    return style_losses.extractor(small_vgg)


def picture(height, width, channels=3):
    return RNG.uniform(0, 255, (height, width, channels)).astype("float32")


def objective(seen, content, guides, tile_px=1024, **weights):
    return Objective(seen, content, guides, tile_px=tile_px, **(WEIGHTS | weights))


def test_the_loss_is_that_of_the_paper(seen):
    content, painting, found = picture(20, 30), picture(26, 17), picture(20, 30)
    losses, _ = objective(seen, content, [Guide([(painting, 1.0)])])(found)
    maps, wanted, painted = (seen.model(one[np.newaxis]) for one in (found, content, painting))
    # In float64: the reference adds no rounding of its own to that of the objective.
    exact = [{name: np.asarray(values, np.float64) for name, values in each.items()} for each in (maps, painted)]
    grams, targets = ({name: style_losses.mean_gram(each[name]) for name in seen.style_layers} for each in exact)
    number = np.prod(maps["block2_conv2"].shape)
    content_loss = 2.0 * float(style_losses.content_loss(maps["block2_conv2"], wanted["block2_conv2"])) / number
    assert losses.content == pytest.approx(content_loss, rel=1e-5)
    assert losses.style == pytest.approx(30.0 * float(style_losses.style_loss(grams, targets)[0]), rel=1e-5)
    assert losses.variation == pytest.approx(
        1e-3 * float(style_losses.total_variation(found[np.newaxis])) / 1800, rel=1e-5
    )
    assert losses.total == pytest.approx(losses.content + losses.style + losses.variation)


def test_the_content_itself_has_no_content_loss(seen):
    content = picture(20, 30)
    losses, _ = objective(seen, content, [Guide([(content, 1.0)])], tv_weight=0.0)(content)
    assert losses.total == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(40, 56), (37, 51), (24, 50)])
def test_tiles_give_the_loss_and_gradient_of_the_whole(seen, size, masked, channels):
    content, found, painting = picture(*size, channels), picture(*size, channels), picture(30, 22, channels)
    masks = [RNG.uniform(0, 1, size).astype("float32") for _ in range(2)] if masked else [None]
    guides = [Guide([(painting, 1.0)], mask) for mask in masks]
    whole, tiled = (objective(seen, content, guides, tile_px) for tile_px in (64, 16))
    assert (len(whole.tiles), len(tiled.tiles) > 3) == (1, True)
    (losses, gradient), (others, other) = whole(found), tiled(found)
    np.testing.assert_allclose(others, losses, rtol=1e-4)
    np.testing.assert_allclose(other, gradient, atol=1e-4 * np.abs(gradient).max())


def test_the_gradient_is_the_slope_of_the_loss(seen):
    content, painting, found = picture(16, 20), picture(20, 20), picture(16, 20)
    goal = objective(seen, content, [Guide([(painting, 1.0)])])
    _, gradient = goal(found)
    step = 0.05 * gradient / np.abs(gradient).max()
    above, below = (goal(found + sign * step)[0].total for sign in (1, -1))
    assert (above - below) / 2 == pytest.approx(float(np.vdot(gradient, step)), rel=0.02)


def test_styles_of_a_guide_are_blended(seen):
    one, two, content = picture(20, 30), picture(24, 18), picture(20, 30)
    goal = objective(seen, content, [Guide([(one, 3.0), (two, 1.0)])])
    for layer in seen.style_layers:
        expected = 0.75 * grams_of(seen, one)[layer] + 0.25 * grams_of(seen, two)[layer]
        np.testing.assert_allclose(goal.targets[0][layer], expected, rtol=1e-5)


def test_what_lies_outside_a_mask_is_not_drawn_to_the_style(seen):
    content, painting = picture(40, 48), picture(20, 20)
    mask = np.zeros((40, 48), "float32")
    mask[:, :10] = 1
    _, gradient = objective(seen, content, [Guide([(painting, 1.0)], mask)], content_weight=0, tv_weight=0)(content)
    assert np.abs(gradient[:, :8]).max() > 0
    assert np.abs(gradient[:, 10 + seen.reach_px :]).max() == 0


def test_gram_matrices_of_tiles_add_up(seen):
    painting = picture(45, 61)
    for layer, found in grams_of(seen, painting, tile_px=16).items():
        expected = style_losses.mean_gram(seen.model(painting[np.newaxis])[layer])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
