from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from transferbench.errors import UserError
from transferbench.probes.logreg import fit_logreg
from transferbench.probes.splits import holdout_split

COSTS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def clusters(count=400, width=12, classes=5, noise=2.0, seed=0):
    """Features with very unequal scales, as a network's are."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(classes, width))
    y = np.arange(count) % classes
    x = (centres[y] + noise * generator.normal(size=(count, width))) * np.logspace(-2, 2, width) + 5
    return x.astype(np.float32), y


def objective(model, x, y, cost):
    """Mean cross-entropy + half the squared norm of the weights over C and the number of images, in float64."""
    logits = x.astype(np.float64) @ model.coef_.T.astype(np.float64) + model.intercept_
    logits -= logits.max(axis=1, keepdims=True)
    loss = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y]
    return loss.mean() + (model.coef_.astype(np.float64) ** 2).sum() / (2 * cost * len(y))


@pytest.mark.parametrize("cost", COSTS)
def test_the_optimum_is_reached(cost):
    x, y = clusters()
    probe = fit_logreg(x, y, costs=[cost])
    scaled = probe.scaling(x)
    tight = LogisticRegression(C=cost, tol=1e-10, max_iter=20_000).fit(scaled.astype(np.float64), y)
    best = objective(tight, scaled, y, cost)
    assert best <= objective(probe.model, scaled, y, cost) * (1 + 1e-6)
    assert objective(probe.model, scaled, y, cost) <= best * (1 + 1e-3)
    assert probe.cost == cost
    assert probe.held_out == {}


@pytest.mark.parametrize("seed", [0, 1])
def test_selection_and_refit_are_scikit_learns(seed):
    x, y = clusters(seed=seed)
    test_x, _ = clusters(seed=seed + 10)
    probe = fit_logreg(x, y, costs=COSTS, seed=seed)
    fitted, held = holdout_split(y, 0.2, seed)
    scaler = StandardScaler().fit(x[fitted].astype(np.float64))
    scores = {}
    for cost in COSTS:
        model = LogisticRegression(C=cost, tol=1e-8, max_iter=5000).fit(scaler.transform(x[fitted]), y[fitted])
        scores[cost] = model.score(scaler.transform(x[held]), y[held])
    assert probe.held_out == pytest.approx(scores, abs=1.01 / len(held))
    assert probe.cost == min(c for c in COSTS if probe.held_out[c] == max(probe.held_out.values()))
    scaler = StandardScaler().fit(x.astype(np.float64))
    direct = LogisticRegression(C=probe.cost, tol=1e-8, max_iter=5000).fit(scaler.transform(x), y)
    assert np.mean(probe.predict(test_x) == direct.predict(scaler.transform(test_x))) > 0.99


def test_the_smallest_cost_wins_a_tie_whatever_the_order():
    x, y = clusters(noise=0.01)
    assert fit_logreg(x, y, costs=[1.0, 0.01, 0.1]).cost == 0.01


def test_labels_with_gaps_are_answered():
    x, y = clusters(noise=0.01)
    predicted = fit_logreg(x, y * 3 + 1, costs=[0.1]).predict(x)
    np.testing.assert_array_equal(predicted, y * 3 + 1)


def test_two_classes():
    x, y = clusters(classes=2, noise=0.01)
    np.testing.assert_array_equal(fit_logreg(x, y).predict(x), y)


def test_running_out_of_iterations_is_counted_and_not_warned_about():
    x, y = clusters()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        probe = fit_logreg(x, y, costs=[1e-2, 1.0], max_iterations=2)
    assert probe.stopped_early == 3
    assert fit_logreg(x, y).stopped_early == 0


@pytest.mark.parametrize(
    ("labels", "costs", "message"),
    [
        ([0, 0, 0], [0.1], "at least two classes"),
        ([0, 1, 2], [0.1, 1.0], "single one.*costs="),
        ([0, 1, 0], [], "positive values of C"),
        ([0, 1, 0], [0.0, 1.0], "positive values of C"),
    ],
)
def test_what_cannot_be_fitted_is_said(labels, costs, message):
    with pytest.raises(UserError, match=message):
        fit_logreg(np.eye(3, dtype=np.float32), np.array(labels), costs=costs)
