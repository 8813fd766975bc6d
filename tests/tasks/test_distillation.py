"""Distilling features into a field: what is held, what is fitted, and the loss."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Callback, Trainer
from torch import Tensor, nn

from transferbench.data.scenes.module import SceneData
from transferbench.data.scenes.rays import Draw, Pixels
from transferbench.data.scenes.scene import Scene
from transferbench.errors import UserError
from transferbench.models.fast_field import FastField
from transferbench.models.fields import Branch, GridBranch, with_features
from transferbench.models.hash_grid import HashGrid
from transferbench.models.hierarchical import Hierarchical
from transferbench.models.marched import Marched
from transferbench.models.nerf import NeRF
from transferbench.models.occupancy import OccupancyGrid
from transferbench.nerf.cameras import look_at
from transferbench.tasks import field as field_task
from transferbench.tasks.distillation import FeatureDistillation

SIZE, FRAMES, CHANNELS = 8, 6, 4
pytestmark = pytest.mark.usefixtures("own_cache")
QUIET = {
    "logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu",
    "enable_model_summary": False,
}  # fmt: skip


def made_scene() -> Scene:
    """Noise on a disc, seen from a ring of cameras."""
    angles = np.linspace(0, 2 * np.pi, FRAMES, endpoint=False)
    images = np.random.default_rng(0).integers(0, 255, (FRAMES, SIZE, SIZE, 4), dtype=np.uint8)
    grid = np.arange(SIZE) + 0.5 - SIZE / 2
    images[..., 3] = 255 * (grid[:, None] ** 2 + grid[None] ** 2 < 9)
    return Scene(
        name="made",
        names=tuple(f"f{k}" for k in range(FRAMES)),
        images=images,
        poses=np.stack([look_at((3 * np.cos(a), 3 * np.sin(a), 0.8), (0, 0, 0)) for a in angles]),
        intrinsics=np.tile([10.0, 10, SIZE / 2, SIZE / 2], (FRAMES, 1)),
        distortion=np.zeros((FRAMES, 6)),
        near=np.full(FRAMES, 1.5),
        far=np.full(FRAMES, 4.5),
        box=np.array([[-1.0] * 3, [1.0] * 3]),
        train=(0, 1, 2, 3),
        test=(4, 5),
        background="white",
    )


class Made(SceneData):
    def __init__(self, steps: int = 8) -> None:
        super().__init__(None, Draw(rays=64), epoch_steps=steps, watched=0)
        self.setup()

    def read(self) -> Scene:
        return made_scene()


class Teacher(nn.Module):
    """Six channels on a grid of 4 x 4."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.net = nn.Conv2d(3, 6, 2, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images.float() / 255)


def fast() -> Marched:
    torch.manual_seed(0)
    grid = functools.partial(HashGrid, levels=2, log2_table=10, coarsest=4, finest=8)
    base = Marched(FastField(grid(), width=16), OccupancyGrid(8), samples=16, every=2)
    return with_features(base, functools.partial(GridBranch, channels=CHANNELS, grid=grid, width=16))


def nets() -> Hierarchical:
    torch.manual_seed(0)
    pair = (NeRF(depth=2, width=16, skip=9, position_frequencies=3, density="softplus") for _ in range(2))
    return with_features(Hierarchical(*pair, 6, 6), functools.partial(Branch, channels=CHANNELS), True)


def distilling(model: Any = None, data: Made | None = None, **settings: Any) -> tuple[FeatureDistillation, Made]:
    adam = functools.partial(torch.optim.Adam, eps=1e-15)
    given = {"optimizer": adam, "lr": 1e-2, "teacher": Teacher, "dimensions": CHANNELS, **settings}
    task, data = FeatureDistillation(fast() if model is None else model, **given), data or Made()
    task.check_data(data)
    return task, data


