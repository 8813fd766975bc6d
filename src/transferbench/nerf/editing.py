"""Finding a thing by its features and taking it out of a scene, or all else (N3F, arXiv:2209.03494).

Features are compared as unit vectors: distances lie in [0, 2] and are sqrt(2 - 2 cos) of the angle between them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks
from torch import Tensor

from transferbench.errors import UserError

CANONICAL = ("object", "things", "stuff", "texture")
"""The words that a text query has to beat (LERF, arXiv:2303.09553, section 3.4)."""

_BLUR = 1 / 40  # standard deviation of the histogram's smoothing, of its width
_LEAST = 0.02  # a mode stands out by this much of the highest one, at least
_SURE = 4.0  # and by this many standard deviations of its count


class Valley(NamedTuple):
    """A threshold on distances, and whether it lies in a valley between two modes or was found by Otsu's rule."""

    threshold: float
    two_modes: bool


def unit(x: Tensor) -> Tensor:
    """Return ``x`` (..., C) scaled to length 1; a zero vector stays zero."""
    scaled: Tensor = F.normalize(x, dim=-1)
    return scaled


def query_of(feature_map: Tensor, row: int, column: int, size: int) -> Tensor:
    """Return the unit mean (C,) of the features in a patch of ``size`` by ``size`` pixels of a map (H, W, C).

    The patch begins at ``row`` and ``column``, its top left pixel. Raises ``UserError`` when it leaves the map.
    """
    height, width = feature_map.shape[:2]
    if size < 1 or min(row, column) < 0 or row + size > height or column + size > width:
        raise UserError(
            f"the patch of rows {row} to {row + size - 1} and columns {column} to {column + size - 1} does not lie in "
            f"an image of {height} rows and {width} columns: choose size between 1 and {min(height, width)}, row "
            f"between 0 and {height} - size, column between 0 and {width} - size"
        )
    return unit(feature_map[row : row + size, column : column + size].mean(dim=(0, 1)))


def distance(features: Tensor, query: Tensor) -> Tensor:
    """Return the distances (...) in [0, 2] of ``features`` (..., C) from a ``query`` (C,), both scaled to length 1."""
    lengths: Tensor = torch.linalg.vector_norm(unit(features) - unit(query), dim=-1)
    return lengths


def selected(distance: Tensor, threshold: float, mode: Literal["remove", "extract"] = "remove") -> Tensor:
    """Return a mask (...) of the samples that have to go.

    ``"remove"`` takes the thing out: samples nearer to the query than ``threshold``. ``"extract"`` leaves the thing
    alone: all others. Raises ValueError for another mode.
    """
    if mode == "remove":
        return distance < threshold
    if mode == "extract":
        return distance >= threshold
    raise ValueError(f"mode={mode!r}: expected 'remove' or 'extract'")


def erased(density: Tensor, gone: Tensor) -> Tensor:
    """Return ``density`` (...), after its activation, with 0 where the mask ``gone`` (...) is true.

    After the activation, since a softplus makes log 2 of a raw 0; for a ReLU without noise it is the same.
    """
    return density.masked_fill(gone, 0.0)


def valley_threshold(distances: Tensor | NDArray[np.floating], bins: int = 100) -> Valley:
    """Return a threshold in the valley between the two modes of ``distances`` (any shape): the thing's and the rest's.

    The histogram is smoothed; a mode must stand out from its surroundings by 2 % of the highest and by four standard
    deviations of its count, and the two that stand out most are taken. With one mode only, Otsu's threshold is
    returned (IEEE Trans. SMC 9, 1979), and ``two_modes`` is false. Raises ValueError without values or for NaN.
    """
    values = torch.as_tensor(distances).detach().to("cpu", torch.float64).numpy().ravel()
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"valley_threshold: {len(values)} values, some of them not finite or none at all")
    if values.min() == values.max():
        return Valley(float(values[0]), two_modes=False)
    counts, edges = np.histogram(values, bins)
    sigma, margin = max(bins * _BLUR, 1.0), bins // 4  # the margin lets a mode at either end be a peak
    smooth = gaussian_filter1d(np.pad(counts.astype(float), margin), sigma, mode="constant")
    peaks, found = find_peaks(smooth, prominence=_LEAST * smooth.max())
    noise = np.sqrt(smooth[peaks] / (2 * np.sqrt(np.pi) * sigma))  # of a Poisson count under the smoothing
    clear = found["prominences"] >= _SURE * noise
    peaks, prominences = peaks[clear], found["prominences"][clear]
    if len(peaks) < 2:
        return Valley(_otsu(counts, edges), two_modes=False)
    left, right = np.sort(peaks[np.argsort(-prominences, kind="stable")[:2]])
    between = smooth[left : right + 1]
    lowest = np.flatnonzero(between <= between.min() + 1e-9 * smooth.max())
    middle = left + lowest.mean() - margin + 0.5  # of a flat valley the middle, in bins
    return Valley(float(edges[0] + middle * (edges[1] - edges[0])), two_modes=True)


def _otsu(counts: NDArray[np.int64], edges: NDArray[np.float64]) -> float:
    """Return the edge that leaves the largest variance between the means of the two sides."""
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(float)
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)
    difference = sums[:-1] / below - (sums[-1] - sums[:-1]) / above  # the outer bins of a histogram are never empty
    return float(edges[1:-1][np.argmax(below * above * difference**2)])


def relevancy(features: Tensor, query: Tensor, negatives: Tensor, sharpness: float = 10.0) -> Tensor:
    """Return in (0, 1) how much ``features`` (..., C) are like a text's embedding rather than like any other word's.

    The least, over the embeddings ``negatives`` (N, C) of the words of ``CANONICAL``, of the softmax between the
    ``query`` (C,) and that word, of cosine similarities times ``sharpness`` (LERF, arXiv:2303.09553, section 3.4).
    """
    scaled = unit(features)
    best_other = (scaled @ unit(negatives).T).amax(-1)
    return torch.sigmoid(sharpness * (scaled @ unit(query) - best_other))
