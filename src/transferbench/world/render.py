"""From a scene to a picture: what each ray sees, and the camera's flaws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferbench.nerf.cameras import project
from transferbench.world.backdrop import shade_backdrop
from transferbench.world.light import SunView
from transferbench.world.palette import encoded
from transferbench.world.scene import Scene
from transferbench.world.solids import Floats
from transferbench.world.surface import shade
from transferbench.world.trace import Grid, rectangles, trace

SUPERSAMPLING = 2  # rays a side of a pixel


@dataclass(frozen=True)
class Picture:
    """``rgb`` (H, W, 3) uint8; ``depth`` (H, W) along the viewing axis, infinite in the sky; ``mask`` (H, W): object.

    Depth is that of the ray nearest to the pixel's centre; the mask holds pixels of which the object covers half.
    """

    rgb: NDArray[np.uint8]
    depth: Floats
    mask: NDArray[np.bool_]


def render(scene: Scene, rng: np.random.Generator) -> Picture:
    """Return the picture of a scene; ``rng`` draws the sensor's noise."""
    solids, light = scene.solids, scene.light
    camera = scene.camera.scaled(SUPERSAMPLING)
    corners, _ = project(solids.corners(), camera.pose, camera.focal, camera.principal)
    grid = Grid.of(camera)
    hits = trace(solids, rectangles(corners), grid)
    depth, part = hits.depth.ravel(), hits.part.ravel()
    shadows, rays, eye = SunView.of(solids, light.towards), grid.directions(), grid.origin[0]
    colour = np.empty((3, depth.size), np.float32)
    seen, empty = np.flatnonzero(part >= 0), np.flatnonzero(part < 0)
    along = rays.take(seen, axis=1)
    points = eye[:, None] + depth[seen] * along
    colour[:, seen] = shade(solids, scene.finish, light, shadows, part[seen], points, along)
    along = rays.take(empty, axis=1)
    colour[:, empty], depth[empty] = shade_backdrop(
        scene.backdrop, solids, light, shadows, eye, along, 1 / camera.focal
    )
    own = np.append(scene.is_object, False)[hits.part].astype(np.float32)
    return Picture(
        rgb=_developed(scene, _averaged(colour.reshape(3, camera.size, camera.size)), rng),
        depth=depth.reshape(camera.size, camera.size)[1::SUPERSAMPLING, 1::SUPERSAMPLING].copy(),
        mask=_averaged(own) >= 0.5,
    )


def _averaged(image: Floats) -> Floats:
    """Return the means (..., H, W) of the rays (..., H * SUPERSAMPLING, W * SUPERSAMPLING) of each pixel."""
    offsets = [(i, j) for i in range(SUPERSAMPLING) for j in range(SUPERSAMPLING)]
    total = sum(image[..., i::SUPERSAMPLING, j::SUPERSAMPLING] for i, j in offsets)
    return np.asarray(total / len(offsets), np.float32)


def _developed(scene: Scene, light: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return what the sensor makes of linear ``light`` (3, H, W): vignette, exposure, encoding, grain, 8 bits."""
    height, width = light.shape[1:]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    fall = 1 - np.float32(scene.vignette) * (x * x + y * y) / 2
    values = encoded(light * fall * np.float32(scene.light.exposure))
    values = values + np.float32(scene.grain) * rng.standard_normal(values.shape, np.float32)
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
