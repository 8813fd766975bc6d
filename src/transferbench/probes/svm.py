"""One-against-all linear SVMs on frozen features, as VISSL's benchmark fits them to VOC2007.

The protocol is Goyal et al.'s (arXiv:1905.01235). Costs, weights and solver are those of VISSL's configuration for
VOC2007 and of its trainer: LIBLINEAR's squared hinge with an L2 penalty in the dual, the intercept penalised too, at
most 2,000 iterations at tolerance 1e-4.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from transferbench.errors import UserError
from transferbench.probes.aggregate import mean_and_spread
from transferbench.probes.scores import IGNORE, check_multi_label, mean_average_precision

COSTS = (0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0, 1000.0)
FOLDS = 3
LOW_SHOTS = (1, 2, 4, 8, 16, 32, 64, 96)
"""Positive images a class in the low-shot variant, five draws of each."""

_SHORTEST = 1e-5  # added to the length that a feature is divided by


@dataclass(frozen=True)
class Solver:
    """How one binary SVM is fitted; the defaults are VISSL's."""

    iterations: int = 2000
    positive_weight: float = 2.0
    """The weight of an image of the class against one without it."""
    seed: int = 0
    """Of the order in which LIBLINEAR visits the images (VISSL leaves it to chance)."""

    def fit(self, x: NDArray[np.float64], target: NDArray[np.int64], cost: float) -> tuple[LinearSVC, int]:
        """Fit to ``x`` (N, D) and ``target`` (N,) of 1 and -1; return the model, and 1 if its iterations ran out."""
        model = LinearSVC(
            C=cost,
            class_weight={1: self.positive_weight, -1: 1.0},
            dual=True,
            max_iter=self.iterations,
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, target)
        return model, int(model.n_iter_ >= self.iterations)


