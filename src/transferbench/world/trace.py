"""What the rays of a grid see of many parts, without a loop over parts.

Each part contributes the pixels of the rectangle around its projection, so the work is proportional to the area that
parts cover.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferbench.nerf.cameras import ray_basis
from transferbench.world.solids import INTERSECTIONS, KINDS, Floats, Ints, Solids, dot


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: ``pose`` (4, 4) camera-to-world; ``focal`` and ``principal`` in pixels of a square picture."""

    pose: NDArray[np.float64]
    focal: float
    principal: tuple[float, float]
    size: int

    def scaled(self, times: int) -> Camera:
        """Return the same view with ``times`` as many pixels a side."""
        principal = (self.principal[0] * times, self.principal[1] * times)
        return Camera(self.pose, self.focal * times, principal, self.size * times)


@dataclass(frozen=True)
class Grid:
    """A picture's rays: pixel coordinate (u, v) starts at o + u ou + v ov and goes along d + u du + v dv (all (3,)).

    A pinhole camera varies the direction, a parallel light the origin.
    """

    width: int
    height: int
    origin: tuple[Floats, Floats, Floats]
    direction: tuple[Floats, Floats, Floats]

    @classmethod
    def of(cls, camera: Camera) -> Grid:
        """Return the rays of a pinhole camera; their parameter is the depth along the viewing axis."""
        a, b, c = (term.astype(np.float32) for term in ray_basis(camera.pose, camera.focal, camera.principal))
        still = np.zeros(3, np.float32)
        return cls(camera.size, camera.size, (camera.pose[:3, 3].astype(np.float32), still, still), (a, b, c))

    def directions(self) -> Floats:
        """Return the directions (3, H * W) of all rays."""
        a, b, c = (term[:, None, None] for term in self.direction)
        u = np.arange(self.width, dtype=np.float32) + np.float32(0.5)
        v = np.arange(self.height, dtype=np.float32) + np.float32(0.5)
        return (a + b * u + c * v[:, None]).reshape(3, -1)


@dataclass(frozen=True)
class Hits:
    """What a grid sees: ``depth`` (H, W) is the ray parameter, infinite where nothing is; ``part`` (H, W) or -1."""

    depth: Floats
    part: Ints


def rectangles(points: NDArray[np.floating]) -> Ints:
    """Return the pixel rectangles (P, 4), half-open, around projected corners (P, 8, 2)."""
    low, high = np.floor(points.min(axis=1)), np.ceil(points.max(axis=1))
    return np.concatenate([low, high], axis=1).clip(-1e6, 1e6).astype(np.intp)


def trace(solids: Solids, frames: Ints, grid: Grid) -> Hits:
    """Return the nearest hits of all rays of ``grid``.

    ``frames`` (P, 4) holds the half-open pixel rectangle (left, top, right, bottom) that each part's projection
    lies in.
    """
    left, top, right, bottom = _clipped(frames, grid)
    width = np.maximum(right - left, 0)
    counts = width * np.maximum(bottom - top, 0)
    depth = np.full(grid.width * grid.height, np.inf, np.float32)
    part = np.full(grid.width * grid.height, -1, np.intp)
    for kind, name in enumerate(KINDS):
        chosen = np.flatnonzero((solids.kind == kind) & (counts > 0))
        if len(chosen) == 0:
            continue
        owner = np.repeat(chosen, counts[chosen])
        within = np.arange(len(owner)) - np.repeat(np.cumsum(counts[chosen]) - counts[chosen], counts[chosen])
        row, column = np.divmod(within, width[owner])
        row, column = row + top[owner], column + left[owner]
        t = _ray_parameter(name, solids, owner, column, row, grid)
        pixel = row * grid.width + column
        hit = np.flatnonzero(t < depth[pixel])
        pixel, t, owner = pixel[hit], t[hit], owner[hit]
        np.minimum.at(depth, pixel, t)
        nearest = t == depth[pixel]
        part[pixel[nearest]] = owner[nearest]
    return Hits(depth.reshape(grid.height, grid.width), part.reshape(grid.height, grid.width))


def _clipped(frames: Ints, grid: Grid) -> Ints:
    low = np.array([0, 0, 0, 0])
    high = np.array([grid.width, grid.height, grid.width, grid.height])
    return np.clip(frames, low, high).T


def _ray_parameter(name: str, solids: Solids, owner: Ints, column: Ints, row: Ints, grid: Grid) -> Floats:
    """Return the ray parameter (N,) at which pixel n meets part ``owner[n]``, infinite where it passes."""
    u, v = column.astype(np.float32) + np.float32(0.5), row.astype(np.float32) + np.float32(0.5)
    inverse = solids.rotation.transpose(2, 1, 0)  # (axis of the part, axis of the world, part)
    start = _bilinear(grid.origin, inverse, owner, u, v, solids.centre)
    along = _bilinear(grid.direction, inverse, owner, u, v, None)
    ahead = -dot(start, along) / dot(along, along)  # to where the ray is nearest to the part's centre
    start += ahead * along
    t = ahead + INTERSECTIONS[name](start, along, solids.size.T.take(owner, axis=1))
    return np.where(t > 0, t, np.float32(np.inf))


def _bilinear(
    terms: tuple[Floats, Floats, Floats], inverse: Floats, owner: Ints, u: Floats, v: Floats, centre: Floats | None
) -> Floats:
    """Return a + u b + v c (3, N), for ``terms`` a, b, c, in the frames of the parts ``owner``."""
    constant = terms[0][:, None] if centre is None else terms[0][:, None] - centre.T
    parts = np.broadcast_to(constant, (3, inverse.shape[2]))
    local: Floats = np.einsum("awp,wp->ap", inverse, parts).take(owner, axis=1)
    for term, coordinate in ((terms[1], u), (terms[2], v)):
        if term.any():
            local += np.einsum("awp,w->ap", inverse, term).take(owner, axis=1) * coordinate
    return local
