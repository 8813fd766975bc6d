"""Pinhole cameras: poses, the rays of pixels and the projection of points.

Poses are camera-to-world matrices (4, 4) in the convention of OpenGL and Blender: x points right, y up, and the camera
looks along its -z axis. Pixel coordinates (u, v) run right and down from the top left corner of the picture, so the
centre of the first pixel is (0.5, 0.5). Focal lengths and principal points are in pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def look_at(eye: ArrayLike, target: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0), roll: float = 0.0) -> Array:
    """Return the pose (4, 4) of a camera at ``eye`` (3,) that looks at ``target`` (3,).

    ``up`` (3,) is the direction that points upwards in the picture; ``roll`` then turns the camera counter-clockwise
    about its viewing direction, in radians. Raises ValueError when ``up`` is parallel to the viewing direction.
    """
    position, aim = np.asarray(eye, float), np.asarray(target, float)
    backward = position - aim
    right = np.cross(np.asarray(up, float), backward)
    if np.linalg.norm(right) < 1e-9 * max(float(np.linalg.norm(backward)), 1e-9):
        raise ValueError(f"a camera at {position} cannot look at {aim} with the up direction {np.asarray(up)}")
    backward /= np.linalg.norm(backward)
    right /= np.linalg.norm(right)
    upward = np.cross(backward, right)
    cosine, sine = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    pose[:3, 0] = cosine * right + sine * upward
    pose[:3, 1] = cosine * upward - sine * right
    pose[:3, 2] = backward
    pose[:3, 3] = position
    return pose


def ray_basis(pose: ArrayLike, focal: float, principal: tuple[float, float]) -> tuple[Array, Array, Array]:
    """Return vectors (3,) a, b, c with which the pixel coordinate (u, v) is seen along a + u b + v c.

    The direction is not normalised: its length along the viewing axis is 1, so that depth is the ray's parameter.
    """
    rotation = np.asarray(pose, float)[:3, :3]
    corner = rotation @ np.array([-principal[0] / focal, principal[1] / focal, -1.0])
    return corner, rotation[:, 0] / focal, -rotation[:, 1] / focal


def pixel_rays(
    pose: ArrayLike, focal: float, width: int, height: int, principal: tuple[float, float] | None = None
) -> tuple[Array, Array]:
    """Return origins and directions (height, width, 3) of the rays through the pixel centres.

    The directions have length 1 along the viewing axis. Without ``principal`` the axis meets the picture's centre.
    """
    corner, right, down = ray_basis(pose, focal, principal or (width / 2, height / 2))
    u = (np.arange(width) + 0.5)[None, :, None]
    v = (np.arange(height) + 0.5)[:, None, None]
    directions = corner + u * right + v * down
    return np.broadcast_to(np.asarray(pose, float)[:3, 3], directions.shape), directions


def project(points: ArrayLike, pose: ArrayLike, focal: float, principal: tuple[float, float]) -> tuple[Array, Array]:
    """Return pixel coordinates (..., 2) and depths (...) along the viewing axis of ``points`` (..., 3) in the world.

    Points behind the camera have negative depths and meaningless coordinates.
    """
    matrix = np.asarray(pose, float)
    local = (np.asarray(points, float) - matrix[:3, 3]) @ matrix[:3, :3]
    depth = -local[..., 2]
    safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
    u = principal[0] + focal * local[..., 0] / safe
    v = principal[1] - focal * local[..., 1] / safe
    return np.stack([u, v], axis=-1), depth
