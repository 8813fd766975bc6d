"""Small caption batches and a language model with random weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from transferbench.models.language import MaskedLanguageModel
from transferbench.text.batch import CaptionBatch

PAD, START, END = 0, 1, 2
Rows = list[list[tuple[int, int, int]]]


def batch(rows: Rows, length: int = 7, labels: Tensor | None = None) -> CaptionBatch:
    """Rows are pieces ``(id, word, concept)``; they are put between start and end, cut and padded."""
    full = [[(START, -1, -1), *row, (END, -1, -1)][:length] for row in rows]
    padded = torch.tensor([row + [(PAD, -1, -1)] * (length - len(row)) for row in full])
    labels = torch.zeros(len(rows), 0) if labels is None else labels
    return CaptionBatch(*padded.unbind(2), labels, torch.arange(len(rows)))


@pytest.fixture
def captions() -> Callable[..., CaptionBatch]:
    return batch


@pytest.fixture
def three() -> CaptionBatch:
    """A caption with two concepts, one with a concept of two pieces, and one with none."""
    return batch(
        [
            [(5, 0, -1), (6, 1, 2), (7, 2, -1), (8, 3, 0)],
            [(9, 0, 4), (10, 0, 4), (11, 1, -1)],
            [(5, 0, -1), (12, 1, -1)],
        ]
    )


@pytest.fixture
def empty() -> CaptionBatch:
    """Two captions without anything to learn from: one of padding alone, one of start and end."""
    nothing = batch([[], []])
    return nothing._replace(tokens=torch.stack([torch.zeros(7, dtype=torch.int64), nothing.tokens[0]]))


@pytest.fixture
def language() -> MaskedLanguageModel:
    return MaskedLanguageModel(20, 16, layers=2, heads=2, length=8)