def stepped(task: FeatureDistillation, batch: Pixels, monkeypatch: pytest.MonkeyPatch, step: int = 0) -> Tensor:
    monkeypatch.setattr(task, "watch", lambda loss: None)
    monkeypatch.setattr(FeatureDistillation, "log", lambda *_, **__: None)
    monkeypatch.setattr(FeatureDistillation, "log_dict", lambda *_, **__: None)
    monkeypatch.setattr(FeatureDistillation, "current_lr", lambda _: 0.0)
    monkeypatch.setattr(FeatureDistillation, "global_step", step)
    return task.training_step(batch, 0)


def base_of(task: FeatureDistillation) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in task.backbone.named_parameters() if ".branch." not in name}


class Changes(Callback):
    """Which steps changed the field, and which the branch."""

    def __init__(self) -> None:
        self.field: list[int] = []
        self.branch: list[int] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.before = {name: p.detach().clone() for name, p in pl_module.backbone.named_parameters()}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        changed = {n for n, p in pl_module.backbone.named_parameters() if not torch.equal(p, self.before[n])}
        if any(".branch." in name for name in changed):
            self.branch.append(trainer.global_step - 1)
        if any(".branch." not in name for name in changed):
            self.field.append(trainer.global_step - 1)


@pytest.mark.parametrize("model", [fast, nets])
@pytest.mark.parametrize("thaw_after", [None, 0, 3])
def test_the_branch_alone_is_fitted_until_the_field_is_let_go(
    model: Callable[[], Any], thaw_after: int | None, tmp_path: Path
) -> None:
    task, data = distilling(model(), thaw_after=thaw_after)
    task.backbone.eval()
    plain = task.view(4).colour
    task.backbone.train()
    before, buffers = base_of(task), {name: b.clone() for name, b in task.backbone.named_buffers()}
    seen = Changes()
    Trainer(max_epochs=1, callbacks=[seen], default_root_dir=tmp_path, **QUIET).fit(task, data)
    assert seen.branch == list(range(8))
    assert seen.field == ([] if thaw_after is None else list(range(thaw_after, 8)))
    if thaw_after is None:
        assert all(torch.equal(value, before[name]) for name, value in base_of(task).items())
        assert all(torch.equal(b, buffers[name]) for name, b in task.backbone.named_buffers())
        task.backbone.eval()
        assert torch.equal(task.view(4).colour, plain)
    else:
        assert all(not torch.equal(value, before[name]) for name, value in base_of(task).items() if "rgb" in name)


