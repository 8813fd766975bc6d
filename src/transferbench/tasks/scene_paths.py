"""The cameras of a film: named paths through a scene, and poses of a file."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transferbench.errors import UserError
from transferbench.features.extract import evenly_spaced
from transferbench.nerf.paths import between, orbit, spiral
from transferbench.nerf.placement import Placement, focus_point
from transferbench.nerf.views import Views

Floats = NDArray[np.float64]

PATHS = ("orbit", "spiral", "between", "test")
FRAMES = 60
"""Of a path, unless said otherwise."""
STRETCH = 5
"""Frames between two views that a path goes through, at least."""
FACING = 0.7
"""Length of the mean viewing direction above which cameras count as standing on one side of the scene."""
TOLERANCE = 1e-3
"""Of the products of a rotation's axes."""


class CameraPath(NamedTuple):
    """Poses (F, 4, 4), and the place of the scene's frame (F,) whose time and lens each takes."""

    poses: Floats
    frames: NDArray[np.int64]


def path_of(word: str | None, scene: Any, place: Placement, count: int | None) -> CameraPath:
    """Return the poses of a film through ``scene``, a word of ``PATHS`` or a JSON file.

    ``orbit`` goes once round the scene's middle, as high and as far as the fitted cameras on average; ``spiral`` winds
    in front of it; ``between`` runs from fitted view to fitted view; ``test`` has the held-out views. None is a spiral
    where the cameras stand on one side of the scene, an orbit elsewhere. ``count`` is the number of frames; None for
    60, and for all held-out views or poses of a file. Poses of a file are run through where a count is given. In a
    moving scene time goes on along the path, from the first fitted frame to the last.

    Raises:
        UserError: no such path, a file that holds no poses, or cameras that the path does not suit.
    """
    fitted = scene.poses[list(scene.train)]
    number = FRAMES if count is None else count
    if word is None:
        word = "spiral" if _facing(fitted) >= FACING else "orbit"
    if word == "test":
        held_out = scene.held_out
        if not held_out:
            raise UserError(f"task.path=test: {scene.name} has no held-out views; choose orbit, spiral or between")
        chosen = np.array(held_out)[evenly_spaced(len(held_out), len(held_out) if count is None else count)]
        return CameraPath(scene.poses[chosen], chosen)
    if word == "orbit":
        return _timed(_orbit(fitted, number), scene)
    if word == "spiral":
        return _timed(_spiral(fitted, scene, place, number), scene)
    if word == "between":
        return _timed(between(_keys(fitted, scene.times is not None, number), number), scene)
    poses = poses_of_file(word)
    return _timed(poses if count is None else between(poses, count), scene)


def _timed(poses: Floats, scene: Any) -> CameraPath:
    chosen = np.linspace(0, len(scene.train) - 1, len(poses)) if scene.times is not None else np.zeros(len(poses))
    return CameraPath(poses, np.array(scene.train)[chosen.round().astype(int)])


def _orbit(poses: Floats, count: int) -> Floats:
    target, up = focus_point(poses), upright(poses)
    away = poses[:, :3, 3] - target
    radius = float(np.linalg.norm(away, axis=1).mean()) or 1.0
    height = float(np.clip((away @ up).mean() / radius, -0.99, 0.99))
    return orbit(count, radius, float(np.degrees(np.arcsin(height))), target, up)


def upright(poses: Floats) -> Floats:
    """Return what is up (3,) for cameras that are held level: at right angles to the right side of each picture.

    Where all cameras have the same right, it is the mean of what is up in their pictures.
    """
    right, up = poses[:, :3, 0], poses[:, :3, 1].mean(0)
    spread, directions = np.linalg.eigh(right.T @ right / len(right))
    found = directions[:, 0] if spread[1] > 0.02 and spread[0] < spread[1] / 4 else up
    upward: Floats = found * np.sign(found @ up or 1.0) / np.linalg.norm(found)
    return upward


def _spiral(poses: Floats, scene: Any, place: Placement, count: int) -> Floats:
    if _facing(poses) < FACING:
        raise UserError(
            f"task.path=spiral: the cameras of {scene.name} look at it from all sides, and a spiral winds in front of "
            "a scene; type task.path=orbit"
        )
    if scene.near is not None and scene.far is not None and scene.near.min() > 0:
        return spiral(poses, float(scene.near.min()), float(scene.far.max()), count)
    eyes, axes = poses[:, :3, 3], -poses[:, :3, 2]
    reach = float(((focus_point(poses) - eyes) * axes).sum(1).min())
    if reach <= 0.1 * float(np.linalg.norm(eyes - eyes.mean(0), axis=1).max()):  # they look at no one point
        reach = float(np.linalg.norm((place.low + place.high) / 2 - eyes, axis=1).mean()) or 1.0
    return spiral(poses, 0.3 * reach, 2 * reach, count)  # which makes it face what is about that far away


def _facing(poses: Floats) -> float:
    """Return the length of the mean viewing direction: 1 where all cameras look the same way."""
    return float(np.linalg.norm(poses[:, :3, 2].mean(0)))


