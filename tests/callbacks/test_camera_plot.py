"""The picture of the cameras is there before the first step, of fits to scenes alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningDataModule, LightningModule, Trainer
from torch import Tensor, nn

from transferbench.callbacks.camera_plot import CameraPlot
from transferbench.nerf.paths import orbit
from transferbench.nerf.views import Views

QUIET = {
    "logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu",
    "enable_model_summary": False,
}  # fmt: skip


class Fit(LightningModule):
    """Three steps of nothing."""

    def __init__(self, views: Any = None) -> None:
        super().__init__()
        self.net, self.steps = nn.Linear(1, 1), 0
        if views is not None:
            self.views = views

    def training_step(self, batch: Tensor, _: int) -> Tensor:
        self.steps += 1
        return self.net(batch).sum()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 1e-3)


class Data(LightningDataModule):
    scene = SimpleNamespace(name="made")

    def train_dataloader(self) -> list[Tensor]:
        return [torch.ones(2, 1)] * 3


def views(ndc: bool = False) -> Views:
    return Views(orbit(7, 4.0), np.tile([9.0, 9, 4, 4], (7, 1)), np.zeros((7, 6)), (8, 8), 1.0, 5.0, ndc=ndc)


@pytest.mark.parametrize("ndc", [False, True])
def test_it_is_drawn_before_the_first_step_and_said(
    ndc: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, drawn = Fit(views(ndc)), []

    def draw(scene: Any, path: Path, ndc: bool) -> None:
        drawn.append((scene, path, ndc, task.steps))

    Trainer(max_epochs=1, callbacks=[CameraPlot(draw)], default_root_dir=tmp_path, **QUIET).fit(task, datamodule=Data())
    path = tmp_path / "figures" / "cameras.png"
    assert drawn == [(Data.scene, path, ndc, 0)] and task.steps == 3
    assert capsys.readouterr().out == f"7 cameras: {path}\n"


@pytest.mark.parametrize("other", [None, "views of another kind"])
def test_a_fit_without_cameras_is_left_alone(other: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task, drawn = Fit(other), []
    plot = CameraPlot(lambda *given, **named: drawn.append(given))
    Trainer(max_epochs=1, callbacks=[plot], default_root_dir=tmp_path, **QUIET).fit(task, datamodule=Data())
    assert task.steps == 3 and drawn == [] and "cameras" not in capsys.readouterr().out


def test_only_the_first_rank_draws(tmp_path: Path) -> None:
    drawn: list[Any] = []
    trainer = SimpleNamespace(is_global_zero=False, default_root_dir=tmp_path, datamodule=Data())
    CameraPlot(lambda *given, **named: drawn.append(given)).on_fit_start(trainer, Fit(views()))  # type: ignore[arg-type]
    assert drawn == []
