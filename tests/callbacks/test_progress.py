"""The bar of a fit: it ends where the fit ends, counts what steps took, and is lines where there is no terminal."""

from __future__ import annotations

import io
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from rich.console import Console
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from transferbench.callbacks import progress
from transferbench.callbacks.progress import Progress

STEPS, BATCH = 5, 4


class Task(LightningModule):
    unit = "rays"

    def __init__(self, counted: int | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.counted = counted

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss: Tensor = self.layer(batch[0]).square().mean()
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def shown(tmp_path: Path, terminal: bool, counted: int | None = None, epochs: int = 4) -> str:
    bar = Progress(refresh_seconds=1e9)
    bar.console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
    trainer = Trainer(
        max_epochs=epochs, callbacks=[bar], logger=False, enable_checkpointing=False, enable_model_summary=False,
        accelerator="cpu", default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(Task(counted), DataLoader(TensorDataset(torch.randn(STEPS * BATCH, 2)), BATCH))
    return bar.console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_bar_ends_where_the_fit_does_and_draws_in_no_thread_of_its_own(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    said = shown(tmp_path, terminal=True)
    assert f"{4 * STEPS}/{4 * STEPS}" in said and "rays/s" in said
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize(("counted", "units"), [(None, BATCH), (3, 3)])
def test_without_a_terminal_there_are_lines(
    counted: int | None, units: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second passes at every look at the clock: one as the fit begins, one a step, two in a line."""
    ticks = iter(range(1000))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    lines = shown(tmp_path, terminal=False, counted=counted, epochs=2).splitlines()
    assert [line.split()[1] for line in lines] == ["1/2", "2/2"]
    rates = [int(re.search(r"(\d+) rays/s", line)[1]) for line in lines]  # type: ignore[index]
    assert rates[0] == pytest.approx(STEPS * units / (STEPS + 2), abs=0.51)
    assert all("loss" in line and "s left" in line for line in lines)
