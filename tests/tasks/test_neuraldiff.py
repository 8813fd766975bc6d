"""Fitting NeuralDiff to a made scene in which a square moves, and holding its masks against the truth."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning import Callback, Trainer
from sklearn.metrics import average_precision_score

from transferbench.data.scenes.module import SceneData
from transferbench.data.scenes.rays import Draw
from transferbench.data.scenes.scene import Scene
from transferbench.errors import UserError
from transferbench.models.neuraldiff import Decomposed, NeuralDiff
from transferbench.tasks.neuraldiff import NeuralDiffFitting, examine_motion, pictures, segmentation, truth_masks

HEIGHT, WIDTH, FRAMES = 9, 16, 12
TEST = (0, 5, 10)


def made_scene(**changed) -> Scene:
    """A square of 3 x 3 pixels that goes from left to right before a gradient; the lowest row is the actor's."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    room = np.stack([40 + 10 * rows, 60 + 8 * columns, np.full_like(rows, 120)], -1).astype(np.uint8)
    images, labels = np.repeat(room[None], FRAMES, 0), np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    for time in range(FRAMES):
        images[time, 3:6, time : time + 3] = (250, 240, 40)
        images[time, -1] = (200, 20, 20 * time)
        labels[time, 3:6, time : time + 3], labels[time, -1] = 1, 2
    labels[TEST[1]][labels[TEST[1]] == 1] = 0
    poses = np.repeat(np.eye(4)[None], FRAMES, 0)
    poses[:, 0, 3] = np.linspace(-0.2, 0.2, FRAMES)
    return Scene(
        **{
            "name": "made",
            "names": tuple(f"frame_{time}" for time in range(FRAMES)),
            "images": images,
            "poses": poses,
            "intrinsics": np.tile([WIDTH, WIDTH, WIDTH / 2, HEIGHT / 2], (FRAMES, 1)).astype(float),
            "distortion": np.zeros((FRAMES, 6)),
            "near": np.full(FRAMES, 1.0),
            "far": np.full(FRAMES, 3.0),
            "train": tuple(time for time in range(FRAMES) if time not in TEST),
            "test": TEST,
            "times": np.arange(FRAMES) + 3,
            "labels": labels,
            "label_names": ("dynamic", "actor"),
            **changed,
        }
    )


class Made(SceneData):
    def __init__(self, scene: Scene, steps: int = 30) -> None:
        super().__init__(None, Draw(rays=96), epoch_steps=steps, watched=1)
        self.made = scene
        self.setup()

    def read(self) -> Scene:
        return self.made


def fitting(scene: Scene | None = None, vocabulary: int = 40, **settings) -> tuple[NeuralDiffFitting, Made]:
    torch.manual_seed(0)
    model = NeuralDiff(
        depth=2, width=24, skip=9, stream_depth=2, stream_width=16, position_frequencies=4, appearance_size=4,
        vocabulary=vocabulary, samples=8, more=8,
    )  # fmt: skip
    given = {"optimizer": functools.partial(torch.optim.Adam, betas=(0.9, 0.999)), "lr": 5e-3, **settings}
    task, data = NeuralDiffFitting(model, **given), Made(made_scene() if scene is None else scene)
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


def view_of(size: int = 8, **changed) -> Decomposed:
    generator = torch.Generator().manual_seed(2)
    draw = functools.partial(torch.rand, generator=generator)
    made = Decomposed(draw(size, 3), draw(size), draw(size), draw(size), draw(size, 3) / 3)
    return made._replace(alone=draw(size, 3, 3), still=draw(size, 3))._replace(**changed)


def test_the_rate_falls_on_a_level_an_epoch() -> None:
    task, _ = fitting(lr=5e-4)
    rates = task.rates(1000, 0)
    assert rates.shape == (1000,) and np.unique(rates).size == 10
    for epoch, expected in {0: 5e-4, 1: 4.877644e-4, 5: 2.50005e-4, 9: 1.224563e-5}.items():
        assert rates[epoch * 100] == rates[epoch * 100 + 99] == pytest.approx(expected, rel=1e-6)
    assert (np.diff(task.rates(7, 0)) < 0).all(), "fewer steps than levels"


