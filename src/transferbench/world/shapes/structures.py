"""Shapes of structures other than buildings."""

from __future__ import annotations

import itertools

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, cone, ellipsoid, torus
from transferbench.world.shapes.fitting import chance, placed
from transferbench.world.shapes.joinery import archway, around, beam, block, dome, lathe, made, wedge
from transferbench.world.shapes.materials import BRICK, CLOTH, PAINT, PLASTER, RED, STONE, WHITE, WOOD


def lighthouse(rng: np.random.Generator) -> Shape:
    """Return a tapered tower in bands on a rock, with a gallery and a lantern under a cap."""
    bands, wide = int(rng.integers(5, 8)), around(rng, 0.155, 0.1)
    edges = np.linspace(0.06, 0.72, bands + 1).tolist()
    radii = np.linspace(wide, 0.6 * wide, bands + 1).tolist()
    parts = [ellipsoid((0, 0, 0.03), (0.26, 0.22, 0.075), "dark")]
    for i in range(bands):
        parts += lathe([(edges[i], radii[i]), (edges[i + 1], radii[i + 1])], "second" if i % 2 else "main")
    rim = 0.6 * wide
    parts += lathe([(0.72, rim + 0.05), (0.745, rim + 0.05)], "dark")
    parts += [torus((0, 0, 0.80), rim + 0.04, 0.01, "dark")]
    parts += lathe([(0.74, 0.8 * rim), (0.86, 0.8 * rim)], "glass") + lathe([(0.86, rim + 0.02), (0.96, 0.015)], "main")
    parts += [ellipsoid((0, 0, 0.97), 0.025, "dark")]
    parts += archway(0, (-wide * 0.99, 0), 0.035, 0.14, "dark", 0.07)
    parts += [
        block((-0.022, 0.022), (-z, 0), (h, h + 0.06), "dark") for h, z in ((0.32, 0.88 * wide), (0.52, 0.76 * wide))
    ]
    return made(
        rng, parts, main=RED + PAINT, second=WHITE, dark=(*STONE[:2], (0.2, 0.2, 0.22)), glass=((1.0, 0.92, 0.55),)
    )


def windmill(rng: np.random.Generator) -> Shape:
    """Return a tapered tower with a cap and four large sails in front."""
    turn, wide, reach = float(rng.uniform(10, 80)), around(rng, 0.20, 0.1), around(rng, 0.46, 0.06)
    hub = (0.0, -0.25, 0.66)
    parts = lathe([(0.0, wide), (0.34, 0.82 * wide), (0.66, 0.6 * wide)]) + lathe(
        [(0.32, wide + 0.04), (0.35, wide + 0.04)], "wood"
    )
    parts += dome(0.66, 0.66 * wide + 0.02, 0.15, "second", rings=4)
    parts += [cone((0, 0, hub[2]), hub, 0.03, slot="dark"), ellipsoid(hub, 0.035, "dark")]
    arm = [beam((0, 0), (reach, 0), 0.013, 0.013, "dark"), block((0.13, reach), 0.008, (0.01, 0.14), "light")]
    arm += [block((0.13, reach), 0.012, (0.065, 0.085), "dark")]
    arm += [block((x - 0.008, x + 0.008), 0.012, (0.0, 0.14), "dark") for x in (0.24, 0.35)]
    for i in range(4):
        parts += placed(arm, hub, y=turn + 90 * i)
    parts += archway(0, (-wide * 1.0, 0), 0.05, 0.18, "wood")
    parts += [block((-0.03, 0.03), (-0.84 * wide, 0), (0.42, 0.50), "dark")]
    return made(rng, parts, main=PLASTER + WHITE + BRICK, second=BRICK + WOOD, light=WHITE, yaw=(-45, 45))


