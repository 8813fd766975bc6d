"""Camera paths to render a scene along: around it, on a spiral in front of it, between given views.

Poses are those of ``cameras``: camera-to-world (4, 4), x right, y up, looking along -z. Angles are in degrees, as they
stand in configurations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation, Slerp

from transferbench.nerf.cameras import look_at

Array = NDArray[np.float64]


def spherical_pose(azimuth: float, elevation: float, radius: float) -> Array:
    """Return the pose (4, 4) of a camera on a sphere about the origin, which it looks at; z is up in the world.

    The camera stands ``radius`` away, ``elevation`` above the ground plane, over the y axis at azimuth 0 and over the x
    axis at 90. NeRF's ``pose_spherical(theta, phi, r)`` is this pose with elevation -phi. Poles are allowed.
    """
    turn, lift = np.radians([azimuth, elevation])
    right = np.array([-np.cos(turn), np.sin(turn), 0.0])
    backward = np.array([np.sin(turn) * np.cos(lift), np.cos(turn) * np.cos(lift), np.sin(lift)])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(backward, right), backward], axis=1)
    pose[:3, 3] = radius * backward
    return pose


def orbit(
    count: int,
    radius: float,
    elevation: float = 30.0,
    target: ArrayLike = (0.0, 0.0, 0.0),
    up: ArrayLike = (0.0, 0.0, 1.0),
) -> Array:
    """Return poses (count, 4, 4) on one full circle about the axis ``up`` (3,) through ``target`` (3,), which all face.

    The cameras are ``radius`` from the target and ``elevation`` above the plane that ``up`` stands on; the first is not
    repeated at the end, so that a film of them loops. ``spherical_pose`` at even azimuths is the case of the defaults.
    """
    axis = np.asarray(up, float) / np.linalg.norm(np.asarray(up, float))
    to_world, _ = Rotation.align_vectors(axis[None], np.array([[0.0, 0.0, 1.0]]))
    poses = np.stack([spherical_pose(360 * step / count, elevation, radius) for step in range(count)])
    placed: Array = np.tile(np.eye(4), (count, 1, 1))
    placed[:, :3, :3] = to_world.as_matrix() @ poses[:, :3, :3]
    placed[:, :3, 3] = poses[:, :3, 3] @ to_world.as_matrix().T + np.asarray(target, float)
    return placed


def mean_pose(poses: ArrayLike) -> Array:
    """Return the pose (4, 4) in the midst of ``poses`` (N, 4, 4): mean position, view and up direction."""
    every = np.asarray(poses, float)
    eye, backward, up = every[:, :3, 3].mean(0), every[:, :3, 2].mean(0), every[:, :3, 1].mean(0)
    return look_at(eye, eye - backward, up)


def spiral(poses: ArrayLike, near: float, far: float, count: int = 120, turns: float = 2.0) -> Array:
    """Return poses (count, 4, 4) on a flat spiral in front of a scene that ``poses`` (N, 4, 4) all face.

    The path winds ``turns`` times about the mean pose, as wide to every side as nine tenths of the cameras stray, and
    goes back and forth once for two turns; the cameras face a point at a depth between ``near`` and ``far``, the
    nearest and farthest bounds of the scene, weighted three to one towards the far end in disparity (the render path
    of LLFF, arXiv:1905.00889, with the constants of its code: bounds times 0.9 and 5, 120 views, two turns).
    """
    centre = mean_pose(poses)
    local = (np.asarray(poses, float)[:, :3, 3] - centre[:3, 3]) @ centre[:3, :3]
    width, height, depth = np.percentile(np.abs(local), 90, axis=0)
    focus = 1 / (0.25 / (0.9 * near) + 0.75 / (5 * far))
    aim = centre[:3, 3] - focus * centre[:3, 2]
    up = np.asarray(poses, float)[:, :3, 1].mean(0)
    angles = 2 * np.pi * turns * np.arange(count) / count
    offsets = np.stack([width * np.cos(angles), -height * np.sin(angles), -depth * np.sin(angles / 2)], axis=1)
    return np.stack([look_at(eye, aim, up) for eye in centre[:3, 3] + offsets @ centre[:3, :3].T])


def between(poses: ArrayLike, count: int) -> Array:
    """Return poses (count, 4, 4) on a path through ``poses`` (N, 4, 4) in their order, from the first to the last.

    Positions run in straight lines and orientations on great circles, each stretch taking the same time. One pose, or a
    count of one, gives the first pose.
    """
    every = np.asarray(poses, float)
    if len(every) == 1 or count == 1:
        return np.repeat(every[:1], count, axis=0)
    given = np.arange(len(every), dtype=float)
    times = np.linspace(0, len(every) - 1, count)
    path: Array = np.tile(np.eye(4), (count, 1, 1))
    path[:, :3, :3] = Slerp(given, Rotation.from_matrix(every[:, :3, :3]))(times).as_matrix()
    path[:, :3, 3] = np.stack([np.interp(times, given, every[:, axis, 3]) for axis in range(3)], axis=1)
    return path
