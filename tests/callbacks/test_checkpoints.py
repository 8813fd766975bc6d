"""Checkpoints over two processes, where all ranks have to save together or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from transferbench.callbacks.checkpoints import Checkpoints


class Line(LightningModule):
    """Least squares on one number."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        return self.layer(batch[0]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader() -> DataLoader[tuple[torch.Tensor, ...]]:
    return DataLoader(TensorDataset(torch.ones(8, 1)), batch_size=1)


def fit(folder: Path, **settings: object) -> list[str]:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    callback = Checkpoints(folder, {"name": "x"}, every_epochs=2, every_steps=3, keep=9)
    Trainer(callbacks=[callback], default_root_dir=folder, **{**quiet, **settings}).fit(Line(), loader())  # type: ignore[arg-type]
    return sorted(file.name for file in folder.iterdir() if file.is_file())


def test_steps_epochs_and_the_end(tmp_path: Path) -> None:
    names = fit(tmp_path, max_epochs=3)
    assert names == [f"step-{step:09d}.ckpt" for step in (3, 6, 9, 12, 15, 16, 18, 21, 24)]


def test_an_end_between_two_checkpoints_is_kept(tmp_path: Path) -> None:
    assert fit(tmp_path, max_steps=5, max_epochs=-1) == ["step-000000003.ckpt", "step-000000005.ckpt"]


def test_nothing_is_saved_where_a_validation_follows(tmp_path: Path) -> None:
    class Validated(Line):
        def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
            self.log("val/loss", self.layer(batch[0]).square().mean())

    callback = Checkpoints(tmp_path, {}, every_steps=1, keep=99)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = Trainer(callbacks=[callback], max_epochs=1, val_check_interval=4, num_sanity_val_steps=0, **quiet)  # type: ignore[arg-type]
    trainer.fit(Validated(), loader(), loader())
    assert sorted(int(file.stem[5:]) for file in tmp_path.glob("*.ckpt")) == [1, 2, 3, 5, 6, 7, 8]


def test_two_processes_save_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a forked process has none of its parent's
    monkeypatch.setenv("MASTER_PORT", "")  # to be restored: Lightning sets it
    monkeypatch.delenv("MASTER_PORT")
    try:
        names = fit(tmp_path, max_epochs=3, strategy="ddp_fork", devices=2)
    finally:
        torch.set_num_threads(threads)
    assert names == [f"step-{step:09d}.ckpt" for step in (3, 6, 8, 9, 12)]
