"""Shapes of buildings."""

from __future__ import annotations

import numpy as np

from transferbench.world.parts import Builder, Part, Shape, box, cone, patterned
from transferbench.world.shapes.fitting import chance
from transferbench.world.shapes.joinery import archway, around, block, dome, gable_roof, lathe, made
from transferbench.world.shapes.materials import BRICK, GLASS, PLASTER, RED, STEEL, STONE, WHITE


def house(rng: np.random.Generator) -> Shape:
    """Return walls of one or two storeys with a door and windows under a pitched roof with a chimney."""
    length, half, storeys = around(rng, 0.38, 0.12), around(rng, 0.25, 0.08), 2 if chance(rng, 0.4) else 1
    wall = 0.06 + around(rng, 0.27, 0.08) * storeys
    side = 1 if chance(rng) else -1
    parts = [
        block((-length, length), half, (0.0, wall)),
        *gable_roof((-length, length), half, wall),
        block((0.2 * side - 0.05, 0.2 * side + 0.05), (0.0, 0.12), (wall + 0.05, wall + half + 0.14), "accent"),
        block((-0.065, 0.065), half + 0.012, (0.0, 0.21), "wood"),
        block((-length - 0.012, length + 0.012), 0.04, (wall + 0.05, wall + 0.13), "glass"),
    ]
    for storey in range(storeys):
        low = 0.11 + 0.27 * storey
        parts += [block((-length - 0.012, length + 0.012), 0.06, (low, low + 0.14), "glass")]
        for x in (-0.6 * length, 0.6 * length):
            parts += [block((x - 0.075, x + 0.075), half + 0.006, (low, low + 0.15), "light")]
            parts += [block((x - 0.055, x + 0.055), half + 0.012, (low + 0.02, low + 0.13), "glass")]
    return made(rng, parts, main=PLASTER, second=BRICK, accent=BRICK)


def church(rng: np.random.Generator) -> Shape:
    """Return a nave with a pitched roof and arched windows, and a steeple with a spire and a cross."""
    tall, spire, half = around(rng, 0.56, 0.08), around(rng, 0.36, 0.12), around(rng, 0.16, 0.08)
    top = tall + spire
    parts = [
        block((-0.45, 0.25), half, (0.0, 0.26)),
        *gable_roof((-0.45, 0.25), half, 0.26),
        block((0.20, 0.44), 0.12, (0.0, tall)),
        block((0.18, 0.46), 0.14, (tall, tall + 0.03), "second"),
        *lathe([(tall + 0.03, 0.15), (top, 0.012)], "second", (0.32, 0)),
        block((0.305, 0.335), 0.015, (top - 0.04, top + 0.14), "dark"),
        block((0.27, 0.37), 0.015, (top + 0.06, top + 0.09), "dark"),
        block((0.40, 0.452), 0.055, (0.0, 0.18), "wood"),
        block((0.41, 0.450), 0.035, (tall - 0.18, tall - 0.06), "dark"),
        *archway(0.32, (-0.132, 0.132), 0.04, 0.15, "dark", tall - 0.2),
    ]
    for x in (-0.35, -0.17, 0.01):
        parts += archway(x, (-half - 0.012, half + 0.012), 0.04, 0.17, "glass", 0.06)
    return made(rng, parts, main=PLASTER + STONE + WHITE, second=BRICK, yaw=(-50, 50))


def _battlements(x: float, y: float, r: float, z: float) -> list[Part]:
    """Return the crenellated top of a round tower: merlons around a dark well."""
    bars = [box((x, y, z + 0.05), (r + 0.035, 0.03, 0.035), "main", z=a) for a in (20, 80, 140)]
    well = cone((x, y, z), (x, y, z + 0.086), 0.72 * r, slot="dark")
    return [cone((x, y, z - 0.06), (x, y, z + 0.02), r + 0.035, slot="main"), *bars, well]


