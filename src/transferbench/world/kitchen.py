"""A kitchen: a worktop in a room, objects on it, some of which somebody carries to another place, and that person.

The worktop's upper side is z = 0. Time is the number of the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from transferbench.errors import UserError
from transferbench.world.backdrop import Texture
from transferbench.world.exposure import Arrangement, Lens
from transferbench.world.head import HeadPath, draw_head
from transferbench.world.light import Light
from transferbench.world.parts import Colour, Part, box
from transferbench.world.person import Person, draw_person
from transferbench.world.props import Prop, draw_prop, joined, plain_finish
from transferbench.world.solids import Floats, Solids, solids_of
from transferbench.world.stage import by_standing, draw_patterned
from transferbench.world.sun_map import SunMap

FOCAL = 0.87  # of the picture's width: 60 degrees from left to right
STATIC, DYNAMIC, ACTOR = 0, 1, 2  # what the annotations tell apart
# Boxes by their lowest and highest coordinates, in units of about 30 cm: the room, and what is built into it.
ROOM = (
    ((-3.0, -3.6, -1.5), (3.0, 0.86, -1.4)),  # floor
    ((-3.0, 0.76, -1.4), (3.0, 0.86, 2.6)),  # the wall behind the worktop
    ((-3.1, -3.6, -1.4), (-3.0, 0.86, 2.6)),  # left
    ((3.0, -3.6, -1.4), (3.1, 0.86, 2.6)),  # right
    ((-3.0, -3.7, -1.4), (3.0, -3.6, 2.6)),  # behind the person
    ((-3.0, -3.6, 2.6), (3.0, 0.86, 2.7)),  # ceiling
)
BUILT_IN = (
    ((-1.9, -0.62, -0.09), (1.9, 0.76, 0.0)),  # worktop
    ((-1.85, -0.55, -1.4), (1.85, 0.7, -0.09)),  # cupboards below it
    ((-1.7, 0.42, 1.0), (-0.3, 0.76, 1.9)),  # a cupboard on the wall
    ((0.3, 0.5, 0.95), (1.6, 0.76, 1.0)),  # a shelf
)
WORKTOP = len(ROOM)  # the place of the worktop among the slabs
PALE = np.float32(0.6)  # of their darkness, is left to walls
AREA = ((-1.25, -0.42), (1.25, 0.55))  # of the worktop, that objects stand on
RADIUS, HEIGHT, GAP = 0.27, 0.55, 0.03  # units, of the objects, and between the boxes around them
LIFT = 0.42  # units, at the highest point of the way
PLACES, LAYOUTS = 80, 200  # tried for an object, and for all of them


@dataclass(frozen=True)
class Carried:
    """An object carried from where ``prop`` stands by ``way`` (3,) and ``turn`` degrees, in frames start to stop."""

    prop: Prop
    way: tuple[float, float, float]
    turn: float
    start: int
    stop: int

    def at(self, time: float) -> Prop:
        """Return the object where it is at a time: it begins and ends smoothly, and rises on its way."""
        done = float(np.clip((time - self.start) / (self.stop - self.start), 0, 1))
        done = done * done * (3 - 2 * done)
        low, high = self.prop.bounds()
        foot = np.array([*((low + high) / 2)[:2], 0.0])
        shift = done * np.array(self.way) + [0, 0, LIFT * 4 * done * (1 - done)]
        return self.prop.moved(0.0, -foot).moved(self.turn * done, foot + shift)


@dataclass(frozen=True)
class Kitchen:
    """``still`` objects, ``carried`` ones, the ``textures`` of the slabs, the ``person`` and the ``head`` that sees."""

    still: tuple[Prop, ...]
    carried: tuple[Carried, ...]
    textures: tuple[Texture, ...]
    light: Light
    person: Person
    head: HeadPath

    def arrangement(self, time: float, pose: NDArray[np.float64], shadows: SunMap) -> Arrangement:
        """Return what there is to photograph at a time, seen from ``pose``; ``shadows`` are those of what stands still.

        The owners are DYNAMIC for every object that is carried at some time, moving or not, and ACTOR.
        """
        slabs = slab_parts()
        still, moving = [prop.solids for prop in self.still], [one.at(time).solids for one in self.carried]
        body, body_finish = self.person.solids(time, pose, *self._grip(time))
        finishes = [prop.finish for prop in (*self.still, *(one.prop for one in self.carried))]
        labels = [STATIC] * (1 + len(still)) + [DYNAMIC] * len(moving) + [ACTOR]
        things = [solids_of(slabs), *still, *moving, body]
        return Arrangement(
            solids=_together(things),
            finish=joined([plain_finish([(1.0, 1.0, 1.0)] * len(slabs), gloss=0.0), *finishes, body_finish]),
            owner=np.repeat(labels, [len(thing.kind) for thing in things]).astype(np.uint8),
            textures=dict(enumerate(self.textures)),
            light=self.light,
            shadows=SunMap.over(_together(moving), self.light.towards, _extent(moving), 192, shadows),
            standing=(*still, *moving),
        )

    def solids(self, time: float, pose: NDArray[np.float64]) -> Solids:
        """Return everything as solids."""
        moving = [one.at(time).solids for one in self.carried]
        body, _ = self.person.solids(time, pose, *self._grip(time))
        return _together([solids_of(slab_parts()), *(prop.solids for prop in self.still), *moving, body])

    def still_shadows(self) -> SunMap:
        """Return the shadows of what stands still."""
        things = [solids_of(slab_parts()[WORKTOP:]), *(prop.solids for prop in self.still)]
        return SunMap.over(_together(things), self.light.towards, _extent(things), 640)

    def _grip(self, time: float) -> tuple[float, Floats]:
        """Return how far, from 0 to 1, the hand has reached out at a time, and for what point (3,)."""
        reach, point = 0.0, np.zeros(3)
        for one in self.carried:
            ramp = max((one.stop - one.start) * 0.4, 1.0)
            near = min((time - one.start) / ramp + 1, (one.stop - time) / ramp + 1, 1.0)
            if near > max(reach, 0.0):
                low, high = one.at(time).bounds()
                reach = near * near * (3 - 2 * near)
                point = np.array([*((low + high) / 2)[:2], (low[2] + 2 * high[2]) / 3])
        return reach, point


def lens(pose: NDArray[np.float64], width: int, height: int) -> Lens:
    """Return the camera on the head."""
    return Lens(pose, FOCAL * width, width, height)


def slab_parts() -> list[Part]:
    """Return the boxes of the room and of what is built into it."""
    parts = []
    for low, high in (*ROOM, *BUILT_IN):
        middle = [(a + b) / 2 for a, b in zip(low, high)]
        half = [(b - a) / 2 for a, b in zip(low, high)]
        parts.append(box((middle[0], middle[1], middle[2]), (half[0], half[1], half[2]), "slab"))
    return parts


def draw_kitchen(lemmas: Sequence[str], rng: np.random.Generator, still: int, carried: int, frames: int) -> Kitchen:
    """Return a random kitchen with so many objects of concepts out of ``lemmas``, for a sequence of ``frames``."""
    grounded = by_standing(lemmas)[0] or list(lemmas)
    for _ in range(LAYOUTS):
        order = np.resize(rng.permutation(len(grounded)), still + carried)
        props = [draw_prop(grounded[index], rng, RADIUS, HEIGHT) for index in order]
        placed = _layout([*props, *props[still:]], rng)
        if placed is None:
            continue
        ways = [_carried(placed[still + k], placed[still + carried + k], k, carried, frames) for k in range(carried)]
        if not any(_in_the_way(way, ways, placed[:still]) for way in ways):
            break
    else:
        raise UserError(f"kitchen: found no room on the worktop for {still + carried} objects; ask for fewer")
    colours = [colour for prop in props for colour in prop.colours]
    textures = tuple(_draw_texture(place, colours, rng) for place in range(len(ROOM) + len(BUILT_IN)))
    head = draw_head(rng, frames)
    return Kitchen(tuple(placed[:still]), tuple(ways), textures, _draw_light(rng), draw_person(rng), head)


def _layout(props: Sequence[Prop], rng: np.random.Generator) -> list[Prop] | None:
    placed: list[Prop] = []
    for prop in props:
        for _ in range(PLACES):
            at = rng.uniform(*AREA)
            candidate = prop.moved(float(rng.uniform(0, 360)), (float(at[0]), float(at[1]), 0.0))
            if not any(candidate.touches(other, GAP) for other in placed):
                placed.append(candidate)
                break
        else:
            return None
    return placed


def _draw_texture(place: int, avoid: Sequence[Colour], rng: np.random.Generator) -> Texture:
    texture = draw_patterned(avoid, rng)
    return replace(texture, colours=1 - PALE * (1 - texture.colours)) if place < WORKTOP else texture


def _carried(prop: Prop, goal: Prop, place: int, number: int, frames: int) -> Carried:
    """Return ``prop`` carried to where ``goal`` stands, in its share of the sequence."""
    share = frames / number
    start, stop = round(share * (place + 0.3)), round(share * (place + 0.68))
    (low, high), (goal_low, goal_high) = prop.bounds(), goal.bounds()
    x, y = ((goal_low + goal_high - low - high) / 2)[:2].tolist()
    return Carried(prop, (x, y, 0.0), 40.0 if place % 2 else -40.0, start, max(stop, start + 1))


def _in_the_way(one: Carried, ways: Sequence[Carried], still: Sequence[Prop]) -> bool:
    """Tell whether an object touches another one on its way, or where it ends."""
    for time in np.linspace(one.start, one.stop, 12):
        others = [*still, *(other.at(float(time)) for other in ways if other is not one)]
        if any(one.at(float(time)).touches(other, 0.0) for other in others):
            return True
    return False


def _together(things: Sequence[Solids]) -> Solids:
    total = solids_of([])
    for thing in things:
        total = total.joined(thing)
    return total


def _extent(things: Sequence[Solids]) -> Floats:
    return np.concatenate([thing.corners().reshape(-1, 3) for thing in things])


def _draw_light(rng: np.random.Generator) -> Light:
    """Return light from a window behind the person, or beside."""
    azimuth, elevation = np.radians(-90 + rng.uniform(-50, 50)), np.radians(rng.uniform(50, 65))
    flat = np.cos(elevation)
    sky = float(rng.uniform(0.4, 0.5))
    return Light(
        towards=np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], np.float32),
        sun=np.full(3, rng.uniform(0.6, 0.8), np.float32) * np.array([1.03, 1, 0.95], np.float32),
        sky=np.full(3, sky, np.float32),
        bounce=np.full(3, sky * 0.75, np.float32),
        exposure=1.0,
    )
