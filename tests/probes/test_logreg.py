from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from transferbench.errors import UserError
from transferbench.probes.logreg import fit_logreg, search_logreg
from transferbench.probes.splits import holdout_split, tuning_parts

COSTS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
WIDE_COSTS = (1e-5, 1e-2, 1.0, 1e3, 1e6)


def clusters(count=400, width=12, classes=5, noise=2.0, seed=0):
    """Features with very unequal scales, as a network's are."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(classes, width))
    y = np.arange(count) % classes
    x = (centres[y] + noise * generator.normal(size=(count, width))) * np.logspace(-2, 2, width) + 5
    return x.astype(np.float32), y


def tight(x, y, cost):
    """scikit-learn's optimum in float64, as weights (C, D) and intercepts (C,) that sum to zero over the classes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a line search that rounding ends
        model = LogisticRegression(C=cost, solver="newton-cg", tol=1e-10, max_iter=5000).fit(x.astype(np.float64), y)
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:
        return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight - weight.mean(axis=0), bias - bias.mean()


def objective(weight, bias, x, y, cost):
    """scikit-learn's objective in float64; its two-class regression penalises the difference of the two weights."""
    logits = x.astype(np.float64) @ weight.T + bias
    margins = logits - logits[np.arange(len(y)), np.unique(y, return_inverse=True)[1]][:, None]
    loss = np.log(np.exp(margins).sum(axis=1)).sum()
    return cost * loss + (weight**2).sum() / 2 * (2 if len(weight) == 2 else 1)


CASES = {
    "many": {},
    "few": {"count": 60, "width": 100},
    "two classes": {"classes": 2},
    "two classes, few": {"count": 40, "width": 60, "classes": 2},
    "as many classes as features": {"count": 300, "width": 20, "classes": 30},
    "separable": {"noise": 0.1},
}


@pytest.mark.parametrize("cost", WIDE_COSTS)
@pytest.mark.parametrize("case", CASES)
def test_the_optimum_is_scikit_learns(case, cost):
    x, y = clusters(**CASES[case])
    probe = fit_logreg(x, y, costs=[cost])
    scaled = probe.scaling(x)
    weight, bias = tight(scaled, y, cost)
    best = objective(weight, bias, scaled, y, cost)
    found = objective(probe.weight, probe.bias, scaled, y, cost)
    assert best * (1 - 1e-6) <= found <= best * (1 + 2e-6)
    assert probe.objective == pytest.approx(found, rel=1e-9)
    assert 0 <= probe.gap <= 1e-6
    assert np.mean(probe.predict(x) == np.unique(y)[(scaled @ weight.T + bias).argmax(axis=1)]) == 1.0
    assert (probe.cost, probe.held_out, probe.stopped_early, probe.search) == (cost, {}, 0, None)


@pytest.mark.parametrize("cost", WIDE_COSTS[1:])
@pytest.mark.parametrize("case", ["many", "few", "two classes"])
def test_weights_are_scikit_learns_too(case, cost):
    x, y = clusters(**CASES[case])
    probe = fit_logreg(x, y, costs=[cost], tolerance=1e-11)
    scaled = probe.scaling(x)
    weight, bias = tight(scaled, y, cost)
    assert probe.stopped_early == 0
    np.testing.assert_allclose(probe.weight, weight, rtol=0, atol=2e-5 * np.abs(weight).max())
    np.testing.assert_allclose(probe.bias, bias, rtol=0, atol=2e-4 * np.abs(bias).max() + 1e-6)
    np.testing.assert_allclose(probe.scores(x), scaled @ weight.T + bias, rtol=0, atol=1e-4 * np.abs(weight).max())


@pytest.mark.parametrize("norm", ["none", "l2", "standard"])
def test_features_that_never_change_and_rows_that_come_twice(norm):
    x, y = clusters(count=60, width=20)
    x[:, 3] = 0
    x[:, 7] = 4.5
    x, y = np.concatenate([x, x[:30]]), np.concatenate([y, y[:30]])
    y[75] = (y[75] + 1) % 5  # the same row with another label: no classifier has both right
    for cost in (1e-2, 10.0):
        probe = fit_logreg(x, y, costs=[cost], norm=norm)
        scaled = probe.scaling(x)
        best = objective(*tight(scaled, y, cost), scaled, y, cost)
        assert objective(probe.weight, probe.bias, scaled, y, cost) == pytest.approx(best, rel=2e-6)
        assert probe.stopped_early == 0
        assert np.abs(probe.weight[:, 3]).max() < 1e-9


