"""What parts look like: patterns, highlights, metal, and the light they send to the eye."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferbench.world.light import Light, SunView
from transferbench.world.solids import KINDS, Floats, Ints, Solids, dot, normals

PATTERNS = ("plain", "stripes", "spots", "checks")
SHININESS = 32  # exponent of the highlights
BIAS = 0.012  # units, by which shadow look-ups leave the surface


@dataclass(frozen=True)
class Finish:
    """How the parts look: ``colours`` (P, 2, 3) linear, the second one for the ``pattern`` (P,), an index of PATTERNS.

    ``frequency`` (P,) per unit, ``gloss`` (P,) strength of highlights, ``metal`` (P,) share of mirrored surroundings.
    """

    colours: Floats
    pattern: NDArray[np.intp]
    frequency: Floats
    gloss: Floats
    metal: Floats


def shade(
    solids: Solids, finish: Finish, light: Light, shadows: SunView, part: Ints, points: Floats, rays: Floats
) -> Floats:
    """Return the light (3, N) from ``points`` (3, N) on the parts ``part`` (N,), seen along ``rays`` (3, N)."""
    turn = solids.rotation.transpose(1, 2, 0).take(part, axis=2)  # (world, own, N)
    own = _product(turn.transpose(1, 0, 2), points - solids.centre.T.take(part, axis=1))
    normal = _product(turn, normals(solids.kind[part], own, solids.size.T.take(part, axis=1)))
    normal = np.where(dot(normal, rays) > 0, -normal, normal)
    view = -rays / np.sqrt(dot(rays, rays))
    slant = np.maximum(light.towards @ normal, 0) * shadows.lit(points + normal * np.float32(BIAS), BIAS)
    near_ground = np.clip(points[2] * 4, 0, 1)
    hemisphere = (0.5 + 0.5 * normal[2]) * (0.75 + 0.25 * near_ground)
    ambient = light.bounce[:, None] + (light.sky - light.bounce)[:, None] * hemisphere
    halfway = view + light.towards[:, None]
    halfway /= np.sqrt(dot(halfway, halfway))
    shine = np.maximum(dot(normal, halfway), 0) ** SHININESS * finish.gloss[part] * (slant > 0)
    metal = finish.metal[part]
    mirrored_height = 2 * dot(normal, view) * normal[2] - view[2]
    mirror = np.clip(0.5 + 2.5 * mirrored_height, 0.12, 1.3) * metal
    diffuse = light.sun[:, None] * slant + ambient
    albedo = surface_colour(finish, part, own, solids)
    return np.asarray(albedo * (diffuse * (1 - metal) + mirror) + light.sun[:, None] * shine, np.float32)


def _product(matrices: Floats, vectors: Floats) -> Floats:
    """Return the products (3, N) of ``matrices`` (3, 3, N) and ``vectors`` (3, N)."""
    return np.array([dot(row, vectors) for row in matrices])


def surface_colour(finish: Finish, part: Ints, own: Floats, solids: Solids) -> Floats:
    """Return the linear colour (3, N) at points ``own`` (3, N) of parts ``part`` (N,), in the parts' frames.

    Stripes run around the longest axis of a part (the axis of a cone, around the ring of a torus); spots and checks
    fill its frame.
    """
    colours = finish.colours.transpose(1, 2, 0)
    colour: Floats = colours[0].take(part, axis=1)
    index = np.flatnonzero(finish.pattern[part])
    if len(index) == 0:
        return colour
    owner, p = part[index], own[:, index]
    frequency = finish.frequency[owner]
    axis = np.where(solids.kind == KINDS.index("cone"), 2, solids.size.argmax(axis=1))[owner]
    around = np.arctan2(p[1], p[0]) * solids.size[owner, 0]
    along = np.where(solids.kind[owner] == KINDS.index("torus"), around, p[axis, np.arange(len(index))])
    second = np.select(
        [finish.pattern[owner] == PATTERNS.index(name) for name in ("stripes", "spots")],
        [np.floor(along * frequency * 2 + np.float32(0.25)) % 2 > 0.5, _spots(p * frequency)],
        np.floor(p * frequency * 2 + np.float32(0.013)).sum(axis=0) % 2 > 0.5,
    )
    colour[:, index] = np.where(second, colours[1].take(owner, axis=1), colour[:, index])
    return colour


def _spots(cell: Floats) -> NDArray[np.bool_]:
    """Return what lies inside the spots: a ball of radius 0.38 in each unit cell of ``cell`` (3, N), off its centre."""
    corner = np.floor(cell)
    mixed = np.sin(corner[0] * 12.9898 + corner[1] * 78.233 + corner[2] * 37.719)
    centre = 0.5 + 0.12 * np.stack([np.sin(mixed * 91.3), np.sin(mixed * 57.1), np.sin(mixed * 23.7)])
    offset = cell - corner - centre
    return dot(offset, offset) < np.float32(0.38**2)
