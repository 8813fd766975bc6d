"""Shapes of aircraft and of vessels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from transferbench.world.parts import Builder, Shape, box, cone, ellipsoid, mirrored
from transferbench.world.shapes.fitting import chance, placed
from transferbench.world.shapes.joinery import around, beam, block, disc, lathe, made, wedge
from transferbench.world.shapes.materials import BLACK, GOLD, PAINT, RED, STEEL, WHITE, WOOD


def airplane(rng: np.random.Generator) -> Shape:
    """Return a tubular body with swept wings, engines under them and a tail, banking a little."""
    r, sweep, span = around(rng, 0.072), around(rng, 24, 0.35), around(rng, 0.25, 0.12)
    sides = [
        box((0.02 - 0.35 * span, 0.03 + span, -0.01), (0.115, span, 0.018), "second", z=sweep, x=5),
        box((-0.48, 0.12, 0.04), (0.06, 0.12, 0.016), "second", z=sweep),
        cone((-0.06, 0.22, -0.06), (0.12, 0.22, -0.06), 0.038, 0.048, "dark"),
        block((-0.25, 0.30), (r * 0.8, r * 0.98), (0.01, 0.035), "glass"),
    ]
    if chance(rng):
        sides += [cone((-0.16, 0.38, -0.03), (-0.02, 0.38, -0.03), 0.032, 0.042, "dark")]
    parts = [
        cone((-0.28, 0, 0), (0.34, 0, 0), r),
        ellipsoid((0.34, 0, 0), (0.15, r, r)),
        cone((-0.28, 0, 0), (-0.56, 0, 0.03), r, 0.02),
        ellipsoid((0.40, 0, 0.03), (0.06, 0.055, 0.042), "glass"),
        beam((-0.42, 0.02), (-0.57, 0.24), 0.07, 0.017, "accent"),
    ]
    pose = placed([*parts, *mirrored(sides)], x=float(rng.uniform(-10, 30)), y=float(rng.uniform(-12, 6)))
    return made(rng, pose, airborne=True, main=WHITE + STEEL, second=STEEL + WHITE, accent=PAINT, yaw=(-60, 50))


def helicopter(rng: np.random.Generator) -> Shape:
    """Return a round cabin with a glass nose, a thin tail boom, a rotor above and skids below."""
    blades, turn, reach = int(rng.integers(2, 5)), float(rng.uniform(10, 80)), around(rng, 0.45, 0.1)
    parts = [
        ellipsoid((0.10, 0, 0.30), (0.25, 0.16, 0.17)),
        ellipsoid((0.20, 0, 0.32), (0.165, 0.145, 0.135), "glass"),
        cone((-0.08, 0, 0.35), (-0.56, 0, 0.40), 0.075, 0.025),
        beam((-0.54, 0.36), (-0.60, 0.52), 0.04, 0.014, "second"),
        disc((-0.56, -0.05, 0.42), 0.09, 0.01, "dark"),
        cone((0.06, 0, 0.44), (0.06, 0, 0.55), 0.03, slot="metal"),
        block((-0.06, 0.16), 0.07, (0.44, 0.49), "second"),
        ellipsoid((0.06, 0, 0.55), (0.05, 0.05, 0.03), "dark"),
    ]
    for i in range(blades):
        bar = box((reach / 2, 0, 0), (reach / 2, 0.03, 0.012), "dark")
        parts += placed([bar], (0.06, 0, 0.555), z=turn + 360 * i / blades)
    skids = [
        cone((-0.14, 0.15, 0.03), (0.30, 0.15, 0.03), 0.022, slot="metal"),
        ellipsoid((0.31, 0.15, 0.045), 0.028, "metal"),
        *[cone((x, 0.09, 0.20), (x, 0.15, 0.03), 0.018, slot="metal") for x in (0.0, 0.20)],
    ]
    return made(rng, [*parts, *mirrored(skids)], airborne=True)


def rocket(rng: np.random.Generator) -> Shape:
    """Return an upright tapering body with a pointed nose, a porthole, bands and fins."""
    r, fins, turn = around(rng, 0.13), int(rng.integers(3, 5)), float(rng.uniform(10, 50))
    body = [(0.14, 0.85 * r), (0.32, r), (0.58, r)]
    parts = lathe(body) + lathe([(0.58, r), (0.76, 0.72 * r), (0.90, 0.36 * r), (1.0, 0.0)], "second")
    parts += lathe([(0.05, 0.75 * r), (0.14, 0.45 * r)], "dark") + lathe([(0.30, r * 1.04), (0.34, r * 1.04)], "second")
    fin = [beam((0.8 * r, 0.32), (r + 0.14, 0.12), 0.045, 0.02, "second")]
    fin += [
        beam((r + 0.13, 0.15), (r + 0.15, 0.0), 0.035, 0.02, "second"),
        block((0.5 * r, r + 0.10), 0.02, (0.12, 0.22), "second"),
    ]
    for i in range(fins):
        parts += placed(fin, z=turn + 360 * i / fins)
    parts += [
        disc((0, -0.5 * r, 0.49), 0.55 * r, 0.55 * r, "metal"),
        disc((0, -0.5 * r, 0.49), 0.38 * r, 0.6 * r, "glass"),
    ]
    return made(rng, parts, main=WHITE + STEEL, second=RED + PAINT, yaw=(-35, 35))


def hot_air_balloon(rng: np.random.Generator) -> Shape:
    """Return a great bag with gores, tapering to a mouth, and a basket on ropes."""
    r, drop = around(rng, 0.37, 0.06), around(rng, 0.11, 0.25)
    profile = [(0.28, 0.10), (0.38, 0.62 * r), (0.50, 0.90 * r), (0.62, r), (0.74, 0.93 * r), (0.84, 0.75 * r)]
    profile += [(0.91, 0.5 * r), (0.95, 0.1 * r)]
    bag = lathe(profile)
    bands = {2: "second", 3: "light", 4: "second"} if chance(rng) else {1: "second", 3: "second", 5: "second"}
    parts = [replace(p, slot=bands.get(i, "main")) for i, p in enumerate(bag)]
    low = 0.28 - drop
    parts += [
        cone((x, y, low), (1.3 * x, 1.3 * y, 0.29), 0.011, slot="dark") for x in (-0.07, 0.07) for y in (-0.07, 0.07)
    ]
    parts += [
        block((-0.08, 0.08), 0.08, (low - 0.13, low), "wood"),
        block((-0.09, 0.09), 0.09, (low - 0.02, low + 0.015), "dark"),
    ]
    return made(rng, parts, airborne=True)


def sailboat(rng: np.random.Generator) -> Shape:
    """Return a hull with a mast, a large triangular sail behind it and a small one before it."""
    tall, run, jib = around(rng, 0.92, 0.08), around(rng, 0.40, 0.1), around(rng, 0.32, 0.12)
    layers = [(0.32, 0.10), (0.41, 0.14), (0.47, 0.165), (0.50, 0.175)]
    parts = [
        ellipsoid((0.01 * i, 0, 0.06 + 0.035 * i), (x, y, 0.06), "second" if i > 2 else "main")
        for i, (x, y) in enumerate(layers)
    ]
    parts += [
        cone((0.04, 0, 0.15), (0.04, 0, tall + 0.06), 0.02, slot="wood"),
        cone((0.04, 0, 0.25), (-0.38, 0, 0.25), 0.018, slot="wood"),
        *wedge((0.015, 0.28), -run, tall - 0.30, 0.012, "light"),
        *wedge((0.075, 0.24), jib, 0.75 * tall - 0.24, 0.012, "accent" if chance(rng) else "light"),
        box((0.085, 0, tall + 0.04), (0.05, 0.01, 0.025), "accent"),
    ]
    return made(rng, parts, main=PAINT + WOOD, second=WHITE + WOOD, accent=RED + PAINT, yaw=(-40, 40))


def submarine(rng: np.random.Generator) -> Shape:
    """Return a long round hull with portholes, a tower with a periscope, fins and a screw."""
    r, tower = around(rng, 0.145, 0.08), around(rng, 0.04, 1.0)
    z = r
    parts = [
        cone((-0.25, 0, z), (0.30, 0, z), r),
        ellipsoid((0.30, 0, z), (0.22, r, r)),
        cone((-0.25, 0, z), (-0.52, 0, z), r, 0.035),
        ellipsoid((tower - 0.08, 0, z + r + 0.06), (0.07, 0.07, 0.13), "second"),
        ellipsoid((tower + 0.08, 0, z + r + 0.06), (0.07, 0.07, 0.13), "second"),
        block((tower - 0.08, tower + 0.08), 0.07, (z + 0.5 * r, z + r + 0.19), "second"),
        cone((tower + 0.05, 0, z + r), (tower + 0.05, 0, z + r + 0.34), 0.021, slot="metal"),
        cone((tower + 0.04, 0, z + r + 0.33), (tower + 0.13, 0, z + r + 0.33), 0.025, slot="metal"),
        beam((-0.38, z), (-0.50, z + 0.17), 0.05, 0.016, "second"),
        beam((-0.40, z), (-0.50, z - 0.13), 0.045, 0.016, "second"),
        box((-0.45, 0, z), (0.05, 0.16, 0.016), "second"),
        box((-0.54, 0, z), (0.012, 0.025, 0.11), "metal", x=30),
        box((-0.54, 0, z), (0.012, 0.025, 0.11), "metal", x=120),
    ]
    for x in (-0.16, 0.02, 0.20):
        parts += [
            disc((x, 0, z + 0.2 * r), 0.042, r + 0.005, "metal"),
            disc((x, 0, z + 0.2 * r), 0.027, r + 0.012, "glass"),
        ]
    return made(rng, parts, main=(*GOLD, *STEEL, *BLACK, (0.25, 0.35, 0.42)), yaw=(-40, 40))


SHAPES: dict[str, Builder] = {
    f.__name__: f for f in (airplane, helicopter, rocket, hot_air_balloon, sailboat, submarine)
}
