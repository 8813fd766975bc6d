"""Props: objects of concepts for 3-D scenes, painted and patterned so that they have texture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from transferbench.world.colour_words import COLOURS, shade_of
from transferbench.world.palette import contrasting, linear, paint
from transferbench.world.parts import Colour, Part, Pattern, patterned, turned
from transferbench.world.shapes import SHAPES
from transferbench.world.solids import Floats, Solids, solids_of
from transferbench.world.surface import PATTERNS, Finish

NATURAL = 0.5  # of the props have their usual colours
DECORATED = 0.45  # of the props have a pattern of their own
# Bands, spots or checks per unit of an object.
FREQUENCIES: dict[Pattern, tuple[float, float]] = {"stripes": (2.2, 4.5), "spots": (3.0, 5.5), "checks": (1.8, 3.5)}
# Strength of highlights and share of mirrored surroundings: matt, satin, shiny.
GLOSS = ((0.03, 0.0), (0.35, 0.0), (0.8, 0.25))
HOVER = 0.12  # units above the ground, of props that are airborne


@dataclass(frozen=True)
class Prop:
    """An object of the concept ``lemma``: its parts as ``solids`` and their ``finish``; ``colours`` (P) are sRGB."""

    lemma: str
    solids: Solids
    finish: Finish
    colours: tuple[Colour, ...]
    airborne: bool

    def moved(self, turn: float, shift: Sequence[float] | Floats) -> Prop:
        """Return the prop turned by ``turn`` degrees about the z axis, then shifted by (3,)."""
        rotation = np.array(turned(z=turn), np.float32)
        return replace(self, solids=self.solids.moved(rotation, np.asarray(shift, np.float32)))

    def bounds(self) -> tuple[Floats, Floats]:
        """Return the lowest and the highest coordinates (3,) of the boxes around the parts."""
        corners = self.solids.corners().reshape(-1, 3)
        return corners.min(axis=0), corners.max(axis=0)

    def touches(self, other: Prop, gap: float) -> bool:
        """Tell whether the boxes around two props come closer than ``gap`` units."""
        (low, high), (other_low, other_high) = self.bounds(), other.bounds()
        return bool(np.maximum(low - other_high, other_low - high).max() < gap)


def draw_prop(lemma: str, rng: np.random.Generator, radius: float, height: float) -> Prop:
    """Return a random prop that stands at the origin, as large as ``radius`` about the z axis and ``height`` allow."""
    shape = SHAPES[lemma](rng)
    parts, colours = _painted(shape.parts, paint(_slots(shape.parts), shape.natural, True, rng), rng)
    solids = solids_of(parts).moved(np.array(turned(z=float(rng.uniform(0, 360))), np.float32), np.zeros(3, np.float32))
    corners = solids.corners().reshape(-1, 3)
    low, high = corners.min(axis=0), corners.max(axis=0)
    middle = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]], np.float32)
    around = float(np.hypot(*(corners - middle)[:, :2].T).max())
    scale = min(radius / around, height / float(high[2] - low[2])) * float(rng.uniform(0.88, 1))
    lift = np.array([0, 0, HOVER if shape.airborne else 0.0], np.float32)
    factor = np.float32(scale)
    placed = replace(solids, centre=(solids.centre - middle) * factor + lift, size=solids.size * factor)
    own = tuple(colours[part.slot] for part in parts)
    return Prop(lemma, placed, _draw_finish(parts, colours, scale, rng), own, shape.airborne)


def joined(finishes: Sequence[Finish]) -> Finish:
    """Return the finishes of several things as one."""
    names = ("colours", "pattern", "frequency", "gloss", "metal")
    return Finish(*(np.concatenate([getattr(finish, name) for finish in finishes]) for name in names))


def plain_finish(colours: Sequence[Colour], gloss: float = 0.03) -> Finish:
    """Return the finish of parts that have one sRGB colour each."""
    count = len(colours)
    return Finish(
        colours=linear(np.repeat(np.array(colours, np.float32).reshape(count, 1, 3), 2, axis=1)),
        pattern=np.zeros(count, np.intp),
        frequency=np.ones(count, np.float32),
        gloss=np.full(count, gloss, np.float32),
        metal=np.zeros(count, np.float32),
    )


def _slots(parts: Sequence[Part]) -> set[str]:
    return {part.slot for part in parts} | {part.second for part in parts if part.pattern != "plain"}


def _painted(
    parts: Sequence[Part], colours: dict[str, Colour], rng: np.random.Generator
) -> tuple[Sequence[Part], dict[str, Colour]]:
    """Return the parts and colours, some with a named colour on the commonest slot, some with a pattern on it."""
    slots = [part.slot for part in parts]
    main = max(sorted(set(slots)), key=slots.count)
    if rng.random() > NATURAL:
        colours = {**colours, main: shade_of(COLOURS[int(rng.integers(len(COLOURS)))], rng)}
    if rng.random() < DECORATED:
        pattern = list(FREQUENCIES)[int(rng.integers(len(FREQUENCIES)))]
        frequency = float(rng.uniform(*FREQUENCIES[pattern]))
        parts = [patterned(part, pattern, "decoration", frequency) if part.slot == main else part for part in parts]
        colours = {**colours, "decoration": contrasting("decoration", [colours[main]], rng)}
    return parts, colours


def _draw_finish(parts: Sequence[Part], colours: dict[str, Colour], scale: float, rng: np.random.Generator) -> Finish:
    gloss, metal = GLOSS[int(rng.integers(len(GLOSS)))]
    pairs = [(colours[part.slot], colours.get(part.second, colours[part.slot])) for part in parts]
    return Finish(
        colours=linear(np.array(pairs, np.float32)),
        pattern=np.array([PATTERNS.index(part.pattern) for part in parts], np.intp),
        frequency=np.array([part.frequency / scale for part in parts], np.float32),
        gloss=np.full(len(parts), gloss, np.float32),
        metal=np.full(len(parts), metal, np.float32),
    )
