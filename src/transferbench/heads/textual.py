"""VirTex's textual head: a transformer decoder that reads an image cell by cell (arXiv:2006.06666, section 3)."""

from __future__ import annotations

import copy
import math
import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transferbench.errors import UserError

GRAMMAR = re.compile(r"transdec_(postnorm|prenorm)::L(\d+)_H(\d+)(?:_A(\d+))?(?:_F(\d+))?")
STD, PUBLISHED_WIDTH = 0.02, 1024
"""Of the matrices at the start, in the published head."""


@dataclass(frozen=True)
class TextualShape:
    """The sizes of a textual head."""

    prenorm: bool
    layers: int
    width: int
    heads: int
    inner: int


def parse_shape(name: str) -> TextualShape:
    """Return what ``transdec_postnorm::L1_H1024_A16_F4096`` says: layers, width, attention heads, feed-forward width.

    ``_A`` and ``_F`` may be left out for the paper's rule: a head for every 64 of the width, and four times the width.

    Raises:
        UserError: the name does not follow the grammar, or the heads do not divide the width.
    """
    found = GRAMMAR.fullmatch(name)
    if found is None:
        raise UserError(
            f"head.textual={name}: expected a name like transdec_postnorm::L1_H1024_A16_F4096 (or transdec_prenorm): "
            "layers, width, attention heads, feed-forward width"
        )
    layers, width = int(found[2]), int(found[3])
    heads, inner = int(found[4] or width // 64), int(found[5] or 4 * width)
    if min(layers, width, heads, inner) < 1 or width % heads:
        raise UserError(
            f"head.textual={name}: expected one or more of each, and A heads that divide the width H; without A there "
            "is one for every 64 of the width"
        )
    return TextualShape(found[1] == "prenorm", layers, width, heads, inner)


class CaptionEmbedding(nn.Module):
    """Words plus learned positions, a LayerNorm and dropout; zero behind the end of a caption."""

    def __init__(self, size: int, width: int, length: int, pad: int, dropout: float) -> None:
        super().__init__()
        self.words = nn.Embedding(size, width, padding_idx=pad)
        self.positions = nn.Embedding(length, width)
        self.norm = nn.LayerNorm(width, eps=1e-8)
        self.dropout = nn.Dropout(dropout)
        self.pad = pad

    def forward(self, tokens: Tensor) -> Tensor:
        """Return ``(B, T, width)`` of ids ``(B, T)``."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        embedded: Tensor = self.dropout(self.norm(self.words(tokens) + self.positions(places)))
        return embedded.masked_fill((tokens == self.pad)[:, :, None], 0.0)


class TextualHead(nn.Module):
    """Give every token of a caption logits, from the image and the tokens before it (or all, unless ``causal``).

    The weights start as VirTex's do: matrices from N(0, 0.02) at its width of 1024, the embedding of padding at zero,
    biases as torch draws them. A narrower head starts with N(0, 0.02 sqrt(1024 / width)), so that its layers pass on as
    much of the image and of the words as the published ones. The output layer's matrix is the word embedding.

    Args:
        map_width: channels of the maps.
        size: number of tokens of the tokeniser.
        shape: layers and widths.
        length: longest caption, in tokens.
        pad: id of padding, which VirTex also gives to unknown pieces.
        dropout: of the embedding and every layer.
        causal: whether a token sees only the tokens before it.
    """

    def __init__(
        self,
        map_width: int,
        size: int,
        shape: TextualShape,
        length: int = 30,
        pad: int = 0,
        dropout: float = 0.1,
        causal: bool = True,
    ) -> None:
        super().__init__()
        self.length, self.causal = length, causal
        self.visual_projection = nn.Linear(map_width, shape.width)
        self.embedding = CaptionEmbedding(size, shape.width, length, pad, dropout)
        layer = nn.TransformerDecoderLayer(
            shape.width, shape.heads, shape.inner, dropout, "gelu", batch_first=True, norm_first=shape.prenorm
        )
        last = nn.LayerNorm(shape.width) if shape.prenorm else None
        self.transformer = nn.TransformerDecoder(layer, shape.layers, last)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=STD * math.sqrt(PUBLISHED_WIDTH / shape.width))
        with torch.no_grad():
            self.embedding.words.weight[pad] = 0
        self.output = nn.Linear(shape.width, size)
        self.output.weight = self.embedding.words.weight

    def twin(self) -> TextualHead:
        """Return a head that shares all but its transformer, which starts as a copy of this one's."""
        other = copy.deepcopy(self)
        other.visual_projection, other.embedding, other.output = self.visual_projection, self.embedding, self.output
        return other

    def decode(self, maps: Tensor, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return one vector a token, ``(B, T, width)``; ``output`` makes logits of them.

        Args:
            maps: ``(B, map_width, h, w)``.
            tokens: ``(B, T)`` ids.
            lengths: ``(B,)`` tokens of each caption, 1 or more; nothing looks behind them.

        Raises:
            UserError: the captions are longer than the head's positions.
        """
        count = tokens.shape[1]
        if count > self.length:
            raise UserError(f"captions of {count} tokens: this head takes {self.length} at most; set head.length")
        cells = self.visual_projection(maps.flatten(2).transpose(1, 2))
        place = torch.arange(count, device=tokens.device)
        later = place > place[:, None] if self.causal else None
        behind = place >= lengths[:, None]
        vectors: Tensor = self.transformer(
            self.embedding(tokens), cells, tgt_mask=later, tgt_key_padding_mask=behind, tgt_is_causal=self.causal
        )
        return vectors

    def forward(self, maps: Tensor, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return logits ``(B, T, size)``; arguments as for ``decode``."""
        logits: Tensor = self.output(self.decode(maps, tokens, lengths))
        return logits
