"""A scene: one object of a concept among clutter on a ground, with a camera, lights and colours, drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferbench.nerf.cameras import look_at, project
from transferbench.world.backdrop import Backdrop, draw_backdrop
from transferbench.world.light import Light
from transferbench.world.palette import linear, paint, random_colour
from transferbench.world.parts import Colour, Part, Pattern, Shape, box, cone, ellipsoid, patterned, turned
from transferbench.world.solids import Floats, Solids, solids_of
from transferbench.world.surface import PATTERNS, Finish
from transferbench.world.trace import Camera

NATURAL = 0.5  # of the scenes show the object in its usual colours
CLUTTER = (0.25, 0.3, 0.25, 0.2)  # probability of 0, 1, 2, 3 other things beside the object
DECORATED = 0.3  # of the scenes in unusual colours, the object has a pattern of its own
DECORATIONS: tuple[Pattern, ...] = ("stripes", "spots", "checks")


@dataclass(frozen=True)
class Scene:
    """Everything a picture shows. ``is_object`` (P,) tells the object's parts from clutter."""

    solids: Solids
    finish: Finish
    is_object: NDArray[np.bool_]
    camera: Camera
    light: Light
    backdrop: Backdrop
    vignette: float
    grain: float


def draw_scene(shape: Shape, rng: np.random.Generator, size: int = 64, clutter: bool = True) -> Scene:
    """Return a random scene of ``shape`` for a picture of ``size`` pixels."""
    own = solids_of(shape.parts).moved(*_stance(shape, rng))
    as_usual = bool(rng.random() < NATURAL)
    parts = shape.parts if as_usual or rng.random() > DECORATED else _repainted(shape.parts, rng)
    colours = paint(_slots(parts), shape.natural, as_usual, rng)
    things = _draw_clutter(own, rng) if clutter else []
    for slot in sorted(_slots(things)):
        colours.setdefault(slot, random_colour(slot, rng))
    return Scene(
        solids=own.joined(solids_of(things)),
        finish=_draw_finish([*parts, *things], colours, rng),
        is_object=np.arange(len(parts) + len(things)) < len(parts),
        camera=_draw_camera(own, shape.airborne, rng, size),
        light=_draw_light(rng),
        backdrop=draw_backdrop([colours[part.slot] for part in parts], rng),
        vignette=float(rng.uniform(0, 0.35)),
        grain=float(rng.uniform(0.003, 0.014)),
    )


def _slots(parts: Sequence[Part]) -> set[str]:
    return {part.slot for part in parts} | {part.second for part in parts if part.pattern != "plain"}


