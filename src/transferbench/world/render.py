"""From a scene to a picture: rays, shadows, materials, patterns and the camera's flaws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferbench.nerf.cameras import look_at, project, ray_basis
from transferbench.world.backdrop import Backdrop, texture_colour
from transferbench.world.palette import encoded
from transferbench.world.scene import PATTERNS, Camera, Finish, Light, Scene
from transferbench.world.trace import Floats, Grid, Ints, Solids, normals, trace

SUPERSAMPLING = 2
SHADOW_MAP = 112  # pixels a side of the sun's view
FLOOR_MAP = 28  # knots a side of the contact shadow's map


@dataclass(frozen=True)
class Picture:
    """``rgb`` (H, W, 3) uint8; ``depth`` (H, W) along the viewing axis, infinite for the sky; ``mask`` (H, W) object."""

    rgb: NDArray[np.uint8]
    depth: Floats
    mask: NDArray[np.bool_]


def render(scene: Scene, rng: np.random.Generator) -> Picture:
    """Return the picture of a scene; ``rng`` draws the sensor's noise."""
    camera, solids = scene.camera, scene.solids
    grid = pinhole_grid(camera, SUPERSAMPLING)
    hits = trace(solids, _rectangles(solids, camera, SUPERSAMPLING), grid)
    depth, part = hits.depth.ravel(), hits.part.ravel()
    directions = _directions(grid)
    eye = grid.origin[0]
    shadows = SunView.of(scene)
    colour = np.empty((3, depth.size), np.float32)
    seen = np.flatnonzero(part >= 0)
    if len(seen):
        points = eye[:, None] + depth[seen] * directions.take(seen, axis=1)
        colour[:, seen] = _shade_parts(scene, part[seen], points, directions[:, seen], shadows)
    empty = np.flatnonzero(part < 0)
    colour[:, empty], depth[empty] = _shade_backdrop(scene, eye, directions[:, empty], shadows)
    rgb = _developed(scene, _averaged(colour.reshape(3, grid.height, grid.width)), rng)
    corner = slice(SUPERSAMPLING // 2, None, SUPERSAMPLING)
    own = np.append(scene.is_object, False)[hits.part]
    mask = _averaged(own[None].astype(np.float32))[0] >= 0.5
    return Picture(rgb, hits.depth[corner, corner].copy(), mask)


def pinhole_grid(camera: Camera, times: int) -> Grid:
    """Return the rays of ``camera``, ``times`` x ``times`` for each pixel."""
    a, b, c = ray_basis(camera.pose, camera.focal * times, (camera.principal[0] * times, camera.principal[1] * times))
    zero = np.zeros(3, np.float32)
    return Grid(
        camera.size * times,
        camera.size * times,
        (camera.pose[:3, 3].astype(np.float32), zero, zero),
        (a.astype(np.float32), b.astype(np.float32), c.astype(np.float32)),
    )


def _directions(grid: Grid) -> Floats:
    """Return the directions (3, H * W) of a pinhole grid's rays."""
    a, b, c = grid.direction
    u = np.arange(grid.width, dtype=np.float32) + np.float32(0.5)
    v = np.arange(grid.height, dtype=np.float32) + np.float32(0.5)
    return (a[:, None, None] + b[:, None, None] * u + c[:, None, None] * v[:, None]).reshape(3, -1)


def _rectangles(solids: Solids, camera: Camera, times: int) -> Ints:
    points, _ = project(solids.corners(), camera.pose, camera.focal, camera.principal)
    return _around(points * times)


def _around(points: NDArray[np.floating]) -> Ints:
    """Return the pixel rectangles (P, 4) around the projected corners (P, 8, 2)."""
    low, high = np.floor(points.min(axis=1)), np.ceil(points.max(axis=1))
    return np.concatenate([low, high], axis=1).clip(-1e6, 1e6).astype(np.intp)


@dataclass(frozen=True)
class SunView:
    """The scene from the sun: ``depth`` (S, S) over the square of half width ``reach`` around ``centre`` (3,)."""

    axes: Floats  # (3, 3): right, up, towards the sun
    centre: Floats
    reach: float
    depth: Floats

    @classmethod
    def of(cls, scene: Scene) -> SunView:
        """Return the view of the scene's parts from its sun."""
        corners = scene.solids.corners()
        flat = corners.reshape(-1, 3)
        centre = (flat.min(axis=0) + flat.max(axis=0)) / 2
        axes = look_at(scene.light.towards, (0.0, 0.0, 0.0))[:3, :3].astype(np.float32).T
        local = (corners - centre) @ axes.T
        reach = float(np.abs(local).max()) * 1.02
        pixel = np.float32(2 * reach / SHADOW_MAP)
        zero = np.zeros(3, np.float32)
        right, up, towards = axes
        start = centre + np.float32(2 * reach) * towards - np.float32(reach) * right + np.float32(reach) * up
        grid = Grid(SHADOW_MAP, SHADOW_MAP, (start, right * pixel, -up * pixel), (-towards, zero, zero))
        points = np.stack([(local[..., 0] + reach) / pixel, (reach - local[..., 1]) / pixel], axis=-1)
        return cls(axes, centre, reach, trace(scene.solids, _around(points), grid).depth)

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


def _shade_parts(scene: Scene, part: Ints, points: Floats, rays: Floats, shadows: SunView) -> Floats:
    """Return the light (3, N) that comes from points on parts along the reversed ``rays`` (3, N)."""
    solids, finish, light = scene.solids, scene.finish, scene.light
    rotation = solids.rotation.transpose(1, 2, 0).take(part, axis=2)  # (world, own, N)
    offset = points - solids.centre.T.take(part, axis=1)
    own = (rotation * offset[:, None]).sum(axis=0)
    size = solids.size.T.take(part, axis=1)
    normal = (rotation * normals(solids.kind[part], own, size)[None]).sum(axis=1)
    facing = (normal * rays).sum(axis=0)
    normal = np.where(facing > 0, -normal, normal)
    view = -rays / np.sqrt((rays * rays).sum(axis=0))
    albedo = surface_colour(finish, part, own, solids)
    sun = light.towards
    slant = np.maximum(sun @ normal, 0)
    slant = slant * shadows.lit(points + normal * np.float32(0.012), 0.012)
    near_ground = np.clip(points[2] * 4, 0, 1)
    hemisphere = (0.5 + 0.5 * normal[2]) * (0.75 + 0.25 * near_ground)
    ambient = light.bounce[:, None] + (light.sky - light.bounce)[:, None] * hemisphere
    halfway = view + sun[:, None]
    halfway /= np.sqrt((halfway * halfway).sum(axis=0))
    shine = np.maximum((normal * halfway).sum(axis=0), 0) ** 32 * finish.gloss[part] * (slant > 0)
    mirrored_z = 2 * (normal * view).sum(axis=0) * normal[2] - view[2]
    mirror = np.clip(0.5 + 2.5 * mirrored_z, 0.12, 1.3) * finish.metal[part]
    diffuse = light.sun[:, None] * slant + ambient
    result: Floats = albedo * (diffuse * (1 - finish.metal[part]) + mirror) + light.sun[:, None] * shine
    return result


def surface_colour(finish: Finish, part: Ints, own: Floats, solids: Solids) -> Floats:
    """Return the linear colour (3, N) at points ``own`` (3, N) of parts ``part`` (N,), in the parts' frames.

    Stripes run around the longest axis of a part (the axis of a cone, around the ring of a torus); spots and checks
    fill its frame.
    """
    colours = finish.colours.transpose(1, 2, 0)
    colour = colours[0].take(part, axis=1)
    pattern = finish.pattern[part]
    index = np.flatnonzero(pattern)
    if len(index) == 0:
        return colour
    owner, p = part[index], own[:, index]
    frequency = finish.frequency[owner]
    axis = np.where(solids.kind == 2, 2, solids.size.argmax(axis=1))[owner]
    along = p[axis, np.arange(len(index))]
    ring = np.arctan2(p[1], p[0]) * solids.size[owner, 0]
    along = np.where(solids.kind[owner] == 3, ring, along)
    stripes = np.floor(along * frequency * 2 + np.float32(0.25)) % 2
    cell = p * frequency
    checks = np.floor(cell * 2 + np.float32(0.013)).sum(axis=0) % 2
    spots = _spots(cell)
    chosen = pattern[index]
    second = np.where(chosen == PATTERNS.index("stripes"), stripes, np.where(chosen == 2, spots, checks)) > 0.5
    colour[:, index] = np.where(second, colours[1].take(owner, axis=1), colour[:, index])
    return colour


def _spots(cell: Floats) -> Floats:
    """Return 1 (N,) inside the spots: a ball of radius 0.38 in each unit cell of ``cell`` (3, N), jittered, else 0."""
    corner = np.floor(cell)
    mixed = np.sin(corner[0] * 12.9898 + corner[1] * 78.233 + corner[2] * 37.719)
    centre = 0.5 + 0.12 * np.stack([np.sin(mixed * 91.3), np.sin(mixed * 57.1), np.sin(mixed * 23.7)])
    offset = cell - corner - centre
    return np.asarray((offset * offset).sum(axis=0) < 0.38**2, np.float32)


def _shade_backdrop(scene: Scene, eye: Floats, rays: Floats, shadows: SunView) -> tuple[Floats, Floats]:
    """Return the light (3, N) and the depth (N,) of rays that meet no part."""
    backdrop, light = scene.backdrop, scene.light
    with np.errstate(divide="ignore"):
        to_ground = np.where(rays[2] < -1e-5, -eye[2] / rays[2], np.float32(np.inf))
        to_wall = np.where(rays[1] > 1e-5, (np.float32(backdrop.wall_at) - eye[1]) / rays[1], np.float32(np.inf))
    colour = _sky(backdrop, rays)
    depth = np.minimum(to_ground, to_wall)
    pixel = np.float32(1 / (scene.camera.focal * SUPERSAMPLING))
    ground = np.flatnonzero((to_ground <= to_wall) & (to_ground < 60))
    if len(ground):
        points = eye[:, None] + depth[ground] * rays[:, ground]
        footprint = depth[ground] * pixel / np.maximum(-rays[2, ground], 0.02)
        albedo = texture_colour(backdrop.ground, points[0], points[1], footprint)
        lit = shadows.lit(points, 0.004) * light.towards[2]
        shaded = albedo * (light.sun[:, None] * lit + light.sky[:, None] * _contact(scene, points))
        haze = np.clip(depth[ground] / 25, 0, 1) if np.isinf(backdrop.wall_at) else np.float32(0)
        colour[:, ground] = shaded + (colour[:, ground] - shaded) * haze
    wall = np.flatnonzero(to_wall < to_ground)
    if len(wall):
        points = eye[:, None] + depth[wall] * rays[:, wall]
        albedo = texture_colour(backdrop.wall, points[0], points[2], depth[wall] * pixel)
        slant = np.float32(0.35 + 0.4 * max(-float(light.towards[1]), 0.0))
        corner = 0.75 + 0.25 * np.clip(points[2] * 3, 0, 1)
        colour[:, wall] = albedo * (light.sun * slant + light.sky * np.float32(0.8))[:, None] * corner
    return colour, depth


def _sky(backdrop: Backdrop, rays: Floats) -> Floats:
    height = np.clip(rays[2] / np.sqrt((rays * rays).sum(axis=0)) * 2, 0, 1)
    low, high = backdrop.sky
    return low[:, None] + (high - low)[:, None] * height


def _contact(scene: Scene, points: Floats) -> Floats:
    """Return the share (N,) of the sky's light at ground ``points`` (3, N): less below and close to parts."""
    corners = scene.solids.corners()
    lowest = corners[:, :, 2].min(axis=1)
    near = np.flatnonzero(lowest < 0.3)
    if len(near) == 0:
        return np.ones(points.shape[1], np.float32)
    flat = corners[near][:, :, :2]
    low, high = flat.min(axis=(0, 1)) - 0.3, flat.max(axis=(0, 1)) + 0.3
    x = np.linspace(low[0], high[0], FLOOR_MAP, dtype=np.float32)
    y = np.linspace(low[1], high[1], FLOOR_MAP, dtype=np.float32)
    centre = flat.mean(axis=1)
    offset = flat - centre[:, None]
    spread = np.einsum("pci,pcj->pij", offset, offset) / 8 + np.eye(2, dtype=np.float32) * 0.003
    form = np.linalg.inv(spread)
    dx, dy = (x - centre[:, :1])[:, None, :], (y - centre[:, 1:])[:, :, None]
    square = form[:, 0, 0, None, None] * dx**2 + form[:, 1, 1, None, None] * dy**2
    square = square + 2 * form[:, 0, 1, None, None] * dx * dy
    weight = 0.7 * (1 - lowest[near] / 0.3)
    shade = 1 - np.minimum((np.exp(-0.5 * square) * weight[:, None, None]).max(axis=0), 0.75)
    shade = np.pad(shade, 1, constant_values=1.0)
    return _sampled(shade, (points[0] - x[0]) / (x[1] - x[0]) + 1, (points[1] - y[0]) / (y[1] - y[0]) + 1)


def _sampled(image: Floats, u: Floats, v: Floats) -> Floats:
    """Return ``image`` (rows v, columns u) between its knots, its edge beyond them."""
    u, v = np.clip(u, 0, image.shape[1] - 1.001), np.clip(v, 0, image.shape[0] - 1.001)
    i, j = v.astype(np.intp), u.astype(np.intp)
    a, b = v - i, u - j
    near = image[i, j] * (1 - b) + image[i, j + 1] * b
    far = image[i + 1, j] * (1 - b) + image[i + 1, j + 1] * b
    return np.asarray(near * (1 - a) + far * a, np.float32)


def _averaged(image: Floats) -> Floats:
    channels, height, width = image.shape
    blocks = image.reshape(channels, height // SUPERSAMPLING, SUPERSAMPLING, width // SUPERSAMPLING, SUPERSAMPLING)
    return blocks.mean(axis=(2, 4))


def _developed(scene: Scene, light: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return what the sensor makes of linear ``light`` (3, H, W): vignette, exposure, encoding, grain, 8 bits."""
    height, width = light.shape[1:]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    fall = 1 - np.float32(scene.vignette) * (x * x + y * y) / 2
    values = encoded(light * fall * np.float32(scene.light.exposure))
    values = values + rng.normal(0, scene.grain, values.shape).astype(np.float32)
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
