"""Checkpoints that appear whole or not at all."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

from transferbench.errors import RunFailed
from transferbench.storage import atomic_path

log = logging.getLogger(__name__)


class Checkpoints(Checkpoint):
    """Save ``step-<step>.ckpt`` every ``every_epochs`` epochs and at the end, keeping the newest ``keep``.

    ``snapshot`` holds plain values and is written into each file, so that ``transferbench.load`` can open it. A run
    that is interrupted by SIGTERM or Ctrl-C keeps its last epoch's checkpoint; a diverged one its last good one.
    """

    def __init__(self, folder: Path, snapshot: Mapping[str, Any], every_epochs: int = 1, keep: int = 2) -> None:
        super().__init__()
        self.folder = folder
        self.snapshot = dict(snapshot)
        self.every_epochs = every_epochs
        self.keep = keep

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the snapshot."""
        checkpoint["transferbench"] = self.snapshot

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save when the epoch's turn has come; Lightning calls this after the epoch's validation."""
        finished = trainer.current_epoch + 1
        if finished % self.every_epochs == 0 or finished == trainer.max_epochs:
            self.save(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Say what is kept when a signal ends the run."""
        if isinstance(exception, (SIGTERMException, KeyboardInterrupt)):
            log.warning("interrupted: the same command with the same run= goes on from %s", self.folder)

    def save(self, trainer: Trainer) -> None:
        """Write a checkpoint, all ranks together, then let the oldest go.

        Raises:
            RunFailed: it cannot be written; the ones before are kept.
        """
        target = self.folder / f"step-{trainer.global_step:09d}.ckpt"
        if trainer.is_global_zero:
            try:
                with atomic_path(target) as part:
                    trainer.save_checkpoint(part)
            except OSError as error:
                raise RunFailed(
                    f"{target} cannot be written ({error.strerror or error}); those before are kept"
                ) from error
            for old in sorted(self.folder.glob("step-*.ckpt"))[: -self.keep]:
                old.unlink()
        else:
            trainer.save_checkpoint(target)