def _keys(poses: Floats, moving: bool, count: int) -> Floats:
    """Return the views to go through: few enough, in their order, or in that of a shorter tour of a scene at rest."""
    order = np.arange(len(poses))
    if not moving:
        tour = toured(poses[:, :3, 3])
        order = min(
            order, tour, key=lambda one: float(np.linalg.norm(np.diff(poses[one, :3, 3], axis=0), axis=1).sum())
        )
    number = min(len(poses), max(count // STRETCH + 1, 2))
    keys: Floats = poses[order[evenly_spaced(len(poses), number)]]
    return keys


def toured(positions: Floats) -> NDArray[np.int64]:
    """Return an order (N,) of ``positions`` (N, 3): from the first always on to the nearest not yet visited."""
    left, order = list(range(1, len(positions))), [0]
    while left:
        apart = np.linalg.norm(positions[left] - positions[order[-1]], axis=1)
        order.append(left.pop(int(apart.argmin())))
    return np.array(order)


def cameras_of(
    path: CameraPath,
    scene: Any,
    views: Views,
    pixel_centre: float = 0.5,
    as_taken: bool = False,
    width: int | None = None,
    height: int | None = None,
) -> Views:
    """Return the cameras of a ``path`` whose pictures are ``width`` by ``height`` pixels.

    They see what the scene's do, through a pinhole, and from the nearest to the farthest bound of its ``views``;
    ``as_taken`` through the lens and within the bounds of the very frames. Without a width or a height it is that of
    the images, or what fits the other; with both, the vertical angle of view stays.

    Raises:
        UserError: the views are in normalised device coordinates, and the path or the size does not suit those.
    """
    tall = height or round(scene.height * (width or scene.width) / scene.width)
    wide = width or round(scene.width * tall / scene.height)
    across, down = wide / scene.width, tall / scene.height
    kept = not (width and height) or abs(across / down - 1) < 1e-3
    if views.ndc and not kept:
        raise UserError(
            "this field was fitted in normalised device coordinates, which have the shape of the images; leave "
            "task.width or task.height out"
        )
    lens, chosen = as_taken and kept, path.frames
    bounds = [getattr(views, name).cpu().numpy() for name in ("near", "far")]
    near, far = (one[chosen] for one in bounds) if lens else (bounds[0].min(), bounds[1].max())
    cameras = Views(
        path.poses,
        scene.intrinsics[chosen] * [across if kept else down, down, across, down],
        scene.distortion[chosen] if lens else np.zeros((len(chosen), 6)),
        (tall, wide),
        near,
        far,
        scene.fisheye and lens,
        None if scene.times is None else scene.times[chosen],
        pixel_centre,
        views.ndc,
    )
    if views.ndc and not cameras.ahead():
        raise UserError(
            "this field was fitted in normalised device coordinates, and a camera of the path looks away from them; "
            "type task.path=spiral"
        )
    return cameras


def poses_of_file(name: str) -> Floats:
    """Return the poses (F, 4, 4) in a JSON file, camera to world in OpenGL's axes and the coordinates of the scene.

    It holds a list, or an object with a list ``frames`` (Blender, nerfstudio) or ``camera_path`` (nerfstudio's viewer);
    its entries are matrices of 3 or 4 rows, or objects with one as ``transform_matrix`` or ``camera_to_world``.

    Raises:
        UserError: there is no such file, or what it holds are not poses.
    """
    file = Path(name)
    if not file.is_file():
        near = difflib.get_close_matches(name, PATHS, n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"task.path={name}: expected {', '.join(PATHS)} or a JSON file of poses{meant}")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as JSON ({error}); write it again, or type task.path=orbit") from error
    if isinstance(content, dict):
        content = content.get("frames", content.get("camera_path"))
    if not isinstance(content, list) or not content:
        raise UserError(f"{file}: no list of poses in it; expected frames, each with a transform_matrix of 4 rows")
    return np.stack([_pose(entry, f"{file}: pose {number}") for number, entry in enumerate(content)])


def _pose(entry: Any, where: str) -> Floats:
    if isinstance(entry, dict):
        entry = entry.get("transform_matrix", entry.get("camera_to_world"))
    try:
        rows = np.asarray(entry, float)
    except (TypeError, ValueError):
        rows = np.empty(0)
    rows = rows.reshape(4, 4) if rows.shape == (16,) else rows
    if rows.shape not in ((3, 4), (4, 4)) or not np.isfinite(rows).all():
        raise UserError(f"{where} is {str(entry)[:60]}; expected 3 or 4 rows of 4 finite numbers, camera to world")
    axes = rows[:3, :3]
    off = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if off > TOLERANCE or np.linalg.det(axes) < 0 or np.abs(rows[3:] - [0, 0, 0, 1]).max(initial=0) > TOLERANCE:
        what = f"off by {off:.2g}" if off > TOLERANCE else "mirrored, or its last row is not 0 0 0 1"
        raise UserError(f"{where} is not a rotation and a position ({what}); expected axes of length 1 at right angles")
    pose = np.eye(4)
    pose[:3] = rows[:3]
    return pose
