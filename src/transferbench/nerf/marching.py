"""Steps along rays through a unit cube, and through all space contracted into one."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from transferbench.nerf.packed import Packed, concatenated, pack

OUTSIDE = 64
"""Intervals between the cube and the far end of a ray in an unbounded scene, even in inverse depth, unless said."""

CANDIDATES = 2**22
"""Intervals that are looked at together, empty ones included; of more, rays take turns."""


def contract(points: Tensor) -> Tensor:
    """Return points (..., 3) of all space in the cube [0, 1]; the cube [-1, 1] fills the middle half of it.

    Mip-NeRF 360's contraction (arXiv:2111.12077, eq. 10) with the largest coordinate in place of the length, so that
    the cube stays a cube.
    """
    size = points.abs().amax(-1, keepdim=True).clamp(min=1)
    return ((2 - 1 / size) * points / size) / 4 + 0.5


def stretch(points: Tensor) -> Tensor:
    """Return how much longer (...) a step is at ``points`` (..., 3) of ``contract`` than in the cube, about.

    It is the square of the distance, for distances as well as for the intervals that ``march`` takes outside.
    """
    size = (points - 0.5).abs().amax(-1).mul(4).clamp(1, 2 - 1e-3)
    return (2 - size).pow(-2)


def inside(points: Tensor) -> Tensor:
    """Return points (..., 3) of the cube [-1, 1] in [0, 1]."""
    return points / 2 + 0.5


def most(start: Tensor, end: Tensor, step: float) -> int:
    """Return how many intervals ``step`` long the longest of rays from ``start`` to ``end`` (R,) has; at least 1."""
    return max(math.ceil(float((end - start).max()) / step), 1) if len(start) else 1


def steps(
    start: Tensor, end: Tensor, step: float, jitter: Tensor | None = None, count: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return the ends (R, S + 1) of intervals ``step`` long from ``start`` to ``end`` (R,), and which exist (R, S).

    ``jitter`` (R,) in [0, 1) moves the intervals of a ray by that share of a step; the last interval of a ray is whole.
    ``count`` says how many are looked at, those that the longest ray needs if it is None.
    """
    count = most(start, end, step) if count is None else count
    offset = 0.0 if jitter is None else jitter[:, None] - 1.0
    numbers = torch.arange(count + 2 if jitter is not None else count + 1, device=start.device)
    edges = start[:, None] + (numbers + offset) * step
    edges = torch.maximum(edges, start[:, None])
    return edges, edges[:, :-1] < end[:, None]


def march(
    origins: Tensor,
    directions: Tensor,
    start: Tensor,
    end: Tensor,
    step: float,
    occupied: Callable[[Tensor], Tensor],
    place: Callable[[Tensor], Tensor] = inside,
    jitter: Tensor | None = None,
    far: Tensor | None = None,
    outside: int = OUTSIDE,
) -> Packed:
    """Return the samples of rays at ``origins`` along unit ``directions`` (R, 3) where there may be something.

    Args:
        origins: (R, 3), in units in which the scene's box is [-1, 1].
        directions: (R, 3) of length 1.
        start: (R,) where a ray enters the box or begins; where it begins, if it misses the box of an unbounded scene.
        end: (R,) where it leaves the box; not after ``start`` where it misses.
        step: length of an interval in the box.
        occupied: tells for points (..., 3) in [0, 1] whether to sample there (...).
        place: takes points of the scene to [0, 1].
        jitter: (R,) in [0, 1), draws for training.
        far: (R,) where rays end in an unbounded scene; there intervals grow with the distance. None within a box.
        outside: how many there are of those.
    """
    count = most(start, end, step)
    rows = max(CANDIDATES // (count + 1 + (0 if far is None else outside + 1)), 1)
    parts = []
    for first in range(0, max(len(start), 1), rows):
        some = slice(first, first + rows)
        shift, outer = (None if one is None else one[some] for one in (jitter, far))
        edges, valid = _candidates(start[some], end[some], step, shift, outer, count, outside)
        middle = (edges[:, 1:] + edges[:, :-1]) / 2
        points = origins[some, None] + middle[..., None] * directions[some, None]
        parts.append(pack(valid & occupied(place(points)), edges))
    return concatenated(parts)


def _candidates(
    start: Tensor, end: Tensor, step: float, jitter: Tensor | None, far: Tensor | None, count: int, outside: int
) -> tuple[Tensor, Tensor]:
    """Return the ends (R, S + 1) of intervals of rays, ``count`` or so in the box, and which of them exist (R, S)."""
    edges, valid = steps(start, end, step, jitter, count)
    if far is None:
        return edges, valid
    begin = torch.maximum(start, end).clamp(min=step)  # a ray that misses the box begins at once
    numbers = torch.linspace(0, 1, outside + 1, device=start.device).repeat(len(start), 1)
    if jitter is not None:
        numbers[:, 1:-1] += (jitter[:, None] - 0.5) / outside
    outer = 1 / (1 / begin[:, None] * (1 - numbers) + numbers / torch.maximum(far, begin + step)[:, None])
    gap, there = valid.new_zeros(len(valid), 1), valid.new_ones(len(valid), outside)
    edges = torch.cat([torch.minimum(edges, begin[:, None]), outer], 1)
    return edges, torch.cat([valid, gap, there], 1)
