from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.svm import LinearSVC

from transferbench.errors import UserError
from transferbench.probes.scores import IGNORE, mean_average_precision
from transferbench.probes.svm import COSTS, LOW_SHOTS, Solver, draw_low_shots, fit_svm, low_shot_svm


def pictures(count=150, width=8, classes=3, seed=0):
    """Features that sum up the directions of the classes in a picture, and which those are."""
    generator = np.random.default_rng(seed)
    labels = (generator.random((count, classes)) < 0.35).astype(np.int64)
    directions = np.random.default_rng(50).normal(size=(classes, width))
    return (3 * (labels @ directions + generator.normal(size=(count, width)))).astype(np.float32), labels


def vissls_model(cost):
    return LinearSVC(
        penalty="l2", loss="squared_hinge", dual=True, tol=1e-4, C=cost, intercept_scaling=1.0,
        class_weight={1: 2, -1: 1}, max_iter=2000, random_state=0,
    )  # fmt: skip


def lengthened(x):
    x = x.astype(np.float64)
    return x / (np.sqrt((x**2).sum(axis=1)) + 1e-5)[:, None]


def test_costs_and_models_are_scikit_learns():
    x, labels = pictures()
    costs = (0.01, 0.1, 1.0, 10.0)
    probe = fit_svm(x, labels, costs=costs)
    for number in range(3):
        target = np.where(labels[:, number] == 1, 1, -1)
        found = [
            cross_val_score(vissls_model(cost), lengthened(x), target, cv=3, scoring="average_precision").mean()
            for cost in costs
        ]
        np.testing.assert_allclose(probe.held_out[number], found, rtol=1e-6)
        assert probe.costs[number] == costs[int(np.argmax(found))]
        model = vissls_model(probe.costs[number]).fit(lengthened(x), target)
        np.testing.assert_allclose(probe.weight[number], model.coef_[0], rtol=1e-9)
        test_x, _ = pictures(seed=1)
        np.testing.assert_allclose(
            probe.scores(test_x)[:, number], model.decision_function(lengthened(test_x)), rtol=1e-6, atol=1e-9
        )
    assert probe.stopped_early == 0


def test_it_ranks_pictures_it_has_not_seen():
    test_x, test_labels = pictures(seed=1)
    mean, _ = mean_average_precision(fit_svm(*pictures(), costs=(0.1, 1.0)).scores(test_x), test_labels)
    assert mean > 0.75
    assert mean > test_labels.mean() + 0.3


def test_positives_weigh_twice():
    x, labels = pictures()
    alike = fit_svm(x, labels, costs=[1.0], solver=Solver(positive_weight=1.0))
    assert (fit_svm(x, labels, costs=[1.0]).scores(x).mean(axis=0) > alike.scores(x).mean(axis=0)).all()


def test_difficult_images_are_absent_or_left_out():
    x, labels = pictures()
    marked = labels.copy()
    rows = np.flatnonzero(labels[:, 0] == 1)[:9]
    marked[rows, 0] = IGNORE
    absent, without = labels.copy(), np.setdiff1d(np.arange(len(x)), rows)
    absent[rows, 0] = 0
    published = fit_svm(x, marked, costs=[1.0])
    np.testing.assert_array_equal(published.weight, fit_svm(x, absent, costs=[1.0]).weight)
    left_out = fit_svm(x, marked, costs=[1.0], difficult_absent=False)
    np.testing.assert_array_equal(left_out.weight[0], fit_svm(x[without], labels[without], costs=[1.0]).weight[0])
    np.testing.assert_array_equal(left_out.weight[1:], published.weight[1:])


def test_the_seed_alone_decides_and_processes_do_not():
    x, labels = pictures()
    first = fit_svm(x, labels, costs=[1.0])
    np.random.seed(5)  # noqa: NPY002  the global generator must be of no account
    again = fit_svm(x, labels, costs=[1.0], workers=2)
    np.testing.assert_array_equal(again.weight, first.weight)
    np.testing.assert_array_equal(again.bias, first.bias)


def test_running_out_of_iterations_is_counted():
    x, labels = pictures()
    assert fit_svm(x, labels, costs=[1.0, 1000.0], solver=Solver(iterations=1)).stopped_early == 3 * 7


def test_a_low_shot_draw_has_what_was_asked():
    _, labels = pictures(count=400)
    labels[:50, 1] = IGNORE
    drawn = draw_low_shots(np.where(labels == 0, -1, labels), 16, np.random.default_rng(0))
    assert (drawn == 1).sum(axis=0).tolist() == [16] * 3
    assert (drawn == 0).sum(axis=0).tolist() == [32] * 3
    counted = drawn != IGNORE
    np.testing.assert_array_equal(drawn[counted], labels[counted])
    assert not counted[:50, 1].any()
    assert (counted[:, 0] != counted[:, 2]).any()


def test_low_shots_are_draws_by_costs():
    train, test = pictures(count=300), pictures(seed=1)
    found = low_shot_svm(train, test, 4, draws=3, costs=(0.01, 1.0), seed=7)
    assert found.by_draw.shape == (3, 2)
    child = np.random.SeedSequence(7).spawn(3)[1]
    drawn = draw_low_shots(train[1], 4, np.random.default_rng(child))
    expected = []
    for number in range(3):
        rows = np.flatnonzero(drawn[:, number] != IGNORE)
        model = vissls_model(1.0).fit(lengthened(train[0][rows]), np.where(drawn[rows, number] == 1, 1, -1))
        expected.append(model.decision_function(lengthened(test[0])))
    assert found.by_draw[1, 1] == pytest.approx(mean_average_precision(np.stack(expected, axis=1), test[1])[0])
    cost, mean, spread = found.best
    column = found.costs.index(cost)
    assert mean == found.by_draw.mean(axis=0).max() == pytest.approx(found.by_draw[:, column].mean())
    assert spread == pytest.approx(np.std(found.by_draw[:, column]))
    np.testing.assert_array_equal(
        low_shot_svm(train, test, 4, draws=3, costs=(0.01, 1.0), seed=7).by_draw, found.by_draw
    )


def test_the_published_settings():
    assert (COSTS[0], COSTS[-1], len(COSTS)) == (0.01, 1000, 11)
    assert LOW_SHOTS == (1, 2, 4, 8, 16, 32, 64, 96)


def test_what_cannot_be_fitted_is_said():
    x, labels = pictures(count=30)
    rare = labels.copy()
    rare[:, 2] = 0
    rare[:2, 2] = 1
    with pytest.raises(UserError, match="class 2 has 2 training images with it and 28 without; expected at least 3"):
        fit_svm(x, rare)
    with pytest.raises(UserError, match="positive values of C"):
        fit_svm(x, labels, costs=[])
    with pytest.raises(UserError, match="1 for present"):
        fit_svm(x, labels + 1)
    with pytest.raises(UserError, match="shots=3: class 2 has 2 images with it, 3 are drawn"):
        draw_low_shots(rare, 3, np.random.default_rng(0))
    with pytest.raises(UserError, match="shots=0"):
        draw_low_shots(labels, 0, np.random.default_rng(0))
