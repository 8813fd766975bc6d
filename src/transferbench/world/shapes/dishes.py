"""Hamburger, ice cream, cake and doughnut."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Shape, box, cone, ellipsoid, patterned, torus
from transferbench.world.shapes.fitting import FACING, INK, Palette, about, chance, fitted, placed, vary

HAMBURGER: Palette = {
    "main": ((0.82, 0.55, 0.26), (0.72, 0.44, 0.20)),
    "second": ((0.32, 0.18, 0.11), (0.42, 0.24, 0.15)),
    "leaf": ((0.45, 0.70, 0.22), (0.35, 0.60, 0.20)),
    "accent": ((0.98, 0.78, 0.18),),
    "tomato": ((0.85, 0.18, 0.13),),
    "light": ((0.97, 0.92, 0.80),),
    "dark": INK,
}
ICE_CREAM: Palette = {
    "main": ((0.97, 0.75, 0.78), (0.97, 0.93, 0.80), (0.75, 0.90, 0.75)),
    "second": ((0.45, 0.27, 0.17), (0.93, 0.55, 0.62), (0.98, 0.85, 0.55)),
    "light": ((0.97, 0.95, 0.90), (0.60, 0.80, 0.92)),
    "wafer": ((0.85, 0.62, 0.32), (0.76, 0.52, 0.26)),
    "accent": ((0.85, 0.10, 0.15),),
    "dark": ((0.50, 0.32, 0.14),),
}
CAKE: Palette = {
    "main": ((0.97, 0.80, 0.84), (0.98, 0.95, 0.88), (0.45, 0.27, 0.18)),
    "second": ((0.88, 0.68, 0.42), (0.55, 0.34, 0.20)),
    "light": ((0.99, 0.97, 0.94),),
    "accent": ((0.35, 0.60, 0.90), (0.90, 0.30, 0.35)),
    "flame": ((0.99, 0.75, 0.15),),
    "plate": ((0.90, 0.91, 0.93),),
    "dark": INK,
}
DOUGHNUT: Palette = {
    "main": ((0.82, 0.58, 0.30), (0.72, 0.48, 0.24)),
    "second": ((0.95, 0.55, 0.68), (0.38, 0.22, 0.14), (0.97, 0.95, 0.92)),
    "accent": ((0.30, 0.65, 0.90), (0.98, 0.85, 0.20)),
    "light": ((0.98, 0.97, 0.95), (0.95, 0.35, 0.30)),
    "dark": INK,
}


def _hamburger(rng: np.random.Generator) -> Shape:
    wide, thick = 0.44 * vary(rng, 0.06), 0.075 * vary(rng, 0.2)
    z = 0.16
    parts = [
        cone((0, 0, 0.03), (0, 0, z), wide * 0.95, wide),
        ellipsoid((0, 0, 0.04), (wide * 0.93, wide * 0.93, 0.04)),
    ]
    layers = int(rng.integers(1, 3))
    for _ in range(layers):
        parts += [
            torus((0, 0, z + thick), wide * 0.93, thick, "second"),
            cone((0, 0, z), (0, 0, z + 2 * thick), wide * 0.95, slot="second"),
        ]
        z += 2 * thick
        parts.append(box((0, 0, z + 0.012), (wide * 0.8, wide * 0.8, 0.016), "accent", z=float(rng.uniform(20, 70))))
        z += 0.03
    if chance(rng, 0.7):
        parts.append(cone((0, 0, z), (0, 0, z + 0.05), wide * 1.0, slot="tomato"))
        z += 0.05
    frill = [
        ellipsoid(
            (*about(wide * 0.95, 30 * k)[:2], z + 0.02 + 0.02 * (k % 2)),
            (0.13, 0.1, 0.028),
            "leaf",
            y=15 * (-1) ** k,
            z=30 * k,
        )
        for k in range(12)
    ]
    z += 0.05
    top = 0.27 * vary(rng, 0.15)
    bun = [ellipsoid((0, 0, z), (wide * 1.02, wide * 1.02, top))]
    seeds = []
    for k in range(10):
        out, angle = 0.2 + 0.85 * float(np.sqrt(k / 10)), 137.5 * k
        x, y, _ = about(wide * float(np.sin(out)), angle)
        seeds.append(ellipsoid((x, y, z + top * float(np.cos(out))), (0.035, 0.022, 0.016), "light", z=angle))
    return fitted([*parts, *frill, *bun, *seeds], HAMBURGER)


def _ice_cream(rng: np.random.Generator) -> Shape:
    balls, size, tall = int(rng.integers(1, 4)), 0.21 * vary(rng, 0.1), 0.62 * vary(rng, 0.1)
    parts = [
        patterned(cone((0, 0, 0), (0, 0, tall), 0.015, 0.19, "wafer"), "checks", "dark", 12.0),
        torus((0, 0, tall), 0.18, 0.022, "wafer"),
    ]
    z = tall + size * 0.55
    slots = ("main", "second", "light")
    for k in range(balls):
        parts += [ellipsoid((float(rng.uniform(-0.03, 0.03)), 0, z), size * (1 - 0.06 * k), slots[k])]
        parts += [
            ellipsoid((*about(size * 0.85, 72 * j + 30 * k)[:2], z - size * 0.5), size * 0.3, slots[k])
            for j in range(5)
        ]
        z += size * 1.3
    top = z - size * 0.35
    if chance(rng, 0.5):
        parts += [
            ellipsoid((0, 0, top), 0.075, "accent"),
            cone((0, 0, top + 0.05), (0.05, 0, top + 0.2), 0.012, slot="dark"),
        ]
    else:
        parts.append(cone((0.06, 0.04, top - 0.15), (0.2, 0.06, top + 0.15), 0.03, slot="wafer"))
    return fitted(placed(parts, y=float(rng.uniform(-16, 16))), ICE_CREAM, airborne=True)


def _cake(rng: np.random.Generator) -> Shape:
    tiers, wide, z = int(rng.integers(1, 4)), 0.44, 0.03
    parts = [cone((0, 0, 0), (0, 0, 0.03), 0.54, 0.56, "plate")]
    for k in range(tiers):
        radius = wide * (1 - 0.3 * k)
        high = (0.3 if tiers == 1 else 0.22) * vary(rng, 0.12)
        parts += [
            cone((0, 0, z), (0, 0, z + high * 0.6), radius, slot="second"),
            cone((0, 0, z + high * 0.45), (0, 0, z + high), radius * 1.03, slot="main"),
            torus((0, 0, z + high), radius * 0.95, 0.04, "light"),
        ]
        if k == 0:
            parts.append(torus((0, 0, z + 0.02), radius, 0.035, "light"))
            drips = int(rng.integers(8, 12))
            parts += [
                ellipsoid((*about(radius * 1.0, 360 * j / drips)[:2], z + high * 0.45), (0.05, 0.05, 0.07), "main")
                for j in range(drips)
            ]
        z += high
    count, ring = int(rng.integers(3, 7)), wide * (1 - 0.3 * (tiers - 1)) * 0.62
    for k in range(count):
        x, y, _ = about(ring, 360 * k / count + 15)
        parts += [
            cone((x, y, z), (x, y, z + 0.2), 0.024, slot="accent"),
            ellipsoid((x, y, z + 0.25), (0.025, 0.025, 0.05), "flame"),
        ]
    return fitted(parts, CAKE)


def _doughnut(rng: np.random.Generator) -> Shape:
    tube, lean = 0.165 * vary(rng, 0.12), float(rng.uniform(25, 70))
    ring = [torus((0, 0, 0), 0.33, tube), torus((0, 0, tube * 0.22), 0.33, tube * 0.93, "second")]
    count = int(rng.integers(12, 19))
    for k in range(count):
        angle, tip = 137.5 * k, float(rng.uniform(-48, 48))
        out = 0.33 + tube * float(np.sin(np.radians(tip)))
        high = tube * 0.22 + tube * 0.93 * float(np.cos(np.radians(tip)))
        ring.append(
            ellipsoid(
                about(out, angle, high),
                (0.036, 0.013, 0.013),
                "accent" if k % 2 else "light",
                z=float(rng.uniform(0, 180)),
            )
        )
    return fitted(placed(ring, x=lean), DOUGHNUT, yaw=FACING)


SHAPES: dict[str, Builder] = {"hamburger": _hamburger, "ice_cream": _ice_cream, "cake": _cake, "doughnut": _doughnut}
"""Builders by lemma."""
