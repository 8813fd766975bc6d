"""Pointing at things of a scene: clicks where masks show them best, and at what a user names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from transferbench.errors import UserError

PATCH = 5
"""Side of a clicked patch at most, pixels; smaller where the object is thin."""
SMALLEST = 12
"""Pixels of an object in a view below which nobody clicks on it, or is asked to find it."""


class Kind(NamedTuple):
    """All things of one name, and their labels."""

    name: str
    labels: tuple[int, ...]


class Click(NamedTuple):
    """Where somebody clicks on a thing: the ``frame``, the patch's top left pixel and its side."""

    name: str
    labels: tuple[int, ...]
    frame: int
    row: int
    column: int
    side: int


def kinds_of(scene: Any) -> list[Kind]:
    """Return the kinds of things that masks name; none without masks."""
    if scene.labels is None:
        return []
    kinds: dict[str, list[int]] = {}
    for label, name in enumerate(scene.label_names, start=1):
        kinds.setdefault(name, []).append(label)
    return [Kind(name, tuple(labels)) for name, labels in kinds.items()]


def clicks(scene: Any) -> list[Click]:
    """Return a click on every kind of thing: where it is thickest in the training view that shows most of it.

    Things of one name are one kind; a click hits one of them, and all have to be found.
    """
    frames = [f for f in scene.train if scene.labelled is None or scene.labelled[f]]
    found = []
    for name, labels in kinds_of(scene):
        sizes = [(int((scene.labels[f] == label).sum()), f, label) for f in frames for label in labels]
        size, frame, label = max(sizes, default=(0, 0, 0))
        if size >= SMALLEST:
            found.append(_thickest(name, labels, frame, scene.labels[frame] == label))
    return found


def _thickest(name: str, labels: tuple[int, ...], frame: int, mask: NDArray[np.bool_]) -> Click:
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    side = min(PATCH, max(2 * int(depth.max() / 1.5) - 1, 1))
    top = int(np.clip(row - side // 2, 0, mask.shape[0] - side))
    left = int(np.clip(column - side // 2, 0, mask.shape[1] - side))
    return Click(name, labels, frame, top, left, side)


def clicked(query: str | Mapping[str, int], scene: Any) -> Click:
    """Return the patch of a fitted view that a query means: a label's name, or the frame, row and column of a pixel.

    Raises:
        UserError: no such label or pixel.
    """
    if isinstance(query, str):
        found = {} if scene.labels is None else {click.name: click for click in clicks(scene)}
        if query in found:
            return found[query]
        there = f"there are {', '.join(found)}" if found else "this scene has no masks"
        near = difflib.get_close_matches(query, list(found), n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise UserError(
            f"task.query={query}: {there}{meant}; name one of them, or a pixel: 'task.query={{frame:0,row:0,column:0}}'"
        )
    limits = {"frame": len(scene), "row": scene.height, "column": scene.width}
    if set(query) != set(limits) or not all(0 <= query[name] < limit for name, limit in limits.items()):
        ranges = ", ".join(f"{name} from 0 to {limit - 1}" for name, limit in limits.items())
        raise UserError(f"task.query={dict(query)}: expected {ranges}")
    side = min(PATCH, scene.height, scene.width)
    row, column = (int(np.clip(query[name] - side // 2, 0, limits[name] - side)) for name in ("row", "column"))
    return Click("", (), query["frame"], row, column, side)
