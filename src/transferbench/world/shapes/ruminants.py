"""Cow, sheep, deer, giraffe and camel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, Vector, cone, ellipsoid, limb, mirrored, patterned
from transferbench.world.shapes.appendages import side_ears, tufted_tail, upright_ears
from transferbench.world.shapes.fitting import INK, Palette, chance, fitted, placed, varied, vary
from transferbench.world.shapes.quadruped import Head, Quadruped

COW: Palette = {
    "main": ((0.93, 0.92, 0.89), (0.60, 0.38, 0.22), (0.85, 0.75, 0.62)),
    "second": ((0.12, 0.11, 0.11), (0.35, 0.20, 0.12)),
    "accent": ((0.92, 0.68, 0.66),),
    "light": ((0.90, 0.86, 0.74),),
    "dark": INK,
}
SHEEP: Palette = {
    "main": ((0.95, 0.93, 0.88), (0.86, 0.82, 0.74), (0.70, 0.66, 0.60)),
    "second": ((0.16, 0.14, 0.14), (0.78, 0.68, 0.58)),
    "dark": INK,
}
DEER: Palette = {
    "main": ((0.62, 0.40, 0.22), (0.53, 0.34, 0.20)),
    "second": ((0.78, 0.68, 0.50), (0.45, 0.33, 0.20)),
    "light": ((0.95, 0.92, 0.86),),
    "dark": INK,
}
GIRAFFE: Palette = {
    "main": ((0.93, 0.80, 0.52), (0.90, 0.74, 0.44)),
    "second": ((0.55, 0.30, 0.12), (0.42, 0.23, 0.10)),
    "dark": INK,
}
CAMEL: Palette = {
    "main": ((0.78, 0.60, 0.38), (0.68, 0.50, 0.30), (0.87, 0.74, 0.54)),
    "second": ((0.50, 0.34, 0.18), (0.40, 0.27, 0.15)),
    "dark": INK,
}
COW_BODY = Quadruped(
    length=0.95,
    chest=0.3,
    waist=0.31,
    rump=0.29,
    width=0.8,
    leg=0.48,
    thigh=0.12,
    shin=0.065,
    foot=0.075,
    neck=0.3,
    neck_angle=30.0,
    neck_base=0.2,
    neck_top=0.15,
    head=0.18,
    head_pitch=32.0,
    stride=14.0,
)
SHEEP_BODY = Quadruped(
    length=0.62,
    chest=0.24,
    waist=0.27,
    rump=0.25,
    leg=0.36,
    thigh=0.07,
    shin=0.05,
    foot=0.06,
    shin_slot="second",
    neck=0.2,
    neck_angle=35.0,
    neck_base=0.18,
    neck_top=0.14,
    head=0.17,
    head_pitch=35.0,
    stride=14.0,
    hock=0.03,
)
DEER_BODY = Quadruped(
    length=0.72,
    chest=0.2,
    waist=0.165,
    rump=0.19,
    leg=0.62,
    thigh=0.085,
    shin=0.038,
    foot=0.045,
    hock=0.08,
    neck=0.45,
    neck_angle=60.0,
    neck_base=0.13,
    neck_top=0.085,
    head=0.14,
    head_pitch=18.0,
    nod=10.0,
)
GIRAFFE_BODY = Quadruped(
    length=0.6,
    chest=0.23,
    waist=0.2,
    rump=0.19,
    leg=0.82,
    thigh=0.09,
    shin=0.05,
    foot=0.06,
    hock=0.05,
    stride=15.0,
    neck=1.25,
    neck_angle=66.0,
    neck_base=0.16,
    neck_top=0.085,
    head=0.14,
    head_pitch=24.0,
    nod=8.0,
)
CAMEL_BODY = Quadruped(
    length=0.85,
    chest=0.24,
    waist=0.25,
    rump=0.22,
    leg=0.72,
    thigh=0.1,
    shin=0.055,
    foot=0.085,
    hock=0.06,
    stride=16.0,
    neck=0.12,
    neck_angle=0.0,
    neck_base=0.15,
    neck_top=0.13,
    head=0.145,
    head_pitch=12.0,
    nod=10.0,
)


def _antlers(rng: np.random.Generator) -> list[Part]:
    """Return two branching antlers in a head's frame."""
    tall, wide = 2.6 * vary(rng), 1.5 * vary(rng, 0.25)
    beam: list[Vector] = [(-0.2, 0.4, 0.7), (-0.9, 0.4 + wide * 0.7, 0.7 + tall * 0.5), (-0.3, 0.4 + wide, 0.7 + tall)]
    tines = [cone(beam[0], beam[1], 0.17, 0.14, "second"), cone(beam[1], beam[2], 0.14, 0.05, "second")]
    for share in np.linspace(0.25, 0.85, int(rng.integers(2, 4))):
        first, second = (beam[0], beam[1]) if share < 0.5 else (beam[1], beam[2])
        x, y, z = (np.array(first) + (share * 2 % 1.0) * (np.array(second) - np.array(first))).tolist()
        tines.append(cone((x, y, z), (x + 0.95, y + 0.1, z + 0.75), 0.13, 0.04, "second"))
    return mirrored(tines)


