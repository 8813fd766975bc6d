"""Duck, swan, flamingo and penguin."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Shape, Vector, cone, ellipsoid, limb, mirrored, patterned
from transferbench.world.shapes.appendages import eyes, webbed_feet
from transferbench.world.shapes.fitting import INK, Palette, chance, fitted, placed, vary

DUCK: Palette = {
    "main": ((0.55, 0.42, 0.30), (0.95, 0.93, 0.88), (0.97, 0.83, 0.25), (0.60, 0.58, 0.55)),
    "second": ((0.10, 0.40, 0.25), (0.45, 0.30, 0.20)),
    "light": ((0.95, 0.95, 0.93),),
    "accent": ((0.96, 0.60, 0.12), (0.88, 0.70, 0.20)),
    "dark": INK,
}
SWAN: Palette = {
    "main": ((0.97, 0.97, 0.96), (0.92, 0.91, 0.90), (0.13, 0.13, 0.14)),
    "second": ((0.97, 0.97, 0.96), (0.85, 0.85, 0.86)),
    "accent": ((0.93, 0.45, 0.12), (0.80, 0.20, 0.12)),
    "dark": INK,
}
FLAMINGO: Palette = {
    "main": ((0.96, 0.55, 0.58), (0.98, 0.68, 0.68), (0.93, 0.42, 0.42)),
    "second": ((0.90, 0.35, 0.40), (0.95, 0.50, 0.50)),
    "light": ((0.97, 0.92, 0.88),),
    "dark": INK,
}
PENGUIN: Palette = {
    "main": ((0.10, 0.11, 0.14), (0.20, 0.23, 0.28)),
    "light": ((0.97, 0.97, 0.95),),
    "accent": ((0.96, 0.62, 0.12), (0.90, 0.45, 0.15)),
    "dark": INK,
    "eye": ((0.97, 0.97, 0.95),),
}


def _duck(rng: np.random.Generator) -> Shape:
    plump, tall, turn = vary(rng, 0.12), 0.34 * vary(rng, 0.12), float(rng.uniform(-25, 25))
    body = [
        ellipsoid((-0.02, 0, 0.32), (0.42, 0.24 * plump, 0.23 * plump)),
        ellipsoid((0.2, 0, 0.34), (0.23, 0.2, 0.2), y=-25),
        cone((-0.3, 0, 0.36), (-0.6, 0, 0.52 * vary(rng, 0.1)), 0.17, 0.02),
        ellipsoid((-0.5, 0, 0.5), (0.06, 0.05, 0.09), "second", y=40),
    ]
    neck = [
        cone((0.28, 0, 0.42), (0.33, 0, 0.42 + tall), 0.135, 0.1, "second"),
        cone((0.293, 0, 0.5), (0.305, 0, 0.56), 0.145, 0.135, "light"),
    ]
    head = [
        ellipsoid((0, 0, 0), (0.17, 0.15, 0.155), "second"),
        *eyes(0.1, 0.115, 0.05, 0.032),
        ellipsoid((0.2, 0, -0.05), (0.13, 0.075, 0.045), "accent"),
        ellipsoid((0.29, 0, -0.065), (0.1, 0.105, 0.026), "accent"),
    ]
    wing = ellipsoid((-0.1, 0.21 * plump, 0.38), (0.31, 0.06, 0.14), "light", y=-8, z=4)
    wings = mirrored([patterned(wing, "stripes", "second", 6.0) if chance(rng, 0.4) else wing])
    legs = mirrored([cone((0.02, 0.1, 0.15), (0.04, 0.1, 0.02), 0.03, slot="accent")]) + webbed_feet(0.1, 0.11, 0.12)
    return fitted([*body, *neck, *placed(head, (0.34, 0, 0.48 + tall), z=turn), *wings, *legs], DUCK)


def _swan(rng: np.random.Generator) -> Shape:
    tall, bend = 0.75 * vary(rng, 0.14), float(rng.uniform(0.8, 1.2))
    body = [
        ellipsoid((-0.08, 0, 0.2), (0.46, 0.25, 0.2)),
        cone((-0.35, 0, 0.26), (-0.64, 0, 0.42), 0.15, 0.01),
        ellipsoid((0.22, 0, 0.2), (0.2, 0.19, 0.18)),
    ]
    x = 0.32
    curve: list[Vector] = [
        (x, 0, 0.28),
        (x + 0.1 * bend, 0, 0.28 + tall * 0.2),
        (x - 0.0 * bend, 0, 0.28 + tall * 0.55),
        (x - 0.03 * bend, 0, 0.28 + tall * 0.82),
        (x + 0.05, 0, 0.28 + tall * 0.98),
        (x + 0.17, 0, 0.28 + tall),
    ]
    hx, hz = x + 0.2, 0.27 + tall
    head = [
        ellipsoid((hx, 0, hz), (0.11, 0.075, 0.075), y=15),
        cone((hx + 0.07, 0, hz - 0.02), (hx + 0.24, 0, hz - 0.08), 0.05, 0.02, "accent"),
        ellipsoid((hx + 0.08, 0, hz + 0.03), 0.035, "dark"),
        *eyes(hx + 0.035, 0.058, hz + 0.02, 0.018),
    ]
    lift = float(rng.uniform(8, 30))
    wings = mirrored(
        [
            ellipsoid((-0.15, 0.2, 0.34), (0.4, 0.06, 0.2), "second", y=lift, x=-8),
            ellipsoid((-0.4, 0.14, 0.47), (0.24, 0.05, 0.1), "second", y=lift + 18),
        ]
    )
    return fitted([*body, *limb(curve, 0.085, 0.055), *head, *wings], SWAN)


def _flamingo(rng: np.random.Generator) -> Shape:
    leg, folded = 0.85 * vary(rng, 0.1), chance(rng)
    z, sway = leg + 0.12, float(rng.uniform(-0.06, 0.08))
    body = [
        ellipsoid((0, 0, z), (0.29, 0.16, 0.17), y=8),
        cone((-0.15, 0, z), (-0.42, 0, z - 0.06), 0.12, 0.02, "second"),
        *mirrored([ellipsoid((-0.06, 0.13, z + 0.03), (0.26, 0.05, 0.12), "second", y=-8)]),
    ]
    curve: list[Vector] = [
        (0.2, 0, z + 0.03),
        (0.38, 0, z + 0.14),
        (0.34, 0, z + 0.36),
        (0.22 + sway, 0, z + 0.55),
        (0.3 + sway, 0, z + 0.7),
        (0.42 + sway, 0, z + 0.68),
    ]
    hx, hz = 0.44 + sway, z + 0.66
    head = [
        ellipsoid((hx, 0, hz), (0.1, 0.075, 0.08)),
        *eyes(hx + 0.03, 0.06, hz + 0.03, 0.02),
        cone((hx + 0.05, 0, hz - 0.01), (hx + 0.17, 0, hz - 0.06), 0.055, 0.045, "light"),
        cone((hx + 0.16, 0, hz - 0.05), (hx + 0.17, 0, hz - 0.22), 0.048, 0.012, "dark"),
    ]
    straight = [
        *limb([(0.02, 0.05, z - 0.1), (0.0, 0.05, leg * 0.5), (0.02, 0.05, 0.03)], 0.03, 0.022, "second"),
        ellipsoid((0.07, 0.05, 0.02), (0.09, 0.06, 0.02), "second"),
    ]
    other: list[Vector] = [(0.02, -0.06, z - 0.1), (0.12, -0.06, leg * 0.48), (-0.06, -0.06, 0.03)]
    if folded:
        other = [(0.02, -0.06, z - 0.1), (0.16, -0.06, leg * 0.62), (-0.22, -0.06, leg * 0.55)]
    last = other[-1]
    foot = ellipsoid((last[0] + 0.05, last[1], last[2] - 0.01), (0.09, 0.05, 0.02), "second", y=70 if folded else 0)
    return fitted(
        [*body, *limb(curve, 0.065, 0.045), *head, *straight, *limb(other, 0.03, 0.022, "second"), foot], FLAMINGO
    )


def _penguin(rng: np.random.Generator) -> Shape:
    fat, swing, turn = vary(rng, 0.14), float(rng.uniform(8, 40)), float(rng.uniform(-35, 35))
    body = [
        ellipsoid((0, 0, 0.42), (0.23 * fat, 0.25 * fat, 0.4)),
        ellipsoid((0.075, 0, 0.4), (0.19 * fat, 0.2 * fat, 0.34), "light"),
        cone((-0.12, 0, 0.16), (-0.3, 0, 0.03), 0.12, 0.02),
    ]
    head = [
        ellipsoid((0, 0, 0), (0.18, 0.175, 0.175)),
        *mirrored([ellipsoid((0.09, 0.085, -0.02), (0.08, 0.075, 0.09), "light")]),
        *eyes(0.145, 0.1, 0.03, 0.03),
        cone((0.14, 0, -0.02), (0.34, 0, -0.06), 0.055, 0.012, "accent"),
    ]
    wing = placed([ellipsoid((0, 0.02, -0.24), (0.1, 0.03, 0.27))], (-0.02, 0.2 * fat, 0.66), x=swing, y=8)
    return fitted(
        [*body, *placed(head, (0.03, 0, 0.86), z=turn), *mirrored(wing), *webbed_feet(0.13, 0.12, 0.14)], PENGUIN
    )


SHAPES: dict[str, Builder] = {"duck": _duck, "swan": _swan, "flamingo": _flamingo, "penguin": _penguin}
"""Builders by lemma."""
