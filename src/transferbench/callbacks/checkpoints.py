"""Checkpoints that appear whole or not at all, and from which a run goes on as if nothing had happened."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

from transferbench.callbacks import random_state
from transferbench.errors import RunFailed, UserError
from transferbench.outputs import SNAPSHOT, checkpoint_name, checkpoints_in

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""What a scheduler sends before it takes the machine: SLURM with ``--signal=USR1@120``, or a plain kill."""
AGREE_EVERY = 10
"""Optimiser steps between two times that several ranks ask each other whether one of them was told to stop."""


class Checkpoints(Checkpoint):
    """Save ``step-<step>.ckpt`` every ``every_epochs`` epochs, every ``every_steps`` optimiser steps, and at the end.

    The newest ``keep`` stay. Told to stop by SIGTERM or SIGUSR1, a run saves after the optimiser step (in validation:
    at the end of the epoch) and ends with ``SIGTERMException``.

    A checkpoint gets its name only when the loggers have written what belongs to the steps before it: killed in
    between, the run goes on from the one before, and no row of the curves is missing or stands twice.

    Args:
        folder: where the files go.
        snapshot: plain values written into each file, so that ``transferbench.load`` can open it.
        every_epochs: epochs between two checkpoints.
        every_steps: optimiser steps between two checkpoints within an epoch; None for none.
        keep: how many to keep.
        seconds: of training before this process, in a run that is taken up again.
    """

    def __init__(
        self,
        folder: Path,
        snapshot: Mapping[str, Any],
        every_epochs: int = 1,
        every_steps: int | None = None,
        keep: int = 2,
        seconds: float = 0.0,
    ) -> None:
        super().__init__()
        for key, value in (("every_epochs", every_epochs), ("every_steps", every_steps), ("keep", keep)):
            if value is not None and value < 1:
                raise UserError(f"callbacks.checkpoints.{key}={value}: expected 1 or more")
        self.folder, self.snapshot = folder, dict(snapshot)
        self.every_epochs, self.every_steps, self.keep = every_epochs, every_steps, keep
        self.seconds = seconds
        self._started = time.monotonic()
        self._signalled = self._stopping = False
        self._pending: tuple[Path, Path] | None = None
        self._saved = -1
        self._random: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the snapshot and the random states."""
        spent = self.seconds + time.monotonic() - self._started
        checkpoint[SNAPSHOT] = {**self.snapshot, "seconds": spent, "random": random_state.capture()}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember the random states until training begins."""
        self._random = checkpoint[SNAPSHOT].get("random")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the random states up again, and listen to signals in place of Lightning."""
        if self._random is not None:
            random_state.restore(self._random)
        if trainer.is_global_zero:
            for left in self.folder.glob("*.part"):
                left.unlink()
        self._started = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._signal)  # Lightning puts the handlers back after the fit

    def _signal(self, *_: Any) -> None:
        self._signalled = True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Publish what the last batch saved, and stop where that was asked for."""
        self._publish(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save between two optimiser steps, when it is time or a signal has come."""
        done = batch_idx + 1
        if done % trainer.accumulate_grad_batches or done >= trainer.num_training_batches:
            return  # gradients of half a step would be lost; the end of the epoch has a checkpoint of its own
        if trainer.val_check_batch and done % trainer.val_check_batch == 0:
            return  # the validation that follows would be missing in a run that goes on from here
        if self._told_to_stop(trainer, trainer.global_step % AGREE_EVERY == 0) or (
            self.every_steps is not None and trainer.global_step % self.every_steps == 0
        ):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save when the epoch's turn has come; Lightning calls this after the epoch's validation."""
        finished = trainer.current_epoch + 1
        due = finished % self.every_epochs == 0 or finished == trainer.max_epochs
        if self._told_to_stop(trainer) or due:
            self._save(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Publish what the last epoch saved, and stop where that was asked for."""
        self._publish(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Publish what the last epoch saved; a run that ends anywhere else saves now."""
        self._publish(trainer)
        if self._saved != trainer.global_step:  # not by looking for the file: all ranks have to agree
            self._save(trainer)
            self._publish(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Say what is kept when a signal ends the run; half a checkpoint is dropped."""
        if self._pending is not None:
            self._pending[0].unlink(missing_ok=True)
            self._pending = None
        if isinstance(exception, (SIGTERMException, KeyboardInterrupt)):
            log.warning("interrupted: the same command with run=%s goes on from there", self.folder.parent.name)

    def _told_to_stop(self, trainer: Trainer, ask: bool = True) -> bool:
        told = self._signalled or trainer.received_sigterm
        if trainer.world_size > 1:
            told = ask and trainer.strategy.reduce_boolean_decision(told, all=False)
        self._stopping = told
        return told

    def _save(self, trainer: Trainer) -> None:
        """Write a checkpoint, all ranks together, that ``_publish`` will name.

        Raises:
            RunFailed: it cannot be written; the ones before are kept.
        """
        target = self.folder / checkpoint_name(trainer.global_step)
        part = target.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            trainer.save_checkpoint(part)
            if trainer.is_global_zero:
                with part.open("rb") as written:
                    os.fsync(written.fileno())
        except (OSError, RuntimeError) as error:  # torch's writer says RuntimeError when the disk is full
            part.unlink(missing_ok=True)
            reason = getattr(error, "strerror", None) or str(error).split("\n", 1)[0]
            raise RunFailed(f"{target} cannot be written ({reason}); those before are kept") from error
        self._pending, self._saved = (part, target), trainer.global_step

    def _publish(self, trainer: Trainer) -> None:
        if self._pending is not None:
            (part, target), self._pending = self._pending, None
            if trainer.is_global_zero:
                part.replace(target)
                for old in checkpoints_in(self.folder)[: -self.keep]:
                    old.unlink()
        if self._stopping:
            raise SIGTERMException
