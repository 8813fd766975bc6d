"""Which of many belongs to this one? Ranks by similarity, for retrieval and for classes that only have a name."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import normalize

CUTS = (1, 5, 10)
"""Recall is looked at within this many (Karpathy and Fei-Fei, arXiv:1412.2306, section 4.2)."""

_CELLS = 2**21  # similarities held at once: 8 MiB of float32


def ranks(similarity: Tensor, queries: Tensor, keys: Tensor) -> Tensor:
    """Return at which place (Q,), from 1, each query finds the first key that belongs to it.

    Keys are ordered by falling ``similarity`` (Q, K), equally similar ones by index. A key belongs to a query where its
    number in ``keys`` (K,) int64 is the query's in ``queries`` (Q,) int64; several may. So images find their best
    caption with ``queries`` the images' indices and ``keys`` those of the captions' images, captions find their image
    the other way around, and images find their class with ``queries`` their labels and ``keys`` ``range(classes)``.

    Raises:
        ValueError: a query has no key, or a similarity is not a number.
    """
    if similarity.isnan().any():
        raise ValueError("ranks: a similarity is not a number")
    own = queries[:, None] == keys
    if not own.any(dim=1).all():
        raise ValueError(f"ranks: {int((~own.any(dim=1)).sum())} of {len(queries)} queries have no key of their own")
    places = torch.arange(len(keys), device=similarity.device)
    best = similarity.masked_fill(~own, -torch.inf).amax(dim=1, keepdim=True)
    first = torch.where(own & (similarity == best), places, len(keys)).amin(dim=1, keepdim=True)
    before = (similarity > best) | ((similarity == best) & (places < first))
    return 1 + before.sum(dim=1)


def ranks_of_vectors(query_vectors: Tensor, key_vectors: Tensor, queries: Tensor, keys: Tensor) -> Tensor:
    """Return ``ranks`` by the inner products of ``query_vectors`` (Q, E) with ``key_vectors`` (K, E).

    They are never held all at once: 5,000 images and 25,000 captions need some 100 MB. Equal keys are compared once, so
    that they are equally similar also where a matrix product would round them differently.

    Raises:
        ValueError: as ``ranks``.
    """
    distinct, place = torch.unique(key_vectors, dim=0, return_inverse=True)
    rows = max(1, _CELLS // max(1, len(key_vectors)))
    found = torch.empty_like(queries)  # filled in place: small results between large blocks would scatter the memory
    for start in range(0, len(queries), rows):
        block = slice(start, start + rows)
        found[block] = ranks((query_vectors[block] @ distinct.T)[:, place], queries[block], keys)
    return found


def recalls(found: Tensor, cuts: Iterable[int] = CUTS) -> dict[str, float]:
    """Return the fractions of ranks ``found`` (Q,) that are at most 1, 5 and 10, as ``r1``, ``r5`` and ``r10``."""
    return {f"r{cut}": float((found <= cut).double().mean()) for cut in cuts}


def rank_scores(found: Tensor) -> dict[str, float]:
    """Return the recalls of ranks ``found`` (Q,), and their ``median_rank`` and ``mean_rank``.

    The median of an even number of ranks is the mean of the two in the middle.
    """
    places = found.double()
    return recalls(found) | {"median_rank": float(places.quantile(0.5)), "mean_rank": float(places.mean())}


def class_weights(embeddings: Tensor) -> Tensor:
    """Return a direction for each class, columns (E, C) of length 1, from prompts ``embeddings`` (templates, C, E).

    Every prompt counts alike, however long its vector: at length 1 they are averaged over the templates, and the mean
    is brought to length 1 again (CLIP, arXiv:2103.00020, section 3.1.4: the ensemble is one of embeddings, not of
    probabilities).
    """
    return normalize(normalize(embeddings, dim=2).mean(dim=0), dim=1).T
