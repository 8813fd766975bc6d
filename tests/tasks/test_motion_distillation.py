"""Distilling features into the streams of a moving scene, and taking the actor out by them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer
from torch import Tensor, nn

from transferbench.data.scenes.module import SceneData
from transferbench.data.scenes.rays import Draw
from transferbench.data.scenes.scene import Scene
from transferbench.models.fields import Edit, with_features
from transferbench.models.neuraldiff import NeuralDiff
from transferbench.models.streams import StreamBranch
from transferbench.tasks.motion_distillation import MotionDistillation
from transferbench.tasks.scene_editing import SceneEditing

HEIGHT, WIDTH, FRAMES, CHANNELS = 12, 16, 8, 3
pytestmark = pytest.mark.usefixtures("own_cache")
QUIET = {
    "logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu",
    "enable_model_summary": False,
}  # fmt: skip


def made_scene() -> Scene:
    """A grey room, a yellow square that goes from left to right, and red hands along the lower border."""
    images = np.full((FRAMES, HEIGHT, WIDTH, 3), (60, 60, 120), np.uint8)
    labels = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    for time in range(FRAMES):
        images[time, 3:7, time : time + 4], labels[time, 3:7, time : time + 4] = (250, 240, 40), 1
        images[time, -3:], labels[time, -3:] = (200, 20, 20), 2
    poses = np.repeat(np.eye(4)[None], FRAMES, 0)
    poses[:, 0, 3] = np.linspace(-0.2, 0.2, FRAMES)
    return Scene(
        name="made",
        names=tuple(f"frame_{time}" for time in range(FRAMES)),
        images=images,
        poses=poses,
        intrinsics=np.tile([WIDTH, WIDTH, WIDTH / 2, HEIGHT / 2], (FRAMES, 1)).astype(float),
        distortion=np.zeros((FRAMES, 6)),
        near=np.full(FRAMES, 1.0),
        far=np.full(FRAMES, 3.0),
        train=(1, 2, 4, 5, 7),
        test=(0, 3, 6),
        times=np.arange(FRAMES),
        labels=labels,
        label_names=("dynamic", "actor"),
    )


class Made(SceneData):
    def __init__(self, steps: int = 60) -> None:
        super().__init__(None, Draw(rays=128), epoch_steps=steps, watched=0)
        self.setup()

    def read(self) -> Scene:
        return made_scene()


class Colours(nn.Module):
    """Three channels on a grid of 6 x 8: the colour of a cell."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(images.float() / 255, 2)


def distilling(**settings: Any) -> tuple[MotionDistillation, Made]:
    torch.manual_seed(0)
    base = NeuralDiff(
        depth=2, width=24, skip=9, stream_depth=2, stream_width=16, position_frequencies=4, appearance_size=4,
        vocabulary=40, samples=8, more=8,
    )  # fmt: skip
    model = with_features(base, functools.partial(StreamBranch, channels=CHANNELS))
    given = {"optimizer": torch.optim.Adam, "lr": 1e-2, "teacher": Colours, "dimensions": CHANNELS, **settings}
    task, data = MotionDistillation(model, **given), Made()
    task.check_data(data)
    return task, data


def fitted(task: MotionDistillation, data: Made, folder: Path, epochs: int = 1) -> None:
    Trainer(max_epochs=epochs, default_root_dir=folder, **QUIET).fit(task, data)


def test_while_it_is_held_the_branches_alone_are_fitted(tmp_path: Path) -> None:
    task, data = distilling()
    held = {name: p.detach().clone() for name, p in task.backbone.named_parameters() if ".branch." not in name}
    assert {name.split(".")[0] for name in held} == {"coarse", "fine", "time", "appearance"}
    branches = [p.detach().clone() for p in task.backbone.fine.branch.parameters()]
    fitted(task, data, tmp_path)
    after = dict(task.backbone.named_parameters())
    assert all(torch.equal(after[name], value) for name, value in held.items())
    assert all(not torch.equal(a, b) for a, b in zip(task.backbone.fine.branch.parameters(), branches, strict=True))


def test_fitted_together_the_whole_loss_is_neuraldiff_s_and_the_features(monkeypatch: pytest.MonkeyPatch) -> None:
    task, data = distilling(thaw_after=0, sparsity=0.02, feature_weight=0.5)
    monkeypatch.setattr(MotionDistillation, "log", lambda *_, **__: None)
    frames, rows, columns, pixels = next(iter(data.train_dataloader()))
    rays, truth = task.views.rays(frames, rows, columns), pixels.float() / 255
    coarse, fine = task.backbone.train()(rays, torch.zeros(3))
    task.target = torch.from_numpy(task.maps.at(frames.numpy(), rows.numpy(), columns.numpy()))
    task.shown = torch.ones(len(rows), dtype=torch.bool)
    beta = fine.beta[:, None]
    expected = 0.5 * ((coarse.colour - truth) ** 2).mean() + ((fine.colour - truth) ** 2 / (2 * beta**2)).mean()
    expected = expected + fine.beta.log().mean() + 0.02 * fine.densities[..., 1:].mean((0, 1)).sum()
    features = fine.features / fine.features.norm(dim=1, keepdim=True)
    expected = expected + 0.5 * ((features - task.target) ** 2).sum(1).mean()
    torch.testing.assert_close(task.objective([coarse, fine], truth, rays), expected)


def test_a_fitted_scene_is_searched_and_edited(tmp_path: Path) -> None:
    task, data = distilling(thaw_after=0, feature_weight=1.0)
    fitted(task, data, tmp_path, epochs=5)
    found = task.examine(data, {}, "cpu")
    assert {"field/map/moving", "field/student/map", "field/student/ap/actor", "field/test/psnr"} <= set(found.metrics)
    assert found.metrics["field/student/ap/actor"] > 0.5 > 2 * 3 / HEIGHT * 0.9
    editing = SceneEditing(task.backbone, edit=Edit, target="actor", threshold=0.7)
    editing.check_data(data)
    edited = editing.examine(data, {}, "cpu")
    pictures = dict(edited.panels[0]["pictures"])
    change = np.abs(pictures["rendered"].astype(float) - pictures["remove"]).mean(-1)
    assert change[-2:].mean() > 5 * change[:2].mean() + 1, "the hands go, the room stays"
