"""Retrieval ranks, and class vectors from several prompts (CLIP, arXiv:2103.00020)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def recall(similarity: Tensor, owner: Tensor, k: int, *, transposed: bool = False) -> float:
    """Return the share of queries with a right answer among their ``k`` nearest; ties are broken by index.

    Args:
        similarity: (queries, answers).
        owner: (answers,), the query that each answer belongs to; with ``transposed`` (queries,), the one right answer
            of each query.
        k: how many answers count.
        transposed: see ``owner``.
    """
    nearest = similarity.sort(dim=1, descending=True, stable=True).indices[:, :k]
    found = nearest == owner[:, None] if transposed else owner[nearest] == torch.arange(len(nearest))[:, None]
    return float(found.any(1).float().mean())


def class_columns(prompts: Tensor, classes: int) -> Tensor:
    """Return one unit column a class, (D, classes), from normalised prompts (classes * P, D), class-major.

    The prompts of a class are averaged, then normalised again: the ensemble stands in the space of embeddings.
    """
    each = F.normalize(prompts, dim=1).reshape(classes, -1, prompts.shape[1])
    return F.normalize(each.mean(1), dim=1).T
