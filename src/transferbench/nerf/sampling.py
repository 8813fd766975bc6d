"""Where along a ray a field is asked: evenly in depth, and where a first look found something.

All depths are parameters of the ray, in the units of its direction.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Spacing = Literal["depth", "disparity"]

_FLOOR = 1e-5  # NeRF's: what every bin's weight is raised by, and the least share of a bin that is divided by


def midpoints(z: Tensor) -> Tensor:
    """Return the middles (..., S - 1) of neighbours among ascending depths (..., S)."""
    return 0.5 * (z[..., 1:] + z[..., :-1])


def stratified(
    near: Tensor,
    far: Tensor,
    count: int,
    jitter: bool,
    generator: torch.Generator | None = None,
    spacing: Spacing = "depth",
) -> Tensor:
    """Return ``count`` ascending depths (R, count) on rays that run from ``near`` (R,) to ``far`` (R,).

    They are evenly spaced, both ends included, in depth or in its inverse (``near`` must then be positive). With
    ``jitter`` each is drawn evenly between the middles to its neighbours, the first and last within ``near`` and
    ``far`` (NeRF, arXiv:2003.08934, equation 2, as its code has it). Raises ValueError for another spacing.
    """
    steps = torch.linspace(0.0, 1.0, count, device=near.device, dtype=near.dtype)
    first, last = near[..., None], far[..., None]
    if spacing == "depth":
        z = first * (1 - steps) + last * steps
    elif spacing == "disparity":
        z = 1 / ((1 - steps) / first + steps / last)
    else:
        raise ValueError(f"spacing={spacing!r}: expected 'depth' or 'disparity'")
    if not jitter:
        return z
    middles = midpoints(z)
    lower = torch.cat([z[..., :1], middles], dim=-1)
    upper = torch.cat([middles, z[..., -1:]], dim=-1)
    draws = torch.rand(z.shape, generator=generator, device=z.device, dtype=z.dtype)
    return lower + (upper - lower) * draws


@torch.no_grad()
def from_weights(
    edges: Tensor, weights: Tensor, count: int, jitter: bool, generator: torch.Generator | None = None
) -> Tensor:
    """Return ``count`` depths (R, count) drawn from the piecewise even density that ``weights`` (R, B - 1) describe.

    Bin i lies between the ascending ``edges`` (R, B) i and i + 1. Every weight is raised by 1e-5 first, so that a ray
    without any weight is sampled evenly, and a bin of less than 1e-5 of the total gives its lower edge or close to it
    (NeRF, arXiv:2003.08934, section 5.2, as its code has it). ``jitter`` draws each depth by itself, in no order;
    without, they are the quantiles 0, ..., 1 in ascending order. No gradient flows to the weights.
    """
    raised = weights + _FLOOR
    shares = torch.cumsum(raised / raised.sum(-1, keepdim=True), dim=-1)[..., :-1].clamp_max(1.0)
    zero = torch.zeros_like(raised[..., :1])
    cumulative = torch.cat([zero, shares, zero + 1], dim=-1)  # the end is 1 whatever the rounding
    shape = (*cumulative.shape[:-1], count)
    if jitter:
        levels = torch.rand(shape, generator=generator, device=edges.device, dtype=cumulative.dtype)
    else:
        levels = torch.linspace(0.0, 1.0, count, device=edges.device, dtype=cumulative.dtype).expand(shape).contiguous()
    above = torch.searchsorted(cumulative, levels, right=True)
    below = (above - 1).clamp_min(0)
    above = above.clamp_max(edges.shape[-1] - 1)
    share_below, share_above = cumulative.gather(-1, below), cumulative.gather(-1, above)
    edge_below, edge_above = edges.gather(-1, below), edges.gather(-1, above)
    width = share_above - share_below
    width = torch.where(width < _FLOOR, torch.ones_like(width), width)
    return edge_below + (levels - share_below) / width * (edge_above - edge_below)


def joined(a: Tensor, b: Tensor) -> Tensor:
    """Return the depths (R, A) and (R, B) of both as one ascending row (R, A + B) a ray."""
    return torch.cat([a, b], dim=-1).sort(dim=-1).values


def refined(z: Tensor, weights: Tensor, count: int, jitter: bool, generator: torch.Generator | None = None) -> Tensor:
    """Return the depths ``z`` (R, S) and ``count`` more where the first look's ``weights`` (R, S) lie: (R, S + count).

    The bins are the middles between the depths, so that the first and the last weight have no bin and are left out
    (NeRF's second pass).
    """
    return joined(z, from_weights(midpoints(z), weights[..., 1:-1], count, jitter, generator))
