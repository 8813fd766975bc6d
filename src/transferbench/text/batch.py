"""A batch of captions as numbers: what heads that learn from captions are called with, and what they guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class CaptionBatch(NamedTuple):
    """One caption for each of B images, cut and padded to T tokens."""

    tokens: Tensor
    """(B, T) int64: start, pieces and end, cut to T, then padding."""
    words: Tensor
    """(B, T) int64: index of the word that each token belongs to; -1 for special tokens and padding."""
    concepts: Tensor
    """(B, T) int64: index of that word's concept; -1 for none."""
    labels: Tensor
    """(B, C) float32: 1 for each of C tags that the image carries, else 0; C may be 0."""
    indices: Tensor
    """(B,) int64: index of the image; -1 for a caption without one."""


class WordScores(NamedTuple):
    """What N hidden words are taken for, and where in the image the model looked."""

    logits: Tensor
    """(N, K), from the image and the other words."""
    blind: Tensor | None = None
    """(N, K), from the other words alone; None for a head that has no model of these."""
    attention: Tensor | None = None
    """(N, h, w), the cells of an image sum to 1; None for a head that does not attend to cells."""
