"""A rate that is read off a range test is the curve's, and lies within what was tried."""

import numpy as np
import pytest

from convmedia.apps.training.learning_rate import smoothed, suggested_rate

RATES = 1e-7 * 1e7 ** (np.arange(100) / 100)  # 1e-7 to nearly 1


def curve(fall: float = 0.0, at: float = 1e-2, rise_at: float = 1e-3, level: float = 0.7) -> np.ndarray:
    """`fall` nats less around the rate `at`, and a rise by a power of the rate above `rise_at`."""
    falling = fall / (1 + (at / 30 / RATES) ** 2)
    return level - falling + 0.05 * np.maximum(RATES / rise_at - 1, 0) ** 1.5


def noisy(losses: np.ndarray, deviation: float, seed: int) -> np.ndarray:
    return losses + np.random.default_rng(seed).normal(0, deviation, len(losses))


@pytest.mark.parametrize("deviation", [0.0, 0.02, 0.1])
def test_a_flat_curve_that_rises_gives_a_tenth_of_where_it_does(deviation):
    found = [suggested_rate(RATES, noisy(curve(), deviation, seed)) for seed in range(50)]
    assert all(4e-5 < one < 1e-3 for one in found)  # the rise begins at 1e-3, noise hides its beginning


@pytest.mark.parametrize("deviation", [0.0, 0.02, 0.05])
def test_a_curve_that_falls_gives_a_tenth_of_where_it_is_least(deviation):
    losses = curve(fall=0.5, at=1e-2, rise_at=1e-2)
    least = RATES[losses.argmin()]
    found = [suggested_rate(RATES, noisy(losses, deviation, seed)) for seed in range(50)]
    assert all(least / 10 / 6 < one < least / 10 * 6 for one in found)
    assert np.median(found) == pytest.approx(least / 10, rel=0.6)


def test_a_fall_up_to_the_end_counts_too():
    losses = curve(fall=0.5, at=0.3, rise_at=1e9)
    assert suggested_rate(RATES, losses) == pytest.approx(RATES[-1] / 10, rel=0.5)


@pytest.mark.parametrize("deviation", [0.0, 0.05, 0.3])
def test_a_flat_curve_has_no_rate(deviation):
    found = [suggested_rate(RATES, noisy(np.full(100, 0.7), deviation, seed)) for seed in range(50)]
    assert found.count(None) >= 47


def test_a_curve_that_rises_from_the_beginning_has_none():
    assert suggested_rate(RATES, 0.5 + np.linspace(0, 3, 100)) is None
    assert suggested_rate(RATES, noisy(0.5 + np.linspace(0, 3, 100), 0.02, 1)) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_no_number_is_a_rise(bad):
    losses = np.full(100, 0.7)
    losses[60:] = bad
    assert suggested_rate(RATES, noisy(losses, 0.01, 0)) == pytest.approx(RATES[60] / 10, rel=0.2)
    losses[55:60] = [0.9, 1.5, 4.0, 20.0, 100.0]
    assert RATES[50] / 10 < suggested_rate(RATES, losses) < RATES[56] / 10


def test_too_few_steps_have_none():
    assert suggested_rate(RATES[:3], np.array([0.7, 0.8, 9.0])) is None
    assert suggested_rate(RATES, np.array([np.nan] * 100)) is None


def test_what_is_suggested_was_tried():
    random = np.random.default_rng(0)
    for seed in range(300):
        found = suggested_rate(RATES, noisy(curve(random.uniform(0, 0.6), 10 ** random.uniform(-6, 0)), 0.1, seed))
        assert found is None or RATES[0] <= found <= RATES[-1]


def test_smoothing_keeps_a_level_and_lowers_scatter():
    assert smoothed(np.full(20, 0.3)) == pytest.approx(np.full(20, 0.3))
    assert smoothed(noisy(np.zeros(400), 1.0, 0)).std() < 0.5
