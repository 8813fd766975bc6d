from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from transferbench.probes.aggregate import log_odds, mean_and_spread, mean_interval, mean_log_odds, top1


def test_top1_is_a_count_over_n():
    assert top1(np.array([1, 2, 3]), np.array([1, 2, 0])) == 2 / 3


@pytest.mark.parametrize(
    ("accuracy", "odds"), [(0.5, 0), (0.6, 0.405465), (0.7, 0.847298), (0.8, 1.386294), (0.9, 2.197225)]
)
def test_log_odds(accuracy, odds):
    assert log_odds(accuracy) == pytest.approx(odds, abs=1e-6)


@pytest.mark.parametrize(("accuracy", "odds"), [(0.76322, 1.1704), (0.70742, 0.8829)])
def test_log_odds_of_the_published_averages(accuracy, odds):
    """https://github.com/naver/trex, README: mean transfer log-odds over 15 sets."""
    assert log_odds(accuracy) == pytest.approx(odds, abs=1e-4)


def test_the_mean_of_log_odds_is_not_the_log_odds_of_the_mean():
    mean, clipped = mean_log_odds([0.8, 0.6], [100, 100])
    assert mean == pytest.approx(0.895880, abs=1e-6)
    assert mean != pytest.approx(log_odds(0.7), abs=1e-2)
    assert clipped == 0


def test_none_and_all_right_are_clipped_to_half_an_image():
    mean, clipped = mean_log_odds([1.0, 0.5, 0.0], [50, 10, 50])
    assert clipped == 2
    assert mean == pytest.approx(0, abs=1e-12)
    assert mean_log_odds([1.0], [50]) == (pytest.approx(math.log(0.99 / 0.01)), 1)
    assert mean_log_odds([0.98], [50])[1] == 0


def test_mean_log_odds_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="at least one"):
        mean_log_odds([], [])
    with pytest.raises(ValueError):
        mean_log_odds([0.5], [10, 10])


def test_interval_is_students():
    values = [0.61, 0.64, 0.60, 0.66, 0.63]
    mean, low, high = mean_interval(values)
    expected = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert mean == pytest.approx(np.mean(values))
    assert (low, high) == pytest.approx(expected)


def test_one_seed_has_no_interval():
    assert mean_interval([0.5]) == (0.5, -math.inf, math.inf)
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])


def test_spread_is_the_populations():
    values = [0.61, 0.64, 0.60, 0.66, 0.63]
    mean, spread = mean_and_spread(values)
    assert mean == pytest.approx(sum(values) / 5)
    assert spread == pytest.approx(math.sqrt(sum((v - mean) ** 2 for v in values) / 5))
    assert mean_and_spread([0.5]) == (0.5, 0.0)
    with pytest.raises(ValueError, match="at least one"):
        mean_and_spread([])
