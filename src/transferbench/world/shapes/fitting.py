"""Placing groups of parts, and fitting a finished group into the object frame.

A builder works in whatever units suit its concept; ``fitted`` scales, centres and lowers the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from transferbench.world.parts import Colour, Part, Shape, Vector, cone, ellipsoid, turned

Palette = dict[str, tuple[Colour, ...]]
Plan = TypeVar("Plan")

INK: tuple[Colour, ...] = ((0.07, 0.06, 0.06), (0.13, 0.10, 0.08))
"""Natural colours of eyes, noses and hooves."""
FACING = (-10.0, 70.0)
"""Range of yaw of flat shapes whose face looks towards -y: within 40 degrees of the camera."""


def placed(
    parts: Iterable[Part], at: Vector = (0, 0, 0), scale: float = 1.0, *, x: float = 0.0, y: float = 0.0, z: float = 0.0
) -> list[Part]:
    """Return ``parts`` scaled, turned by x, y, z degrees (a positive y takes +x downwards) and moved to ``at``."""
    rotation = np.array(turned(x, y, z))
    return [
        replace(
            part,
            centre=_vector(rotation @ np.array(part.centre) * scale + at),
            size=_vector(np.array(part.size) * scale),
            rotation=tuple(map(tuple, (rotation @ np.array(part.rotation)).tolist())),
            frequency=part.frequency / scale,
        )
        for part in parts
    ]


def bounds(parts: Sequence[Part]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest and the highest corner (3,) of the box that holds every part."""
    centres, halves = np.array([p.centre for p in parts]), np.array([_half_extents(p) for p in parts])
    return (centres - halves).min(axis=0), (centres + halves).max(axis=0)


def fitted(
    parts: Sequence[Part],
    natural: Palette,
    *,
    airborne: bool = False,
    yaw: tuple[float, float] = (-55, 55),
) -> Shape:
    """Return the shape of ``parts`` with largest extent 1, centred, its lowest point on the ground.

    Of ``natural``, the slots that the parts use are kept.
    """
    low, high = bounds(parts)
    scale = 1.0 / float((high - low).max())
    foot = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    slots = {p.slot for p in parts} | {p.second for p in parts if p.pattern != "plain"}
    colours = {slot: natural[slot] for slot in sorted(slots & natural.keys())}
    return Shape(tuple(placed(parts, _vector(-foot * scale), scale)), colours, airborne, yaw)


def varied(rng: np.random.Generator, plan: Plan, spread: float = 0.12) -> Plan:
    """Return the dataclass ``plan`` with each of its numbers multiplied by a factor in 1 +- ``spread``."""
    numbers = {f.name: getattr(plan, f.name) for f in fields(plan) if isinstance(getattr(plan, f.name), float)}  # type: ignore[arg-type]
    return replace(plan, **{name: value * vary(rng, spread) for name, value in numbers.items()})  # type: ignore[type-var]


def vary(rng: np.random.Generator, spread: float = 0.15) -> float:
    """Return a factor in 1 +- ``spread``."""
    return float(rng.uniform(1 - spread, 1 + spread))


def sweep(points: Sequence[Vector], radii: Sequence[float], slot: str = "main", joints: bool = True) -> list[Part]:
    """Return a tube through ``points`` with a radius at each; without ``joints`` its bends are open wedges."""
    tube = [cone(p, q, float(r), float(s), slot) for p, q, r, s in zip(points, points[1:], radii, radii[1:])]
    return tube + ([ellipsoid(p, float(r), slot) for p, r in zip(points, radii)] if joints else [])


def chance(rng: np.random.Generator, probability: float = 0.5) -> bool:
    """Return True with ``probability``."""
    return bool(rng.random() < probability)


def about(radius: float, degrees: float, height: float = 0.0) -> Vector:
    """Return the point at ``radius`` from the z axis in the direction ``degrees``."""
    angle = np.radians(degrees)
    return float(radius * np.cos(angle)), float(radius * np.sin(angle)), height


def _vector(values: np.ndarray) -> Vector:
    x, y, z = (float(v) for v in values)
    return x, y, z


def _half_extents(part: Part) -> NDArray[np.float64]:
    """Return the half extents (3,) of the part's bounding box in the object's frame."""
    rotation, size = np.array(part.rotation, np.float64), np.array(part.size, np.float64)
    axis = rotation[:, 2]
    across = np.sqrt(np.clip(1 - axis**2, 0, None))
    if part.kind == "ellipsoid":
        half = np.sqrt(((rotation * size) ** 2).sum(axis=1))
    elif part.kind == "box":
        half = (np.abs(rotation) * size).sum(axis=1)
    elif part.kind == "torus":
        half = size[0] * across + size[1]
    else:
        half = size[2] * np.abs(axis) + max(size[0], size[1]) * across
    return np.asarray(half)
