"""Light and shadow: the sun with the shadows it casts, the sky and how parts near the ground keep it off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transferbench.nerf.cameras import look_at
from transferbench.world.solids import Floats, Solids
from transferbench.world.trace import Grid, rectangles, trace

SHADOW_MAP = 96  # pixels a side of the sun's view
FLOOR_MAP = 28  # knots a side of the contact shadow's map
NEAR = 0.3  # units: parts higher above the ground throw no contact shadow


@dataclass(frozen=True)
class Light:
    """The sun (unit vector towards it, linear colour), the sky's and the ground's ambient light, and the exposure."""

    towards: Floats
    sun: Floats
    sky: Floats
    bounce: Floats
    exposure: float


@dataclass(frozen=True)
class SunView:
    """The scene from the sun: ``depth`` (S, S) over the square of half width ``reach`` around ``centre`` (3,)."""

    axes: Floats  # (3, 3): right, up, towards the sun
    centre: Floats
    reach: float
    depth: Floats

    @classmethod
    def of(cls, solids: Solids, towards_sun: Floats) -> SunView:
        """Return the view of the parts from the sun, a unit vector (3,) away."""
        corners = solids.corners()
        flat = corners.reshape(-1, 3)
        centre = (flat.min(axis=0) + flat.max(axis=0)) / 2
        axes = look_at(towards_sun, (0.0, 0.0, 0.0))[:3, :3].astype(np.float32).T
        local = (corners - centre) @ axes.T
        reach = float(np.abs(local).max()) * 1.02
        pixel = np.float32(2 * reach / SHADOW_MAP)
        zero = np.zeros(3, np.float32)
        right, up, towards = axes
        start = centre + np.float32(2 * reach) * towards - np.float32(reach) * right + np.float32(reach) * up
        grid = Grid(SHADOW_MAP, SHADOW_MAP, (start, right * pixel, -up * pixel), (-towards, zero, zero))
        points = np.stack([(local[..., 0] + reach) / pixel, (reach - local[..., 1]) / pixel], axis=-1)
        return cls(axes, centre, reach, trace(solids, rectangles(points), grid).depth)

    def lit(self, points: Floats, bias: float) -> Floats:
        """Return the share (N,) of the sun that reaches ``points`` (3, N): 0 in shadow, soft over a map pixel."""
        local = self.axes @ (points - self.centre[:, None])
        scale = np.float32(SHADOW_MAP / (2 * self.reach))
        u = (local[0] + np.float32(self.reach)) * scale - np.float32(0.5)
        v = (np.float32(self.reach) - local[1]) * scale - np.float32(0.5)
        depth = np.float32(2 * self.reach - bias) - local[2]
        i, j = np.floor(v), np.floor(u)
        a, b = v - i, u - j
        i, j = i.astype(np.intp), j.astype(np.intp)
        framed = np.pad(self.depth, 1, constant_values=np.inf)
        i, j = np.clip(i + 1, 0, SHADOW_MAP), np.clip(j + 1, 0, SHADOW_MAP)
        near = (framed[i, j] > depth) * (1 - b) + (framed[i, j + 1] > depth) * b
        far = (framed[i + 1, j] > depth) * (1 - b) + (framed[i + 1, j + 1] > depth) * b
        result: Floats = near * (1 - a) + far * a
        return result


def open_sky(solids: Solids, points: Floats) -> Floats:
    """Return the share (N,) of the sky's light at ground ``points`` (3, N): less below and close to parts."""
    corners = solids.corners()
    lowest = corners[:, :, 2].min(axis=1)
    near = np.flatnonzero(lowest < NEAR)
    if len(near) == 0:
        return np.ones(points.shape[1], np.float32)
    flat = corners[near][:, :, :2]
    low, high = flat.min(axis=(0, 1)) - NEAR, flat.max(axis=(0, 1)) + NEAR
    x = np.linspace(low[0], high[0], FLOOR_MAP, dtype=np.float32)
    y = np.linspace(low[1], high[1], FLOOR_MAP, dtype=np.float32)
    weight = 0.7 * (1 - lowest[near] / NEAR)
    shade = 1 - np.minimum((_blobs(flat, x, y) * weight[:, None, None]).max(axis=0), 0.75)
    shade = np.pad(shade, 1, constant_values=1.0)
    return _sampled(shade, (points[0] - x[0]) / (x[1] - x[0]) + 1, (points[1] - y[0]) / (y[1] - y[0]) + 1)


def _blobs(flat: Floats, x: Floats, y: Floats) -> Floats:
    """Return Gaussians (P, Y, X) as wide as the footprints ``flat`` (P, 8, 2) of parts, at most 1."""
    centre = flat.mean(axis=1)
    offset = flat - centre[:, None]
    spread = np.einsum("pci,pcj->pij", offset, offset) / 8 + np.eye(2, dtype=np.float32) * 0.003
    form = np.linalg.inv(spread)
    dx, dy = (x - centre[:, :1])[:, None, :], (y - centre[:, 1:])[:, :, None]
    square = form[:, 0, 0, None, None] * dx**2 + form[:, 1, 1, None, None] * dy**2
    square = square + 2 * form[:, 0, 1, None, None] * dx * dy
    return np.asarray(np.exp(-0.5 * square), np.float32)


def _sampled(image: Floats, u: Floats, v: Floats) -> Floats:
    """Return ``image`` (rows v, columns u) between its knots, its edge beyond them."""
    u, v = np.clip(u, 0, image.shape[1] - 1.001), np.clip(v, 0, image.shape[0] - 1.001)
    i, j = v.astype(np.intp), u.astype(np.intp)
    a, b = v - i, u - j
    near = image[i, j] * (1 - b) + image[i, j + 1] * b
    far = image[i + 1, j] * (1 - b) + image[i + 1, j + 1] * b
    return np.asarray(near * (1 - a) + far * a, np.float32)
