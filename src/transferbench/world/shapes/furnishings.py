"""Shapes of furniture and lamps."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, cone, ellipsoid, torus
from transferbench.world.shapes.fitting import chance
from transferbench.world.shapes.joinery import around, block, lathe, legs, made
from transferbench.world.shapes.materials import CLOTH, GOLD, PAINT, STEEL, WHITE, WOOD


def chair(rng: np.random.Generator) -> Shape:
    """Return a seat on four legs with a tall slatted back at -x."""
    seat, top, half = around(rng, 0.44, 0.08), around(rng, 1.0, 0.08), around(rng, 0.23, 0.08)
    parts = legs(half - 0.03, half - 0.03, seat, 0.034, around(rng, 0.02, 1.0))
    parts += [block((-half, half), half, (seat, seat + 0.05), "main")]
    parts += [
        cone((-half + 0.03, s * (half - 0.03), seat), (-half - 0.05, s * (half - 0.03), top), 0.032, slot="wood")
        for s in (-1, 1)
    ]
    rails = [(seat + 0.18, seat + 0.26), (seat + 0.34, top - 0.02)] if chance(rng) else [(seat + 0.22, top - 0.02)]
    parts += [block((-half - 0.05, -half + 0.0), half, span, "main") for span in rails]
    return made(rng, parts, main=WOOD + CLOTH, yaw=(-65, 12))


def stool(rng: np.random.Generator) -> Shape:
    """Return a round seat on splayed legs with a ring."""
    r, tall, splay = around(rng, 0.23, 0.1), around(rng, 0.78, 0.1), around(rng, 0.10, 0.3)
    inner = 0.62 * r
    parts = legs(inner, inner, tall, 0.034, splay)
    parts += lathe([(tall, r), (tall + 0.05, r), (tall + 0.09, 0.8 * r)], "main")
    parts += [torus((0, 0, 0.34 * tall), np.sqrt(2) * (inner + 0.66 * splay), 0.02, "metal")]
    return made(rng, parts, main=CLOTH + WOOD, wood=WOOD + STEEL)


def sofa(rng: np.random.Generator) -> Shape:
    """Return a wide seat with cushions between two arms before a back; its front faces -y."""
    seats, half, back = int(rng.integers(2, 4)), around(rng, 0.52, 0.06), around(rng, 0.50, 0.08)
    pitch = 2 * (half - 0.1) / seats
    parts = [
        block((-half, half), 0.2, (0.06, 0.20)),
        block((-half, half), (0.10, 0.24), (0.06, back)),
        cone((-half, 0.17, back), (half, 0.17, back), 0.07, slot="main"),
    ]
    for s in (-1, 1):
        parts += [block((s * half - 0.07, s * half + 0.07), (-0.24, 0.2), (0.06, 0.33))]
        parts += [cone((s * half, -0.25, 0.33), (s * half, 0.2, 0.33), 0.075, slot="main")]
        parts += [cone((s * half, y, 0.0), (s * half, y, 0.07), 0.03, slot="wood") for y in (-0.2, 0.18)]
    for i in range(seats):
        x = -half + 0.1 + (i + 0.5) * pitch
        parts += [block((x - 0.47 * pitch, x + 0.47 * pitch), (-0.25, 0.1), (0.20, 0.28), "second")]
        parts += [block((x - 0.45 * pitch, x + 0.45 * pitch), (0.04, 0.11), (0.28, back - 0.02), "second")]
    if chance(rng):
        parts += [ellipsoid((-half + 0.2, -0.02, 0.37), (0.10, 0.05, 0.10), "accent", x=-20)]
    return made(rng, parts, main=CLOTH, second=CLOTH, yaw=(-40, 40))


def table(rng: np.random.Generator) -> Shape:
    """Return a wide flat top with an apron on four legs."""
    x, y, tall = around(rng, 0.5, 0.05), around(rng, 0.30, 0.15), around(rng, 0.46, 0.1)
    parts = legs(x - 0.06, y - 0.06, tall, 0.038)
    parts += [
        block((-x, x), y, (tall, tall + 0.05), "main"),
        block((-x + 0.06, x - 0.06), y - 0.06, (tall - 0.06, tall), "wood"),
    ]
    return made(rng, parts, main=WOOD + WHITE)


def bed(rng: np.random.Generator) -> Shape:
    """Return a mattress with a blanket and pillows between a high headboard at -x and a low footboard."""
    half, head = around(rng, 0.27, 0.12), around(rng, 0.46, 0.12)
    parts = [
        block((-0.5, 0.5), half, (0.09, 0.18), "wood"),
        block((-0.48, 0.48), half - 0.01, (0.18, 0.29), "light"),
        block((-0.14, 0.49), half + 0.01, (0.14, 0.31), "main"),
        block((-0.20, -0.12), half + 0.012, (0.17, 0.318), "second"),
        block((-0.54, -0.49), half + 0.02, (0.0, head), "wood"),
        block((0.49, 0.53), half + 0.02, (0.0, around(rng, 0.30, 0.1)), "wood"),
    ]
    pillows = [-0.5 * half, 0.5 * half] if half > 0.25 else [0.0]
    wide = 0.44 * half if len(pillows) == 2 else 0.7 * half
    parts += [ellipsoid((-0.36, y, 0.33), (0.09, wide, 0.06), "light", y=-12) for y in pillows]
    return made(rng, parts, main=CLOTH + PAINT, second=CLOTH + WHITE, yaw=(-55, 25))


def bookcase(rng: np.random.Generator) -> Shape:
    """Return a case with shelves full of books of several heights; its front faces -y."""
    half, shelves = around(rng, 0.30, 0.1), int(rng.integers(3, 5))
    pitch = 0.92 / shelves
    parts: list[Part] = [block((-half, half), (0.06, 0.10), (0, 1.0), "wood")]
    parts += [block((s * half - 0.03, s * half + 0.03), 0.10, (0.0, 1.0), "wood") for s in (-1, 1)]
    parts += [block((-half, half), 0.10, (i * pitch + 0.02, i * pitch + 0.06), "wood") for i in range(shelves + 1)]
    slots = ("main", "light", "second", "accent", "dark")
    for i in range(shelves):
        x = -half + 0.035
        for j in range(7):
            wide, high = float(rng.uniform(0.055, 0.10)), float(rng.uniform(0.6, 0.92)) * (pitch - 0.05)
            if x + wide > half - 0.03:
                break
            base = i * pitch + 0.06
            parts.append(block((x, x + wide - 0.008), (-0.085, 0.06), (base, base + high), slots[(i * 2 + j) % 5]))
            x += wide
    return made(rng, parts, yaw=(-40, 40))


def floor_lamp(rng: np.random.Generator) -> Shape:
    """Return a tall stand on a round foot under a wide shade."""
    wide, shade, tall = around(rng, 0.165, 0.12), around(rng, 0.19, 0.12), 0.90
    parts = lathe([(0.0, 0.145), (0.03, 0.135), (0.05, 0.025)], "metal") + lathe([(0.05, 0.02), (tall, 0.02)], "metal")
    parts += lathe([(tall - 0.03, wide), (tall + shade, wide * around(rng, 0.6, 0.15))], "main")
    parts += lathe([(tall - 0.04, wide * 1.03), (tall - 0.01, wide * 1.01)], "second")
    parts += [
        ellipsoid((0, 0, tall - 0.05), 0.045, "light"),
        cone((0.09, 0, tall), (0.09, 0, tall - 0.15), 0.012, slot="metal"),
    ]
    return made(
        rng,
        parts,
        main=((0.95, 0.88, 0.68), (0.90, 0.75, 0.55), (0.75, 0.30, 0.25)),
        metal=STEEL + GOLD,
        second=GOLD + WOOD,
    )


SHAPES: dict[str, Builder] = {f.__name__: f for f in (chair, stool, sofa, table, bed, bookcase, floor_lamp)}
