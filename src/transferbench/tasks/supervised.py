"""Supervised pretraining on crops of labelled images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torchmetrics import MeanMetric

from transferbench.distributed import gather
from transferbench.optim.groups import decay_groups
from transferbench.optim.momentum import MomentumEncoder
from transferbench.optim.schedule import scaled_lr, warmup_cosine
from transferbench.tasks.pretraining import Pretraining

CropBatch: TypeAlias = tuple[Sequence[Tensor], Tensor]


class Memory(Protocol):
    """Takes in labelled embeddings."""

    def push(self, features: Tensor, labels: Tensor) -> None:
        """Take in embeddings ``(N, D)`` and their class indices ``(N,)``."""


class Head(Protocol):
    """What this task needs of a head: ``classifier(projector(features))`` gives logits."""

    projector: nn.Module
    classifier: nn.Module
    momentum: float | None

    @property
    def memory(self) -> Memory | None:
        """The classifier if it is fed with embeddings, else None."""

    def __call__(self, features: Tensor) -> Tensor:
        """Return logits ``(B, C)`` of features ``(B, width)``."""


class Supervised(Pretraining):
    """Classify every crop of an image with one head (t-ReX, arXiv:2206.15369).

    Batches are ``(crops, labels)``: a list of uint8 ``(B, 3, H, W)`` tensors, global crops first, and ``(B,)`` class
    indices. In validation the first crop is classified, and images of label -1 do not count.

    Args:
        backbone: images to features ``(B, width)``.
        head: features to logits. One with a memory is fed with embeddings of the first crop: of a momentum encoder if
            the head names a momentum, else the network's own.
        optimizer: makes the optimiser, called with parameter groups and ``lr=``.
        lr: peak learning rate of a step over 256 images, scaled linearly with the images of a step over all devices.
        min_lr: where the half-cosine ends, not scaled.
        warmup_epochs: of linear warm-up from 0; fractions count.
        weight_decay: of weights; biases and normalisation layers are not decayed.
        channels_last: memory format of images and convolutions.
        compile: ``torch.compile`` the backbone and the projector, in place, so that checkpoints keep their names.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: Head,
        optimizer: Callable[..., Optimizer],
        lr: float = 0.1,
        min_lr: float = 1e-6,
        warmup_epochs: float = 10,
        weight_decay: float = 1e-4,
        channels_last: bool = True,
        compile: bool = False,
    ) -> None:
        super().__init__(backbone, channels_last, warmup_epochs)
        self.head = head
        self.momentum_encoder = (
            MomentumEncoder(self.backbone, head.projector, head.momentum) if head.momentum is not None else None
        )
        self.optimizer, self.lr, self.min_lr, self.weight_decay = optimizer, lr, min_lr, weight_decay
        self.compiled = compile
        self.val_top1, self.val_loss = MeanMetric(nan_strategy="disable"), MeanMetric(nan_strategy="disable")

    def parts(self) -> list[nn.Module]:
        """Return the networks that a step calls, each by itself: what can be compiled or shared out over devices."""
        slow = [] if self.momentum_encoder is None else list(self.momentum_encoder.children())
        return [self.backbone, self.head.projector, self.head.classifier, *slow]

    def on_fit_start(self) -> None:
        """Compile what is called at every step."""
        if self.compiled:
            for module in self.parts():
                if module is not self.head.classifier:
                    module.compile()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, C)`` of images ``(B, 3, H, W)``."""
        return self.head(self.backbone(images.contiguous(memory_format=self.layout)))

    def training_step(self, batch: CropBatch, batch_idx: int) -> Tensor:
        """Return the mean cross-entropy over crops and images; then feed the memory, if the head has one."""
        crops, labels = batch
        crops = [crop.contiguous(memory_format=self.layout) for crop in crops]
        features = torch.cat([self.backbone(same_size) for same_size in stack_by_size(crops)])
        embeddings = self.head.projector(features)  # (crops * B, D), crop-major
        logits = self.head.classifier(embeddings)
        loss = F.cross_entropy(logits, labels.repeat(len(crops)))
        if self.head.memory is not None:  # after the logits: prototypes come from the memory as it was
            fed = embeddings[: len(labels)].detach()
            if self.momentum_encoder is not None:
                if batch_idx % self.trainer.accumulate_grad_batches == 0:  # once an optimiser step, before it
                    self.momentum_encoder.update(self.backbone, self.head.projector)
                fed = self.momentum_encoder(crops[0])
            self.head.memory.push(*gather(fed, labels, equal=self._batches_are_full))
        self.watch(loss)
        top1 = (logits[: len(labels)].argmax(1) == labels).float().mean()
        self.log_dict({"train/loss": loss, "train/top1": top1, "train/lr": self.current_lr()})
        return loss

    def validation_step(self, batch: CropBatch, _: int) -> None:
        """Score the first crop of every image with a label; the sums are exact over batches and ranks."""
        crops, labels = batch
        known = labels >= 0
        logits, labels = self(crops[0])[known].float(), labels[known]
        self.val_top1.update((logits.argmax(1) == labels).float())
        self.val_loss.update(F.cross_entropy(logits, labels, reduction="none"))
        self.log_dict({"val/top1": self.val_top1, "val/loss": self.val_loss})

    def rates(self, steps: int, warmup_steps: int) -> NDArray[np.float64]:
        """Return the learning rates: linear warm-up from 0, then half a cosine."""
        return warmup_cosine(scaled_lr(self.lr, self.images_per_step), self.min_lr, steps, warmup_steps)

    def optimiser(self) -> Optimizer:
        """Return the optimiser over backbone, projector and classifier."""
        groups = decay_groups([self.backbone, self.head.projector, self.head.classifier], self.weight_decay)
        return self.optimizer(groups, lr=1.0)  # the schedule multiplies it: its values are the learning rates

    @property
    def _batches_are_full(self) -> bool:
        """Whether every rank's batches are of one length: a loader drops the last one unless it is full."""
        return bool(getattr(self.trainer.train_dataloader, "drop_last", False))


def stack_by_size(crops: Sequence[Tensor]) -> Iterator[Tensor]:
    """Yield one batch for each run of consecutive crops ``(B, 3, H, W)`` of equal width, so that order is kept."""
    for _, same_size in groupby(crops, key=lambda crop: crop.shape[-1]):
        yield torch.cat(list(same_size))
