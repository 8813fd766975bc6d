"""Dog, fox, cat, lion and bear."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, box, cone, ellipsoid, mirrored, patterned
from transferbench.world.shapes.appendages import pointed_ears, round_ears, tail
from transferbench.world.shapes.fitting import INK, Palette, chance, fitted, varied, vary
from transferbench.world.shapes.quadruped import Head, Quadruped

DOG: Palette = {
    "main": ((0.62, 0.42, 0.24), (0.30, 0.22, 0.17), (0.85, 0.76, 0.60), (0.45, 0.43, 0.42)),
    "second": ((0.36, 0.22, 0.13), (0.20, 0.15, 0.12)),
    "light": ((0.93, 0.89, 0.82),),
    "accent": ((0.80, 0.12, 0.12), (0.15, 0.30, 0.75)),
    "dark": INK,
}
FOX: Palette = {
    "main": ((0.85, 0.42, 0.13), (0.76, 0.34, 0.12), (0.80, 0.50, 0.22)),
    "light": ((0.97, 0.94, 0.90),),
    "second": ((0.20, 0.13, 0.11),),
    "dark": INK,
}
CAT: Palette = {
    "main": ((0.55, 0.53, 0.51), (0.83, 0.56, 0.30), (0.22, 0.21, 0.21), (0.90, 0.87, 0.82)),
    "second": ((0.35, 0.28, 0.22), (0.12, 0.11, 0.11)),
    "accent": ((0.90, 0.60, 0.60),),
    "light": ((0.95, 0.93, 0.90),),
    "dark": INK,
}
LION: Palette = {
    "main": ((0.83, 0.64, 0.36), (0.77, 0.57, 0.30)),
    "second": ((0.48, 0.27, 0.12), (0.35, 0.20, 0.10), (0.62, 0.36, 0.14)),
    "light": ((0.93, 0.84, 0.68),),
    "dark": INK,
}
BEAR: Palette = {
    "main": ((0.36, 0.23, 0.14), (0.20, 0.16, 0.14), (0.92, 0.91, 0.86)),
    "light": ((0.70, 0.55, 0.38), (0.80, 0.68, 0.52)),
    "dark": INK,
}
DOG_BODY = Quadruped(
    length=0.82,
    chest=0.24,
    waist=0.19,
    rump=0.2,
    leg=0.5,
    thigh=0.11,
    shin=0.06,
    foot=0.07,
    neck=0.3,
    neck_angle=52.0,
    head=0.19,
    hooved=False,
    hock=0.08,
)
FOX_BODY = Quadruped(
    length=0.78,
    chest=0.19,
    waist=0.16,
    rump=0.17,
    leg=0.4,
    thigh=0.08,
    shin=0.045,
    foot=0.05,
    shin_slot="second",
    neck=0.2,
    neck_angle=40.0,
    head=0.19,
    head_pitch=12.0,
    hooved=False,
    hock=0.07,
)
CAT_BODY = Quadruped(
    length=0.72,
    chest=0.18,
    waist=0.165,
    rump=0.18,
    leg=0.36,
    thigh=0.085,
    shin=0.05,
    foot=0.055,
    neck=0.16,
    neck_angle=48.0,
    neck_base=0.13,
    head=0.2,
    head_pitch=4.0,
    nod=9.0,
    hooved=False,
    hock=0.05,
)
LION_BODY = Quadruped(
    length=0.9,
    chest=0.27,
    waist=0.21,
    rump=0.22,
    leg=0.46,
    thigh=0.13,
    shin=0.085,
    foot=0.09,
    neck=0.3,
    neck_angle=38.0,
    neck_base=0.2,
    head=0.2,
    head_pitch=5.0,
    nod=9.0,
    hooved=False,
)
BEAR_BODY = Quadruped(
    length=0.75,
    chest=0.34,
    waist=0.36,
    rump=0.36,
    width=0.85,
    leg=0.36,
    thigh=0.17,
    shin=0.13,
    foot=0.12,
    neck=0.26,
    neck_angle=22.0,
    neck_base=0.27,
    neck_top=0.2,
    head=0.23,
    head_pitch=12.0,
    nod=12.0,
    hooved=False,
    hock=0.02,
    stride=16.0,
)


def _ear_tips(height: float) -> list[Part]:
    lean = 0.25 * height
    return mirrored(
        [cone((-0.16, 0.5 + lean * 0.6, 0.62 + height * 0.6), (-0.2, 0.5 + lean, 0.75 + height), 0.22, 0.02, "second")]
    )


def _dog(rng: np.random.Generator) -> Shape:
    body = varied(rng, DOG_BODY).build(rng)
    head = varied(rng, Head(muzzle=1.75, base=0.62, tip=0.42, drop=0.3, nose=0.27, muzzle_slot="light")).parts()
    long = 1.15 * vary(rng, 0.25)
    ears = [ellipsoid((-0.15, 0.95, 0.55 - long * 0.55), (0.5, 0.17, long * 0.72), "second", x=-8, y=8)]
    parts = body.parts + body.on_head(head + mirrored(ears))
    parts += tail(body, [(0.16, 0.14), (0.2, 0.42 * vary(rng, 0.3))], 0.055, 0.035, float(rng.uniform(-0.15, 0.15)))
    if chance(rng, 0.6):
        parts.append(cone(body.along_neck(0.35, 0), body.along_neck(0.6, 0), 0.185, 0.165, "accent"))
    if chance(rng, 0.4):
        parts[1] = patterned(parts[1], "spots", "second", 3.0)
    return fitted(parts, DOG)


def _fox(rng: np.random.Generator) -> Shape:
    body = varied(rng, FOX_BODY, 0.1).build(rng)
    face = Head(muzzle=2.0, base=0.62, tip=0.14, drop=0.38, nose=0.22, width=0.95, eye=0.19, muzzle_slot="light")
    cheeks = mirrored([cone((0.1, 0.5, -0.25), (-0.15, 1.25, -0.55), 0.45, 0.05, "light")])
    head = face.parts() + cheeks + pointed_ears(1.15 * vary(rng), 0.46) + _ear_tips(1.15)
    x, _, z = body.tail_at
    droop = float(rng.uniform(-25, 25))
    along = np.array([-np.cos(np.radians(droop)), 0, -np.sin(np.radians(droop))])
    points = [tuple((np.array([x + 0.04, 0, z]) + along * d).tolist()) for d in (0.0, 0.28, 0.55, 0.82)]
    brush = [
        cone(points[0], points[1], 0.06, 0.17),
        ellipsoid(points[1], (0.25, 0.17, 0.18), y=-droop),
        cone(points[1], points[2], 0.18, 0.15),
        cone(points[2], points[3], 0.155, 0.01, "light"),
    ]
    chest = ellipsoid((body.neck_at[0] + 0.05, 0, body.neck_at[2] - 0.12), (0.14, 0.12, 0.18), "light", y=-30)
    return fitted([*body.parts, *body.on_head(head), *brush, chest], FOX)


def _cat(rng: np.random.Generator) -> Shape:
    body = varied(rng, CAT_BODY, 0.1).build(rng)
    face = Head(
        width=1.08, height=0.92, muzzle=0.9, base=0.5, tip=0.36, drop=0.28, eye=0.24, nose=0.13, muzzle_slot="light"
    )
    whiskers = [box((1.05, 0.75, -0.28 - 0.12 * k), (0.03, 0.6, 0.025), "light", x=12 - 16 * k, z=-15) for k in (0, 1)]
    inner = [cone((0.05, 0.55, 0.75), (-0.08, 0.72, 1.4), 0.28, 0.02, "accent")]
    head = face.parts() + pointed_ears(0.85 * vary(rng), 0.48) + mirrored(whiskers + inner)
    curl = float(rng.uniform(0.7, 1.2))
    path = [(0.14, 0.06), (0.26, 0.2 * curl), (0.27, 0.42 * curl), (0.17, 0.6 * curl), (0.2, 0.72 * curl)]
    parts = body.parts + body.on_head(head) + tail(body, path, 0.045, 0.03, float(rng.uniform(-0.12, 0.12)))
    if chance(rng, 0.45):
        parts[:3] = [patterned(p, "stripes", "second", 7.0) for p in parts[:3]]
    return fitted(parts, CAT)


def _lion(rng: np.random.Generator) -> Shape:
    body = varied(rng, LION_BODY).build(rng)
    face = Head(
        width=0.9, height=0.95, muzzle=1.15, base=0.62, tip=0.48, drop=0.28, eye=0.18, nose=0.3, muzzle_slot="light"
    )
    size, count = 2.0 * vary(rng), int(rng.integers(9, 13))
    mane = [ellipsoid((-0.55, 0, -0.05), (0.75, size * 0.82, size * 0.9), "second")]
    mane.append(ellipsoid((-1.3, 0, -0.6), (1.1, size * 0.75, size * 0.9), "second"))
    for angle in np.linspace(0, 2 * np.pi, count, endpoint=False):
        c, s = float(np.cos(angle)), float(np.sin(angle))
        mane.append(
            cone(
                (-0.45, c * size * 0.5, s * size * 0.55), (-0.6, c * size * 1.08, s * size * 1.15), 0.62, 0.04, "second"
            )
        )
    head = face.parts() + mane + round_ears(0.36)
    path = [(0.16, -0.06), (0.28, -0.28), (0.42, -0.4 + float(rng.uniform(-0.1, 0.35)))]
    long = tail(body, path, 0.035, 0.028)
    tuft = ellipsoid(long[3].centre, (0.1, 0.08, 0.08), "second")
    return fitted([*body.parts, *body.on_head(head), *long, tuft], LION)


def _bear(rng: np.random.Generator) -> Shape:
    body = varied(rng, BEAR_BODY, 0.1).build(rng)
    face = Head(
        width=0.95, height=0.9, muzzle=1.55, base=0.55, tip=0.4, drop=0.32, eye=0.13, nose=0.26, muzzle_slot="light"
    )
    hump = ellipsoid((body.neck_at[0] - 0.22, 0, body.neck_at[2] + 0.12), (0.27, 0.2, 0.2 * vary(rng, 0.3)))
    stub = ellipsoid(body.tail_at, 0.07)
    return fitted([*body.parts, *body.on_head(face.parts() + round_ears(0.42)), hump, stub], BEAR)


SHAPES: dict[str, Builder] = {"dog": _dog, "fox": _fox, "cat": _cat, "lion": _lion, "bear": _bear}
"""Builders by lemma."""
