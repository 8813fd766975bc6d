"""Ears, tails, manes, eyes and feet that several animals share."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Part, Vector, cone, ellipsoid, limb, mirrored
from transferbench.world.shapes.quadruped import Body


def pointed_ears(height: float, width: float, splay: float = 14.0, slot: str = "main") -> list[Part]:
    """Return two flat triangular ears in a head's frame."""
    lean = float(np.tan(np.radians(splay))) * height
    return mirrored([cone((-0.1, 0.5, 0.55), (-0.2, 0.5 + lean, 0.7 + height), width, 0.02, slot)])


def round_ears(radius: float, slot: str = "main", inside: str | None = None) -> list[Part]:
    """Return two round ears in a head's frame, with an optional inner disc."""
    ears = [ellipsoid((-0.1, 0.68, 0.75), (radius * 0.45, radius, radius), slot)]
    if inside:
        ears.append(ellipsoid((0.12, 0.72, 0.78), (radius * 0.35, radius * 0.62, radius * 0.62), inside))
    return mirrored(ears)


def upright_ears(length: float, width: float = 0.25, slot: str = "main") -> list[Part]:
    """Return two narrow ears standing on a head, in its frame."""
    return mirrored([cone((-0.35, 0.4, 0.6), (-0.4, 0.6, 0.75 + length), width, 0.04, slot)])


def side_ears(length: float, droop: float, slot: str = "main") -> list[Part]:
    """Return two leaf-shaped ears standing out sideways from a head, in its frame, hanging by ``droop`` degrees."""
    reach = np.radians(droop)
    at = (-0.3, 0.75 + length * float(np.cos(reach)) / 2, 0.4 - length * float(np.sin(reach)) / 2)
    return mirrored([ellipsoid(at, (0.22, length * 0.6, 0.28), slot, x=-droop)])


def crest(body: Body, count: int, height: float, slot: str) -> list[Part]:
    """Return a mane: ``count`` flat tufts along the nape."""
    step = 1.0 / (count - 1)
    return [ellipsoid(body.along_neck(0.02 + k * step, 0.13), (0.09, 0.05, height), slot, y=-25) for k in range(count)]


def tail(body: Body, path: list[tuple[float, float]], radius: float, end: float, sway: float = 0.0) -> list[Part]:
    """Return a tail through ``path``: steps (backwards, upwards) from the rump; ``sway`` moves its end sideways."""
    points: list[Vector] = [body.tail_at]
    for step, (back, up) in enumerate(path, 1):
        x, y, z = body.tail_at
        points.append((x - back, y + sway * step / len(path), z + up))
    return limb(points, radius, end)


def tufted_tail(body: Body, back: float, down: float, slot: str = "second", tuft: float = 0.11) -> list[Part]:
    """Return a thin hanging tail that ends ``back`` and ``down`` units from the rump, in a tuft ``tuft`` units tall."""
    x, y, z = body.tail_at
    end = (x - back, y, z - down)
    return [cone(body.tail_at, end, 0.03, 0.022), ellipsoid(end, (tuft * 0.5, tuft * 0.5, tuft), slot)]


def eyes(x: float, y: float, z: float, radius: float, slot: str = "dark") -> list[Part]:
    """Return a pair of eyes, one on either side."""
    return mirrored([ellipsoid((x, y, z), radius, slot)])


def webbed_feet(x: float, y: float, size: float, slot: str = "accent") -> list[Part]:
    """Return two flat feet on the ground."""
    return mirrored([ellipsoid((x, y, size * 0.15), (size, size * 0.6, size * 0.18), slot)])


def toes(x: float, y: float, size: float, slot: str) -> list[Part]:
    """Return two feet of three spread toes on the ground."""
    foot = [
        cone((x, y, 0.03), (x + size * c, y + size * s, 0.015), 0.022, 0.012, slot)
        for c, s in ((0.8, 0.6), (1.0, 0.0), (0.8, -0.6))
    ]
    return mirrored(foot)
