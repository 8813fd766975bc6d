"""Multinomial logistic regression on frozen features, its regularisation chosen on held-out training features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from transferbench.errors import UserError
from transferbench.probes.bank import FeatureRows
from transferbench.probes.regression import Data, Tuning, scaled_blocks
from transferbench.probes.scaling import Norm, Scaling
from transferbench.probes.search import STARTUP, Search, Values, tpe_batched
from transferbench.probes.splits import Short, tuning_parts

MAX_ITERATIONS = 100
TOLERANCE = 1e-6
COST_RANGE = (1e-5, 1e6)
"""Where the published search looks, uniformly in the logarithm."""

_SOUND = (1e-10, 1e10)  # values of C; beyond, float64 cannot tell the penalty from the loss


@dataclass(frozen=True)
class LinearProbe:
    """A fitted classifier with the scaling of features that belongs to it."""

    scaling: Scaling
    classes: NDArray[np.int64]
    """(C,) the label that each row of ``weight`` answers, ascending."""
    weight: NDArray[np.float64]
    """(C, D), of scaled features; summing to zero over the classes."""
    bias: NDArray[np.float64]
    """(C,)"""
    cost: float
    """The chosen C: the weight of the summed loss against half the squared norm of the weights."""
    held_out: dict[float, float]
    """Top-1 on the held-out training features by C; empty when there was only one C."""
    stopped_early: int
    """How many of the fits ended before they were as accurate as asked for."""
    objective: float
    """``C * sum of cross-entropies + |w|^2 / 2`` of the last fit, as scikit-learn minimises it."""
    gap: float
    """About how far above the minimum it may be, relatively."""
    search: Search | None = None
    """The trials that chose C; None when it was given or chosen from a grid."""

    def scores(self, x: FeatureRows) -> NDArray[np.float64]:
        """Return the logits (M, C) of ``x`` (M, D), columns as in ``classes``; their softmax are probabilities."""
        blocks = scaled_blocks(x, np.arange(len(x)), self.scaling, torch.device("cpu"))
        return np.concatenate([block.double().numpy() @ self.weight.T + self.bias for block in blocks(0, len(x))])

    def predict(self, x: FeatureRows) -> NDArray[np.int64]:
        """Return the label (M,) of each row of ``x`` (M, D)."""
        return np.asarray(self.classes[self.scores(x).argmax(axis=1)])


def _final(data: Data, positions: NDArray[np.int64], cost: float, tuning: Tuning | None, **found: Any) -> LinearProbe:
    """Fit to the rows ``positions``, from what ``tuning`` found if its rows are among them."""
    if tuning is not None and tuning.whole and data.norm != "standard":
        scaling, rows, positions = tuning.scaling, tuning.rows, tuning.order
    else:
        scaling = data.scaling(positions)
        rows = data.rows(positions, scaling)
    path = data.path(rows, positions, data.tolerance)
    if tuning is not None and tuning.whole:
        for known, v in tuning.path.known:
            same = rows is tuning.rows
            path.remember(known, v if same else rows.span.coordinates(*tuning.rows.span.classifier(v)))
    solution = data.solve(path, cost)
    weights, intercepts = rows.span.classifier(solution.point.v)
    return LinearProbe(
        scaling=scaling,
        classes=data.classes,
        weight=np.ascontiguousarray(weights.T.cpu().numpy()),
        bias=intercepts.cpu().numpy(),
        cost=cost,
        stopped_early=(tuning.early if tuning is not None else 0) + (not solution.converged),
        objective=solution.value * (2 if len(data.classes) == 2 else 1),
        gap=solution.gap / max(solution.value, np.finfo(np.float64).tiny),
        **found,
    )


def _data(
    x: FeatureRows, y: NDArray[np.int64], norm: Norm, device: str | torch.device, room: int | None, **how: Any
) -> Data:
    if len(x) != len(y):
        raise UserError(f"logistic regression: found {len(x)} feature vectors and {len(y)} labels; expected one each")
    classes, index = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise UserError("logistic regression needs training images of at least two classes, found one")
    return Data(x, index, classes, norm, torch.device(device), room, **how)


def fit_logreg(
    x: FeatureRows,
    y: NDArray[np.int64],
    *,
    costs: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    holdout: float = 0.2,
    norm: Norm = "standard",
    seed: int = 0,
    shots: int | None = None,
    short: Short = "refuse",
    faithful: bool = False,
    device: str | torch.device = "cpu",
    room: int | None = None,
    max_iterations: int = MAX_ITERATIONS,
    tolerance: float = TOLERANCE,
) -> LinearProbe:
    """Fit L2-regularised multinomial logistic regression (intercept free) to ``x`` (N, D), ``y`` (N,), exactly.

    C is the one of ``costs`` with the best top-1 on a class-wise held-out part of the training features (``holdout``
    of each class, drawn from ``seed``, the same for every C; the smallest C wins a tie); the classifier is then
    refitted on all of them. ``norm`` says how features are scaled before (see ``fit_scaling``); means and deviations
    come from the features that are fitted, so the held-out part never enters them. With ``shots``, both fits see that
    many images a class (``tuning_parts``, which also says what ``short`` and ``faithful`` do).

    The last fit's objective is within ``tolerance`` of its minimum, compared with the minimum itself and with what that
    is below the best intercepts' alone, and within ten times that while C is chosen; a fit that needs more than
    ``max_iterations`` steps of Newton's method is counted in ``stopped_early``. Features are held on ``device`` if they
    and what is derived from them take at most ``room`` bytes (None: what it has to spare); else they stay where they
    are, in a file perhaps, and are read at every pass.
    Raises ``UserError`` for features that are not finite, fewer than two classes, and no C or one that makes no sense.
    """
    if not costs or not all(_SOUND[0] <= cost <= _SOUND[1] for cost in costs):
        raise UserError(
            f"costs={list(costs)}: expected positive values of C, from {_SOUND[0]:g} to {_SOUND[1]:g}, "
            "for example [0.001, 0.01, 0.1]"
        )
    data = _data(x, y, norm, device, room, steps=max_iterations, tolerance=tolerance)
    parts = tuning_parts(y, holdout, seed, shots=shots, faithful=faithful, short=short)
    if len(costs) == 1:
        return _final(data, parts.final, float(costs[0]), None, held_out={})
    tuning = Tuning(data, parts)
    held_out = {float(cost): tuning.accuracy(float(cost)) for cost in sorted(costs)}
    return _final(data, parts.final, max(held_out, key=held_out.__getitem__), tuning, held_out=held_out)


def search_logreg(
    x: FeatureRows,
    y: NDArray[np.int64],
    *,
    trials: int = 30,
    cost_range: tuple[float, float] = COST_RANGE,
    holdout: float = 0.2,
    norm: Norm = "none",
    seed: int = 0,
    shots: int | None = None,
    short: Short = "refuse",
    faithful: bool = False,
    device: str | torch.device = "cpu",
    room: int | None = None,
    max_iterations: int = MAX_ITERATIONS,
    tolerance: float = TOLERANCE,
) -> LinearProbe:
    """Fit what ``fit_logreg`` does, with C found by TPE: the protocol of t-ReX's small sets (arXiv:2206.15369).

    ``trials`` values of C from ``cost_range``, uniform in the logarithm, are fitted to one part of the images and
    valued by top-1 on the other; the best, of equal ones the first, is fitted to all. The first 10, which no other
    decides, are fitted in ascending order, each from the last. All else is as in ``fit_logreg``.
    Raises ``UserError`` as it does, and for a range or a number of trials that makes no sense.
    """
    if not all(_SOUND[0] <= cost <= _SOUND[1] for cost in cost_range):
        raise UserError(
            f"cost_range={list(cost_range)}: expected two values of C, from {_SOUND[0]:g} to {_SOUND[1]:g}, "
            "for example [1e-5, 1e6]"
        )
    data = _data(x, y, norm, device, room, steps=max_iterations, tolerance=tolerance)
    parts = tuning_parts(y, holdout, seed, shots=shots, faithful=faithful, short=short)
    tuning = Tuning(data, parts)

    def accuracies(points: Sequence[Values]) -> list[float]:
        found = {cost: tuning.accuracy(cost) for cost in sorted(point["cost"] for point in points)}
        return [found[point["cost"]] for point in points]

    search = tpe_batched(accuracies, {"cost": cost_range}, trials, seed, parallel=STARTUP)
    held_out = {trial.values["cost"]: trial.value for trial in search.trials}
    return _final(data, parts.final, search.best["cost"], tuning, held_out=held_out, search=search)
