"""Carrot, pumpkin and corn."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, cone, ellipsoid, limb, patterned, torus
from transferbench.world.shapes.fitting import FACING, INK, Palette, about, chance, fitted, placed, vary
from transferbench.world.shapes.foliage import LEAF, leaf, stalk

CARROT: Palette = {
    "main": ((0.95, 0.50, 0.12), (0.88, 0.42, 0.15), (0.55, 0.25, 0.40)),
    "second": ((0.75, 0.35, 0.08), (0.70, 0.32, 0.15)),
    "leaf": LEAF,
    "dark": INK,
}
PUMPKIN: Palette = {
    "main": ((0.93, 0.52, 0.12), (0.88, 0.42, 0.10), (0.80, 0.70, 0.45)),
    "second": ((0.40, 0.45, 0.20), (0.45, 0.35, 0.20)),
    "leaf": LEAF,
    "dark": INK,
}
CORN: Palette = {
    "main": ((0.98, 0.83, 0.25), (0.95, 0.75, 0.35)),
    "second": ((0.85, 0.60, 0.12), (0.80, 0.55, 0.20)),
    "leaf": ((0.45, 0.62, 0.25), (0.62, 0.72, 0.36)),
    "dark": INK,
}


def _carrot(rng: np.random.Generator) -> Shape:
    thick, long, count = 0.12 * vary(rng, 0.15), 0.62 * vary(rng, 0.08), int(rng.integers(5, 8))
    parts = [
        cone((0, 0, 0), (0, 0, long * 0.6), 0.012, thick * 0.82),
        cone((0, 0, long * 0.6), (0, 0, long * 0.95), thick * 0.82, thick),
        ellipsoid((0, 0, long * 0.95), (thick, thick, thick * 0.5)),
        *[
            torus((0, 0, long * s), thick * w, 0.008, "second")
            for s, w in ((0.35, 0.47), (0.55, 0.73), (0.72, 0.86), (0.86, 0.94))
        ],
    ]
    for k in range(count):
        tuft = limb([(0, 0, 0), (0, 0, 0.2 * vary(rng)), (0.05, 0, 0.32 * vary(rng))], 0.014, 0.012, "leaf")[3:]
        tuft += [ellipsoid((0.02 + 0.02 * s, 0, 0.16 + 0.1 * s), (0.045, 0.03, 0.06), "leaf") for s in (0, 1, 2)][
            :: 1 + k % 2
        ]
        parts += placed(tuft, (0, 0, long), y=float(rng.uniform(4, 36)), z=360 * k / count)
    return fitted(placed(parts, y=float(rng.choice([-1, 1]) * rng.uniform(15, 85))), CARROT, yaw=FACING)


def _pumpkin(rng: np.random.Generator) -> Shape:
    ribs, wide, high = int(rng.integers(9, 13)), 0.3 * vary(rng, 0.08), 0.32 * vary(rng, 0.15)
    parts: list[Part] = []
    for k in range(ribs):
        angle = 360 * k / ribs
        parts.append(ellipsoid(about(wide * 0.72, angle, high), (wide * 0.78, 0.13, high), z=angle))
    parts += [
        *stalk((0, 0, high * 1.75), 0.26, float(rng.uniform(-0.12, 0.12)), 0.055),
        torus((0, 0, high * 1.8), 0.06, 0.03, "second"),
    ]
    if chance(rng):
        parts += limb([(0.03, 0, high * 2), (0.2, 0.05, high * 2.12), (0.26, 0.1, high * 1.95)], 0.016, 0.01, "leaf")
        parts += placed(leaf(0.3, 0.13, "leaf"), (0.03, -0.05, high * 1.98), y=10, x=30, z=-40)
    return fitted(parts, PUMPKIN)


def _corn(rng: np.random.Generator) -> Shape:
    thick, long = 0.135 * vary(rng, 0.12), vary(rng, 0.08)
    cob = [
        cone((0, 0, 0.1), (0, 0, 0.55 * long), thick, thick * 0.95),
        cone((0, 0, 0.55 * long), (0, 0, 0.85 * long), thick * 0.95, thick * 0.45),
        ellipsoid((0, 0, 0.85 * long), thick * 0.46),
    ]
    parts = [patterned(p, "checks", "second", 17.0) for p in cob]
    count = int(rng.integers(3, 5))
    for k in range(count):
        spread = float(rng.uniform(10, 24))
        husk = [
            ellipsoid((0.06, 0, 0.24), (0.03, 0.14, 0.28), "leaf", y=spread * 0.5),
            cone((0.1, 0, 0.38), (0.16 + spread * 0.006, 0, 0.66), 0.075, 0.004, "leaf"),
        ]
        parts += placed(husk, (0.05 * float(np.cos(k)), 0, 0.02), y=spread * 0.6, z=360 * k / count + 15)
    parts += [cone((0, 0, -0.1), (0, 0, 0.08), 0.05, 0.08, "leaf"), ellipsoid((0, 0, 0.08), (0.15, 0.15, 0.1), "leaf")]
    parts += [
        cone((0, 0, 0.86 * long), (x, y, 1.0 * long), 0.012, 0.006, "second")
        for x, y, _ in (about(0.07, 120 * k) for k in range(3))
    ]
    return fitted(placed(parts, y=float(rng.uniform(-50, 50))), CORN)


SHAPES: dict[str, Builder] = {"carrot": _carrot, "pumpkin": _pumpkin, "corn": _corn}
"""Builders by lemma."""
