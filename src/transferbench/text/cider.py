"""CIDEr-D: how much of a caption's rarer word sequences people wrote too (Vedantam et al., arXiv:1411.5726)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from transferbench.errors import UserError
from transferbench.text.words import is_word, split_words

ORDERS = (1, 2, 3, 4)  # words in a sequence
SIGMA = 6.0  # of the penalty for another length
SCALE = 10.0

Grams: TypeAlias = tuple[str, ...]


class _Weighted(NamedTuple):
    """One caption: its sequences' tf-idf weights by order, their norms, and its length (number of word pairs)."""

    weights: tuple[dict[Grams, float], ...]
    norms: tuple[float, ...]
    length: int


def cider(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return the mean of :func:`cider_of_each`: 0 to 10; papers report it times 10 or 100 (0.94 -> 94)."""
    return float(np.mean(cider_of_each(candidates, references)))


def cider_of_each(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return the CIDEr-D of each image's candidate, ``(N,)``, 0 to 10.

    For n = 1 to 4: the cosine of tf-idf weights of n-grams, the candidate's clipped to the reference's, times a
    Gaussian penalty (sigma 6) for another length; the mean over n and over references, times 10. Document frequencies
    come from the references given, an image counting once. "Length" is the number of bigrams, as in the code everybody
    uses. Punctuation is dropped; words come from ``split_words``, not from the Java tokeniser of the published numbers.

    Args:
        candidates: one caption an image; an empty one scores 0.
        references: the captions people wrote, one or more an image.

    Raises:
        UserError: there are no images, as many candidates as images are not given, or an image has no reference.
    """
    if len(candidates) != len(references) or not candidates:
        raise UserError(f"CIDEr of {len(candidates)} captions for {len(references)} images; expected one for each")
    if empty := [image for image, captions in enumerate(references) if not captions]:
        raise UserError(f"CIDEr: image {empty[0]} (and {len(empty) - 1} others) has no reference caption")
    counted = [[_count(caption) for caption in captions] for captions in references]
    documents = Counter(gram for captions in counted for gram in set().union(*captions))
    rarity = {gram: math.log(len(references)) - math.log(times) for gram, times in documents.items()}
    unseen = math.log(len(references))
    scores = [
        np.mean([_similarity(own, _weigh(other, rarity, unseen)) for other in others])
        for candidate, others in zip(candidates, counted)
        for own in [_weigh(_count(candidate), rarity, unseen)]
    ]
    return SCALE * np.array(scores, dtype=np.float64)


def _count(caption: str) -> Counter[Grams]:
    words = [word for word in split_words(caption) if is_word(word)]
    return Counter(tuple(words[i : i + n]) for n in ORDERS for i in range(len(words) - n + 1))


def _weigh(counts: Mapping[Grams, int], rarity: Mapping[Grams, float], unseen: float) -> _Weighted:
    weights: tuple[dict[Grams, float], ...] = tuple({} for _ in ORDERS)
    length = 0
    for gram, times in counts.items():
        weights[len(gram) - 1][gram] = times * rarity.get(gram, unseen)
        length += times if len(gram) == 2 else 0
    return _Weighted(weights, tuple(math.sqrt(sum(w * w for w in order.values())) for order in weights), length)


def _similarity(own: _Weighted, other: _Weighted) -> float:
    total = 0.0
    for mine, theirs, norm, other_norm in zip(own.weights, other.weights, own.norms, other.norms):
        if norm and other_norm:
            shared = sum(min(weight, theirs[gram]) * theirs[gram] for gram, weight in mine.items() if gram in theirs)
            total += shared / (norm * other_norm)
    return total / len(ORDERS) * math.exp(-((own.length - other.length) ** 2) / (2 * SIGMA**2))
