"""Pine, oak, palm, sunflower, tulip, cactus and mushroom."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, Vector, cone, ellipsoid, limb, mirrored, patterned, torus
from transferbench.world.shapes.fitting import FACING, INK, Palette, about, chance, fitted, placed, sweep, vary
from transferbench.world.shapes.foliage import BARK, LEAF, leaf

PINE: Palette = {"main": ((0.12, 0.33, 0.20), (0.18, 0.40, 0.20), (0.20, 0.38, 0.33)), "second": BARK, "dark": INK}
OAK: Palette = {"main": (*LEAF, (0.80, 0.48, 0.15)), "second": BARK, "dark": INK}
PALM: Palette = {
    "main": LEAF,
    "second": ((0.58, 0.44, 0.30), (0.48, 0.37, 0.26)),
    "accent": ((0.45, 0.28, 0.14), (0.75, 0.50, 0.18)),
    "dark": INK,
}
CACTUS: Palette = {
    "main": ((0.25, 0.50, 0.28), (0.35, 0.55, 0.30), (0.40, 0.55, 0.45)),
    "second": ((0.15, 0.36, 0.20), (0.22, 0.40, 0.22)),
    "accent": ((0.93, 0.35, 0.55), (0.97, 0.75, 0.20)),
    "light": ((0.95, 0.92, 0.80),),
    "dark": INK,
}
SUNFLOWER: Palette = {
    "main": ((0.98, 0.80, 0.10), (0.98, 0.65, 0.08), (0.85, 0.35, 0.12)),
    "second": ((0.30, 0.18, 0.09), (0.20, 0.13, 0.08)),
    "stem": LEAF,
    "dark": INK,
}
TULIP: Palette = {
    "main": ((0.88, 0.15, 0.20), (0.97, 0.80, 0.20), (0.93, 0.50, 0.65), (0.50, 0.20, 0.50)),
    "second": ((0.75, 0.10, 0.15), (0.98, 0.65, 0.15), (0.95, 0.75, 0.80)),
    "stem": LEAF,
    "dark": INK,
}
MUSHROOM: Palette = {
    "main": ((0.82, 0.14, 0.10), (0.60, 0.40, 0.24), (0.85, 0.60, 0.30)),
    "light": ((0.96, 0.94, 0.88),),
    "second": ((0.93, 0.88, 0.78), (0.85, 0.78, 0.66)),
    "dark": INK,
}


def _column(path: list[Vector], radius: float) -> list[Part]:
    """Return a ribbed upright column with a round top."""
    (x, y, low), (_, _, high) = path
    ribs = [
        cone((x + dx, y + dy, low), (x + dx, y + dy, high), radius * 0.13, slot="second")
        for dx, dy, _ in (about(radius, 60 * k) for k in range(6))
    ]
    return limb(path, radius) + ribs


def _pine(rng: np.random.Generator) -> Shape:
    tiers, wide, lean = int(rng.integers(3, 6)), 0.36 * vary(rng, 0.18), float(rng.uniform(-0.03, 0.03))
    parts = [cone((0, 0, 0), (0, 0, 0.4), 0.07, 0.055, "second"), cone((0, 0, 0), (0, 0, 0.05), 0.11, 0.06, "second")]
    step = 0.78 / tiers
    for k in range(tiers):
        low, radius, x = 0.24 + step * k, wide * (1 - 0.7 * k / tiers), lean * k
        parts.append(
            cone((x, 0, low), (x + lean, 0, low + step * 1.45), radius, radius * 0.12 if k < tiers - 1 else 0.0)
        )
        parts.append(cone((x, 0, low - 0.035), (x, 0, low), radius * 0.82, radius))
    return fitted(parts, PINE)


def _oak(rng: np.random.Generator) -> Shape:
    parts = [cone((0, 0, 0), (0, 0, 0.45), 0.085, 0.065, "second"), cone((0, 0, 0), (0, 0, 0.08), 0.15, 0.07, "second")]
    parts += [cone((0, 0, 0.32), about(0.24, angle, 0.58), 0.045, 0.025, "second") for angle in (10, 130, 200, 330)]
    count, wide = int(rng.integers(7, 10)), vary(rng, 0.12)
    for k in range(count):
        x, y, _ = about(0.27 * wide, 360 * k / count)
        parts.append(ellipsoid((x, y * 0.9, 0.6 + float(rng.uniform(-0.05, 0.07))), 0.17 * vary(rng, 0.2)))
    for k in range(4):
        x, y, _ = about(0.14 * wide, 90 * k + 20)
        parts.append(ellipsoid((x, y, 0.76 + float(rng.uniform(-0.03, 0.05))), 0.17 * vary(rng, 0.15)))
    return fitted([*parts, ellipsoid((0, 0, 0.62), 0.25)], OAK)


def _palm(rng: np.random.Generator) -> Shape:
    bend, tall = float(rng.uniform(-0.22, 0.22)), 0.8 * vary(rng, 0.1)
    points: list[Vector] = [(bend * s * s, 0, tall * s) for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    radii = (0.07, 0.052, 0.047, 0.043, 0.04)
    trunk = [
        patterned(cone(p, q, r * 1.15, s * 0.9, "second"), "stripes", "dark", 11.0)
        for p, q, r, s in zip(points, points[1:], radii, radii[1:])
    ]
    x, _, z = points[-1]
    fronds: list[Part] = []
    count, turn = int(rng.integers(7, 10)), float(rng.uniform(0, 40))
    for k in range(count):
        long, droop = 0.2 * vary(rng, 0.12), float(rng.uniform(0, 12))
        leaf = [
            ellipsoid((long * 0.8, 0, long * 0.25), (long, 0.065, 0.02), y=-20),
            ellipsoid((long * 2.2, 0, long * 0.05), (long * 0.85, 0.055, 0.02), y=36),
        ]
        fronds += placed(leaf, (x, 0, z), y=droop, z=turn + 360 * k / count)
    nuts = [
        ellipsoid((x + a, b, z - 0.05), 0.045, "accent") for a, b, _ in (about(0.06, 120 * k + turn) for k in range(3))
    ]
    return fitted([*trunk, *fronds, *nuts], PALM)


def _cactus(rng: np.random.Generator) -> Shape:
    tall, thick = 0.9 * vary(rng, 0.12), 0.13 * vary(rng, 0.15)
    parts = _column([(0, 0, 0.02), (0, 0, tall)], thick)
    for side in [1, -1] if chance(rng, 0.75) else [1]:
        low, up, out = float(rng.uniform(0.28, 0.5)), float(rng.uniform(0.2, 0.36)), side * (thick + 0.18)
        parts += limb([(0, 0, low), (out, 0, low + 0.02)], thick * 0.6) + _column(
            [(out, 0, low + 0.02), (out, 0, low + up)], thick * 0.6
        )
    for k, z in enumerate(np.linspace(0.18, tall, 4).tolist()):
        spines = ((s * thick * 0.7, 0.6 * thick, s * (thick + 0.07), 0.9 * thick) for s in (1, -1))
        parts += mirrored(
            [cone((x, y, z + 0.04 * (k % 2)), (end, far, z + 0.05), 0.014, 0.002, "light") for x, y, end, far in spines]
        )
    if chance(rng, 0.5):
        parts += [
            ellipsoid((0, 0, tall + thick), (0.05, 0.05, 0.04), "accent"),
            *[
                ellipsoid(about(0.05, 72 * k, tall + thick + 0.02), (0.045, 0.025, 0.015), "accent", z=72 * k)
                for k in range(5)
            ],
        ]
    return fitted(placed(parts, z=30 + float(rng.uniform(-30, 30))), CACTUS)


def _sunflower(rng: np.random.Generator) -> Shape:
    count, tall, disc = int(rng.integers(12, 17)), 0.62 * vary(rng, 0.15), 0.16 * vary(rng, 0.15)
    bloom = [
        patterned(ellipsoid((0, 0, 0), (disc, disc, 0.05), "second"), "checks", "dark", 22.0),
        torus((0, 0, 0.0), disc * 0.95, 0.02, "second"),
    ]
    for k in range(count):
        angle = 360 * k / count
        bloom.append(ellipsoid(about(disc + 0.09, angle, -0.01), (0.125, 0.05, 0.012), "main", z=angle))
    sway = float(rng.uniform(-0.05, 0.05))
    stem = limb([(0, 0, 0), (sway, 0, tall * 0.5), (0, 0, tall)], 0.026, 0.024, "stem")
    leaves = [
        *placed(leaf(0.26, 0.085, "stem"), (sway, 0, tall * 0.42), y=-22, x=25),
        *placed(leaf(0.26, 0.085, "stem"), (sway, 0, tall * 0.28), y=-22, x=-25, z=180),
    ]
    face = placed(bloom, (0, -0.05, tall + 0.02), x=float(rng.uniform(58, 88)))
    return fitted([*stem, *leaves, *face], SUNFLOWER, yaw=FACING)


def _tulip(rng: np.random.Generator) -> Shape:
    tall, open_, high = 0.6 * vary(rng, 0.12), float(rng.uniform(2, 13)), 0.16 * vary(rng, 0.12)
    sway = float(rng.uniform(-0.06, 0.06))
    parts = limb([(0, 0, 0), (sway, 0, tall * 0.5), (0, 0, tall)], 0.024, 0.022, "stem")
    parts.append(ellipsoid((0, 0, tall + 0.08), (0.11, 0.11, 0.09)))
    turn = float(rng.uniform(0, 60))
    for k in range(6):
        inner = k % 2
        petal = [
            ellipsoid((0.075 - 0.015 * inner, 0, high), (0.045, 0.09, high), "second" if inner else "main", y=open_),
            cone((0.085, 0, high * 1.5), (0.095, 0, high * 2.25), 0.05, 0.004, "second" if inner else "main"),
        ]
        parts += placed(petal, (0, 0, tall), z=turn + 60 * k)
    for side, start in ((0, 0.02), (180, 0.06)):
        long = vary(rng, 0.15)
        blade = [
            ellipsoid((0.09, 0, 0.2 * long), (0.028, 0.06, 0.22 * long), "stem", y=20),
            cone((0.13, 0, 0.3 * long), (0.27, 0, 0.5 * long), 0.04, 0.004, "stem"),
        ]
        parts += placed(blade, (0, 0, start), z=side + float(rng.uniform(-25, 25)))
    return fitted(parts, TULIP)


def _mushroom(rng: np.random.Generator) -> Shape:
    tall, wide, high = 0.42 * vary(rng, 0.15), 0.42 * vary(rng, 0.12), 0.3 * vary(rng, 0.25)
    parts = [
        *limb([(0, 0, 0.08), (0, 0, tall)], 0.13 * vary(rng), 0.1, "light"),
        cone((0, 0, tall - 0.13), (0, 0, tall - 0.08), 0.19, 0.11, "second"),
        cone((0, 0, tall), (0, 0, tall + 0.04), wide * 0.7, wide * 0.97, "second"),
    ]
    rim = tall + 0.04
    slopes = np.radians([0, 14, 30, 46, 62])
    rings = [(wide * float(np.cos(a)), rim + high * float(np.sin(a))) for a in slopes]
    parts += sweep([(0, 0, z) for _, z in rings], [r for r, _ in rings], joints=False)
    parts.append(ellipsoid((0, 0, rings[-1][1] - 0.01), (rings[-1][0], rings[-1][0], high * 0.13)))
    count = int(rng.integers(8, 13))
    for k in range(count):
        out, angle = float(np.sqrt((k + 0.5) / count)) * 1.25, 137.5 * k
        x, y, _ = about(wide * float(np.sin(out)), angle)
        parts.append(ellipsoid((x, y, rim + high * float(np.cos(out))), 0.05 * vary(rng, 0.3), "light"))
    return fitted(parts, MUSHROOM)


SHAPES: dict[str, Builder] = {
    "pine": _pine,
    "oak": _oak,
    "palm": _palm,
    "cactus": _cactus,
    "sunflower": _sunflower,
    "tulip": _tulip,
    "mushroom": _mushroom,
}
"""Builders by lemma."""
