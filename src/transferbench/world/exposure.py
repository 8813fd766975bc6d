"""Pictures of 3-D scenes without a camera's flaws: colours, coverage, and which thing each pixel shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferbench.nerf.cameras import project, ray_basis
from transferbench.world.backdrop import Texture, texture_colour
from transferbench.world.light import Light, SunView, open_sky
from transferbench.world.palette import encoded
from transferbench.world.solids import Floats, Ints, Solids
from transferbench.world.surface import Finish, shade
from transferbench.world.trace import Grid, Hits, rectangles, trace

SUPERSAMPLING = 3  # rays a side of a pixel; odd, so that one goes through its centre
CLOSEST = 0.05  # units: a part that comes as near to the camera may lie anywhere in the picture
CONTACT = 0.6  # of the light is kept from where a thing stands


@dataclass(frozen=True)
class Lens:
    """A pinhole camera for oblong pictures: ``pose`` (4, 4) camera-to-world, the axis through the picture's middle."""

    pose: NDArray[np.float64]
    focal: float
    width: int
    height: int

    def scaled(self, times: float) -> Lens:
        """Return the same view with ``times`` as many pixels a side."""
        return Lens(self.pose, self.focal * times, round(self.width * times), round(self.height * times))

    @property
    def principal(self) -> tuple[float, float]:
        """Where the axis meets the picture, pixels."""
        return self.width / 2, self.height / 2

    def see(self, solids: Solids) -> tuple[Hits, Grid]:
        """Return what the rays through the pixels' centres hit, and the rays."""
        a, b, c = (term.astype(np.float32) for term in ray_basis(self.pose, self.focal, self.principal))
        still = np.zeros(3, np.float32)
        eye = self.pose[:3, 3].astype(np.float32)
        grid = Grid(self.width, self.height, (eye, still, still), (a, b, c))
        points, depth = project(solids.corners(), self.pose, self.focal, self.principal)
        frames = rectangles(points)
        frames[depth.min(axis=1) < CLOSEST] = (0, 0, self.width, self.height)
        frames[depth.max(axis=1) < 0] = 0
        return trace(solids, frames, grid), grid


@dataclass(frozen=True)
class Arrangement:
    """What is to be photographed.

    ``owner`` (P,) says to which thing a part belongs; ``textures`` are those of parts that are slabs, by their place;
    ``standing`` are the things that darken the slabs they stand on, all at the height ``level``.
    """

    solids: Solids
    finish: Finish
    owner: NDArray[np.uint8]
    textures: Mapping[int, Texture]
    light: Light
    shadows: SunView
    standing: tuple[Solids, ...]
    level: float = 0.0


@dataclass(frozen=True)
class Exposure:
    """``rgb`` (H, W, 3) uint8, not multiplied by the coverage ``alpha`` (H, W) uint8; ``owner`` (H, W) uint8, 0 for
    none, and ``depth`` (H, W) along the viewing axis, infinite for nothing, of the rays through the pixels' centres.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    owner: NDArray[np.uint8]
    depth: Floats


def expose(scene: Arrangement, lens: Lens) -> Exposure:
    """Return the picture of a scene; nothing in it is random."""
    hits, grid = lens.scaled(SUPERSAMPLING).see(scene.solids)
    part = hits.part.ravel()
    seen = np.flatnonzero(part >= 0)
    along = grid.directions().take(seen, axis=1)
    points = grid.origin[0][:, None] + hits.depth.ravel()[seen] * along
    colour = np.zeros((3, part.size), np.float32)
    pixel = np.float32(1 / (lens.focal * SUPERSAMPLING))
    footprint = hits.depth.ravel()[seen] * pixel
    colour[:, seen] = _lit(scene, part[seen], points, along, footprint)
    shape = (lens.height, SUPERSAMPLING, lens.width, SUPERSAMPLING)
    count = (hits.part >= 0).reshape(shape).sum(axis=(1, 3))
    light = colour.reshape(3, *shape).sum(axis=(2, 4)) / np.maximum(count, 1)
    values = encoded(light * np.float32(scene.light.exposure)).transpose(1, 2, 0)
    middle = (slice(SUPERSAMPLING // 2, None, SUPERSAMPLING),) * 2
    centre = hits.part[middle]
    return Exposure(
        rgb=np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8),
        alpha=np.rint(count * (255 / SUPERSAMPLING**2)).astype(np.uint8),
        owner=np.where(centre >= 0, scene.owner[centre], 0).astype(np.uint8),
        depth=hits.depth[middle].copy(),
    )


def _lit(scene: Arrangement, part: Ints, points: Floats, along: Floats, footprint: Floats) -> Floats:
    """Return the linear light (3, N) from ``points`` (3, N); slabs have their textures and are darker below things."""
    colour = shade(scene.solids, scene.finish, scene.light, scene.shadows, part, points, along)
    for place, texture in scene.textures.items():
        index = np.flatnonzero(part == place)
        if len(index) == 0:
            continue
        own = points[:, index]
        extent = scene.solids.extents()[place]
        face = np.abs((own - scene.solids.centre[place][:, None]) / extent[:, None]).argmax(axis=0)
        u, v = np.where(face == 0, own[1], own[0]), np.where(face == 2, own[1], own[2])
        colour[:, index] *= texture_colour(texture, u, v, footprint[index])
        upper = index[(face == 2) & (np.abs(own[2] - scene.level) < 0.01)]
        if len(upper):
            colour[:, upper] *= _openness(scene, points[:, upper])
    return colour


def _openness(scene: Arrangement, points: Floats) -> Floats:
    """Return the share (N,) of the light that things nearby leave to ``points`` (3, N) they stand on."""
    down = np.array([0, 0, -scene.level], np.float32)
    share = np.ones(points.shape[1], np.float32)
    for solids in scene.standing:
        nearby = open_sky(solids.moved(np.eye(3, dtype=np.float32), down), points)
        share *= np.float32(1 - CONTACT) + np.float32(CONTACT) * nearby
    return share
