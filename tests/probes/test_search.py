from __future__ import annotations

import math
import warnings

import optuna
import pytest

from transferbench.errors import RunFailed, UserError
from transferbench.probes.search import tpe, tpe_batched

SPACE = {"lr": (1e-1, 1e2), "wd": (1e-12, 1e-4)}


def hill(values):
    """A peak at lr = 2, wd = 1e-8."""
    return -((math.log10(values["lr"] / 2)) ** 2) - 0.1 * (math.log10(values["wd"]) + 8) ** 2


def cliff(values):
    return math.nan if values["lr"] > 30 else hill(values)


def optunas_own(objective, space, trials, seed, multivariate):
    """The published search as one writes it with Optuna: ``optimize``, -inf for a failed fit."""
    points = []

    def run(trial):
        points.append({name: trial.suggest_float(name, *space[name], log=True) for name in space})
        value = objective(points[-1])
        return -math.inf if math.isnan(value) else value

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=multivariate, group=multivariate)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(run, n_trials=trials)
    return points, study.best_params


@pytest.mark.parametrize("seed", [22, 37])
@pytest.mark.parametrize(
    ("objective", "space", "multivariate"),
    [
        (hill, SPACE, True),
        (cliff, SPACE, True),
        (cliff, SPACE, False),
        (lambda v: -abs(math.log10(v["C"]) - 1), {"C": (1e-5, 1e6)}, False),
    ],
)
def test_the_points_are_those_of_optunas_own_loop(objective, space, multivariate, seed):
    found = tpe(objective, space, 30, seed, multivariate)
    points, best = optunas_own(objective, space, 30, seed, multivariate)
    assert [trial.values for trial in found.trials] == points
    assert found.best == best
    assert found.value == objective(best)


@pytest.mark.parametrize("multivariate", [False, True])
@pytest.mark.parametrize("parallel", [3, 10, 64])
def test_asking_together_changes_no_point(parallel, multivariate):
    sizes = []

    def several(points):
        sizes.append(len(points))
        return [cliff(point) for point in points]

    alone = tpe(cliff, SPACE, 14, 5, multivariate)
    together = tpe_batched(several, SPACE, 14, 5, multivariate, parallel)
    assert [t.values for t in together.trials] == [t.values for t in alone.trials]
    assert together.best == alone.best
    assert sizes == {3: [3, 3, 3, 1], 10: [10], 64: [10]}[parallel] + [1] * 4


def test_fewer_trials_than_random_ones():
    sizes = []
    tpe_batched(lambda points: [sizes.append(len(points)) or 0.0 for _ in points], SPACE, 4, 0, parallel=10)
    assert sizes == [4] * 4


def test_the_search_finds_the_peak_and_stays_in_its_space():
    found = tpe(hill, SPACE, 60, 22, multivariate=True)
    assert found.value > -0.3
    assert all(0.1 <= t.values["lr"] <= 100 and 1e-12 <= t.values["wd"] <= 1e-4 for t in found.trials)
    assert len({t.values["lr"] for t in found.trials}) == 60


def test_the_seed_alone_decides_and_the_order_of_dimensions_does_not():
    first = tpe(hill, SPACE, 15, 1, True)
    assert tpe(hill, dict(reversed(SPACE.items())), 15, 1, True) == first
    assert tpe(hill, SPACE, 15, 2, True).trials[0].values != first.trials[0].values


def test_nan_is_kept_in_the_record_and_never_wins():
    found = tpe(cliff, SPACE, 30, 3, True)
    assert any(math.isnan(trial.value) for trial in found.trials)
    assert found.value == max(trial.value for trial in found.trials if not math.isnan(trial.value))
    assert found.best["lr"] <= 30
    with pytest.raises(RunFailed, match="none of the 12 trials over lr, wd"):
        tpe(lambda _: math.nan, SPACE, 12, 0)


def test_the_first_of_equal_points_wins():
    found = tpe(lambda _: 0.5, SPACE, 12, 0)
    assert found.best == found.trials[0].values


def test_nothing_is_said_and_optunas_settings_stay(capfd):
    optuna.logging.set_verbosity(optuna.logging.INFO)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tpe(hill, SPACE, 12, 0, multivariate=True)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.INFO


@pytest.mark.parametrize(
    ("space", "trials", "message"),
    [
        ({"C": (1.0, 1.0)}, 3, r"C=\[1, 1\].*smaller one first"),
        ({"C": (10.0, 1.0)}, 3, r"C=\[10, 1\]"),
        ({"C": (0.0, 1.0)}, 3, "positive"),
        ({"C": (math.nan, 1.0)}, 3, "C="),
        ({}, 3, "dimensions of the search: found 0"),
        (SPACE, 0, "trials: found 0"),
    ],
)
def test_what_cannot_be_searched_is_said(space, trials, message):
    with pytest.raises(UserError, match=message):
        tpe(lambda _: 0.0, space, trials, 0)
