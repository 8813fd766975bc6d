"""Shapes of musical instruments."""

from __future__ import annotations

import itertools

import numpy as np

from transferbench.world.parts import Builder, Shape, cone, ellipsoid
from transferbench.world.shapes.fitting import placed
from transferbench.world.shapes.joinery import around, block, disc, lathe, made
from transferbench.world.shapes.materials import BLACK, GOLD, PAINT, RED, WHITE, WOOD


def guitar(rng: np.random.Generator) -> Shape:
    """Return a body with a waist and a sound hole, a long fretted neck, a head with pegs, and strings."""
    low, high = around(rng, 0.235, 0.06), around(rng, 0.175, 0.06)
    waist = low + 0.19
    parts = [
        disc((0, 0, low), low, 0.055, "dark"),
        disc((0, 0, low + 0.27), high, 0.055, "dark"),
        disc((0, -0.012, low), low - 0.015, 0.055, "main"),
        disc((0, -0.012, low + 0.27), high - 0.015, 0.055, "main"),
        block((-0.125, 0.125), (-0.065, 0.04), (waist - 0.12, waist + 0.06), "main"),
        disc((0, -0.02, low + 0.19), 0.07, 0.055, "dark"),
        block((-0.09, 0.09), (-0.085, 0), (low - 0.07, low - 0.035), "dark"),
        block((-0.035, 0.035), (-0.075, -0.02), (low + 0.20, 0.94), "wood"),
        block((-0.055, 0.055), (-0.07, -0.02), (0.93, 1.10), "dark"),
        block((-0.008, 0.008), (-0.088, -0.06), (low - 0.05, 1.0), "light"),
    ]
    parts += [block((-0.036, 0.036), (-0.08, -0.03), (z, z + 0.012), "metal") for z in (0.62, 0.70, 0.78, 0.86)]
    parts += [
        ellipsoid((s * 0.075, -0.045, z), (0.03, 0.02, 0.02), "metal") for s in (-1, 1) for z in (0.97, 1.02, 1.07)
    ]
    tilted = placed(parts, y=float(rng.uniform(-25, 25)))
    return made(rng, tilted, main=(*WOOD[2:], *RED, (0.80, 0.50, 0.15)), dark=WOOD[:2] + BLACK, yaw=(-40, 40))


def drum(rng: np.random.Generator) -> Shape:
    """Return a cylinder between two rims with a zigzag cord, a pale skin and two sticks on it."""
    r, tall, cords = around(rng, 0.38, 0.06), around(rng, 0.50, 0.12), int(rng.integers(7, 10))
    parts = lathe([(0.04, r), (tall - 0.04, r)]) + lathe([(0.0, r + 0.025), (0.09, r + 0.025)], "second")
    parts += lathe([(tall - 0.09, r + 0.025), (tall, r + 0.025)], "second") + lathe(
        [(tall, r - 0.02), (tall + 0.012, r - 0.02)], "light"
    )
    rims = np.radians(np.linspace(0, 360, 2 * cords + 1)).tolist()
    points = [
        ((r + 0.012) * np.cos(t), (r + 0.012) * np.sin(t), 0.09 if i % 2 else tall - 0.09) for i, t in enumerate(rims)
    ]
    parts += [cone(p, q, 0.014, slot="light") for p, q in itertools.pairwise(points)]
    for s in (-1, 1):
        parts += [cone((-0.30, s * 0.16, tall + 0.03), (0.38, -s * 0.14, tall + 0.12), 0.018, 0.024, "wood")]
        parts += [ellipsoid((-0.30, s * 0.16, tall + 0.035), (0.05, 0.035, 0.035), "wood")]
    return made(rng, parts, main=RED + PAINT, second=GOLD + WOOD + PAINT, yaw=(-60, 60))


def piano(rng: np.random.Generator) -> Shape:
    """Return a tall case with a keyboard on a shelf before it, a music rest, legs and pedals; it faces -y."""
    half, tall, keys = around(rng, 0.48, 0.05), around(rng, 0.80, 0.06), 12
    pitch = 2 * (half - 0.07) / keys
    parts = [
        block((-half, half), (0.0, 0.26), (0.03, tall)),
        block((-half - 0.02, half + 0.02), (-0.02, 0.28), (tall, tall + 0.04), "second"),
        block((-half, half), (-0.30, 0.02), (0.34, 0.40)),
        block((-half + 0.06, half - 0.06), (-0.29, -0.02), (0.40, 0.43), "light"),
        block((-0.16, 0.16), (-0.06, 0.0), (0.56, 0.73), "light"),
        block((-0.20, 0.20), (-0.08, 0.0), (0.54, 0.565), "second"),
        block((-half + 0.05, half - 0.05), (-0.012, 0.0), (0.08, 0.30), "second"),
    ]
    parts += [block((s * half - 0.05, s * half + 0.05), (-0.31, 0.02), (0.33, 0.47)) for s in (-0.95, 0.95)]
    parts += [
        cone((s * (half - 0.05), -0.25, 0), (s * (half - 0.05), -0.25, 0.34), 0.035, 0.05, "main") for s in (-1, 1)
    ]
    for i in range(keys):
        if i % 7 in (0, 1, 3, 4, 5):
            x = -half + 0.07 + (i + 1) * pitch
            parts.append(block((x - 0.3 * pitch, x + 0.3 * pitch), (-0.19, -0.01), (0.43, 0.455), "dark"))
    parts += [block((x - 0.02, x + 0.02), (-0.08, 0.0), (0.04, 0.07), "metal") for x in (-0.07, 0.07)]
    return made(rng, parts, main=(*BLACK, *WOOD[:2]), second=BLACK + WOOD, light=WHITE, metal=GOLD, yaw=(-40, 40))


SHAPES: dict[str, Builder] = {f.__name__: f for f in (guitar, drum, piano)}
