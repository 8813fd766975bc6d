"""Fitting a field: it learns, it tells of a collapse, and a fit that was cut ends like one that was not."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Callback, Trainer
from torch import Tensor

import transferbench
from transferbench import cli
from transferbench.data.scenes import world
from transferbench.data.scenes.module import SceneData
from transferbench.data.scenes.rays import Draw, Pixels
from transferbench.data.scenes.scene import Scene
from transferbench.errors import RunFailed, UserError
from transferbench.models.fast_field import FastField
from transferbench.models.fields import OwnField
from transferbench.models.hash_grid import HashGrid
from transferbench.models.hierarchical import Hierarchical
from transferbench.models.marched import Marched
from transferbench.models.nerf import NeRF
from transferbench.models.occupancy import OccupancyGrid
from transferbench.nerf.cameras import look_at
from transferbench.outputs import checkpoints_in
from transferbench.tasks import field as field_task
from transferbench.tasks.field import FieldFitting
from transferbench.tasks.field_examination import examine_field
from transferbench.world.studio import open_scene

SIZE, FRAMES = 12, 8
QUIET = {
    "logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu",
    "enable_model_summary": False,
}  # fmt: skip


def made_scene(**changed: Any) -> Scene:
    """A ball, red on its right and green on its left, seen from a ring of cameras; nothing behind it."""
    angles = np.linspace(0, 2 * np.pi, FRAMES, endpoint=False)
    poses = np.stack([look_at((3 * np.cos(a), 3 * np.sin(a), 0.8), (0, 0, 0)) for a in angles])
    grid = np.arange(SIZE) + 0.5 - SIZE / 2
    ball = grid[:, None] ** 2 + grid[None] ** 2 < 14
    images = np.zeros((FRAMES, SIZE, SIZE, 4), np.uint8)
    images[:, ball, 3] = 255
    images[..., :2] = np.where(grid[:, None] > 0, (220, 40), (30, 190))
    given = {
        "name": "made",
        "names": tuple(f"f{k}" for k in range(FRAMES)),
        "images": images,
        "poses": poses,
        "intrinsics": np.tile([15.0, 15, SIZE / 2, SIZE / 2], (FRAMES, 1)),
        "distortion": np.zeros((FRAMES, 6)),
        "near": np.full(FRAMES, 1.5),
        "far": np.full(FRAMES, 4.5),
        "box": np.array([[-1.0] * 3, [1.0] * 3]),
        "train": (0, 1, 2, 4, 5, 6),
        "test": (3, 7),
        "background": "white",
    }
    return Scene(**{**given, **changed})


class Made(SceneData):
    def __init__(self, scene: Scene, steps: int = 60, rays: int = 128) -> None:
        super().__init__(None, Draw(rays=rays), epoch_steps=steps, watched=2)
        self.made = scene
        self.setup()

    def read(self) -> Scene:
        return self.made


def fast() -> Marched:
    torch.manual_seed(0)
    field = FastField(HashGrid(levels=3, log2_table=12, coarsest=4, finest=16), width=16)
    return Marched(field, OccupancyGrid(16), samples=32, budget=4096, every=4)


def nets() -> Hierarchical:
    torch.manual_seed(0)
    return Hierarchical(*(NeRF(depth=2, width=32, skip=9, position_frequencies=4) for _ in range(2)), 12, 12)


def fitting(model: Any = None, scene: Scene | None = None, **settings: Any) -> tuple[FieldFitting, Made]:
    adam = functools.partial(torch.optim.Adam, betas=(0.9, 0.99), eps=1e-15)
    task = FieldFitting(fast() if model is None else model, **{"optimizer": adam, "lr": 1e-2, **settings})
    data = Made(made_scene() if scene is None else scene)
    task.check_data(data)
    return task, data


class Spy(Callback):
    def __init__(self) -> None:
        self.losses: list[float] = []
        self.rates: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(float(outputs["loss"]))

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.rates.append(optimizer.param_groups[0]["lr"])


@pytest.mark.parametrize(("model", "background"), [(fast, "random"), (fast, "scene"), (nets, "scene")])
def test_fitting_lowers_the_loss_and_the_test_error(model: Callable[[], Any], background: str, tmp_path: Path) -> None:
    task, data = fitting(model(), background=background, lr=1e-2 if model is fast else 3e-3)
    before = task.examine(data, {}, "cpu").metrics["field/test/psnr"]
    spy = Spy()
    trainer = Trainer(max_epochs=2, callbacks=[spy], default_root_dir=tmp_path, **QUIET)
    trainer.fit(task, data)
    assert len(spy.losses) == 120 and np.mean(spy.losses[-10:]) < 0.5 * np.mean(spy.losses[:10])
    assert spy.rates == pytest.approx(task.rates(120, 0).tolist())
    examined = task.examine(data, {}, "cpu")
    assert examined.metrics["field/test/psnr"] > before + 4
    assert {"field/test/psnr", "field/test/ssim", "field/seconds_per_view"} <= set(examined.metrics)
    assert [panel["title"] for panel in examined.panels] == ["View f3", "View f7"]
    assert {name for name, _ in examined.panels[0]["pictures"]} == {"image", "rendered", "difference x 4", "depth"}
    assert "2 held-out views of 12 x 12 pixels; 6 fitted to." in examined.facts[0]
    assert float(trainer.callback_metrics["val/psnr"]) == pytest.approx(examined.metrics["field/test/psnr"], abs=1e-3)


@pytest.mark.parametrize("model", [fast, nets])
def test_a_compiled_fit_leaves_the_names_and_results_of_an_uncompiled_one(
    model: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    eager = functools.partialmethod(torch.nn.Module.compile, backend="eager")  # traced, but no compiler is called
    monkeypatch.setattr(torch.nn.Module, "compile", eager)
    weights = []
    for compiled in (False, True):
        torch.manual_seed(0)
        task, data = fitting(model(), compile=compiled)
        Trainer(max_steps=4, default_root_dir=tmp_path, **QUIET).fit(task, data)
        traced = [getattr(task.backbone, name)._compiled_call_impl for name in task.backbone.featured]
        assert all((one is not None) == compiled for one in traced)
        weights.append(task.state_dict())
    assert list(weights[0]) == list(weights[1])
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, msg=lambda text, key=key: f"{key}: {text}")


def test_the_loss_falls_on_a_batch_that_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    task, data = fitting(nets())
    monkeypatch.setattr(task, "watch", lambda loss: None)
    monkeypatch.setattr(field_task, "LOOK", 10**9)
    monkeypatch.setattr(FieldFitting, "global_step", 1)
    batch, optimiser, losses = next(iter(data.train_dataloader())), task.optimiser(), []
    optimiser.param_groups[0]["lr"] = 5e-3
    for _ in range(40):
        optimiser.zero_grad()
        losses.append(task.training_step(batch, 0))
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_the_objective_is_its_formula(loss: str) -> None:
    task, data = fitting(nets(), loss=loss)
    frames, rows, columns, pixels = next(iter(data.train_dataloader()))
    rays = task.views.rays(frames, rows, columns)
    passes = task.backbone(rays, torch.ones(3))
    alpha = pixels[:, 3:] / 255
    truth = pixels[:, :3] / 255 * alpha + 1 - alpha
    expected = torch.zeros(())
    for one in passes:
        apart = (one.colour - truth).abs()
        huber = torch.where(apart < 0.1, apart**2 / 0.2, apart - 0.05)
        expected = expected + (apart**2 if loss == "squared" else huber).mean()
    torch.testing.assert_close(task.objective(passes, truth, rays), expected)


def test_views_that_take_long_are_told_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    fitting()
    assert not caplog.text
    monkeypatch.setattr(field_task, "MANY", SIZE * SIZE - 1)
    fitting()
    assert "12 x 12 pixels: a view takes about 0 s on a CPU; type data.size=480" in caplog.text


def test_the_rate_falls_exponentially() -> None:
    task, _ = fitting(lr=5e-4, decay_steps=250_000)
    rates = task.rates(250_001, 0)
    for step, expected in {0: 5e-4, 100_000: 1.990536e-4, 200_000: 7.924466e-5, 250_000: 5e-5}.items():
        assert rates[step] == pytest.approx(expected, rel=1e-6)
    assert fitting(lr=1e-2)[0].rates(1000, 0)[999] == pytest.approx(1e-3, rel=3e-3)


def test_backgrounds_in_training_and_in_judging() -> None:
    task, data = fitting(background="random")
    drawn = task.drawn_background(50)
    assert drawn.shape == (50, 3) and len(drawn.unique()) == 150
    assert (fitting()[0].drawn_background(5) == 1).all() and (task.truth(3)[0, 0] == 1).all()
    assert (fitting(scene=made_scene(background="black"))[0].truth(3)[0, 0] == 0).all()
    opaque, _ = fitting(scene=made_scene(images=data.scene.images[..., :3], background=None), background="random")
    assert len(opaque.drawn_background(50).unique()) == 150, "what is dark is not empty"


def test_where_a_scene_is() -> None:
    task, _ = fitting()
    assert not task.backbone.unbounded and task.backbone.centre.tolist() == [0, 0, 0] and task.backbone.reach == 1
    assert task.views.near.tolist() == [1.5] * FRAMES
    plain, _ = fitting(scene=made_scene(images=made_scene().images[..., :3], near=None, far=None, background=None))
    assert plain.backbone.unbounded, "images without an alpha channel have something behind the box"
    assert plain.backbone.reach == pytest.approx(3.1, abs=0.01)
    assert plain.views.near[0] == pytest.approx(0.31, abs=1e-2) and plain.views.far[0] > 3000


@pytest.mark.parametrize("model", [fast, nets])
def test_projected_rays_lie_in_a_box_of_their_own(model: Callable[[], Any]) -> None:
    poses = np.repeat(np.eye(4)[None], FRAMES, 0)
    poses[:, 0, 3] = np.linspace(-0.3, 0.3, FRAMES)
    frontal = made_scene(poses=poses, frontal=True, images=made_scene().images[..., :3], background=None)
    task, _ = fitting(model(), frontal, ndc=True)
    assert task.backbone.centre.tolist() == [0, 0, 0]
    seen = 11 / 12 + 2 * 15 / 12 * 0.3  # what cameras off the middle see, too
    assert task.backbone.reach == pytest.approx(seen if model is fast else 1.0)  # nets take coordinates as they are
    rays = task.views.whole(0)
    assert (rays.near == 0).all() and (rays.far == 1).all()
    torch.testing.assert_close(rays.origins[:, 2], torch.full((SIZE**2,), -1.0))
    assert torch.isfinite(task.view(0).colour).all()
    straight, _ = fitting(model(), frontal, ndc=False)
    assert straight.backbone.reach > 1 and straight.views.near[0] == 1.5
    around, _ = fitting(model(), ndc=True)
    assert not around.views.ndc, "cameras all around cannot be projected"


def one_colour(density: float, colour: float) -> Hierarchical:
    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own = torch.nn.Parameter(torch.zeros(()))

        def forward(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
            return torch.full(points.shape[:-1], density) + 0 * self.own, torch.full_like(points, colour)

    return Hierarchical(OwnField(Flat()), OwnField(Flat()), samples=4, more=4)


@pytest.mark.parametrize("background", ["scene", "random"])
@pytest.mark.parametrize("density", [0.0, 1e9])
def test_a_collapse_is_told(density: float, background: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_task, "SUSPICIOUS", 15)
    task, data = fitting(one_colour(density, 1.0), background=background)
    with pytest.raises(RunFailed, match=r"collapsed at step 20: .*scale\.precrop_steps=500"):
        Trainer(max_epochs=1, default_root_dir=tmp_path, **QUIET).fit(task, data)


def test_images_of_one_colour_are_no_collapse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_task, "SUSPICIOUS", 15)
    scene = made_scene(images=np.full((FRAMES, SIZE, SIZE, 3), 255, np.uint8), background=None)
    task, data = fitting(one_colour(1e9, 1.0), scene)
    Trainer(max_epochs=1, default_root_dir=tmp_path, **QUIET).fit(task, data)


def test_a_loss_that_is_not_a_number_ends_the_run(tmp_path: Path) -> None:
    model = fast()
    with torch.no_grad():
        model.field.paint[-1].bias.fill_(float("nan"))
    task, data = fitting(model)
    with pytest.raises(RunFailed, match="the loss became nan at step 0"):
        Trainer(max_epochs=1, default_root_dir=tmp_path, **QUIET).fit(task, data)


def test_a_few_rays_and_no_ray_that_hits_the_box() -> None:
    task, _ = fitting()
    task.backbone.train()
    rays = task.views.rays(torch.zeros(3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64), torch.arange(3))
    rays = replace(rays, directions=-rays.directions)
    found = task.backbone(rays, torch.ones(3, 3))[0]
    assert task.backbone.affordable(rays) == 3 and (found.colour == 1).all()
    found.colour.sum().backward()


def test_what_is_no_scene_or_no_option() -> None:
    task, _ = fitting()
    with pytest.raises(UserError, match="data=world_scene, or data=scene"):
        task.check_data(object())
    for wrong in ({"loss": "l1"}, {"background": "blue"}):
        with pytest.raises(UserError, match="expected squared or huber"):
            fitting(**wrong)


def test_places_that_single_precision_cannot_tell_apart() -> None:
    scene, shift = made_scene(), np.array([5e5, 5e6, 100.0])
    poses = scene.poses.copy()
    poses[:, :3, 3] += shift
    with pytest.raises(UserError, match=r"stand 5e\+06 from the origin.*subtract their mean"):
        fitting(scene=replace(scene, poses=poses, box=scene.box + shift))


def test_inverse_depth_has_no_place_for_rays_that_begin_at_nothing() -> None:
    model = Hierarchical(*(NeRF(depth=2, width=8) for _ in range(2)), 4, 4, inverse=True)
    with pytest.raises(UserError, match=r"model\.inverse=false"):
        fitting(model, made_scene(near=np.zeros(FRAMES)))
    fitting(model)


def test_cameras_all_around_have_no_normalised_device_coordinates() -> None:
    with pytest.raises(UserError, match=r"task\.ndc=false, or data\.spherify=true"):
        fitting(nets(), made_scene(frontal=True, box=None), ndc=True)


def test_a_field_is_not_fitted_on_another_scene() -> None:
    model = fast()
    fitting(model)
    fitting(model, made_scene(images=np.zeros((FRAMES, SIZE, SIZE, 4), np.uint8)))  # of the same cameras
    with pytest.raises(UserError, match="fitted to another scene"):
        fitting(model, replace(made_scene(), poses=made_scene().poses[::-1].copy() * [1, 1, 1, 2]))
    with pytest.raises(UserError, match=r"task\.pixel_centre"):
        fitting(model, pixel_centre=0.0)


def test_pixels_that_masks_leave_out_are_not_judged() -> None:
    task, data = fitting()
    plain = examine_field(task, data, "cpu").metrics["field/test/psnr"]
    ignored = np.zeros((FRAMES, SIZE, SIZE), bool)
    ignored[:, :, : SIZE // 2] = True
    data.made = replace(data.scene, ignored=ignored)
    data._scene = data.made
    found = examine_field(task, data, "cpu")
    errors = []
    for frame in data.scene.test:
        with torch.no_grad():
            shown = task.eval().view(frame).colour.clamp(0, 1).view(SIZE, SIZE, 3)
        squared = (shown - task.truth(frame)).square()[:, SIZE // 2 :]
        errors.append(-10 * np.log10(float(squared.mean()) / 2))
    assert found.metrics["field/test/psnr"] == pytest.approx(np.mean(errors), abs=1e-3) and found.metrics[
        "field/test/psnr"
    ] != pytest.approx(plain, abs=1e-2)
    assert any("masks leave out" in fact for fact in found.facts)


def test_a_batch_has_the_model_s_rays_and_no_more() -> None:
    task, data = fitting()
    batch = next(iter(data.train_dataloader()))
    assert isinstance(batch, Pixels) and batch.colours.dtype == torch.uint8
    task.backbone.per_ray.fill_(100.0)
    assert task.backbone.affordable(task.views.rays(*batch[:3])) == 40


SMALL = (
    "data.size=20", "+data.progress=false", "scale.epochs=2", "scale.epoch_steps=4", "scale.rays=256",
    "scale.sample_budget=4096", "scale.grid_levels=2", "scale.grid_table=10", "scale.grid_finest=32",
    "scale.grid_samples=32", "scale.occupancy=16", "scale.samples=6", "scale.more_samples=6", "scale.field_width=16",
    "scale.workers=0", "callbacks.checkpoints.every_steps=1", "callbacks.checkpoints.keep=99",
    "trainer.log_every_n_steps=1",
)  # fmt: skip
Fit = Callable[..., Path]


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Carry out an experiment on a small stage of the world, and return its folder."""
    outputs = tmp_path_factory.mktemp("runs")
    cache = outputs / "cache"
    few = {"lemmas": ("barrel", "cactus", "mug"), "objects": 3, "train": 4, "val": 2, "test": 2}

    def run(experiment: str, *more: str, run: str = "a") -> Path:
        words = [f"+experiment={experiment}", *SMALL, *more, f"outputs={outputs}", f"run={run}"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(cache))
            patch.setattr(world, "open_scene", lambda kind, *rest, **kept: open_scene(kind, *rest, **{**kept, **few}))
            assert cli.command(["transferbench", *words]) == 0
        return outputs / experiment / run

    return run


