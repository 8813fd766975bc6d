"""Owl, eagle and rooster."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, cone, ellipsoid, limb, mirrored, patterned
from transferbench.world.shapes.appendages import eyes, toes
from transferbench.world.shapes.fitting import INK, Palette, chance, fitted, placed, vary

OWL: Palette = {
    "main": ((0.50, 0.35, 0.22), (0.58, 0.52, 0.46), (0.88, 0.86, 0.82)),
    "second": ((0.33, 0.22, 0.14), (0.42, 0.36, 0.30)),
    "light": ((0.90, 0.82, 0.68), (0.95, 0.92, 0.86)),
    "accent": ((0.97, 0.75, 0.12), (0.93, 0.55, 0.10)),
    "dark": INK,
}
EAGLE: Palette = {
    "main": ((0.30, 0.20, 0.13), (0.42, 0.29, 0.17)),
    "second": ((0.22, 0.14, 0.10), (0.50, 0.36, 0.20)),
    "light": ((0.95, 0.94, 0.90), (0.80, 0.66, 0.42)),
    "accent": ((0.96, 0.74, 0.15),),
    "dark": INK,
}
ROOSTER: Palette = {
    "main": ((0.72, 0.32, 0.12), (0.93, 0.91, 0.87), (0.50, 0.22, 0.10)),
    "second": ((0.08, 0.28, 0.26), (0.12, 0.12, 0.16), (0.30, 0.16, 0.10)),
    "accent": ((0.85, 0.10, 0.10),),
    "light": ((0.93, 0.65, 0.22), (0.95, 0.85, 0.55)),
    "foot": ((0.93, 0.72, 0.20),),
    "dark": INK,
}


def _owl(rng: np.random.Generator) -> Shape:
    fat, turn, tufted = vary(rng, 0.12), float(rng.uniform(-40, 10)), chance(rng, 0.75)
    body = [
        patterned(ellipsoid((0, 0, 0.4), (0.24 * fat, 0.27 * fat, 0.36)), "spots", "second", 9.0),
        patterned(ellipsoid((0.09, 0, 0.38), (0.18 * fat, 0.2 * fat, 0.29), "light"), "spots", "second", 11.0),
        ellipsoid((-0.2, 0, 0.15), (0.07, 0.14, 0.2), "second", y=25),
        *mirrored([ellipsoid((-0.03, 0.25 * fat, 0.42), (0.16, 0.06, 0.3), "second", y=8)]),
    ]
    head = [
        ellipsoid((0, 0, 0), (0.25, 0.29, 0.24)),
        *mirrored(
            [
                ellipsoid((0.17, 0.115, 0.0), (0.09, 0.14, 0.15), "light"),
                ellipsoid((0.235, 0.115, 0.02), (0.035, 0.088, 0.088), "accent"),
                ellipsoid((0.262, 0.115, 0.02), (0.025, 0.05, 0.05), "dark"),
            ]
        ),
        cone((0.25, 0, -0.01), (0.31, 0, -0.12), 0.045, 0.008, "dark"),
    ]
    if tufted:
        head += mirrored([cone((0.06, 0.17, 0.14), (0.02, 0.25, 0.36), 0.09, 0.01, "second")])
    claws = mirrored([ellipsoid((0.15, y, 0.035), (0.07, 0.03, 0.035), "accent") for y in (0.07, 0.13)])
    return fitted([*body, *placed(head, (0.02, 0, 0.82), z=turn), *claws], OWL, yaw=(-85, -15))


def _eagle(rng: np.random.Generator) -> Shape:
    lift, long, fan = float(rng.uniform(10, 38)), vary(rng, 0.1), vary(rng, 0.15)
    body = [
        ellipsoid((0, 0, 0), (0.25, 0.11, 0.11)),
        ellipsoid((0.28, 0, 0.05), (0.125, 0.105, 0.105), "light"),
        cone((0.1, 0, 0.02), (0.26, 0, 0.05), 0.11, 0.1, "light"),
        *limb([(0.35, 0, 0.05), (0.47, 0, 0.035), (0.5, 0, -0.06)], 0.058, 0.014, "accent"),
        *eyes(0.34, 0.08, 0.09, 0.026),
    ]
    body += mirrored(
        [
            ellipsoid((-0.3, 0.045, 0), (0.19 * fan, 0.075, 0.015), "light", z=-16),
            cone((0.0, 0.06, -0.08), (-0.1, 0.06, -0.18), 0.04, 0.02, "accent"),
        ]
    )
    wing = [
        ellipsoid((0.03, 0.22 * long, 0), (0.2, 0.22 * long, 0.03), z=8),
        ellipsoid((0.0, 0.44 * long, 0.01), (0.19, 0.25 * long, 0.022)),
        *[
            cone(
                (0.02 - 0.06 * k, 0.55 * long, 0.01),
                (0.08 - 0.12 * k, (0.86 - 0.06 * k) * long, 0.04),
                0.04,
                0.012,
                "second",
            )
            for k in range(5)
        ],
    ]
    body += mirrored(placed(wing, (0, 0.05, 0.04), x=lift))
    return fitted(
        placed(body, y=float(rng.uniform(-15, 15)), x=float(rng.uniform(20, 52))), EAGLE, airborne=True, yaw=(-20, 70)
    )


def _rooster(rng: np.random.Generator) -> Shape:
    plump, tall = vary(rng, 0.1), 0.3 * vary(rng, 0.15)
    z = 0.45
    body = [
        ellipsoid((0, 0, z), (0.29, 0.19 * plump, 0.21 * plump), y=-12),
        ellipsoid((0.17, 0, z + 0.03), (0.17, 0.16, 0.2)),
        cone((0.16, 0, z + 0.05), (0.24, 0, z + 0.2 + tall), 0.18, 0.075, "light"),
        *mirrored([ellipsoid((-0.04, 0.17 * plump, z + 0.02), (0.22, 0.05, 0.13), "second", y=-10)]),
    ]
    hx, hz = 0.26, z + 0.24 + tall
    head = [
        ellipsoid((hx, 0, hz), (0.095, 0.08, 0.085), "light"),
        cone((hx + 0.07, 0, hz), (hx + 0.2, 0, hz - 0.03), 0.04, 0.006, "foot"),
        *[
            ellipsoid(
                (hx + 0.09 - 0.06 * k, 0, hz + 0.095 + 0.012 * (k % 3)), (0.045, 0.028, 0.095), "accent", y=10 - 20 * k
            )
            for k in range(4)
        ],
        *mirrored([ellipsoid((hx + 0.08, 0.025, hz - 0.12), (0.038, 0.025, 0.085), "accent")]),
        *eyes(hx + 0.045, 0.066, hz + 0.02, 0.019),
    ]
    plume: list[Part] = []
    for k in range(int(rng.integers(5, 8))):
        rise, reach = 0.5 - 0.08 * k, 0.14 + 0.05 * k
        side = 0.035 * ((k % 3) - 1)
        top = (-0.26 - reach, side, z + 0.12 + rise)
        plume += [
            cone((-0.2, side / 2, z + 0.06), top, 0.055, 0.055, "second"),
            cone(top, (top[0] - 0.16, side * 1.5, top[2] - 0.2), 0.055, 0.01, "second"),
        ]
    legs = mirrored([cone((0.02, 0.08, z - 0.12), (0.05, 0.08, 0.03), 0.045, 0.022, "foot")]) + toes(
        0.05, 0.08, 0.12, "foot"
    )
    return fitted([*body, *head, *plume, *legs], ROOSTER)


SHAPES: dict[str, Builder] = {"owl": _owl, "eagle": _eagle, "rooster": _rooster}
"""Builders by lemma."""