def tent(rng: np.random.Generator) -> Shape:
    """Return two sloping sheets over a ridge, with a dark opening, door flaps, poles and ropes."""
    half, tall, depth = around(rng, 0.38, 0.1), around(rng, 0.52, 0.1), around(rng, 0.40, 0.1)
    slope = 0.022
    parts = [beam((s * half, 0.0), (0, tall), slope, depth) for s in (-1, 1)]
    parts += [
        beam((s * (half + 0.01), 0.0), (s * 0.8 * half, 0.2 * tall), slope + 0.006, depth + 0.005, "second")
        for s in (-1, 1)
    ]
    parts += wedge((0, 0.0), 0.95 * half, 0.93 * tall, 0.015, "dark", y=-0.6 * depth)
    parts += wedge((0, 0.0), -0.95 * half, 0.93 * tall, 0.015, "dark", y=-0.6 * depth)
    for s in (-1, 1):
        flap = [*wedge((s * half, 0.0), -s * 0.55 * half, 0.40 * tall, 0.012, "second")]
        parts += placed(flap, (-0.02 * s, -depth, 0))
    parts += [cone((0, y, 0), (0, y, tall + 0.07), 0.018, slot="wood") for y in (-depth + 0.02, depth - 0.02)]
    parts += [cone((0, s * depth, tall), (0, s * (depth + 0.22), 0), 0.011, slot="light") for s in (-1, 1)]
    return made(rng, parts, main=CLOTH + PAINT, second=CLOTH, yaw=(15, 50))


def pyramid(rng: np.random.Generator) -> Shape:
    """Return many courses of stone, each smaller than the one below, with an entrance."""
    tall, courses = around(rng, 0.62, 0.12), int(rng.integers(11, 16))
    parts: list[Part] = []
    for i in range(courses):
        half = 0.5 * (1 - i / courses)
        slot = "second" if i == courses - 1 and chance(rng) else "main"
        parts.append(block((-half, half), half, (tall * i / courses, tall * (i + 1) / courses), slot))
    parts += [
        block((-0.06, 0.06), (-0.5, 0), (0.0, 0.13), "second"),
        block((-0.035, 0.035), (-0.512, 0), (0.0, 0.10), "dark"),
    ]
    sand = ((0.82, 0.68, 0.42), (0.74, 0.60, 0.40), (0.86, 0.76, 0.54))
    return made(rng, parts, main=sand, second=((0.62, 0.48, 0.30), (0.90, 0.82, 0.62)), yaw=(-55, 55))


def bridge(rng: np.random.Generator) -> Shape:
    """Return a road on arches between piers above water."""
    arches, tall = int(rng.integers(2, 4)), around(rng, 0.36, 0.12)
    pitch = 1.0 / arches
    parts = [block((-0.56, 0.56), 0.13, (tall, tall + 0.05), "second")]
    parts += [block((-0.56, 0.56), (y - 0.015, y + 0.015), (tall + 0.05, tall + 0.10)) for y in (-0.12, 0.12)]
    parts += [block((-0.56, 0.56), 0.30, (0.0, 0.02), "glass")]
    parts += [block((-0.5 + i * pitch - 0.05, -0.5 + i * pitch + 0.05), 0.13, (0, tall)) for i in range(arches + 1)]
    reach = pitch / 2 - 0.03
    angles = np.radians(np.linspace(0, 180, 8)).tolist()
    for i in range(arches):
        middle = -0.5 + (i + 0.5) * pitch
        points = [(middle + reach * np.cos(t), 0.04 + (tall - 0.05) * np.sin(t)) for t in angles]
        parts += [beam(p, q, 0.04, 0.125) for p, q in itertools.pairwise(points)]
        parts += [
            block((middle + s * reach - 0.05, middle + s * reach + 0.05), 0.12, (0.7 * tall, tall)) for s in (-1, 1)
        ]
    return made(
        rng,
        parts,
        main=STONE + BRICK,
        second=((0.35, 0.35, 0.36), (0.5, 0.47, 0.42)),
        glass=((0.25, 0.45, 0.62),),
        yaw=(-35, 35),
    )


SHAPES: dict[str, Builder] = {f.__name__: f for f in (lighthouse, windmill, tent, pyramid, bridge)}
