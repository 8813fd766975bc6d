"""kNN accuracy of the backbone's features while it trains."""

from __future__ import annotations

from typing import Any

import numpy as np
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn

from transferbench.errors import UserError
from transferbench.features.extract import evenly_spaced, extract
from transferbench.probes.knn import knn_predict


class OnlineKnn(Callback):
    """Every ``every_epochs`` epochs, classify held-out images by the nearest training features: ``val/knn``.

    At most ``images`` training and ``images`` held-out ones take part, evenly spaced over each set; rank 0 does it, and
    every rank where each holds a share of the weights.
    """

    def __init__(self, every_epochs: int = 5, images: int = 2000, k: int = 20, temperature: float = 0.07) -> None:
        for key, value in (("every_epochs", every_epochs), ("images", images), ("k", k)):
            if value < 1:
                raise UserError(f"callbacks.knn.{key}={value}: expected 1 or more; ~callbacks.knn leaves it out")
        self.every_epochs = every_epochs
        self.images = images
        self.k = k
        self.temperature = temperature

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Extract, classify and log, when the epoch's turn has come."""
        if trainer.sanity_checking or (trainer.current_epoch + 1) % self.every_epochs:
            return
        takes_part = trainer.is_global_zero or is_sharded(pl_module)
        accuracy = self._accuracy(trainer, pl_module) if takes_part else 0.0
        pl_module.log("val/knn", accuracy, rank_zero_only=True)

    def _accuracy(self, trainer: Trainer, pl_module: Any) -> float:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        train, test = (
            extract(
                pl_module.backbone,
                images,
                data.centre,
                device=str(pl_module.device),
                positions=evenly_spaced(len(images), self.images),
            )
            for images in (data.splits.train, data.splits.test)
        )
        predicted = knn_predict(train.x, train.y, test.x, k=self.k, temperature=self.temperature)
        return float(np.mean(predicted == test.y))


def is_sharded(module: nn.Module) -> bool:
    """Tell whether other ranks hold shares of the weights of ``module``, so that it runs on all of them or on none."""
    from torch.distributed.tensor import DTensor

    return any(isinstance(parameter, DTensor) for parameter in module.parameters())
