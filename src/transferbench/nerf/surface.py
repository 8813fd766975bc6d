"""The surface of a fitted scene: points where its rays end, merged over views, and a triangle mesh of its density."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from transferbench.errors import UserError

Floats = NDArray[np.float64]

OPAQUE = 0.9
"""Share of a ray that has to end on something; at less it goes past the border of a thing."""
JUMP = 0.05
"""Of its distance that a pixel's point may be off those beside it; at more it lies between two things."""
SHARE = 64
"""Of the longest side of a box: a surface is drawn where so small a part of it would hide half of what is behind."""


class Cloud(NamedTuple):
    """N points: ``positions`` (N, 3), ``colours`` (N, 3) in [0, 1], ``seen`` (N,) pixels merged in each."""

    positions: Floats
    colours: Floats
    seen: Floats


class Mesh(NamedTuple):
    """``vertices`` (V, 3), outward unit ``normals`` (V, 3), ``faces`` (F, 3) places of corners, counter-clockwise."""

    vertices: Floats
    normals: Floats
    faces: NDArray[np.int64]


EMPTY = Cloud(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))


def sure(distance: Floats, opacity: Floats, opaque: float = OPAQUE, jump: float = JUMP) -> NDArray[np.bool_]:
    """Return which pixels (H, W) show one surface: those whose ray ends, about as far away as their neighbours' do.

    ``distance`` (H, W) is the mean along each ray, which at the border of a thing lies behind the thing and before what
    is farther; ``opacity`` (H, W) tells rays that go on.
    """
    hit = opacity > opaque
    length = np.log(np.where(hit & (distance > 0), distance, np.nan))
    good: NDArray[np.bool_] = np.isfinite(length)
    with np.errstate(invalid="ignore"):
        for axis in (0, 1):
            apart = np.abs(np.diff(length, axis=axis)) > math.log1p(jump)  # false beside a ray that goes on
            before = [(0, 1) if one == axis else (0, 0) for one in (0, 1)]
            behind = [(1, 0) if one == axis else (0, 0) for one in (0, 1)]
            good &= ~(np.pad(apart, before) | np.pad(apart, behind))
    return good


def from_ndc(points: Tensor, height: int, width: int, focal_x: float, focal_y: float, near: float = 1.0) -> Tensor:
    """Return where ``points`` (..., 3) of normalised device coordinates are in the world: what undoes ``rays.to_ndc``.

    Those at infinity, where z is 1, become infinite.
    """
    depth = 2.0 * near / (1.0 - points[..., 2])
    x, y = points[..., 0] * depth * width / (2.0 * focal_x), points[..., 1] * depth * height / (2.0 * focal_y)
    return torch.stack([x, y, -depth], dim=-1)


def merged(cloud: Cloud, more: Cloud, voxel: float) -> Cloud:
    """Return both clouds with one point for each cube of side ``voxel``: the mean of all that is seen in it.

    Clouds may be merged one after the other or all at once: the points are the same, in the order of their cubes.
    """
    positions, colours, seen = (np.concatenate(parts) for parts in zip(cloud, more))
    cubes, place = np.unique(np.floor(positions / voxel).astype(np.int64), axis=0, return_inverse=True)
    place = place.reshape(-1)
    total: Floats = np.bincount(place, seen, len(cubes)).astype(np.float64)
    means = [
        np.bincount(place, seen * column, len(cubes)) / total for column in np.concatenate([positions, colours], 1).T
    ]
    both = np.stack(means, axis=1) if len(cubes) else np.zeros((0, 6))
    return Cloud(both[:, :3], both[:, 3:], total)


def without_strays(cloud: Cloud, neighbours: int = 8, spread: float = 2.0) -> Cloud:
    """Return the cloud without the points that have few others near them, as in the midst of the air.

    Those go whose mean distance from their ``neighbours`` nearest is more than ``spread`` standard deviations above the
    mean of all points (Rusu et al., Towards 3D Point Cloud Based Object Maps, RAS 2008).
    """
    if len(cloud.positions) <= neighbours:
        return cloud
    nearest, _ = cKDTree(cloud.positions).query(cloud.positions, neighbours + 1)  # the first is the point itself
    apart = nearest[:, 1:].mean(1)
    kept = apart <= apart.mean() + spread * apart.std()
    return Cloud(*(part[kept] for part in cloud))


def refuse_without_marching_cubes() -> None:
    """Raise ``UserError`` where scikit-image, whose marching cubes a mesh is made by, is not installed."""
    if importlib.util.find_spec("skimage") is None:
        raise UserError(
            "a mesh is made by scikit-image, which is not installed; type pip install scikit-image, or take "
            "task.cloud=true"
        )


def half_opaque(length: float) -> float:
    """Return the density, per unit of length, at which half of the light is lost on a way of that ``length``."""
    return math.log(2) / length


def mesh_of(
    density: Callable[[Tensor], Tensor], low: Floats, high: Floats, cells: int = 128, level: float | None = None
) -> Mesh:
    """Return the surface on which a field has the density ``level``, by marching cubes (Lorensen and Cline, 1987).

    Args:
        density: of points (N, 3), per unit of length.
        low: corner (3,) of the box to look into.
        high: the other corner.
        cells: along the longest side of the box; the cells are cubes.
        level: None for that at which the 64th part of the longest side is half opaque.

    Raises:
        UserError: scikit-image is not installed, or nothing in the box is that dense.
    """
    refuse_without_marching_cubes()
    cell = float(np.max(high - low)) / cells
    counts = [max(math.ceil(side / cell - 1e-9), 1) + 1 for side in high - low]
    axes = [torch.from_numpy(start + cell * np.arange(count)).float() for start, count in zip(low, counts)]
    wanted = half_opaque(cell * cells / SHARE) if level is None else level
    slabs = []
    for x in axes[0]:
        grid = torch.stack(torch.meshgrid(x[None], axes[1], axes[2], indexing="ij"), -1)
        slabs.append(density(grid.reshape(-1, 3)).reshape(counts[1:]).cpu().float().numpy())
    volume = np.stack(slabs)
    if not volume.min() < wanted < volume.max():
        raise UserError(
            f"no surface: densities in the scene's box run from {volume.min():.3g} to {volume.max():.3g}, a surface "
            f"has {wanted:.3g}; leave task.mesh out, or fit the scene for longer"
        )
    measure: Any = importlib.import_module("skimage.measure")
    vertices, faces, normals, _ = measure.marching_cubes(volume, wanted, spacing=(cell,) * 3)
    turned = faces[:, ::-1].astype(np.int64)  # scikit-image's corners run clockwise when seen from outside
    return Mesh(vertices.astype(np.float64) + low, normals.astype(np.float64), turned)
