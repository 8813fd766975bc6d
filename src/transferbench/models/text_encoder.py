"""CLIP's text encoder: a causal transformer whose output at the end of a caption stands for all of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError


class QuickGELU(nn.Module):
    """``x * sigmoid(1.702 x)``, the approximation that CLIP's published weights were trained with."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of ``x``."""
        return x * torch.sigmoid(1.702 * x)


class TextEncoder(nn.Module):
    """Turn captions into one vector each (CLIP, arXiv:2103.00020, section 2.4); the defaults are its sizes.

    A token sees itself and those before it. The feature is the output, after a last LayerNorm, at the end token, or at
    the last token of a caption that was cut; a linear layer without a bias projects it.

    Args:
        size: number of tokens of the tokeniser.
        width: of the vectors; a multiple of ``heads``.
        layers: number of pre-norm transformer layers.
        heads: attention heads of each layer.
        length: longest caption, in tokens.
        embedding: width of the projection.
        end: id of the end token.
        pad: id of padding.
        quick_gelu: CLIP's approximation of GELU.
    """

    def __init__(
        self,
        size: int,
        width: int = 512,
        layers: int = 12,
        heads: int = 8,
        length: int = 77,
        embedding: int = 512,
        *,
        end: int = 2,
        pad: int = 0,
        quick_gelu: bool = False,
    ) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"text.width={width}: expected a multiple of text.heads={heads}")
        self.size, self.length, self.embedding, self.end, self.pad = size, length, embedding, end, pad
        self.words = nn.Embedding(size, width)
        self.positions = nn.Parameter(torch.empty(length, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, 0.0, QuickGELU() if quick_gelu else F.gelu, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, embedding, bias=False)
        self._initialise(width, layers)

    def _initialise(self, width: int, layers: int) -> None:
        """Draw matrices from normal distributions: what adds to the residual stream is the narrower the more layers."""
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.01)
        nn.init.normal_(self.projection.weight, std=width**-0.5)
        adding, inner = width**-0.5 * (2 * layers) ** -0.5, (2 * width) ** -0.5
        for name, parameter in self.layers.named_parameters():
            if name.endswith("in_proj_weight"):
                nn.init.normal_(parameter, std=width**-0.5)
            elif name.endswith(("out_proj.weight", "linear2.weight")):
                nn.init.normal_(parameter, std=adding)
            elif name.endswith("linear1.weight"):
                nn.init.normal_(parameter, std=inner)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def last(self, tokens: Tensor) -> Tensor:
        """Return where each caption ends ``(B,)``: at its first end token, else at its last token but padding."""
        place = torch.arange(tokens.shape[1], device=tokens.device)
        ended = tokens == self.end
        held = ((tokens != self.pad) * place).amax(dim=1)
        return torch.where(ended.any(dim=1), ended.int().argmax(dim=1), held)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return features ``(B, embedding)`` of captions ``(B, T)``, not normalised.

        Raises:
            UserError: the captions are longer than the encoder's positions.
        """
        if tokens.shape[1] > self.length:
            raise UserError(f"captions of {tokens.shape[1]} tokens: this text encoder takes {self.length} at most")
        last = self.last(tokens)
        count = int(last.max()) + 1  # nothing looks ahead, so that what follows the longest caption changes nothing
        vectors = self.words(tokens[:, :count]) + self.positions[:count]
        later = torch.ones(count, count, dtype=torch.bool, device=tokens.device).triu(1)
        for layer in self.layers:
            vectors = layer(vectors, src_mask=later, is_causal=True)
        ends = vectors[torch.arange(len(tokens), device=tokens.device), last]
        features: Tensor = self.projection(self.norm(ends))
        return features
