"""One caption as the numbers of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transferbench.text.batch import CaptionBatch
from transferbench.text.tokeniser import Tokeniser
from transferbench.text.vocabulary import ConceptVocabulary
from transferbench.text.words import split_spaced


@dataclass(frozen=True)
class CaptionEncoder:
    """Turn captions into tokens, words and concepts, cut and padded to ``length`` tokens."""

    tokeniser: Tokeniser
    vocabulary: ConceptVocabulary
    length: int

    def __call__(self, caption: str, labels: Tensor, index: int) -> CaptionBatch:
        """Return one row of a ``CaptionBatch``; ``labels`` (C,) and ``index`` are those of its image.

        A caption that is cut loses its end token.
        """
        spaced = split_spaced(caption)
        pieces, words = self.tokeniser.encode_words(spaced)
        concepts = self.vocabulary.find([word.lstrip(" ") for word in spaced])
        tokens = [self.tokeniser.start, *pieces, self.tokeniser.end][: self.length]
        places = [-1, *words, -1][: self.length]
        rest = self.length - len(tokens)
        return CaptionBatch(
            torch.tensor(tokens + [self.tokeniser.pad] * rest),
            torch.tensor(places + [-1] * rest),
            torch.tensor([-1 if place < 0 else concepts[place] for place in places] + [-1] * rest),
            labels,
            torch.tensor(index),
        )
