"""One bar for the whole fit: epoch, loss, images a second, time left."""

from __future__ import annotations

import time
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.utilities.data import extract_batch_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress(ProgressBar):
    """A rich progress bar over all steps; where the output is no terminal, one line for each tenth of the epochs."""

    def __init__(self, refresh_seconds: float = 0.5) -> None:
        super().__init__()
        self.refresh_seconds = refresh_seconds
        self.console = Console()
        self.unit = "images"
        self._bar: Bar | None = None
        self._images, self._since, self._drawn = 0, 0.0, 0.0

    def disable(self) -> None:
        """Stay silent on this rank."""
        self.console = Console(quiet=True)

    def enable(self) -> None:
        """Speak again."""
        self.console = Console()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar where the fit stands."""
        self._images, self._since, self._first = 0, time.monotonic(), trainer.global_step
        self.unit = getattr(pl_module, "unit", "images")
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[facts]}"),
            )
            self._bar = Bar(*columns, TimeRemainingColumn(), console=self.console, auto_refresh=False)
            total = int(trainer.estimated_stepping_batches)
            self._task = self._bar.add_task("training", total=total, completed=trainer.global_step, facts="")
            self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the images and move the bar, now and then."""
        done = getattr(pl_module, "counted", None) or extract_batch_size(batch)
        self._images += done * trainer.world_size
        now = time.monotonic()
        if self._bar is not None and now - self._drawn > self.refresh_seconds:
            self._drawn = now
            self._bar.update(self._task, completed=trainer.global_step, facts=self._facts(trainer), refresh=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print a line, where there is no bar to look at."""
        epochs = trainer.max_epochs or 1
        if self._bar is None and ((trainer.current_epoch + 1) % max(1, epochs // 10) == 0):
            done = max(trainer.global_step - self._first, 1)
            left = (
                (time.monotonic() - self._since)
                / done
                * (int(trainer.estimated_stepping_batches) - trainer.global_step)
            )
            self.console.print(
                f"epoch {trainer.current_epoch + 1}/{epochs}  {self._facts(trainer)}  {left:.0f} s left",
                highlight=False,
            )

    def _facts(self, trainer: Trainer) -> str:
        rate = self._images / max(time.monotonic() - self._since, 1e-9)
        values = trainer.callback_metrics
        shown = [
            f"{key.split('/')[-1]} {float(values[key]):.3f}"
            for key in ("train/loss", "val/top1", "val/psnr")
            if key in values
        ]
        return "  ".join([*shown, f"{rate:.0f} {self.unit}/s"])

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Close the bar where the fit has come to."""
        if self._bar is not None:
            self._bar.update(self._task, completed=trainer.global_step, facts=self._facts(trainer))
            self._bar.stop()
            self._bar = None