def test_the_objective_is_its_formula() -> None:
    task, data = fitting(sparsity=0.02)
    frames, rows, columns, pixels = next(iter(data.train_dataloader()))
    rays, truth = task.views.rays(frames, rows, columns), pixels.float() / 255
    coarse, fine = task.backbone.train()(rays, torch.zeros(3))
    beta = fine.beta[:, None]
    expected = 0.5 * ((coarse.colour - truth) ** 2).mean() + ((fine.colour - truth) ** 2 / (2 * beta**2)).mean()
    expected = expected + fine.beta.log().mean()
    expected = expected + 0.02 * (fine.densities[..., 1].mean() + fine.densities[..., 2].mean())
    torch.testing.assert_close(task.objective([coarse, fine], truth, rays), expected)


def test_fitting_lowers_the_loss_and_the_errors(tmp_path) -> None:
    task, data = fitting()
    spy = Spy()
    before = examine_motion(task, data, "cpu")[0]["field/test/psnr"]
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = Trainer(max_epochs=2, callbacks=[spy], enable_model_summary=False, default_root_dir=tmp_path, **quiet)
    trainer.fit(task, data)
    assert len(spy.losses) == 60 and np.mean(spy.losses[-10:]) < np.mean(spy.losses[:10]) - 0.5
    assert spy.rates == pytest.approx(task.rates(60, 0).tolist())
    assert examine_motion(task, data, "cpu")[0]["field/test/psnr"] > before + 1.5
    assert "val/psnr" in trainer.callback_metrics


def test_the_model_learns_which_frames_there_are() -> None:
    task, data = fitting()
    scene = data.scene
    times = torch.from_numpy(scene.times)
    assert torch.equal(task.views.times, times)
    nearest = [min(scene.train, key=lambda frame: abs(frame - time)) + 3 for time in range(FRAMES)]
    assert task.backbone.appearance.row[times].tolist() == nearest
    z = torch.linspace(1, 2, 4).expand(HEIGHT * WIDTH, 4)
    held, fitted = task.views.whole(5), task.views.whole(4)
    a = task.backbone.streams(held, z)
    b = task.backbone.streams(replace(held, times=fitted.times), z)
    assert torch.equal(a.colour[..., 0, :], b.colour[..., 0, :])


def test_what_cannot_be_fitted() -> None:
    with pytest.raises(UserError, match=r"stands still.*moving scene"):
        fitting(made_scene(times=None))
    with pytest.raises(UserError, match=r"model\.vocabulary=15"):
        fitting(vocabulary=10)
    with pytest.raises(UserError, match="levels=0"):
        fitting(levels=0)


def test_segmentation_is_scored_a_stream_and_together() -> None:
    view, truth = view_of(), torch.rand(2, 4, 3, generator=torch.Generator().manual_seed(3))
    dynamic, actor = np.arange(8) < 3, np.arange(8) == 6
    found = segmentation(view, truth, {"dynamic": dynamic, "actor": actor, "moving": dynamic | actor})
    residual = (view.still - truth.flatten(0, 1)).abs().mean(1).numpy()
    presence = view.presence.numpy()
    for name, mask, score in (
        ("dynamic", dynamic, presence[:, 1]),
        ("actor", actor, presence[:, 2]),
        ("moving", dynamic | actor, presence[:, 1] + presence[:, 2]),
    ):
        assert found[f"map/{name}"] == pytest.approx(average_precision_score(mask, score))
        assert found[f"map_static/{name}"] == pytest.approx(average_precision_score(mask, residual))
    assert segmentation(view, truth, {"moving": np.zeros(8, bool)}) == {"map/moving": None, "map_static/moving": None}


def test_masks_of_annotations() -> None:
    scene = made_scene()
    masks = truth_masks(scene, 3)
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {"dynamic": 9, "actor": 16, "moving": 25}
    together = made_scene(labels=(scene.labels > 0).astype(np.uint8), label_names=("foreground",))
    assert {name: int(mask.sum()) for name, mask in truth_masks(together, 3).items()} == {"moving": 25}
    some = made_scene(labelled=np.arange(FRAMES) != 3)
    assert truth_masks(some, 3) == {} and len(truth_masks(some, 4)) == 3
    assert truth_masks(made_scene(labels=None, label_names=()), 3) == {}


