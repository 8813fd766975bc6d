"""Principal components of features, exact, centred and not whitened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferbench.errors import UserError

Floats = NDArray[np.float64]
Features = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class Pca:
    """A basis of the directions in which features vary most.

    Attributes:
        mean: (C,) of the features.
        components: (d, C) orthonormal rows, by falling variance; the largest number of each, in size, is positive.
        variance: (d,) along each, with N - 1 in the denominator.
        total: variance along all C directions.
    """

    mean: Floats
    components: Floats
    variance: Floats
    total: float

    @property
    def explained(self) -> Floats:
        """Share of the variance along each component, (d,); zeros for features that are all the same."""
        return self.variance / self.total if self.total > 0 else np.zeros_like(self.variance)

    def reduced(self, features: Features) -> NDArray[np.float32]:
        """Return the coordinates (N, d) of features (N, C)."""
        found: NDArray[np.float32] = ((features - self.mean) @ self.components.T).astype(np.float32)
        return found

    def restored(self, coordinates: Features) -> NDArray[np.float32]:
        """Return the features (N, C) nearest to the mean that have these coordinates (N, d)."""
        found: NDArray[np.float32] = (coordinates @ self.components + self.mean).astype(np.float32)
        return found


def fit_pca(parts: Sequence[Features], dimensions: int) -> Pca:
    """Fit the ``dimensions`` largest components to features that come in parts (N_i, C), in float64.

    The covariance's eigenvectors are exact and cost O(C^3), whatever the number of features.

    Raises:
        UserError: more dimensions than channels, or fewer than two features.
    """
    channels, count = parts[0].shape[1], sum(len(part) for part in parts)
    if not 1 <= dimensions <= channels:
        raise UserError(f"dimensions={dimensions}: the features have {channels} channels; expected 1 to {channels}")
    if count < 2:
        raise UserError(f"principal components of {count} features: expected at least 2")
    mean: Floats = np.sum([part.sum(axis=0, dtype=np.float64) for part in parts], axis=0) / count
    covariance = np.zeros((channels, channels))
    for part in parts:
        centred = part - mean
        covariance += centred.T @ centred / (count - 1)
    variance, vectors = np.linalg.eigh(covariance)
    components = vectors.T[::-1][:dimensions]
    largest = components[np.arange(dimensions), np.abs(components).argmax(axis=1)]
    return Pca(
        mean=mean,
        components=components * np.sign(largest)[:, None],
        variance=np.maximum(variance[::-1][:dimensions], 0.0),
        total=float(np.trace(covariance)),
    )
