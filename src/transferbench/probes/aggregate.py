"""From predictions to accuracies, from accuracies to one number, and from seeds to intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit


def top1(predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Return the fraction of ``predicted`` (N,) that equals ``labels`` (N,): a count divided by N."""
    return int(np.count_nonzero(predicted == labels)) / len(labels)


def log_odds(accuracy: float) -> float:
    """Return ``ln(p / (1 - p))`` of an accuracy in (0, 1): 0 for 0.5, about 2.2 for 0.9."""
    return math.log(accuracy / (1 - accuracy))


def mean_log_odds(accuracies: Sequence[float], counts: Sequence[int]) -> tuple[float, int]:
    """Return the mean of the log-odds of ``accuracies`` (fractions) and how many had to be clipped.

    Each accuracy p of n = ``counts`` test images is clipped to [1/2n, 1 - 1/2n], so that 0 and 1 stay finite. Over
    several seeds, average each data set's accuracy first and call this on the averages (as t-ReX does). Raises
    ``ValueError`` when nothing or something of unequal lengths is given.
    """
    if not accuracies:
        raise ValueError("mean_log_odds needs at least one accuracy")
    total, clipped = 0.0, 0
    for accuracy, count in zip(accuracies, counts, strict=True):
        low = 1 / (2 * count)
        inside = min(max(accuracy, low), 1 - low)
        clipped += inside != accuracy
        total += log_odds(inside)
    return total / len(accuracies), clipped


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Return the mean over seeds and the bounds of its interval at ``confidence``, by Student's t with n - 1 degrees.

    One value has no interval: its bounds are minus and plus infinity. Raises ``ValueError`` without any value.
    """
    if not len(values):
        raise ValueError("mean_interval needs at least one value")
    mean = float(np.mean(values))
    if len(values) == 1:
        return mean, -math.inf, math.inf
    quantile = float(stdtrit(len(values) - 1, 0.5 + confidence / 2))
    half = quantile * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean over seeds and the population standard deviation (divided by n), as CoG reports them.

    It describes these seeds and is no interval: ``mean_interval`` says how sure the mean is. Raises ``ValueError``
    without any value.
    """
    if not len(values):
        raise ValueError("mean_and_spread needs at least one value")
    return float(np.mean(values)), float(np.std(values))