@pytest.mark.parametrize("seed", [0, 1])
def test_selection_and_refit_are_scikit_learns(seed):
    x, y = clusters(seed=seed)
    test_x, _ = clusters(seed=seed + 10)
    probe = fit_logreg(x, y, costs=COSTS, seed=seed, tolerance=1e-10)
    fitted, held = holdout_split(y, 0.2, seed)
    scaler = StandardScaler().fit(x[fitted].astype(np.float64))
    fitted_x, held_x = scaler.transform(x[fitted]), scaler.transform(x[held])

    def answers(of, labels, cost, asked):
        weight, bias = tight(of, labels, cost)
        return (asked @ weight.T + bias).argmax(axis=1)

    scores = {cost: np.mean(answers(fitted_x, y[fitted], cost, held_x) == y[held]) for cost in COSTS}
    assert probe.held_out == pytest.approx(scores, abs=1e-9)
    assert probe.cost == min(c for c in COSTS if probe.held_out[c] == max(probe.held_out.values()))
    scaler = StandardScaler().fit(x.astype(np.float64))
    expected = answers(scaler.transform(x), y, probe.cost, scaler.transform(test_x))
    np.testing.assert_array_equal(probe.predict(test_x), expected)


@pytest.mark.parametrize("norm", ["none", "standard"])
def test_the_search_is_optunas_with_scikit_learn(norm):
    import optuna

    x, y = clusters(count=150)
    fitted, held = holdout_split(y, 0.2, 7)
    scaler = StandardScaler(with_mean=norm == "standard", with_std=norm == "standard").fit(x[fitted])

    def accuracy(trial):
        cost = trial.suggest_float("cost", 1e-3, 1e2, log=True)
        weight, bias = tight(scaler.transform(x[fitted]), y[fitted], cost)
        return np.mean((scaler.transform(x[held]) @ weight.T + bias).argmax(axis=1) == y[held])

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=7))
    study.optimize(accuracy, 14)
    probe = search_logreg(x, y, trials=14, cost_range=(1e-3, 1e2), norm=norm, seed=7, tolerance=1e-10)
    assert [trial.values["cost"] for trial in probe.search.trials] == [trial.params["cost"] for trial in study.trials]
    assert [trial.value for trial in probe.search.trials] == pytest.approx([trial.value for trial in study.trials])
    assert probe.cost == probe.search.best["cost"] == study.best_params["cost"]
    assert probe.held_out[probe.cost] == study.best_value
    direct = fit_logreg(x, y, costs=[probe.cost], norm=norm)
    assert probe.objective == pytest.approx(direct.objective, rel=2e-6)
    np.testing.assert_array_equal(probe.predict(x), direct.predict(x))


def test_the_smallest_cost_wins_a_tie_whatever_the_order():
    x, y = clusters(noise=0.01)
    assert fit_logreg(x, y, costs=[1.0, 0.01, 0.1]).cost == 0.01


def test_labels_with_gaps_are_answered():
    x, y = clusters(noise=0.01)
    probe = fit_logreg(x, y * 3 + 1, costs=[0.1])
    np.testing.assert_array_equal(probe.classes, [1, 4, 7, 10, 13])
    np.testing.assert_array_equal(probe.predict(x), y * 3 + 1)
    np.testing.assert_array_equal(probe.predict(x), probe.classes[probe.scores(x).argmax(axis=1)])


@pytest.mark.parametrize("classes", [2, 5])
def test_scores_are_logarithms_of_probabilities(classes):
    x, y = clusters(classes=classes)
    probe = fit_logreg(x, y, costs=[0.1])
    model = LogisticRegression(C=0.1, tol=1e-9, max_iter=5000).fit(probe.scaling(x).astype(np.float64), y)
    found = torch.from_numpy(probe.scores(x)).softmax(dim=1).numpy()
    np.testing.assert_allclose(found, model.predict_proba(probe.scaling(x)), atol=1e-3)


def test_running_out_of_iterations_is_counted_and_not_warned_about():
    x, y = clusters()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        probe = fit_logreg(x, y, costs=[1e-2, 1.0], max_iterations=1, tolerance=1e-9)
    assert probe.stopped_early == 3
    assert fit_logreg(x, y).stopped_early == 0


def on_disk(x, folder, dtype):
    file = np.memmap(folder / f"x.{dtype}", dtype=dtype, mode="w+", shape=x.shape)
    file[:] = x
    file.flush()
    return np.memmap(folder / f"x.{dtype}", dtype=dtype, mode="r", shape=x.shape)


@pytest.mark.parametrize("shape", [{}, {"count": 60, "width": 100}, {"classes": 2}], ids=["many", "few", "two"])
@pytest.mark.parametrize("norm", ["none", "l2", "standard"])
def test_features_that_are_read_at_every_pass_give_the_same(shape, norm, tmp_path, monkeypatch):
    monkeypatch.setattr("transferbench.probes.regression.CHUNK", 17)
    x, y = clusters(**shape)
    mapped = on_disk(x, tmp_path, "float32")
    held = fit_logreg(x, y, costs=(1e-2, 1.0, 1e2), norm=norm)
    read = fit_logreg(mapped, y, costs=(1e-2, 1.0, 1e2), norm=norm, room=0)
    assert read.held_out == held.held_out
    assert read.cost == held.cost
    assert read.objective == pytest.approx(held.objective, rel=2e-6)
    assert read.stopped_early == 0
    np.testing.assert_array_equal(read.predict(mapped), held.predict(x))
    np.testing.assert_allclose(read.scores(mapped), held.scores(x), rtol=0.02, atol=0.02)


