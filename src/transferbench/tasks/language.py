"""Pretraining of a masked language model on captions alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer
from torchmetrics import MeanMetric

from transferbench.optim.groups import decay_groups
from transferbench.optim.schedule import warmup_cosine
from transferbench.tasks.captions import Batch
from transferbench.tasks.pretraining import Pretraining, seeded
from transferbench.text.batch import CaptionBatch
from transferbench.text.masking import LanguageMasked, mask_for_language

VALIDATION_SEED = 0


class LanguageModelling(Pretraining):
    """Predict hidden tokens of captions from all others (BERT, arXiv:1810.04805); no image is looked at.

    Args:
        backbone: the language model; its ``tokeniser_digest`` is set to that of the captions' tokeniser.
        head: not used.
        optimizer: makes the optimiser, called with parameter groups and ``lr=``.
        lr: peak learning rate; not scaled with the batch.
        weight_decay: of matrices.
        warmup_epochs: of linear warm-up from 0; fractions count.
        rate: share of the tokens that are hidden.
    """

    def __init__(
        self,
        backbone: Any,
        head: None = None,
        *,
        optimizer: Callable[..., Optimizer],
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        warmup_epochs: float = 1.0,
        rate: float = 0.15,
    ) -> None:
        super().__init__(backbone, False, warmup_epochs)
        self.head = head
        self.optimizer, self.lr, self.weight_decay, self.rate = optimizer, lr, weight_decay, rate
        self.val_loss, self.val_top1 = MeanMetric(nan_strategy="disable"), MeanMetric(nan_strategy="disable")

    def on_fit_start(self) -> None:
        """Bind the model to the tokeniser whose tokens it learns."""
        net: Any = self.backbone
        net.bind_tokeniser(self.trainer.datamodule.tokeniser.digest())  # type: ignore[attr-defined]

    def masked(self, text: CaptionBatch) -> LanguageMasked:
        """Return the captions with some tokens hidden, never the special ones."""
        net: Any = self.backbone
        return mask_for_language(text.tokens, text.words >= 0, net.mask, net.size, self.rate)

    def losses(self, text: CaptionBatch) -> tuple[Tensor, Tensor]:
        """Return the mean cross-entropy over hidden tokens (0 without any), and for each whether it is guessed."""
        net: Any = self.backbone
        masked = self.masked(text)
        chosen = masked.targets >= 0
        logits = net.predict(net.hidden(masked.tokens)[chosen]).float()
        targets = masked.targets[chosen]
        loss = F.cross_entropy(logits, targets, reduction="sum") / max(len(targets), 1)
        return loss, (logits.argmax(1) == targets).float()

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss of the hidden tokens."""
        loss, right = self.losses(batch[1])
        self.watch(loss)
        self.log_dict({"train/loss": loss.detach(), "train/lr": self.current_lr()})
        if len(right):
            self.log("train/top1", right.mean())
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Score the held-out captions; the same tokens are hidden every time."""
        with seeded(VALIDATION_SEED + index, self.device):
            loss, right = self.losses(batch[1])
        if len(right):
            self.val_loss.update(loss, len(right))
            self.val_top1.update(right)
        self.log_dict({"val/loss": self.val_loss, "val/top1": self.val_top1})

    def rates(self, steps: int, warmup_steps: int) -> NDArray[np.float64]:
        """Return the learning rates: linear warm-up from 0, then half a cosine."""
        return warmup_cosine(self.lr, 0.0, steps, warmup_steps)

    def optimiser(self) -> Optimizer:
        """Return the optimiser over the language model."""
        return self.optimizer(decay_groups([self.backbone], self.weight_decay), lr=1.0)
