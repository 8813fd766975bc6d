"""Horse, zebra, pig and rhinoceros."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from transferbench.world.parts import Builder, Shape, cone, ellipsoid, limb, mirrored, patterned, torus
from transferbench.world.shapes.appendages import crest, tufted_tail, upright_ears
from transferbench.world.shapes.fitting import INK, Palette, chance, fitted, varied, vary
from transferbench.world.shapes.quadruped import Head, Quadruped

HORSE: Palette = {
    "main": ((0.48, 0.27, 0.14), (0.66, 0.45, 0.26), (0.22, 0.17, 0.15), (0.85, 0.83, 0.80)),
    "second": ((0.12, 0.09, 0.08), (0.28, 0.17, 0.10)),
    "dark": INK,
}
ZEBRA: Palette = {"main": ((0.94, 0.93, 0.90),), "second": ((0.08, 0.08, 0.08),), "dark": INK}
PIG: Palette = {
    "main": ((0.95, 0.70, 0.68), (0.90, 0.62, 0.58), (0.60, 0.46, 0.40)),
    "second": ((0.88, 0.52, 0.52), (0.78, 0.45, 0.42)),
    "dark": INK,
}
RHINOCEROS: Palette = {
    "main": ((0.52, 0.51, 0.50), (0.42, 0.40, 0.38), (0.62, 0.58, 0.53)),
    "light": ((0.84, 0.80, 0.70),),
    "dark": INK,
}
EQUINE = Quadruped(
    length=0.9,
    chest=0.25,
    waist=0.22,
    rump=0.25,
    leg=0.68,
    thigh=0.11,
    shin=0.05,
    foot=0.06,
    hock=0.1,
    neck=0.58,
    neck_angle=52.0,
    neck_base=0.2,
    neck_top=0.1,
    head=0.15,
    head_pitch=38.0,
    nod=12.0,
)
LONG_FACE = Head(width=0.75, muzzle=2.9, base=0.72, tip=0.46, drop=0.35, eye=0.2, nose=0.0)
ZEBRA_BODY = replace(EQUINE, neck=0.46, neck_base=0.19, neck_top=0.12, leg=0.6, head=0.16)
PIG_BODY = Quadruped(
    length=0.62,
    chest=0.3,
    waist=0.34,
    rump=0.31,
    width=0.9,
    leg=0.24,
    thigh=0.12,
    shin=0.08,
    foot=0.075,
    neck=0.22,
    neck_angle=12.0,
    neck_base=0.26,
    neck_top=0.2,
    head=0.24,
    head_pitch=10.0,
    nod=8.0,
    hock=0.02,
    stride=16.0,
    foot_slot="second",
)
RHINOCEROS_BODY = Quadruped(
    length=0.9,
    chest=0.34,
    waist=0.34,
    rump=0.33,
    width=0.85,
    leg=0.36,
    thigh=0.15,
    shin=0.12,
    foot=0.115,
    neck=0.32,
    neck_angle=4.0,
    neck_base=0.28,
    neck_top=0.22,
    head=0.22,
    head_pitch=24.0,
    nod=9.0,
    hock=0.02,
    stride=14.0,
    hooved=True,
    foot_slot="main",
)


def _horse(rng: np.random.Generator) -> Shape:
    body = varied(rng, EQUINE, 0.1).build(rng)
    forelock = ellipsoid((0.25, 0, 0.75), (0.5, 0.22, 0.3), "second", y=25)
    head = [*LONG_FACE.parts(), *upright_ears(0.7), forelock]
    x, _, z = body.tail_at
    blow = float(rng.uniform(0.12, 0.4))
    hair = limb(
        [(x, 0, z + 0.05), (x - blow * 0.7, 0, z - 0.05), (x - blow, 0, z - 0.6 * vary(rng))], 0.06, 0.09, "second"
    )
    return fitted([*body.parts, *body.on_head(head), *crest(body, 6, 0.16, "second"), *hair], HORSE)


def _zebra(rng: np.random.Generator) -> Shape:
    body = varied(rng, ZEBRA_BODY, 0.1).build(rng)
    face = replace(LONG_FACE, muzzle=2.5, muzzle_slot="main").parts()
    striped = float(rng.uniform(7.0, 10.0))
    coat = [patterned(p, "stripes", "second", striped) if p.slot == "main" else p for p in body.parts]
    coat += body.on_head([patterned(p, "stripes", "second", 1.7) if p.slot == "main" else p for p in face])
    coat += body.on_head([*upright_ears(0.6), ellipsoid((2.75, 0, -0.33), (0.45, 0.5, 0.5), "second")])
    brush = tufted_tail(body, float(rng.uniform(0.08, 0.22)), 0.38, tuft=0.14)
    return fitted([*coat, *crest(body, 7, 0.12, "second"), *brush], ZEBRA)


def _pig(rng: np.random.Generator) -> Shape:
    body = varied(rng, PIG_BODY, 0.1).build(rng)
    face = Head(width=0.95, height=0.95, muzzle=1.4, base=0.6, tip=0.48, drop=0.2, nose=0.0, eye=0.16).parts()
    snout = [cone((1.3, 0, -0.2), (1.75, 0, -0.22), 0.5, 0.56, "second")]
    nostrils = mirrored([ellipsoid((1.76, 0.2, -0.2), (0.08, 0.13, 0.2), "dark")])
    flaps = mirrored([cone((0.0, 0.55, 0.7), (0.65, 0.85, 1.2), 0.42, 0.03, "second")])
    x, _, z = body.tail_at
    curl = [
        torus((x - 0.08, 0, z + 0.08), 0.09, 0.03, "second", x=90),
        torus((x - 0.16, 0.05, z + 0.12), 0.07, 0.027, "second", x=75, z=20),
    ]
    parts = body.parts
    if chance(rng, 0.25):
        parts[1] = patterned(parts[1], "spots", "dark", 2.5)
    return fitted([*parts, *body.on_head([*face, *snout, *nostrils, *flaps]), *curl], PIG)


def _rhinoceros(rng: np.random.Generator) -> Shape:
    body = varied(rng, RHINOCEROS_BODY, 0.1).build(rng)
    face = Head(width=0.85, muzzle=2.1, base=0.85, tip=0.55, drop=0.35, nose=0.0, eye=0.14).parts()
    tall = 2.3 * vary(rng, 0.15)
    horns = limb([(2.1, 0, 0.0), (2.5, 0, tall * 0.45), (2.4, 0, tall)], 0.42, 0.05, "light")
    horns.append(cone((1.25, 0, 0.3), (1.3, 0, 0.4 + tall * 0.45), 0.34, 0.03, "light"))
    folds = [torus((x, 0, body.parts[1].centre[2]), 0.315, 0.045, y=90 + tilt) for x, tilt in ((0.3, 12), (-0.28, -10))]
    rope = cone(body.tail_at, (body.tail_at[0] - 0.08, 0, body.tail_at[2] - 0.32), 0.03, 0.02)
    return fitted([*body.parts, *body.on_head(face + horns + upright_ears(0.55, 0.28)), *folds, rope], RHINOCEROS)


SHAPES: dict[str, Builder] = {"horse": _horse, "zebra": _zebra, "pig": _pig, "rhinoceros": _rhinoceros}
"""Builders by lemma."""
