"""The field of a hash grid: its parts, and what depends on what."""

from __future__ import annotations

import functools

import pytest
import torch

from transferbench.models.fast_field import FastField, _BoundedExp
from transferbench.models.fields import Branch, FeaturedField
from transferbench.models.hash_grid import HashGrid
from transferbench.nerf.directions import harmonics


def made(**settings) -> FastField:
    torch.manual_seed(0)
    field = FastField(HashGrid(levels=2, log2_table=9, coarsest=4, finest=8), width=16, **settings)
    with torch.no_grad():
        field.grid.table.normal_()
    return field


def inputs(count: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    directions = torch.randn(count, 3, generator=generator)
    return torch.rand(count, 3, generator=generator), directions / directions.norm(dim=1, keepdim=True)


def test_it_is_its_layers() -> None:
    field, (points, directions) = made(geometry=5), inputs()
    shape = field.shape(field.grid(points))
    colour = field.paint(torch.cat([shape[:, 1:], harmonics(directions)], 1)).sigmoid()
    values = field(points, directions)
    torch.testing.assert_close(values.density, torch.exp(shape[:, 0] - 1))
    torch.testing.assert_close(values.colour, colour)
    torch.testing.assert_close(values.latent, shape[:, 1:])
    assert torch.equal(field.density(points), values.density) and field.latent == 5


def test_density_does_not_depend_on_the_direction_but_colour_does() -> None:
    field, (points, directions) = made(), inputs()
    there, back = field(points, directions), field(points, -directions)
    assert torch.equal(there.density, back.density) and not torch.equal(there.colour, back.colour)


@pytest.mark.parametrize("view_dependent", [True, False])
def test_features_know_the_direction_where_that_was_asked_for(view_dependent: bool) -> None:
    field, (points, directions) = made(), inputs()
    field.view_dependent = view_dependent
    assert field.latent == (16 if view_dependent else 15)
    featured = FeaturedField(field, functools.partial(Branch, channels=4)(field.latent))
    there, back = featured(points, directions), featured(points, -directions)
    assert torch.equal(there.features, back.features) == (not view_dependent)


def test_the_exponential_and_its_gradient_are_bounded() -> None:
    x = torch.tensor([-1.0, 2.0, 20.0, 1000.0], requires_grad=True)
    found = _BoundedExp.apply(x)
    torch.testing.assert_close(found, torch.exp(torch.tensor([-1.0, 2, 20, 30])))
    found.sum().backward()
    torch.testing.assert_close(x.grad, torch.exp(torch.tensor([-1.0, 2, 15, 15])))


def test_no_points() -> None:
    field = made()
    assert field(torch.zeros(0, 3), torch.zeros(0, 3)).colour.shape == (0, 3)
