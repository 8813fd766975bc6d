"""Running class means of the network's own features, compared by Euclidean distance (DeepNCM, Guerriero et al. 2018).

"DeepNCM: Deep Nearest Class Mean Classifiers", ICLR 2018 workshop: the softmax of nearest-class-mean classification
(Mensink et al. 2013) on features that are being learned, with means that are refreshed at every step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transferbench.errors import UserError


class RunningMeans(nn.Module):
    """One mean a class, buffers ``means (C, D)`` and ``counts (C,)``; logits are ``-|x - mean|^2 / temperature``.

    A class that was never seen stands at the origin, and its first batch sets its mean.

    Args:
        width: feature size D.
        classes: number of classes C.
        decay: weight of the old mean when a batch brings new features of its class ("decay mean"); None for the
            mean of all features ever pushed.
        temperature: divides the squared distances; 2 gives the multi-class logistic of Mensink et al. (2013).
    """

    means: Tensor
    counts: Tensor

    def __init__(self, width: int, classes: int, decay: float | None = 0.9, temperature: float = 1.0) -> None:
        super().__init__()
        if decay is not None and not 0 <= decay < 1:
            raise UserError(
                f"head.decay={decay}: expected a number from 0 up to, not including, 1; null for all features"
            )
        if temperature <= 0:
            raise UserError(f"head.temperature={temperature}: expected a positive number for running means")
        self.decay = decay
        self.temperature = temperature
        self.register_buffer("means", torch.zeros(classes, width))
        self.register_buffer("counts", torch.zeros(classes))

    def forward(self, embedding: Tensor) -> Tensor:
        """Return logits ``(B, C)`` of embeddings ``(B, D)``, in float32; no gradient to the means."""
        with torch.autocast(embedding.device.type, enabled=False):
            x, means = embedding.float(), self.means.float().clone()  # push changes the buffer before the backward pass
            squared = x.square().sum(1, keepdim=True) - 2 * x @ means.T + means.square().sum(1)
            return -squared / self.temperature

    @torch.no_grad()
    def push(self, features: Tensor, labels: Tensor) -> None:
        """Move the mean of each class among ``labels (N,)`` towards the mean of its ``features (N, D)``."""
        sums = torch.zeros_like(self.means).index_add_(0, labels, features.to(self.means.dtype))
        new = torch.bincount(labels, minlength=len(self.counts)).to(self.counts.dtype)
        if self.decay is None:
            step = new / (self.counts + new).clamp(min=1)
        else:
            step = torch.where(self.counts > 0, 1 - self.decay, 1.0)
        batch_means = sums / new.clamp(min=1)[:, None]
        self.means.lerp_(batch_means, (step * (new > 0))[:, None])
        self.counts += new
