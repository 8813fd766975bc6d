"""Tag prediction: which words, labels or clusters go with an image, from its average-pooled map alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.text.batch import CaptionBatch, WordScores

LOSSES = ("bce", "softmax")
SOURCES = ("concepts", "labels", "clusters", "tokens")


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


class ConceptTags(TagHead):
    """Predict the concepts of a caption: a word that is hidden in it is guessed from the image alone."""

    output = "concepts"

    def __init__(self, width: int, classes: int, loss: str) -> None:
        super().__init__(width, classes, loss, "concepts")

    @torch.no_grad()
    def word_scores(self, maps: Tensor, masked_tokens: Tensor, position: Tensor) -> WordScores:
        """Return the logits of maps ``(N, width, h, w)``; the words of the captions are not read."""
        return WordScores(self.scores(maps))


def tag_head(
    *,
    width: int,
    classes: int,
    labels: int = 0,
    clusters: int = 0,
    loss: str = "bce",
    source: Literal["concepts", "labels", "clusters"] = "concepts",
) -> TagHead:
    """Build the tag prediction of ICMLM (arXiv:2008.01392).

    Args:
        width: channels of the maps.
        classes: number of concepts.
        labels: number of labels that an image may carry.
        clusters: number of clusters of captions.
        loss: see ``TagHead``; a choice, the paper's could not be read. ``softmax`` is the usual one for clusters.
        source: ``concepts`` is the paper's TP_Postag, ``labels`` its TP_Label, ``clusters`` its TP_Cluster.

    Raises:
        UserError: the images carry no labels, and the head is to learn from them.
    """
    if source == "concepts":
        return ConceptTags(width, classes, loss)
    return TagHead(width, _carried(clusters if source == "clusters" else labels, source), loss, source)


def _carried(count: int, source: str) -> int:
    if count < 1:
        told = "data.labels=clusters" if source == "clusters" else "data that have them, and data.labels=tags"
        raise UserError(f"head: tags from {source}, but the images carry none; choose {told}")
    return count


def token_classification(
    *,
    width: int,
    tokens: int,
    pad: int = 0,
    start: int = 1,
    end: int = 2,
    mask: int | None = None,
    loss: str = "softmax",
) -> TagHead:
    """Build VirTex's token classification: the set of a caption's tokens (arXiv:2006.06666, section 4.2).

    Args:
        width: channels of the maps.
        tokens: number of tokens of the tokeniser.
        pad: id of padding, which is never a target, like the next three.
        start: id of the start token.
        end: id of the end token.
        mask: id of a hidden piece; None where there is none.
        loss: see ``TagHead``.
    """
    special = [one for one in (pad, start, end, mask) if one is not None]
    return TagHead(width, tokens, loss, "tokens", special, "classification")


def multilabel_classification(*, width: int, labels: int, loss: str = "softmax") -> TagHead:
    """Build VirTex's multi-label classification: the categories of an image's objects (arXiv:2006.06666, section 4.2).

    The labels are outputs 1 to ``labels``; output 0, the background, is never a target. Raises ``UserError`` for
    images without labels.
    """
    return TagHead(width, _carried(labels, "labels") + 1, loss, "labels", (0,), "classification")