def castle(rng: np.random.Generator) -> Shape:
    """Return crenellated walls with a gate between four round towers, and a keep with a flag."""
    r, tall, wall = around(rng, 0.105, 0.08), around(rng, 0.50, 0.08), around(rng, 0.29, 0.1)
    a = 0.36
    parts = [block((-a, a), a, (0.0, wall))]
    parts += [block((x - 0.035, x + 0.035), a, (wall, wall + 0.06)) for x in (-0.21, -0.07, 0.07, 0.21)]
    parts += [block((-a, a), (y - 0.035, y + 0.035), (wall, wall + 0.06)) for y in (-0.14, 0.14)]
    parts += [block((-a + 0.06, a - 0.06), a - 0.06, (wall, wall + 0.065), "dark")]
    for x in (-a, a):
        for y in (-a, a):
            parts += [cone((x, y, 0), (x, y, tall), r * 1.08, r), *_battlements(x, y, r, tall)]
    parts += archway(0.0, (-a - 0.012, a + 0.012), 0.085, 0.21, "wood")
    parts += [block((a, a + 0.012), (-0.05, 0.05), (0.08, 0.18), "dark")]
    parts += [
        block((-0.13, 0.13), 0.13, (0, tall + 0.06)),
        cone((0, 0, tall + 0.06), (0, 0, tall + 0.24), 0.19, 0.0, "second"),
    ]
    parts += [
        cone((0, 0, tall + 0.2), (0, 0, tall + 0.42), 0.015, slot="dark"),
        block((0, 0.15), 0.01, (tall + 0.33, tall + 0.42), "accent"),
    ]
    return made(rng, parts, main=STONE, second=BRICK, accent=RED)


def _storeys(half: float, low: float, high: float, floors: int, columns: int) -> list[Part]:
    """Return a square tower between two heights: bands of glass between floors and upright ribs."""
    pitch, proud = (high - low) / floors, half + 0.012
    parts = [block((-half, half), half, (low, high))]
    for base in np.linspace(low, high, floors, endpoint=False).tolist():
        window = (base + 0.3 * pitch, base + 0.85 * pitch)
        parts.append(block((-half - 0.005, half + 0.005), half + 0.005, window, "glass"))
    for s in np.linspace(0.024 - half, half - 0.024, columns).tolist():
        rib = (s - 0.021, s + 0.021)
        parts += [block(rib, proud, (low, high)), block((-proud, proud), rib, (low, high))]
    return parts


def skyscraper(rng: np.random.Generator) -> Shape:
    """Return a very tall block with a setback, rows of windows and a mast."""
    floors, half, inner = int(rng.integers(6, 8)), around(rng, 0.145, 0.1), around(rng, 0.095, 0.1)
    shoulder, top = around(rng, 0.58, 0.12), 0.88
    upper = max(2, round(floors * (top - shoulder) / shoulder))
    parts = _storeys(half, 0.0, shoulder, floors, 4) + _storeys(inner, shoulder, top, upper, 3)
    parts += [block((-0.6 * inner, 0.6 * inner), 0.6 * inner, (top, top + 0.05), "second")]
    parts += [cone((0, 0, top), (0, 0, top + around(rng, 0.17, 0.3)), 0.025, 0.012, "metal")]
    parts += [block((-half - 0.05, half + 0.05), half + 0.05, (0.0, 0.025), "second")]
    return made(rng, parts, main=STONE + STEEL + BRICK, second=STONE, glass=GLASS)


def igloo(rng: np.random.Generator) -> Shape:
    """Return a dome of snow blocks with an entrance tunnel."""
    r, height, reach = 0.40, around(rng, 0.42, 0.1), around(rng, 0.60, 0.06)
    parts = [patterned(p, "checks", "second", 7) for p in dome(0.0, r, height, rings=6)]
    parts += archway(0.0, (-reach, 0.0), 0.17, 0.29, "main")
    parts += archway(0.0, (-reach - 0.03, -reach + 0.06), 0.19, 0.31, "second")
    parts += archway(0.0, (-reach - 0.042, -reach), 0.115, 0.23, "dark")
    snow = ((0.93, 0.95, 0.98), (0.86, 0.91, 0.97))
    return made(rng, parts, main=snow, second=((0.76, 0.83, 0.92), (0.70, 0.78, 0.88)), yaw=(15, 60))


SHAPES: dict[str, Builder] = {f.__name__: f for f in (house, church, castle, skyscraper, igloo)}
