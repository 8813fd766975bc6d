"""Where the objects of a crowd stand: sizes and places at which the camera sees each of them, none being hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from transferbench.nerf.cameras import project
from transferbench.world.parts import Colour, Part
from transferbench.world.solids import Floats, Solids
from transferbench.world.surface import Finish
from transferbench.world.trace import Camera, Grid, rectangles, trace

SHARE = (0.024, 0.13)  # of the picture, that an object is meant to cover
LONGEST = 0.6  # of the picture's side, the extent of an object in it
MARGIN = 0.015  # of the picture's side, between an object and the edge
VISIBLE = 0.7  # of each object, at least
WIDTH = 2.2  # units that the picture spans where the camera looks
PLACES = 30  # tried for an object before the layout is given up


@dataclass(frozen=True)
class Member:
    """An object: its ``parts`` and their ``finish``, and its ``solids`` turned but neither scaled nor placed."""

    lemma: str
    parts: tuple[Part, ...]
    colours: dict[str, Colour]
    finish: Finish
    solids: Solids
    airborne: bool


@dataclass(frozen=True)
class Placed:
    """An object in its place: its ``solids``, its ``scale``, and its ``depth`` (S, S) in the picture of it alone."""

    solids: Solids
    scale: float
    depth: Floats


def draw_layout(members: Sequence[Member], camera: Camera, rng: np.random.Generator) -> list[Placed]:
    """Return the objects in places where each is to be seen and touches no other; nothing where one found none."""
    view = Camera(camera.pose, camera.focal / 2, (camera.principal[0] / 2, camera.principal[1] / 2), camera.size // 2)
    placed: list[Placed] = []
    for member in members:
        reach = _scale_at_unit_depth(member, float(np.exp(rng.uniform(*np.log(SHARE)))), view)
        for _ in range(PLACES):
            candidate = _draw_place(member, reach, view, rng)
            if candidate is None or any(_touching(candidate.solids, other.solids) for other in placed):
                continue
            if min(visible([*placed, candidate])) >= VISIBLE:
                placed.append(candidate)
                break
        else:
            return []
    return placed


def _scale_at_unit_depth(member: Member, share: float, view: Camera) -> float:
    """Return the scale over the depth at which ``member`` covers ``share`` of the picture, as far as LONGEST allows."""
    trial = 0.4
    placed = _seen_at(member, np.array([0, 0, 0.8 if member.airborne else 0.0], np.float32), trial, view)
    seen = np.isfinite(placed.depth)
    extent = max(seen.any(axis=0).sum(), seen.any(axis=1).sum(), 1) / view.size
    factor = min(float(np.sqrt(share / max(seen.mean(), 1e-4))), LONGEST / float(extent))
    return trial * factor / _depth_of(np.array([0, 0, 0.8 if member.airborne else 0.0]), view)


def _depth_of(point: Floats, view: Camera) -> float:
    return float((point - view.pose[:3, 3]) @ -view.pose[:3, 2])


def _draw_place(member: Member, reach: float, view: Camera, rng: np.random.Generator) -> Placed | None:
    """Return ``member`` somewhere, its scale ``reach`` times its depth; None where it is not wholly in the picture."""
    y = float(rng.uniform(-1.0, 1.2))
    wide = WIDTH / 2 + 0.25 * y
    height = float(rng.uniform(0.55, 1.25)) if member.airborne else 0.0
    at = np.array([float(rng.uniform(-wide, wide)), y, height], np.float32)
    placed = _seen_at(member, at, reach * _depth_of(at, view), view)
    seen = np.argwhere(np.isfinite(placed.depth))
    margin = MARGIN * view.size
    if len(seen) == 0 or seen.min() < margin or seen.max() + 1 > view.size - margin:
        return None
    return placed if len(seen) < 0.148 * view.size**2 else None


def _seen_at(member: Member, at: Floats, scale: float, view: Camera) -> Placed:
    solids = _scaled(member.solids, scale, at)
    points, _ = project(solids.corners(), view.pose, view.focal, view.principal)
    return Placed(solids, scale, trace(solids, rectangles(points), Grid.of(view)).depth)


def _scaled(solids: Solids, scale: float, at: Floats) -> Solids:
    """Return the parts scaled about the origin, then moved by ``at`` (3,)."""
    factor = np.float32(scale)
    return replace(solids, centre=solids.centre * factor + at, size=solids.size * factor)


def _touching(solids: Solids, others: Solids, gap: float = 0.03) -> bool:
    """Tell whether the boxes around two objects come closer than ``gap`` units."""
    first, second = solids.corners().reshape(-1, 3), others.corners().reshape(-1, 3)
    apart = np.maximum(first.min(axis=0) - second.max(axis=0), second.min(axis=0) - first.max(axis=0))
    return bool(apart.max() < gap)


def visible(placed: Sequence[Placed]) -> tuple[float, ...]:
    """Return the share of each object that is in front of all others."""
    depths = np.stack([one.depth for one in placed])
    nearest = depths.min(axis=0)
    return tuple(float((depth[own := np.isfinite(depth)] <= nearest[own]).mean()) for depth in depths)