def test_two_epochs_on_the_world_and_a_report(fit: Fit) -> None:
    for experiment in ("nerf_fast", "nerf"):
        folder = fit(experiment)
        metrics = json.loads((folder / "summary.json").read_text())["metrics"]
        assert {"field/test/psnr", "field/test/ssim", "val/psnr", "train/loss"} <= set(metrics)
        page = (folder / "report.html").read_text()
        assert "held-out views" in page and "View test_r_0" in page


def test_a_fit_that_is_taken_up_again_ends_as_if_it_had_not_been_cut(fit: Fit) -> None:
    often = "model.every=2"  # updates of the occupancy grid, which draw random numbers
    whole = fit("nerf_fast", often, run="whole")
    files = checkpoints_in(whole / "checkpoints")
    assert [int(file.stem[5:]) for file in files] == list(range(1, 9))
    for step in (2, 4, 7):  # in the middle of an epoch, at its end, in the next one
        again = whole.with_name(f"from{step}")
        shutil.copytree(whole, again)
        for file in [again / "summary.json", *checkpoints_in(again / "checkpoints")[step:]]:
            file.unlink()
        text = (again / "config.yaml").read_text()
        (again / "config.yaml").write_text(text.replace("run: whole", f"run: from{step}"))
        fit("nerf_fast", often, run=f"from{step}")
        first, second = (
            torch.load(checkpoints_in(folder / "checkpoints")[-1], weights_only=True) for folder in (whole, again)
        )
        assert set(first["state_dict"]) == set(second["state_dict"])
        for key, value in first["state_dict"].items():
            assert torch.equal(value, second["state_dict"][key]), (step, key)
        for key, value in first["optimizer_states"][0]["state"][0].items():
            assert torch.equal(value, second["optimizer_states"][0]["state"][0][key]), (step, key)


def test_a_field_opens_alone_and_renders(fit: Fit, without_frameworks: Callable[[str], str]) -> None:
    folder = fit("nerf_fast", run="a")
    code = f"""
import numpy as np, torch, transferbench
from transferbench.nerf.views import Views
from transferbench.nerf.cameras import look_at
network = transferbench.load({str(folder)!r})
pose = look_at((0.0, -4.0, 1.5), (0.0, 0.0, 0.2))[None]
views = Views(pose, np.array([[8.0, 8, 4, 3]]), np.zeros((1, 6)), (6, 8), 2.0, 6.0)
shown = network.field.render(views.whole(0), torch.ones(3))
print(tuple(shown.colour.shape), shown.opacity.sum().item() > 0, network.head, network.training)
"""
    assert "(48, 3) True None False" in without_frameworks(code)
    network = transferbench.load(folder)
    assert network.field is network.backbone
