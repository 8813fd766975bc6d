"""Shapes of vehicles that move on land."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, box, cone, ellipsoid, limb, mirrored, torus
from transferbench.world.shapes.fitting import chance
from transferbench.world.shapes.joinery import around, beam, block, disc, lathe, made, wheel
from transferbench.world.shapes.materials import AMBER, BLACK, GOLD, GREEN, PAINT, RED, STEEL, WHITE


def _axles(positions: list[float], y: float, radius: float, half: float = 0.045) -> list[Part]:
    """Return a pair of wheels at each x."""
    return [p for x in positions for side in (-y, y) for p in wheel(x, side, radius, half)]


def car(rng: np.random.Generator) -> Shape:
    """Return a low body, a glazed cabin with sloping screens, four wheels, lamps."""
    front, rear, half = around(rng, 0.20, 0.2), around(rng, 0.29, 0.35), around(rng, 0.22, 0.08)
    top, waist = around(rng, 0.46, 0.06), 0.28
    parts = [
        block((-0.52, 0.52), half, (0.10, waist)),
        block((-0.48, 0.48), half - 0.02, (waist, waist + 0.025)),
        block((-rear, front), half - 0.04, (waist, top - 0.015), "glass"),
        block((-rear - 0.01, front + 0.01), half - 0.03, (top - 0.035, top)),
        beam((front, top - 0.05), (front + 0.16, waist - 0.02), 0.035, half - 0.045, "glass"),
        beam((-rear, top - 0.05), (-rear - 0.12, waist - 0.02), 0.035, half - 0.045, "glass"),
        block((-0.03, 0.01), half - 0.032, (waist, top - 0.01)),
        block((-0.54, 0.54), half - 0.03, (0.11, 0.16), "metal"),
    ]
    lamps = [ellipsoid((0.52, 0.15, 0.22), (0.025, 0.045, 0.035), "light")]
    lamps += [ellipsoid((-0.52, 0.15, 0.22), (0.02, 0.045, 0.03), "accent")]
    wheels = _axles([-0.31, 0.32], half - 0.02, around(rng, 0.115, 0.08))
    return made(rng, [*parts, *mirrored(lamps), *wheels], accent=RED, metal=STEEL + BLACK)


def truck(rng: np.random.Generator) -> Shape:
    """Return a cab in front of a large cargo box on six wheels."""
    top, cab, gap = around(rng, 0.66, 0.08), around(rng, 0.46, 0.08), around(rng, 0.24)
    parts = [
        block((-0.5, 0.52), 0.14, (0.12, 0.17), "dark"),
        block((-0.52, 0.52 - gap - 0.05), 0.19, (0.18, top), "second"),
        block((0.52 - gap, 0.52), 0.17, (0.10, cab)),
        block((0.52 - gap + 0.06, 0.50), 0.175, (0.29, cab - 0.04), "glass"),
        block((0.50, 0.53), 0.14, (0.29, cab - 0.04), "glass"),
        block((0.49, 0.54), 0.17, (0.09, 0.14), "metal"),
        block((0.51, 0.528), 0.09, (0.17, 0.25), "dark"),
        box((0.53, 0.12, 0.20), (0.012, 0.035, 0.025), "light"),
        box((0.53, -0.12, 0.20), (0.012, 0.035, 0.025), "light"),
    ]
    if chance(rng):
        parts.append(block((-0.45, 0.40 - gap), 0.195, (0.36, 0.45), "accent"))
    return made(rng, [*parts, *_axles([0.38, -0.20, -0.39], 0.15, around(rng, 0.10, 0.08))], second=WHITE + PAINT)


def bus(rng: np.random.Generator) -> Shape:
    """Return a long high box with a row of windows, a band and a door."""
    top, count = around(rng, 0.44, 0.08), int(rng.integers(6, 9))
    pitch = 0.92 / count
    low = top - 0.20
    windows = [
        block((-0.47 + i * pitch, -0.47 + (i + 0.8) * pitch), 0.146, (low, top - 0.06), "glass") for i in range(count)
    ]
    parts = [
        block((-0.52, 0.52), 0.14, (0.08, top)),
        block((-0.49, 0.49), 0.12, (top, top + 0.02), "light"),
        block((-0.524, 0.524), 0.143, (low - 0.07, low - 0.03), "second"),
        block((0.50, 0.53), 0.12, (low - 0.01, top - 0.05), "glass"),
        block((0.33, 0.41), 0.147, (0.11, low + 0.02), "glass"),
        box((0.525, 0.09, 0.13), (0.01, 0.03, 0.022), "light"),
        box((0.525, -0.09, 0.13), (0.01, 0.03, 0.022), "light"),
    ]
    return made(rng, [*parts, *windows, *_axles([-0.30, 0.26], 0.115, 0.085)], second=WHITE + PAINT)


def tractor(rng: np.random.Generator) -> Shape:
    """Return a hood with an exhaust pipe, a cab, huge rear wheels and small front ones."""
    big, small = around(rng, 0.31, 0.08), around(rng, 0.15, 0.1)
    parts = [
        block((-0.05, 0.48), 0.11, (0.24, 0.44)),
        block((0.47, 0.49), 0.09, (0.26, 0.42), "dark"),
        block((-0.38, 0.05), 0.12, (0.20, 0.36), "dark"),
        cone((0.28, 0.05, 0.44), (0.28, 0.05, around(rng, 0.74, 0.08)), 0.03, slot="dark"),
        block((-0.40, 0.02), 0.17, (0.76, 0.81)),
        block((-0.34, -0.04), 0.13, (0.40, 0.76), "glass"),
        *mirrored([cone((x, 0.14, 0.4), (x, 0.14, 0.78), 0.022, slot="main") for x in (-0.36, -0.02)]),
    ]
    for y in (-0.22, 0.22):
        parts += [disc((-0.24, y, big), big, 0.075, "dark"), disc((-0.24, y, big), 0.55 * big, 0.085, "second")]
        parts += [disc((0.36, y * 0.85, small), small, 0.05, "dark")]
        parts += [disc((0.36, y * 0.85, small), 0.5 * small, 0.06, "second")]
    return made(rng, parts, main=(*RED, *GREEN, (0.16, 0.36, 0.66)), second=(*AMBER, *WHITE))


def motorcycle(rng: np.random.Generator) -> Shape:
    """Return two fat wheels, an engine, a fuel tank, a saddle, a fork with handlebars and a lamp."""
    base, r = around(rng, 0.33, 0.07), around(rng, 0.165, 0.08)
    parts = [torus((x, 0, r + 0.055), r, 0.055, "dark", x=90) for x in (-base, base)]
    parts += [disc((x, 0, r + 0.055), 0.075, 0.03, "metal") for x in (-base, base)]
    parts += [
        block((-0.12, 0.10), 0.07, (0.13, 0.28), "metal"),
        ellipsoid((0.08, 0, 0.42), (0.17, 0.085, 0.085), y=12),
        ellipsoid((-0.18, 0, 0.40), (0.18, 0.08, 0.045), "dark", y=-6),
        ellipsoid((-0.34, 0, 0.43), (0.11, 0.06, 0.05), y=-20),
        beam((-base, r + 0.05), (0.05, 0.27), 0.025, 0.05, "metal"),
        ellipsoid((0.27, 0, 0.50), (0.055, 0.065, 0.065), "light"),
        cone((0.17, -0.2, 0.60), (0.17, 0.2, 0.60), 0.022, slot="dark"),
        beam((0.0, 0.34), (0.22, 0.46), 0.03, 0.03),
    ]
    sides = limb([(base, 0.07, r + 0.05), (0.19, 0.07, 0.59)], 0.024, slot="metal")
    sides += [cone((0.02, 0.09, 0.14), (-0.44, 0.09, 0.18), 0.025, 0.04, "metal")]
    sides += [ellipsoid((base, 0, 2 * r + 0.10), (0.13, 0.04, 0.025))]
    return made(rng, [*parts, *mirrored(sides)], metal=STEEL, yaw=(-45, 45))


def bicycle(rng: np.random.Generator) -> Shape:
    """Return two thin wheels, a diamond frame, a saddle, handlebars and pedals."""
    base, r = around(rng, 0.31, 0.05), around(rng, 0.21, 0.06)
    hub = r + 0.022
    parts = [torus((x, 0, hub), r, 0.022, "dark", x=90) for x in (-base, base)]
    parts += [disc((x, 0, hub), 0.03, 0.03, "metal") for x in (-base, base)]
    for x in (-base, base):
        turn = float(rng.uniform(0, 60))
        parts += [box((x, 0, hub), (r, 0.006, 0.007), "metal", y=turn + a) for a in (0, 60, 120)]
    crank, seat, head = (-0.04, 0.0, hub - 0.01), (-0.13, 0.0, 0.50), (0.21, 0.0, 0.50)
    rear, front = (-base, 0.0, hub), (base, 0.0, hub)
    frame = [(crank, seat), (crank, head), (seat, head), (rear, crank), (rear, seat), (front, (0.19, 0.0, 0.60))]
    parts += [cone(a, b, 0.021, slot="main") for a, b in frame]
    parts += [
        cone(seat, (-0.155, 0, 0.58), 0.018, slot="metal"),
        ellipsoid((-0.15, 0, 0.60), (0.10, 0.05, 0.028), "dark"),
        cone((0.20, -0.17, 0.62), (0.20, 0.17, 0.62), 0.02, slot="dark"),
        disc(crank, 0.06, 0.02, "metal"),
        cone((-0.04, -0.05, hub), (0.03, -0.05, hub - 0.12), 0.014, slot="metal"),
        box((0.03, -0.09, hub - 0.12), (0.045, 0.04, 0.014), "dark"),
        box((-0.11, 0.09, hub + 0.10), (0.045, 0.04, 0.014), "dark"),
    ]
    return made(rng, parts, yaw=(-35, 35))


def locomotive(rng: np.random.Generator) -> Shape:
    """Return a boiler with a chimney and a dome, a cab, driving wheels with a rod, a cowcatcher and rails."""
    r = around(rng, 0.135, 0.08)
    parts = [
        cone((-0.15, 0, 0.36), (0.42, 0, 0.36), r),
        cone((0.42, 0, 0.36), (0.45, 0, 0.36), r * 1.05, slot="dark"),
        cone((0.02, 0, 0.36), (0.05, 0, 0.36), r * 1.05, slot="accent"),
        *lathe([(0.46, 0.045), (around(rng, 0.64, 0.05), 0.05)], "dark", (0.33, 0)),
        *lathe([(0.64, 0.06), (0.72, 0.10)], "dark", (0.33, 0)),
        ellipsoid((0.11, 0, 0.49), (0.06, 0.06, 0.08), "accent"),
        block((-0.46, -0.14), 0.16, (0.20, 0.60), "second"),
        block((-0.38, -0.22), 0.165, (0.42, 0.54), "glass"),
        block((-0.50, -0.10), 0.19, (0.60, 0.64), "dark"),
        block((-0.46, 0.45), 0.12, (0.17, 0.23), "dark"),
        beam((0.42, 0.22), (0.54, 0.06), 0.025, 0.13, "accent"),
        beam((0.42, 0.10), (0.53, 0.06), 0.025, 0.13, "accent"),
        ellipsoid((0.46, 0, 0.47), 0.04, "light"),
    ]
    for y in (-0.13, 0.13):
        parts += [disc((x, y, 0.14), 0.105, 0.02, "accent") for x in (-0.33, -0.10, 0.13)]
        parts += [disc((x, y, 0.14), 0.04, 0.03, "dark") for x in (-0.33, -0.10, 0.13)]
        parts += [disc((0.33, y, 0.10), 0.065, 0.02, "accent")]
        parts += [beam((-0.33, 0.12), (0.15, 0.12), 0.016, 0.012, "metal", y * 1.25)]
        parts += [block((-0.58, 0.58), (y - 0.02, y + 0.02), (0.0, 0.035), "metal")]
    return made(
        rng, parts, main=(*BLACK, *GREEN, (0.15, 0.25, 0.45)), second=PAINT, accent=(*RED, *GOLD), yaw=(-50, 50)
    )


def tank(rng: np.random.Generator) -> Shape:
    """Return a hull between two tracks, a turret with a long gun and a hatch."""
    turret, gun = around(rng, 0.02, 3), around(rng, 0.46, 0.12)
    parts: list[Part] = []
    for y in (-0.22, 0.22):
        parts += [block((-0.36, 0.36), (y - 0.07, y + 0.07), (0.0, 0.2), "dark")]
        parts += [disc((x, y, 0.10), 0.10, 0.07, "dark") for x in (-0.36, 0.36)]
        parts += [disc((x, y, 0.10), 0.062, 0.08, "metal") for x in (-0.36, -0.18, 0.0, 0.18, 0.36)]
    parts += [
        block((-0.44, 0.40), 0.18, (0.10, 0.28)),
        block((-0.42, 0.30), 0.27, (0.20, 0.28)),
        beam((0.28, 0.26), (0.46, 0.18), 0.025, 0.2),
        *lathe([(0.28, 0.22), (0.34, 0.22), (0.43, 0.15)], "second", (turret - 0.04, 0)),
        *lathe([(0.43, 0.07), (0.47, 0.06)], "dark", (turret - 0.08, 0.03)),
        cone((turret + 0.10, 0, 0.355), (turret + gun + 0.12, 0, 0.39), 0.032, slot="second"),
        cone((turret + gun + 0.10, 0, 0.388), (turret + gun + 0.18, 0, 0.397), 0.045, slot="dark"),
    ]
    green = ((0.33, 0.38, 0.22), (0.55, 0.50, 0.34), (0.38, 0.40, 0.38))
    return made(rng, parts, main=green, second=green, metal=((0.40, 0.41, 0.36), (0.5, 0.48, 0.42)), yaw=(-50, 50))


SHAPES: dict[str, Builder] = {f.__name__: f for f in (car, truck, bus, tractor, motorcycle, bicycle, locomotive, tank)}
