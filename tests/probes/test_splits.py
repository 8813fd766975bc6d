from __future__ import annotations

import numpy as np
import pytest

from transferbench.errors import UserError
from transferbench.probes.splits import SEEDS, SHOTS, draw_shots, holdout_counts, holdout_split, tuning_parts


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


@pytest.mark.parametrize(
    ("counts", "held"),
    [
        ([10, 3, 10], [2, 1, 3]),
        ([100, 4, 100, 2, 100], [20, 1, 25, 1, 50]),
        ([1, 0, 10, 10], [0, 0, 2, 2]),
        ([732, 1300], [146, 260]),
    ],
)
def test_faithful_counts_are_the_ratchets(counts, held):
    assert holdout_counts(np.array(counts), 0.2, faithful=True).tolist() == held


def test_split_is_class_wise_disjoint_and_complete():
    labels = np.random.default_rng(0).permutation(np.repeat([5, 1, 9], [10, 3, 10]))
    fitted, held = holdout_split(labels, 0.2, seed=4)
    assert sorted([*fitted, *held]) == list(range(23))
    assert [int((labels[held] == c).sum()) for c in (5, 1, 9)] == [2, 1, 2]
    assert set(labels[fitted]) == {1, 5, 9}


def test_faithful_split_goes_through_the_labels_in_order():
    labels = np.random.default_rng(0).permutation(np.repeat([5, 1, 9], [3, 10, 10]))
    _, held = holdout_split(labels, 0.2, seed=4, faithful=True)
    assert [int((labels[held] == c).sum()) for c in (1, 5, 9)] == [2, 1, 3]


def test_split_draws_each_class_from_one_generator():
    labels = np.random.default_rng(2).integers(0, 4, 60)
    generator = np.random.default_rng(9)
    drawn = [generator.permutation(np.flatnonzero(labels == c))[: int(0.2 * (labels == c).sum())] for c in range(4)]
    np.testing.assert_array_equal(holdout_split(labels, 0.2, seed=9)[1], np.sort(np.concatenate(drawn)))


def test_split_follows_its_seed_alone():
    labels = np.repeat(np.arange(4), 25)
    first = holdout_split(labels, seed=7)
    assert all(np.array_equal(a, b) for a, b in zip(first, holdout_split(labels, seed=7)))
    assert not np.array_equal(first[1], holdout_split(labels, seed=8)[1])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_fraction_outside_is_refused(fraction):
    with pytest.raises(UserError, match="holdout="):
        holdout_split(np.array([0, 1]), fraction)


@pytest.mark.parametrize("shots", SHOTS)
def test_a_draw_has_as_many_of_each_class(shots):
    labels = np.random.default_rng(0).permutation(np.repeat([7, 2, 4], [128, 200, 150]))
    drawn = draw_shots(labels, shots, np.random.default_rng(1))
    assert len(set(drawn.tolist())) == len(drawn) == 3 * shots
    assert drawn.tolist() == sorted(drawn.tolist())
    assert [int((labels[drawn] == c).sum()) for c in (2, 4, 7)] == [shots] * 3


def test_every_image_of_a_class_is_as_likely():
    labels = np.repeat([0, 1], [5, 8])
    generator = np.random.default_rng(0)
    counts = sum(np.bincount(draw_shots(labels, 2, generator), minlength=13) for _ in range(4000))
    np.testing.assert_allclose(counts / 4000, [2 / 5] * 5 + [2 / 8] * 8, atol=0.03)


def test_a_class_that_is_too_small_is_refused_or_taken_whole():
    labels = np.repeat([3, 5, 6], [4, 2, 9])
    with pytest.raises(UserError, match=r"shots=4: 1 of 3 classes .*class 5 has 2.*at most 2 shots.*short=all"):
        draw_shots(labels, 4, np.random.default_rng(0))
    drawn = draw_shots(labels, 4, np.random.default_rng(0), short="all")
    assert [int((labels[drawn] == c).sum()) for c in (3, 5, 6)] == [4, 2, 4]
    with pytest.raises(UserError, match="shots=0"):
        draw_shots(labels, 0, np.random.default_rng(0))
    with pytest.raises(UserError, match="short=some: expected one of refuse, all"):
        draw_shots(labels, 4, np.random.default_rng(0), short="some")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shots", [1, 8, 64])
def test_few_shot_tuning_leaks_nothing(shots, seed):
    labels = np.random.default_rng(3).permutation(np.repeat(np.arange(5), 100))
    parts = tuning_parts(labels, 0.2, seed, shots=shots)
    fitted, held = holdout_split(labels, 0.2, seed)
    np.testing.assert_array_equal(parts.held, held)
    assert len(parts.held) == 100
    assert len(parts.fitted) == len(parts.final) == 5 * shots
    assert set(parts.fitted) <= set(fitted)
    assert not np.array_equal(parts.fitted, parts.final)


def test_the_final_draw_may_take_what_tuning_held_out():
    labels = np.repeat(np.arange(5), 100)
    parts = tuning_parts(labels, 0.2, 22, shots=64)
    share = np.isin(parts.final, parts.held).mean()
    assert 0.1 < share < 0.3  # a fifth, up to chance


def test_without_shots_all_is_fitted_at_last():
    labels = np.repeat([0, 1, 2], [10, 3, 10])
    parts = tuning_parts(labels, 0.2, 5, faithful=True)
    np.testing.assert_array_equal(parts.final, np.arange(23))
    assert [len(parts.fitted), len(parts.held)] == [17, 6]


def test_the_published_constants():
    assert SEEDS == (22, 37, 45, 77, 93)
    assert SHOTS == (1, 2, 4, 8, 16, 32, 64, 128)
