"""What all classification heads have in common, and the plainest of them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from transferbench.errors import UserError


@runtime_checkable
class Memory(Protocol):
    """A classifier without learned weights, fed with labelled features instead."""

    def push(self, features: Tensor, labels: Tensor) -> None:
        """Take in features ``(N, D)`` of classes ``labels (N,)``."""


class Head(nn.Module):
    """A projector and a classifier: features ``(B, width)`` to logits ``(B, classes)``.

    Args:
        projector: features to embeddings ``(B, D)``.
        classifier: embeddings to logits; when it has ``push`` it is also the head's ``memory``.
        momentum: of the encoder whose embeddings are pushed to the memory; None when the network pushes its own.
    """

    def __init__(self, projector: nn.Module, classifier: nn.Module, momentum: float | None = None) -> None:
        super().__init__()
        if momentum is not None and not 0 <= momentum <= 1:
            raise UserError(f"head.momentum={momentum}: expected a number between 0 and 1")
        self.projector = projector
        self.classifier = classifier
        self.momentum = momentum

    @property
    def memory(self) -> Memory | None:
        """The classifier if it learns from pushed features, else None."""
        return self.classifier if isinstance(self.classifier, Memory) else None

    def forward(self, features: Tensor) -> Tensor:
        """Return logits ``(B, classes)`` of features ``(B, width)``."""
        logits: Tensor = self.classifier(self.projector(features))
        return logits


def linear_head(*, width: int, classes: int) -> Head:
    """Build the ordinary head of a classification network: one linear layer with a bias."""
    return Head(nn.Identity(), nn.Linear(width, classes))
