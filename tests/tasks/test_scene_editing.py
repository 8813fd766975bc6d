"""Taking a ball out of a scene of two, by one click."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from transferbench.data.scenes.scene import Scene
from transferbench.errors import UserError
from transferbench.models.fields import Edit, FeaturedField, OwnField, with_features
from transferbench.models.hierarchical import Hierarchical
from transferbench.models.marched import Marched
from transferbench.models.occupancy import OccupancyGrid
from transferbench.nerf.cameras import look_at
from transferbench.tasks.scene_editing import SceneEditing, decibels

SIZE = 32
LEFT, RIGHT = torch.tensor([-0.5, 0.0, 0.0]), torch.tensor([0.5, 0.0, 0.0])


def balls(points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
    """Two opaque balls, a red one on the left and a blue one on the right, in the unit cube that is [-1, 1]."""
    places = points * 2 - 1
    inside = ((places - LEFT).norm(dim=-1) < 0.3) | ((places - RIGHT).norm(dim=-1) < 0.3)
    red = (places[..., :1] < 0).float()
    return inside.float() * 200, torch.cat([red, torch.zeros_like(red), 1 - red], -1)


class Sides(nn.Module):
    """Features that tell left from right."""

    channels = 2

    def __init__(self, latent: int) -> None:
        super().__init__()

    def forward(self, points: Tensor, latent: Tensor | None) -> Tensor:
        right = points[..., 0] > 0.5
        return torch.stack([~right, right], -1).float() * 3


def model() -> Any:
    return with_features(Marched(OwnField(balls), OccupancyGrid(8), samples=64), Sides)


@pytest.fixture()
def data(tmp_path: Path) -> Any:
    poses = np.stack([look_at((0.4 * k - 0.6, -3.0, 0.5), (0, 0, 0)) for k in range(4)])
    scene = Scene(
        name="balls", names=tuple(f"f{k}" for k in range(4)), images=np.zeros((4, SIZE, SIZE, 4), np.uint8),
        poses=poses, intrinsics=np.tile([40.0, 40, SIZE / 2, SIZE / 2], (4, 1)), distortion=np.zeros((4, 6)),
        near=np.full(4, 1.0), far=np.full(4, 5.0), box=np.array([[-1.0] * 3, [1.0] * 3]), train=(0, 1), test=(2, 3),
        labels=np.zeros((4, SIZE, SIZE), np.uint8), label_names=("red ball", "blue ball"), background="white",
    )  # fmt: skip
    task = editing(model())
    task.check_data(SimpleNamespace(scene=scene, name="balls"))
    for frame in range(4):
        shown = task.view(frame)
        colour = (shown.colour.reshape(SIZE, SIZE, 3).clamp(0, 1) * 255).round().byte().numpy()
        hit = (shown.opacity > 0.5).reshape(SIZE, SIZE).numpy()
        scene.images[frame] = np.dstack([colour, np.where(hit, 255, 0).astype(np.uint8)])
        scene.labels[frame][hit] = np.where(colour[hit][:, 0] > colour[hit][:, 2], 1, 2)
        if frame in scene.test:
            for label in (1, 2):
                rest = scene.images[frame] * (scene.labels[frame] != label)[..., None]
                Image.fromarray(rest.astype(np.uint8)).save(tmp_path / f"{label}_{frame}.png")
    assert {1, 2} <= set(np.unique(scene.labels).tolist())
    return SimpleNamespace(
        scene=scene, name="balls", without=lambda label: {f: tmp_path / f"{label}_{f}.png" for f in scene.test}
    )


def editing(backbone: Any, **options: Any) -> SceneEditing:
    class Loose(SceneEditing):
        def check_data(self, data: Any) -> None:
            if data.scene.labels.any():
                super().check_data(data)
            else:
                super(SceneEditing, self).check_data(data)

    return Loose(backbone, edit=functools.partial(Edit), **options)


def test_a_thing_is_gone_and_the_rest_is_as_it_was(data: Any) -> None:
    task = editing(model())
    task.check_data(data)
    found = task.examine(data, {}, "cpu")
    assert found.metrics["field/edit/psnr_before"] < 10 < 25 < found.metrics["field/edit/psnr_after"]
    assert set(found.metrics) >= {"field/edit/psnr_after/red_ball", "field/edit/threshold/blue_ball"}
    assert [panel["title"].split(",")[0] for panel in found.panels] == ["red ball", "blue ball"]
    assert all(field.edit is None for field in [task.backbone.field])  # nothing stays edited


def test_extracting_leaves_the_thing_alone(data: Any) -> None:
    task = editing(model(), target="blue ball", mode="extract", threshold=1.0)
    task.check_data(data)
    assert [click.name for click in task.clicks] == ["blue ball"]
    found = task.examine(data, {}, "cpu")
    assert "field/edit/psnr_after" not in found.metrics  # nobody rendered that
    left = dict(found.panels[0]["pictures"])["extract"]
    red = (left[..., 0] > 150) & (left[..., 2] < 100)
    blue = (left[..., 2] > 150) & (left[..., 0] < 100)
    assert not red.any() and blue.sum() > 20


def test_of_things_that_there_are_two_of_nobody_rendered_the_scene_without_both(data: Any) -> None:
    both = replace(data.scene, label_names=("ball", "ball"))
    task = editing(model(), target="ball", threshold=1.0)
    named = SimpleNamespace(scene=both, name="balls", without=data.without)
    task.check_data(named)
    found = task.examine(named, {}, "cpu")
    assert set(found.metrics) == {"field/edit/threshold/ball"} and len(found.panels) == 1


def test_a_thing_that_no_held_out_view_shows_spoils_no_mean(data: Any) -> None:
    scene = data.scene
    for frame in scene.test:
        scene.labels[frame][scene.labels[frame] == 1] = 0
    task = editing(model())
    task.check_data(data)
    found = task.examine(data, {}, "cpu").metrics
    assert "field/edit/psnr_after/red_ball" not in found and np.isfinite(list(found.values())).all()


def test_without_held_out_views_the_fitted_ones_are_shown(data: Any) -> None:
    data.scene = replace(data.scene, test=())
    data.without = lambda label: {}
    task = editing(model(), target="red ball")
    task.check_data(data)
    found = task.examine(data, {}, "cpu")
    assert len(found.panels) == 1 and set(found.metrics) == {"field/edit/threshold/red_ball"}


def test_the_coarse_field_may_stay_as_it_is() -> None:
    pair = with_features(Hierarchical(OwnField(balls), OwnField(balls)), Sides)
    for coarse, edited in ((True, [True, True]), (False, [False, True])):
        with editing(pair, coarse=coarse).taken_out(torch.tensor([1.0, 0.0]), 0.5):
            assert [field.edit is not None for field in (pair.coarse, pair.fine)] == edited


def test_an_edit_compares_what_is_rendered_or_what_is_raw() -> None:
    raw = torch.tensor([[5.0, 1.0], [1.0, 5.0]])
    query = torch.nn.functional.normalize(torch.tensor([1.0, 0.2]), dim=0)
    assert Edit(query, 0.05, squash=False).gone(raw).tolist() == [True, False]
    assert Edit(query, 0.05).gone(raw).tolist() == [False, False]  # tanh brings both close to the diagonal
    assert Edit(query, 0.05, "extract", False).gone(raw).tolist() == [False, True]


def test_an_edit_empties_the_density_that_marching_asks_for() -> None:
    field = model().field
    assert isinstance(field, FeaturedField)
    points, views = torch.tensor([[0.25, 0.5, 0.5], [0.75, 0.5, 0.5], [0.5, 0.1, 0.1]]), torch.zeros(3, 3)
    assert field.density(points, views).tolist() == [200, 200, 0]
    field.edit = Edit(torch.tensor([1.0, 0.0]), 0.5)
    assert field.density(points, views).tolist() == [0, 200, 0]
    assert field(points, views).density.tolist() == [0, 200, 0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "hide"}, "expected remove or extract"),
        ({"threshold": 3.0}, r"threshold in \[0, 2\]"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        editing(model(), **options)


def test_fields_without_features_and_unknown_things(data: Any) -> None:
    plain = Hierarchical(OwnField(balls), OwnField(balls))
    with pytest.raises(UserError, match="no features to edit by"):
        editing(plain)
    with pytest.raises(UserError, match="expected one of red ball, blue ball"):
        editing(model(), target="cube").check_data(data)
    assert decibels([0.01, 0.01]) == pytest.approx(20)
