"""NeuralDiff's mixing against loops over its formulas and worked numbers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from transferbench.nerf.mixing import (
    ACTOR,
    BETA_MIN,
    DYNAMIC,
    STATIC,
    mix,
    mixed_values,
    mixing_loss,
    presence,
    separate_values,
    separate_weights,
    uncertainty,
    with_backstop,
)
from transferbench.nerf.rendering import weights

DENSITIES = torch.tensor([[[0.2, 0.3, 0.1], [1.0, 0.0, 1.0], [0.5, 0.25, 0.25]]])
DELTAS = torch.tensor([[1.0, 0.5, 100.0]])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive_mix(densities: list[list[float]], deltas: list[float], faithful: bool) -> list[list[float]]:
    clear, result = 1.0, []
    for place, (each, delta) in enumerate(zip(densities, deltas)):
        total = sum(each)
        alpha = 1 - math.exp(-delta * total)
        shares = [density / total * alpha for density in each]
        if faithful and place == len(deltas) - 1:
            shares = [1 - math.exp(-delta * density) for density in each]
        result.append([clear * share for share in shares])
        clear *= 1 - alpha
    return result


def test_the_worked_example() -> None:
    mixed = mix(DENSITIES, DELTAS, faithful=True)
    expected = {
        "opacities": [[0.150396, 0.225594, 0.075198], [0.316060, 0, 0.316060], [1, 1, 1]],
        "weights": [[0.150396, 0.225594, 0.075198], [0.173458, 0, 0.173458], [0.201897, 0.201897, 0.201897]],
    }
    torch.testing.assert_close(mixed.transmittance, torch.tensor([[1, 0.548812, 0.201897]]), rtol=0, atol=1e-6)
    torch.testing.assert_close(mixed.opacities, torch.tensor([expected["opacities"]]), rtol=0, atol=1e-6)
    torch.testing.assert_close(mixed.weights, torch.tensor([expected["weights"]]), rtol=0, atol=1e-6)
    assert mixed.weights.sum().item() == pytest.approx(1.403793, abs=2e-6)
    assert mix(DENSITIES, DELTAS).weights.sum().item() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("faithful", [True, False])
def test_mixing_is_the_naive_loop(faithful: bool) -> None:
    densities, deltas = 3 * random(6, 9, 3), random(6, 9, seed=1)
    mixed = mix(densities, deltas, faithful)
    expected = [naive_mix(d, lengths, faithful) for d, lengths in zip(densities.tolist(), deltas.tolist())]
    torch.testing.assert_close(mixed.weights, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


def test_the_streams_together_weigh_what_one_volume_would() -> None:
    densities, deltas = 3 * random(6, 9, 3), random(6, 9, seed=1)
    mixed = mix(densities, deltas)
    whole, transmittance = weights(densities.sum(-1), deltas)
    torch.testing.assert_close(mixed.weights.sum(-1), whole)
    torch.testing.assert_close(mixed.transmittance, transmittance)


def test_thin_samples_take_a_series_that_agrees_with_the_formula() -> None:
    densities = torch.logspace(-9, 0, 200, dtype=torch.float64)[:, None, None] * torch.tensor([1.0, 2.0, 0.0])
    mixed = mix(densities, torch.ones(200, 1, dtype=torch.float64))
    total = densities.sum(-1, keepdim=True)
    torch.testing.assert_close(mixed.opacities, -torch.expm1(-total) * densities / total, rtol=1e-12, atol=0)


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e20, 3e37])
@pytest.mark.parametrize("faithful", [True, False])
def test_gradients_are_finite_for_any_density(value: float, faithful: bool) -> None:
    densities = torch.tensor([[[0.5, 0.1, 0.0], [value, value, 0.0], [0.0, 0.0, value]]], requires_grad=True)
    mixed = mix(densities, torch.tensor([[1.0, 100.0, 1e10]]), faithful)
    (mixed.weights * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert torch.isfinite(mixed.weights).all()
    assert densities.grad is not None and torch.isfinite(densities.grad).all()


def test_an_empty_sample_gets_the_gradient_that_lets_it_grow() -> None:
    densities = torch.zeros(1, 2, 3, requires_grad=True)
    mix(densities, torch.tensor([[2.0, 3.0]])).weights.sum().backward()
    assert densities.grad is not None and densities.grad.tolist() == [[[2.0] * 3, [3.0] * 3]]


def test_colours_are_summed_over_samples_and_streams() -> None:
    share, colours = random(2, 4, 3), random(2, 4, 3, 5, seed=1)
    expected = torch.zeros(2, 5, dtype=torch.float64)
    for s in range(4):
        for k in range(3):
            expected += share[:, s, k, None] * colours[:, s, k]
    torch.testing.assert_close(mixed_values(share, colours), expected)


def test_only_what_moves_is_uncertain() -> None:
    share, betas = random(3, 4, 3), random(3, 4, 2, seed=1)
    expected = (share[..., DYNAMIC] * betas[..., 0] + share[..., ACTOR] * betas[..., 1]).sum(-1) + 0.03
    torch.testing.assert_close(uncertainty(share, betas), expected)
    still = torch.zeros(3, 4, 3)
    still[..., STATIC] = 1.0
    torch.testing.assert_close(uncertainty(still, torch.ones(3, 4, 2)), torch.full((3,), BETA_MIN))


def test_masks_are_what_indicators_would_render_to() -> None:
    share = mix(3 * random(5, 6, 3), random(5, 6, seed=1)).weights
    indicator = torch.eye(3, dtype=torch.float64).expand(5, 6, 3, 3)
    torch.testing.assert_close(presence(share), mixed_values(share, indicator))


def test_a_stream_alone_is_dimmed_by_itself_alone() -> None:
    opacities, values = random(2, 5, 3), random(2, 5, 3, 4, seed=1)
    share, seen = separate_weights(opacities), separate_values(opacities, values)
    for k in range(3):
        clear, total = torch.ones(2, dtype=torch.float64), torch.zeros(2, 4, dtype=torch.float64)
        for s in range(5):
            torch.testing.assert_close(share[:, s, k], clear * opacities[:, s, k])
            total += share[:, s, k, None] * values[:, s, k]
            clear = clear * (1 - opacities[:, s, k])
        torch.testing.assert_close(seen[:, k], total)


def test_the_backstop_is_opaque_and_of_random_colour() -> None:
    density, colours = random(3, 4).float(), random(3, 4, 3).float()
    closed, painted = with_backstop(density, colours, torch.Generator().manual_seed(0))
    assert torch.equal(closed[:, :-1], density[:, :-1]) and (closed[:, -1] == 100).all()
    assert torch.equal(painted[:, :-1], colours[:, :-1])
    assert (painted[:, -1] >= 0).all() and (painted[:, -1] < 1).all() and painted[:, -1].unique().numel() == 9
    share, _ = weights(closed, torch.ones(3, 4))
    torch.testing.assert_close(share.sum(-1), torch.ones(3))


def test_the_loss_is_its_formula() -> None:
    coarse, fine, target = (random(4, 3, seed=s) for s in range(3))
    beta, densities = 0.1 + random(4, seed=3), random(4, 5, 3, seed=4)
    loss = mixing_loss(coarse, fine, beta, densities, target)
    expected = 0.0
    for r in range(4):
        for c in range(3):
            expected += 0.5 * float(coarse[r, c] - target[r, c]) ** 2 / 12
            expected += float(fine[r, c] - target[r, c]) ** 2 / (2 * float(beta[r]) ** 2) / 12
        expected += math.log(float(beta[r])) / 4
    expected += 0.01 * float(densities[..., 1].mean()) + 0.01 * float(densities[..., 2].mean())
    assert loss.total.item() == pytest.approx(expected, rel=1e-12)
