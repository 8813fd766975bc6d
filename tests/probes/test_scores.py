from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, balanced_accuracy_score
from torchmetrics.functional.classification import multiclass_accuracy

from transferbench.errors import UserError
from transferbench.probes.scores import (
    IGNORE,
    average_precision,
    by_frequency,
    class_accuracies,
    mean_average_precision,
    mean_per_class,
    top_k,
)


@pytest.mark.parametrize("k", [1, 5])
def test_top_k_is_torchmetrics(k):
    generator = np.random.default_rng(0)
    scores, labels = generator.normal(size=(200, 12)), generator.integers(0, 12, 200)
    expected = multiclass_accuracy(torch.from_numpy(scores), torch.from_numpy(labels), 12, average="micro", top_k=k)
    assert top_k(scores, labels, np.arange(12), k) == pytest.approx(float(expected))
    assert top_k(scores, labels * 5 + 2, np.arange(12) * 5 + 2, k) == pytest.approx(float(expected))


def test_ties_count_against_and_unknown_labels_are_never_right():
    scores = np.array([[3.0, 0, 0, 0], [3.0, 0, 0, 0], [1, 2, 3, 4]])
    classes = np.array([2, 4, 6, 8])
    assert top_k(scores, np.array([2, 4, 6]), classes, k=2) == 2 / 3
    assert top_k(scores, np.array([2, 4, 6]), classes, k=4) == 1
    assert top_k(scores, np.array([1, 5, 99]), classes, k=4) == 0
    with pytest.raises(ValueError, match="not a number"):
        top_k(np.array([[math.nan, 1.0]]), np.array([0]), np.array([0, 1]))


def test_mean_per_class_is_the_balanced_accuracy():
    generator = np.random.default_rng(1)
    labels = generator.choice([3, 5, 8], 100, p=[0.7, 0.2, 0.1])
    predicted = np.where(generator.random(100) < 0.6, labels, 3)
    assert mean_per_class(predicted, labels) == pytest.approx(balanced_accuracy_score(labels, predicted))
    classes, accuracies = class_accuracies(predicted, labels)
    assert classes.tolist() == [3, 5, 8]
    assert accuracies.tolist() == [np.mean(predicted[labels == c] == c) for c in classes]


def test_groups_are_cut_at_twenty_and_a_hundred():
    counts = {1: 101, 2: 100, 3: 20, 4: 19, 6: 500}
    train = np.repeat(list(counts), list(counts.values()))
    labels = np.array([1, 1, 2, 2, 3, 3, 3, 3, 4, 5])
    predicted = np.array([1, 0, 2, 2, 3, 0, 0, 0, 4, 0])
    found = by_frequency(predicted, labels, train)
    assert found == {"many": 0.5, "medium": (1 + 0.25) / 2, "few": (1 + 0) / 2}
    assert by_frequency(predicted[:2], labels[:2], train) == {"many": 0.5}


def naive_precision(scores, present, eleven_points):
    """By thresholds: precision and recall of all rows that score at least as much."""
    points = []
    for threshold in sorted(set(scores), reverse=True):
        chosen = scores >= threshold
        hits = (chosen & present).sum()
        points.append((hits / present.sum(), hits / chosen.sum()))
    best = [max(p for r, p in points if r >= recall - 1e-12) for recall, _ in points]
    if eleven_points:
        return np.mean([max((p for r, p in points if r >= t / 10 - 1e-12), default=0) for t in range(11)])
    recalls = [0, *(r for r, _ in points)]
    return sum((recalls[i + 1] - recalls[i]) * best[i] for i in range(len(best)))


@pytest.mark.parametrize("eleven_points", [False, True])
@pytest.mark.parametrize("levels", [1000, 6, 1])
@pytest.mark.parametrize("share", [0.05, 0.4, 1.0])
def test_average_precision_is_the_naive_area(share, levels, eleven_points):
    generator = np.random.default_rng(7)
    for size in (10, 57):
        scores = np.round(generator.random(size) * levels)
        present = generator.random(size) < share
        present[3] = True
        expected = naive_precision(scores, present, eleven_points)
        assert average_precision(scores, present, eleven_points=eleven_points) == pytest.approx(expected)


def test_average_precision_by_hand():
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    present = np.array([True, False, True, False, False])
    assert average_precision(scores, present) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert average_precision(scores, present, eleven_points=True) == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    assert math.isnan(average_precision(scores, np.zeros(5, bool)))


def test_the_envelope_is_never_below_the_steps_of_scikit_learn():
    generator = np.random.default_rng(2)
    scores, present = generator.random(300), generator.random(300) < 0.2
    steps = average_precision_score(present, scores)
    assert steps < average_precision(scores, present) < steps + 0.05
    falling = np.sort(present)[::-1]  # a perfect ranking: no envelope needed
    assert average_precision(np.sort(scores)[::-1], falling) == average_precision_score(falling, np.sort(scores)[::-1])


def test_the_order_of_equal_scores_is_of_no_account():
    scores = np.array([0.5, 0.5, 0.5, 0.1])
    found = {average_precision(scores, np.roll([True, False, False, False], shift)) for shift in range(3)}
    assert found == {1 / 3}


def test_ignored_images_do_not_count_and_absent_is_nought_or_minus_one():
    generator = np.random.default_rng(3)
    scores = generator.random((40, 3))
    labels = (generator.random((40, 3)) < 0.4).astype(np.int64)
    labels[5:9, 0] = IGNORE
    mean, each = mean_average_precision(scores, labels)
    counted = np.r_[0:5, 9:40]
    assert each[0] == average_precision(scores[counted, 0], labels[counted, 0] == 1)
    assert each[2] == average_precision(scores[:, 2], labels[:, 2] == 1)
    assert mean == pytest.approx(np.mean(each))
    assert mean_average_precision(scores, np.where(labels == 0, -1, labels))[0] == mean
    assert mean_average_precision(scores, labels, eleven_points=True)[0] != mean


def test_a_class_that_is_nowhere_is_left_out():
    scores, labels = np.random.default_rng(0).random((6, 2)), np.array([[1, 0]] * 3 + [[0, 0]] * 3)
    mean, each = mean_average_precision(scores, labels)
    assert math.isnan(each[1])
    assert mean == each[0]
    assert math.isnan(mean_average_precision(scores, np.zeros((6, 2), int))[0])


@pytest.mark.parametrize("labels", [np.array([[0, 2]]), np.array([0, 1]), np.array([[0.5]])])
def test_other_labels_are_refused(labels):
    with pytest.raises(UserError, match="1 for present, 0 or -1 for absent and 255"):
        mean_average_precision(np.zeros((1, 2)), labels)
