"""Butterfly, ladybug, ant, spider and crab."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, Vector, cone, ellipsoid, limb, mirrored, patterned
from transferbench.world.shapes.fitting import FACING, INK, Palette, about, chance, fitted, placed, sweep, vary

BUTTERFLY: Palette = {
    "main": ((0.95, 0.55, 0.12), (0.25, 0.50, 0.90), (0.96, 0.85, 0.25), (0.90, 0.90, 0.86)),
    "second": ((0.10, 0.08, 0.08), (0.35, 0.15, 0.08)),
    "accent": ((0.97, 0.92, 0.75), (0.85, 0.25, 0.30)),
    "dark": INK,
}
LADYBUG: Palette = {
    "main": ((0.85, 0.10, 0.08), (0.93, 0.45, 0.08), (0.93, 0.75, 0.15)),
    "second": ((0.08, 0.07, 0.07),),
    "light": ((0.96, 0.95, 0.92),),
    "dark": INK,
}
ANT: Palette = {
    "main": ((0.16, 0.11, 0.10), (0.50, 0.20, 0.10), (0.35, 0.22, 0.14)),
    "second": ((0.10, 0.07, 0.07), (0.30, 0.12, 0.08)),
    "dark": INK,
}
SPIDER: Palette = {
    "main": ((0.16, 0.14, 0.14), (0.42, 0.30, 0.20), (0.55, 0.50, 0.42)),
    "second": ((0.80, 0.15, 0.12), (0.75, 0.60, 0.35), (0.28, 0.20, 0.16)),
    "light": ((0.93, 0.90, 0.85),),
    "dark": INK,
}
CRAB: Palette = {
    "main": ((0.85, 0.25, 0.14), (0.90, 0.48, 0.20), (0.40, 0.48, 0.55)),
    "second": ((0.93, 0.50, 0.30), (0.70, 0.20, 0.12)),
    "light": ((0.97, 0.95, 0.90),),
    "dark": INK,
}


def jointed_leg(
    root: Vector, degrees: float, reach: float, knee: float, thick: float, slot: str = "main"
) -> list[Part]:
    """Return a leg from ``root`` that rises to height ``knee`` half way and comes down to the ground."""
    dx, dy, _ = about(reach, degrees)
    x, y, _ = root
    path: list[Vector] = [root, (x + dx * 0.45, y + dy * 0.45, knee), (x + dx, y + dy, 0.01)]
    return [
        cone(path[0], path[1], thick, thick, slot),
        ellipsoid(path[1], thick * 1.1, slot),
        cone(path[1], path[2], thick, thick * 0.45, slot),
    ]


def _butterfly(rng: np.random.Generator) -> Shape:
    fold, big, tailed = float(rng.uniform(8, 42)), vary(rng, 0.12), chance(rng, 0.5)
    wing = [
        ellipsoid((0.2, 0.34 * big, 0), (0.2, 0.37 * big, 0.018), "second", z=-32),
        ellipsoid((0.2, 0.33 * big, 0.008), (0.145, 0.29 * big, 0.018), z=-32),
        ellipsoid((-0.17, 0.26 * big, -0.004), (0.19, 0.27 * big, 0.018), "second", z=30),
        ellipsoid((-0.16, 0.25 * big, 0.004), (0.135, 0.2 * big, 0.018), z=30),
        ellipsoid((0.34, 0.53 * big, 0.02), (0.055, 0.055, 0.012), "accent"),
        ellipsoid((-0.24, 0.33 * big, 0.016), (0.06, 0.06, 0.012), "accent"),
        ellipsoid((0.15, 0.26 * big, 0.022), (0.05, 0.07, 0.012), "second", z=-32),
    ]
    if tailed:
        wing.append(cone((-0.3, 0.3 * big, 0), (-0.52, 0.34 * big, 0), 0.045, 0.02, "second"))
    body = [
        ellipsoid((-0.1, 0, 0), (0.3, 0.042, 0.045), "dark"),
        ellipsoid((0.08, 0, 0), (0.13, 0.06, 0.06), "dark"),
        ellipsoid((0.24, 0, 0), 0.06, "dark"),
        *mirrored(
            [
                cone((0.27, 0.02, 0.02), (0.5, 0.14, 0.05), 0.012, slot="dark"),
                ellipsoid((0.5, 0.14, 0.05), 0.025, "dark"),
            ]
        ),
    ]
    flat = [*body, *mirrored(placed(wing, (0, 0.02, 0), x=fold))]
    return fitted(
        placed(flat, x=float(rng.uniform(40, 75)), y=float(rng.uniform(-35, 0))), BUTTERFLY, airborne=True, yaw=FACING
    )


def _ladybug(rng: np.random.Generator) -> Shape:
    high = 0.33 * vary(rng, 0.12)
    shell = [
        ellipsoid((-0.05, 0, 0.1), (0.42, 0.38, high)),
        ellipsoid((-0.05, 0, 0.1), (0.424, 0.012, high + 0.006), "second"),
    ]
    shell.append(ellipsoid((-0.05, 0, 0.08), (0.425, 0.385, 0.04), "second"))
    spots = []
    for k in range(int(rng.integers(3, 5))):
        along = np.radians(-58 + 118 * k / 3 + float(rng.uniform(-8, 8))) if k < 3 else 0.2
        out = np.radians(42 if k < 3 else 72)
        n = np.array([np.sin(along), np.cos(along) * np.sin(out), np.cos(along) * np.cos(out)])
        x, y, z = (n * (0.42, 0.38, high)).tolist()
        spots.append(ellipsoid((x - 0.05, y, z + 0.1), 0.075 * vary(rng), "second"))
    head = [
        ellipsoid((0.33, 0, 0.13), (0.15, 0.24, 0.15), "second"),
        ellipsoid((0.46, 0, 0.11), (0.11, 0.14, 0.1), "second"),
        *mirrored(
            [
                ellipsoid((0.43, 0.12, 0.19), (0.055, 0.055, 0.05), "light"),
                *limb([(0.52, 0.05, 0.17), (0.6, 0.12, 0.26)], 0.016, 0.016, "second"),
            ]
        ),
    ]
    legs = mirrored(
        [
            part
            for x, angle in ((0.22, 50), (0.0, 88), (-0.22, 125))
            for part in jointed_leg((x, 0.25, 0.08), angle, 0.28, 0.11, 0.03, "second")
        ]
    )
    return fitted([*shell, *mirrored(spots), *head, *legs], LADYBUG)


def _ant(rng: np.random.Generator) -> Shape:
    size, rear = vary(rng, 0.12), float(rng.uniform(-0.02, 0.08))
    body = [
        ellipsoid((-0.34, 0, 0.22 + rear), (0.22 * size, 0.15 * size, 0.15 * size), y=-12),
        ellipsoid((-0.11, 0, 0.2), (0.04, 0.035, 0.06)),
        ellipsoid((0.06, 0, 0.21), (0.15, 0.075, 0.085), y=6),
        cone((0.15, 0, 0.22), (0.25, 0, 0.23), 0.04, 0.045),
        ellipsoid((0.33, 0, 0.24), (0.13, 0.12, 0.11), y=22),
        *mirrored([ellipsoid((0.36, 0.1, 0.29), 0.032, "dark")]),
        *mirrored([cone((0.42, 0.05, 0.18), (0.52, 0.01, 0.14), 0.028, 0.008, "second")]),
        *mirrored(
            [
                cone((0.4, 0.05, 0.31), (0.48, 0.14, 0.52), 0.02, slot="second"),
                cone((0.48, 0.14, 0.52), (0.72, 0.22, 0.46), 0.02, 0.026, "second"),
            ]
        ),
    ]
    body[0] = patterned(body[0], "stripes", "second", 9.0)
    legs = mirrored(
        [
            part
            for x, angle in ((0.14, 48), (0.06, 92), (-0.02, 132))
            for part in jointed_leg((x, 0.05, 0.17), angle + float(rng.uniform(-9, 9)), 0.42, 0.32, 0.024, "second")
        ]
    )
    return fitted([*body, *legs], ANT, yaw=(-35, 55))


def _spider(rng: np.random.Generator) -> Shape:
    fat, high, reach = vary(rng, 0.15), 0.36 * vary(rng, 0.15), 0.46 * vary(rng, 0.1)
    body = [
        patterned(ellipsoid((-0.27, 0, 0.23), (0.26 * fat, 0.22 * fat, 0.21 * fat), y=8), "spots", "second", 5.0),
        ellipsoid((0.07, 0, 0.18), (0.14, 0.12, 0.09)),
        *mirrored(
            [
                ellipsoid((0.18, 0.045, 0.23), 0.035, "light"),
                ellipsoid((0.2, 0.05, 0.235), 0.02, "dark"),
                cone((0.18, 0.04, 0.14), (0.22, 0.03, 0.06), 0.03, 0.006, "dark"),
            ]
        ),
    ]
    legs = mirrored(
        [
            part
            for angle, x in ((28, 0.14), (62, 0.09), (108, 0.04), (148, 0.0))
            for part in jointed_leg((x, 0.08, 0.18), angle + float(rng.uniform(-7, 7)), reach, high, 0.026)
        ]
    )
    return fitted([*body, *legs], SPIDER)


def _crab(rng: np.random.Generator) -> Shape:
    raised, big, bumpy = float(rng.uniform(0.12, 0.32)), vary(rng, 0.15), chance(rng)
    shell = ellipsoid((0, 0, 0.2), (0.2, 0.32, 0.12))
    body = [
        patterned(shell, "spots", "second", 7.0) if bumpy else shell,
        ellipsoid((0.02, 0, 0.16), (0.19, 0.3, 0.07), "second"),
    ]
    body += mirrored(
        [
            cone((0.15, 0.08, 0.26), (0.18, 0.09, 0.38), 0.02),
            ellipsoid((0.18, 0.09, 0.4), 0.042, "light"),
            ellipsoid((0.21, 0.09, 0.41), 0.025, "dark"),
        ]
    )
    arm: list[Vector] = [(0.1, 0.26, 0.18), (0.16, 0.44, 0.2 + raised * 0.3), (0.26, 0.44, 0.2 + raised)]
    pincer = [
        ellipsoid((0.04, -0.02, 0.05), (0.09, 0.09, 0.13)),
        *sweep([(0.05, 0.06, 0.12), (0.07, 0.05, 0.22), (0.07, -0.03, 0.31)], (0.052, 0.032, 0.012), joints=False),
        *sweep([(0.05, -0.07, 0.12), (0.08, -0.13, 0.2), (0.08, -0.08, 0.27)], (0.045, 0.028, 0.012), joints=False),
    ]
    claws = mirrored([*sweep(arm, (0.05, 0.045, 0.06), joints=False), *placed(pincer, arm[-1], big)])
    legs = mirrored(
        [
            part
            for x, angle in ((0.04, 78), (-0.04, 98), (-0.12, 122))
            for part in jointed_leg((x, 0.26, 0.17), angle, 0.32, 0.26, 0.034, "second")
        ]
    )
    return fitted([*body, *claws, *legs], CRAB, yaw=(-95, -25))


SHAPES: dict[str, Builder] = {
    "butterfly": _butterfly,
    "ladybug": _ladybug,
    "ant": _ant,
    "spider": _spider,
    "crab": _crab,
}
"""Builders by lemma."""
