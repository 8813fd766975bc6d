"""Rendering where there may be something, against rendering everywhere, and what training tells the occupancy grid."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from transferbench.models import marched as module
from transferbench.models.fast_field import FastField
from transferbench.models.fields import Branch, GridBranch, OwnField, with_features
from transferbench.models.hash_grid import HashGrid
from transferbench.models.hierarchical import Hierarchical
from transferbench.models.marched import Marched
from transferbench.models.occupancy import OccupancyGrid
from transferbench.nerf.bundle import Rays
from transferbench.nerf.cameras import look_at
from transferbench.nerf.marching import stretch
from transferbench.nerf.views import Views

WHITE, BLACK = torch.ones(3), torch.zeros(3)
Grid = functools.partial(HashGrid, levels=2, log2_table=9, coarsest=4, finest=8)


def soft_ball(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """A ball of radius 0.6 about the middle of [-1, 1] whose density fades to its border, coloured by place."""
    apart = points.norm(dim=-1)
    return 8 * (0.6 - apart).clamp(min=0) / 0.6, points * 0.4 + 0.5


def in_unit_cube(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    return soft_ball(points * 2 - 1, directions)


def camera(size: int = 12, centre: float = 0.0, scale: float = 1.0, eye: tuple[float, ...] = (2.5, -1.5, 1.0)) -> Rays:
    pose = look_at(torch.tensor(eye).numpy() * scale + centre, [centre] * 3)
    views = Views(pose[None], torch.tensor([[size, size, size / 2, size / 2]]).numpy(), torch.zeros(1, 6).numpy(),
                  (size, size), 0.5 * scale, 6 * scale)  # fmt: skip
    return views.whole(0)


def marched(field: nn.Module | None = None, side: int = 16, **settings) -> Marched:
    own = OwnField(in_unit_cube) if field is None else field
    return Marched(own, OccupancyGrid(side), **{"samples": 256, **settings}).eval()


def fast(**settings) -> Marched:
    torch.manual_seed(0)
    field = FastField(Grid(), width=16)
    with torch.no_grad():
        field.grid.table.normal_()
    return marched(field, **{"samples": 32, **settings})


def settled(model: Marched, updates: int = 8) -> Marched:
    """Look everywhere often, as training does."""
    for _ in range(updates):
        points = torch.rand(20 * model.occupancy.side**3 if model.occupancy.side < 40 else 2**19, 3)
        model.occupancy.met(points, model._stretched(points, model.density(points, points)))
        model.after_step(0)
    return model


def test_a_ball_looks_as_it_does_sampled_everywhere() -> None:
    rays = camera()
    with torch.no_grad():
        dense = Hierarchical(OwnField(soft_ball), OwnField(soft_ball), samples=400, more=400).eval()(rays, WHITE)[-1]
    ours = marched(opaque=0.0).render(rays, WHITE)
    torch.testing.assert_close(ours.colour, dense.colour, rtol=0, atol=5e-3)
    torch.testing.assert_close(ours.opacity, dense.opacity, rtol=0, atol=5e-3)
    torch.testing.assert_close(ours.depth, dense.depth, rtol=0, atol=2e-2)
    hit = dense.opacity > 0.1
    torch.testing.assert_close(ours.disparity[hit], dense.disparity[hit], rtol=0, atol=5e-3)
    assert 0.1 < hit.float().mean() < 0.9


def test_the_ray_through_the_middle_is_the_closed_form() -> None:
    rays = Rays(*(part[:1] for part in camera().parts()))
    through = replace(rays, origins=torch.tensor([[-3.0, 0, 0]]), directions=torch.tensor([[2.0, 0, 0]]))
    found = marched(opaque=0.0).render(through, BLACK)
    assert found.opacity.item() == pytest.approx(1 - math.exp(-8 * 0.6), abs=1e-3)  # the integral is 8 x 0.6


def test_empty_cells_are_left_out_and_nothing_changes() -> None:
    rays, model = camera(), marched()
    model.occupancy.threshold = 1e-3  # the ball's border is soft
    before, asked = model.render(rays, WHITE), len(model.march(rays, False)[0].ray)
    settled(model)
    occupied = model.occupancy.occupied.float().mean()
    assert 0.05 < occupied < 0.3
    assert len(model.march(rays, False)[0].ray) < 0.4 * asked
    torch.testing.assert_close(model.render(rays, WHITE).colour, before.colour, rtol=0, atol=1e-2)


@pytest.mark.parametrize("unbounded", [False, True])
def test_pictures_do_not_depend_on_the_size_of_chunks(unbounded: bool) -> None:
    rays, pictures = camera(), []
    for chunk in (7, 50, 999):
        model = fast(chunk=chunk)
        model.place(-torch.ones(3), torch.ones(3), unbounded)
        pictures.append(model.render(rays, WHITE))
    for one in pictures[1:]:
        torch.testing.assert_close(one.colour, pictures[0].colour, rtol=0, atol=1e-6)
        torch.testing.assert_close(one.depth, pictures[0].depth, rtol=1e-5, atol=1e-5)


def test_nothing_before_white_is_white_and_before_black_black() -> None:
    empty = marched(OwnField(lambda points, directions: (torch.zeros(len(points)), points)))
    for _ in range(2):
        assert (empty.render(camera(), WHITE).colour == 1).all()
        black = empty.render(camera(), BLACK)
        assert (black.colour == 0).all() and (black.disparity == 0).all()
        settled(empty)  # and with no sample at all
    assert len(empty.march(camera(), False)[0].ray) == 0
    each = torch.rand(144, 3)
    assert torch.equal(empty.render(camera(), each[:3].repeat(48, 1)).colour, each[:3].repeat(48, 1))


def test_a_scene_elsewhere_and_of_another_size_looks_the_same() -> None:
    model, rays = marched(), camera()
    plain = model.render(rays, WHITE)
    model.place(torch.full((3,), 7.0 - 3), torch.full((3,), 7.0 + 3), False)
    moved = model.render(camera(centre=7.0, scale=3.0), WHITE)
    torch.testing.assert_close(moved.colour, plain.colour, rtol=0, atol=2e-3)
    torch.testing.assert_close(moved.depth, 3 * plain.depth, rtol=0, atol=1e-2)


def test_training_samples_no_more_than_it_can_afford() -> None:
    model, rays = marched(budget=4000), camera(40)
    model.train()
    for _ in range(40):
        count = model.affordable(rays)
        model(rays[:count], WHITE)
    samples = len(model.march(rays[: model.affordable(rays)], True)[0].ray)
    assert 3000 < samples < 5000
    assert model.affordable(rays[:50]) <= 50
    model.per_ray.fill_(1e9)
    assert model.affordable(rays) == 32 and model.affordable(rays[:5]) == 5


def test_jitter_in_training_follows_from_the_seed_and_there_is_none_in_evaluation() -> None:
    model, rays = fast(), camera()
    assert torch.equal(model(rays, WHITE)[0].colour, model(rays, WHITE)[0].colour)
    model.train()
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(model(rays, WHITE)[0].colour)
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    torch.testing.assert_close(drawn[0].mean(), model.eval()(rays, WHITE)[0].colour.mean(), rtol=0.02, atol=0)


def test_colours_have_gradients_and_rendering_has_none() -> None:
    model = fast().train()
    model(camera(), WHITE)[0].colour.sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
    assert not model.render(camera(), WHITE).colour.requires_grad


def test_a_held_field_gets_no_gradient_and_keeps_its_colours() -> None:
    model, rays = fast(), camera()
    plain = model.render(rays, WHITE)
    with_features(model, functools.partial(GridBranch, channels=4, grid=Grid))
    model.field.held = True
    model.train()
    weights = {name: p.clone() for name, p in model.field.field.named_parameters()}
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    before = model.field.branch.net[0].weight.clone()
    model(rays, WHITE)[0].features.square().sum().backward()
    optimiser.step()
    for name, parameter in model.field.field.named_parameters():
        assert parameter.grad is None and torch.equal(parameter, weights[name]), name
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, buffers[name]), name
    assert not torch.equal(before, model.field.branch.net[0].weight)
    again = model.eval().render(rays, WHITE)
    assert torch.equal(again.colour, plain.colour) and torch.equal(again.depth, plain.depth)


def test_features_are_composited_with_the_colours_weights() -> None:
    model, rays = with_features(fast(opaque=0.0), functools.partial(GridBranch, channels=4, grid=Grid)), camera()
    with torch.no_grad():
        shown = model(rays, BLACK)[0]
    packed, points, views = model.march(rays, False)
    values = model.field(points, views)
    for ray in (0, 70, 143):
        own = packed.ray == ray
        expected = (shown.weights[own, None] * torch.tanh(values.features[own])).sum(0)
        torch.testing.assert_close(shown.features[ray], expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(model.render(rays, BLACK).features, shown.features, rtol=0, atol=2e-3)


@pytest.mark.parametrize("shape", [True, False])
def test_features_may_change_where_things_are_or_not(shape: bool) -> None:
    model = with_features(fast(), functools.partial(Branch, channels=4)).train()
    model.features_shape, model.field.apart = shape, not shape
    model(camera(), WHITE)[0].features.square().sum().backward()
    reached = [p.grad is not None and bool((p.grad != 0).any()) for p in model.field.field.shape.parameters()]
    assert all(reached) if shape else not any(reached)


def haze(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """A thin haze beyond 30 halves of the box, and nothing else: opaque, for it goes on for a thousand."""
    far = stretch(points).sqrt() > 30
    return 0.02 * far, torch.tensor([0.2, 0.4, 0.9]).expand_as(points)


def test_what_is_far_is_seen_in_an_unbounded_scene_and_thin_haze_is_not_forgotten() -> None:
    model = marched(OwnField(haze), side=64, samples=64)
    model.place(-torch.ones(3), torch.ones(3), True)
    rays = replace(camera(), far=torch.full((144,), 1000.0))
    assert model.render(rays, BLACK).opacity.min() > 0.99
    settled(model)
    assert model.occupancy.occupied.float().mean() < 0.2
    sky = model.render(rays, BLACK)
    assert sky.opacity.min() > 0.95
    torch.testing.assert_close(sky.colour[0] / sky.opacity[0], torch.tensor([0.2, 0.4, 0.9]), rtol=1e-3, atol=0)


def test_a_ray_that_misses_the_box_begins_at_its_near_end() -> None:
    model = marched(side=4)
    model.place(-torch.ones(3), torch.ones(3), True)
    outward = replace(camera(2, eye=(3.0, 0.0, 0.0)), near=torch.full((4,), 2.0), far=torch.full((4,), 50.0))
    outward = replace(outward, directions=torch.tensor([[0.3, 1, 0]] * 4), views=torch.tensor([[0.3, 1, 0]] * 4))
    packed, points, _ = model.march(outward, False)
    length = math.sqrt(1.09)
    assert packed.near.min().item() == pytest.approx(2 * length, rel=1e-5)
    assert packed.far.max().item() == pytest.approx(50 * length, rel=1e-4)
    assert (points >= 0).all() and (points <= 1).all()


def test_a_ray_that_misses_the_box_is_sampled_evenly_for_half_a_box() -> None:
    model = marched(side=4, samples=32)
    model.place(-torch.ones(3), torch.ones(3), True)
    away = torch.tensor([[0.3, 1, 0]] * 4)
    behind = replace(camera(2, eye=(1.2, 0.0, 0.0)), directions=torch.tensor([[1.0, 0, 0]] * 4), views=away)
    for rays in (replace(camera(2, eye=(3.0, 0.0, 0.0)), directions=away, views=away), behind):
        packed, _, _ = model.march(replace(rays, near=torch.full((4,), 0.1), far=torch.full((4,), 50.0)), False)
        close = packed.near < 1.0
        assert (packed.far - packed.near)[close].max() <= model.step + 1e-5
        assert packed.far.max() > 49


def test_what_stands_between_a_camera_and_the_box_is_seen() -> None:
    def plate(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        x = (points[..., 0] - 0.5) * 4  # contracted: 1.5 is at a distance of 2
        return 50.0 * ((x > 1.45) & (x < 1.6)), torch.ones_like(points)

    model = marched(OwnField(plate))
    model.place(-torch.ones(3), torch.ones(3), True)
    found = model.render(camera(4, eye=(2.9, 0.0, 0.0)), BLACK)
    assert found.opacity.min() > 0.99 and found.depth.max() < 1.3


def test_the_grid_learns_in_training_and_is_looked_after_in_its_turn() -> None:
    model, rays = marched(every=4), camera()
    model.train()
    model(rays, WHITE)
    assert model.occupancy.recent.max() > 4
    for step in range(1, 9):
        model.after_step(step)
    assert model.occupancy.updates == 2 and (model.occupancy.recent == -1).all()
    model.eval()(rays, WHITE)
    assert (model.occupancy.recent == -1).all(), "evaluation leaves no trace"


@pytest.mark.parametrize("unbounded", [False, True])
def test_autocast_moves_no_sample(unbounded: bool) -> None:
    model, rays = marched(), camera()
    model.place(-torch.ones(3), torch.ones(3), unbounded)
    (packed, *rest), shown = model.march(rays, False), model.render(rays, WHITE)
    with torch.autocast("cpu", torch.bfloat16):
        (again, *others), seen = model.march(rays, False), model.render(rays, WHITE)
    assert all(torch.equal(one, other) for one, other in zip([*packed, *rest], [*again, *others], strict=True))
    assert torch.equal(shown.colour, seen.colour) and torch.equal(shown.depth, seen.depth)


def test_a_field_is_asked_for_so_many_samples_together_and_a_picture_keeps_no_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def spy(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(len(points))
        return in_unit_cube(points, directions)

    model, rays = marched(OwnField(spy), opaque=0.0), camera()
    whole = model.render(rays, WHITE)
    assert len(asked) == 2 and whole.weights.numel() == 0
    counts = asked.copy()
    asked.clear()
    monkeypatch.setattr(module, "SAMPLES", 1000)
    split = model.render(rays, WHITE)
    assert max(asked) == 1000 and sum(asked) == sum(counts) and len(asked) == sum(-(-count // 1000) for count in counts)
    for one, other in zip(whole[:4], split[:4]):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_a_held_field_s_branch_gets_the_same_gradient_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = []
    for samples in (2**18, 500):
        monkeypatch.setattr(module, "SAMPLES", samples)
        model = with_features(fast(), functools.partial(GridBranch, channels=4, grid=Grid))
        model.field.held = True
        model.train()(camera(), WHITE)[0].features.square().sum().backward()
        gradients.append(model.field.branch.net[0].weight.grad)
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-6)
