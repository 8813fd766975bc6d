"""Shapes of containers, most of them turned on a lathe, with a dark mouth on top."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, cone, ellipsoid, limb, patterned, torus
from transferbench.world.shapes.fitting import chance
from transferbench.world.shapes.joinery import Span, arc, around, lathe, made
from transferbench.world.shapes.materials import BLACK, CERAMIC, GLASS, GOLD, GREEN, PAINT, RED, STEEL, WOOD


def _mouth(height: float, radius: float, slot: str = "dark") -> list[Part]:
    """Return the dark opening of a vessel whose rim has the given height and radius."""
    return lathe([(height - 0.01, radius), (height + 0.006, radius)], slot)


def mug(rng: np.random.Generator) -> Shape:
    """Return a cylinder with a band, an open mouth and a large handle at the side."""
    r, tall, ring = around(rng, 0.30, 0.1), around(rng, 0.72, 0.12), around(rng, 0.18, 0.12)
    low, high = (0.34, 0.52) if chance(rng) else (0.10, 0.2)
    parts = lathe([(0.0, 0.92 * r), (0.05, r), (tall, r)]) + lathe(
        [(low * tall, 1.015 * r), (high * tall, 1.015 * r)], "second"
    )
    parts += [torus((0, 0, tall), r - 0.015, 0.028), *_mouth(tall + 0.01, 0.88 * r)]
    parts += [torus((r + 0.02, 0, 0.5 * tall), ring, 0.05, "main", x=90)]
    return made(rng, parts, main=CERAMIC, second=CERAMIC, yaw=(-40, 40))


def wineglass(rng: np.random.Generator) -> Shape:
    """Return a bowl, partly filled, on a thin stem and a round foot."""
    r, stem = around(rng, 0.23, 0.1), around(rng, 0.42, 0.08)
    bowl: list[Span] = [(stem, 0.03), (stem + 0.06, 0.65 * r), (stem + 0.16, 0.95 * r), (stem + 0.26, r)]
    parts = lathe([(0.0, 0.21), (0.02, 0.19), (0.06, 0.035)], "light") + lathe([(0.05, 0.028), (stem, 0.028)], "light")
    parts += lathe(bowl, "accent") + lathe([(stem + 0.26, r), (stem + 0.50, 0.8 * r)], "light")
    parts += _mouth(stem + 0.50, 0.7 * r, "glass")
    return made(
        rng,
        parts,
        accent=((0.45, 0.05, 0.12), (0.85, 0.75, 0.35), (0.75, 0.30, 0.35)),
        light=((0.82, 0.88, 0.90), (0.72, 0.80, 0.84)),
    )


def bottle(rng: np.random.Generator) -> Shape:
    """Return a cylinder with a label, shoulders, a long narrow neck and a cap."""
    r, shoulder, neck = around(rng, 0.16, 0.1), around(rng, 0.56, 0.1), around(rng, 0.055, 0.1)
    parts = lathe(
        [
            (0.0, 0.9 * r),
            (0.03, r),
            (shoulder, r),
            (shoulder + 0.06, 0.85 * r),
            (shoulder + 0.14, neck),
            (0.92, 0.9 * neck),
        ],
        "main",
    )
    parts += lathe([(0.15, 1.02 * r), (0.8 * shoulder, 1.02 * r)], "light") + lathe(
        [(0.24, 1.035 * r), (0.34, 1.035 * r)], "accent"
    )
    parts += lathe([(0.88, 1.2 * neck), (1.0, 1.2 * neck)], "accent")
    return made(rng, parts, main=(*GLASS, (0.12, 0.32, 0.18), (0.35, 0.20, 0.08)), accent=RED + GOLD + PAINT)


def vase(rng: np.random.Generator) -> Shape:
    """Return a round belly on a foot, a narrow neck and a widely flared rim, with painted bands."""
    r, at, neck, rim = around(rng, 0.32, 0.1), around(rng, 0.38, 0.15), around(rng, 0.11, 0.12), around(rng, 0.23, 0.12)
    steps = np.linspace(-0.75, 0.80, 7) * np.pi / 2
    belly = [(at * (1 + float(np.sin(s))) + 0.02, r * float(np.cos(s))) for s in steps]
    body = lathe([(0.0, 0.6 * r), *belly])
    parts = [*body, *lathe([(belly[3][0] - 0.03, 1.015 * r), (belly[3][0] + 0.04, 1.015 * r)], "second")]
    top = belly[-1][0]
    parts += lathe(
        [(top, belly[-1][1]), (top + 0.08, neck), (top + 0.2, neck), (top + 0.26, 1.4 * neck), (top + 0.31, rim)]
    )
    parts += lathe([(top + 0.06, neck * 1.15), (top + 0.10, neck * 1.12)], "second") + _mouth(top + 0.312, 0.88 * rim)
    return made(rng, parts, main=CERAMIC, second=CERAMIC + GOLD)


def teapot(rng: np.random.Generator) -> Shape:
    """Return a round body with a bent spout at +x, a handle at -x, a lid with a knob and a foot."""
    r, tall = 0.30, around(rng, 0.26, 0.1)
    z = tall + 0.05
    parts = [
        *lathe([(0.0, 0.19), (0.06, 0.17)], "second"),
        ellipsoid((0, 0, z), (r, r, tall)),
        ellipsoid((0, 0, z + 0.72 * tall), (0.20, 0.20, 0.40 * tall), "second"),
        ellipsoid((0, 0, z + 1.17 * tall), 0.05, "accent"),
        *limb([(0.20, 0, z - 0.10), (0.38, 0, z - 0.02), (0.45, 0, z + 0.13), (0.54, 0, z + 0.22)], 0.085, 0.04),
        torus((-r - 0.02, 0, z + 0.02), around(rng, 0.165, 0.1), 0.042, "main", x=90),
    ]
    if chance(rng):
        parts += lathe([(z - 0.03, r * 1.01), (z + 0.03, r * 1.01)], "accent")
    return made(rng, parts, main=CERAMIC, second=CERAMIC, accent=CERAMIC + GOLD, yaw=(-40, 40))


def bucket(rng: np.random.Generator) -> Shape:
    """Return a tapered container, wide at the top, with a rim and a hooped handle standing up."""
    r, tall, lift = around(rng, 0.34, 0.08), around(rng, 0.56, 0.1), around(rng, 0.32, 0.15)
    parts = lathe([(0.0, 0.66 * r), (tall, r)]) + lathe([(0.10 * tall, 0.72 * r), (0.17 * tall, 0.745 * r)], "second")
    parts += lathe([(0.72 * tall, 0.93 * r), (0.79 * tall, 0.955 * r)], "second")
    parts += [torus((0, 0, tall), r, 0.025, "second"), *_mouth(tall, 0.95 * r)]
    parts += arc((0, 0, tall - 0.02), (r + 0.02, lift), (0, 180), 0.02, "metal", 10)
    parts += [ellipsoid((s * (r + 0.01), 0, tall - 0.03), 0.045, "metal") for s in (-1, 1)]
    return made(rng, parts, main=PAINT + STEEL, second=STEEL + PAINT, metal=STEEL + BLACK, yaw=(-40, 40))


def barrel(rng: np.random.Generator) -> Shape:
    """Return a bulging body of staves with four hoops and a recessed head."""
    r, end, tall = around(rng, 0.36, 0.08), around(rng, 0.27, 0.06), 0.95
    profile = [(tall * t, end + (r - end) * (1 - (2 * t - 1) ** 2)) for t in np.linspace(0, 1, 8).tolist()]
    parts = lathe(profile, "wood")
    for t in (0.04, 0.24, 0.70, 0.90):
        radius = [end + (r - end) * (1 - (2 * u - 1) ** 2) + 0.014 for u in (t, t + 0.065)]
        parts += lathe([(tall * t, radius[0]), (tall * (t + 0.065), radius[1])], "metal")
    parts += _mouth(tall, 0.86 * end, "main")
    if chance(rng):
        parts += [cone((0, -r * 0.8, 0.30), (0, -r - 0.07, 0.30), 0.04, slot="dark")]
    return made(rng, parts, wood=WOOD, main=WOOD, metal=BLACK + STEEL)


def watering_can(rng: np.random.Generator) -> Shape:
    """Return a can with a long spout ending in a rose at +x, and a large handle over the back."""
    r, tall = around(rng, 0.24, 0.08), around(rng, 0.42, 0.1)
    tip = (around(rng, 0.60, 0.05), 0.0, tall + 0.12)
    rose = (tip[0] + 0.08, 0.0, tip[2] + 0.06)
    parts = lathe([(0.0, r), (tall, 0.9 * r), (tall + 0.05, 0.6 * r)]) + lathe(
        [(0.0, r + 0.015), (0.04, r + 0.015)], "second"
    )
    parts += [cone((0.14, 0, 0.08), tip, 0.065, 0.035), cone(tip, rose, 0.035, 0.11, "second")]
    parts += [cone(rose, (rose[0] + 0.02, 0, rose[2] + 0.015), 0.11, slot="dark"), *_mouth(tall + 0.05, 0.5 * r)]
    parts += arc((-0.10, 0, 0.62 * tall), (around(rng, 0.27, 0.08), 0.34), (35, 215), 0.032, "second", 9)
    parts += [cone((0.1, 0, tall - 0.02), (tip[0] - 0.12, 0, tip[2] - 0.09), 0.016, slot="second")]
    return made(rng, parts, main=(*GREEN, *PAINT, *STEEL), second=STEEL + PAINT, yaw=(-35, 35))


def basket(rng: np.random.Generator) -> Shape:
    """Return a low woven bowl with a thick rim and a high arched handle."""
    r, tall, lift = around(rng, 0.42, 0.06), around(rng, 0.34, 0.12), around(rng, 0.56, 0.08)
    body = lathe([(0.0, 0.74 * r), (0.5 * tall, 0.92 * r), (tall, r)])
    parts = [patterned(p, "checks", "second", 9) for p in body]
    parts += [
        torus((0, 0, tall), r, 0.045, "wood"),
        torus((0, 0, 0.03), 0.74 * r, 0.03, "wood"),
        *_mouth(tall + 0.01, 0.94 * r),
    ]
    parts += arc((0, 0, tall), (r, lift), (0, 180), 0.034, "wood", 12)
    wicker = ((0.76, 0.58, 0.34), (0.62, 0.44, 0.25), (0.84, 0.70, 0.46))
    return made(rng, parts, main=wicker, second=((0.48, 0.32, 0.16), (0.55, 0.38, 0.20)), wood=wicker, yaw=(-45, 45))


SHAPES: dict[str, Builder] = {
    f.__name__: f for f in (mug, wineglass, bottle, vase, teapot, bucket, barrel, watering_can, basket)
}
