"""The Weights & Biases run of a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only


class WandbRun(WandbLogger):
    """A W&B run that a resumed run continues without sending a row twice.

    Args:
        skip: rows that were sent before and come again, because the run goes on from an earlier checkpoint.
        **options: those of ``WandbLogger``.
    """

    def __init__(self, skip: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.skip = skip

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send one row, unless it was sent before."""
        if self.skip > 0:
            self.skip -= 1
            return
        super().log_metrics(metrics, step)