class Oracle:
    """In place of a fit: its masks are right, but for what it says of the second test frame."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def view(self, frame: int) -> Decomposed:
        labels = torch.from_numpy(self.scene.labels[frame]).flatten()
        shares = torch.stack([labels == label for label in range(3)], -1).float()
        if frame == TEST[1]:
            shares = torch.full_like(shares, 1 / 3)
        colour = self.truth(frame).flatten(0, 1) + 0.1
        return view_of(HEIGHT * WIDTH, presence=shares, colour=colour, still=torch.zeros_like(colour))

    def truth(self, frame: int) -> torch.Tensor:
        return torch.from_numpy(self.scene.images[frame]) / 255 * 0.9


def test_examination_averages_over_annotated_frames_with_something_to_find(monkeypatch: pytest.MonkeyPatch) -> None:
    task, _ = fitting()
    data = Made(made_scene(labelled=np.arange(FRAMES) != TEST[2]))
    oracle = Oracle(data.scene)
    monkeypatch.setattr(task, "view", oracle.view)
    monkeypatch.setattr(task, "truth", oracle.truth)
    metrics, facts, rows = examine_motion(task, data, "cpu")
    assert metrics["field/map/dynamic"] == 1.0, "the second frame has no such pixels and is left out"
    assert metrics["field/map/actor"] == pytest.approx((1 + WIDTH / (WIDTH * HEIGHT)) / 2)
    assert metrics["field/map/moving"] == pytest.approx((1 + WIDTH / (WIDTH * HEIGHT)) / 2)
    assert metrics["field/test/psnr"] == pytest.approx(20, abs=1e-3)
    wanted = {"dynamic", "actor", "moving"}
    assert {key.rpartition("/")[2] for key in metrics if key.startswith("field/map_static/")} == wanted
    assert "2 annotated test frames" in facts[0] and "dynamic 1, actor 2, moving 2" in facts[0]
    assert [title for title, _ in rows] == [f"Frame frame_{time} by streams" for time in TEST]
    assert [len(row) for _, row in rows] == [8, 8, 7], "no annotation of the last"
    assert all(
        picture.shape == (HEIGHT, WIDTH, 3) and picture.dtype == np.uint8 for _, row in rows for _, picture in row
    )


def test_without_annotations_there_are_no_precisions() -> None:
    task, _ = fitting()
    metrics, facts, _ = examine_motion(task, Made(made_scene(labels=None, label_names=())), "cpu")
    assert set(metrics) == {"field/test/psnr", "field/test/psnr_static"} and "no average precision" in facts[0]
    assert all(math.isfinite(value) for value in metrics.values())


def test_pictures_show_the_streams_and_masks() -> None:
    truth = torch.linspace(0, 1, 24).reshape(2, 4, 3)
    shares = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]] + [[1.0, 0, 0]] * 5)
    view = view_of(presence=shares)
    assert view.alone is not None
    masks = {"dynamic": np.arange(8) == 1, "actor": np.arange(8) == 2, "moving": np.arange(8) // 3 == 0}
    shown = dict(pictures(view, truth, masks))
    assert np.array_equal(shown["image"], (truth.numpy() * 255).round().astype(np.uint8))
    assert np.array_equal(shown["static"][1, 3], (view.alone[7, 0].numpy() * 255).round().astype(np.uint8))
    assert np.array_equal(shown["soft masks"], shown["annotation"])
    assert shown["annotation"][0].tolist() == [[0, 0, 0], [255, 140, 40], [50, 130, 255], [0, 0, 0]]
    together = dict(pictures(view, truth, {"moving": masks["dynamic"]}))["annotation"]
    assert together[0, 0].tolist() == [0, 0, 0] and together[0, 1].min() > 0


def test_the_examination_is_part_of_the_field_s() -> None:
    task, data = fitting()
    found = task.examine(data, {}, "cpu")
    assert {"field/test/psnr", "field/test/ssim", "field/map/moving"} <= set(found.metrics)
    titles = [panel["title"] for panel in found.panels]
    assert "Frame frame_0 by streams" in titles and len(titles) == 2 * len(TEST)
