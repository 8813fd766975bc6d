"""Scores of hidden words, by hand, for heads that fill gaps and for heads that judge whole captions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from transferbench.tasks.word_guesses import Gaps, score
from transferbench.text.batch import WordScores

PIECES = torch.tensor([[7, -1], [8, 9], [10, -1]])
"""Three forms: two of the concept 0, one of the concept 1."""
FORMS = torch.tensor([0, 0, 1])


class Judge:
    """Likes the tokens of a caption as much as the first value of its map says."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def caption_scores(self, maps: Tensor, tokens: Tensor) -> Tensor:
        self.seen.append(tokens)
        return maps[:, 0, 0, 0] * tokens.sum(1)


class Filler:
    """Gives every piece its own id as a logit, times the first value of the map."""

    def __init__(self, output: str) -> None:
        self.output = output

    def word_scores(self, maps: Tensor, tokens: Tensor, position: Tensor) -> WordScores:
        logits = maps[:, 0, 0, :1] * torch.arange(12.0)
        return WordScores(logits, blind=-logits)


def gaps() -> Gaps:
    tokens = torch.tensor([[1, 3, 5, 2, 0], [1, 4, 3, 3, 2]])
    return Gaps(tokens, torch.tensor([1, 2]), torch.tensor([1, 2]), PIECES, FORMS, 0)


def maps(*values: float) -> Tensor:
    return torch.tensor(values)[:, None, None, None].expand(-1, 2, 1, 1).clone()


def test_whole_captions_are_judged_with_every_form_in_the_gap() -> None:
    judge: Any = Judge()
    found = score(judge, maps(1.0, -1.0), gaps())
    assert torch.cat(judge.seen).tolist() == [
        [1, 7, 5, 2, 0],
        [1, 8, 9, 5, 2],
        [1, 10, 5, 2, 0],
        [1, 4, 7, 2, 0],
        [1, 4, 8, 9, 2],
        [1, 4, 10, 2, 0],
    ]
    assert found.logits.tolist() == [[25.0, 18.0], [-14.0, -17.0]]
    assert found.blind is None and found.attention is None


def test_a_concept_of_pieces_has_the_logit_of_the_best_first_piece() -> None:
    found = score(Filler("pieces"), maps(1.0, -1.0), gaps())
    assert found.logits.tolist() == [[8.0, 10.0], [-7.0, -10.0]]
    assert found.blind is not None and found.blind.tolist() == [[-7.0, -10.0], [8.0, 10.0]]


def test_logits_of_concepts_are_taken_as_they_are() -> None:
    assert score(Filler("concepts"), maps(1.0, -1.0), gaps()).logits.shape == (2, 12)
