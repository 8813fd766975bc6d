"""Apple, pear, banana, cherry, grapes, pineapple and strawberry."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, cone, ellipsoid, limb, patterned
from transferbench.world.shapes.fitting import FACING, INK, Palette, about, chance, fitted, placed, sweep, vary
from transferbench.world.shapes.foliage import BARK, LEAF, leaf, stalk

APPLE: Palette = {
    "main": ((0.80, 0.12, 0.12), (0.55, 0.75, 0.20), (0.93, 0.75, 0.25)),
    "second": BARK,
    "leaf": LEAF,
    "dark": INK,
}
PEAR: Palette = {
    "main": ((0.75, 0.78, 0.25), (0.85, 0.72, 0.30), (0.60, 0.50, 0.22)),
    "second": BARK,
    "leaf": LEAF,
    "dark": INK,
}
BANANA: Palette = {
    "main": ((0.98, 0.85, 0.22), (0.93, 0.78, 0.25), (0.65, 0.75, 0.25)),
    "second": ((0.35, 0.24, 0.12), (0.50, 0.55, 0.18)),
    "dark": INK,
}
CHERRY: Palette = {
    "main": ((0.78, 0.06, 0.12), (0.50, 0.05, 0.12), (0.93, 0.30, 0.20)),
    "second": ((0.40, 0.50, 0.18), (0.45, 0.32, 0.18)),
    "leaf": LEAF,
    "dark": INK,
}
GRAPES: Palette = {
    "main": ((0.42, 0.16, 0.45), (0.60, 0.75, 0.30), (0.28, 0.20, 0.45)),
    "second": BARK,
    "leaf": LEAF,
    "dark": INK,
}
PINEAPPLE: Palette = {
    "main": ((0.90, 0.65, 0.18), (0.80, 0.55, 0.20)),
    "second": ((0.55, 0.36, 0.12), (0.45, 0.40, 0.15)),
    "leaf": LEAF,
    "dark": INK,
}
STRAWBERRY: Palette = {
    "main": ((0.90, 0.12, 0.15), (0.80, 0.15, 0.15)),
    "light": ((0.98, 0.88, 0.45),),
    "leaf": LEAF,
    "dark": INK,
}


def _apple(rng: np.random.Generator) -> Shape:
    wide, high = 0.4 * vary(rng, 0.08), 0.38 * vary(rng, 0.1)
    lobe = [ellipsoid((0.1, 0, high), (wide * 0.8, wide * 0.82, high), y=13)]
    flesh = [part for k in range(5) for part in placed(lobe, z=72 * k + 20)]
    core = [
        ellipsoid((0, 0, high), (wide * 0.98, wide * 0.98, high * 0.75)),
        ellipsoid((0, 0, high * 1.84), (0.1, 0.1, 0.03), "second"),
    ]
    lean = float(rng.uniform(-0.1, 0.1))
    parts = [*flesh, *core, *stalk((0, 0, high * 1.7), 0.36, lean, 0.03)]
    parts += placed(
        leaf(0.36, 0.11, "leaf"), (lean * 0.4, 0, high * 1.9 + 0.1), y=-25, x=40, z=float(rng.uniform(-30, 60))
    )
    return fitted(placed(parts, y=float(rng.uniform(-12, 12))), APPLE)


def _pear(rng: np.random.Generator) -> Shape:
    wide, tall, lean = 0.33 * vary(rng, 0.1), vary(rng, 0.1), float(rng.uniform(-0.07, 0.07))
    profile = np.array([(0.0, 0.31, 1.0), (0.3, 0.47, 0.84), (0.6, 0.61, 0.6), (0.85, 0.74, 0.46), (1.0, 0.84, 0.4)])
    parts = sweep([(lean * float(s), 0.0, float(z) * tall) for s, z, _ in profile], (profile[:, 2] * wide).tolist())
    parts += stalk((lean, 0, 0.92 * tall), 0.26, float(rng.uniform(-0.12, 0.12)), 0.028)
    if chance(rng, 0.6):
        parts += placed(leaf(0.28, 0.09, "leaf"), (lean, 0, 1.02 * tall), y=-15, x=35, z=float(rng.uniform(-40, 40)))
    return fitted(placed(parts, y=float(rng.uniform(-14, 14))), PEAR)


def _banana(rng: np.random.Generator) -> Shape:
    bend, thick = float(rng.uniform(95, 135)), 0.1 * vary(rng, 0.15)
    angles = np.radians(np.linspace(-90 - bend / 2, -90 + bend / 2, 9))
    radii = thick * np.array([0.35, 0.72, 0.95, 1.0, 1.05, 1.0, 0.95, 0.7, 0.35])
    points = [(float(0.5 * np.cos(a)), 0.0, float(0.5 * np.sin(a))) for a in angles]
    fruit = sweep(points, radii.tolist())
    out = np.array(points[-1]) + (np.array(points[-1]) - np.array(points[-2])) * 0.9
    fruit += [
        cone(points[-1], (float(out[0]), 0, float(out[2])), 0.042, 0.034, "second"),
        ellipsoid(points[0], 0.042, "second"),
    ]
    if chance(rng, 0.45):
        root = points[-1]
        twin = placed(fruit, (-root[0], -root[1], -root[2]))
        fruit += placed(placed(twin, y=18 * vary(rng), z=10), (root[0], 0.12, root[2]))
    return fitted(placed(fruit, y=float(rng.uniform(-20, 20))), BANANA, yaw=FACING)


def _cherry(rng: np.random.Generator) -> Shape:
    apart, size, tall = 0.24 * vary(rng, 0.15), 0.2 * vary(rng, 0.1), 0.68 * vary(rng, 0.1)
    top = (float(rng.uniform(-0.08, 0.08)), 0.0, tall + 0.15)
    parts: list[Part] = []
    for side in (-1, 1):
        z, x = size + float(rng.uniform(0, 0.08)), side * apart
        parts += [ellipsoid((x + s * 0.035, 0, z), (size * 0.9, size * 0.95, size)) for s in (-1, 1)]
        middle = (x * 0.75, 0.0, z + (top[2] - z) * 0.55)
        parts += limb([(x, 0, z + size * 0.85), middle, top], 0.02, 0.02, "second")
    parts += [ellipsoid(top, 0.04, "second")]
    parts += placed(leaf(0.36, 0.1, "leaf"), top, y=12, x=40, z=float(rng.uniform(-25, 25)))
    if chance(rng, 0.4):
        parts += placed(leaf(0.3, 0.09, "leaf"), top, y=5, x=-40, z=180)
    return fitted(parts, CHERRY, yaw=FACING)


def _grapes(rng: np.random.Generator) -> Shape:
    ball, lean = 0.102 * vary(rng, 0.1), float(rng.uniform(-0.1, 0.1))
    parts: list[Part] = []
    for level, count in enumerate((1, 3, 5, 6, 7)):
        ring = (0.0, 0.11, 0.2, 0.26, 0.29)[level]
        for k in range(count):
            x, y, _ = about(ring, 360 * k / count + 40 * level + float(rng.uniform(-8, 8)))
            parts.append(
                ellipsoid(
                    (x + lean * (1 - level / 4), y * 0.85, 0.1 + 0.155 * level + float(rng.uniform(-0.025, 0.025))),
                    ball * vary(rng, 0.08),
                )
            )
    parts += limb([(0, 0, 0.75), (0.02, 0, 0.92), (0.1, 0, 0.97)], 0.028, 0.035, "second")
    for turn in (-30, 150):
        parts += placed(
            [ellipsoid((0.17, 0, 0), (0.17, 0.13, 0.02), "leaf"), ellipsoid((0.2, 0.0, 0), (0.07, 0.18, 0.02), "leaf")],
            (0, -0.05, 0.86),
            y=12,
            x=25,
            z=turn + float(rng.uniform(-20, 20)),
        )
    return fitted(parts, GRAPES)


def _pineapple(rng: np.random.Generator) -> Shape:
    wide, high = 0.22 * vary(rng, 0.1), 0.3 * vary(rng, 0.1)
    parts = [
        patterned(ellipsoid((0, 0, high), (wide, wide, high)), "checks", "second", 13.0),
        patterned(ellipsoid((0, 0, high), (wide * 1.04, wide * 1.04, high * 0.8)), "checks", "second", 13.0),
    ]
    for ring, (count, tilt, long) in enumerate(((7, 52, 0.24), (6, 30, 0.32), (4, 12, 0.4))):
        for k in range(count):
            spear = [
                cone((0, 0, 0), (0, 0, long * 0.55), 0.045, 0.05, "leaf"),
                cone((0, 0, long * 0.55), (long * 0.22, 0, long), 0.048, 0.003, "leaf"),
            ]
            parts += placed(placed(spear, y=tilt * vary(rng, 0.15)), (0, 0, high * 1.92), z=360 * k / count + 25 * ring)
    return fitted(placed(parts, y=float(rng.uniform(-10, 10))), PINEAPPLE)


def _strawberry(rng: np.random.Generator) -> Shape:
    wide, tall = 0.34 * vary(rng, 0.1), 0.66 * vary(rng, 0.1)
    heights, radii = (
        np.array([0.1, 0.2, 0.33, 0.46, 0.58, 0.7, 0.8]) * tall,
        np.array([0.24, 0.44, 0.66, 0.84, 0.95, 0.98, 0.9]) * wide,
    )
    parts = sweep([(0, 0, float(z)) for z in heights], radii.tolist(), joints=False)
    parts += [
        ellipsoid((0, 0, float(heights[0])), wide * 0.25),
        ellipsoid((0, 0, float(heights[-1])), (wide * 0.91, wide * 0.91, tall * 0.17)),
    ]
    for level, share in enumerate((0.22, 0.38, 0.54, 0.72)):
        radius = float(np.interp(share * tall, heights, radii))
        count = 4 + level
        parts += [
            ellipsoid(about(radius, 360 * k / count + 30 * level, share * tall), (0.024, 0.024, 0.032), "light")
            for k in range(count)
        ]
    count = int(rng.integers(6, 9))
    for k in range(count):
        parts += placed(
            [ellipsoid((0.18, 0, 0), (0.2, 0.08, 0.02), "leaf")],
            (0, 0, tall * 0.96),
            y=float(rng.uniform(-12, 24)),
            z=360 * k / count,
        )
    parts += stalk((0, 0, tall * 0.95), 0.22, float(rng.uniform(-0.1, 0.1)), 0.03, "leaf")
    return fitted(placed(parts, y=float(rng.uniform(-35, 35))), STRAWBERRY)


SHAPES: dict[str, Builder] = {
    "apple": _apple,
    "pear": _pear,
    "banana": _banana,
    "cherry": _cherry,
    "grapes": _grapes,
    "pineapple": _pineapple,
    "strawberry": _strawberry,
}
"""Builders by lemma."""
