"""What predictions are worth: top-k, accuracy by class and by how common a class is, and average precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferbench.errors import UserError

IGNORE = 255
"""The label of an object that is neither counted as present nor as absent: VOC's *difficult*."""

FEW, MANY = 20, 100
"""A class with fewer than 20 training images is few-shot, one with more than 100 many-shot (Liu et al., 2019)."""


def top_k(scores: NDArray[Any], labels: NDArray[np.int64], classes: NDArray[np.int64], k: int = 5) -> float:
    """Return the fraction of rows of ``scores`` (M, C) in which the right class is among the ``k`` highest.

    Column j is the score of the label ``classes[j]`` (ascending); a label of ``labels`` (M,) that has no column is
    never right. A tie counts against: the right class needs fewer than ``k`` others that score as high, so that classes
    without any vote do not fill up the ``k``. Raises ``ValueError`` for a score that is not a number.
    """
    if np.isnan(scores).any():
        raise ValueError("top_k: a score is not a number")
    column = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    known = classes[column] == labels
    own = np.take_along_axis(scores, column[:, None], axis=1)
    others = (scores >= own).sum(axis=1) - 1
    return int(np.count_nonzero(known & (others < k))) / len(labels)


def class_accuracies(
    predicted: NDArray[np.int64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the labels that occur in ``labels`` (M,), ascending (C,), and the share of each that was found (C,)."""
    classes, index = np.unique(labels, return_inverse=True)
    hits = np.bincount(index, weights=predicted == labels, minlength=len(classes))
    return classes, hits / np.bincount(index, minlength=len(classes))


def mean_per_class(predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Return the mean over the classes of ``labels`` (M,) of the share of each that was found: classes weigh alike."""
    return float(class_accuracies(predicted, labels)[1].mean())


def by_frequency(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], train_labels: NDArray[np.int64]
) -> dict[str, float]:
    """Return the mean class accuracy over the classes with ``many`` training images, ``medium`` many and ``few``.

    Many are more than 100, few are fewer than 20 (Liu et al., arXiv:1904.05160); a class of which ``train_labels`` (N,)
    holds nothing is among the few. A group that no class of ``labels`` (M,) belongs to is left out.
    """
    classes, accuracies = class_accuracies(predicted, labels)
    ascending = np.sort(train_labels)
    counts = np.searchsorted(ascending, classes, "right") - np.searchsorted(ascending, classes, "left")
    groups = {"many": counts > MANY, "medium": (counts <= MANY) & (counts >= FEW), "few": counts < FEW}
    return {name: float(accuracies[group].mean()) for name, group in groups.items() if group.any()}


def average_precision(scores: NDArray[Any], present: NDArray[np.bool_], *, eleven_points: bool = False) -> float:
    """Return the average precision of a ranking by ``scores`` (M,), where ``present`` (M,) is true for what is sought.

    Precision at a recall is the best one at that recall or any higher: the area below that envelope, as in VOC2010 and
    after, and in VISSL's evaluation on VOC2007. ``eleven_points`` gives VOC2007's own measure, the envelope's mean at
    recalls 0, 0.1, ..., 1 (Everingham et al., IJCV 2010). Rows with equal scores share one point of the curve, so their
    order in the set is of no account. NaN when nothing is sought.
    """
    total = int(np.count_nonzero(present))
    if not total:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # the last row of each group of equal scores
    hits = np.cumsum(present[order])[last]
    precision = hits / (np.flatnonzero(last) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if eleven_points:
        # recall >= tenth / 10 in whole numbers: the first point of the curve that reaches it
        reached = [int(np.searchsorted(hits * 10, tenth * total)) for tenth in range(11)]
        return float(np.mean(envelope[reached]))
    return float(np.sum(np.diff(hits, prepend=0) * envelope) / total)


def check_multi_label(labels: NDArray[Any]) -> None:
    """Raise ``UserError`` unless ``labels`` (N, C) holds 1 (present), 0 or -1 (absent) and ``IGNORE`` alone."""
    other = np.setdiff1d(labels, [1, 0, -1, IGNORE])
    if labels.ndim != 2 or len(other):
        raise UserError(
            f"multi-label targets of shape {labels.shape} with the values {np.unique(labels)[:8].tolist()}: expected "
            f"(images, classes) with 1 for present, 0 or -1 for absent and {IGNORE} for what is not to be counted"
        )


def mean_average_precision(
    scores: NDArray[Any], labels: NDArray[Any], *, eleven_points: bool = False
) -> tuple[float, NDArray[np.float64]]:
    """Return the mean over classes of the average precision, and that of each class (C,).

    ``scores`` and ``labels`` are (M, C); a label is 1 for present, 0 or -1 for absent, and ``IGNORE`` for an image that
    does not count for that class. (VOC's own files write difficult as 0 and absent as -1: 0 has to be translated.) A
    class that is present nowhere is NaN and left out of the mean. Raises ``UserError`` for other labels.
    """
    check_multi_label(labels)
    found = np.array(
        [
            average_precision(scores[counts, j], labels[counts, j] == 1, eleven_points=eleven_points)
            for j, counts in enumerate((labels != IGNORE).T)
        ]
    )
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan"), found
