"""NeRF's network: published sizes, a loop over its layers, what depends on the viewing direction."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.models.fields import Branch, with_features
from transferbench.models.hierarchical import Hierarchical
from transferbench.models.nerf import NeRF
from transferbench.nerf.encodings import frequencies


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def small(**settings) -> NeRF:
    torch.manual_seed(0)
    return NeRF(**{"depth": 4, "width": 16, "skip": 1, "position_frequencies": 3, **settings})


def inputs(count: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    directions = torch.randn(count, 3, generator=generator)
    return torch.randn(count, 3, generator=generator), directions / directions.norm(dim=1, keepdim=True)


def test_the_published_size() -> None:
    assert size(NeRF()) == 595_844
    assert size(Hierarchical(NeRF(), NeRF())) == 1_191_688
    assert [layer.in_features for layer in NeRF().trunk] == [63, 256, 256, 256, 256, 319, 256, 256]


@pytest.mark.parametrize(("view_dependent", "between", "expected"), [(True, 0, 604_100), (False, 128, 636_996)])
def test_the_released_size_with_a_branch_of_features(view_dependent: bool, between: int, expected: int) -> None:
    branch = functools.partial(Branch, channels=64, between=between)
    made = with_features(Hierarchical(NeRF(), NeRF()), branch, view_dependent)
    assert size(made.coarse) == size(made.fine) == expected
    if view_dependent:
        assert size(made.fine.branch) == 8_256
    values = made.fine(*inputs())
    assert values.features.shape == (9, 64), "beside three colours and the density: 68 channels"


def test_it_is_its_layers() -> None:
    net, (points, directions) = small(), inputs()
    encoded = frequencies(points, 3)
    x = F.relu(net.trunk[0](encoded))
    x = F.relu(net.trunk[1](x))
    x = F.relu(net.trunk[2](torch.cat([encoded, x], 1)))
    x = F.relu(net.trunk[3](x))
    seen = F.relu(net.view(torch.cat([net.feature(x), frequencies(directions, 4)], 1)))
    values = net(points, directions)
    torch.testing.assert_close(values.colour, net.rgb(seen).sigmoid())
    torch.testing.assert_close(values.density, F.relu(net.sigma(x)[:, 0]))
    torch.testing.assert_close(net.density(points, directions), values.density)
    torch.testing.assert_close(net(points[None], directions[None]).colour[0], values.colour)


def test_density_does_not_depend_on_the_direction_but_colour_does() -> None:
    net, (points, directions) = small(density="softplus"), inputs()
    directions.requires_grad_()
    values = net(points, directions)
    assert torch.autograd.grad(values.density.sum(), directions, retain_graph=True, allow_unused=True)[0] is None
    assert torch.autograd.grad(values.colour.sum(), directions)[0].abs().sum() > 0


@pytest.mark.parametrize("view_dependent", [True, False])
def test_features_know_the_direction_where_that_was_asked_for(view_dependent: bool) -> None:
    made = with_features(
        Hierarchical(small(), small(), samples=3), functools.partial(Branch, channels=5), view_dependent
    )
    points, directions = inputs()
    there, back = made.fine(points, directions), made.fine(points, -directions)
    assert torch.equal(there.features, back.features) == (not view_dependent)
    assert torch.equal(there.density, back.density) and not torch.equal(there.colour, back.colour)


def test_noise_is_added_to_raw_densities() -> None:
    net, (points, directions) = small(density="softplus"), inputs(4000)
    clean, noisy = net(points, directions).density, net(points, directions, noise=2.0).density
    raw, shaken = (density.detach().expm1().log() for density in (clean, noisy))
    assert (shaken - raw).std() == pytest.approx(2.0, rel=0.1) and (shaken - raw).mean().abs() < 0.2
    relu = small()
    assert (relu(points, directions).density >= 0).all()


def test_initial_weights_and_options() -> None:
    net = NeRF()
    bound = (6 / (319 + 256)) ** 0.5
    assert 0.99 * bound < net.trunk[5].weight.abs().max() <= bound and (net.trunk[5].bias == 0).all()
    other = small(initial="torch")
    assert (other.trunk[0].bias != 0).any()
    assert not torch.equal(small(pi=True)(*inputs()).density, small()(*inputs()).density)
    assert small(depth=1).hidden(torch.zeros(2, 3)).shape == (2, 16)


@pytest.mark.parametrize("settings", [{"depth": 0}, {"width": 1}, {"density": "exp"}, {"initial": "zeros"}])
def test_options_that_are_not_there(settings: dict[str, object]) -> None:
    with pytest.raises(UserError, match="expected one layer or more"):
        NeRF(**settings)
