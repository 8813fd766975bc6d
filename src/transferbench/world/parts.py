"""What an object of the world is made of: coloured 3-D primitives in the object's own frame.

The object frame is right-handed with z up; the object stands on the ground plane z = 0, faces +x, is centred on the
z axis, and its largest extent is about 1. Lengths are in object units, angles in degrees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

Vector = tuple[float, float, float]
Colour = tuple[float, float, float]
Kind = Literal["ellipsoid", "box", "cone", "torus"]
Pattern = Literal["plain", "stripes", "spots", "checks"]


@dataclass(frozen=True)
class Part:
    """One primitive.

    ``size`` holds the half extents (x, y, z) of an ellipsoid or a box in the part's frame; (radius at the bottom,
    radius at the top, half height) of a cone, whose axis is z; (ring radius, tube radius, unused) of a torus, whose
    axis is z. ``rotation`` (3, 3) turns the part's frame into the object's. ``slot`` names the colour: the palette of
    the scene gives each slot of an object one colour. ``pattern`` mixes ``slot`` with ``second``, ``frequency`` bands,
    spots or checks per object unit.
    """

    kind: Kind
    centre: Vector
    size: Vector
    rotation: tuple[tuple[float, ...], ...]
    slot: str = "main"
    pattern: Pattern = "plain"
    second: str = "dark"
    frequency: float = 8.0


IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def turned(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> tuple[tuple[float, ...], ...]:
    """Return the rotation about the fixed axes x, then y, then z, in degrees."""
    a, b, c = math.radians(x), math.radians(y), math.radians(z)
    ca, sa, cb, sb, cc, sc = math.cos(a), math.sin(a), math.cos(b), math.sin(b), math.cos(c), math.sin(c)
    return (
        (cc * cb, cc * sb * sa - sc * ca, cc * sb * ca + sc * sa),
        (sc * cb, sc * sb * sa + cc * ca, sc * sb * ca - cc * sa),
        (-sb, cb * sa, cb * ca),
    )


def _towards(direction: Vector) -> tuple[tuple[float, ...], ...]:
    """Return a rotation that takes +z to ``direction``."""
    length = math.hypot(*direction)
    a, b, c = (value / length for value in direction)
    if abs(a) < 0.9:  # x: across +x and the direction
        flat = math.hypot(b, c)
        x = (0.0, -c / flat, b / flat)
    else:  # x: across +y and the direction
        flat = math.hypot(a, c)
        x = (c / flat, 0.0, -a / flat)
    y = (b * x[2] - c * x[1], c * x[0] - a * x[2], a * x[1] - b * x[0])
    return tuple(zip(x, y, (a, b, c)))


def ellipsoid(
    at: Vector, size: Vector | float, slot: str = "main", *, x: float = 0.0, y: float = 0.0, z: float = 0.0
) -> Part:
    """Return an ellipsoid with half extents ``size`` (a number makes a sphere), turned by x, y, z degrees."""
    extents = (size, size, size) if isinstance(size, (int, float)) else size
    return Part("ellipsoid", at, extents, turned(x, y, z), slot)


def box(at: Vector, size: Vector, slot: str = "main", *, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Part:
    """Return a box with half extents ``size``, turned by x, y, z degrees."""
    return Part("box", at, size, turned(x, y, z), slot)


def cone(start: Vector, end: Vector, radius: float, end_radius: float | None = None, slot: str = "main") -> Part:
    """Return a capped cone frustum from ``start`` to ``end``; without ``end_radius`` a cylinder; 0 makes a point."""
    (ax, ay, az), (bx, by, bz) = start, end
    top = radius if end_radius is None else end_radius
    axis = (bx - ax, by - ay, bz - az)
    middle = ((ax + bx) / 2, (ay + by) / 2, (az + bz) / 2)
    return Part("cone", middle, (radius, top, math.hypot(*axis) / 2), _towards(axis), slot)


def torus(
    at: Vector, radius: float, tube: float, slot: str = "main", *, x: float = 0.0, y: float = 0.0, z: float = 0.0
) -> Part:
    """Return a ring lying flat (axis z) before it is turned by x, y, z degrees."""
    return Part("torus", at, (radius, tube, 0.0), turned(x, y, z), slot)


def limb(points: list[Vector], radius: float, end_radius: float | None = None, slot: str = "main") -> list[Part]:
    """Return a chain of frusta with round joints through ``points``, its radius going from the first to the last."""
    last = radius if end_radius is None else end_radius
    radii = np.linspace(radius, last, len(points)).tolist()
    parts = [ellipsoid(p, r, slot) for p, r in zip(points, radii)]
    return parts + [cone(p, q, r, s, slot) for p, q, r, s in zip(points, points[1:], radii, radii[1:])]


def patterned(part: Part, pattern: Pattern, second: str = "dark", frequency: float = 8.0) -> Part:
    """Return ``part`` with a pattern of a second colour on it."""
    return replace(part, pattern=pattern, second=second, frequency=frequency)


def mirrored(parts: list[Part]) -> list[Part]:
    """Return ``parts`` and their mirror images across the object's symmetry plane y = 0."""
    twins = []
    for part in parts:
        (a, b, c), (d, e, f), (g, h, i) = part.rotation
        x, y, z = part.centre
        twins.append(replace(part, centre=(x, -y, z), rotation=((a, -b, c), (-d, e, -f), (g, -h, i))))
    return parts + twins


@dataclass(frozen=True)
class Shape:
    """One exemplar of a concept: its parts, its usual colours and how it is seen.

    ``natural`` holds alternatives of natural colours (sRGB, 0 to 1) by slot; one index is drawn for all slots, so
    that alternatives may belong together (a shorter list is gone through again). ``airborne`` shapes float above the
    ground. ``yaw`` is the range of turns about z in degrees from the three-quarter view, which shows the right side
    and a quarter of the front: at 30 the view is straight at the right side, at -60 straight at the front, at 120 at
    the back. Every view is mirrored half of the time.
    """

    parts: tuple[Part, ...]
    natural: Mapping[str, tuple[Colour, ...]] = field(default_factory=dict)
    airborne: bool = False
    yaw: tuple[float, float] = (-55.0, 55.0)


Builder = Callable[[np.random.Generator], Shape]
