"""Snake, turtle, crocodile and, beside them, the frog."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, Vector, cone, ellipsoid, limb, mirrored, patterned
from transferbench.world.shapes.fitting import INK, Palette, chance, fitted, placed, sweep, vary

SNAKE: Palette = {
    "main": ((0.35, 0.55, 0.22), (0.62, 0.50, 0.25), (0.75, 0.30, 0.15), (0.30, 0.28, 0.24)),
    "second": ((0.15, 0.25, 0.12), (0.30, 0.18, 0.10), (0.92, 0.85, 0.45)),
    "accent": ((0.85, 0.12, 0.15),),
    "dark": INK,
}
TURTLE: Palette = {
    "main": ((0.45, 0.55, 0.28), (0.55, 0.50, 0.34)),
    "second": ((0.40, 0.28, 0.15), (0.25, 0.33, 0.16), (0.50, 0.36, 0.18)),
    "light": ((0.75, 0.65, 0.38), (0.66, 0.60, 0.40)),
    "dark": INK,
}
CROCODILE: Palette = {
    "main": ((0.34, 0.42, 0.22), (0.30, 0.33, 0.24), (0.42, 0.40, 0.26)),
    "second": ((0.22, 0.28, 0.14), (0.26, 0.24, 0.16)),
    "light": ((0.97, 0.96, 0.90),),
    "accent": ((0.85, 0.75, 0.25),),
    "dark": INK,
}
FROG: Palette = {
    "main": ((0.33, 0.62, 0.20), (0.45, 0.58, 0.25), (0.55, 0.45, 0.25)),
    "second": ((0.22, 0.42, 0.14), (0.30, 0.30, 0.16)),
    "light": ((0.90, 0.88, 0.62), (0.95, 0.92, 0.80)),
    "dark": INK,
}


def _snake(rng: np.random.Generator) -> Shape:
    waves, wide = float(rng.uniform(1.2, 1.7)), 0.21 * vary(rng, 0.2)
    share = np.linspace(0, 1, 11)
    thick = 0.085 * vary(rng)
    radii = thick * np.clip(np.minimum(0.3 + 4.0 * (1 - share), 1.0), 0.15, 1)
    phase = float(rng.uniform(0, 2 * np.pi))
    path = [(0.42 - 1.0 * s, wide * float(np.sin(phase + 2 * np.pi * waves * s)), r) for s, r in zip(share, radii)]
    rise = 0.34 * vary(rng, 0.2)
    x, y, z = path[0]
    raised: list[Vector] = [
        (x, y, z),
        (x + 0.12, y * 0.9, z + rise * 0.25),
        (x + 0.08, y * 0.8, z + rise * 0.8),
        (x + 0.16, y * 0.8, z + rise),
    ]
    body = sweep(path, radii.tolist())
    body += limb(raised, thick, thick * 0.8)
    kind, often = ("stripes", 9.0) if chance(rng) else ("spots", 11.0)
    body = [patterned(p, "stripes" if kind == "stripes" else "spots", "second", often) for p in body]
    hx, hy, hz = raised[-1][0] + 0.09, raised[-1][1], raised[-1][2]
    head = [
        ellipsoid((hx, hy, hz), (0.17, 0.12, 0.085)),
        *[ellipsoid((hx + 0.05, hy + s * 0.085, hz + 0.055), 0.032, "dark") for s in (-1, 1)],
        cone((hx + 0.13, hy, hz - 0.02), (hx + 0.25, hy, hz - 0.01), 0.014, slot="accent"),
        *[
            cone((hx + 0.25, hy, hz - 0.01), (hx + 0.33, hy + s * 0.04, hz + s * 0.03), 0.013, 0.008, "accent")
            for s in (-1, 1)
        ],
    ]
    return fitted(body + head, SNAKE, yaw=(-35, 55))


def _turtle(rng: np.random.Generator) -> Shape:
    high, reach, nod = 0.3 * vary(rng, 0.2), float(rng.uniform(0.0, 0.1)), float(rng.uniform(0.0, 0.16))
    dome = [
        patterned(ellipsoid((0, 0, 0.17), (0.43, 0.35, high), "second"), "checks", "light", 5.0),
        ellipsoid((0, 0, 0.17), (0.47, 0.39, 0.075), "second"),
        ellipsoid((0, 0, 0.13), (0.4, 0.32, 0.07), "light"),
    ]
    scutes = [
        ellipsoid((x, 0, 0.17 + high * rise), (0.1, 0.09, 0.035), "light", y=tilt)
        for x, rise, tilt in ((0.22, 0.86, 30), (0, 1.0, 0), (-0.22, 0.86, -30))
    ]
    hx, hz = 0.62 + reach, 0.24 + nod
    head = [
        cone((0.36, 0, 0.16), (hx, 0, hz), 0.085, 0.075),
        ellipsoid((hx + 0.03, 0, hz), (0.125, 0.1, 0.095)),
        *mirrored([ellipsoid((hx + 0.08, 0.075, hz + 0.035), 0.026, "dark")]),
    ]
    step = float(rng.uniform(-14, 14))
    legs = []
    for x, side, turn in ((0.3, 1, step), (0.3, -1, -step), (-0.3, 1, -step), (-0.3, -1, step)):
        foot = x + 0.08 * np.sign(x) + turn * 0.004
        legs += [
            cone((x, side * 0.22, 0.15), (foot, side * 0.33, 0.04), 0.1, 0.075),
            ellipsoid((foot + 0.02, side * 0.33, 0.04), (0.09, 0.07, 0.04)),
        ]
    return fitted([*dome, *scutes, *head, *legs, cone((-0.42, 0, 0.13), (-0.6, 0, 0.06), 0.055, 0.005)], TURTLE)


def _jaws(gape: float) -> list[Part]:
    """Return a crocodile's toothed jaws, ``gape`` degrees open."""
    teeth = mirrored(
        [
            cone(
                (0.12 + 0.1 * k, 0.05 - 0.006 * k, 0.0),
                (0.12 + 0.1 * k, 0.05 - 0.006 * k, -0.05),
                0.016,
                0.002,
                "light",
            )
            for k in range(3)
        ]
    )
    upper = [cone((0, 0, 0.02), (0.4, 0, 0.015), 0.095, 0.055), ellipsoid((0.4, 0, 0.02), (0.06, 0.055, 0.05)), *teeth]
    upper += mirrored(
        [ellipsoid((0.05, 0.055, 0.085), (0.05, 0.04, 0.045)), ellipsoid((0.075, 0.075, 0.095), 0.022, "accent")]
    )
    lower = [
        cone((0, 0, -0.03), (0.38, 0, -0.03), 0.08, 0.04),
        *[placed([t], (0.02, 0, -0.05), x=180)[0] for t in teeth[:4]],
    ]
    return [*placed(upper, (0.3, 0, 0.17), y=-gape), *placed(lower, (0.3, 0, 0.13), y=2)]


