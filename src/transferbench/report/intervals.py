"""Means over seeds with their 95 % t-intervals, and what such an interval says about a claimed effect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["holds", "does not hold", "undecided"]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over ``count`` independent values; ``low`` and ``high`` bound its interval, None for a single value."""

    mean: float
    low: float | None
    high: float | None
    count: int


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of ``values`` (at least one) and ``mean +- t(n - 1, 97.5 %) s / sqrt(n)``, s with n - 1."""
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return Estimate(mean, None, None, count)
    from scipy.special import stdtrit

    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = float(stdtrit(count - 1, 0.5 + CONFIDENCE / 2)) * spread / math.sqrt(count)
    return Estimate(mean, mean - half, mean + half, count)


def verdict(difference: Estimate, threshold: float) -> Verdict:
    """Tell whether an effect of at least ``threshold`` holds.

    It holds when the interval's lower bound reaches the threshold, does not hold when the upper bound stays below it,
    and is undecided between or when there is no interval.
    """
    if difference.low is None or difference.high is None:
        return "undecided"
    if difference.low >= threshold:
        return "holds"
    return "does not hold" if difference.high < threshold else "undecided"
