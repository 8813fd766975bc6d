"""Tag prediction: which words, labels or clusters go with an image, from its average-pooled map alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.text.batch import CaptionBatch

LOSSES = ("bce", "softmax")
SOURCES = ("concepts", "labels", "clusters", "tokens")
SPECIAL = (0, 1, 2, 3)
"""Padding, start, end and mask of VirTex's tokeniser: never targets."""


def multi_hot(ids: Tensor, classes: int, ignored: Sequence[int] = ()) -> Tensor:
    """Return ``(B, classes)``, 1 for each id in a row of ``ids (B, T)`` but the ``ignored`` and the negative ones."""
    hot = torch.zeros(len(ids), classes + 1, device=ids.device)
    hot = hot.scatter(1, ids.clamp(min=-1) + 1, 1.0)[:, 1:]
    hot[:, list(ignored)] = 0
    return hot


def _mean_over_tagged(losses: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of ``losses (B,)`` over rows of ``targets (B, K)`` with a tag; 0, with a graph, without any."""
    tagged = (targets > 0).any(dim=1)
    return (losses * tagged).sum() / tagged.sum().clamp(min=1)


def bce_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the binary cross entropy of ``logits`` with ``targets (B, K)``: the mean over tags, then tagged rows."""
    losses = F.binary_cross_entropy_with_logits(logits.float(), targets, reduction="none").mean(dim=1)
    return _mean_over_tagged(losses, targets)


def softmax_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the K-hot softmax loss (VirTex, arXiv:2006.06666): minus the mean log-probability of a row's tags.

    ``logits`` and ``targets`` are ``(B, K)``. Rows without a tag are left out of the mean over rows.
    """
    told = (targets * F.log_softmax(logits.float(), dim=1)).sum(dim=1)
    return _mean_over_tagged(-told / targets.sum(dim=1).clamp(min=torch.finfo(torch.float32).eps), targets)


class TagHead(nn.Module):
    """A linear classifier of average-pooled maps, against several tags an image.

    Args:
        width: channels of the maps.
        classes: number of tags.
        loss: ``bce``, a binary decision a tag, or ``softmax``, one distribution that the tags of an image share.
        source: where tags come from: the ``concepts`` or the ``tokens`` of the caption, the ``labels`` of the image, or
            its cluster (``clusters``: ``labels`` with a single 1, or with the weights of a soft assignment).
        ignored: tags that are never targets.
        name: of the loss.
    """

    def __init__(
        self, width: int, classes: int, loss: str, source: str, ignored: Sequence[int] = (), name: str = "tags"
    ) -> None:
        super().__init__()
        if loss not in LOSSES or source not in SOURCES:
            raise UserError(
                f"head.loss={loss}, head.source={source}: expected one of {', '.join(LOSSES)}, and one of "
                f"{', '.join(SOURCES)}"
            )
        self.classes, self.source, self.name = classes, source, name
        self.ignored = tuple(ignored)
        self.loss = bce_loss if loss == "bce" else softmax_loss
        self.classifier = nn.Linear(width, classes)

    def targets(self, text: CaptionBatch) -> Tensor:
        """Return the tags of a batch, ``(B, classes)``.

        Raises:
            UserError: the images carry another number of labels than the head has outputs.
        """
        if self.source in ("concepts", "tokens"):
            return multi_hot(getattr(text, self.source), self.classes, self.ignored)
        background = self.classes - text.labels.shape[1]
        if background != len(self.ignored):
            raise UserError(
                f"the head predicts {self.classes - len(self.ignored)} tags, but the images carry "
                f"{text.labels.shape[1]} labels each; give data with labels, or a head for the concepts of the captions"
            )
        return F.pad(text.labels, (background, 0)).float()

    def scores(self, maps: Tensor) -> Tensor:
        """Return logits ``(B, classes)`` of maps ``(B, width, h, w)``."""
        logits: Tensor = self.classifier(maps.mean(dim=(2, 3)))
        return logits

    def forward(self, maps: Tensor, text: CaptionBatch) -> dict[str, Tensor]:
        """Return the loss by its name; images without a tag are left out, and a batch of them gives 0."""
        return {self.name: self.loss(self.scores(maps), self.targets(text))}


def tag_head(*, width: int, classes: int, loss: str = "bce", source: str = "concepts") -> TagHead:
    """Build the tag prediction of ICMLM (arXiv:2008.01392); arguments as for ``TagHead``.

    ``source=concepts`` is its TP_Postag, ``labels`` its TP_Label, ``clusters`` its TP_Cluster. The loss is a choice:
    the paper's could not be read; ``bce`` with one label an image, as of clusters, makes ``softmax`` the usual one.
    """
    return TagHead(width, classes, loss, source)


def token_classification(
    *, width: int, classes: int, loss: str = "softmax", special: Sequence[int] = SPECIAL
) -> TagHead:
    """Build VirTex's token classification: the set of a caption's tokens (arXiv:2006.06666, section 4.2).

    Args:
        width: channels of the maps.
        classes: number of tokens of the tokeniser.
        loss: see ``TagHead``.
        special: ids that are never targets.
    """
    return TagHead(width, classes, loss, "tokens", special, "classification")


def multilabel_classification(*, width: int, classes: int, loss: str = "softmax") -> TagHead:
    """Build VirTex's multi-label classification: the categories of an image's objects (arXiv:2006.06666, section 4.2).

    ``classes`` labels are outputs 1 to ``classes``; output 0, the background, is never a target.
    """
    return TagHead(width, classes + 1, loss, "labels", (0,), "classification")
