"""Weighted k nearest neighbours on frozen features (Wu et al., arXiv:1805.01978, section 3.4; as in DINO)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

_CELLS = 2**24  # similarities held at once: 64 MiB of float32


def nearest(
    train_x: NDArray[np.float32], test_x: NDArray[np.float32], k: int, device: str | torch.device = "cpu"
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return cosine similarities and rows of the ``k`` nearest of ``train_x`` (N, D) to each row of ``test_x`` (M, D).

    Both results are (M, min(k, N)), nearest first. The similarities are computed for some rows of ``test_x`` at a time.
    """
    bank = normalize(torch.as_tensor(train_x, dtype=torch.float32, device=device), dim=1).T
    k = min(k, bank.shape[1])
    rows = max(1, _CELLS // max(1, bank.shape[1]))
    similarities, positions = [], []
    for queries in torch.split(torch.as_tensor(test_x, dtype=torch.float32), rows):
        best = (normalize(queries.to(device), dim=1) @ bank).topk(k, dim=1)
        similarities.append(best.values.cpu())
        positions.append(best.indices.cpu())
    return torch.cat(similarities).numpy(), torch.cat(positions).numpy()


def _votes(similarities: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Sum ``exp(similarity / temperature)`` (M, k) over the ``labels`` (M, k) of the neighbours: (M, C)."""
    weights = torch.exp((similarities - 1) / temperature)  # at most 1: the constant factor changes no comparison
    votes = weights.new_zeros((len(labels), int(labels.max()) + 1))
    return votes.scatter_add_(1, labels, weights)


def knn_predict(
    train_x: NDArray[np.float32],
    train_y: NDArray[np.int64],
    test_x: NDArray[np.float32],
    *,
    k: int = 20,
    temperature: float = 0.07,
    device: str | torch.device = "cpu",
) -> NDArray[np.int64]:
    """Return the label (M,) that the ``k`` nearest training features vote for.

    A vote weighs ``exp(cosine / temperature)``. ``train_x`` (N, D), ``train_y`` (N,), ``test_x`` (M, D); ``k`` is
    clipped to N. The defaults are DINO's (arXiv:2104.14294, appendix F.1: k = 20, temperature 0.07).
    """
    similarities, positions = nearest(train_x, test_x, k, device)
    labels = torch.as_tensor(train_y, dtype=torch.int64)[torch.as_tensor(positions)]
    return _votes(torch.as_tensor(similarities, dtype=torch.float64), labels, temperature).argmax(dim=1).numpy()
