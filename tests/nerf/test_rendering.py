"""Volume rendering against naive loops, closed forms and the numbers that reference codes give."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from transferbench.nerf.editing import unit
from transferbench.nerf.rendering import (
    EPSILON,
    composite,
    deltas,
    in_chunks,
    on_background,
    render,
    weights,
)

Z = torch.tensor([[2.0, 3.0, 4.0, 6.0]])
DENSITY = torch.tensor([[0.0, math.log(2), 1.0, 0.0]])
COLOURS = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]])
ONE = torch.ones(1)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive_weights(density: Tensor, lengths: Tensor) -> Tensor:
    """The product of transparencies, in a loop that autograd can follow."""
    result, clear = [], torch.ones_like(density[..., 0])
    for i in range(density.shape[-1]):
        alpha = 1 - torch.exp(-density[..., i] * lengths[..., i])
        result.append(clear * alpha)
        clear = clear * (1 - alpha)
    return torch.stack(result, dim=-1)


def test_intervals_run_to_the_next_sample_and_stretch_with_the_direction() -> None:
    expected = torch.tensor([[1.0, 1.0, 2.0, 1e10], [2.0, 2.0, 4.0, 2e10]])
    assert torch.equal(deltas(Z.expand(2, 4), torch.tensor([1.0, 2.0])), expected)
    assert deltas(Z, ONE, last=100.0)[0, -1] == 100.0


@pytest.mark.parametrize("epsilon", [0.0, EPSILON])
def test_the_weights_are_those_of_the_reference_code(epsilon: float) -> None:
    share, transmittance = weights(DENSITY, deltas(Z, ONE), epsilon)
    torch.testing.assert_close(share, torch.tensor([[0, 0.5, 0.432332, 0]]), rtol=0, atol=1e-6)
    torch.testing.assert_close(transmittance, torch.tensor([[1, 1, 0.5, 0.067668]]), rtol=0, atol=1e-6)


def test_the_pixel_is_that_of_the_reference_code() -> None:
    black = render(DENSITY, COLOURS, Z, ONE)
    torch.testing.assert_close(black.colour, torch.tensor([[0, 0.5, 0.432332]]), rtol=0, atol=1e-6)
    assert black.opacity.item() == pytest.approx(0.932332, abs=1e-6)
    assert black.depth.item() == pytest.approx(3.229330, abs=2e-6)
    assert black.disparity.item() == pytest.approx(0.288708, abs=1e-6)
    assert black.features is None
    white = render(DENSITY, COLOURS, Z, ONE, background="white")
    torch.testing.assert_close(white.colour, torch.tensor([[0.067668, 0.567668, 0.5]]), rtol=0, atol=1e-6)
    torch.testing.assert_close(white.weights, black.weights)


def test_unit_density_on_the_unit_interval_agrees_with_nerfacc() -> None:
    share, _ = weights(torch.ones(1, 4), torch.full((1, 4), 0.25))
    torch.testing.assert_close(share, torch.tensor([[0.221199, 0.172270, 0.134164, 0.104487]]), rtol=0, atol=1e-6)
    torch.testing.assert_close(composite(share, torch.ones(1, 4, 3)), torch.full((1, 3), 0.632121), rtol=0, atol=1e-6)


@pytest.mark.parametrize("epsilon", [0.0, 1e-12])
def test_values_and_gradients_are_those_of_the_naive_product(epsilon: float) -> None:
    density, lengths = (5 * random(7, 12)).requires_grad_(), random(7, 12, seed=1).requires_grad_()
    upstream = random(7, 12, seed=2)
    ours, theirs = weights(density, lengths, epsilon)[0], naive_weights(density, lengths)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
    for mine, other in zip(
        torch.autograd.grad((ours * upstream).sum(), (density, lengths)),
        torch.autograd.grad((theirs * upstream).sum(), (density, lengths)),
    ):
        torch.testing.assert_close(mine, other, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e4, 1e30, 3e38])
def test_gradients_are_finite_for_any_density(value: float) -> None:
    density = torch.tensor([[0.5, value, value, 0.0, 1.0, value]], requires_grad=True)
    share, transmittance = weights(density, deltas(torch.arange(6.0)[None], ONE))
    (share * torch.arange(6.0)).sum().backward()
    assert torch.isfinite(share).all() and torch.isfinite(transmittance).all()
    assert density.grad is not None and torch.isfinite(density.grad).all()


def test_an_empty_sample_gets_the_gradient_that_lets_it_grow() -> None:
    density = torch.zeros(1, 3, requires_grad=True)
    share, _ = weights(density, torch.tensor([[1.0, 2.0, 3.0]]))
    share.sum().backward()
    assert density.grad is not None and density.grad.tolist() == [[1.0, 2.0, 3.0]]


def test_weights_and_what_is_left_sum_to_one() -> None:
    density, lengths = 4 * random(30, 20).float(), random(30, 20, seed=1).float()
    share, transmittance = weights(density, lengths)
    left = transmittance[:, -1] * torch.exp(-density[:, -1] * lengths[:, -1])
    torch.testing.assert_close(share.sum(-1) + left, torch.ones(30), rtol=0, atol=1e-6)


def test_splitting_an_interval_changes_nothing() -> None:
    density, lengths, colours = random(5, 6), random(5, 6, seed=1), random(5, 6, 3, seed=2)
    twice = [0, 1, 2, 2, 3, 4, 5]
    halves = lengths[:, twice].clone()
    halves[:, 2], halves[:, 3] = 0.3 * lengths[:, 2], 0.7 * lengths[:, 2]
    whole, whole_clear = weights(density, lengths)
    split, split_clear = weights(density[:, twice], halves)
    torch.testing.assert_close(split[:, 2] + split[:, 3], whole[:, 2])
    torch.testing.assert_close(split_clear[:, 4:], whole_clear[:, 3:])
    torch.testing.assert_close(composite(split, colours[:, twice]), composite(whole, colours))


def test_rays_do_not_see_each_other() -> None:
    density, z, colours, order = (
        3 * random(6, 8),
        random(6, 8, seed=1).sort(-1).values,
        random(6, 8, 3),
        [4, 2, 0, 5, 1, 3],
    )
    norm = 1 + random(6, seed=3)
    straight = render(density, colours, z, norm, features=colours)
    shuffled = render(density[order], colours[order], z[order], norm[order], features=colours[order])
    for a, b in zip(straight, shuffled):
        torch.testing.assert_close(a[order], b)


def test_any_number_of_channels_is_summed_like_a_loop() -> None:
    share, values = random(4, 5), random(4, 5, 70, seed=1)
    expected = torch.stack([sum(share[r, s] * values[r, s] for s in range(5)) for r in range(4)])  # type: ignore[misc]
    torch.testing.assert_close(composite(share, values), expected)


def test_autocast_does_not_round_the_sum() -> None:
    share, values = random(4, 64).float(), random(4, 64, 3, seed=1).float()
    with torch.autocast("cpu", torch.bfloat16):
        inside = composite(share, values)
    assert torch.equal(inside, composite(share, values))


@pytest.mark.parametrize(
    ("background", "value"), [("white", 1.0), ("black", 0.0), (torch.tensor([0.25, 0.5, 1.0]), None)]
)
def test_an_empty_scene_is_its_background_exactly(background: str | Tensor, value: float | None) -> None:
    picture = render(torch.zeros(3, 4), torch.rand(3, 4, 3), Z.expand(3, 4), torch.ones(3), background=background)  # type: ignore[arg-type]
    expected = torch.full((3, 3), value) if value is not None else torch.as_tensor(background).expand(3, 3)
    assert torch.equal(picture.colour, expected)
    assert torch.equal(picture.disparity, torch.zeros(3)) and torch.equal(picture.depth, torch.zeros(3))


def test_an_empty_ray_has_finite_gradients() -> None:
    density = torch.zeros(1, 4, requires_grad=True)
    sum(part.sum() for part in render(density, COLOURS, Z, ONE) if part is not None).backward()  # type: ignore[union-attr]
    assert density.grad is not None and torch.isfinite(density.grad).all()


def test_an_unknown_background_is_refused() -> None:
    with pytest.raises(ValueError, match="white"):
        on_background(torch.zeros(1, 3), torch.zeros(1), "grey")  # type: ignore[arg-type]


def test_features_are_those_of_the_reference_code() -> None:
    share = torch.tensor([[0.0, 0.5, 0.432332, 0.0]])
    raw = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]])
    torch.testing.assert_close(composite(share, raw.tanh()), torch.tensor([[0.380797, 0.416780]]), rtol=0, atol=2e-6)
    rendered = unit(composite(share, raw.tanh()))
    torch.testing.assert_close(rendered, torch.tensor([[0.674519, 0.738257]]), rtol=0, atol=2e-6)
    assert (rendered - torch.tensor([[1.0, 0.0]])).square().sum().item() == pytest.approx(0.650962, abs=3e-6)


class Parts(NamedTuple):
    total: Tensor
    nothing: None
    named: dict[str, Tensor]


@pytest.mark.parametrize("size", [1, 3, 10, 99])
def test_chunks_change_nothing(size: int) -> None:
    density, colours, z = 2 * random(10, 6), random(10, 6, 3), random(10, 6, seed=1).sort(-1).values
    norm = torch.ones(10, dtype=torch.float64)
    whole, parts = render(density, colours, z, norm), in_chunks(render, (density, colours, z, norm), size)
    assert type(parts) is type(whole) and parts.features is None
    for a, b in zip(whole[:5], parts[:5]):
        torch.testing.assert_close(a, b)
    seen: list[int] = []

    def function(x: Tensor, y: Tensor) -> Parts:
        seen.append(len(x))
        return Parts(x + y, None, {"twice": 2 * x})

    result = in_chunks(function, (norm, 3 * norm), size)
    assert torch.equal(result.total, 4 * norm) and torch.equal(result.named["twice"], 2 * norm)
    assert result.nothing is None and max(seen) <= size and sum(seen) == 10


def test_no_rows_give_no_rows() -> None:
    assert in_chunks(lambda x: x + 1, [torch.zeros(0, 3)], 4).shape == (0, 3)


def test_chunks_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        in_chunks(lambda x: x, [torch.zeros(2)], 0)
    with pytest.raises(TypeError, match="a chunk gave a float"):
        in_chunks(lambda x: float(x.sum()), [torch.zeros(2)], 1)


def test_autocast_does_not_round_a_picture() -> None:
    density, colours, features = 5 * random(6, 64).float(), random(6, 64, 3, seed=1).float(), random(6, 64, 8).float()
    z = random(6, 64, seed=2).float().cumsum(-1)
    plain = render(density, colours, z, torch.ones(6), features=features, background="white")
    with torch.autocast("cpu", torch.bfloat16):
        again = render(density, colours, z, torch.ones(6), features=features, background="white")
    assert all(torch.equal(one, other) for one, other in zip(plain, again, strict=True))


def test_a_picture_can_do_without_its_weights() -> None:
    whole = render(DENSITY.expand(3, 4), COLOURS.expand(3, 4, 3), Z.expand(3, 4), ONE.expand(3))
    kept = whole.without_weights()
    assert kept.weights.shape == (3, 0) and kept.weights.untyped_storage().nbytes() == 0
    assert kept._replace(weights=whole.weights) == whole
