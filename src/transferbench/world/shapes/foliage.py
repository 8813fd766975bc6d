"""Bark, leaves and stalks that plants and fruit share."""

from __future__ import annotations

from transferbench.world.parts import Part, Vector, cone, ellipsoid

BARK = ((0.40, 0.27, 0.17), (0.32, 0.24, 0.18), (0.50, 0.38, 0.27))
LEAF = ((0.22, 0.45, 0.18), (0.33, 0.55, 0.20), (0.15, 0.35, 0.16))


def leaf(length: float, width: float, slot: str) -> list[Part]:
    """Return a leaf along +x from the origin."""
    return [
        ellipsoid((length * 0.5, 0, 0), (length * 0.52, width, 0.014), slot),
        cone((length * 0.6, 0, 0), (length * 1.15, 0, 0), width * 0.25, 0.004, slot),
    ]


def stalk(at: Vector, length: float, lean: float, radius: float = 0.025, slot: str = "second") -> list[Part]:
    """Return a short woody stem that bends by ``lean`` along x."""
    x, y, z = at
    return [
        cone(at, (x + lean * 0.3, y, z + length * 0.6), radius, slot=slot),
        cone((x + lean * 0.3, y, z + length * 0.6), (x + lean, y, z + length), radius, radius * 1.4, slot),
    ]
