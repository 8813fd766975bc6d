"""Goldfish and shark."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Shape, Vector, box, cone, ellipsoid, mirrored, patterned
from transferbench.world.shapes.fitting import INK, Palette, chance, fitted, placed, sweep, vary

GOLDFISH: Palette = {
    "main": ((0.97, 0.52, 0.10), (0.98, 0.70, 0.18), (0.90, 0.30, 0.12)),
    "second": ((0.99, 0.72, 0.35), (0.98, 0.85, 0.60)),
    "light": ((0.98, 0.96, 0.92),),
    "dark": INK,
}
SHARK: Palette = {
    "main": ((0.40, 0.46, 0.52), (0.32, 0.38, 0.46), (0.50, 0.52, 0.52)),
    "light": ((0.92, 0.93, 0.93),),
    "dark": INK,
}


def _goldfish(rng: np.random.Generator) -> Shape:
    plump, flow, sway = vary(rng, 0.12), vary(rng, 0.2), float(rng.uniform(-20, 20))
    body = [
        ellipsoid((0.1, 0, 0), (0.32, 0.2 * plump, 0.25 * plump)),
        cone((0, 0, 0), (-0.28, 0, 0.01), 0.2 * plump, 0.06),
        ellipsoid((0.35, 0, -0.03), (0.1, 0.1, 0.1)),
        *mirrored(
            [
                ellipsoid((0.29, 0.13, 0.06), (0.06, 0.05, 0.06), "light"),
                ellipsoid((0.305, 0.165, 0.065), (0.035, 0.03, 0.038), "dark"),
            ]
        ),
        ellipsoid((0.44, 0, -0.04), (0.03, 0.06, 0.045), "second"),
    ]
    body[0] = patterned(body[0], "checks", "second", 9.0) if chance(rng, 0.6) else body[0]
    lobes = [ellipsoid((-0.24, 0, side * 0.15), (0.3 * flow, 0.025, 0.12), "second", y=side * 33) for side in (-1, 1)]
    lobes += [ellipsoid((-0.28, 0, side * 0.05), (0.24 * flow, 0.022, 0.1), "second", y=side * 12) for side in (-1, 1)]
    fins = placed(lobes, (-0.24, 0, 0.01), z=sway)
    fins += [
        ellipsoid((0.1 - 0.13 * k, 0, 0.27 * plump - 0.02 * k), (0.08, 0.022, 0.15 - 0.03 * k), "second", y=-35)
        for k in range(3)
    ]
    fins += mirrored([ellipsoid((0.12, 0.2 * plump, -0.12), (0.14 * flow, 0.02, 0.07), "second", x=30, y=-35, z=-20)])
    fins += [
        ellipsoid((-0.12, 0, -0.22), (0.13, 0.022, 0.08), "second", y=-35),
        ellipsoid((0.08, 0, -0.25 * plump), (0.13, 0.022, 0.07), "second", y=-40),
    ]
    return fitted(body + fins, GOLDFISH, airborne=True, yaw=(-40, 55))


def _shark(rng: np.random.Generator) -> Shape:
    bulk, sway = vary(rng, 0.12), float(rng.uniform(-0.12, 0.12))
    spine: list[Vector] = [
        (0.58, 0, 0.04),
        (0.42, 0, 0.025),
        (0.2, 0, 0.0),
        (-0.05, 0, 0.0),
        (-0.3, sway * 0.3, 0.01),
        (-0.56, sway, 0.02),
    ]
    body = [
        *sweep(spine, [bulk * r for r in (0.025, 0.085, 0.145, 0.145, 0.095, 0.04)]),
        ellipsoid((0.14, 0, -0.05), (0.34, 0.11 * bulk, 0.115 * bulk), "light"),
        *mirrored(
            [
                ellipsoid((0.4, 0.078 * bulk, 0.055), 0.026, "dark"),
                cone((0.44, 0.02, -0.06), (0.3, 0.11 * bulk, -0.055), 0.014, slot="dark"),
            ]
        ),
        *mirrored(
            [ellipsoid((0.22 - 0.05 * k, 0.14 * bulk, 0.01), (0.009, 0.014, 0.055), "dark", y=12) for k in range(3)]
        ),
    ]
    tall, flap = vary(rng, 0.15), float(rng.uniform(-12, 12))
    fins = [
        box((0.04, 0, 0.13), (0.16 * tall, 0.014, 0.12 * tall), y=-62),
        box((-0.36, 0, 0.09), (0.045, 0.012, 0.035), y=-62),
        ellipsoid((-0.67, sway * 1.2, 0.15), (0.07, 0.018, 0.2), y=-38),
        ellipsoid((-0.63, sway * 1.15, -0.06), (0.055, 0.018, 0.125), y=38),
        *mirrored(
            [
                ellipsoid((0.1, 0.24, -0.13), (0.085, 0.21 * tall, 0.018), x=-28 + flap, z=38),
                ellipsoid((-0.3, 0.1, -0.06), (0.04, 0.08, 0.014), x=-35, z=38),
            ]
        ),
    ]
    return fitted(body + fins, SHARK, airborne=True, yaw=(-40, 55))


SHAPES: dict[str, Builder] = {"goldfish": _goldfish, "shark": _shark}
"""Builders by lemma."""
