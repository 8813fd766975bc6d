"""Nearest class mean on frozen features, by angle."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from transferbench.probes.bank import Bank, FeatureRows
from transferbench.probes.scaling import l2_normalise


class ClassMeans(NamedTuple):
    """A direction for each class."""

    means: NDArray[np.float32]
    """(C, D), rows of length 1."""
    classes: NDArray[np.int64]
    """(C,) their labels, ascending."""

    def scores(self, x: FeatureRows) -> NDArray[np.float32]:
        """Return the cosine (M, C) of each row of ``x`` (M, D) with each mean, columns as in ``classes``."""
        bank, means = Bank(x, room=0), torch.from_numpy(self.means).T
        return np.concatenate([(rows @ means).numpy() for rows, _ in bank.in_order(torch.arange(bank.count))])

    def predict(self, x: FeatureRows) -> NDArray[np.int64]:
        """Return the label (M,) of the highest cosine, the smallest of equal ones."""
        return np.asarray(self.classes[self.scores(x).argmax(axis=1)])


def class_means(x: FeatureRows, y: NDArray[np.int64]) -> ClassMeans:
    """Return each class's mean of l2-normalised rows of ``x`` (N, D), itself at length 1, and its label.

    ``x`` is gone through once, some thousand rows at a time, on the CPU, in float64.
    """
    classes, index = np.unique(y, return_inverse=True)
    bank, labels = Bank(x, room=0), torch.from_numpy(index)
    sums = torch.zeros(len(classes), bank.width, dtype=torch.float64)
    for rows, where in bank.in_order(torch.arange(bank.count)):
        sums.index_add_(0, labels[where], rows.double())  # the sum's direction is the mean's
    return ClassMeans(l2_normalise(sums.numpy()), classes)


def ncm_predict(train_x: FeatureRows, train_y: NDArray[np.int64], test_x: FeatureRows) -> NDArray[np.int64]:
    """Return the label (M,) of the class whose mean direction has the highest cosine with each row of ``test_x``.

    ``train_x`` (N, D), ``train_y`` (N,), ``test_x`` (M, D). Only classes that occur in ``train_y`` can be answered.
    """
    return class_means(train_x, train_y).predict(test_x)
