"""Fields of one's own, branches of features, what is held and what is taken out."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from transferbench.errors import UserError
from transferbench.models.fast_field import FastField
from transferbench.models.fields import (
    Branch,
    Edit,
    FeaturedField,
    GridBranch,
    OwnField,
    with_features,
)
from transferbench.models.hash_grid import HashGrid
from transferbench.models.hierarchical import Hierarchical
from transferbench.models.marched import Marched
from transferbench.models.nerf import NeRF
from transferbench.models.neuraldiff import NeuralDiff
from transferbench.models.occupancy import OccupancyGrid
from transferbench.models.streams import StreamBranch

Grid = functools.partial(HashGrid, levels=2, log2_table=9, coarsest=4, finest=8)


def inputs(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    directions = torch.randn(*shape, 3, generator=generator)
    return torch.rand(*shape, 3, generator=generator), directions / directions.norm(dim=-1, keepdim=True)


def test_a_function_is_a_field_and_a_module_s_parameters_are_its_own() -> None:
    own = OwnField(lambda points, directions: (points[..., 0], directions.abs()))
    points, directions = inputs(4, 5)
    values = own(points, directions, noise=1.0)
    assert torch.equal(values.density, points[..., 0]) and torch.equal(values.colour, directions.abs())
    assert torch.equal(own.density(points, directions), points[..., 0]) and values.features is None

    class Learned(nn.Linear):
        def forward(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
            return super().forward(points)[..., 0].exp(), points

    assert len(list(OwnField(Learned(3, 1)).parameters())) == 2


@pytest.mark.parametrize("shape", [(6,), (4, 5)])
def test_branches_give_channels(shape: tuple[int, ...]) -> None:
    points, _ = inputs(*shape)
    latent = torch.randn(*shape, 7)
    assert Branch(7, 3)(points, latent).shape == (*shape, 3)
    assert Branch(7, 3, between=4)(points, latent).shape == (*shape, 3)
    grid = GridBranch(7, 3, Grid, width=8)
    assert grid(points, latent).shape == (*shape, 3)
    assert torch.equal(grid(points, latent), grid(points, latent * 0)), "it reads no activations"


def test_a_field_that_is_held_gets_no_gradient_and_its_branch_does() -> None:
    field = FastField(Grid(), width=8)
    featured = FeaturedField(field, Branch(field.latent, 3))
    for held in (True, False):
        featured.zero_grad(set_to_none=True)
        featured.held = held
        values = featured(*inputs(6))
        assert values.density.requires_grad == values.colour.requires_grad == (not held)
        assert featured.density(*inputs(6)).requires_grad == (not held)
        values.features.square().sum().backward()
        assert all((p.grad is None) == held for p in field.shape.parameters())
        assert all(p.grad is not None for p in featured.branch.parameters())


def test_features_that_are_apart_do_not_reach_the_field_but_colours_do() -> None:
    field = NeRF(depth=2, width=8)
    featured = FeaturedField(field, Branch(field.latent, 3))
    featured.apart = True
    values = featured(*inputs(6))
    values.features.square().sum().backward(retain_graph=True)
    assert all(p.grad is None for p in field.parameters())
    values.colour.sum().backward()
    assert field.trunk[0].weight.grad is not None


def test_every_field_of_a_model_gets_a_branch_of_its_own() -> None:
    nets = Hierarchical(NeRF(depth=2, width=8), NeRF(depth=2, width=8), samples=4, more=4)
    made = with_features(nets, functools.partial(Branch, channels=5), view_dependent=True)
    assert made is nets and made.coarse.branch is not made.fine.branch
    assert made.fine.branch.layers[0].in_features == 4
    fast = Marched(FastField(Grid()), OccupancyGrid(4))
    assert with_features(fast, functools.partial(GridBranch, channels=5, grid=Grid)).field.branch.channels == 5
    with pytest.raises(UserError, match=r"Linear has no fields.*model=nerf_fast"):
        with_features(nn.Linear(2, 2), functools.partial(Branch, channels=5))


class Along(nn.Module):
    """Raw features as a field says, whatever it reads."""

    def forward(self, points: Tensor, latent: Tensor) -> Tensor:
        left = (points[..., 0] < 0.5).float()
        return torch.stack([3 * left, 1 - left], -1)


def halves() -> FeaturedField:
    """Density 2 everywhere; features point along x on the left, along y on the right."""
    return FeaturedField(OwnField(lambda points, _: (torch.full(points.shape[:-1], 2.0), points)), Along())


@pytest.mark.parametrize("squash", [True, False])
@pytest.mark.parametrize(("mode", "left"), [("remove", 0.0), ("extract", 2.0)])
def test_what_is_like_the_query_is_taken_out_or_alone_is_left(mode: Any, left: float, squash: bool) -> None:
    (points, directions), edited = inputs(50), halves()
    plain = edited(points, directions)
    edited.edit = Edit(torch.tensor([1.0, 0.0]), 1.35, mode, squash)
    values = edited(points, directions)
    assert (values.density[points[:, 0] < 0.5] == left).all()
    assert (values.density[points[:, 0] >= 0.5] == 2 - left).all()
    assert torch.equal(edited.density(points, directions), values.density)
    assert torch.equal(values.features, plain.features) and torch.equal(values.colour, plain.colour)
    assert (plain.density == 2).all(), "what was asked before stays"


def test_the_tangent_turns_raw_features_before_they_are_compared() -> None:
    raw, query = torch.tensor([[4.0, 0.5]]), torch.tensor([4.0, 0.5]) / torch.tensor([4.0, 0.5]).norm()
    assert Edit(query, 0.1, "remove", squash=False).gone(raw).tolist() == [True]
    assert Edit(query, 0.1, "remove", squash=True).gone(raw).tolist() == [False]
    squashed = torch.tanh(raw[0]) / torch.tanh(raw[0]).norm()
    assert Edit(squashed, 0.1, "remove", squash=True).gone(raw).tolist() == [True]


def test_thresholds_beyond_all_distances_change_nothing() -> None:
    points, directions = inputs(20)
    for threshold, mode in ((0.0, "remove"), (2.1, "extract")):
        edited = halves()
        edited.edit = Edit(torch.tensor([1.0, 0.0]), threshold, mode)
        assert (edited(points, directions).density == 2).all() and (edited.density(points, directions) == 2).all()


def test_a_branch_is_joined_only_to_what_it_can_read() -> None:
    nets = Hierarchical(NeRF(depth=2, width=8), NeRF(depth=2, width=8), samples=4, more=4)
    with pytest.raises(UserError, match=r"a grid wants points in \[0, 1\].*model=n3f_nerf"):
        with_features(nets, functools.partial(GridBranch, channels=2, grid=Grid))
    own = OwnField(lambda points, _: (points[..., 0], points))
    with pytest.raises(UserError, match=r"no activations.*model=n3f"):
        with_features(Marched(own, OccupancyGrid(4)), functools.partial(Branch, channels=2))
    made = with_features(Marched(own, OccupancyGrid(4)), functools.partial(GridBranch, channels=2, grid=Grid))
    assert made.field(torch.rand(3, 3), torch.rand(3, 3)).features.shape == (3, 2)


def test_a_branch_is_for_as_many_streams_as_the_field_has() -> None:
    moving = NeuralDiff(depth=2, width=8, skip=0, stream_depth=1, stream_width=8, vocabulary=4)
    with pytest.raises(UserError, match=r"Branch, with features of 1 streams.*model=neuraldiff_n3f"):
        with_features(moving, functools.partial(Branch, channels=2))
    still = Marched(FastField(Grid()), OccupancyGrid(4))
    with pytest.raises(UserError, match=r"StreamBranch, with features of 3 streams.*model=n3f"):
        with_features(still, functools.partial(StreamBranch, channels=2))
