"""Nearest class mean on frozen features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transferbench.probes.scaling import l2_normalise


def class_means(x: NDArray[np.float32], y: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return each class's mean of l2-normalised rows of ``x`` (N, D), itself at length 1 (C, D), and its label (C,)."""
    labels, index = np.unique(y, return_inverse=True)
    sums = np.zeros((len(labels), x.shape[1]), dtype=np.float32)
    np.add.at(sums, index, l2_normalise(x))  # the sum's direction is the mean's
    return l2_normalise(sums), labels


def ncm_predict(
    train_x: NDArray[np.float32], train_y: NDArray[np.int64], test_x: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Return the label (M,) of the class whose mean direction has the highest cosine with each row of ``test_x``.

    ``train_x`` (N, D), ``train_y`` (N,), ``test_x`` (M, D). Only classes that occur in ``train_y`` can be answered.
    """
    means, labels = class_means(train_x, train_y)
    return np.asarray(labels[np.argmax(test_x @ means.T, axis=1)])
