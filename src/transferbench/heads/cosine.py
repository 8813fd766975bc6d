"""Cosine softmax: learned class weights compared with embeddings by their angle (t-ReX, arXiv:2206.15369, Eq. 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def cosine_logits(embedding: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    """Return ``cos(x, w) / temperature`` as ``(B, C)``, in float32 whatever the autocast.

    A zero row among the ``prototypes`` (C, D) gives the logit 0. In bfloat16 the logits would be off by up to 0.04 at
    temperature 0.1.
    """
    with torch.autocast(embedding.device.type, enabled=False):
        return F.linear(F.normalize(embedding.float(), dim=1), F.normalize(prototypes.float(), dim=1)) / temperature


class CosineClassifier(nn.Module):
    """Learned class weights ``weight (C, D)``; logits are cosines over the temperature.

    Args:
        width: embedding size D.
        classes: number of classes C.
        temperature: of the softmax; 0 or less makes the layer a plain linear one, without bias or normalisation.
    """

    def __init__(self, width: int, classes: int, temperature: float = 0.1) -> None:
        super().__init__()
        self.temperature = temperature
        self.weight = nn.Parameter(nn.Linear(width, classes, bias=False).weight.detach())

    def forward(self, embedding: Tensor) -> Tensor:
        """Return logits ``(B, C)`` of embeddings ``(B, D)``."""
        if self.temperature <= 0:
            return F.linear(embedding, self.weight)
        return cosine_logits(embedding, self.weight, self.temperature)
