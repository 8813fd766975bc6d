"""The picture of the cameras is there before the first step, of fits to scenes alone."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningDataModule, LightningModule, Trainer
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader

from transferbench import cli, schema
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

    def train_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(torch.ones(6, 1), batch_size=2)  # type: ignore[arg-type]


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


TINY = (
    "scale.epochs=2", "scale.epoch_steps=3", "scale.rays=64", "scale.sample_budget=1024", "scale.grid_levels=2",
    "scale.grid_table=10", "scale.grid_finest=16", "scale.grid_samples=16", "scale.occupancy=8", "scale.field_width=16",
    "scale.workers=0", "data.split=3",
)  # fmt: skip


def test_a_fit_from_the_command_line_has_it_before_the_first_epoch_and_again_when_it_goes_on(
    tmp_path: Path, own_cache: None, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = []
    for number, pose in enumerate(orbit(9, 3.0)):
        pixels = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        frames.append({"file_path": f"{number}.png", "transform_matrix": pose.tolist()})
    camera = {"fl_x": 14.0, "fl_y": 14.0, "cx": 8.0, "cy": 6.0, "w": 16, "h": 12}
    (tmp_path / "transforms.json").write_text(json.dumps(camera | {"frames": frames}))
    words = ["+experiment=nerf_fast", "data=scene", f"data.root={tmp_path}", *TINY, f"outputs={tmp_path}", "run=a"]
    folder = tmp_path / "nerf_fast" / "a"
    path = folder / "figures" / "cameras.png"
    for _ in range(2):
        assert cli.command(["transferbench", *words]) == 0
        out = capsys.readouterr().out
        assert f"9 cameras: {path}\n" in out
        assert "epoch 1/2" not in out[: out.index("9 cameras")]
        assert base64.b64encode(path.read_bytes()).decode() in (folder / "report.html").read_text()
        path.unlink()
        (folder / "summary.json").unlink()  # as if it had been stopped before its evaluation


def test_it_can_be_left_out() -> None:
    from hydra import compose, initialize_config_dir

    schema.register()
    with initialize_config_dir(str(cli.conf_dir()), version_base="1.3"):
        assert "cameras" in compose("config", overrides=["+experiment=nerf"]).callbacks
        assert "cameras" not in compose("config", overrides=["+experiment=nerf", "~callbacks.cameras"]).callbacks
        assert "cameras" not in compose("config", overrides=["+experiment=clip"]).callbacks
