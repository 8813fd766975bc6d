from __future__ import annotations

import numpy as np
import pytest

from transferbench.errors import UserError
from transferbench.probes.splits import holdout_counts, holdout_split


@pytest.mark.parametrize(
    ("counts", "fraction", "held"),
    [
        ([10, 3, 10], 0.2, [2, 1, 2]),
        ([100, 4, 100, 2, 100], 0.2, [20, 1, 20, 1, 20]),
        ([1, 2, 3, 0], 0.2, [0, 1, 1, 0]),
        ([1, 2, 3], 0.99, [0, 1, 2]),
        ([100], 0.29, [29]),
    ],
)
def test_counts_do_not_depend_on_earlier_classes(counts, fraction, held):
    assert holdout_counts(np.array(counts), fraction).tolist() == held


def test_split_is_class_wise_disjoint_and_complete():
    labels = np.random.default_rng(0).permutation(np.repeat([5, 1, 9], [10, 3, 10]))
    fitted, held = holdout_split(labels, 0.2, seed=4)
    assert sorted([*fitted, *held]) == list(range(23))
    assert [int((labels[held] == c).sum()) for c in (5, 1, 9)] == [2, 1, 2]
    assert set(labels[fitted]) == {1, 5, 9}


def test_split_follows_its_seed_alone():
    labels = np.repeat(np.arange(4), 25)
    first = holdout_split(labels, seed=7)
    assert all(np.array_equal(a, b) for a, b in zip(first, holdout_split(labels, seed=7)))
    assert not np.array_equal(first[1], holdout_split(labels, seed=8)[1])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_fraction_outside_is_refused(fraction):
    with pytest.raises(UserError, match="holdout="):
        holdout_split(np.array([0, 1]), fraction)