@dataclass(frozen=True)
class SVMProbe:
    """One fitted SVM a class."""

    weight: NDArray[np.float64]
    """(C, D)"""
    bias: NDArray[np.float64]
    """(C,)"""
    costs: NDArray[np.float64]
    """(C,) the chosen cost of each class."""
    held_out: NDArray[np.float64]
    """(C, costs) the mean over the folds of the average precision; NaN when there was only one cost."""
    stopped_early: int
    """How many of all fits ended at the limit of iterations."""

    def scores(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Return the signed distances (M, C), up to each class's own scale, of ``x`` (M, D)."""
        return np.asarray(_unit(x) @ self.weight.T + self.bias)


_Part = tuple[NDArray[np.int64], NDArray[Any]]
"""The positions of the images that train one class, and 1 or -1 for each of them."""


class _Fitted(NamedTuple):
    weight: NDArray[np.float64]
    bias: float
    cost: float
    held_out: list[float]
    early: int


def _unit(x: NDArray[Any]) -> NDArray[np.float64]:
    exact = np.asarray(x, dtype=np.float64)
    return np.asarray(exact / (np.linalg.norm(exact, axis=1, keepdims=True) + _SHORTEST))


def _fit_class(
    x: NDArray[np.float64] | Path,
    rows: NDArray[np.int64],
    target: NDArray[np.int64],
    *,
    costs: Sequence[float],
    folds: int,
    solver: Solver,
) -> _Fitted:
    """Choose the cost of one class by cross-validation on ``rows`` of ``x`` (N, D), and fit it to all of them."""
    x = (np.load(x, mmap_mode="r") if isinstance(x, Path) else x)[rows]
    best, early, means = float(costs[0]), 0, [float("nan")] * len(costs)
    if len(costs) > 1:
        for number, cost in enumerate(costs):
            found = []
            for fitted, held in StratifiedKFold(folds).split(x, target):
                model, ran_out = solver.fit(x[fitted], target[fitted], cost)
                found.append(average_precision_score(target[held], model.decision_function(x[held])))
                early += ran_out
            means[number] = float(np.mean(found))
        best = float(costs[int(np.argmax(means))])
    model, ran_out = solver.fit(x, target, best)
    return _Fitted(model.coef_[0], float(model.intercept_[0]), best, means, early + ran_out)


def _shared(fit: partial[_Fitted], x: NDArray[np.float64], parts: list[_Part], workers: int) -> list[_Fitted]:
    """Return what ``fit`` gives for each class, in processes: LIBLINEAR's random numbers are global to one."""
    with TemporaryDirectory() as folder, ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        path = Path(folder) / "x.npy"
        np.save(path, x)
        return [job.result() for job in [pool.submit(fit, path, *part) for part in parts]]


def _targets(labels: NDArray[Any], least: int, difficult_absent: bool) -> list[_Part]:
    """Return for each class which images train it, and how.

    Raises ``UserError`` for a class with fewer than ``least`` images on either side.
    """
    check_multi_label(labels)
    found = []
    for number, column in enumerate(labels.T):
        rows = np.arange(len(column)) if difficult_absent else np.flatnonzero(column != IGNORE)
        target = np.where(column[rows] == 1, 1, -1)
        present = int(np.count_nonzero(target == 1))
        if min(present, len(target) - present) < least:
            raise UserError(
                f"class {number} has {present} training images with it and {len(target) - present} without; "
                f"expected at least {least} of each"
            )
        found.append((rows, target))
    return found


def fit_svm(
    x: NDArray[Any],
    labels: NDArray[Any],
    *,
    costs: Sequence[float] = COSTS,
    folds: int = FOLDS,
    solver: Solver | None = None,
    difficult_absent: bool = True,
    workers: int = 1,
) -> SVMProbe:
    """Fit one linear SVM a class to ``x`` (N, D), at length 1, and ``labels`` (N, C): 1, 0 or -1, ``IGNORE``.

    Each class has the one of ``costs`` with the best average precision over ``folds`` stratified folds (the smallest of
    equal ones), refitted to all images. ``difficult_absent`` trains with an ignored image as one without the class, as
    VISSL's trainer does; otherwise it is left out for that class. Classes are shared among ``workers`` processes, which
    changes nothing else. Raises ``UserError`` for other labels, for costs that are not positive and for a class with
    fewer images on either side than there are folds.
    """
    _check_costs(costs)
    parts = _targets(labels, folds if len(costs) > 1 else 1, difficult_absent)
    scaled, how = _unit(x), solver or Solver()
    fit = partial(_fit_class, costs=costs, folds=folds, solver=how)
    fitted = [fit(scaled, *part) for part in parts] if workers == 1 else _shared(fit, scaled, parts, workers)
    return SVMProbe(
        weight=np.stack([one.weight for one in fitted]),
        bias=np.array([one.bias for one in fitted]),
        costs=np.array([one.cost for one in fitted]),
        held_out=np.array([one.held_out for one in fitted]),
        stopped_early=sum(one.early for one in fitted),
    )


def _check_costs(costs: Sequence[float]) -> None:
    if not costs or min(costs) <= 0:
        raise UserError(f"costs={list(costs)}: expected positive values of C, for example [0.01, 1, 100]")


def draw_low_shots(labels: NDArray[Any], shots: int, generator: np.random.Generator) -> NDArray[Any]:
    """Return ``labels`` (N, C) with all ignored but ``shots`` images with each class and C - 1 times as many without.

    Each class draws its own images, as VISSL's script does. Raises ``UserError`` where a class has fewer.
    """
    check_multi_label(labels)
    drawn = np.full_like(labels, IGNORE, dtype=np.int64)
    for number, column in enumerate(labels.T):
        sides = (("with", column == 1, shots), ("without", np.isin(column, (0, -1)), shots * (labels.shape[1] - 1)))
        for word, members, wanted in sides:
            rows = np.flatnonzero(members)
            if wanted < 1 or len(rows) < wanted:
                raise UserError(f"shots={shots}: class {number} has {len(rows)} images {word} it, {wanted} are drawn")
            chosen = generator.permutation(rows)[:wanted]
            drawn[chosen, number] = np.where(column[chosen] == 1, 1, 0)
    return drawn


@dataclass(frozen=True)
class LowShot:
    """Mean average precision of SVMs that saw a few images a class."""

    costs: tuple[float, ...]
    by_draw: NDArray[np.float64]
    """(draws, costs)"""

    @property
    def best(self) -> tuple[float, float, float]:
        """The cost with the highest mean over draws, that mean, and the population deviation over draws.

        This is the published number. Its cost is chosen on the test images: at one shot there is nothing to choose on.
        """
        column = int(np.argmax(self.by_draw.mean(axis=0)))
        return (self.costs[column], *mean_and_spread(self.by_draw[:, column].tolist()))


def low_shot_svm(
    train: tuple[NDArray[Any], NDArray[Any]],
    test: tuple[NDArray[Any], NDArray[Any]],
    shots: int,
    *,
    draws: int = 5,
    costs: Sequence[float] = COSTS,
    solver: Solver | None = None,
    seed: int = 0,
) -> LowShot:
    """Fit SVMs to ``draws`` draws (``draw_low_shots``) from ``train`` and score them on ``test`` at every cost.

    Both are features (N, D) and labels (N, C) as for ``fit_svm``. Raises ``UserError`` as the two functions do.
    """
    _check_costs(costs)
    found = np.empty((draws, len(costs)))
    for draw, child in enumerate(np.random.SeedSequence(seed).spawn(draws)):
        labels = draw_low_shots(train[1], shots, np.random.default_rng(child))
        used = np.flatnonzero((labels != IGNORE).any(axis=1))
        few = train[0][used], labels[used]
        for number, cost in enumerate(costs):
            probe = fit_svm(*few, costs=[cost], solver=solver, difficult_absent=False)
            found[draw, number] = mean_average_precision(probe.scores(test[0]), test[1])[0]
    return LowShot(tuple(costs), found)
