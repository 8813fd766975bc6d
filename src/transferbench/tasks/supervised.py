"""Supervised pretraining on crops of labelled images."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Protocol, TypeAlias

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import MeanMetric

from transferbench.distributed import gather
from transferbench.errors import RunFailed, UserError
from transferbench.optim.groups import decay_groups
from transferbench.optim.momentum import MomentumEncoder
from transferbench.optim.schedule import scaled_lr, warmup_cosine

log = logging.getLogger(__name__)

CropBatch: TypeAlias = tuple[Sequence[Tensor], Tensor]

LOOK_EVERY = {"cpu": 1, "cuda": 10}
"""Steps between two looks at the losses: on a GPU a look waits for all that the device has been asked for."""
REMEDY = "the last good checkpoint is kept; lower scale.lr or raise scale.warmup_epochs"


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


class Supervised(LightningModule):
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
        super().__init__()
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.backbone = backbone.to(memory_format=self.layout)
        self.head = head
        self.momentum_encoder = (
            MomentumEncoder(self.backbone, head.projector, head.momentum) if head.momentum is not None else None
        )
        self.optimizer, self.lr, self.min_lr = optimizer, lr, min_lr
        self.warmup_epochs, self.weight_decay = warmup_epochs, weight_decay
        self.compiled = compile
        self.val_top1, self.val_loss = MeanMetric(nan_strategy="disable"), MeanMetric(nan_strategy="disable")
        self._unseen: list[tuple[Tensor, str]] = []

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
        self._stop_if_diverged(loss)
        top1 = (logits[: len(labels)].argmax(1) == labels).float().mean()
        self.log_dict({"train/loss": loss, "train/top1": top1, "train/lr": self._current_lr()})
        return loss

    def on_train_epoch_end(self) -> None:
        """Look at the last losses."""
        self._look()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Look at the last losses and at the weights, which another device's loss may have spoilt.

        Raises:
            RunFailed: one is not finite; nothing is written.
        """
        self._look()
        weights: dict[str, Tensor] = checkpoint["state_dict"]
        sound = torch.stack([torch.isfinite(value).all() for value in weights.values()]).tolist()
        for key, finite in zip(weights, sound):
            if not finite:
                raise RunFailed(f"{key} is not finite after step {self.global_step - 1}: {REMEDY}")

    def validation_step(self, batch: CropBatch, _: int) -> None:
        """Score the first crop of every image with a label; the sums are exact over batches and ranks."""
        crops, labels = batch
        known = labels >= 0
        logits, labels = self(crops[0])[known].float(), labels[known]
        self.val_top1.update((logits.argmax(1) == labels).float())
        self.val_loss.update(F.cross_entropy(logits, labels, reduction="none"))
        self.log_dict({"val/top1": self.val_top1, "val/loss": self.val_loss})

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Set the learning rate of every optimiser step: linear warm-up from 0, then half a cosine.

        Raises:
            UserError: for a run without an end.
        """
        self.trainer.fit_loop.setup_data()  # makes the loader, whose length and batch size count below
        total = self.trainer.estimated_stepping_batches
        if math.isinf(total):
            raise UserError("the learning rate needs to know where training ends: set trainer.max_epochs")
        steps = int(total)
        steps_per_epoch = math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)
        warmup_steps = min(round(self.warmup_epochs * steps_per_epoch), steps)
        if warmup_steps == steps:
            log.warning(
                "the run is as short as its warm-up of %g epochs: the peak is its last step", self.warmup_epochs
            )
        rates = warmup_cosine(scaled_lr(self.lr, self.images_per_step), self.min_lr, steps, warmup_steps)
        groups = decay_groups([self.backbone, self.head.projector, self.head.classifier], self.weight_decay)
        optimizer = self.optimizer(groups, lr=1.0)  # the schedule multiplies it: its values are the learning rates
        schedule = LambdaLR(optimizer, lambda step: float(rates[min(step, steps - 1)]))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @property
    def images_per_step(self) -> int:
        """Images of one optimiser step: batch size x accumulated batches x devices."""
        batch_size: int = self.trainer.train_dataloader.batch_size  # type: ignore[union-attr]
        return batch_size * self.trainer.accumulate_grad_batches * self.trainer.world_size

    @property
    def _batches_are_full(self) -> bool:
        """Whether every rank's batches are of one length: a loader drops the last one unless it is full."""
        return bool(getattr(self.trainer.train_dataloader, "drop_last", False))

    def _current_lr(self) -> float:
        lr: float = self.trainer.optimizers[0].param_groups[0]["lr"]
        return lr

    def _stop_if_diverged(self, loss: Tensor) -> None:
        where = f"step {self.global_step} (epoch {self.current_epoch}, lr {self._current_lr():.3g})"
        self._unseen.append((loss.detach(), where))
        if len(self._unseen) >= LOOK_EVERY.get(loss.device.type, 1):
            self._look()

    def _look(self) -> None:
        """Look at the losses not looked at yet, and raise ``RunFailed`` for the first that is not finite."""
        unseen, self._unseen = self._unseen, []
        values = torch.stack([loss for loss, _ in unseen]).tolist() if unseen else []
        for value, (_, where) in zip(values, unseen):
            if not math.isfinite(value):
                raise RunFailed(f"the loss became {value} at {where}: {REMEDY}")


def stack_by_size(crops: Sequence[Tensor]) -> Iterator[Tensor]:
    """Yield one batch for each run of consecutive crops ``(B, 3, H, W)`` of equal width, so that order is kept."""
    for _, same_size in groupby(crops, key=lambda crop: crop.shape[-1]):
        yield torch.cat(list(same_size))
