import math

import numpy as np
import pytest

from convmedia.apps.tasks.style_transfer.minimizers import METHODS, NotANumber, Seen

RNG = np.random.default_rng(0)
SIZE = (6, 5, 3)


def bowl(target, stiffness):
    def goal(picture):
        return (0.5 * float(np.sum(stiffness * (picture - target) ** 2)),), stiffness * (picture - target)

    return goal


@pytest.mark.parametrize(("method", "steps", "most"), [("lbfgs", 60, 0.02), ("adam", 400, 3.0)])
def test_the_bottom_of_a_bowl_is_found(method, steps, most):
    target, stiffness = RNG.uniform(10, 245, SIZE), np.exp(RNG.normal(0, 1, SIZE))
    seen = Seen(bowl(target, stiffness), steps, lambda losses, best: None)
    METHODS[method](seen, np.full(SIZE, 128.0))
    assert np.abs(seen.picture - target).max() < most


@pytest.mark.parametrize("method", METHODS)
def test_pictures_stay_within_0_and_255(method):
    target = np.where(RNG.random(SIZE) < 0.5, -80.0, 330.0)
    met = []
    seen = Seen(bowl(target, 1.0), 80, lambda losses, best: met.append((best.min(), best.max())))
    METHODS[method](seen, np.full(SIZE, 128.0))
    assert (min(low for low, _ in met), max(high for _, high in met)) == (0, 255)
    np.testing.assert_allclose(seen.picture, np.clip(target, 0, 255), atol=2.0)


@pytest.mark.parametrize("method", METHODS)
def test_no_more_is_evaluated_than_was_asked_for(method):
    count = []
    METHODS[method](
        Seen(bowl(RNG.uniform(0, 255, SIZE), 1.0), 7, lambda losses, best: count.append(losses)), np.zeros(SIZE)
    )
    assert len(count) <= 7


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_it_and_the_best_is_kept(method, value):
    target = RNG.uniform(0, 255, SIZE)
    calls = []

    def goal(picture):
        calls.append(picture)
        losses, gradient = bowl(target, np.exp(RNG.normal(0, 1, SIZE)))(picture)
        return ((value,) if len(calls) == 5 else losses), gradient

    seen = Seen(goal, 50, lambda losses, best: None)
    with pytest.raises(NotANumber):
        METHODS[method](seen, np.zeros(SIZE))
    assert len(calls) == 5
    assert any(np.allclose(seen.picture, one) for one in calls[:4])