def _stance(shape: Shape, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return how the object is turned (3, 3) before a camera that looks along +y, and its shift (3,) off the ground."""
    turn = np.array(turned(z=float(rng.uniform(*shape.yaw)) - 30.0))
    if rng.random() < 0.5:
        turn = np.diag([-1.0, 1.0, 1.0]) @ turn
    if shape.airborne:
        turn = np.array(turned(x=float(rng.normal(0, 6)), y=float(rng.normal(0, 6)))) @ turn
    height = float(rng.uniform(0.35, 1.0)) if shape.airborne else 0.0
    return turn.astype(np.float32), np.array([0, 0, height], np.float32)


def _draw_camera(solids: Solids, airborne: bool, rng: np.random.Generator, size: int) -> Camera:
    """Return a camera whose picture holds the whole object, at a random distance, place, tilt and focal length."""
    corners = solids.corners().reshape(-1, 3).astype(float)
    middle = (corners.min(axis=0) + corners.max(axis=0)) / 2
    elevation = np.radians(rng.uniform(-8, 32) if airborne else rng.uniform(4, 38))
    field_of_view = np.radians(rng.uniform(22, 48))
    focal = size / 2 / np.tan(field_of_view / 2)
    roll = float(np.radians(rng.normal(0, 4)))
    wanted = size * float(rng.uniform(0.5, 0.95))
    back = np.array([0.0, -np.cos(elevation), np.sin(elevation)])
    distance = 3.0
    for _ in range(4):  # the projected extent is nearly inverse to the distance
        eye = middle + distance * back
        eye[2] = max(eye[2], 0.08)
        pose = look_at(eye, middle, roll=roll)
        points, _ = project(corners, pose, focal, (size / 2, size / 2))
        low, high = points.min(axis=0), points.max(axis=0)
        distance = max(distance * float((high - low).max()) / wanted, 0.9)
    room = size * 0.97 - (high - low)
    place = size * 0.015 + np.maximum(room, 0) * rng.beta(2.5, 2.5, 2)
    principal = (size / 2 + float(place[0] - low[0]), size / 2 + float(place[1] - low[1]))
    return Camera(pose, float(focal), principal, size)


def _draw_clutter(solids: Solids, rng: np.random.Generator) -> list[Part]:
    """Return a few boxes, balls, cones and drums on the ground, around the object or, small, in front of it."""
    corners = solids.corners().reshape(-1, 3)
    reach = float(np.hypot(corners[:, 0], corners[:, 1]).max())
    things = []
    for index in range(int(rng.choice(len(CLUTTER), p=CLUTTER))):
        angle = rng.uniform(-60, 240)  # from the camera's right over the back to its left; -90 is the camera
        in_front = angle < -15 or angle > 195
        extent = float(rng.uniform(0.05, 0.11) if in_front else rng.uniform(0.08, 0.26))
        away = reach * float(rng.uniform(0.7, 1.25)) + extent * 1.5
        at = (float(away * np.cos(np.radians(angle))), float(away * np.sin(np.radians(angle))))
        things.append(_thing(at, extent, f"clutter {index}", rng))
    return things


def _thing(at: tuple[float, float], extent: float, slot: str, rng: np.random.Generator) -> Part:
    """Return a plain solid of half width ``extent`` that stands on the ground ``at`` (x, y)."""
    tall = extent * float(rng.uniform(0.6, 1.6))
    kind = rng.integers(4)
    if kind == 0:
        width = extent * float(rng.uniform(0.5, 1))
        thing = box((*at, tall), (extent, width, tall), slot, z=float(rng.uniform(0, 90)))
    elif kind == 1:
        thing = ellipsoid((*at, extent), extent, slot)
    else:
        top = extent if kind == 2 else extent * float(rng.uniform(0, 0.4))
        thing = cone((*at, 0.0), (*at, 2 * tall), extent, top, slot)
    return _decorated(thing, rng) if rng.random() < 0.3 else thing


def _decorated(part: Part, rng: np.random.Generator) -> Part:
    pattern = DECORATIONS[int(rng.integers(len(DECORATIONS)))]
    return patterned(part, pattern, "decoration", float(rng.uniform(3, 9)))


def _repainted(parts: tuple[Part, ...], rng: np.random.Generator) -> tuple[Part, ...]:
    """Return the parts with one random pattern on all that have the commonest slot and no pattern of their own."""
    slots = [part.slot for part in parts]
    commonest = max(sorted(set(slots)), key=slots.count)
    pattern = DECORATIONS[int(rng.integers(len(DECORATIONS)))]
    frequency = float(rng.uniform(3, 9))
    return tuple(
        patterned(part, pattern, "decoration", frequency)
        if part.slot == commonest and part.pattern == "plain"
        else part
        for part in parts
    )


def _draw_finish(parts: Sequence[Part], colours: dict[str, Colour], rng: np.random.Generator) -> Finish:
    gloss, metal = {}, {}
    for slot in sorted(colours):
        style = rng.random()
        gloss[slot] = float(rng.uniform(0.25, 0.7)) if style > 0.5 or slot in ("metal", "glass") else 0.03
        metal[slot] = float(rng.uniform(0.3, 0.6)) if style > 0.88 or slot == "metal" else 0.0
    pairs = [(colours[part.slot], colours.get(part.second, colours[part.slot])) for part in parts]
    return Finish(
        colours=linear(np.array(pairs, np.float32)),
        pattern=np.array([PATTERNS.index(part.pattern) for part in parts], np.intp),
        frequency=np.array([part.frequency for part in parts], np.float32),
        gloss=np.array([gloss[part.slot] for part in parts], np.float32),
        metal=np.array([metal[part.slot] for part in parts], np.float32),
    )


def _draw_light(rng: np.random.Generator) -> Light:
    azimuth = np.radians(-90 + rng.uniform(-110, 110))  # 0 would be behind the camera
    elevation = np.radians(rng.uniform(25, 72))
    flat = np.cos(elevation)
    towards = np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], np.float32)
    warmth = float(rng.normal(0, 0.06))
    tint = np.array([1 + warmth, 1, 1 - warmth], np.float32)
    sky = float(rng.uniform(0.25, 0.5))
    return Light(
        towards=towards,
        sun=tint * np.float32(rng.uniform(0.75, 1.2)),
        sky=sky * (2 - tint),
        bounce=tint * np.float32(sky * rng.uniform(0.45, 0.75)),
        exposure=float(np.exp(rng.normal(0, 0.18))),
    )
