"""Several linear classifiers trained side by side, by plain arithmetic instead of automatic differentiation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


class Heads:
    """T linear classifiers with biases that see the same batches, each with its own learning rate and weight decay.

    Side by side they are one matrix product, (B, D) by (D, T C). All start from the same weights, torch's own
    initialisation of a linear layer.
    """

    def __init__(
        self,
        points: Sequence[Mapping[str, float]],
        classes: int,
        width: int,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        bound = 1 / math.sqrt(width)
        start = torch.empty(classes, width).uniform_(-bound, bound, generator=generator).to(device)
        offset = torch.empty(classes).uniform_(-bound, bound, generator=generator).to(device)
        self.weight = start.repeat(len(points), 1, 1)  # (T, C, D)
        self.bias = offset.repeat(len(points), 1)  # (T, C)
        self.momenta = torch.zeros_like(self.weight), torch.zeros_like(self.bias)
        self.lr, self.decay = (
            torch.tensor([point[name] for point in points], device=device).view(-1, 1, 1)
            for name in ("lr", "weight_decay")
        )

    def logits(self, rows: Tensor) -> Tensor:
        """Return (B, T, C) for ``rows`` (B, D)."""
        flat = torch.addmm(self.bias.flatten(), rows, self.weight.flatten(0, 1).T)
        return flat.view(len(rows), *self.bias.shape)

    def step(self, rows: Tensor, labels: Tensor, factor: float, momentum: float) -> None:
        """Take one step of SGD on the mean cross-entropy of ``rows`` (B, D), at ``factor`` times the learning rate."""
        slope = torch.softmax(self.logits(rows), dim=2)
        answers = labels[:, None, None].expand(-1, slope.shape[1], 1)
        slope.scatter_add_(2, answers, slope.new_full((1, 1, 1), -1.0).expand(answers.shape))
        slope /= len(rows)
        gradients = (slope.flatten(1).T @ rows).view_as(self.weight), slope.sum(dim=0)
        sides = ((self.lr, self.decay), (self.lr[:, 0], self.decay[:, 0]))
        for value, gradient, speed, (lr, decay) in zip((self.weight, self.bias), gradients, self.momenta, sides):
            speed.mul_(momentum).add_(gradient.addcmul_(value, decay))  # the bias decays too, as published
            value.addcmul_(speed, lr, value=-factor)

    def sound(self) -> Tensor:
        """Say of each classifier (T,) whether all of its numbers are finite."""
        return self.weight.isfinite().all(dim=2).all(dim=1) & self.bias.isfinite().all(dim=1)
