"""Snail, octopus, and the other soft or spiny ones of the sea: starfish and jellyfish."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, Vector, cone, ellipsoid, limb, mirrored, patterned, torus
from transferbench.world.shapes.fitting import FACING, INK, Palette, about, fitted, placed, sweep, vary

SNAIL: Palette = {
    "main": ((0.78, 0.66, 0.50), (0.60, 0.52, 0.42), (0.85, 0.75, 0.45)),
    "second": ((0.62, 0.36, 0.18), (0.85, 0.62, 0.35), (0.55, 0.30, 0.22)),
    "light": ((0.96, 0.88, 0.72), (0.98, 0.94, 0.85)),
    "dark": INK,
}
OCTOPUS: Palette = {
    "main": ((0.80, 0.32, 0.28), (0.70, 0.40, 0.55), (0.85, 0.50, 0.25)),
    "second": ((0.95, 0.70, 0.62), (0.60, 0.20, 0.20)),
    "light": ((0.97, 0.95, 0.90),),
    "dark": INK,
}
STARFISH: Palette = {
    "main": ((0.93, 0.48, 0.20), (0.85, 0.25, 0.20), (0.88, 0.65, 0.35), (0.55, 0.35, 0.60)),
    "second": ((0.98, 0.80, 0.55), (0.98, 0.90, 0.80)),
    "dark": INK,
}
JELLYFISH: Palette = {
    "main": ((0.80, 0.70, 0.92), (0.95, 0.72, 0.78), (0.65, 0.85, 0.95)),
    "second": ((0.65, 0.45, 0.80), (0.90, 0.50, 0.60), (0.40, 0.62, 0.85)),
    "light": ((0.97, 0.94, 0.98),),
    "dark": INK,
}


def _snail(rng: np.random.Generator) -> Shape:
    high, size, stretch = float(rng.uniform(0.14, 0.26)), vary(rng, 0.1), vary(rng, 0.1)
    body = [
        ellipsoid((0.02, 0, 0.06), (0.52 * stretch, 0.12, 0.065)),
        cone((0.3, 0, 0.07), (0.47, 0, 0.1 + high), 0.115, 0.085),
        ellipsoid((0.49, 0, 0.12 + high), (0.1, 0.085, 0.085)),
        cone((-0.35, 0, 0.055), (-0.68 * stretch, 0, 0.01), 0.09, 0.01),
    ]
    splay, up = float(rng.uniform(0.04, 0.12)), 0.24 * vary(rng)
    body += mirrored(
        [
            cone((0.5, 0.04, 0.16 + high), (0.56, 0.04 + splay, 0.16 + high + up), 0.024, slot="main"),
            ellipsoid((0.56, 0.04 + splay, 0.17 + high + up), 0.042, "dark"),
            cone((0.56, 0.04, 0.1 + high), (0.65, 0.07, 0.08 + high), 0.018, slot="main"),
        ]
    )
    turns = np.linspace(0, 2.1, 18)
    whorls = [(x, 0.0, z) for x, z, _ in (about(0.31 * (1 - t / 2.35), 200 - 360 * t) for t in turns)]
    coil = sweep(whorls, (0.1 - 0.028 * turns).tolist(), "second", joints=False)
    coil += [ellipsoid((0, 0, 0), (0.33, 0.055, 0.33), "light"), *mirrored([ellipsoid((0, 0.05, 0), 0.06, "second")])]
    coil += [ellipsoid(whorls[0], 0.11, "second")]
    return fitted([*body, *placed(coil, (-0.08, 0, 0.43), size, y=float(rng.uniform(-25, 25)))], SNAIL, yaw=(-35, 60))


def _octopus(rng: np.random.Generator) -> Shape:
    tall, lean = vary(rng, 0.12), float(rng.uniform(-16, 16))
    head = [
        patterned(ellipsoid((0, 0, 0.33), (0.25, 0.24, 0.3 * tall)), "spots", "second", 6.0),
        ellipsoid((0, 0, 0.1), (0.19, 0.19, 0.16)),
        *mirrored([ellipsoid((0.16, 0.12, 0.14), 0.075, "light"), ellipsoid((0.215, 0.145, 0.145), 0.042, "dark")]),
    ]
    arms: list[Part] = []
    for k in range(8):
        angle = 22.5 + 45 * k + float(rng.uniform(-8, 8))
        bend, far = float(rng.uniform(-28, 28)), 0.52 * vary(rng, 0.15)
        path = [
            about(0.1, angle, 0.2),
            about(0.3, angle, 0.12),
            about(far, angle + bend * 0.5, 0.035),
            about(far + 0.1, angle + bend, float(rng.uniform(0.05, 0.2))),
        ]
        radii = (0.085, 0.065, 0.045, 0.015)
        arms += [cone(p, q, r, s) for p, q, r, s in zip(path, path[1:], radii, radii[1:])]
    return fitted([*placed(head, (0, 0, 0.16), y=lean), *arms], OCTOPUS, yaw=(-100, 10))


def _starfish(rng: np.random.Generator) -> Shape:
    thin, long = vary(rng, 0.18), vary(rng, 0.1)
    star: list[Part] = [ellipsoid((0, 0, 0), (0.21, 0.21, 0.1))]
    for k in range(5):
        angle = 90 + 72 * k
        bend = float(rng.uniform(-12, 12))
        star += [
            cone(about(0.06, angle), about(0.5 * long, angle + bend), 0.15 * thin, 0.035),
            ellipsoid(about(0.5 * long, angle + bend), 0.035),
        ]
        star += [
            ellipsoid(
                about(r * long, angle + bend * r * 1.6, 0.145 * thin * (1.05 - r * 1.55)), 0.03 - 0.02 * r, "second"
            )
            for r in (0.1, 0.22, 0.34)
        ]
    flat = placed(star, z=float(rng.uniform(0, 72)))
    tilt = float(rng.uniform(45, 80))
    return fitted(placed(flat, x=tilt), STARFISH, yaw=FACING)


def _jellyfish(rng: np.random.Generator) -> Shape:
    wide, deep, count = 0.34 * vary(rng, 0.15), 0.27 * vary(rng, 0.2), int(rng.integers(7, 11))
    bell = [
        ellipsoid((0, 0, 0), (wide, wide, deep)),
        torus((0, 0, -0.05), wide * 0.9, 0.06, "second"),
        *[ellipsoid(about(wide * 0.5, 90 * k + 45, deep * 0.8), (0.075, 0.075, 0.03), "light") for k in range(4)],
    ]
    strands: list[Part] = []
    drift, wave = float(rng.uniform(-0.18, 0.18)), float(rng.uniform(0.03, 0.09))
    for k in range(count):
        x, y, _ = about(wide * 0.85, 360 * k / count)
        long = 0.62 * vary(rng, 0.25)
        path: list[Vector] = [
            (x, y, -0.06),
            (x + wave + drift * 0.3, y, -0.06 - long / 3),
            (x - wave + drift * 0.7, y, -0.06 - 2 * long / 3),
            (x + wave + drift, y, -0.06 - long),
        ]
        strands += [
            cone(p, q, r, s, "second")
            for p, q, r, s in zip(path, path[1:], (0.028, 0.022, 0.016), (0.022, 0.016, 0.01))
        ]
    for angle in (30, 210):
        x, y, _ = about(0.09, angle)
        strands += limb([(x, y, -0.1), (x - 0.05, y, -0.25), (x + 0.06 + drift * 0.6, y, -0.42)], 0.07, 0.03, "light")
    return fitted(
        placed(bell + strands, x=float(rng.uniform(-12, 12)), y=float(rng.uniform(-18, 18))), JELLYFISH, airborne=True
    )


SHAPES: dict[str, Builder] = {"snail": _snail, "octopus": _octopus, "starfish": _starfish, "jellyfish": _jellyfish}
"""Builders by lemma."""
