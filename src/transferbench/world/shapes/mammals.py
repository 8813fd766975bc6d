"""Elephant, rabbit, mouse, kangaroo and whale."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Shape, Vector, cone, ellipsoid, limb, mirrored, patterned
from transferbench.world.shapes.appendages import tufted_tail
from transferbench.world.shapes.fitting import INK, Palette, chance, fitted, placed, varied, vary
from transferbench.world.shapes.quadruped import Head, Quadruped

ELEPHANT: Palette = {
    "main": ((0.52, 0.52, 0.54), (0.42, 0.40, 0.40), (0.60, 0.56, 0.52)),
    "second": ((0.62, 0.54, 0.53), (0.48, 0.46, 0.47)),
    "light": ((0.96, 0.93, 0.84),),
    "dark": INK,
}
RABBIT: Palette = {
    "main": ((0.62, 0.52, 0.42), (0.93, 0.91, 0.88), (0.45, 0.43, 0.42)),
    "accent": ((0.93, 0.70, 0.68),),
    "light": ((0.97, 0.96, 0.94),),
    "dark": INK,
}
MOUSE: Palette = {
    "main": ((0.55, 0.53, 0.52), (0.50, 0.40, 0.32), (0.90, 0.89, 0.87)),
    "accent": ((0.92, 0.68, 0.66), (0.85, 0.60, 0.58)),
    "dark": INK,
}
KANGAROO: Palette = {
    "main": ((0.66, 0.45, 0.28), (0.55, 0.45, 0.38)),
    "light": ((0.90, 0.80, 0.66),),
    "dark": INK,
}
WHALE: Palette = {
    "main": ((0.22, 0.33, 0.46), (0.25, 0.28, 0.33), (0.36, 0.46, 0.55)),
    "light": ((0.88, 0.90, 0.91),),
    "accent": ((0.75, 0.88, 0.97),),
    "dark": INK,
}
ELEPHANT_BODY = Quadruped(
    length=0.72,
    chest=0.38,
    waist=0.4,
    rump=0.37,
    width=0.85,
    leg=0.5,
    thigh=0.16,
    shin=0.135,
    foot=0.12,
    neck=0.2,
    neck_angle=18.0,
    neck_base=0.28,
    neck_top=0.22,
    head=0.27,
    head_pitch=4.0,
    nod=7.0,
    hock=0.0,
    stride=14.0,
    foot_slot="main",
)


def _elephant(rng: np.random.Generator) -> Shape:
    body = varied(rng, ELEPHANT_BODY, 0.09).build(rng)
    curl = float(rng.uniform(-0.6, 1.5))
    reach: list[Vector] = [
        (0.85, 0, 0.0),
        (1.35, 0, -0.75),
        (1.4, 0, -1.6),
        (1.5 + curl * 0.35, 0, -2.3 + curl * 0.2),
        (1.9 + curl * 0.6, 0, -2.5 + curl * 0.6),
    ]
    trunk = limb(reach, 0.46, 0.17)
    tusks = mirrored(limb([(0.85, 0.48, -0.5), (1.5, 0.55, -1.05), (2.15, 0.55, -0.9)], 0.16, 0.05, "light"))
    flap, size = float(rng.uniform(15, 50)), 1.3 * vary(rng)
    ears = mirrored(
        [
            ellipsoid((-0.55, 1.15, -0.05), (size * 0.95, 0.09, size), "second", z=180 - flap),
            ellipsoid((-0.6, 1.05, -0.75), (size * 0.55, 0.09, size * 0.6), "second", z=180 - flap),
        ]
    )
    head = [ellipsoid((0, 0, 0.05), (0.95, 0.85, 1.0)), *mirrored([ellipsoid((0.7, 0.55, 0.3), 0.13, "dark")])]
    rope = tufted_tail(body, 0.1, 0.4, "dark", 0.08)
    return fitted([*body.parts, *body.on_head([*head, *trunk, *tusks, *ears]), *rope], ELEPHANT)


def _rabbit(rng: np.random.Generator) -> Shape:
    rise, long = float(rng.uniform(0.0, 0.12)), 0.42 * vary(rng, 0.2)
    lean, splay = float(rng.uniform(-28, 2)), float(rng.uniform(6, 16))
    ear = [
        ellipsoid((0, 0, long), (0.055, 0.095, long), x=-splay),
        ellipsoid((0.035, 0, long), (0.04, 0.06, long * 0.8), "accent", x=-splay),
    ]
    ears = mirrored(placed(ear, (0.31, 0.09, 0.66 + rise), y=lean))
    head = [
        ellipsoid((0.36, 0, 0.56 + rise), (0.2, 0.165, 0.17)),
        ellipsoid((0.5, 0, 0.5 + rise), (0.11, 0.12, 0.09), "light"),
        ellipsoid((0.6, 0, 0.53 + rise), 0.035, "accent"),
        *mirrored([ellipsoid((0.45, 0.13, 0.61 + rise), 0.04, "dark")]),
    ]
    trunk = [
        ellipsoid((-0.12, 0, 0.3), (0.34 * vary(rng, 0.1), 0.24, 0.28)),
        ellipsoid((0.18, 0, 0.33 + rise / 2), (0.2, 0.18, 0.24), y=-20),
        ellipsoid((-0.47, 0, 0.26), 0.12 * vary(rng, 0.2), "light"),
    ]
    legs = mirrored(
        [
            ellipsoid((-0.16, 0.19, 0.2), (0.2, 0.1, 0.19)),
            ellipsoid((-0.02, 0.21, 0.05), (0.2, 0.065, 0.05)),
            cone((0.26, 0.1, 0.3), (0.32, 0.1, 0.05), 0.075, 0.05),
            ellipsoid((0.35, 0.1, 0.04), (0.08, 0.05, 0.04)),
        ]
    )
    return fitted([*trunk, *head, *ears, *legs], RABBIT)


def _mouse(rng: np.random.Generator) -> Shape:
    fat, big = vary(rng, 0.12), 0.19 * vary(rng, 0.15)
    up = float(rng.uniform(-0.05, 0.08))
    body = [
        ellipsoid((-0.12, 0, 0.2 * fat), (0.33, 0.2 * fat, 0.2 * fat)),
        ellipsoid((0.12, 0, 0.2 + up / 2), (0.2, 0.15, 0.16)),
        ellipsoid((0.26, 0, 0.24 + up), (0.16, 0.13, 0.13)),
        cone((0.3, 0, 0.23 + up), (0.5, 0, 0.17 + up), 0.11, 0.025),
        ellipsoid((0.52, 0, 0.17 + up), 0.04, "accent"),
    ]
    ears = mirrored(
        [
            ellipsoid((0.16, 0.15, 0.42 + up), (0.035, big * 0.9, big), z=-25),
            ellipsoid((0.19, 0.155, 0.42 + up), (0.03, big * 0.65, big * 0.72), "accent", z=-25),
        ]
    )
    face = mirrored(
        [
            ellipsoid((0.36, 0.09, 0.29 + up), 0.035, "dark"),
        ]
    )
    paws = mirrored([ellipsoid((x, 0.13, 0.03), (0.08, 0.04, 0.03), "accent") for x in (0.2, -0.2)])
    sway, lift = float(rng.uniform(-0.15, 0.15)), float(rng.uniform(0.02, 0.3))
    path = [
        (-0.42, 0.0, 0.12),
        (-0.6, sway, 0.05 + lift * 0.2),
        (-0.8, sway * 0.5, 0.05 + lift),
        (-0.98, -sway, 0.06 + lift * 1.1),
    ]
    return fitted([*body, *ears, *face, *paws, *limb(path, 0.035, 0.015, "accent")], MOUSE, yaw=(-40, 55))


def _kangaroo(rng: np.random.Generator) -> Shape:
    lean, size = float(rng.uniform(-14, 14)), vary(rng, 0.1)
    face = Head(width=0.75, muzzle=1.9, base=0.6, tip=0.32, drop=0.3, nose=0.26, eye=0.2)
    ears = mirrored([ellipsoid((-0.35, 0.55, 1.55), (0.2, 0.36, 0.95 * size), x=-14, y=-12)])
    reach = float(rng.uniform(-0.08, 0.1))
    upper = [
        ellipsoid((0, 0, 0.3), (0.2, 0.17, 0.33), y=22),
        ellipsoid((0.13, 0, 0.58), (0.135, 0.12, 0.2), y=20),
        ellipsoid((0.12, 0, 0.34), (0.15, 0.12, 0.24), "light", y=20),
        cone((0.18, 0, 0.68), (0.25, 0, 0.92), 0.09, 0.065),
        *placed([*face.parts(), *ears], (0.28, 0, 0.97), 0.105, y=8 - lean),
        *mirrored(limb([(0.22, 0.12, 0.62), (0.3, 0.13, 0.46), (0.43, 0.1, 0.5 + reach)], 0.045, 0.03)),
    ]
    if chance(rng, 0.5):
        joey = [
            ellipsoid((0.27, 0, 0.36), (0.08, 0.075, 0.085)),
            *mirrored([ellipsoid((0.27, 0.045, 0.46), (0.02, 0.03, 0.06))]),
        ]
        upper += [*joey, *mirrored([ellipsoid((0.335, 0.035, 0.38), 0.018, "dark")])]
    legs = mirrored(
        [
            ellipsoid((0.0, 0.15, 0.2), (0.21, 0.09, 0.16), y=25),
            cone((0.14, 0.17, 0.12), (-0.14, 0.17, 0.0), 0.07, 0.05),
            cone((-0.16, 0.17, -0.02), (0.25, 0.17, -0.05), 0.055, 0.035),
            ellipsoid((0.27, 0.17, -0.05), (0.06, 0.045, 0.035), "dark"),
        ]
    )
    path: list[Vector] = [(-0.08, 0, 0.2), (-0.3, 0, 0.04), (-0.52, 0, -0.03), (-0.85 * size, 0, 0.0 + 0.08 * size)]
    return fitted([*placed(upper, (0, 0, 0), y=lean), *legs, *limb(path, 0.125, 0.035)], KANGAROO)


def _whale(rng: np.random.Generator) -> Shape:
    bulk, lift = vary(rng, 0.12), float(rng.uniform(0.1, 0.4))
    body = [
        ellipsoid((0.25, 0, 0.3), (0.36, 0.26 * bulk, 0.27 * bulk)),
        ellipsoid((0.08, 0, 0.29), (0.48, 0.25 * bulk, 0.26 * bulk)),
        patterned(ellipsoid((0.22, 0, 0.2), (0.38, 0.23 * bulk, 0.19 * bulk), "light"), "stripes", "main", 12.0),
        *limb([(-0.22, 0, 0.28), (-0.5, 0, 0.3 + lift * 0.25), (-0.72, 0, 0.32 + lift)], 0.2 * bulk, 0.05),
    ]
    fluke = [ellipsoid((-0.16, 0.17, 0), (0.12, 0.24, 0.03), z=38)]
    body += placed(mirrored(fluke), (-0.7, 0, 0.33 + lift), vary(rng, 0.12), y=32)
    swing = float(rng.uniform(-15, 25))
    body += mirrored([ellipsoid((0.18, 0.32, 0.1), (0.11, 0.22, 0.03), x=-25, z=swing + 25)])
    body += mirrored(
        [
            ellipsoid((0.43, 0.205 * bulk, 0.3), 0.03, "dark"),
            cone((0.6, 0.06, 0.22), (0.36, 0.235 * bulk, 0.2), 0.012, slot="dark"),
        ]
    )
    if chance(rng, 0.75):
        top, x = 0.3 + 0.26 * bulk, 0.3
        for sway in (-0.13, 0.0, 0.13):
            body += limb(
                [(x, 0, top - 0.02), (x + sway * 0.4, 0, top + 0.17), (x + sway, 0, top + 0.24 - abs(sway) * 0.4)],
                0.022,
                0.03,
                "accent",
            )
    return fitted(body, WHALE)


SHAPES: dict[str, Builder] = {
    "elephant": _elephant,
    "rabbit": _rabbit,
    "mouse": _mouse,
    "kangaroo": _kangaroo,
    "whale": _whale,
}
"""Builders by lemma."""
