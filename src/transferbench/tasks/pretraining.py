"""What every pretraining task has in common: a schedule over optimiser steps, and a watch over the losses."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from transferbench.errors import RunFailed, UserError

log = logging.getLogger(__name__)

LOOK_EVERY = {"cpu": 1, "cuda": 10}
"""Steps between two looks at the losses: on a GPU a look waits for all that the device has been asked for."""
REMEDY = "the last good checkpoint is kept; lower scale.lr or raise scale.warmup_epochs"


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from ``seed`` on the CPU and on ``device``; both generators are left as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


class Pretraining(LightningModule):
    """A task whose learning rates are known for every optimiser step, and which ends when its loss is not finite.

    A subclass calls ``watch`` with the loss of every step, and says which ``rates`` and which ``optimiser`` it wants.

    Args:
        backbone: images to features.
        channels_last: memory format of images and convolutions.
        warmup_epochs: of linear warm-up from 0; fractions count.
    """

    def __init__(self, backbone: nn.Module, channels_last: bool = True, warmup_epochs: float = 0) -> None:
        super().__init__()
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.backbone = backbone.to(memory_format=self.layout)
        self.warmup_epochs = warmup_epochs
        self._unseen: list[tuple[Tensor, str]] = []

    def rates(self, steps: int, warmup_steps: int) -> NDArray[np.float64]:
        """Return for each of ``steps`` optimiser steps what the optimiser's learning rates are multiplied by."""
        raise NotImplementedError

    def optimiser(self) -> Optimizer:
        """Return the optimiser with its parameter groups."""
        raise NotImplementedError

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Set the learning rate of every optimiser step.

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
        rates = self.rates(steps, warmup_steps)
        optimizer = self.optimiser()
        schedule = LambdaLR(optimizer, lambda step: float(rates[min(step, steps - 1)]))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @property
    def images_per_step(self) -> int:
        """Images of one optimiser step: batch size x accumulated batches x devices."""
        batch_size: int = self.trainer.train_dataloader.batch_size  # type: ignore[union-attr]
        return batch_size * self.trainer.accumulate_grad_batches * self.trainer.world_size

    def current_lr(self) -> float:
        """Return the learning rate of the first parameter group at this step."""
        lr: float = self.trainer.optimizers[0].param_groups[0]["lr"]
        return lr

    def watch(self, loss: Tensor) -> None:
        """Take note of a step's loss.

        Raises:
            RunFailed: one of the last losses is not finite.
        """
        where = f"step {self.global_step} (epoch {self.current_epoch}, lr {self.current_lr():.3g})"
        self._unseen.append((loss.detach(), where))
        if len(self._unseen) >= LOOK_EVERY.get(loss.device.type, 1):
            self._look()

    def _look(self) -> None:
        """Look at the losses not looked at yet."""
        unseen, self._unseen = self._unseen, []
        values = torch.stack([loss for loss, _ in unseen]).tolist() if unseen else []
        for value, (_, where) in zip(values, unseen):
            if not math.isfinite(value):
                raise RunFailed(f"the loss became {value} at {where}: {REMEDY}")

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
