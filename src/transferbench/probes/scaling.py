"""What is done to frozen features before a linear classifier sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from transferbench.errors import UserError

Norm = Literal["none", "l2", "standard"]
SMALLEST_STD = 1e-5  # a feature that is constant over the training part is divided by this, as t-ReX's evaluation does


def l2_normalise(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows of ``x`` (N, D) at length 1; a row of zeros stays zero."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.maximum(length, np.finfo(np.float32).tiny), dtype=np.float32)


@dataclass(frozen=True)
class Standard:
    """Subtract ``mean`` (D,) and divide by ``std`` (D,), both taken from training features."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``x`` (N, D) scaled."""
        return np.asarray((x - self.mean) / self.std, dtype=np.float32)


Scaling = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def _unchanged(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return x.astype(np.float32, copy=False)


def fit_scaling(x: NDArray[np.float32], norm: Norm = "standard") -> Scaling:
    """Return the function that scales features as ``norm`` says, fitted on the training features ``x`` (N, D).

    ``none`` leaves them, ``l2`` brings each row to length 1, ``standard`` gives each dimension mean 0 and (population)
    standard deviation 1 over ``x``, the deviation clipped from below at 1e-5. Raises ``UserError`` for another word.
    """
    if norm == "none":
        return _unchanged
    if norm == "l2":
        return l2_normalise
    if norm == "standard":
        mean, std = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        return Standard(mean.astype(np.float32), np.maximum(std, SMALLEST_STD).astype(np.float32))
    raise UserError(f"norm={norm}: no such scaling of features; expected one of {', '.join(get_args(Norm))}")
