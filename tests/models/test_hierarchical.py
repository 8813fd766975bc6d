"""A coarse and a fine field: what is rendered, of what, and with which weights."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from transferbench.errors import UserError
from transferbench.models.fields import Branch, OwnField, with_features
from transferbench.models.hierarchical import Hierarchical
from transferbench.models.nerf import NeRF
from transferbench.nerf.bundle import Rays
from transferbench.nerf.rendering import composite, render
from transferbench.nerf.sampling import refined
from transferbench.nerf.views import Views

WHITE = torch.ones(3)


def bundle(near: float = 1.0, far: float = 4.0) -> Rays:
    pose = np.eye(4)
    pose[:3, 3] = 0.1, -0.2, 2.5
    return Views(pose[None], np.array([[6.0, 6, 3, 2]]), np.zeros((1, 6)), (4, 6), near, far).whole(0)


def small(**settings) -> Hierarchical:
    torch.manual_seed(0)
    nets = [NeRF(depth=2, width=16, skip=0, density="softplus") for _ in range(2)]
    return Hierarchical(*nets, **{"samples": 8, "more": 9, **settings}).eval()


def test_the_fine_field_looks_where_the_coarse_one_found_something() -> None:
    model, rays = small(), bundle()
    z = torch.linspace(1, 4, 8).expand(24, 8)
    norm = rays.directions.norm(dim=1)

    def seen(field: NeRF, z: Tensor) -> tuple[Tensor, Tensor]:
        points = rays.origins[:, None] + z[..., None] * rays.directions[:, None]
        values = field(points, rays.views[:, None].expand_as(points))
        shown = render(values.density, values.colour, z, norm, background="white")
        return shown.colour, shown.weights

    coarse, fine = model(rays, WHITE)
    colour, weights = seen(model.coarse, z)
    torch.testing.assert_close(coarse.colour, colour)
    torch.testing.assert_close(fine.colour, seen(model.fine, refined(z, weights, 9, jitter=False))[0])
    assert fine.weights.shape == (24, 17)
    (gradient,) = torch.autograd.grad(fine.colour.sum(), model.coarse.sigma.weight, allow_unused=True)
    assert gradient is None, "samples carry no gradient"


def test_pictures_do_not_depend_on_the_size_of_chunks() -> None:
    rays, pictures = bundle(), [small(chunk=chunk).render(bundle(), WHITE) for chunk in (5, 24, 1000)]
    for one in pictures[1:]:
        torch.testing.assert_close(one.colour, pictures[0].colour, rtol=0, atol=1e-5)
        torch.testing.assert_close(one.depth, pictures[0].depth, rtol=0, atol=1e-5)
    assert not pictures[0].colour.requires_grad and len(pictures[0].colour) == len(rays)
    assert all(one.weights.shape == (24, 0) for one in pictures), "nobody reads them there"


def test_nothing_before_white_is_white_and_before_black_black() -> None:
    empty = OwnField(lambda points, directions: (torch.zeros(points.shape[:-1]), points))
    model = Hierarchical(empty, empty, samples=8, more=8).eval()
    assert (model.render(bundle(), WHITE).colour == 1).all()
    assert (model.render(bundle(), None).colour == 0).all()


def test_a_function_stands_in_for_a_field() -> None:
    def wall(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        return 1e4 * (points[..., 2] < 0), torch.tensor([0.1, 0.5, 0.9]).expand_as(points)

    found = Hierarchical(OwnField(wall), OwnField(wall), samples=32, more=64).eval().render(bundle(), WHITE)
    torch.testing.assert_close(found.colour, torch.tensor([[0.1, 0.5, 0.9]]).expand(24, 3), rtol=0, atol=1e-4)
    torch.testing.assert_close(found.depth, torch.full((24,), 2.5), rtol=0, atol=0.05)


def test_jitter_and_noise_are_for_training() -> None:
    model, rays = small(noise=1.0), bundle()
    first, second = model(rays, WHITE)[-1], model(rays, WHITE)[-1]
    assert torch.equal(first.colour, second.colour)
    model.train()
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(model(rays, WHITE)[-1].colour)
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert model.affordable(rays) == 24
    model.after_step(16)


def test_inverse_depth_takes_more_samples_nearby() -> None:
    asked: list[Tensor] = []

    def spy(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(points)
        return torch.zeros(points.shape[:-1]), points

    rays = bundle(1.0, 10.0)
    Hierarchical(OwnField(spy), OwnField(spy), samples=4, more=4, inverse=True).eval()(rays, None)
    depth = (rays.origins[:, None] - asked[0])[..., 2]
    torch.testing.assert_close(1 / depth, torch.linspace(1, 0.1, 4).expand(24, 4))


def test_an_unbounded_scene_is_brought_to_the_unit_cube_and_others_are_left_where_they_are() -> None:
    asked: list[Tensor] = []

    def spy(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(points)
        return torch.ones(points.shape[:-1]), points * 0 + 0.5

    model, rays = Hierarchical(OwnField(spy), OwnField(spy), samples=8, more=8, last=0.1).eval(), bundle()
    plain = model.render(rays, None)
    model.place(torch.tensor([0.0, 1, 2]), torch.tensor([4.0, 5, 6]), False)
    assert torch.equal(model.render(rays, None).colour, plain.colour)
    model.place(torch.tensor([0.0, 1, 2]), torch.tensor([4.0, 5, 6]), True)
    model.render(rays, None)
    torch.testing.assert_close(asked[4], (asked[0] - torch.tensor([2.0, 3, 4])) / 2)
    far = replace(rays, origins=2 * rays.origins + torch.tensor([2.0, 3, 4]), directions=2 * rays.directions)
    torch.testing.assert_close(model.render(far, None).colour, plain.colour)


def test_both_fields_features_are_squashed_and_composited() -> None:
    model, rays = with_features(small(), functools.partial(Branch, channels=5), True), bundle()
    coarse, fine = model(rays, WHITE)
    z = torch.linspace(1, 4, 8).expand(24, 8)
    points = rays.origins[:, None] + z[..., None] * rays.directions[:, None]
    raw = model.coarse(points, rays.views[:, None].expand_as(points)).features
    torch.testing.assert_close(coarse.features, composite(coarse.weights, raw.tanh()))
    assert fine.features.shape == (24, 5)


@pytest.mark.parametrize("shape", [True, False])
def test_features_may_change_where_things_are_or_not(shape: bool) -> None:
    model = with_features(small(), functools.partial(Branch, channels=4), True)
    model.features_shape = shape
    for name in model.featured:
        getattr(model, name).apart = not shape
    model(bundle(), WHITE)[-1].features.square().sum().backward()
    reached = [p.grad is not None and bool((p.grad != 0).any()) for p in model.fine.field.trunk.parameters()]
    assert all(reached) if shape else not any(reached)
    assert (model.fine.field.sigma.weight.grad is not None) == shape


def test_a_held_field_keeps_its_weights_and_colours() -> None:
    model, rays = small(), bundle()
    plain = model.render(rays, WHITE).colour
    with_features(model, functools.partial(Branch, channels=4), True)
    model.coarse.held = model.fine.held = True
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    kept = {name: p.clone() for name, p in model.named_parameters() if ".branch." not in name}
    sum(one.features.square().sum() for one in model.train()(rays, WHITE)).backward()
    optimiser.step()
    for name, parameter in model.named_parameters():
        assert (
            (parameter.grad is None and torch.equal(parameter, kept[name]))
            if name in kept
            else (parameter.grad is not None)
        ), name
    assert torch.equal(model.eval().render(rays, WHITE).colour, plain)


@pytest.mark.parametrize("settings", [{"samples": 1}, {"more": 0}, {"chunk": 0}])
def test_sizes_that_make_no_sense(settings: dict[str, int]) -> None:
    with pytest.raises(UserError, match="expected 2, 1 and 1 or more"):
        small(**settings)


def test_autocast_is_for_layers_and_moves_no_sample() -> None:
    asked: list[Tensor] = []

    def spy(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        asked.extend([points, directions])
        return 2 * points.abs().sum(-1), points.sin().abs()

    model, rays = Hierarchical(OwnField(spy), OwnField(spy), samples=8, more=8).eval(), bundle()
    model.place(torch.tensor([0.0, 1, 2]), torch.tensor([4.0, 5, 6]), True)
    plain = model(rays, WHITE)
    with torch.autocast("cpu", torch.bfloat16):
        again = model(rays, WHITE)
    assert len(asked) == 8 and all(torch.equal(one, other) for one, other in zip(asked[:4], asked[4:]))
    assert all(torch.equal(one.colour, other.colour) for one, other in zip(plain, again, strict=True))
