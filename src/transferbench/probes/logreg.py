"""Multinomial logistic regression on frozen features, its regularisation chosen on held-out training features."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from transferbench.errors import UserError
from transferbench.probes.aggregate import top1
from transferbench.probes.scaling import Norm, Scaling, fit_scaling
from transferbench.probes.splits import holdout_split

Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]

MAX_ITERATIONS = 1000
TOLERANCE = 1e-5  # largest entry of the gradient of the mean loss at which L-BFGS stops; at scikit-learn's own 1e-4 a
# weakly regularised fit to 512 dimensions ended 0.4 % above its optimum and answered 4 % of test images differently


_SMALL = 2**28  # features x classes; below, a product takes milliseconds and BLAS threads that wait for each other on
# a busy machine cost more than they give: 8 s instead of 0.5 s for 2,400 x 512 x 20 on two shared cores


@dataclass(frozen=True)
class LinearProbe:
    """A fitted classifier with the scaling of features that belongs to it."""

    scaling: Scaling
    model: LogisticRegression
    cost: float
    """The chosen C: the weight of the summed loss against half the squared norm of the weights."""
    held_out: dict[float, float]
    """Top-1 on the held-out training features by C; empty when there was only one C."""
    stopped_early: int
    """How many of the fits ended at the limit of iterations."""

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the label (M,) of each row of ``x`` (M, D)."""
        return np.asarray(self.model.predict(self.scaling(x)), dtype=np.int64)


def _fit(model: LogisticRegression, cost: float, x: NDArray[np.float32], y: NDArray[np.int64]) -> int:
    """Fit ``model`` in place, from where it stands, with C = ``cost``; return 1 if it ran out of iterations, else 0."""
    model.set_params(C=cost)
    small = x.size * (int(y.max()) + 1) < _SMALL
    with warnings.catch_warnings(), threadpool_limits(1 if small else None, user_api="blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)
    return int(np.max(model.n_iter_) >= model.max_iter)


def _choose(
    model: LogisticRegression, costs: Sequence[float], norm: Norm, fitted: Labelled, held: Labelled
) -> tuple[dict[float, float], int]:
    """Return top-1 on the ``held`` part by C, and how many of the fits to ``fitted`` ran out of iterations."""
    if not len(held[1]):
        raise UserError(
            "logistic regression chooses C on held-out training images, but every class has a single one; "
            "give one value, for example transfer.costs=[0.01]"
        )
    scaling = fit_scaling(fitted[0], norm)
    fitted_x, held_x = scaling(fitted[0]), scaling(held[0])
    scores, early = {}, 0
    for cost in sorted(costs):  # from strong to weak regularisation: each optimum is a good start for the next
        early += _fit(model, cost, fitted_x, fitted[1])
        scores[cost] = top1(model.predict(held_x), held[1])
    return scores, early


def fit_logreg(
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    *,
    costs: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    holdout: float = 0.2,
    norm: Norm = "standard",
    seed: int = 0,
    max_iterations: int = MAX_ITERATIONS,
    tolerance: float = TOLERANCE,
) -> LinearProbe:
    """Fit L2-regularised multinomial logistic regression (intercept free) to ``x`` (N, D), ``y`` (N,) by L-BFGS.

    C is the one of ``costs`` with the best top-1 on a class-wise held-out part of the training features (``holdout``
    of each class, drawn from ``seed``, the same for every C; the smallest C wins a tie); the classifier is then
    refitted on all of them. ``norm`` says how features are scaled before (see ``fit_scaling``); means and deviations
    come from the features that are fitted, so the held-out part never enters them.
    Not feasible for 1.28 million x 2048 (ImageNet at the paper's scale): scikit-learn's L-BFGS holds all features, and
    copies of them, in memory and goes over them at every iteration, where t-ReX takes SGD.
    Raises ``UserError`` for fewer than two classes, no C, or a C that is not positive.
    """
    if not costs or min(costs) <= 0:
        raise UserError(f"costs={list(costs)}: expected positive values of C, for example [0.001, 0.01, 0.1]")
    if len(np.unique(y)) < 2:
        raise UserError("logistic regression needs training images of at least two classes, found one")
    model = LogisticRegression(max_iter=max_iterations, tol=tolerance, warm_start=True)
    best, scores, early = float(costs[0]), dict[float, float](), 0
    if len(costs) > 1:
        fitted, held = holdout_split(y, holdout, seed)
        scores, early = _choose(model, costs, norm, (x[fitted], y[fitted]), (x[held], y[held]))
        best = max(sorted(scores), key=scores.__getitem__)
    scaling = fit_scaling(x, norm)
    early += _fit(model, best, scaling(x), y)
    return LinearProbe(scaling, model, best, scores, early)
