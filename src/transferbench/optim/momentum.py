"""The momentum encoder: a slow copy of a backbone and projector, averaged over the steps of training."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class MomentumEncoder(nn.Module):
    """Copies of a backbone and a projector whose parameters follow theirs by an exponential moving average.

    Only parameters are averaged: the copies keep batch statistics of their own, which they update in train mode. They
    take no gradient.

    Args:
        backbone: images to features.
        projector: features to embeddings.
        momentum: weight of the old parameters at each update (0.999 in t-ReX, arXiv:2206.15369).
    """

    def __init__(self, backbone: nn.Module, projector: nn.Module, momentum: float = 0.999) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone).requires_grad_(False)
        self.projector = copy.deepcopy(projector).requires_grad_(False)
        self.momentum = momentum

    @torch.no_grad()
    def update(self, backbone: nn.Module, projector: nn.Module) -> None:
        """Move every parameter towards its counterpart: ``slow = momentum * slow + (1 - momentum) * fast``."""
        slow: list[Tensor] = [*self.backbone.parameters(), *self.projector.parameters()]
        fast: list[Tensor] = [*backbone.parameters(), *projector.parameters()]
        torch._foreach_lerp_(slow, fast, 1 - self.momentum)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings ``(B, D)`` of images ``(B, 3, H, W)``."""
        embedding: Tensor = self.projector(self.backbone(images))
        return embedding