def _cow(rng: np.random.Generator) -> Shape:
    body = varied(rng, COW_BODY, 0.1).build(rng)
    face = Head(width=0.85, muzzle=1.9, base=0.75, tip=0.6, drop=0.3, nose=0.0, muzzle_slot="main").parts()
    pad = ellipsoid((2.05, 0, -0.32), (0.5, 0.68, 0.62), "accent")
    nostrils = mirrored([ellipsoid((2.42, 0.3, -0.1), 0.15, "dark")])
    span = 0.8 * vary(rng, 0.3)
    horns = mirrored(
        limb(
            [(-0.3, 0.5, 0.7), (-0.3, 0.9 + span * 0.4, 0.95), (0.0, 1.0 + span * 0.4, 1.0 + span)], 0.22, 0.05, "light"
        )
    )
    rope = tufted_tail(body, float(rng.uniform(0.06, 0.26)), 0.5)
    bag = ellipsoid((-0.32, 0, body.back - 0.62), (0.17, 0.15, 0.13), "accent")
    teats = mirrored([cone((-0.27, 0.06, body.back - 0.7), (-0.27, 0.07, body.back - 0.82), 0.03, 0.02, "accent")])
    parts = body.parts
    if chance(rng, 0.7):
        parts = [patterned(p, "spots", "second", 2.2) if k < 4 else p for k, p in enumerate(parts)]
    head = [*face, pad, *nostrils, *horns, *side_ears(0.9, 15)]
    return fitted([*parts, *body.on_head(head), *rope, bag, *teats], COW)


def _sheep(rng: np.random.Generator) -> Shape:
    body = varied(rng, SHEEP_BODY, 0.1).build(rng)
    low, high = body.parts[1].centre[2] - 0.16, body.parts[1].centre[2] + 0.2
    wool = []
    for x in (-0.42, -0.15, 0.14, 0.4):
        ball = 0.19 * vary(rng)
        wool += mirrored([ellipsoid((x + float(rng.normal(0, 0.03)), 0.17, low + 0.1), ball, "main")])
        wool.append(ellipsoid((x + float(rng.normal(0, 0.03)), 0, high), ball * 1.05, "main"))
    face = Head(
        width=0.72, muzzle=1.5, base=0.65, tip=0.42, drop=0.3, nose=0.0, eye=0.22, slot="second", muzzle_slot="second"
    )
    cap = [ellipsoid((-0.4, 0, 0.75), (0.75, 0.75, 0.6), "main"), ellipsoid((-0.9, 0, 0.2), (0.8, 0.95, 0.95), "main")]
    head = face.parts() + cap + side_ears(1.0, 30, "second")
    return fitted([*body.parts, *wool, *body.on_head(head), ellipsoid(body.tail_at, 0.1, "main")], SHEEP)


def _deer(rng: np.random.Generator) -> Shape:
    body = varied(rng, DEER_BODY, 0.1).build(rng)
    face = Head(width=0.75, muzzle=2.0, base=0.6, tip=0.3, drop=0.35, nose=0.26, eye=0.24)
    head = face.parts() + side_ears(1.1, -25) + _antlers(rng)
    x, _, z = body.tail_at
    scut = [
        ellipsoid((x, 0, z - 0.05), (0.08, 0.12, 0.13), "light"),
        cone((x, 0, z + 0.04), (x - 0.13, 0, z + 0.1), 0.05, 0.02),
    ]
    parts = body.parts
    if chance(rng, 0.4):
        parts = [patterned(p, "spots", "light", 9.0) if k < 3 else p for k, p in enumerate(parts)]
    return fitted([*parts, *body.on_head(head), *scut], DEER)


def _giraffe(rng: np.random.Generator) -> Shape:
    body = varied(rng, GIRAFFE_BODY, 0.09).build(rng)
    face = Head(width=0.75, muzzle=2.2, base=0.6, tip=0.4, drop=0.3, nose=0.0, eye=0.24)
    horns = mirrored(
        [cone((-0.2, 0.3, 0.7), (-0.35, 0.4, 1.5), 0.14, slot="main"), ellipsoid((-0.36, 0.4, 1.55), 0.24, "dark")]
    )
    spotted = float(rng.uniform(5.0, 7.0))
    coat = [patterned(p, "spots", "second", spotted) if p.slot == "main" else p for p in body.parts]
    rope = tufted_tail(body, 0.1, 0.42, "dark")
    mane = [cone(body.along_neck(0.05, 0.13), body.along_neck(0.95, 0.08), 0.05, 0.04, "second")]
    return fitted([*coat, *body.on_head(face.parts() + horns + side_ears(0.9, 0)), *rope, *mane], GIRAFFE)


def _camel(rng: np.random.Generator) -> Shape:
    body = varied(rng, CAMEL_BODY, 0.1).build(rng)
    x, _, z = body.neck_at
    rise = 0.62 * vary(rng)
    top = (x + 0.42, 0.0, z + rise)
    neck = limb([(x, 0, z - 0.1), (x + 0.27, 0, z - 0.14), (x + 0.4, 0, z + rise * 0.4), top], 0.14, 0.09)
    face = Head(width=0.8, muzzle=2.1, base=0.6, tip=0.45, drop=0.4, nose=0.0, eye=0.22)
    body = replace(body, head_at=top)
    wide, tall = 0.26, 0.4 * vary(rng, 0.2)
    places = [0.0]
    if chance(rng, 0.6):
        wide, places = 0.185, [-0.29, 0.29]
    hump = [
        ellipsoid((0, 0, -0.05), (wide, 0.17, tall)),
        ellipsoid((0, 0, tall * 0.5), (wide * 0.6, 0.11, tall * 0.48), "second"),
    ]
    humps = [part for at in places for part in placed(hump, (at, 0, body.back), y=at * 30)]
    beard = ellipsoid((x + 0.3, 0, z - 0.2), (0.12, 0.07, 0.14), "second")
    rope = tufted_tail(body, 0.1, 0.4, tuft=0.09)
    return fitted([*body.parts, *neck, *body.on_head(face.parts() + upright_ears(0.4)), *humps, beard, *rope], CAMEL)


SHAPES: dict[str, Builder] = {"cow": _cow, "sheep": _sheep, "deer": _deer, "giraffe": _giraffe, "camel": _camel}
"""Builders by lemma."""