def _crocodile(rng: np.random.Generator) -> Shape:
    gape, sway = float(rng.uniform(8, 30)), float(rng.uniform(-0.12, 0.12))
    body = [
        ellipsoid((-0.05, 0, 0.15), (0.3, 0.14, 0.11)),
        ellipsoid((0.18, 0, 0.15), (0.14, 0.115, 0.09)),
        *limb([(-0.25, 0, 0.13), (-0.5, sway, 0.1), (-0.72, sway * 0.3, 0.07), (-0.88, -sway, 0.05)], 0.12, 0.02),
    ]
    ridge = [
        cone((x, 0, top), (x - 0.04, 0, top + 0.075), 0.045, 0.003, "second")
        for x, top in zip(np.linspace(0.1, -0.72, 8).tolist(), (0.23, 0.25, 0.245, 0.23, 0.2, 0.17, 0.14, 0.1))
    ]
    legs = []
    for x, side in ((0.16, 1), (0.16, -1), (-0.22, 1), (-0.22, -1)):
        forth = x + float(rng.uniform(-0.06, 0.06))
        legs += [
            cone((x, side * 0.1, 0.12), (forth, side * 0.2, 0.03), 0.045, 0.032),
            ellipsoid((forth + 0.03, side * 0.21, 0.02), (0.06, 0.035, 0.02)),
        ]
    return fitted([*body, *_jaws(gape), *ridge, *legs], CROCODILE, yaw=(-25, 50))


def _frog(rng: np.random.Generator) -> Shape:
    fat, up = vary(rng, 0.12), float(rng.uniform(18, 36))
    trunk = placed(
        [
            ellipsoid((0, 0, 0), (0.34, 0.25 * fat, 0.19)),
            ellipsoid((0.06, 0, -0.06), (0.27, 0.22 * fat, 0.15), "light"),
            ellipsoid((0.25, 0, 0.05), (0.19, 0.22, 0.13)),
            ellipsoid((0.29, 0, -0.02), (0.155, 0.205, 0.075), "light"),
            *mirrored(
                [
                    ellipsoid((0.24, 0.15, 0.19), 0.095),
                    ellipsoid((0.275, 0.2, 0.2), (0.055, 0.05, 0.065), "light"),
                    ellipsoid((0.29, 0.225, 0.205), (0.035, 0.035, 0.045), "dark"),
                ]
            ),
        ],
        (0, 0, 0.3),
        y=-up,
    )
    if chance(rng):
        trunk[0] = patterned(trunk[0], "spots", "second", 6.0)
    hind = mirrored(
        [
            *limb([(-0.22, 0.18, 0.16), (0.08, 0.36, 0.27), (-0.24, 0.36, 0.06)], 0.1, 0.045),
            *[
                cone((-0.24, 0.36, 0.03), (-0.24 + 0.28 * c, 0.36 + 0.28 * s, 0.02), 0.035, 0.02)
                for s, c in ((0.0, 1.0), (0.35, 0.93))
            ],
            ellipsoid((0.05, 0.37, 0.02), (0.05, 0.05, 0.02)),
        ]
    )
    fore = mirrored(
        [
            *limb([(0.2, 0.18, 0.3), (0.24, 0.25, 0.16), (0.26, 0.2, 0.03)], 0.055, 0.035),
            ellipsoid((0.31, 0.21, 0.02), (0.08, 0.07, 0.02)),
        ]
    )
    return fitted([*trunk, *hind, *fore], FROG)


SHAPES: dict[str, Builder] = {"snake": _snake, "turtle": _turtle, "crocodile": _crocodile, "frog": _frog}
"""Builders by lemma."""
