"""Means over seeds with their 95 % t-intervals, and what such an interval says about a claimed effect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from transferbench.probes.aggregate import mean_interval

Verdict: TypeAlias = Literal["holds", "does not hold", "undecided"]


@dataclass(frozen=True)
class Estimate:
    """A mean over ``count`` independent values; ``low`` and ``high`` bound its interval, None for a single value."""

    mean: float
    low: float | None
    high: float | None
    count: int


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of ``values`` (at least one) and its 95 % t-interval (``probes.aggregate.mean_interval``)."""
    mean, low, high = mean_interval(values)
    bounded = math.isfinite(low)
    return Estimate(mean, low if bounded else None, high if bounded else None, len(values))


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
