"""What a picture of a crowd shows: the visible mask of each object, its place, its colour, its pattern, its relations.

Everything a caption says is read off here, from what the rays of the pixels' centres meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferbench.nerf.cameras import project
from transferbench.world.colour_words import COLOURS, named
from transferbench.world.crowd import Crowd
from transferbench.world.palette import GAMMA, contrast
from transferbench.world.scene import Scene
from transferbench.world.solids import Floats, Ints
from transferbench.world.surface import PATTERNS, surface_colour
from transferbench.world.trace import Grid, rectangles, trace

MAINLY = 0.6  # of an object's pixels have the colour or the pattern that it is named after
NARROWEST = 2.2  # pixels: bands and checks below it are not named
DISTINCT = 0.25  # contrast of the two colours of a pattern that is named
PATTERN_WORDS = {"stripes": "striped", "spots": "spotted", "checks": "checked"}
SMALL, LARGE = (0.035, 0.36), (0.08, 0.40)  # share of the picture; longest side of the box in sides of the picture
RELATIONS = ("left", "right", "front", "behind", "above", "below")
BESIDE = 0.06  # of the picture's side: objects beside each other overlap less
IN_LINE = 0.3  # of the narrower one's width: objects behind or above each other share as much
NEARER = 0.25  # units: objects in front of others are nearer by as much


@dataclass(frozen=True)
class Sighting:
    """One object of a picture.

    ``mask`` (H, W) holds the pixels whose centres show it, ``box`` (left, top, width, height) bounds them, ``depth`` is
    their median distance along the viewing axis in units. ``colour``, ``pattern`` and ``size`` are words, or "" where
    no word fits.
    """

    lemma: str
    airborne: bool
    mask: NDArray[np.bool_]
    box: tuple[int, int, int, int]
    depth: float
    colour: str
    pattern: str
    size: str
    shiny: bool

    @property
    def share(self) -> float:
        """The share of the picture that shows the object."""
        return float(self.mask.mean())

    @property
    def adjectives(self) -> tuple[str, ...]:
        """The words that fit the object, in the order in which they are said."""
        return tuple(filter(None, (self.size, "shiny" if self.shiny else "", self.pattern, self.colour)))


def survey(crowd: Crowd) -> tuple[Sighting, ...] | None:
    """Return the objects of a crowd as its picture shows them, in its order; None where one is not to be seen."""
    scene = crowd.scene
    camera = scene.camera
    corners, _ = project(scene.solids.corners(), camera.pose, camera.focal, camera.principal)
    grid = Grid.of(camera)
    hits = trace(scene.solids, rectangles(corners), grid)
    seen = np.flatnonzero(hits.part.ravel() >= 0)
    part, depth = hits.part.ravel()[seen], hits.depth.ravel()[seen]
    points = grid.origin[0][:, None] + depth * grid.directions().take(seen, axis=1)
    colours = named(_albedo(scene, part, points))
    sightings = []
    for index in range(len(crowd.lemmas)):
        own = crowd.owner[part] == index
        if not own.any():
            return None
        mask = np.zeros(hits.part.size, np.bool_)
        mask[seen[own]] = True
        sightings.append(_sighting(crowd, index, mask.reshape(hits.part.shape), part[own], depth[own], colours[own]))
    return tuple(sightings)


def _albedo(scene: Scene, part: Ints, points: Floats) -> Floats:
    """Return the colours (3, N) in sRGB that ``points`` (3, N) on the parts ``part`` (N,) are painted in."""
    solids = scene.solids
    offset = points.T - solids.centre[part]
    own = np.einsum("nwa,nw->an", solids.rotation[part], offset).astype(np.float32)
    colour: Floats = surface_colour(scene.finish, part, own, solids) ** np.float32(1 / GAMMA)
    return colour


def _sighting(
    crowd: Crowd, index: int, mask: NDArray[np.bool_], part: Ints, depth: Floats, colours: NDArray[np.intp]
) -> Sighting:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1))
    finish = crowd.scene.finish
    share, longest = float(mask.mean()), max(box[2:]) / len(mask)
    size = "small" if share < SMALL[0] and longest < SMALL[1] else ""
    counts = np.bincount(colours[colours >= 0], minlength=len(COLOURS))
    return Sighting(
        lemma=crowd.lemmas[index],
        airborne=crowd.airborne[index],
        mask=mask,
        box=box,
        depth=float(np.median(depth)),
        colour=COLOURS[int(counts.argmax())] if counts.max() >= MAINLY * len(part) else "",
        pattern=_pattern_word(crowd.scene, part, depth),
        size="large" if share > LARGE[0] and longest > LARGE[1] else size,
        shiny=float((finish.metal[part] > 0.3).mean()) >= MAINLY,
    )


def _pattern_word(scene: Scene, part: Ints, depth: Floats) -> str:
    """Return the word for the pattern that most of an object's pixels show, if it is coarse and clear enough to see."""
    finish = scene.finish
    first, second = (finish.colours[part, side] ** (1 / GAMMA) for side in (0, 1))
    pixels = scene.camera.focal / depth / (2 * np.maximum(finish.frequency[part], 1e-3))
    distinct = np.array([contrast(a[None], b[None])[0, 0] for a, b in zip(first[::7], second[::7])]) >= DISTINCT
    clear = np.repeat(distinct, 7)[: len(part)] & (pixels >= NARROWEST)
    for name, word in PATTERN_WORDS.items():
        if float((clear & (finish.pattern[part] == PATTERNS.index(name))).mean()) >= MAINLY:
            return word
    return ""


def relations(one: Sighting, other: Sighting) -> tuple[str, ...]:
    """Return what is true of ``one`` seen from ``other`` in the picture, out of RELATIONS.

    Left and right: they stand side by side, hardly overlapping across. In front and behind: both on the ground, one
    above part of the other in the picture, one clearly nearer. Above and below: one is airborne and wholly higher.
    """
    side = len(one.mask)
    left, top, width, height = one.box
    other_left, other_top, other_width, other_height = other.box
    found = []
    if left + width <= other_left + BESIDE * side:
        found.append("left")
    if other_left + other_width <= left + BESIDE * side:
        found.append("right")
    across = min(left + width, other_left + other_width) - max(left, other_left)
    if across < IN_LINE * min(width, other_width):
        return tuple(found)
    if not one.airborne and not other.airborne:
        lower = top + height - (other_top + other_height)
        if other.depth - one.depth > NEARER and lower > 0:
            found.append("front")
        if one.depth - other.depth > NEARER and lower < 0:
            found.append("behind")
    if one.airborne and top + height <= other_top:
        found.append("above")
    if other.airborne and other_top + other_height <= top:
        found.append("below")
    return tuple(found)


def fits(sightings: Sequence[Sighting], lowest: float = 0.018, highest: float = 0.15) -> bool:
    """Tell whether every object covers a share of the picture between ``lowest`` and ``highest``."""
    return all(lowest <= sighting.share <= highest for sighting in sightings)
