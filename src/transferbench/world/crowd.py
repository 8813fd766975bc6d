"""A crowd: a scene of two to four objects of concepts, none of which hides another, with a camera, lights and colours.

Each object is drawn at the size at which it covers a chosen share of the picture, and placed where the camera sees all
of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from transferbench.nerf.cameras import look_at
from transferbench.world.backdrop import draw_backdrop
from transferbench.world.colour_words import COLOURS, shade_of
from transferbench.world.layout import WIDTH, Member, Placed, draw_layout, visible
from transferbench.world.light import Light
from transferbench.world.palette import contrasting, linear, paint
from transferbench.world.parts import Colour, Part, Pattern, patterned, turned
from transferbench.world.scene import Scene
from transferbench.world.shapes import SHAPES
from transferbench.world.solids import solids_of
from transferbench.world.surface import PATTERNS, Finish
from transferbench.world.trace import Camera

NUMBER = (0.45, 0.37, 0.18)  # probability of 2, 3, 4 objects
TWINS = 0.35  # of the scenes show two objects of one concept
PAINTED = 0.75  # of the objects have a named colour on most of them; the others their usual colours
COVERED = 0.75  # of the painted objects have it on their second colour too
DECORATED = 0.22  # of the objects have a pattern of their own
SHINY = 0.3  # of the objects mirror light
# Bands, spots or checks per unit of an object, few enough to be seen.
FREQUENCIES: dict[Pattern, tuple[float, float]] = {"stripes": (2.2, 3.8), "spots": (3.0, 5.0), "checks": (1.8, 3.0)}
LAYOUTS = 4  # tried before the concepts are given up


@dataclass(frozen=True)
class Crowd:
    """``scene``, and who is in it: ``lemmas`` of the objects, which are ``airborne``, and the ``owner`` (P,) of parts.

    ``visible`` holds the share of each object that no other hides, measured at half the picture's size.
    """

    scene: Scene
    lemmas: tuple[str, ...]
    airborne: tuple[bool, ...]
    owner: NDArray[np.intp]
    visible: tuple[float, ...]


def draw_crowd(lemmas: Sequence[str], rng: np.random.Generator, size: int = 96) -> Crowd:
    """Return a random crowd of concepts out of ``lemmas`` for a picture of ``size`` pixels.

    Objects that find no place are drawn anew, so that every call ends with a crowd.
    """
    while True:
        chosen = _draw_lemmas(lemmas, rng)
        members = [_draw_member(lemma, rng) for lemma in chosen]
        camera = _draw_camera(rng, size)
        for _ in range(LAYOUTS):
            placed = draw_layout(members, camera, rng)
            if placed:
                return _assembled(members, placed, camera, rng)


def _draw_lemmas(lemmas: Sequence[str], rng: np.random.Generator) -> list[str]:
    count = 2 + int(rng.choice(len(NUMBER), p=NUMBER))
    different = [lemmas[index] for index in rng.permutation(len(lemmas))[:count]]
    if rng.random() < TWINS or len(different) < 2:
        different = [different[0], *different[: count - 1]]
    return [different[index] for index in rng.permutation(len(different))]


def _draw_member(lemma: str, rng: np.random.Generator) -> Member:
    """Return an object in its usual colours, or painted, with a pattern or without, turned in some way."""
    shape = SHAPES[lemma](rng)
    parts = shape.parts
    main = _main_slot(parts)
    colours = paint(_slots(parts), shape.natural, True, rng)
    if rng.random() < PAINTED:
        colours[main] = shade_of(COLOURS[int(rng.integers(len(COLOURS)))], rng)
        if rng.random() < COVERED:
            colours["second"] = colours[main]
    if rng.random() < DECORATED:
        pattern = list(FREQUENCIES)[int(rng.integers(len(FREQUENCIES)))]
        frequency = float(rng.uniform(*FREQUENCIES[pattern]))
        parts = tuple(
            patterned(part, pattern, "decoration", frequency) if part.slot == main else part for part in parts
        )
        colours["decoration"] = contrasting("decoration", [colours[main]], rng)
    turn = np.array(turned(z=float(rng.uniform(*shape.yaw)) - 30.0))
    if rng.random() < 0.5:
        turn = np.diag([-1.0, 1.0, 1.0]) @ turn
    solids = solids_of(parts).moved(turn.astype(np.float32), np.zeros(3, np.float32))
    return Member(lemma, parts, colours, _draw_finish(parts, colours, rng), solids, shape.airborne)


def _slots(parts: Sequence[Part]) -> set[str]:
    return {part.slot for part in parts} | {part.second for part in parts if part.pattern != "plain"}


def _main_slot(parts: Sequence[Part]) -> str:
    """Return the slot of the largest parts, by the area of the boxes around them."""
    x, y, z = solids_of(parts).extents().T
    areas = dict.fromkeys(sorted({part.slot for part in parts}), 0.0)
    for part, area in zip(parts, (x * y + y * z + z * x).tolist()):
        areas[part.slot] += area
    return max(areas, key=lambda slot: areas[slot])


def _draw_finish(parts: Sequence[Part], colours: dict[str, Colour], rng: np.random.Generator) -> Finish:
    shiny = bool(rng.random() < SHINY)
    gloss, metal = (0.85, float(rng.uniform(0.4, 0.6))) if shiny else (0.03, 0.0)
    pairs = [(colours[part.slot], colours.get(part.second, colours[part.slot])) for part in parts]
    return Finish(
        colours=linear(np.array(pairs, np.float32)),
        pattern=np.array([PATTERNS.index(part.pattern) for part in parts], np.intp),
        frequency=np.array([part.frequency for part in parts], np.float32),
        gloss=np.full(len(parts), gloss, np.float32),
        metal=np.full(len(parts), metal, np.float32),
    )


def _draw_camera(rng: np.random.Generator, size: int) -> Camera:
    """Return a camera that looks at the middle of the stage, WIDTH units wide there."""
    elevation, field_of_view = np.radians(rng.uniform(11, 32)), np.radians(rng.uniform(26, 40))
    distance = WIDTH / 2 / np.tan(field_of_view / 2)
    middle = np.array([0.0, 0.0, float(rng.uniform(0.2, 0.4))])
    eye = middle + distance * np.array([0.0, -np.cos(elevation), np.sin(elevation)])
    pose = look_at(eye, middle, roll=float(np.radians(rng.normal(0, 1.5))))
    return Camera(pose, float(size / 2 / np.tan(field_of_view / 2)), (size / 2, size / 2), size)


def _assembled(
    members: Sequence[Member],
    placed: Sequence[Placed],
    camera: Camera,
    rng: np.random.Generator,
) -> Crowd:
    """Return the crowd of objects in their places, before a backdrop and in a light."""
    solids = placed[0].solids
    for other in placed[1:]:
        solids = solids.joined(other.solids)
    finishes = [replace(m.finish, frequency=m.finish.frequency / np.float32(p.scale)) for m, p in zip(members, placed)]
    colours = [member.colours[part.slot] for member in members for part in member.parts]
    backdrop = draw_backdrop(colours, rng)
    furthest = float(solids.corners()[..., 1].max())
    fields = ("colours", "pattern", "frequency", "gloss", "metal")
    scene = Scene(
        solids=solids,
        finish=Finish(*(np.concatenate([getattr(finish, name) for finish in finishes]) for name in fields)),
        is_object=np.ones(len(colours), np.bool_),
        camera=camera,
        light=_draw_light(rng),
        backdrop=replace(backdrop, wall_at=backdrop.wall_at + max(furthest, 0.0)),
        vignette=float(rng.uniform(0, 0.25)),
        grain=float(rng.uniform(0.003, 0.01)),
    )
    owner = np.repeat(np.arange(len(members)), [len(member.parts) for member in members])
    return Crowd(scene, tuple(m.lemma for m in members), tuple(m.airborne for m in members), owner, visible(placed))


def _draw_light(rng: np.random.Generator) -> Light:
    """Return daylight: a sun behind the camera or beside it, close to white, so that colours keep their names."""
    azimuth, elevation = np.radians(-90 + rng.uniform(-100, 100)), np.radians(rng.uniform(30, 70))
    flat = np.cos(elevation)
    warmth = float(rng.normal(0, 0.04))
    tint = np.array([1 + warmth, 1, 1 - warmth], np.float32)
    sky = float(rng.uniform(0.32, 0.5))
    return Light(
        towards=np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], np.float32),
        sun=tint * np.float32(rng.uniform(0.8, 1.15)),
        sky=sky * (2 - tint),
        bounce=tint * np.float32(sky * rng.uniform(0.5, 0.8)),
        exposure=float(np.exp(rng.normal(0, 0.12))),
    )
