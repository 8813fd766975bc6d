"""Shapes of things for sport and play."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Shape, box, cone, ellipsoid, torus
from transferbench.world.shapes.fitting import chance, placed
from transferbench.world.shapes.joinery import arc, around, beam, block, disc, lathe, made, wedge
from transferbench.world.shapes.materials import AMBER, BLACK, GOLD, GREEN, PAINT, RED, STEEL, WHITE, WOOD


def dumbbell(rng: np.random.Generator) -> Shape:
    """Return a bar along x with two or three plates at each end."""
    plates, r = int(rng.integers(2, 4)), around(rng, 0.21, 0.1)
    wide = around(rng, 0.07, 0.15)
    parts = [
        cone((-0.46, 0, r), (0.46, 0, r), 0.042, slot="metal"),
        cone((-0.12, 0, r), (0.12, 0, r), 0.052, slot="dark"),
    ]
    for s in (-1, 1):
        for i in range(plates):
            x = 0.17 + i * (wide + 0.012)
            parts += [
                cone((s * x, 0, r), (s * (x + wide), 0, r), r * (1 - 0.17 * i), slot="second" if i == 1 else "main")
            ]
        parts += [cone((s * 0.44, 0, r), (s * 0.48, 0, r), 0.06, slot="metal")]
    return made(rng, parts, main=BLACK + PAINT, second=BLACK + STEEL + PAINT, yaw=(-45, 45))


def tennis_racket(rng: np.random.Generator) -> Shape:
    """Return an oval frame with strings, a forked throat and a wrapped grip, with a ball beside it."""
    wide, tall = around(rng, 0.20, 0.06), around(rng, 0.26, 0.06)
    z = 0.46 + tall
    parts = arc((0, 0, z), (wide, tall), (0, 360), 0.03, "main", 16)
    for t in (-0.6, -0.2, 0.2, 0.6):
        reach = float(np.sqrt(1 - t * t))
        parts += [block((t * wide - 0.008, t * wide + 0.008), 0.008, (z - reach * tall, z + reach * tall), "light")]
        parts += [block((-reach * wide, reach * wide), 0.008, (z + t * tall - 0.008, z + t * tall + 0.008), "light")]
    parts += [beam((s * 0.5 * wide, z - 0.88 * tall), (0, 0.30), 0.024, 0.024, "main") for s in (-1, 1)]
    parts += [
        cone((0, 0, 0.0), (0, 0, 0.33), 0.045, 0.035, "dark"),
        cone((0, 0, 0.0), (0, 0, 0.03), 0.055, slot="accent"),
    ]
    lean = float(rng.uniform(8, 28)) * (1 if chance(rng) else -1)
    parts = placed(parts, y=lean)
    ball = ellipsoid((-np.sign(lean) * 0.17 + 0.0, -0.06, 0.06), 0.085, "second")
    return made(rng, [*parts, ball], second=((0.80, 0.88, 0.20),), yaw=(-35, 35))


def snowman(rng: np.random.Generator) -> Shape:
    """Return three balls one upon another with a hat, coal eyes and buttons, a carrot nose, a scarf and stick arms."""
    low, middle, head = around(rng, 0.24, 0.06), around(rng, 0.175, 0.06), around(rng, 0.13, 0.06)
    z1, z2, z3 = 0.9 * low, 1.7 * low + 0.75 * middle, 1.7 * low + 1.5 * middle + 0.72 * head
    parts = [ellipsoid((0, 0, z), r, "light") for z, r in ((z1, low), (z2, middle), (z3, head))]
    parts += [
        torus((0, 0, z3 - 0.88 * head), 0.105, 0.04, "accent"),
        box((0.07, -0.15, z2 + 0.03), (0.035, 0.02, 0.1), "accent", x=-15),
    ]
    parts += lathe(
        [
            (z3 + 0.55 * head, 0.18),
            (z3 + 0.55 * head + 0.03, 0.18),
            (z3 + 0.56 * head + 0.03, 0.11),
            (z3 + 0.6 * head + 0.2, 0.11),
        ],
        "dark",
    )
    parts += lathe([(z3 + 0.56 * head + 0.03, 0.115), (z3 + 0.56 * head + 0.07, 0.115)], "accent")
    parts += [cone((0, -0.8 * head, z3), (0, -head - 0.18, z3 - 0.01), 0.04, 0.005, "second")]
    parts += [ellipsoid((s * 0.05, -0.88 * head, z3 + 0.04), 0.021, "dark") for s in (-1, 1)]
    parts += [
        ellipsoid((0, -middle * float(np.cos(t)), z2 + middle * float(np.sin(t))), 0.026, "dark")
        for t in (-0.35, 0.1, 0.5)
    ]
    for s in (-1, 1):
        hand = (s * (middle + 0.22), -0.03, z2 + float(rng.uniform(0.0, 0.2)))
        parts += [cone((s * 0.8 * middle, 0, z2), hand, 0.018, 0.014, "wood")]
        parts += [
            cone(hand, (hand[0] + s * 0.05, -0.03, hand[2] + 0.06), 0.014, slot="wood"),
            cone(hand, (hand[0] + s * 0.07, -0.03, hand[2] - 0.01), 0.014, slot="wood"),
        ]
    return made(
        rng, parts, light=((0.95, 0.96, 0.98),), second=((0.95, 0.50, 0.10),), accent=RED + GREEN, yaw=(-50, 50)
    )


def skateboard(rng: np.random.Generator) -> Shape:
    """Return a long board with upturned ends on two axles with four small wheels."""
    half, kick = around(rng, 0.13, 0.1), around(rng, 0.07, 0.3)
    z, r = 0.165, around(rng, 0.078, 0.1)
    parts = [
        block((-0.36, 0.36), half, (z, z + 0.028), "main"),
        block((-0.36, 0.36), half - 0.012, (z + 0.028, z + 0.038), "dark"),
    ]
    for s in (-1, 1):
        parts += [beam((s * 0.35, z + 0.016), (s * 0.49, z + 0.016 + kick), 0.016, half, "main")]
        parts += [cone((s * 0.49, 0, z + kick), (s * 0.49, 0, z + 0.032 + kick), half)]
        parts += [
            block((s * 0.27 - 0.05, s * 0.27 + 0.05), 0.04, (r, z), "metal"),
            disc((s * 0.27, 0, r), 0.022, half - 0.01, "metal"),
        ]
        for y in (-half + 0.02, half - 0.02):
            parts += [disc((s * 0.27, y, r), r, 0.035, "second"), disc((s * 0.27, y, r), 0.4 * r, 0.042, "light")]
    pose = placed(parts, x=float(rng.uniform(0, 30)), y=float(rng.uniform(-12, 12)))
    return made(rng, pose, main=WOOD + PAINT, second=WHITE + PAINT, yaw=(-40, 40))


def kite(rng: np.random.Generator) -> Shape:
    """Return a long diamond in four quarters with crossing spars and a tail of bows."""
    wide, high, low = around(rng, 0.25, 0.08), around(rng, 0.20, 0.1), around(rng, 0.38, 0.08)
    parts = wedge((0, 0), wide, high, 0.012, "main") + wedge((0, 0), -wide, high, 0.012, "second")
    under = wedge((0, 0), wide, low, 0.012, "main") + wedge((0, 0), -wide, low, 0.012, "second")
    parts += placed(under, y=180)
    parts += [block((-0.012, 0.012), 0.022, (-low, high), "dark"), block((-wide, wide), 0.022, (-0.012, 0.012), "dark")]
    x, z = 0.0, -low
    swing = 0.11 if chance(rng) else -0.11
    for i in range(3):
        nx, nz = swing * (1 if i % 2 == 0 else -0.3), z - 0.13
        parts += [cone((x, 0, z), (nx, 0, nz), 0.011, slot="dark")]
        parts += [box((nx + s * 0.055, 0, nz), (0.042, 0.012, 0.042), "accent", y=45) for s in (-1, 1)]
        x, z = nx, nz
    return made(rng, placed(parts, y=float(rng.uniform(10, 40))), airborne=True, accent=RED + AMBER, yaw=(-40, 40))


def teddy_bear(rng: np.random.Generator) -> Shape:
    """Return a sitting bear with round ears, a pale muzzle and belly, arms, and feet with soles; it faces -y."""
    head, ear = around(rng, 0.215, 0.06), around(rng, 0.09, 0.1)
    z = 0.50 + 0.8 * head
    parts = [
        ellipsoid((0, 0.02, 0.28), (0.24, 0.20, 0.28)),
        ellipsoid((0, -0.10, 0.27), (0.15, 0.11, 0.18), "second"),
        ellipsoid((0, -0.01, z), (head * 1.08, 0.92 * head, head)),
        ellipsoid((0, -0.82 * head, z - 0.06), (0.10, 0.085, 0.08), "second"),
        ellipsoid((0, -0.82 * head - 0.075, z - 0.03), (0.04, 0.03, 0.028), "dark"),
    ]
    for s in (-1, 1):
        parts += [
            ellipsoid((s * 0.88 * head, 0.0, z + 0.78 * head), (ear, 0.06, ear)),
            ellipsoid((s * 0.88 * head, -0.04, z + 0.78 * head), (0.6 * ear, 0.04, 0.6 * ear), "second"),
            ellipsoid((s * 0.40 * head, -0.84 * head, z + 0.04), 0.03, "dark"),
            ellipsoid((s * 0.26, -0.07, 0.36), (0.085, 0.085, 0.18), y=-s * 35, x=15),
            ellipsoid((s * 0.21, -0.22, 0.10), (0.11, 0.20, 0.11), z=s * 18),
            ellipsoid((s * 0.265, -0.40, 0.12), (0.085, 0.04, 0.10), "second", z=s * 18),
        ]
    if chance(rng):
        parts += [ellipsoid((s * 0.08, -0.20, 0.49), (0.075, 0.035, 0.05), "accent", y=s * 15) for s in (-1, 1)]
    fur = ((0.55, 0.36, 0.18), (0.72, 0.50, 0.28), (0.40, 0.25, 0.14))
    return made(
        rng, parts, main=fur, second=((0.85, 0.70, 0.48), (0.92, 0.82, 0.66)), accent=RED + PAINT, yaw=(-45, 45)
    )


def trophy(rng: np.random.Generator) -> Shape:
    """Return a wide cup with two big handles on a stem and a stepped pedestal."""
    r, ring = around(rng, 0.23, 0.08), around(rng, 0.125, 0.1)
    parts = [block((-0.2, 0.2), 0.2, (0.0, 0.12), "dark"), block((-0.15, 0.15), 0.15, (0.12, 0.20), "dark")]
    parts += [block((-0.11, 0.11), (-0.21, 0), (0.03, 0.09), "light")]
    parts += lathe(
        [(0.20, 0.12), (0.24, 0.05), (0.40, 0.04), (0.46, 0.11), (0.56, 0.78 * r), (0.72, 0.97 * r), (0.95, r)], "main"
    )
    parts += [
        ellipsoid((0, 0, 0.33), 0.06, "main"),
        torus((0, 0, 0.95), r, 0.024, "main"),
        *lathe([(0.94, 0.9 * r), (0.958, 0.9 * r)], "dark"),
    ]
    parts += [torus((s * (r + 0.04), 0, 0.76), ring, 0.03, "main", x=90) for s in (-1, 1)]
    if chance(rng):
        parts += [box((0, -r * 0.97, 0.76), (0.055, 0.02, 0.055), "accent", y=a) for a in (0, 45)]
    return made(
        rng, parts, main=(*GOLD, *GOLD, STEEL[2]), dark=BLACK + WOOD[:2], light=GOLD, accent=RED + WHITE, yaw=(-35, 35)
    )


SHAPES: dict[str, Builder] = {
    f.__name__: f for f in (dumbbell, tennis_racket, snowman, skateboard, kite, teddy_bear, trophy)
}