def test_reading_never_holds_the_features(tmp_path, monkeypatch):
    monkeypatch.setattr("transferbench.probes.regression.CHUNK", 16)
    x, y = clusters(count=300)
    mapped, most = on_disk(x, tmp_path, "float32"), [0]
    original = torch.from_numpy

    def watched(array):
        most[0] = max(most[0], array.size)
        return original(array)

    monkeypatch.setattr(torch, "from_numpy", watched)
    search_logreg(mapped, y, trials=3, room=0)
    assert most[0] == 300  # all labels; a block of features is 192 numbers, all of them 3,600


def test_half_precision_is_read_as_it_is(tmp_path):
    x, y = clusters()
    half = on_disk(x, tmp_path, "float16")
    wide = np.asarray(half).astype(np.float32)
    for room in (None, 0):
        found, expected = (fit_logreg(rows, y, costs=COSTS, room=room) for rows in (half, wide))
        np.testing.assert_array_equal(found.weight, expected.weight)
        np.testing.assert_array_equal(found.predict(half), expected.predict(wide))
    tensor = fit_logreg(torch.from_numpy(wide), y, costs=COSTS)
    np.testing.assert_array_equal(tensor.predict(torch.from_numpy(wide)), expected.predict(wide))


def test_a_few_images_a_class():
    x, y = clusters(count=200, width=30)
    probe = fit_logreg(x, y, costs=COSTS, shots=4, seed=3)
    parts = tuning_parts(y, 0.2, 3, shots=4)
    scaler = StandardScaler().fit(x[parts.fitted].astype(np.float64))
    for cost, score in probe.held_out.items():
        weight, bias = tight(scaler.transform(x[parts.fitted]), y[parts.fitted], cost)
        predicted = (scaler.transform(x[parts.held]) @ weight.T + bias).argmax(axis=1)
        assert score == pytest.approx(np.mean(predicted == y[parts.held]), abs=1e-9)
    direct = fit_logreg(x[parts.final], y[parts.final], costs=[probe.cost])
    np.testing.assert_allclose(probe.weight, direct.weight, atol=1e-3 * np.abs(direct.weight).max())
    searched = search_logreg(x, y, trials=4, shots=4, seed=3, norm="standard")
    assert len(searched.held_out) == 4


def test_counts_of_the_published_evaluation_may_be_asked_for():
    x, y = clusters(count=150)
    rare = np.flatnonzero(y == 1)[3:]
    x, y = np.delete(x, rare, axis=0), np.delete(y, rare)
    for faithful in (False, True):
        fitted, held = holdout_split(y, 0.2, 0, faithful=faithful)
        probe = fit_logreg(x, y, costs=[0.01, 1.0], norm="none", faithful=faithful)
        for cost, score in probe.held_out.items():
            direct = fit_logreg(x[fitted], y[fitted], costs=[cost], norm="none")
            assert score == pytest.approx(np.mean(direct.predict(x[held]) == y[held]), abs=1e-9)
    assert len(holdout_split(y, 0.2, 0)[1]) != len(held)


@pytest.mark.parametrize(
    ("labels", "costs", "message"),
    [
        ([0, 0, 0], [0.1], "at least two classes"),
        ([0, 1, 2], [0.1, 1.0], "single one.*costs="),
        ([0, 1, 0], [], "positive values of C"),
        ([0, 1, 0], [0.0, 1.0], "positive values of C"),
        ([0, 1, 0], [-1.0], "positive values of C"),
        ([0, 1, 0], [float("nan")], "positive values of C"),
        ([0, 1, 0], [1e300], "from 1e-10 to 1e.10"),
        ([0, 1], [0.1], "3 feature vectors and 2 labels"),
    ],
)
def test_what_cannot_be_fitted_is_said(labels, costs, message):
    with pytest.raises(UserError, match=message):
        fit_logreg(np.eye(3, dtype=np.float32), np.array(labels), costs=costs)


@pytest.mark.parametrize("room", [None, 0])
def test_features_that_are_not_finite_are_said(room):
    x, y = clusters()
    x[11, 2] = np.nan
    for norm in ("none", "standard"):
        with pytest.raises(UserError, match="not finite"):
            fit_logreg(x, y, norm=norm, room=room)


@pytest.mark.parametrize("cost_range", [(0.0, 1.0), (1.0, 0.1), (1e-5, 1e30), (float("nan"), 1.0)])
def test_a_range_that_makes_no_sense_is_said(cost_range):
    x, y = clusters()
    with pytest.raises(UserError, match=r"cost"):
        search_logreg(x, y, trials=2, cost_range=cost_range)


def test_a_search_without_trials_is_said():
    x, y = clusters()
    with pytest.raises(UserError, match="trials"):
        search_logreg(x, y, trials=0)
