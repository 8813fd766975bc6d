"""Rendering weights, sums and gradients against those of nerfacc's batched operations, which run on a CPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from transferbench.nerf import packed, rendering

nerfacc = pytest.importorskip("nerfacc")  # an oracle of tests alone

COUNTS = torch.tensor([7, 0, 1, 12, 3])
RAYS, MOST = len(COUNTS), 12


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def oracle(starts: Tensor, ends: Tensor, density: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (R, S), transmittance (R, S) and sums of values (R, C), by nerfacc."""
    weights, clear, _ = nerfacc.render_weight_from_density(starts, ends, density)
    return weights, clear, nerfacc.accumulate_along_rays(weights, values)


def intervals() -> tuple[Tensor, Tensor]:
    edges = drawn(RAYS, MOST + 1, seed=0).cumsum(1)
    return edges[:, :-1], edges[:, 1:]


def test_a_batch_of_rays_is_rendered_as_nerfacc_does() -> None:
    starts, ends = intervals()
    density, values = (3 * drawn(RAYS, MOST, seed=1)).requires_grad_(), drawn(RAYS, MOST, 5, seed=2)
    upstream = drawn(RAYS, 5, seed=3)
    weights, clear, sums = oracle(starts, ends, density, values)
    ours, transmittance = rendering.weights(density, ends - starts)
    torch.testing.assert_close(ours, weights)
    torch.testing.assert_close(transmittance, clear)
    found = rendering.composite(ours, values)
    torch.testing.assert_close(found, sums)
    mine, theirs = (torch.autograd.grad((of * upstream).sum(), density)[0] for of in (found, sums))
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_packed_samples_are_rendered_as_nerfacc_renders_padded_ones() -> None:
    starts, ends = intervals()
    there = torch.arange(MOST) < COUNTS[:, None]
    ray = torch.arange(RAYS).repeat_interleave(COUNTS)
    full, values = 3 * drawn(RAYS, MOST, seed=1), drawn(RAYS, MOST, 7, seed=2)
    upstream = drawn(RAYS, 7, seed=3)
    padded = (full * there).requires_grad_()
    weights, clear, sums = oracle(starts, ends, padded, values)
    density = full[there].requires_grad_()
    ours, transmittance = packed.weights(density, (ends - starts)[there], COUNTS)
    torch.testing.assert_close(ours, weights[there])
    torch.testing.assert_close(transmittance, clear[there])
    found = packed.along_rays(ours, values[there], ray, RAYS)
    torch.testing.assert_close(found, sums)
    mine = torch.autograd.grad((found * upstream).sum(), density)[0]
    theirs = torch.autograd.grad((sums * upstream).sum(), padded)[0]
    torch.testing.assert_close(mine, theirs[there], rtol=1e-9, atol=1e-12)
