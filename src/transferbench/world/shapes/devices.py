"""Shapes of devices; their fronts face -y."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, box, cone, ellipsoid, limb, torus
from transferbench.world.shapes.fitting import chance, placed
from transferbench.world.shapes.joinery import around, block, disc, lathe, made
from transferbench.world.shapes.materials import AMBER, BLACK, GOLD, GREEN, PAINT, RED, STEEL, WHITE

SCREEN = ((0.30, 0.52, 0.72), (0.45, 0.65, 0.60), (0.22, 0.32, 0.55))


def television(rng: np.random.Generator) -> Shape:
    """Return a wide screen with a picture in a dark frame on a neck and a foot."""
    half, tall, base = 0.52, around(rng, 0.60, 0.08), around(rng, 0.13, 0.2)
    top = base + tall
    parts = [
        block((-half, half), (-0.03, 0.04), (base, top), "dark"),
        block((-half + 0.045, half - 0.045), (-0.036, 0), (base + 0.065, top - 0.045), "glass"),
        block((-half + 0.045, half - 0.045), (-0.042, 0), (base + 0.065, base + 0.4 * tall), "main"),
        disc((around(rng, 0.2, 0.5), -0.035, base + 0.68 * tall), 0.075, 0.01, "light"),
        block((-0.05, 0.05), (-0.01, 0.05), (0.02, base + 0.02), "metal"),
        block((-0.24, 0.24), 0.13, (0.0, 0.03), "metal"),
        block((half - 0.10, half - 0.05), (-0.04, 0), (base + 0.02, base + 0.04), "accent"),
    ]
    return made(rng, parts, main=GREEN + PAINT, glass=SCREEN, metal=BLACK + STEEL, yaw=(-45, 45))


def laptop(rng: np.random.Generator) -> Shape:
    """Return a flat base with a keyboard and a touch pad, and a hinged screen leaning back."""
    half, deep, lean = 0.45, around(rng, 0.30, 0.06), float(rng.uniform(8, 28))
    tall = around(rng, 0.56, 0.05)
    lid = [
        block((-half, half), (-0.015, 0.02), (0.0, tall), "main"),
        block((-half + 0.04, half - 0.04), (-0.022, 0), (0.05, tall - 0.04), "glass"),
        block((-0.28, 0.02), (-0.028, 0), (0.17, tall - 0.11), "light"),
    ]
    parts = placed(lid, (0, deep, 0.045), x=-lean)
    parts += [
        block((-half, half), deep, (0.0, 0.045), "main"),
        cone((-0.34, deep, 0.045), (0.34, deep, 0.045), 0.03, slot="dark"),
    ]
    rows = np.linspace(0.70 * deep, -0.25 * deep, 4).tolist()
    parts += [block((-half + 0.05, half - 0.05), (y - 0.028, y + 0.028), (0.04, 0.065), "dark") for y in rows]
    parts += [block((-0.13, 0.13), (-0.92 * deep, -0.5 * deep), (0.04, 0.06), "dark")]
    return made(rng, parts, main=STEEL + WHITE + BLACK, glass=SCREEN, yaw=(-40, 40))


def camera(rng: np.random.Generator) -> Shape:
    """Return a box with a large lens in front, a finder hump, a shutter button, a dial and a grip."""
    half, tall, r = 0.48, around(rng, 0.52, 0.08), around(rng, 0.215, 0.08)
    x, z = around(rng, 0.05, 1.0), 0.47 * tall
    long = around(rng, 0.36, 0.12)
    parts = [
        block((-half, half), 0.13, (0.0, tall), "main"),
        block((-half - 0.008, half + 0.008), 0.138, (0.13, tall - 0.13), "dark"),
        block((x - 0.15, x + 0.15), 0.11, (tall, tall + 0.12), "main"),
        block((x - 0.09, x + 0.09), (-0.125, 0), (tall + 0.02, tall + 0.09), "light"),
        cone((-0.36, 0, tall), (-0.36, 0, tall + 0.05), 0.055, slot="accent"),
        cone((0.36, 0, tall), (0.36, 0, tall + 0.06), 0.075, slot="metal"),
        cone((x, -0.10, z), (x, -long, z), r, 0.9 * r, "dark"),
        cone((x, -0.13, z), (x, -0.21, z), 1.1 * r, slot="metal"),
        cone((x, -long, z), (x, -long - 0.02, z), 0.92 * r, slot="metal"),
        cone((x, -long, z), (x, -long - 0.03, z), 0.75 * r, slot="glass"),
        ellipsoid((x - 0.3 * r, -long - 0.03, z + 0.3 * r), (0.04, 0.012, 0.04), "light"),
    ]
    if chance(rng):
        parts += [box((-half + 0.05, -0.15, 0.5 * tall), (0.06, 0.05, 0.42 * tall), "dark")]
    return made(
        rng,
        parts,
        main=STEEL + BLACK + PAINT,
        accent=RED,
        metal=STEEL,
        glass=((0.25, 0.25, 0.45), (0.2, 0.35, 0.45)),
        yaw=(-45, 45),
    )


def alarm_clock(rng: np.random.Generator) -> Shape:
    """Return a round dial with hour marks and hands between two bells above and two feet below."""
    r, z = 0.36, 0.48
    parts = [disc((0, 0.03, z), r, 0.12, "main"), disc((0, -0.03, z), 0.84 * r, 0.07, "light")]
    for i in range(12):
        t = np.radians(30 * i)
        big = i % 3 == 0
        at = (0.70 * r * float(np.sin(t)), -0.095, z + 0.70 * r * float(np.cos(t)))
        parts += [box(at, (0.014, 0.012, 0.036 if big else 0.018), "dark", y=30 * i)]
    hour, minute = float(rng.uniform(0, 360)), float(rng.uniform(0, 360))
    hands = [(hour, 0.38 * r, 0.022), (minute, 0.62 * r, 0.016)]
    for angle, long, wide in hands:
        parts += placed([block((-wide, wide), 0.01, (-0.03, long), "dark")], (0, -0.11, z), y=angle)
    parts += [disc((0, -0.11, z), 0.03, 0.02, "accent")]
    for s in (-1, 1):
        bell = [ellipsoid((0, 0, 0.0), (0.15, 0.15, 0.10), "metal"), ellipsoid((0, 0, 0.11), 0.03, "metal")]
        bell += [cone((0, 0, -0.13), (0, 0, 0.0), 0.022, slot="dark")]
        parts += placed(bell, (s * 0.235, 0.03, z + r + 0.03), y=s * 35)
        parts += [cone((s * 0.20, 0.03, z - 0.8 * r), (s * 0.30, 0.03, 0.0), 0.045, 0.03, "metal")]
    parts += [
        cone((0, 0.03, z + r), (0, 0.03, z + r + 0.13), 0.022, slot="dark"),
        ellipsoid((0, 0.03, z + r + 0.15), (0.06, 0.04, 0.04), "dark"),
    ]
    return made(rng, parts, main=RED + PAINT, metal=STEEL + GOLD, light=WHITE, accent=RED, yaw=(-40, 40))


def traffic_light(rng: np.random.Generator) -> Shape:
    """Return a pole with a box of three hooded lamps, one above another."""
    r, pole = around(rng, 0.085, 0.06), around(rng, 0.34, 0.15)
    gap = 2.35 * r
    parts = [
        cone((0, 0.02, 0), (0, 0.02, pole + 0.05), 0.032, slot="metal"),
        *lathe([(0.0, 0.10), (0.035, 0.09)], "metal", (0, 0.02)),
        block((-0.15, 0.15), (-0.08, 0.10), (pole, pole + 3 * gap + 0.04), "main"),
    ]
    for i, slot in enumerate(("glass", "second", "accent")):
        z = pole + 0.02 + (i + 0.5) * gap
        parts += [
            disc((0, -0.085, z), r * 1.12, 0.01, "dark"),
            ellipsoid((0, -0.09, z), (0.9 * r, 0.03, 0.9 * r), slot),
        ]
        parts += [box((0, -0.12, z + 1.02 * r), (0.85 * r, 0.045, 0.013), "dark", x=8)]
    parts += [block((-0.10, 0.10), (-0.06, 0.08), (pole + 3 * gap + 0.04, pole + 3 * gap + 0.07), "dark")]
    return made(
        rng,
        parts,
        main=(*BLACK, (0.20, 0.28, 0.20), (0.75, 0.62, 0.10)),
        accent=RED,
        second=AMBER,
        glass=GREEN,
        yaw=(-40, 40),
    )


def microscope(rng: np.random.Generator) -> Shape:
    """Return a base, a bent arm at -x, a stage and a leaning tube with an eyepiece and an objective."""
    lean = float(rng.uniform(12, 28))
    tube = [
        cone((0, 0, 0.0), (0, 0, 0.42), 0.07, slot="main"),
        cone((0, 0, 0.40), (0, 0, 0.54), 0.05, slot="dark"),
        cone((0, 0, 0.52), (0, 0, 0.57), 0.065, slot="dark"),
        cone((0, 0, -0.05), (0, 0, 0.02), 0.085, slot="metal"),
        cone((0, 0, -0.15), (0, 0, -0.04), 0.03, 0.05, "metal"),
    ]
    parts = placed(tube, (0.08, 0, 0.50), y=-lean)
    parts += [
        block((-0.30, 0.26), 0.17, (0.0, 0.07), "main"),
        block((-0.12, 0.26), 0.15, (0.26, 0.30), "dark"),
        block((0.03, 0.20), 0.06, (0.30, 0.312), "light"),
        cone((0.10, 0, 0.07), (0.10, 0, 0.16), 0.08, 0.05, "glass"),
        *limb([(-0.20, 0, 0.05), (-0.27, 0, 0.28), (-0.24, 0, 0.52), (-0.04, 0, 0.66)], 0.06, 0.055, "second"),
        disc((-0.26, 0, 0.34), 0.075, 0.11, "dark"),
        disc((-0.24, 0, 0.19), 0.05, 0.11, "dark"),
    ]
    return made(rng, parts, main=WHITE + STEEL + BLACK, second=WHITE + STEEL + BLACK, yaw=(-40, 40))


def electric_fan(rng: np.random.Generator) -> Shape:
    """Return broad blades in a round cage of rings and spokes on a stand with a foot."""
    blades, turn, tall = int(rng.integers(3, 5)), float(rng.uniform(0, 120)), around(rng, 0.60, 0.08)
    parts = [torus((0, y, 0), 0.34, 0.022, "metal", x=90) for y in (-0.07, 0.07)]
    parts += [torus((0, -0.085, 0), 0.20, 0.011, "metal", x=90)]
    for i in range(blades):
        blade = ellipsoid((0.175, -0.03, 0), (0.135, 0.022, 0.105), "second", x=15)
        parts += placed([blade], y=turn + 360 * i / blades)
    parts += [box((0, -0.085, 0), (0.34, 0.007, 0.007), "metal", y=10 + 45 * i) for i in range(4)]
    parts += [disc((0, -0.10, 0), 0.07, 0.03, "main"), cone((0, 0.05, 0), (0, 0.22, 0), 0.11, 0.07, "main")]
    parts = placed(parts, (0, 0, tall), x=float(rng.uniform(-10, 5)))
    parts += [
        cone((0, 0.12, 0.0), (0, 0.12, tall), 0.035, slot="main"),
        *lathe([(0.0, 0.22), (0.03, 0.21), (0.07, 0.06)], "main", (0, 0.06)),
    ]
    return made(rng, parts, main=WHITE + PAINT, second=PAINT, metal=STEEL, yaw=(-40, 40))


def robot(rng: np.random.Generator) -> Shape:
    """Return a box for a body with a panel, a box for a head with eyes and an antenna, arms with claws, legs."""
    wide, head, lift = around(rng, 0.19, 0.1), around(rng, 0.13, 0.1), float(rng.uniform(-0.1, 0.25))
    sides = [
        ellipsoid((wide + 0.03, 0, 0.58), 0.055, "dark"),
        *limb(
            [(wide + 0.05, 0, 0.57), (wide + 0.13, -0.02, 0.42), (wide + 0.14, -0.12, 0.34 + lift)], 0.033, slot="metal"
        ),
        torus((wide + 0.14, -0.15, 0.34 + lift), 0.045, 0.022, "dark", x=60),
        block((0.05, 0.13), 0.05, (0.06, 0.26), "metal"),
        block((0.035, 0.15), (-0.12, 0.07), (0.0, 0.07), "dark"),
        disc((0.055, -0.11, 0.80), 0.034, 0.03, "light"),
        disc((0.055, -0.13, 0.80), 0.016, 0.03, "dark"),
    ]
    mirror = [_reflected(p) for p in sides]
    parts = [
        block((-wide, wide), 0.12, (0.25, 0.64)),
        block((-0.6 * wide, 0.6 * wide), (-0.13, 0), (0.40, 0.58), "light"),
        cone((0, 0, 0.63), (0, 0, 0.69), 0.05, slot="metal"),
        block((-head, head), 0.11, (0.68, 0.90)),
        block((-0.07, 0.07), (-0.12, 0), (0.715, 0.745), "dark"),
        cone((0, 0, 0.90), (0, 0, 1.01), 0.015, slot="metal"),
        ellipsoid((0, 0, 1.02), 0.035, "accent"),
        *[disc((x * wide, -0.125, 0.52), 0.028, 0.012, s) for x, s in ((-0.3, "accent"), (0.3, "second"))],
        block((-0.4 * wide, 0.4 * wide), (-0.138, 0), (0.43, 0.455), "dark"),
    ]
    return made(rng, [*parts, *sides, *mirror], main=STEEL + PAINT, accent=RED + AMBER, yaw=(-40, 40))


def _reflected(part: Part) -> Part:
    """Return the mirror image of ``part`` across the plane x = 0."""
    turned = np.array(part.rotation) * np.array([[1, -1, -1], [-1, 1, 1], [-1, 1, 1]])
    return replace(
        part, centre=(-part.centre[0], part.centre[1], part.centre[2]), rotation=tuple(map(tuple, turned.tolist()))
    )


SHAPES: dict[str, Builder] = {
    f.__name__: f for f in (television, laptop, camera, alarm_clock, traffic_light, microscope, electric_fan, robot)
}
