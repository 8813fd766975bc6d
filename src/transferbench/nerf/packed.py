"""Volume rendering of packed samples: rays have as many samples as they need, all in one row, ray after ray.

The samples of ray ``r`` are ``starts[r]`` to ``starts[r] + counts[r]``. Sums along rays are differences of one running
sum, so nothing is padded and no extension of PyTorch is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

OPAQUE = 800.0
"""Optical thickness of which not even float64 tells the transparency from 0."""


class Packed(NamedTuple):
    """Samples of R rays.

    ``ray`` (S,) int64 says whose a sample is, in order; ``near`` and ``far`` (S,) are the ends of its interval in units
    of the ray's direction; ``counts`` (R,) int64 the samples of each ray.
    """

    ray: Tensor
    near: Tensor
    far: Tensor
    counts: Tensor

    @property
    def middle(self) -> Tensor:
        """Ray parameters (S,) half way through the intervals."""
        return (self.near + self.far) / 2


def pack(kept: Tensor, edges: Tensor) -> Packed:
    """Return the intervals ``edges`` (R, S + 1) of which ``kept`` (R, S) is true."""
    ray, place = kept.nonzero(as_tuple=True)
    return Packed(ray, edges[ray, place], edges[ray, place + 1], kept.sum(1))


def concatenated(parts: Sequence[Packed]) -> Packed:
    """Return the samples of all ``parts``, whose rays follow one another."""
    if len(parts) == 1:
        return parts[0]
    rays, first = [], 0
    for part in parts:
        rays.append(part.ray + first)
        first += len(part.counts)
    near, far, counts = (torch.cat([getattr(part, name) for part in parts]) for name in ("near", "far", "counts"))
    return Packed(torch.cat(rays), near, far, counts)


def before(values: Tensor, counts: Tensor) -> Tensor:
    """Return for each sample the sum of ``values`` (S,) over the samples of its ray that stand before it.

    Summed in float64: behind thousands of samples float32 would have lost the small ones.
    """
    running = values.double().cumsum(0) - values
    first = counts.cumsum(0) - counts
    start = running[first.clamp(max=max(len(values) - 1, 0))] if len(values) else running.new_zeros(len(counts))
    return (running - start.repeat_interleave(counts, output_size=len(values))).to(values.dtype)


class _Weights(torch.autograd.Function):
    """w_i = T_i (1 - exp(-x_i)) with T_i = exp(-sum of x before i).

    Backwards, dL/dx_j = T_{j+1} g_j - sum over i > j of g_i w_i.
    """

    @staticmethod
    def forward(ctx: Any, thickness: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        # thickness is cut off: one ray's opaque samples must not swallow those of the rays behind it in the running sum
        transmittance = torch.exp(-before(thickness.clamp(max=OPAQUE), counts))
        weights = -torch.expm1(-thickness) * transmittance
        ctx.save_for_backward(thickness, transmittance, weights, counts)
        ctx.mark_non_differentiable(transmittance)
        return weights, transmittance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None]:
        thickness, transmittance, weights, counts = ctx.saved_tensors
        own = gradient * weights
        total = torch.zeros(len(counts), dtype=torch.float64, device=own.device)
        ray = torch.arange(len(counts), device=own.device).repeat_interleave(counts, output_size=len(own))
        total.index_add_(0, ray, own.double())
        behind = total[ray].to(own.dtype) - before(own, counts) - own
        return gradient * transmittance * torch.exp(-thickness) - behind, None


def weights(density: Tensor, lengths: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rendering weights (S,) and the transmittance (S,) in front of each sample (NeRF, eq. 3).

    ``density`` (S,) is not negative; ``lengths`` (S,) of the intervals, in the unit that density is per. The gradient
    of the weights is in closed form; the transmittance has none.
    """
    found: tuple[Tensor, Tensor] = _Weights.apply(density * lengths, counts)
    return found


def along_rays(weights: Tensor, values: Tensor | None, ray: Tensor, rays: int) -> Tensor:
    """Return the sums (R, C) of ``weights`` (S,) times ``values`` (S, C) over each ray; (R, 1) of the weights alone."""
    terms = weights[:, None] if values is None else weights[:, None] * values
    return torch.zeros(rays, terms.shape[1], dtype=terms.dtype, device=terms.device).index_add(0, ray, terms)
