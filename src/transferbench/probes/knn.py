"""Weighted k nearest neighbours on frozen features (Wu et al., arXiv:1805.01978, section 3.4; as in DINO)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from transferbench.probes.bank import CHUNK, FeatureRows, rows_of

NEIGHBOURS = (10, 20, 100, 200)
"""The numbers of neighbours that DINO's evaluation reports (arXiv:2104.14294)."""
TEMPERATURE = 0.07

_CELLS = 2**23  # similarities held at once: 32 MiB of float32


def _unit(rows: Tensor, device: str | torch.device) -> Tensor:
    return normalize(rows.to(device=device, dtype=torch.float32), dim=1)


def nearest(
    train_x: FeatureRows, test_x: FeatureRows, k: int, device: str | torch.device = "cpu"
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return cosine similarities and rows of the ``k`` nearest of ``train_x`` (N, D) to each row of ``test_x`` (M, D).

    Both results are (M, min(k, N)), nearest first. ``train_x`` is gone through once, some thousand rows at a time, so
    it may be a memory map larger than the memory; ``test_x`` and its neighbours are held on the device.
    """
    queries = _unit(rows_of(test_x, slice(None)), device)
    values = queries.new_empty(len(queries), 0)
    found = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
    for start in range(0, len(train_x), CHUNK):
        bank = _unit(rows_of(train_x, slice(start, start + CHUNK)), device).T
        parts = [_best(block, bank, k) for block in torch.split(queries, max(1, _CELLS // bank.shape[1]))]
        values = torch.cat([values, torch.cat([part[0] for part in parts])], dim=1)
        found = torch.cat([found, torch.cat([part[1] for part in parts]) + start], dim=1)
        if start:
            values, order = values.topk(min(k, values.shape[1]), dim=1)
            found = found.gather(1, order)
    return values.cpu().numpy(), found.cpu().numpy()


def _best(queries: Tensor, bank: Tensor, k: int) -> tuple[Tensor, Tensor]:
    best = (queries @ bank).topk(min(k, bank.shape[1]), dim=1)
    return best.values, best.indices


@dataclass(frozen=True)
class Voters:
    """The nearest training features of some test features, from which every smaller neighbourhood can be read."""

    similarities: NDArray[np.float32]
    """(M, K) cosines, the largest first."""
    labels: NDArray[np.int64]
    """(M, K) the neighbours' labels, as columns of ``classes``."""
    classes: NDArray[np.int64]
    """(C,) the labels that occur in the training set, ascending."""
    bank_size: int
    """How many training features there are."""

    def scores(self, k: int = 20, temperature: float = TEMPERATURE) -> NDArray[np.float64]:
        """Return the votes (M, C) of the ``k`` nearest, columns as in ``classes``; ``k`` is clipped to the bank's size.

        A vote weighs ``exp((cosine - 1) / temperature)``, at most 1: the constant factor changes no comparison. A class
        without a vote has 0. Raises ``ValueError`` when more neighbours are asked for than were searched.
        """
        if min(k, self.bank_size) > self.labels.shape[1]:
            raise ValueError(f"the {self.labels.shape[1]} nearest were searched: k = {k} cannot be read from them")
        labels = torch.from_numpy(self.labels[:, :k])
        weights = torch.exp((torch.from_numpy(self.similarities[:, :k]).double() - 1) / temperature)
        votes = weights.new_zeros((len(labels), len(self.classes)))
        return votes.scatter_add_(1, labels, weights).numpy()

    def predict(self, k: int = 20, temperature: float = TEMPERATURE) -> NDArray[np.int64]:
        """Return the label (M,) with the most votes of the ``k`` nearest, the smallest of equal ones."""
        return np.asarray(self.classes[self.scores(k, temperature).argmax(axis=1)])


def find_voters(
    train_x: FeatureRows,
    train_y: NDArray[np.int64],
    test_x: FeatureRows,
    k: int = max(NEIGHBOURS),
    device: str | torch.device = "cpu",
) -> Voters:
    """Search the ``k`` nearest of ``train_x`` (N, D), ``train_y`` (N,) to each row of ``test_x`` (M, D), once.

    One search for the largest neighbourhood serves all smaller ones: ``find_voters(...).predict(10)``.
    """
    similarities, positions = nearest(train_x, test_x, k, device)
    classes, index = np.unique(train_y, return_inverse=True)
    return Voters(similarities, index[positions], classes, len(train_y))


def knn_predict(
    train_x: FeatureRows,
    train_y: NDArray[np.int64],
    test_x: FeatureRows,
    *,
    k: int = 20,
    temperature: float = TEMPERATURE,
    device: str | torch.device = "cpu",
) -> NDArray[np.int64]:
    """Return the label (M,) that the ``k`` nearest training features vote for.

    A vote weighs ``exp(cosine / temperature)``. ``train_x`` (N, D), ``train_y`` (N,), ``test_x`` (M, D); ``k`` is
    clipped to N. The defaults are DINO's (arXiv:2104.14294, appendix F.1: k = 20, temperature 0.07).
    """
    return find_voters(train_x, train_y, test_x, k, device).predict(k, temperature)
