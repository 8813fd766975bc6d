"""Shapes of things to wear."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Shape, box, cone, ellipsoid, torus
from transferbench.world.shapes.fitting import chance, placed
from transferbench.world.shapes.joinery import arc, around, block, disc, lathe, made
from transferbench.world.shapes.materials import BLACK, CLOTH, GLASS, GOLD, LEATHER, PAINT, RED, STEEL


def top_hat(rng: np.random.Generator) -> Shape:
    """Return a tall cylinder, a little wider at the top, with a ribbon on a wide brim."""
    r, tall, brim = around(rng, 0.27, 0.08), around(rng, 0.56, 0.12), around(rng, 0.48, 0.05)
    parts = [*lathe([(0.0, 0.9 * brim), (0.025, brim), (0.05, brim)]), torus((0, 0, 0.055), brim - 0.01, 0.03)]
    parts += [
        *lathe([(0.05, r), (0.5 * tall, 0.97 * r), (tall + 0.05, 1.1 * r)]),
        torus((0, 0, tall + 0.045), 1.06 * r, 0.022),
    ]
    parts += lathe([(0.06, r * 1.03), (0.06 + around(rng, 0.13, 0.2), r * 1.02)], "accent")
    return made(rng, parts, main=(*BLACK, (0.35, 0.35, 0.38), *LEATHER[:1]), accent=RED + PAINT)


def boot(rng: np.random.Generator) -> Shape:
    """Return a foot with a sole and a heel and a tall shaft with a cuff; the toe points to +x."""
    tall, r = around(rng, 0.72, 0.1), around(rng, 0.165, 0.08)
    parts = [
        block((-0.16, 0.40), 0.14, (0.06, 0.11), "dark"),
        ellipsoid((0.39, 0, 0.085), (0.14, 0.14, 0.03), "dark"),
        block((-0.20, 0.02), 0.13, (0.0, 0.11), "dark"),
        ellipsoid((0.24, 0, 0.17), (0.28, 0.145, 0.125)),
        cone((-0.03, 0, 0.10), (-0.03, 0, 0.34), 0.16, 0.15),
        ellipsoid((0.06, 0, 0.27), (0.15, 0.13, 0.16), y=25),
        *lathe([(0.32, 0.15), (tall, r)], "main", (-0.03, 0)),
        *lathe([(tall - 0.10, r + 0.02), (tall, r + 0.025)], "second", (-0.03, 0)),
        *lathe([(tall - 0.005, r - 0.015), (tall + 0.008, r - 0.015)], "dark", (-0.03, 0)),
    ]
    if chance(rng, 0.6):
        parts += [box((0.12 - 0.02 * i, 0, 0.36 + 0.085 * i), (0.02, 0.09, 0.018), "light", y=20) for i in range(4)]
    return made(rng, parts, main=LEATHER + PAINT, second=LEATHER + CLOTH, yaw=(-45, 45))


def umbrella(rng: np.random.Generator) -> Shape:
    """Return a canopy of gores in two colours with a scalloped edge on a stick with a crook."""
    gores, drop, lean = int(rng.integers(4, 6)) * 2, around(rng, 31, 0.12), float(rng.uniform(-18, 18))
    parts = lathe([(0.62, 0.38), (0.87, 0.0)])
    for i in range(gores):
        slot = "second" if i % 2 else "main"
        gore = ellipsoid((0.26, 0, 0.0), (0.29, 1.35 / gores + 0.035, 0.055), slot)
        parts += placed(placed([gore], (0, 0, 0.86), y=drop), z=360 * i / gores)
    parts += [
        cone((0, 0, 0.85), (0, 0, 0.98), 0.022, 0.012, "metal"),
        cone((0, 0, 0.10), (0, 0, 0.85), 0.02, slot="metal"),
    ]
    parts += arc((0.075, 0, 0.10), (0.075, 0.10), (180, 375), 0.027, "wood", 7)
    return made(rng, placed(parts, y=lean), yaw=(-50, 50))


def eyeglasses(rng: np.random.Generator) -> Shape:
    """Return two large round lenses in a thick frame with a bridge, and temples bent down behind; they face -y."""
    r, gap, tube = around(rng, 0.20, 0.06), around(rng, 0.26, 0.04), around(rng, 0.032, 0.15)
    z, deep = r + tube, around(rng, 0.50, 0.1)
    parts = arc((0, 0, z + 0.3 * r), (gap - r + 0.02, 0.06), (0, 180), 0.03, "main", 4)
    for s in (-1, 1):
        parts += [torus((s * gap, 0, z), r, tube, "main", x=90), disc((s * gap, 0, z), r, 0.01, "glass")]
        parts += [box((s * gap - 0.25 * r, -0.012, z + 0.2 * r), (0.022, 0.004, 0.35 * r), "light", y=35)]
        side = s * (gap + r + 0.02)
        parts += [
            ellipsoid((side, 0, z + 0.08), 0.04, "main"),
            cone((side, 0, z + 0.08), (side, deep, z + 0.10), 0.027, slot="dark"),
        ]
        parts += [cone((side, deep - 0.01, z + 0.10), (side, deep + 0.12, z - 0.06), 0.027, slot="dark")]
    return made(rng, parts, main=BLACK + LEATHER + RED, glass=(*GLASS, (0.75, 0.85, 0.9)), yaw=(-35, 35))


def crown(rng: np.random.Generator) -> Shape:
    """Return a wide band with jewels, from which points rise, each with a ball on its tip."""
    points, r, tall = int(rng.integers(7, 10)), 0.42, around(rng, 0.34, 0.12)
    band = around(rng, 0.22, 0.1)
    parts = lathe([(0.0, r), (band, 1.06 * r)]) + lathe([(0.0, r + 0.03), (0.06, r + 0.035)], "second")
    parts += lathe([(band, 0.94 * r), (band + 0.01, 0.94 * r)], "dark")
    for i in range(points):
        t = 2 * np.pi * (i + 0.5) / points
        c, s = float(np.cos(t)), float(np.sin(t))
        tip = (1.16 * r * c, 1.16 * r * s, band + tall)
        parts += [cone((0.97 * r * c, 0.97 * r * s, band - 0.02), tip, 0.125, 0.02), ellipsoid(tip, 0.042, "second")]
        parts += [ellipsoid((1.05 * r * c, 1.05 * r * s, 0.5 * band + 0.02), (0.05, 0.05, 0.06), "accent")]
    return made(
        rng, parts, main=GOLD + STEEL[2:], second=GOLD + STEEL, dark=((0.45, 0.10, 0.15), *BLACK), accent=RED + PAINT
    )


SHAPES: dict[str, Builder] = {f.__name__: f for f in (top_hat, boot, umbrella, eyeglasses, crown)}
