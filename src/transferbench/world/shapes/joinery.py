"""How artefacts are put together: turned profiles, blocks, beams, wheels, legs, arcs, and natural colours.

Builders work in whatever units suit the object; ``made`` scales, centres and grounds the result. Objects with a front
that matters more than their side (a clock, a piano) turn it to -y, which is where the canonical view looks from.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from transferbench.world.parts import Colour, Part, Shape, Vector, box, cone
from transferbench.world.shapes.fitting import fitted
from transferbench.world.shapes.materials import MATERIALS, Colours

Span = tuple[float, float]

SIDE_VIEW = 30.0  # the yaw, in degrees, of the straight view at an object's right side
DISTINCT = 0.35  # sum of absolute differences in sRGB from which two natural colours count as different


def around(rng: np.random.Generator, value: float, spread: float = 0.12) -> float:
    """Return ``value`` varied by at most the fraction ``spread`` either way."""
    return value * float(rng.uniform(1 - spread, 1 + spread))


def block(x: Span, y: Span | float, z: Span, slot: str = "main") -> Part:
    """Return the box between the given bounds; a number for y means from -y to y."""
    low, high = (-y, y) if isinstance(y, (int, float)) else y
    centre = ((x[0] + x[1]) / 2, (low + high) / 2, (z[0] + z[1]) / 2)
    return box(centre, ((x[1] - x[0]) / 2, (high - low) / 2, (z[1] - z[0]) / 2), slot)


def beam(start: Span, end: Span, width: float, depth: float, slot: str = "main", y: float = 0.0) -> Part:
    """Return the box from ``start`` to ``end``, both (x, z), in the plane ``y``; width and depth are half extents."""
    run, rise = end[0] - start[0], end[1] - start[1]
    middle = ((start[0] + end[0]) / 2, y, (start[1] + end[1]) / 2)
    angle = -float(np.degrees(np.arctan2(rise, run)))
    return box(middle, (float(np.hypot(run, rise)) / 2, depth, width), slot, y=angle)


def lathe(profile: Sequence[Span], slot: str = "main", at: Span = (0.0, 0.0)) -> list[Part]:
    """Return the body of revolution through ``profile``, (height, radius) from the bottom up, about a vertical axis."""
    return [
        cone((at[0], at[1], low), (at[0], at[1], high), r, s, slot)
        for (low, r), (high, s) in itertools.pairwise(profile)
        if high > low
    ]


def dome(
    base: float, radius: float, height: float, slot: str = "main", at: Span = (0.0, 0.0), rings: int = 5
) -> list[Part]:
    """Return half an ellipsoid standing on ``base``, turned from ``rings`` frusta."""
    angles = np.linspace(0, np.pi / 2, rings + 1)
    return lathe([(base + height * float(np.sin(a)), radius * float(np.cos(a))) for a in angles], slot, at)


def disc(at: Vector, radius: float, half: float, slot: str = "main") -> Part:
    """Return a short cylinder along y, like a wheel or a dial."""
    return cone((at[0], at[1] - half, at[2]), (at[0], at[1] + half, at[2]), radius, slot=slot)


def wheel(x: float, y: float, radius: float, half: float, tyre: str = "dark", hub: str = "metal") -> list[Part]:
    """Return a wheel standing on the ground at (x, y) with a hub that shows on both sides."""
    return [disc((x, y, radius), radius, half, tyre), disc((x, y, radius), 0.5 * radius, half + 0.012, hub)]


def legs(x: float, y: float, height: float, radius: float, splay: float = 0.0, slot: str = "wood") -> list[Part]:
    """Return four legs under the corners (+-x, +-y) of a top at ``height``, their feet ``splay`` further out."""
    corners = [(a, b) for a in (-1, 1) for b in (-1, 1)]
    return [
        cone((a * (x + splay), b * (y + splay), 0), (a * x, b * y, height), 0.8 * radius, radius, slot)
        for a, b in corners
    ]


def arc(at: Vector, radii: Span, angles: Span, thickness: float, slot: str = "main", count: int = 8) -> list[Part]:
    """Return a bent rod: ``count`` cylinders on an ellipse in the x-z plane around ``at``, from angle to angle."""
    turns = np.radians(np.linspace(angles[0], angles[1], count + 1))
    points = [(at[0] + radii[0] * float(np.cos(t)), at[1], at[2] + radii[1] * float(np.sin(t))) for t in turns]
    return [cone(p, q, thickness, slot=slot) for p, q in itertools.pairwise(points)]


def wedge(
    corner: Span, run: float, rise: float, depth: float, slot: str = "main", y: float = 0.0, strips: int = 6
) -> list[Part]:
    """Return an upright right triangle: its right angle at ``corner`` (x, z), ``run`` along x (signed), ``rise`` up.

    It is made of horizontal strips, smoothed by a beam along the slope.
    """
    x, z = corner
    step = rise / strips
    parts = []
    for i in range(strips - 1):
        end = x + run * (1 - (i + 1) / strips)
        parts.append(
            block((min(x, end), max(x, end)), (y - depth, y + depth), (z + i * step, z + (i + 1) * step), slot)
        )
    length = float(np.hypot(run, rise))
    half = abs(run) * step / length / 2 * 1.1
    aside, down = float(np.sign(run)) * rise / length * half, abs(run) / length * half
    foot, tip = (x + run - aside, z + half - down), (x - aside, z + rise - half - down)
    return [*parts, beam(foot, tip, half, depth, slot, y)]


def gable_roof(x: Span, half: float, base: float, slot: str = "second", wall: str = "main") -> list[Part]:
    """Return a roof with a ridge along x and slopes of 45 degrees above walls of half width ``half``, with gables.

    The gable is a box on its edge, so the walls must be at least ``half`` high.
    """
    side = half / np.sqrt(2)
    middle, length = (x[0] + x[1]) / 2, (x[1] - x[0]) / 2
    gable = box((middle, 0, base), (length, side, side), wall, x=45)
    reach = half + 0.07
    slopes = [
        box(
            (middle, s * (reach / 2 - 0.005), base + half - reach / 2 + 0.02),
            (length + 0.03, reach / np.sqrt(2), 0.022),
            slot,
            x=-45 * s,
        )
        for s in (-1, 1)
    ]
    return [gable, *slopes]


def archway(x: float, y: Span, half: float, height: float, slot: str = "dark", base: float = 0.0) -> list[Part]:
    """Return a round-topped door, ``height`` to its crown, that fills y from bound to bound."""
    spring = base + height - half
    return [
        block((x - half, x + half), y, (base, spring), slot),
        cone((x, y[0], spring), (x, y[1], spring), half, slot=slot),
    ]


def made(
    rng: np.random.Generator,
    parts: Sequence[Part],
    *,
    airborne: bool = False,
    yaw: Span = (-70.0, 15.0),
    **natural: Colours,
) -> Shape:
    """Return the finished object in one set of natural colours: extent 1, centred, standing on z = 0.

    ``yaw`` counts from the straight view at the side, -y; negative turns show more of the front, +x. ``natural`` gives
    the colours of slots to draw from; slots that it leaves out take the usual ones of their material.
    """
    slots = {p.slot for p in parts} | {p.second for p in parts if p.pattern != "plain"}
    palette: dict[str, Colour] = {}
    for slot in sorted(slots):
        choices = natural.get(slot, MATERIALS[slot])
        distinct = [c for c in choices if all(np.abs(np.subtract(c, o)).sum() > DISTINCT for o in palette.values())]
        candidates = distinct or choices
        palette[slot] = candidates[int(rng.integers(len(candidates)))]
    low, high = SIDE_VIEW + yaw[0], SIDE_VIEW + yaw[1]
    return fitted(parts, {s: (c,) for s, c in palette.items()}, airborne=airborne, yaw=(low, high))
