"""What a picture of cameras shows of a scene: where they stand, what each is for, and the room they look into."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferbench.nerf.frusta import Page, box_corners, page_of, projected_corners
from transferbench.nerf.placement import placed

Array = NDArray[np.float64]

SPLITS = {"train": "fitted", "val": "watched", "test": "held out", "": "not used"}
"""What a frame is for, and how that is said."""
MOST = (120, 80, 50, 30)
"""Pyramids that are drawn: as many as do not run into each other; the other cameras are dots."""
SMALLEST, LARGEST, APART = 0.02, 0.055, 0.75
"""Side of a pyramid: in diagonals of what there is to see, and in gaps between neighbours."""


@dataclass(frozen=True, kw_only=True)
class Capture:
    """The cameras of a scene.

    Attributes:
        poses: (N, 4, 4) camera-to-world, OpenGL's axes.
        intrinsics: (N, 4) fx, fy, cx, cy in pixels.
        size: H, W of the images in pixels.
        splits: (N,) keys of ``SPLITS``.
        room: (8, 3) the corners of the scene's box, joined by ``nerf.frusta.EDGES``.
        lies: a few words on what is outside.
        look: (3,) the place that the cameras look at.
        near: (N,) where things begin along the viewing axis, in units of the poses; None where nobody knows.
        far: (N,) where they end; None likewise.
        points: (P, 3) on surfaces, none where there are none.
    """

    poses: Array
    intrinsics: Array
    size: tuple[int, int]
    splits: NDArray[np.str_]
    room: Array
    lies: str
    look: Array
    near: Array | None = None
    far: Array | None = None
    points: Array

    @property
    def origins(self) -> Array:
        """(N, 3) where the cameras stand."""
        return self.poses[:, :3, 3]

    @property
    def counts(self) -> dict[str, int]:
        """How many frames each split has, those without any left out."""
        found = Counter(self.splits.tolist())
        return {split: found[split] for split in SPLITS if found[split]}

    @property
    def sight(self) -> tuple[int, float, float] | None:
        """The first fitted frame, where things begin for it and where they end; None where nobody knows."""
        if self.near is None or self.far is None:
            return None
        at = int((self.splits == "train").argmax())
        return at, float(self.near[at]), float(self.far[at])

    @property
    def extent(self) -> Array:
        """(n, 3) cameras, room and the place they look at; where all of it is one spot, some space around it."""
        places = np.concatenate([self.origins, self.room, self.look[None]])
        least = 0.01 * float(np.abs(places).max()) or 1.0
        if float(np.ptp(places, axis=0).max()) >= least:
            return places
        return np.concatenate([places, box_corners(places.mean(0) - least, places.mean(0) + least)])

    @property
    def span(self) -> float:
        """The diagonal of what there is to see."""
        return float(np.linalg.norm(np.ptp(self.extent, axis=0)))


def capture_of(scene: Any, ndc: bool = False) -> Capture:
    """Return the cameras of a ``data.scenes.scene.Scene``, with the box that a field is fitted in.

    Args:
        scene: the scene.
        ndc: rays of forward-facing scenes are projected into normalised device coordinates.
    """
    place = placed(scene.poses, scene.near, scene.far, scene.closed_box)
    around = placed(scene.poses, scene.near, scene.far)
    look = (around.low + around.high) / 2
    size = (scene.height, scene.width)
    room = box_corners(place.low, place.high)
    lies = "contracted outside" if place.unbounded else "nothing outside"
    if ndc and scene.frontal:
        away = float(np.linalg.norm(look - scene.poses[:, :3, 3].mean(0)))
        room, lies = projected_corners(scene.intrinsics[0], size, max(2 * away, 2.0)), "goes on to infinity"
    splits = np.full(len(scene.poses), "", "<U5")
    for split in ("val", "test", "train"):  # a frame that is in two is shown as what counts most
        splits[list(getattr(scene, split))] = split
    return Capture(
        poses=np.asarray(scene.poses, float),
        intrinsics=np.asarray(scene.intrinsics, float),
        size=size,
        splits=splits,
        room=room,
        lies=lies,
        look=look,
        near=scene.near,
        far=scene.far,
        points=np.zeros((0, 3)) if scene.points is None else np.asarray(scene.points, float),
    )


def thinned(origins: Array, splits: NDArray[np.str_], most: int) -> NDArray[np.int64]:
    """Return at most ``most`` of the cameras at ``origins`` (N, 3), spread evenly over the place.

    Each split has its share, and at least one: it begins with its first camera, and takes the one that is farthest from
    all that are taken.
    """
    if len(splits) <= most:
        return np.arange(len(splits))
    names, sizes = np.unique(splits, return_counts=True)
    away, taken = np.full(len(splits), np.inf), []
    for name, size in zip(names, sizes):
        here = np.flatnonzero(splits == name)
        for _ in range(1 + (most - len(names)) * int(size) // len(splits)):
            taken.append(int(here[away[here].argmax()]))
            away = np.minimum(away, np.linalg.norm(origins - origins[taken[-1]], axis=1))
    return np.unique(taken)


def pyramids_of(capture: Capture) -> tuple[NDArray[np.int64], float]:
    """Return which cameras get a pyramid, and how deep it is."""
    from scipy.spatial import cKDTree

    gap = np.inf
    for most in MOST:
        chosen = thinned(capture.origins, capture.splits, most)
        origins = capture.origins[chosen]
        if len(origins) > 1:
            gap = float(np.median(cKDTree(origins).query(origins, k=2)[0][:, 1]))
        if APART * gap >= SMALLEST * capture.span:
            break
    side = np.clip(APART * gap, SMALLEST * capture.span, LARGEST * capture.span)
    wide = np.median(np.max(np.array(capture.size)[::-1] / capture.intrinsics[:, :2], axis=1))
    return chosen, float(side / max(1.0, wide))


def facts_of(capture: Capture) -> list[list[str]]:
    """Return what there is to know before fitting, as rows of a table: what, and what was found."""
    height, width = capture.size
    angles = np.degrees(2 * np.arctan(width / 2 / capture.intrinsics[:, 0]))
    away = np.linalg.norm(capture.origins - capture.look, axis=1)
    low, high, look = (
        triple(place, capture.span) for place in (capture.room.min(0), capture.room.max(0), capture.look)
    )
    page = page_of(capture.poses)
    rows = [
        ["cameras", ", ".join(f"{count:,} {SPLITS[split]}" for split, count in capture.counts.items())],
        ["images", f"{width} x {height} pixels, {between(angles)} degrees from left to right"],
        ["place they look at", f"{look}, {between(away)} away"],
        ["scene box", f"{low} to {high}, {capture.lies}"],
        ["up", axis_name(page.axes[2]) or triple(page.axes[2])],
    ]
    if capture.near is not None and capture.far is not None:
        rows.insert(3, ["things begin", f"{between(capture.near)} ahead"])
        rows.insert(4, ["things end", f"{between(capture.far)} ahead"])
    if len(capture.points):
        rows.append(["points", f"{len(capture.points):,}"])
    return rows


def between(values: Array) -> str:
    """Return the range of ``values`` with three digits, or the one value that they have."""
    low, high = f"{float(np.min(values)):.3g}", f"{float(np.max(values)):.3g}"
    return low if low == high else f"{low} to {high}"


def triple(place: Array, span: float = 1.0) -> str:
    """Return coordinates (3,) with three digits, those that are nothing beside a place as large as ``span`` as 0."""
    values = np.where(np.abs(place) < 1e-4 * span, 0.0, place)
    return f"({', '.join(f'{value:.3g}' for value in values)})"


def axis_name(axis: Array) -> str:
    """Return x, y or z, with a minus sign where it points the other way; empty for any other direction."""
    tall = int(np.abs(axis).argmax())
    if abs(axis[tall]) < 1 - 1e-9:
        return ""
    return ("" if axis[tall] > 0 else "−") + "xyz"[tall]


def page_names(page: Page) -> tuple[str, str, str]:
    """Return the names of the three axes of a page."""
    names = [axis_name(axis) for axis in page.axes]
    return tuple(name or other for name, other in zip(names, ("across", "along", "up")))  # type: ignore[return-value]
