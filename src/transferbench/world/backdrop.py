"""What lies behind and below the object: a textured ground that meets a wall or a sky."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transferbench.world.light import Light, SunView, open_sky
from transferbench.world.palette import contrast, linear, random_colour
from transferbench.world.parts import Colour
from transferbench.world.solids import Floats, Solids

TEXTURES = ("plain", "checks", "stripes", "noise", "tiles")
HORIZON = 60.0  # units: the ground ends here
HAZE = 25.0  # units at which haze hides the ground
TABLE = 32  # knots of the noise, a side


@dataclass(frozen=True)
class Texture:
    """Two linear ``colours`` (2, 3) mixed by a pattern of ``scale`` features a unit, turned by ``angle`` radians.

    ``knots`` (TABLE, TABLE) in [0, 1] are the values of the noise at whole coordinates.
    """

    kind: str
    colours: Floats
    scale: float
    angle: float
    shift: tuple[float, float]
    knots: Floats


@dataclass(frozen=True)
class Backdrop:
    """The ground (z = 0), and a wall at the distance ``wall_at`` along +y, infinite for a ``sky`` (2, 3) instead.

    ``sky`` holds the linear colours at the horizon and above.
    """

    ground: Texture
    wall: Texture
    wall_at: float
    sky: Floats


def draw_backdrop(avoid: Sequence[Colour], rng: np.random.Generator) -> Backdrop:
    """Return a random backdrop whose colours stand off from those of the object, ``avoid`` (one for each part)."""
    ground, wall = draw_texture(avoid, rng), draw_texture(avoid, rng)
    outdoors = rng.random() < 0.45
    horizon = _standing_off(avoid, rng)
    above = tuple(np.clip(np.array(horizon) * rng.uniform(0.55, 1.05) + rng.normal(0, 0.06, 3), 0, 1).tolist())
    return Backdrop(
        ground=ground,
        wall=wall,
        wall_at=float("inf") if outdoors else float(rng.uniform(0.9, 3.0)),
        sky=linear(np.array([horizon, above], np.float32)),
    )


def draw_texture(avoid: Sequence[Colour], rng: np.random.Generator) -> Texture:
    """Return a random texture of two related colours."""
    base = np.array(_standing_off(avoid, rng))
    other = np.clip(base * rng.uniform(0.6, 1.3) + rng.normal(0, 0.05, 3), 0.02, 1)
    return Texture(
        kind=str(rng.choice(TEXTURES)),
        colours=linear(np.array([base, other], np.float32)),
        scale=float(np.exp(rng.uniform(np.log(1.5), np.log(6)))),
        angle=float(rng.uniform(0, np.pi)),
        shift=(float(rng.uniform(0, TABLE)), float(rng.uniform(0, TABLE))),
        knots=rng.random((TABLE, TABLE), np.float32),
    )


def _standing_off(avoid: Sequence[Colour], rng: np.random.Generator, tries: int = 4) -> Colour:
    candidates = np.array([random_colour("ground", rng) for _ in range(tries)])
    muted = 0.6 * candidates + 0.4 * candidates.mean(axis=1, keepdims=True)
    return tuple(muted[int(contrast(muted, avoid).mean(axis=1).argmax())].tolist())


def texture_colour(texture: Texture, x: Floats, y: Floats, footprint: Floats) -> Floats:
    """Return the linear colours (3, N) of a texture at plane coordinates (N,).

    ``footprint`` (N,) is the extent of a pixel on the plane: features below it fade into their mean.
    """
    cosine, sine = np.float32(np.cos(texture.angle)), np.float32(np.sin(texture.angle))
    scale = np.float32(texture.scale)
    u = (cosine * x + sine * y) * scale + np.float32(texture.shift[0])
    v = (cosine * y - sine * x) * scale + np.float32(texture.shift[1])
    mix = _pattern(texture, u, v)
    sharp = np.clip(np.float32(1.5) - 2 * footprint * scale, 0, 1)
    mix = np.float32(0.5) + (mix - np.float32(0.5)) * sharp
    first, second = texture.colours
    colour: Floats = first[:, None] + (second - first)[:, None] * mix
    return colour


def _pattern(texture: Texture, u: Floats, v: Floats) -> Floats:
    """Return the share (N,) of the second colour at coordinates in which features have unit size."""
    if texture.kind == "plain":
        return 0.35 + 0.3 * value_noise(texture.knots, u * np.float32(0.5), v * np.float32(0.5))
    if texture.kind == "noise":
        fine = value_noise(texture.knots, u * 3, v * 3)
        return 0.6 * value_noise(texture.knots, u, v) + 0.4 * fine
    if texture.kind == "checks":
        return np.asarray((np.floor(u) + np.floor(v)) % 2, np.float32)
    if texture.kind == "stripes":  # planks: shades that differ from board to board
        board = np.floor(u).astype(np.intp)
        return texture.knots[board % TABLE, np.floor(v / 5 + board * 0.37).astype(np.intp) % TABLE]
    gap = np.minimum(np.abs(u % 1 - 0.5), np.abs(v % 1 - 0.5))  # tiles: thin lines between
    return np.asarray(gap < 0.06, np.float32)


def value_noise(knots: Floats, u: Floats, v: Floats) -> Floats:
    """Return smooth noise in [0, 1]: ``knots`` (TABLE, TABLE) at whole coordinates, repeated, smoothly between."""
    i, j = np.floor(u), np.floor(v)
    a, b = u - i, v - j
    a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
    i, j = i.astype(np.intp) % TABLE, j.astype(np.intp) % TABLE
    i1, j1 = (i + 1) % TABLE, (j + 1) % TABLE
    near = knots[i, j] + (knots[i, j1] - knots[i, j]) * b
    far = knots[i1, j] + (knots[i1, j1] - knots[i1, j]) * b
    return near + (far - near) * a


def shade_backdrop(
    backdrop: Backdrop, solids: Solids, light: Light, shadows: SunView, eye: Floats, rays: Floats, pixel: float
) -> tuple[Floats, Floats]:
    """Return the light (3, N) and the depth (N,) of ``rays`` (3, N) from ``eye`` (3,) that meet no part.

    ``pixel`` is the extent of a pixel at depth 1.
    """
    with np.errstate(divide="ignore"):
        to_ground = np.where(rays[2] < -1e-5, -eye[2] / rays[2], np.float32(np.inf))
        to_wall = np.where(rays[1] > 1e-5, (np.float32(backdrop.wall_at) - eye[1]) / rays[1], np.float32(np.inf))
    colour = _sky(backdrop, rays)
    depth = np.minimum(to_ground, to_wall)
    index = np.flatnonzero((to_ground <= to_wall) & (to_ground < HORIZON))
    if len(index):
        points = eye[:, None] + depth[index] * rays[:, index]
        footprint = depth[index] * np.float32(pixel) / np.maximum(-rays[2, index], 0.02)
        albedo = texture_colour(backdrop.ground, points[0], points[1], footprint)
        lit = shadows.lit(points, 0.004) * light.towards[2]
        ground = albedo * (light.sun[:, None] * lit + light.sky[:, None] * open_sky(solids, points))
        haze = np.clip(depth[index] / HAZE, 0, 1) if np.isinf(backdrop.wall_at) else np.float32(0)
        colour[:, index] = ground + (colour[:, index] - ground) * haze
    index = np.flatnonzero(to_wall < to_ground)
    if len(index):
        points = eye[:, None] + depth[index] * rays[:, index]
        albedo = texture_colour(backdrop.wall, points[0], points[2], depth[index] * np.float32(pixel))
        slant = 0.35 + 0.4 * max(-float(light.towards[1]), 0.0)
        corner = 0.75 + 0.25 * np.clip(points[2] * 3, 0, 1)
        colour[:, index] = albedo * (light.sun * np.float32(slant) + light.sky * np.float32(0.8))[:, None] * corner
    return colour, np.where(depth < HORIZON, depth, np.float32(np.inf))


def _sky(backdrop: Backdrop, rays: Floats) -> Floats:
    height = np.clip(rays[2] / np.sqrt((rays * rays).sum(axis=0)) * 2, 0, 1)
    low, high = backdrop.sky
    colour: Floats = low[:, None] + (high - low)[:, None] * height
    return colour
