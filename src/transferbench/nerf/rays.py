"""Rays on tensors: through pixels, into the world, into normalised device coordinates, through a box.

Axes are those of ``cameras``: x right, y up, and a camera looks along its -z axis. Directions have length 1 along the
viewing axis unless said otherwise, so that a ray's parameter is depth.
"""

from __future__ import annotations

import torch
from torch import Tensor


def camera_directions(u: Tensor, v: Tensor, intrinsics: Tensor, pixel_centre: float = 0.5) -> Tensor:
    """Return directions (..., 3), with z = -1, in the camera's axes through the pixels of columns ``u`` and rows ``v``.

    ``u`` and ``v`` are whole numbers counted from the top left pixel, ``intrinsics`` (..., 4) holds fx, fy, cx, cy in
    pixels; their shapes broadcast. ``pixel_centre`` is where in its pixel a ray passes: 0.5 is the middle, as principal
    points are measured here and by COLMAP, instant-ngp and nerfstudio; NeRF's own code has 0.
    """
    fx, fy, cx, cy = intrinsics.unbind(-1)
    x, y = (u + pixel_centre - cx) / fx, -(v + pixel_centre - cy) / fy
    z = -torch.ones_like(x + y)
    return torch.stack([x.expand_as(z), y.expand_as(z), z], dim=-1)


def world_rays(poses: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Return world origins and directions (..., 3) of rays along the camera ``directions`` (..., 3) of ``poses``.

    ``poses`` (..., 4, 4) are camera-to-world and broadcast against the directions, whose length is kept. No product of
    matrices, which autocast would round to 8 bits: that is pixels away.
    """
    right, up, back = (poses[..., :3, axis] for axis in range(3))
    turned = right * directions[..., :1] + up * directions[..., 1:2] + back * directions[..., 2:]
    return poses[..., :3, 3].expand_as(turned), turned


def to_ndc(
    origins: Tensor,
    directions: Tensor,
    height: int,
    width: int,
    focal_x: float | Tensor,
    focal_y: float | Tensor,
    near: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Return rays (..., 3) in normalised device coordinates: parameter 0 is the plane z = -near, 1 is infinity.

    For captures in which all cameras look along -z (NeRF, arXiv:2003.08934, appendix C). Every ray must run forwards,
    with a negative z direction; the principal point is taken to be the centre of the image. Directions for the view
    encoding are those before this change.
    """
    oz, dz = origins[..., 2], directions[..., 2]
    start = origins - ((oz + near) / dz)[..., None] * directions
    scale_x, scale_y = -2.0 * focal_x / width, -2.0 * focal_y / height
    x, y = start[..., 0] / start[..., 2], start[..., 1] / start[..., 2]
    depth = 2.0 * near / start[..., 2]
    moved = torch.stack([scale_x * x, scale_y * y, 1.0 + depth], dim=-1)
    slope_x, slope_y = directions[..., 0] / dz - x, directions[..., 1] / dz - y
    return moved, torch.stack([scale_x * slope_x, scale_y * slope_y, -depth], dim=-1)


def ray_box(origins: Tensor, directions: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return the parameters (...) at which rays enter and leave the box from ``low`` (..., 3) to ``high`` (..., 3).

    A ray misses the box where the first is larger than the second; parameters are negative behind the origin. A ray
    along a face counts as inside; where a direction has no component at all along an axis, that axis sets no bound.
    """
    still = directions == 0
    safe = torch.where(still, torch.ones_like(directions), directions)
    first, second = (low - origins) / safe, (high - origins) / safe
    entry, leave = torch.minimum(first, second), torch.maximum(first, second)
    between = (origins >= low) & (origins <= high)
    infinite = torch.full_like(entry, torch.inf)
    entry = torch.where(still, torch.where(between, -infinite, infinite), entry)
    leave = torch.where(still, torch.where(between, infinite, -infinite), leave)
    return entry.amax(-1), leave.amin(-1)
