"""A stage: objects of concepts that stand still on a floor that ends, and cameras on a dome around them.

Two of the objects are of one concept; none touches another, and from some sides one hides another in part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from transferbench.nerf.cameras import look_at
from transferbench.world.backdrop import Texture, draw_texture
from transferbench.world.exposure import Arrangement, Lens
from transferbench.world.light import Light
from transferbench.world.parts import Colour, Part, box, cone
from transferbench.world.props import Prop, draw_prop, joined, plain_finish
from transferbench.world.shapes import SHAPES
from transferbench.world.solids import Floats, solids_of
from transferbench.world.sun_map import SunMap

ANGLE = 0.6911112070083618  # radians, the horizontal field of view of the Blender scenes of NeRF
DISTANCE = 4.031128874  # units from the middle to the cameras, as there
MIDDLE = (0.0, 0.0, 0.22)  # where the cameras look
SPLITS = ("train", "val", "test")
ELEVATIONS = {"train": (11.0, 68.0), "val": (16.0, 50.0), "test": (14.0, 55.0)}  # degrees above the floor
DISC, HALF_SIDE, THICKNESS = 1.3, 0.99, 0.04  # units, of round and square floors
RADIUS, HEIGHT, GAP = 0.48, 0.9, 0.04  # units, of the objects, and between the boxes around them
PATTERNED = ("checks", "stripes", "noise", "tiles")  # of the textures
PLACES = 60  # tried for an object before the stage is drawn anew
MANY = 5  # objects: more of them are smaller
LAYOUTS = 25  # tried with the same concepts
STAGES = 30  # drawn until one of them shows enough of each object and hides something
HIDDEN, SHOWN = 0.88, 0.35  # of an object is seen: at most, where it counts as hidden; at least, where as shown
LEAST = 0.045  # of the picture, divided by their number, is what an object covers at least, on average
GOLDEN = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class Stage:
    """The ``props`` in their places, labelled from 1; the ``floor`` (part and texture); the ``poses`` of each split."""

    props: tuple[Prop, ...]
    floor: Part
    texture: Texture
    light: Light
    poses: Mapping[str, tuple[NDArray[np.float64], ...]]

    def arrangement(self, without: int = 0) -> Arrangement:
        """Return what there is to photograph, ``without`` the prop of that label (0: with all)."""
        slab = solids_of([self.floor])
        kept = [(label, prop) for label, prop in enumerate(self.props, start=1) if label != without]
        solids = slab
        for _, prop in kept:
            solids = solids.joined(prop.solids)
        extent = np.concatenate([prop.solids.corners().reshape(-1, 3) for prop in self.props])
        casting = solids_of([])
        for _, prop in kept:
            casting = casting.joined(prop.solids)
        return Arrangement(
            solids=solids,
            finish=joined([plain_finish([(1.0, 1.0, 1.0)], gloss=0.0), *(prop.finish for _, prop in kept)]),
            owner=np.concatenate([[0], *([label] * len(prop.solids.kind) for label, prop in kept)]).astype(np.uint8),
            textures={0: self.texture},
            light=self.light,
            shadows=SunMap.over(casting, self.light.towards, extent),
            standing=tuple(prop.solids for _, prop in kept),
        )

    def box(self) -> tuple[Floats, Floats]:
        """Return the corners (3,) of the room that holds everything."""
        corners = [solids_of([self.floor]).corners(), *(prop.solids.corners() for prop in self.props)]
        flat = np.concatenate(corners).reshape(-1, 3)
        return flat.min(axis=0), flat.max(axis=0)


def lens(pose: NDArray[np.float64], size: int) -> Lens:
    """Return the camera of ``pose`` for pictures of ``size`` pixels a side."""
    return Lens(pose, 0.5 * size / float(np.tan(ANGLE / 2)), size, size)


def draw_stage(lemmas: Sequence[str], rng: np.random.Generator, count: int, views: Mapping[str, int]) -> Stage:
    """Return a random stage with ``count`` objects of concepts out of ``lemmas``; ``views`` by split.

    Of STAGES stages at most, the first one is taken in which every object is large enough and shown in three views of
    four, and one is hidden in part in two test views; when there is none, the one that comes closest.
    """
    grounded, flying = by_standing(lemmas)
    tried: list[tuple[float, Stage]] = []
    while not tried or (tried[-1][0] > 0 and len(tried) < STAGES):
        props = _draw_props(grounded, flying, rng, count)
        poses = {split: dome(views[split], *ELEVATIONS[split], rng) for split in SPLITS}
        stage = Stage(props, *_draw_floor(props, rng), _draw_light(rng), poses)
        tried.append((_lacking(stage), stage))
    return min(tried, key=lambda one: one[0])[1]


def dome(count: int, low: float, high: float, rng: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
    """Return ``count`` poses spread evenly over a dome, from ``low`` to ``high`` degrees above the floor."""
    bottom, top = np.sin(np.radians([low, high]))
    start = float(rng.uniform(0, 2 * np.pi))
    poses = []
    for index in range(count):
        height = bottom + (top - bottom) * (index + float(rng.uniform(0.2, 0.8))) / count
        flat, turn = np.sqrt(1 - height**2), start + GOLDEN * index
        away = DISTANCE * np.array([flat * np.cos(turn), flat * np.sin(turn), height])
        poses.append(look_at(np.array(MIDDLE) + away, MIDDLE))
    return tuple(poses[index] for index in rng.permutation(count))


def shares(stage: Stage, poses: Sequence[NDArray[np.float64]], size: int = 50) -> tuple[Floats, Floats]:
    """Return how much of each object is seen in each view, (views, objects): as a share of it, and of the picture."""
    seen, areas = [], []
    for pose in poses:
        view = lens(pose, size)
        depths = np.stack([view.see(prop.solids)[0].depth for prop in stage.props])
        nearest = depths.min(axis=0)
        alone = np.isfinite(depths)
        shown = (alone & (depths <= nearest)).sum(axis=(1, 2))
        seen.append(shown / np.maximum(alone.sum(axis=(1, 2)), 1))
        areas.append(shown / size**2)
    return np.array(seen), np.array(areas)


def _lacking(stage: Stage) -> float:
    """Return how far a stage is from what is asked for: 0 is good."""
    seen, areas = shares(stage, stage.poses["test"])
    hidden_views = int((seen < HIDDEN).any(axis=1).sum())
    shown = (seen >= SHOWN).mean(axis=0).min()
    small = max(1 - float(areas.mean(axis=0).min()) * len(stage.props) / LEAST, 0.0)
    return max(min(2, len(seen)) - hidden_views, 0) + max(0.75 - float(shown), 0.0) + small


def by_standing(lemmas: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the concepts whose objects stand on the ground, and those whose objects fly."""
    flying = [lemma for lemma in lemmas if SHAPES[lemma](np.random.default_rng(0)).airborne]
    return [lemma for lemma in lemmas if lemma not in flying], flying


