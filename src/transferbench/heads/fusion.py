"""Two ways to let a hidden word look at an image: ICMLM's ``tfm`` and ``att+fc`` modules (arXiv:2008.01392)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError


class Fused(NamedTuple):
    """What a fusion makes of B images and B hidden words."""

    vector: Tensor
    """(B, width of the fusion): to predict the word from."""
    attention: Tensor | None
    """(B, h, w), the cells of an image sum to 1; None where it was not asked for."""


def places_of(positions: Tensor, maps: Tensor) -> Tensor:
    """Return learned ``positions (1, D, rows, columns)`` for the cells of maps ``(B, C, h, w)``, ``(1, D, h, w)``."""
    if positions.shape[2:] == maps.shape[2:]:
        return positions
    return F.interpolate(positions, maps.shape[2:], mode="bilinear", align_corners=False)


class EncoderLayer(nn.Module):
    """A post-norm transformer encoder layer of which only some outputs may be wanted.

    The names of the weights are those of ``nn.TransformerEncoderLayer``.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.linear1 = nn.Linear(width, inner)
        self.linear2 = nn.Linear(inner, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, queries: Tensor, tokens: Tensor, padding: Tensor, attention: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Return the outputs ``(B, Q, width)`` of ``queries (B, Q, width)``, and if asked where they look.

        ``tokens (B, S, width)`` are all tokens, the queries among them; nothing looks where ``padding (B, S)`` is true.
        The attention ``(B, Q, S)`` is the mean over heads.
        """
        seen, weights = self.self_attn(queries, tokens, tokens, key_padding_mask=padding, need_weights=attention)
        mixed = self.norm1(queries + self.dropout(seen))
        inner = self.linear2(self.dropout(F.gelu(self.linear1(mixed))))
        return self.norm2(mixed + self.dropout(inner)), weights


class TransformerFusion(nn.Module):
    """Self-attention over the cells of an image and the tokens of its caption together (``tfm``).

    Cells are projected to the width of the language model, get learned positions and a LayerNorm, and stand before the
    tokens. The output at the hidden position is the fused vector.

    Args:
        map_width: channels of the maps.
        width: of the language model's vectors; a multiple of ``heads``.
        layers: number of transformer layers.
        heads: attention heads of each.
        inner: hidden width of the feed-forward parts.
        grid: rows and columns of the learned visual positions, interpolated for maps of another size; None for none.
        dropout: of every layer.
    """

    def __init__(
        self,
        map_width: int,
        width: int,
        layers: int,
        heads: int,
        inner: int,
        grid: tuple[int, int] | None,
        dropout: float,
    ) -> None:
        super().__init__()
        if width % heads or layers < 1:
            raise UserError(
                f"head.layers={layers}, head.heads={heads}: expected one layer or more, and heads that divide the "
                f"language model's width, {width}"
            )
        self.width = width
        self.project = nn.Linear(map_width, width)
        self.positions = None if grid is None else nn.Parameter(torch.empty(1, width, *grid))
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(EncoderLayer(width, heads, inner, dropout) for _ in range(layers))
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def cells(self, maps: Tensor) -> Tensor:
        """Return the visual tokens ``(B, h * w, width)`` of maps ``(B, map_width, h, w)``."""
        projected: Tensor = self.project(maps.flatten(2).transpose(1, 2))
        if self.positions is not None:
            projected = projected + places_of(self.positions, maps).flatten(2).transpose(1, 2)
        normed: Tensor = self.norm(projected)
        return normed

    def forward(
        self, maps: Tensor, hidden: Tensor, position: Tensor, padding: Tensor, attention: bool = False
    ) -> Fused:
        """Return the fused vectors of images and their hidden words.

        Args:
            maps: ``(B, map_width, h, w)``.
            hidden: ``(B, T, width)`` vectors of the language model.
            position: ``(B,)`` of the hidden word among the tokens.
            padding: ``(B, T)``, true where nothing may look.
            attention: also return where the hidden position looks in the last layer: the mean over heads, over the
                cells alone.
        """
        visual = self.cells(maps)
        count, rows = visual.shape[1], torch.arange(len(visual), device=maps.device)
        tokens = torch.cat([visual, hidden], dim=1)
        nowhere = torch.cat([padding.new_zeros(len(visual), count), padding], dim=1)
        for layer in self.layers[:-1]:
            tokens, _ = layer(tokens, tokens, nowhere)
        query = tokens[rows, count + position][:, None]
        vector, weights = self.layers[-1](query, tokens, nowhere, attention)
        if weights is None:
            return Fused(vector[:, 0], None)
        over_cells = weights[:, 0, :count].float()
        over_cells = over_cells / over_cells.sum(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
        return Fused(vector[:, 0], over_cells.view(-1, *maps.shape[2:]))


def attend(query: Tensor, keys: Tensor, scale: float) -> Tensor:
    """Return the softmax ``(B, S)`` of scaled dot products of ``query (B, D)`` and ``keys (B, S, D)``, in float32."""
    return torch.softmax(torch.einsum("bd,bsd->bs", query.float(), keys.float()) * scale, dim=1)


class AttentionFusion(nn.Module):
    """One look of the hidden word at the cells of an image (``att+fc``, without its fully connected part).

    The hidden position's vector and the cells are projected to a common width; the softmax of their scaled dot products
    weighs the cells, and the fused vector is the weighted sum of the maps themselves: the word is predicted from what
    the image shows, and the caption only says where to look.

    Args:
        map_width: channels of the maps, and of the fused vector.
        language_width: of the language model's vectors.
        common: width in which words and cells meet.
        normalise: LayerNorm on both before the product.
        temperature: that the products are divided by; None for the square root of ``common``.
    """

    def __init__(
        self, map_width: int, language_width: int, common: int, normalise: bool, temperature: float | None
    ) -> None:
        super().__init__()
        if common < 1 or (temperature is not None and temperature <= 0):
            raise UserError(
                f"head.common={common}, head.temperature={temperature}: expected a width of 1 or more, and a positive "
                "temperature or null"
            )
        self.width = map_width
        self.scale = 1 / (temperature or common**0.5)
        self.query, self.key = (
            nn.Sequential(nn.Linear(inner, common), nn.LayerNorm(common) if normalise else nn.Identity())
            for inner in (language_width, map_width)
        )

    def forward(
        self, maps: Tensor, hidden: Tensor, position: Tensor, padding: Tensor, attention: bool = False
    ) -> Fused:
        """Return the fused vectors; arguments as for ``TransformerFusion.forward``; ``padding`` is not needed."""
        cells = maps.flatten(2).transpose(1, 2)
        word = hidden[torch.arange(len(maps), device=maps.device), position]
        weights = attend(self.query(word), self.key(cells), self.scale)
        vector = torch.einsum("bs,bsc->bc", weights, cells.float())
        return Fused(vector, weights.view(-1, *maps.shape[2:]) if attention else None)
