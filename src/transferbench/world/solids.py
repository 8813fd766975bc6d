"""Primitives as arrays: where rays enter them, and their normals, in their own frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferbench.world.parts import Part

Floats = NDArray[np.floating[Any]]  # float32 throughout, for speed; the types of mixed arithmetic are wider
Ints = NDArray[np.intp]

KINDS = ("ellipsoid", "box", "cone", "torus")
TORUS_STEPS = 20
TINY = np.float32(1e-9)
FAR = np.float32(np.inf)
SIGNS: Floats = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)


@dataclass(frozen=True)
class Solids:
    """Parts: ``kind`` (P,) indexes KINDS; ``centre`` and ``size`` (P, 3); ``rotation`` (P, 3, 3) to the world."""

    kind: Ints
    centre: Floats
    size: Floats
    rotation: Floats

    def moved(self, turn: Floats, shift: Floats) -> Solids:
        """Return the parts turned (or mirrored) by the orthogonal matrix ``turn`` (3, 3), then shifted by (3,)."""
        return replace(self, centre=self.centre @ turn.T + shift, rotation=turn @ self.rotation)

    def joined(self, other: Solids) -> Solids:
        """Return these parts, followed by those of ``other``."""
        pairs = zip(astuple(self), astuple(other))
        return Solids(*(np.concatenate(pair) for pair in pairs))

    def extents(self) -> Floats:
        """Return the half extents (P, 3) of the parts in their own frames."""
        size, flat = self.size, self.size.copy()
        widest = np.maximum(size[:, 0], size[:, 1])
        is_cone, is_torus = self.kind == KINDS.index("cone"), self.kind == KINDS.index("torus")
        flat[is_cone, 0] = flat[is_cone, 1] = widest[is_cone]
        outer = size[:, 0] + size[:, 1]
        flat[is_torus, 0] = flat[is_torus, 1] = outer[is_torus]
        flat[is_torus, 2] = size[is_torus, 1]
        return flat

    def corners(self) -> Floats:
        """Return the corners (P, 8, 3) of the boxes around the parts, in the world."""
        local = SIGNS[None] * self.extents()[:, None]
        world: Floats = local @ self.rotation.transpose(0, 2, 1) + self.centre[:, None]
        return world


def solids_of(parts: Sequence[Part]) -> Solids:
    """Return ``parts`` as arrays."""
    return Solids(
        kind=np.array([KINDS.index(part.kind) for part in parts], np.intp),
        centre=np.array([part.centre for part in parts], np.float32).reshape(-1, 3),
        size=np.maximum(np.array([part.size for part in parts], np.float32).reshape(-1, 3), np.float32(1e-4)),
        rotation=np.array([part.rotation for part in parts], np.float32).reshape(-1, 3, 3),
    )


def dot(a: Floats, b: Floats) -> Floats:
    """Return the inner products (N,) of vectors (3, N)."""
    total: Floats = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return total


def hit_ellipsoid(o: Floats, d: Floats, size: Floats) -> Floats:
    """Return where the rays o + t d (3, N) enter ellipsoids of half extents ``size`` (3, N): t (N,), infinite if never.

    As for the other shapes: in the part's frame, and the origins should be near the part, for accuracy.
    """
    o, d = o / size, d / size
    a, b, c = dot(d, d), dot(o, d), dot(o, o) - 1
    inside = b * b - a * c
    with np.errstate(invalid="ignore"):
        return np.where(inside >= 0, (-b - np.sqrt(inside)) / a, FAR)


def hit_box(o: Floats, d: Floats, size: Floats) -> Floats:
    """Return where the rays enter boxes of half extents ``size`` (3, N)."""
    inverse = 1 / np.where(np.abs(d) < TINY, TINY, d)
    middle, reach = -o * inverse, np.abs(inverse) * size
    near, far = (middle - reach).max(axis=0), (middle + reach).min(axis=0)
    return np.where(near <= far, near, FAR)


def hit_cone(o: Floats, d: Floats, size: Floats) -> Floats:
    """Return where the rays enter capped frusta about z; ``size`` (3, N): radius below, radius above, half height."""
    below, above, half = size
    slope, middle = (above - below) / (2 * half), (above + below) / 2
    radius = middle + slope * o[2]
    a = d[0] ** 2 + d[1] ** 2 - (slope * d[2]) ** 2
    a = np.where(np.abs(a) < TINY, TINY, a)
    b = o[0] * d[0] + o[1] * d[1] - slope * d[2] * radius
    c = o[0] ** 2 + o[1] ** 2 - radius**2
    best = np.full(o.shape[1], FAR)
    with np.errstate(invalid="ignore"):
        root = np.sqrt(b * b - a * c)
        for t in ((-b - root) / a, (-b + root) / a):
            best = np.where((np.abs(o[2] + t * d[2]) <= half) & (t < best), t, best)
    steep = np.where(np.abs(d[2]) < TINY, TINY, d[2])
    t = (-np.sign(steep) * half - o[2]) / steep  # the cap through which a ray can enter
    rim = np.where(steep > 0, below, above)
    on_cap = (o[0] + t * d[0]) ** 2 + (o[1] + t * d[1]) ** 2 <= rim**2
    return np.where(on_cap & (t < best), t, best)


def hit_torus(o: Floats, d: Floats, size: Floats) -> Floats:
    """Return where the rays enter tori about z; ``size`` (3, N): radius of the ring, radius of the tube, unused.

    Steps by the distance to the surface, from the sphere around the torus; rays that graze it twice are lost.
    """
    ring, tube = size[0], size[1]
    speed = np.sqrt(dot(d, d))
    d = d / speed
    b = dot(o, d)
    inside = (ring + tube) ** 2 - dot(o, o) + b * b
    reached = np.flatnonzero(inside >= 0)
    result = np.full(o.shape[1], FAR)
    o, d, ring, tube = o[:, reached], d[:, reached], ring[reached], tube[reached]
    t = -b[reached] - np.sqrt(inside[reached])
    gap = np.full_like(t, FAR)
    for _ in range(TORUS_STEPS):
        p = o + t * d
        across = np.sqrt(p[0] * p[0] + p[1] * p[1]) - ring
        gap = np.sqrt(across * across + p[2] * p[2]) - tube
        t = t + np.where(gap > 0, np.maximum(gap, np.float32(0.06) * tube), gap)  # never lingers at a grazed surface
    result[reached] = np.where(gap < 0.05 * tube, t / speed[reached], FAR)
    return result


INTERSECTIONS: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "ellipsoid": hit_ellipsoid,
    "box": hit_box,
    "cone": hit_cone,
    "torus": hit_torus,
}


def normals(kind: Ints, point: Floats, size: Floats) -> Floats:
    """Return the outward unit normals (3, N) at surface points ``point`` (3, N) of parts, in the parts' frames."""
    normal = point / size**2  # of the ellipsoids
    index = np.flatnonzero(kind == KINDS.index("box"))
    if len(index):
        ratio = point[:, index] / size[:, index]
        axis = np.abs(ratio).argmax(axis=0)
        normal[:, index] = 0
        normal[axis, index] = np.sign(ratio[axis, np.arange(len(index))])
    index = np.flatnonzero(kind == KINDS.index("cone"))
    if len(index):
        normal[:, index] = _cone_normal(point[:, index], size[:, index])
    index = np.flatnonzero(kind == KINDS.index("torus"))
    if len(index):
        p = point[:, index]
        pull = size[0, index] / np.maximum(np.hypot(p[0], p[1]), TINY)
        normal[:, index] = p - np.stack([p[0] * pull, p[1] * pull, np.zeros_like(pull)])
    return normal / np.maximum(np.sqrt(dot(normal, normal)), TINY)


def _cone_normal(p: Floats, size: Floats) -> Floats:
    below, above, half = size
    slope = (above - below) / (2 * half)
    radius = np.maximum(np.hypot(p[0], p[1]), TINY)
    off_side = np.abs(radius - ((above + below) / 2 + slope * p[2]))
    on_cap = half - np.abs(p[2]) < off_side
    side = np.stack([p[0] / radius, p[1] / radius, -slope])
    zero = np.zeros_like(radius)
    return np.where(on_cap, np.stack([zero, zero, np.sign(p[2])]), side)
