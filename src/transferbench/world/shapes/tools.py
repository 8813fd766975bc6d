"""Shapes of tools: they stand up, tilted a little, with their flat side towards -y."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, box, cone, ellipsoid, limb, torus
from transferbench.world.shapes.fitting import chance, placed
from transferbench.world.shapes.joinery import around, beam, block, disc, lathe, made
from transferbench.world.shapes.materials import AMBER, BLACK, GOLD, PAINT, RED, STEEL, WOOD

FLAT = (-35.0, 35.0)


def _leaning(rng: np.random.Generator, parts: list[Part], low: float = -25, high: float = 25) -> list[Part]:
    """Return ``parts`` tilted sideways by a random angle in degrees."""
    return placed(parts, y=float(rng.uniform(low, high)))


def fork(rng: np.random.Generator) -> Shape:
    """Return a handle, a neck and a head with three or four long tines."""
    count, half, root = int(rng.integers(3, 5)), around(rng, 0.12, 0.1), around(rng, 0.70, 0.05)
    parts = [
        beam((0, 0.05), (0, 0.36), around(rng, 0.05), 0.024, "main"),
        ellipsoid((0, 0, 0.05), (0.056, 0.024, 0.056), "main"),
        beam((0, 0.34), (0, root - 0.08), 0.028, 0.02, "metal"),
        ellipsoid((0, 0, root - 0.03), (half + 0.018, 0.022, 0.09), "metal"),
    ]
    for x in np.linspace(-half, half, count).tolist():
        parts += [cone((x, 0, root - 0.03), (x, 0, 1.0), 0.026, 0.014, "metal")]
    return made(rng, _leaning(rng, parts), main=STEEL + WOOD, metal=STEEL, yaw=FLAT)


def spoon(rng: np.random.Generator) -> Shape:
    """Return a handle that narrows towards an oval hollow bowl."""
    wide, tall = around(rng, 0.135, 0.1), around(rng, 0.19, 0.08)
    parts = [
        cone((0, 0, 0.04), (0, 0, 0.64), 0.042, 0.024, "main"),
        ellipsoid((0, 0, 0.04), 0.042, "main"),
        ellipsoid((0, 0, 0.62 + tall), (wide, 0.04, tall), "metal"),
        ellipsoid((0, -0.03, 0.625 + tall), (0.76 * wide, 0.022, 0.78 * tall), "dark"),
    ]
    return made(
        rng,
        _leaning(rng, parts),
        main=STEEL + WOOD,
        metal=STEEL,
        dark=((0.42, 0.43, 0.45), (0.34, 0.34, 0.36)),
        yaw=FLAT,
    )


def hammer(rng: np.random.Generator) -> Shape:
    """Return a handle with a grip and a heavy head across it: a striking face and a claw."""
    long, top = around(rng, 0.24, 0.1), 0.86
    parts = [
        cone((0, 0, 0.02), (0, 0, top), 0.042, 0.036, "wood"),
        cone((0, 0, 0.0), (0, 0, 0.32), 0.055, 0.045, "main"),
        block((-0.085, 0.085), 0.075, (top - 0.085, top + 0.085), "metal"),
        cone((0.07, 0, top), (long - 0.04, 0, top), 0.055, slot="metal"),
        cone((long - 0.05, 0, top), (long + 0.04, 0, top), 0.09, slot="metal"),
        *limb([(-0.08, 0, top + 0.03), (-0.20, 0, top + 0.01), (-long - 0.06, 0, top - 0.08)], 0.052, 0.02, "metal"),
    ]
    return made(rng, _leaning(rng, parts, -35, 35), main=RED + PAINT + BLACK, metal=STEEL, yaw=(-45, 45))


def saw(rng: np.random.Generator) -> Shape:
    """Return a long blade that narrows away from a handle with a hole, teeth along its lower edge."""
    wide, teeth = around(rng, 0.21, 0.1), int(rng.integers(9, 12))
    narrow = 0.55 * wide
    parts = [
        block((-0.28, 0.52), 0.012, (0.0, narrow), "metal"),
        beam((-0.28, wide - 0.05), (0.52, narrow - 0.05), 0.05, 0.012, "metal"),
        block((-0.28, 0.10), 0.012, (0.0, wide - 0.06), "metal"),
    ]
    pitch = 0.80 / teeth
    side = pitch / 2 / np.sqrt(2)
    parts += [box((-0.28 + (i + 0.5) * pitch, 0, 0.0), (side, 0.012, side), "metal", y=45) for i in range(teeth)]
    parts += [
        block((-0.36, -0.22), 0.035, (-0.02, wide + 0.03), "wood"),
        torus((-0.43, 0, 0.52 * wide), 0.105, 0.042, "wood", x=90),
        ellipsoid((-0.45, 0, 0.52 * wide + 0.12), (0.07, 0.035, 0.045), "wood", y=-30),
        *[disc((-0.27, 0, z * wide), 0.018, 0.045, "accent") for z in (0.2, 0.8)],
    ]
    return made(rng, _leaning(rng, parts, -32, 20), wood=WOOD + PAINT, metal=STEEL, accent=GOLD, yaw=FLAT)


def shovel(rng: np.random.Generator) -> Shape:
    """Return a broad blade pointing down, a long shaft and a D-shaped grip on top."""
    wide, tall = around(rng, 0.15, 0.1), around(rng, 0.15, 0.1)
    parts = [
        block((-wide, wide), 0.02, (0.14, 0.14 + 2 * tall), "metal"),
        ellipsoid((0, 0, 0.15), (wide, 0.02, 0.15), "metal"),
        block((-wide - 0.01, wide + 0.01), 0.035, (0.12 + 2 * tall, 0.16 + 2 * tall), "metal"),
        cone((0, 0, 0.10 + tall), (0, 0, 0.20 + 2 * tall), 0.03, 0.04, "dark"),
        cone((0, 0, 0.16 + 2 * tall), (0, 0, 0.96), 0.03, slot="wood"),
        beam((0, 0.93), (-0.10, 1.08), 0.022, 0.022, "main"),
        beam((0, 0.93), (0.10, 1.08), 0.022, 0.022, "main"),
        beam((-0.125, 1.085), (0.125, 1.085), 0.028, 0.028, "main"),
    ]
    return made(rng, _leaning(rng, parts), main=PAINT + BLACK, metal=STEEL + BLACK, yaw=FLAT)


def scissors(rng: np.random.Generator) -> Shape:
    """Return two blades that cross at a screw, opened, above two finger rings."""
    half, ring = around(rng, 18, 0.3), around(rng, 0.105, 0.1)
    leaf = [
        beam((0, -0.10), (0.0, 0.46), 0.042, 0.014, "metal"),
        cone((0, 0, 0.44), (0, 0, 0.60), 0.042, 0.005, "metal"),
        beam((0, -0.26), (0, -0.04), 0.034, 0.022, "main"),
        torus((-0.035, 0, -0.25 - ring), ring, 0.038, "main", x=90),
    ]
    other = [*leaf[:3], torus((0.035, 0, -0.25 - ring), ring, 0.038, "main", x=90)]
    parts = placed(leaf, y=half) + placed(other, (0, 0.03, 0), y=-half)
    parts += [disc((0, 0, 0), 0.034, 0.05, "dark")]
    return made(rng, _leaning(rng, parts), main=RED + PAINT + BLACK, metal=STEEL, yaw=FLAT)


def pencil(rng: np.random.Generator) -> Shape:
    """Return a thick shaft with a sharpened wooden tip, a lead point, a ferrule and an eraser."""
    r = around(rng, 0.075, 0.15)
    tip = around(rng, 0.17, 0.15)
    parts = (
        lathe([(tip, r), (0.84, r)])
        + lathe([(0.06, 0.36 * r), (tip, r)], "light")
        + lathe([(0.0, 0.006), (0.065, 0.40 * r)], "dark")
    )
    parts += lathe([(0.84, 1.05 * r), (0.92, 1.05 * r)], "metal") + lathe(
        [(0.92, 0.95 * r), (1.0, 0.95 * r), (1.02, 0.7 * r)], "accent"
    )
    parts += [block((-0.35 * r, 0.35 * r), (-1.02 * r, 0), (tip + 0.02, 0.83), "second")]
    side = 1 if chance(rng) else -1
    tilted = placed(parts, y=side * float(rng.uniform(20, 50)))
    return made(
        rng,
        tilted,
        main=AMBER + PAINT,
        second=AMBER + PAINT,
        light=((0.87, 0.70, 0.48), (0.93, 0.79, 0.58)),
        accent=((0.90, 0.50, 0.52),),
        yaw=FLAT,
    )


SHAPES: dict[str, Builder] = {f.__name__: f for f in (fork, spoon, hammer, saw, shovel, scissors, pencil)}
