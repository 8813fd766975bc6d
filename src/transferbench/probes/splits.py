"""Class-wise held-out part of a training set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transferbench.errors import UserError

_ROUNDING = 1e-9  # 0.29 * 100 is 28.999999999999996 in floating point, and 29 images is what was asked for


def holdout_counts(counts: NDArray[np.int64], fraction: float) -> NDArray[np.int64]:
    """Return how many images of each class are held out: ``fraction`` of them rounded down, at least 1, never all.

    Every class follows the same rule whatever the classes before it hold: 20 % of (10, 3, 10) is (2, 1, 2).
    ``counts`` (C,) may hold zeros.
    """
    wanted = np.floor(counts * fraction + _ROUNDING).astype(np.int64)
    spare = np.maximum(counts - 1, 0)
    return np.asarray(np.minimum(np.maximum(wanted, 1), spare))


def holdout_split(
    labels: NDArray[np.int64], fraction: float = 0.2, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sorted positions (into ``labels`` (N,)) of the fitted and of the held-out part, drawn class by class.

    A class with a single image keeps it in the fitted part. Raises ``UserError`` for a fraction outside (0, 1).
    """
    if not 0 < fraction < 1:
        raise UserError(f"holdout={fraction:g}: expected a fraction between 0 and 1, for example holdout=0.2")
    generator = np.random.default_rng(seed)
    classes, counts = np.unique(labels, return_counts=True)
    held = [
        generator.permutation(np.flatnonzero(labels == label))[:count]
        for label, count in zip(classes, holdout_counts(counts.astype(np.int64), fraction))
    ]
    is_held = np.zeros(len(labels), dtype=bool)
    is_held[np.concatenate(held) if held else []] = True
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)