def _draw_props(
    grounded: Sequence[str], flying: Sequence[str], rng: np.random.Generator, count: int
) -> tuple[Prop, ...]:
    """Return the objects in their places, two of them of one concept; those that fly only where others are too few."""
    while True:
        order = [*rng.permutation(grounded).tolist(), *rng.permutation(flying).tolist()]
        chosen = [order[0], *order[: count - 1]]
        for _ in range(LAYOUTS):
            placed = _layout([chosen[index] for index in rng.permutation(count)], rng)
            if placed:
                return placed


def _layout(lemmas: Sequence[str], rng: np.random.Generator) -> tuple[Prop, ...]:
    """Return an object of each concept in its place, nothing where one found none."""
    placed: list[Prop] = []
    shrunk = min((MANY / len(lemmas)) ** 0.5, 1.0)
    for lemma in lemmas:
        found = _placed(draw_prop(lemma, rng, RADIUS * shrunk, HEIGHT * shrunk), placed, rng)
        if found is None:
            return ()
        placed.append(found)
    return tuple(placed)


def _placed(prop: Prop, others: Sequence[Prop], rng: np.random.Generator) -> Prop | None:
    """Return ``prop`` somewhere on the floor where it touches no other, None where there is no room."""
    for _ in range(PLACES):
        away, turn = 0.92 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
        candidate = prop.moved(float(rng.uniform(0, 360)), (away * np.cos(turn), away * np.sin(turn), 0.0))
        corners = candidate.solids.corners().reshape(-1, 3)
        inside = np.abs(corners[:, :2]).max() < HALF_SIDE - 0.03 and np.hypot(*corners[:, :2].T).max() < DISC - 0.03
        if inside and not any(candidate.touches(other, GAP) for other in others):
            return candidate
    return None


def _draw_floor(props: Sequence[Prop], rng: np.random.Generator) -> tuple[Part, Texture]:
    texture = draw_patterned([colour for prop in props for colour in prop.colours], rng)
    if rng.random() < 0.5:
        return cone((0, 0, -2 * THICKNESS), (0, 0, 0), DISC, DISC, "floor"), texture
    return box((0, 0, -THICKNESS), (HALF_SIDE, HALF_SIDE, THICKNESS), "floor"), texture


def draw_patterned(avoid: Sequence[Colour], rng: np.random.Generator) -> Texture:
    """Return a random texture with a pattern that is to be seen: one colour much darker than the other."""
    texture = draw_texture(avoid, rng)
    kind = str(rng.choice(PATTERNED))
    dark = np.float32(rng.uniform(0.3, 0.55))  # in linear light
    first = texture.colours[0]
    return replace(texture, kind=kind, colours=np.stack([first, first * dark]), scale=float(rng.uniform(1.8, 4.5)))


def _draw_light(rng: np.random.Generator) -> Light:
    """Return daylight with a sun so high that shadows stay short."""
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(48, 68))
    flat = np.cos(elevation)
    warmth = float(rng.normal(0, 0.04))
    tint = np.array([1 + warmth, 1, 1 - warmth], np.float32)
    sky = float(rng.uniform(0.36, 0.5))
    return Light(
        towards=np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], np.float32),
        sun=tint * np.float32(rng.uniform(0.75, 1.0)),
        sky=sky * (2 - tint),
        bounce=tint * np.float32(sky * rng.uniform(0.55, 0.8)),
        exposure=float(np.exp(rng.normal(0, 0.08))),
    )
