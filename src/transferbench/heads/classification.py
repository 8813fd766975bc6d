"""Classification heads: what all of them have in common, and a factory for each kind."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from transferbench.errors import UserError
from transferbench.heads.class_means import ClassMeans
from transferbench.heads.cosine import CosineClassifier
from transferbench.heads.projector import projector_or_identity
from transferbench.heads.running_means import RunningMeans


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


def cosine_head(
    *,
    width: int,
    classes: int,
    hidden_layers: int | None = 3,
    hidden_width: int = 2048,
    bottleneck: int = 256,
    temperature: float = 0.1,
    normalise_input: bool = True,
) -> Head:
    """Build a projector (none when ``hidden_layers`` is None) and a cosine classifier; see both for the arguments."""
    projector, embedding_width = projector_or_identity(width, hidden_layers, hidden_width, bottleneck, normalise_input)
    return Head(projector, CosineClassifier(embedding_width, classes, temperature))


def class_mean_head(
    *,
    width: int,
    classes: int,
    hidden_layers: int | None = 3,
    hidden_width: int = 2048,
    bottleneck: int = 256,
    temperature: float = 0.1,
    memory: int = 8192,
    momentum: float | None = 0.999,
    normalise_input: bool = True,
) -> Head:
    """Build a projector (none when ``hidden_layers`` is None) and online class means; defaults are those of t-ReX.

    Args:
        width: of the features.
        classes: number of classes.
        hidden_layers: see ``Projector``, like the next two and ``normalise_input``.
        hidden_width: of the projector's hidden layers.
        bottleneck: embedding size.
        temperature: of the softmax over cosines.
        memory: number of features the memory holds.
        momentum: of the encoder that fills the memory; None to fill it with the network's own embeddings.
        normalise_input: l2-normalise the features before the projector.
    """
    projector, embedding_width = projector_or_identity(width, hidden_layers, hidden_width, bottleneck, normalise_input)
    return Head(projector, ClassMeans(embedding_width, classes, size=memory, temperature=temperature), momentum)


def running_mean_head(
    *,
    width: int,
    classes: int,
    hidden_layers: int | None = None,
    hidden_width: int = 2048,
    bottleneck: int = 256,
    decay: float | None = 0.9,
    temperature: float = 1.0,
    normalise_input: bool = False,
) -> Head:
    """Build a nearest-class-mean head on the features themselves, or on a projector when ``hidden_layers`` is a number.

    ``decay`` and ``temperature`` are those of ``RunningMeans``, the others those of ``Projector``.
    """
    projector, embedding_width = projector_or_identity(width, hidden_layers, hidden_width, bottleneck, normalise_input)
    return Head(projector, RunningMeans(embedding_width, classes, decay, temperature))
