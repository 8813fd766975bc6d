"""Texts as vectors among those of images, by a head that learned to compare the two (CLIP, arXiv:2103.00020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from transferbench.errors import UserError
from transferbench.text.tokeniser import Tokeniser
from transferbench.text.vocabulary import ConceptVocabulary
from transferbench.text.words import split_words


class Words:
    """Turn texts into vectors of length 1 in the space of a head's features of images.

    Args:
        head: has ``embed_text``, from tokens (B, T) to vectors (B, E) of length 1.
        text: what a checkpoint keeps of its captions: the ``tokeniser`` as JSON, the ``length`` in tokens, and the
            ``vocabulary`` of their concepts.

    Raises:
        UserError: one of these is not there.
    """

    def __init__(self, head: nn.Module, text: Mapping[str, Any]) -> None:
        lacking = [key for key in ("tokeniser", "length", "vocabulary") if key not in text]
        if lacking:
            raise UserError(
                f"this checkpoint holds no {' and no '.join(lacking)}, which reading words needs; "
                "name a run of +experiment=clip"
            )
        self.head: Any = head.eval()
        self.tokeniser, self.length = Tokeniser.from_json(text["tokeniser"]), int(text["length"])
        self.concepts = ConceptVocabulary.from_dict(text["vocabulary"])

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Return the vectors (N, E) of ``texts``, on the CPU; longer ones are cut as captions were in training."""
        device = next(self.head.parameters()).device
        tokens = torch.tensor([self.tokens(text) for text in texts], device=device)
        vectors: Tensor = self.head.embed_text(tokens)
        return vectors.float().cpu()

    def tokens(self, text: str) -> list[int]:
        """Return the ids of a text between start and end, cut and padded; one that is cut loses its end."""
        known = self.tokeniser
        ids = [known.start, *known.encode(text).ids, known.end][: self.length]
        return ids + [known.pad] * (self.length - len(ids))

    def knows(self, text: str) -> bool:
        """Tell whether a word of ``text`` is among the concepts of the captions that the head learned from."""
        return any(place >= 0 for place in self.concepts.find(split_words(text)))
