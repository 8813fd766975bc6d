"""Duck, swan, flamingo, penguin, owl, eagle and rooster."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, Vector, cone, ellipsoid, limb, mirrored, patterned
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
OWL: Palette = {
    "main": ((0.50, 0.35, 0.22), (0.58, 0.52, 0.46), (0.88, 0.86, 0.82)),
    "second": ((0.33, 0.22, 0.14), (0.42, 0.36, 0.30)),
    "light": ((0.90, 0.82, 0.68), (0.95, 0.92, 0.86)),
    "accent": ((0.97, 0.75, 0.12), (0.93, 0.55, 0.10)),
    "dark": INK,
}
EAGLE: Palette = {
    "main": ((0.30, 0.20, 0.13), (0.42, 0.29, 0.17)),
    "second": ((0.22, 0.14, 0.10), (0.50, 0.36, 0.20)),
    "light": ((0.95, 0.94, 0.90), (0.80, 0.66, 0.42)),
    "accent": ((0.96, 0.74, 0.15),),
    "dark": INK,
}
ROOSTER: Palette = {
    "main": ((0.72, 0.32, 0.12), (0.93, 0.91, 0.87), (0.50, 0.22, 0.10)),
    "second": ((0.08, 0.28, 0.26), (0.12, 0.12, 0.16), (0.30, 0.16, 0.10)),
    "accent": ((0.85, 0.10, 0.10),),
    "light": ((0.93, 0.65, 0.22), (0.95, 0.85, 0.55)),
    "foot": ((0.93, 0.72, 0.20),),
    "dark": INK,
}


def eyes(x: float, y: float, z: float, radius: float, slot: str = "dark") -> list[Part]:
    """Return a pair of eyes, one on either side."""
    return mirrored([ellipsoid((x, y, z), radius, slot)])


def webbed_feet(x: float, y: float, size: float, slot: str = "accent") -> list[Part]:
    """Return two flat feet on the ground."""
    return mirrored([ellipsoid((x, y, size * 0.15), (size, size * 0.6, size * 0.18), slot)])


def toes(x: float, y: float, size: float, slot: str) -> list[Part]:
    """Return two feet of three spread toes on the ground."""
    foot = [cone((x, y, 0.03), (x + size * c, y + size * s, 0.015), 0.022, 0.012, slot) for c, s in ((0.8, 0.6), (1.0, 0.0), (0.8, -0.6))]
    return mirrored(foot)


def _duck(rng: np.random.Generator) -> Shape:
    plump, tall, turn = vary(rng, 0.12), 0.34 * vary(rng, 0.12), float(rng.uniform(-25, 25))
    body = [
        ellipsoid((-0.02, 0, 0.32), (0.42, 0.24 * plump, 0.23 * plump)), ellipsoid((0.2, 0, 0.34), (0.23, 0.2, 0.2), y=-25),
        cone((-0.3, 0, 0.36), (-0.6, 0, 0.52 * vary(rng, 0.1)), 0.17, 0.02), ellipsoid((-0.5, 0, 0.5), (0.06, 0.05, 0.09), "second", y=40),
    ]  # fmt: skip
    neck = [cone((0.28, 0, 0.42), (0.33, 0, 0.42 + tall), 0.135, 0.1, "second"), cone((0.293, 0, 0.5), (0.305, 0, 0.56), 0.145, 0.135, "light")]
    head = [
        ellipsoid((0, 0, 0), (0.17, 0.15, 0.155), "second"), *eyes(0.1, 0.115, 0.05, 0.032),
        ellipsoid((0.2, 0, -0.05), (0.13, 0.075, 0.045), "accent"), ellipsoid((0.29, 0, -0.065), (0.1, 0.105, 0.026), "accent"),
    ]  # fmt: skip
    wings = mirrored([patterned(ellipsoid((-0.1, 0.21 * plump, 0.38), (0.31, 0.06, 0.14), y=-8, z=4), "stripes", "light", 7.0)])
    legs = mirrored([cone((0.02, 0.1, 0.15), (0.04, 0.1, 0.02), 0.03, slot="accent")]) + webbed_feet(0.1, 0.11, 0.12)
    return fitted([*body, *neck, *placed(head, (0.34, 0, 0.48 + tall), z=turn), *wings, *legs], DUCK)


def _swan(rng: np.random.Generator) -> Shape:
    tall, bend = 0.75 * vary(rng, 0.14), float(rng.uniform(0.8, 1.2))
    body = [
        ellipsoid((-0.08, 0, 0.2), (0.46, 0.25, 0.2)), cone((-0.35, 0, 0.26), (-0.64, 0, 0.42), 0.15, 0.01),
        ellipsoid((0.22, 0, 0.2), (0.2, 0.19, 0.18)),
    ]  # fmt: skip
    x = 0.32
    curve: list[Vector] = [
        (x, 0, 0.28), (x + 0.1 * bend, 0, 0.28 + tall * 0.2), (x - 0.0 * bend, 0, 0.28 + tall * 0.55),
        (x - 0.03 * bend, 0, 0.28 + tall * 0.82), (x + 0.05, 0, 0.28 + tall * 0.98), (x + 0.17, 0, 0.28 + tall),
    ]  # fmt: skip
    hx, hz = x + 0.2, 0.27 + tall
    head = [
        ellipsoid((hx, 0, hz), (0.11, 0.075, 0.075), y=15), cone((hx + 0.07, 0, hz - 0.02), (hx + 0.24, 0, hz - 0.08), 0.05, 0.02, "accent"),
        ellipsoid((hx + 0.08, 0, hz + 0.03), 0.035, "dark"), *eyes(hx + 0.035, 0.058, hz + 0.02, 0.018),
    ]  # fmt: skip
    lift = float(rng.uniform(8, 30))
    wings = mirrored([
        ellipsoid((-0.15, 0.2, 0.34), (0.4, 0.06, 0.2), "second", y=lift, x=-8), ellipsoid((-0.4, 0.14, 0.47), (0.24, 0.05, 0.1), "second", y=lift + 18),
    ])  # fmt: skip
    return fitted([*body, *limb(curve, 0.085, 0.055), *head, *wings], SWAN)


def _flamingo(rng: np.random.Generator) -> Shape:
    leg, folded = 0.85 * vary(rng, 0.1), chance(rng)
    z, sway = leg + 0.12, float(rng.uniform(-0.06, 0.08))
    body = [
        ellipsoid((0, 0, z), (0.29, 0.16, 0.17), y=8), cone((-0.15, 0, z), (-0.42, 0, z - 0.06), 0.12, 0.02, "second"),
        *mirrored([ellipsoid((-0.06, 0.13, z + 0.03), (0.26, 0.05, 0.12), "second", y=-8)]),
    ]  # fmt: skip
    curve: list[Vector] = [(0.2, 0, z + 0.03), (0.38, 0, z + 0.14), (0.34, 0, z + 0.36), (0.22 + sway, 0, z + 0.55), (0.3 + sway, 0, z + 0.7), (0.42 + sway, 0, z + 0.68)]
    hx, hz = 0.44 + sway, z + 0.66
    head = [
        ellipsoid((hx, 0, hz), (0.1, 0.075, 0.08)), *eyes(hx + 0.03, 0.06, hz + 0.03, 0.02), cone((hx + 0.05, 0, hz - 0.01), (hx + 0.17, 0, hz - 0.06), 0.055, 0.045, "light"),
        cone((hx + 0.16, 0, hz - 0.05), (hx + 0.17, 0, hz - 0.22), 0.048, 0.012, "dark"),
    ]  # fmt: skip
    straight = [*limb([(0.02, 0.05, z - 0.1), (0.0, 0.05, leg * 0.5), (0.02, 0.05, 0.03)], 0.03, 0.022, "second"), ellipsoid((0.07, 0.05, 0.02), (0.09, 0.06, 0.02), "second")]
    other: list[Vector] = [(0.02, -0.06, z - 0.1), (0.12, -0.06, leg * 0.48), (-0.06, -0.06, 0.03)]
    if folded:
        other = [(0.02, -0.06, z - 0.1), (0.16, -0.06, leg * 0.62), (-0.22, -0.06, leg * 0.55)]
    last = other[-1]
    foot = ellipsoid((last[0] + 0.05, last[1], last[2] - 0.01), (0.09, 0.05, 0.02), "second", y=70 if folded else 0)
    return fitted([*body, *limb(curve, 0.065, 0.045), *head, *straight, *limb(other, 0.03, 0.022, "second"), foot], FLAMINGO)


def _penguin(rng: np.random.Generator) -> Shape:
    fat, swing, turn = vary(rng, 0.14), float(rng.uniform(8, 40)), float(rng.uniform(-35, 35))
    body = [
        ellipsoid((0, 0, 0.42), (0.23 * fat, 0.25 * fat, 0.4)), ellipsoid((0.075, 0, 0.4), (0.19 * fat, 0.2 * fat, 0.34), "light"),
        cone((-0.12, 0, 0.16), (-0.3, 0, 0.03), 0.12, 0.02),
    ]  # fmt: skip
    head = [
        ellipsoid((0, 0, 0), (0.18, 0.175, 0.175)), *mirrored([ellipsoid((0.09, 0.085, -0.02), (0.08, 0.075, 0.09), "light")]),
        *eyes(0.145, 0.1, 0.03, 0.03), cone((0.14, 0, -0.02), (0.34, 0, -0.06), 0.055, 0.012, "accent"),
    ]  # fmt: skip
    wing = placed([ellipsoid((0, 0.02, -0.24), (0.1, 0.03, 0.27))], (-0.02, 0.2 * fat, 0.66), x=swing, y=8)
    return fitted([*body, *placed(head, (0.03, 0, 0.86), z=turn), *mirrored(wing), *webbed_feet(0.13, 0.12, 0.14)], PENGUIN)


def _owl(rng: np.random.Generator) -> Shape:
    fat, turn, tufted = vary(rng, 0.12), float(rng.uniform(-40, 10)), chance(rng, 0.75)
    body = [
        patterned(ellipsoid((0, 0, 0.4), (0.24 * fat, 0.27 * fat, 0.36)), "spots", "second", 9.0),
        patterned(ellipsoid((0.09, 0, 0.38), (0.18 * fat, 0.2 * fat, 0.29), "light"), "spots", "second", 11.0),
        ellipsoid((-0.2, 0, 0.15), (0.07, 0.14, 0.2), "second", y=25),
        *mirrored([ellipsoid((-0.03, 0.25 * fat, 0.42), (0.16, 0.06, 0.3), "second", y=8)]),
    ]  # fmt: skip
    head = [
        ellipsoid((0, 0, 0), (0.25, 0.29, 0.24)),
        *mirrored([
            ellipsoid((0.17, 0.115, 0.0), (0.09, 0.14, 0.15), "light"), ellipsoid((0.235, 0.115, 0.02), (0.035, 0.088, 0.088), "accent"),
            ellipsoid((0.262, 0.115, 0.02), (0.025, 0.05, 0.05), "dark"),
        ]),
        cone((0.25, 0, -0.01), (0.31, 0, -0.12), 0.045, 0.008, "dark"),
    ]  # fmt: skip
    if tufted:
        head += mirrored([cone((0.06, 0.17, 0.14), (0.02, 0.25, 0.36), 0.09, 0.01, "second")])
    claws = mirrored([ellipsoid((0.15, y, 0.035), (0.07, 0.03, 0.035), "accent") for y in (0.07, 0.13)])
    return fitted([*body, *placed(head, (0.02, 0, 0.82), z=turn), *claws], OWL, yaw=(-85, -15))


def _eagle(rng: np.random.Generator) -> Shape:
    lift, long, fan = float(rng.uniform(10, 38)), vary(rng, 0.1), vary(rng, 0.15)
    body = [
        ellipsoid((0, 0, 0), (0.25, 0.11, 0.11)), ellipsoid((0.27, 0, 0.05), (0.11, 0.085, 0.085), "light"), cone((0.1, 0, 0.02), (0.26, 0, 0.05), 0.1, 0.085, "light"),
        *limb([(0.34, 0, 0.05), (0.43, 0, 0.035), (0.45, 0, -0.04)], 0.045, 0.012, "accent"), *eyes(0.32, 0.065, 0.085, 0.02),
    ]  # fmt: skip
    body += mirrored([ellipsoid((-0.3, 0.045, 0), (0.17 * fan, 0.06, 0.015), "light", z=-14), cone((0.0, 0.06, -0.08), (-0.1, 0.06, -0.18), 0.04, 0.02, "accent")])
    wing = [
        ellipsoid((0.03, 0.22 * long, 0), (0.17, 0.22 * long, 0.03), z=8), ellipsoid((-0.01, 0.48 * long, 0.01), (0.16, 0.2 * long, 0.022)),
        *[cone((0.02 - 0.06 * k, 0.55 * long, 0.01), (0.08 - 0.12 * k, (0.86 - 0.06 * k) * long, 0.04), 0.04, 0.012, "second") for k in range(5)],
    ]  # fmt: skip
    body += mirrored(placed(wing, (0, 0.05, 0.04), x=lift))
    return fitted(placed(body, y=float(rng.uniform(-15, 15)), x=float(rng.uniform(0, 30))), EAGLE, airborne=True, yaw=(-60, 60))


def _rooster(rng: np.random.Generator) -> Shape:
    plump, tall = vary(rng, 0.1), 0.3 * vary(rng, 0.15)
    z = 0.45
    body = [
        ellipsoid((0, 0, z), (0.29, 0.19 * plump, 0.21 * plump), y=-12), ellipsoid((0.17, 0, z + 0.03), (0.17, 0.16, 0.2)),
        cone((0.16, 0, z + 0.05), (0.24, 0, z + 0.2 + tall), 0.18, 0.075, "light"),
        *mirrored([ellipsoid((-0.04, 0.17 * plump, z + 0.02), (0.22, 0.05, 0.13), "second", y=-10)]),
    ]  # fmt: skip
    hx, hz = 0.26, z + 0.24 + tall
    head = [
        ellipsoid((hx, 0, hz), (0.095, 0.08, 0.085), "light"), cone((hx + 0.07, 0, hz), (hx + 0.2, 0, hz - 0.03), 0.04, 0.006, "foot"),
        *[ellipsoid((hx + 0.09 - 0.06 * k, 0, hz + 0.095 + 0.012 * (k % 3)), (0.038, 0.025, 0.07), "accent", y=10 - 20 * k) for k in range(4)],
        *mirrored([ellipsoid((hx + 0.08, 0.025, hz - 0.12), (0.03, 0.022, 0.065), "accent")]), *eyes(hx + 0.045, 0.066, hz + 0.02, 0.019),
    ]  # fmt: skip
    plume: list[Part] = []
    for k in range(int(rng.integers(5, 8))):
        rise, reach = 0.5 - 0.08 * k, 0.14 + 0.05 * k
        side = 0.035 * ((k % 3) - 1)
        top = (-0.26 - reach, side, z + 0.12 + rise)
        plume += [cone((-0.2, side / 2, z + 0.06), top, 0.055, 0.055, "second"), cone(top, (top[0] - 0.16, side * 1.5, top[2] - 0.2), 0.055, 0.01, "second")]
    legs = mirrored([cone((0.02, 0.08, z - 0.12), (0.05, 0.08, 0.03), 0.045, 0.022, "foot")]) + toes(0.05, 0.08, 0.12, "foot")
    return fitted([*body, *head, *plume, *legs], ROOSTER)


SHAPES: dict[str, Builder] = {
    "duck": _duck, "swan": _swan, "flamingo": _flamingo, "penguin": _penguin, "owl": _owl, "eagle": _eagle, "rooster": _rooster,
}  # fmt: skip
"""Builders by lemma."""