@pytest.mark.parametrize("model", [fast, nets])
def test_the_loss_is_its_formula(model: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    task, data = distilling(model(), feature_weight=0.3)
    task.backbone.eval()
    batch = next(iter(data.train_dataloader()))
    loss = stepped(task, batch, monkeypatch)
    rays = task.views.rays(*batch[:3])
    frames, rows, columns, pixels = batch
    target = torch.from_numpy(task.maps.maps)[frames, :, rows // 2, columns // 2]
    shown = pixels[:, 3] > 0
    torch.testing.assert_close(target.norm(dim=1), torch.ones(64))
    expected, apart = torch.zeros(()), []
    for one in task.backbone(rays, torch.ones(64, 3)):
        cosine = torch.cosine_similarity(one.features, target)[shown]
        apart.append(2 - 2 * cosine)
        expected = expected + 0.3 * apart[-1].mean()
    torch.testing.assert_close(loss, expected)
    assert 0 < shown.float().mean() < 1
    assert all(one.min() >= 0 and one.max() <= 4 for one in apart)


def test_joint_training_adds_the_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    task, data = distilling(nets(), thaw_after=0, feature_weight=0.5)
    task.backbone.eval()
    batch = next(iter(data.train_dataloader()))
    loss = stepped(task, batch, monkeypatch)
    held, _ = distilling(nets(), feature_weight=0.5)
    held.backbone.eval()
    alone = stepped(held, batch, monkeypatch)
    alpha = batch.colours[:, 3:] / 255
    truth = batch.colours[:, :3] / 255 * alpha + 1 - alpha
    passes = task.backbone(task.views.rays(*batch[:3]), torch.ones(64, 3))
    torch.testing.assert_close(loss, alone + sum((one.colour - truth).square().mean() for one in passes))


@pytest.mark.parametrize("thaw_after", [None, 0])
def test_a_batch_of_nothing_but_transparent_pixels(thaw_after: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    task, data = distilling(thaw_after=thaw_after)
    batch = next(iter(data.train_dataloader()))
    batch = batch._replace(colours=batch.colours * torch.tensor([1, 1, 1, 0], dtype=torch.uint8))
    task.backbone.train()
    loss = stepped(task, batch, monkeypatch)
    assert torch.isfinite(loss) and (loss == 0) == (thaw_after is None)
    loss.backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in task.backbone.parameters())


@pytest.mark.parametrize("model", [fast, nets])
@pytest.mark.parametrize("stop", [False, True])
def test_features_are_kept_from_the_field_where_that_was_asked_for(
    model: Callable[[], Any], stop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradients = []
    for weight in (1e-9, 10.0):
        task, data = distilling(model(), thaw_after=0, stop_gradient=stop, feature_weight=weight)
        task.backbone.eval()
        batch = next(iter(data.train_dataloader()))
        stepped(task, batch, monkeypatch).backward()
        gradients.append(
            {n: p.grad for n, p in task.backbone.named_parameters() if ".branch." not in n and p.grad is not None}
        )
    same = [torch.allclose(gradients[0][name], gradients[1][name], atol=1e-7) for name in gradients[0]]
    assert all(same) if stop else not all(same)


def test_a_held_field_is_not_accused_of_a_collapse_nor_looked_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field_task, "SUSPICIOUS", 0)
    model = fast()
    with torch.no_grad():
        model.field.field.shape[-1].bias[0] = -30  # empty
    task, data = distilling(model)
    Trainer(max_epochs=1, default_root_dir=tmp_path, **QUIET).fit(task, data)
    assert task.backbone.occupancy.updates == 0


def test_the_teacher_sees_the_views_on_their_background_and_the_pca_those_that_were_asked_for() -> None:
    seen: list[Tensor] = []

    def teacher() -> Callable[[Tensor], Tensor]:
        made = Teacher()

        def extract(images: Tensor) -> Tensor:
            seen.append(images)
            return made(images)

        return extract

    every, _ = distilling(teacher=teacher)
    assert len(seen[0]) == FRAMES and (seen[0][:, :, 0, 0] == 255).all(), "white where nothing is"
    some, _ = distilling(teacher=teacher, fit_all=False)
    assert every.maps.pca is not None and some.maps.pca is not None
    assert not np.allclose(every.maps.pca.mean, some.maps.pca.mean)


def test_maps_and_branches_have_to_fit() -> None:
    with pytest.raises(UserError, match=r"6 features, the branch 4; set scale\.features=6"):
        distilling(dimensions=None)
    with pytest.raises(UserError, match="feature_weight=0"):
        distilling(feature_weight=0)
    bare = Hierarchical(NeRF(depth=1, width=4), NeRF(depth=1, width=4), 4, 4)
    with pytest.raises(UserError, match="choose model=n3f"):
        distilling(bare)
    with pytest.raises(UserError, match="choose model=n3f"):
        distilling(nn.Linear(2, 2))


def test_the_student_s_map_is_of_unit_length() -> None:
    task, _ = distilling(nets())
    task.backbone.eval()
    found, shown = task.student_map(4)
    assert found.shape == (SIZE, SIZE, CHANNELS) and shown.colour.shape == (SIZE**2, 3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-5)


def test_several_devices_cannot_begin_midway(monkeypatch: pytest.MonkeyPatch) -> None:
    task, _ = distilling(thaw_after=5)
    monkeypatch.setattr(FeatureDistillation, "trainer", SimpleNamespace(world_size=2))
    monkeypatch.setattr(FeatureDistillation, "global_step", 0)
    with pytest.raises(UserError, match=r"task\.thaw_after=5: several devices"):
        task.on_train_start()
    for settled in (None, 0):
        task.thaw_after = settled
        task.on_train_start()
